//! A line that moves while long work goes on; nothing when nobody watches.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Progress of a task whose end is not known.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Counts seconds of something.
    pub(super) fn seconds(what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_message(what.to_owned());
        Self(Some(bar))
    }

    /// Counts steps towards a known end.
    pub(super) fn steps(what: &str, all: u64) -> Self {
        Self::bar(all, &format!("{{bar:40}} {{pos}}/{{len}} {what} ({{elapsed}})"))
    }

    /// Counts bytes towards a known end.
    pub(super) fn bytes(all: u64) -> Self {
        Self::bar(
            all,
            "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} ({elapsed}, {eta} left)",
        )
    }

    fn bar(all: u64, template: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(Some(ProgressBar::new(all).with_style(style)))
    }

    /// How far it is, of all.
    pub(super) fn step(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Where the work is.
    pub(super) fn at(&self, seconds: f64) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("{seconds:.0} recorded seconds"));
            bar.tick();
        }
    }

    /// Takes the line away.
    pub(super) fn done(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
