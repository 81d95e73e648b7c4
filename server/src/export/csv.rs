//! Comma-separated values as RFC 4180 has them, but with line feeds: a head with the names, then a line a row.

use std::io::Write;

use jiff::Timestamp;

use super::{Cell, ExportError, Sink, What};

/// Writes a table as text. Nothing known is nothing between two commas; numbers have the fewest digits that read back
/// to the same bits.
#[derive(Debug)]
pub struct Csv<W> {
    out: W,
    line: String,
}

impl<W: Write> Csv<W> {
    /// Begins with the line of names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut out: W, what: What) -> Result<Self, ExportError> {
        let names: Vec<&str> = what.columns().iter().map(|c| c.name).collect();
        writeln!(out, "{}", names.join(","))?;
        Ok(Self {
            out,
            line: String::new(),
        })
    }

    /// Hands everything on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W, ExportError> {
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Sink for Csv<W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        self.line.clear();
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.line.push(',');
            }
            put(&mut self.line, cell);
        }
        self.line.push('\n');
        Ok(self.out.write_all(self.line.as_bytes())?)
    }
}

fn put(line: &mut String, cell: &Cell<'_>) {
    match cell {
        Cell::None => {}
        Cell::Time(t_ms) => {
            if let Ok(at) = Timestamp::from_millisecond(*t_ms) {
                *line += &at.to_string();
            }
        }
        Cell::Integer(n) => *line += &n.to_string(),
        Cell::Real(x) => *line += &x.to_string(),
        Cell::Text(text) if text.contains([',', '"', '\n', '\r']) => {
            *line += "\"";
            *line += &text.replace('"', "\"\"");
            *line += "\"";
        }
        Cell::Text(text) => *line += text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut csv = Csv::new(Vec::new(), What::Events).unwrap();
        let text = |s: &'static str| Cell::Text(s.into());
        csv.row(&[
            Cell::Time(1_795_454_525_250),
            Cell::Integer(u64::MAX),
            text("a,\"b\"\n"),
            text("empty"),
        ])
        .unwrap();
        csv.row(&[Cell::Time(-1_000), Cell::Real(0.1), Cell::None, text("room:a")])
            .unwrap();
        let written = String::from_utf8(csv.finish().unwrap()).unwrap();
        assert_eq!(
            written,
            "t,cycle,area,occupancy\n\
             2026-11-23T17:22:05.25Z,18446744073709551615,\"a,\"\"b\"\"\n\",empty\n\
             1969-12-31T23:59:59Z,0.1,,room:a\n"
        );
    }
}
