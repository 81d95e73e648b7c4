//! The document: a section for each family, kept apart by markers so that one can be renewed alone.

use std::{fmt::Write as _, fs, path::Path};

/// One measured figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What came out, with its unit.
    pub(crate) figure: String,
    /// What is asked; empty when nothing is.
    pub(crate) target: String,
    /// What others reach on it; empty when nothing is known.
    pub(crate) reference: String,
    /// Whether the target is reached; none without a target.
    pub(crate) reached: Option<bool>,
}

impl Row {
    /// A figure that is reported only.
    pub(crate) fn reported(what: impl Into<String>, figure: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            figure: figure.into(),
            target: String::new(),
            reference: String::new(),
            reached: None,
        }
    }

    /// A figure that is held against a target.
    pub(crate) fn asked(what: impl Into<String>, figure: impl Into<String>, target: &str, reached: bool) -> Self {
        Self {
            target: target.to_owned(),
            reached: Some(reached),
            ..Self::reported(what, figure)
        }
    }

    /// What others reach.
    pub(crate) fn reference(mut self, text: &str) -> Self {
        text.clone_into(&mut self.reference);
        self
    }
}

/// What came of one family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Heading.
    pub(crate) title: String,
    /// How it was measured: a paragraph before the table.
    pub(crate) method: String,
    /// The figures.
    pub(crate) rows: Vec<Row>,
    /// Paragraphs after the table.
    pub(crate) notes: Vec<String>,
    /// Pictures: file in docs/images, caption.
    pub(crate) images: Vec<(String, String)>,
}

impl Section {
    /// True when a target is missed.
    pub(super) fn missed(&self) -> bool {
        self.rows.iter().any(|r| r.reached == Some(false))
    }

    /// The figures for a terminal.
    pub(super) fn table_text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let mark = match row.reached {
                Some(true) => "reached",
                Some(false) => "MISSED",
                None => "",
            };
            let asked = if row.target.is_empty() {
                String::new()
            } else {
                format!("(asked {}) ", row.target)
            };
            let _ = writeln!(text, "    {}: {} {asked}{mark}", row.what, row.figure);
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.method);
        text += "| what | measured | asked | reached | elsewhere |\n|---|---|---|---|---|\n";
        for row in &self.rows {
            let reached = row.reached.map_or("", |yes| if yes { "yes" } else { "**no**" });
            let _ = writeln!(
                text,
                "| {} | {} | {} | {reached} | {} |",
                row.what, row.figure, row.target, row.reference
            );
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        for (file, caption) in &self.images {
            let _ = write!(text, "\n![{caption}](images/{file})\n");
        }
        text
    }
}

const HEAD: &str = "# Accuracy

Written by `TAPLINE_DATA=/path/to/recordings cargo xtask accuracy`; do not edit. Every figure comes from what
`tapline calibrate` and `tapline replay` wrote, with the shipped plugins and the defaults of the fleet file, but for what a
section says of itself: nothing is set per recording. The recordings, their sources and licences are in [data.md](data.md). How sensing works, and what
it cannot do, is in [sensing.md](sensing.md), [tomography.md](tomography.md) and [tracker.md](tracker.md).
";

fn marker(name: &str) -> String {
    format!("<!-- family: {name} -->\n")
}

/// Writes the document; sections of families that were not run stay as they are.
pub(super) fn write(path: &Path, order: &[&str], sections: &[(&str, Section)]) -> Result<(), String> {
    let old = fs::read_to_string(path).unwrap_or_default();
    let kept = |name: &str| {
        let (_, rest) = old.split_once(&marker(name))?;
        Some(rest.split("<!-- family: ").next().unwrap_or(rest).trim_end().to_owned())
    };
    let mut text = HEAD.to_owned();
    for name in order {
        let section = match sections.iter().find(|(n, _)| n == name) {
            Some((_, section)) => Some(section.markdown().trim_end().to_owned()),
            None => kept(name),
        };
        if let Some(section) = section {
            let _ = write!(text, "\n{}{section}\n", marker(name));
        }
    }
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_renewed_alone() {
        let directory = std::env::temp_dir().join(format!("tapline-report-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("accuracy.md");
        let section = |title: &str, figure: &str| Section {
            title: title.to_owned(),
            rows: vec![Row::asked("x", figure, "1", false)],
            ..Section::default()
        };
        let order = ["a", "b"];
        write(&path, &order, &[("a", section("A", "1 m")), ("b", section("B", "2 m"))]).expect("written");
        let before = fs::read_to_string(&path).expect("there");
        write(&path, &order, &[("b", section("B", "3 m"))]).expect("written");
        let after = fs::read_to_string(&path).expect("there");
        assert_eq!(after, before.replace("2 m", "3 m"));
        assert!(after.contains("| x | 1 m | 1 | **no** |"), "{after}");
        let _ = fs::remove_dir_all(&directory);
    }
}
