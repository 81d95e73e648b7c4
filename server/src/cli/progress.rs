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
