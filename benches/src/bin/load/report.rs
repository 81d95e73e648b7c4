//! Numbers against their limits.

/// One number.
pub(crate) struct Row {
    name: &'static str,
    found: String,
    limit: Option<String>,
    met: bool,
}

/// One measurement.
pub(crate) struct Part {
    title: String,
    rows: Vec<Row>,
}

impl Part {
    pub(crate) fn new(title: String) -> Self {
        Self {
            title,
            rows: Vec::new(),
        }
    }

    /// A number that only says what the measurement was like.
    pub(crate) fn told(&mut self, name: &'static str, found: String) {
        self.rows.push(Row {
            name,
            found,
            limit: None,
            met: true,
        });
    }

    /// A number that must keep to a limit.
    pub(crate) fn held(&mut self, name: &'static str, found: String, limit: String, met: bool) {
        eprintln!("{}: {name}: {found} (limit {limit})", self.title);
        self.rows.push(Row {
            name,
            found,
            limit: Some(limit),
            met,
        });
    }
}

/// All measurements.
#[derive(Default)]
pub(crate) struct Report(Vec<Part>);

impl Report {
    pub(crate) fn add(&mut self, part: Part) {
        self.0.push(part);
    }

    /// True when every limit was kept.
    pub(crate) fn met(&self) -> bool {
        self.0.iter().flat_map(|p| &p.rows).all(|r| r.met)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for part in &self.0 {
            text += &format!(
                "## {}\n\n| what | measured | limit | kept |\n|---|---:|---:|---|\n",
                part.title
            );
            for row in &part.rows {
                let kept = match (&row.limit, row.met) {
                    (None, _) => "",
                    (_, true) => "yes",
                    (_, false) => "**no**",
                };
                let limit = row.limit.as_deref().unwrap_or("");
                text += &format!("| {} | {} | {limit} | {kept} |\n", row.name, row.found);
            }
            text += "\n";
        }
        text
    }
}

/// The value below which `share` of all lie; zero of nothing.
pub(crate) fn quantile(values: &mut [u32], share: f64) -> u32 {
    if values.is_empty() {
        return 0;
    }
    values.sort_unstable();
    let place = (values.len() as f64 * share).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}

/// Microseconds as milliseconds for people.
pub(crate) fn ms(us: u32) -> String {
    format!("{:.2} ms", f64::from(us) / 1e3)
}
