//! Lines of bounded length.

use std::io::{self, BufRead};

/// Longest line, bytes: twice a UDP datagram in hexadecimal, and room for its keys.
pub(crate) const MAX_LINE: usize = 256 * 1024;

/// What stands on the next line.
pub(crate) enum Line {
    /// `Lines::text` holds it, without its end.
    Text,
    /// It was longer than [`MAX_LINE`] and was skipped.
    TooLong,
    /// The file is over.
    End,
}

/// Reads lines into one buffer that never grows past [`MAX_LINE`].
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
        }
    }

    /// The line just read, without white space around it.
    pub(crate) fn text(&self) -> &[u8] {
        self.buffer.trim_ascii()
    }

    pub(crate) fn advance(&mut self) -> io::Result<Line> {
        self.buffer.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let available = match self.input.fill_buf() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if available.is_empty() {
                break;
            }
            any = true;
            let newline = available.iter().position(|&byte| byte == b'\n');
            let content = &available[..newline.unwrap_or(available.len())];
            if self.buffer.len() + content.len() > MAX_LINE {
                too_long = true;
                self.buffer.clear();
            }
            if !too_long {
                self.buffer.extend_from_slice(content);
            }
            let used = newline.map_or(available.len(), |at| at + 1);
            self.input.consume(used);
            if newline.is_some() {
                break;
            }
        }
        Ok(match (any, too_long) {
            (false, _) => Line::End,
            (true, true) => Line::TooLong,
            (true, false) => Line::Text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_skipped_whole_and_the_next_one_is_read() {
        let long = "x".repeat(MAX_LINE + 1);
        let exact = "y".repeat(MAX_LINE);
        let text = format!("a\r\n{long}\n{exact}\n\nlast");
        let mut lines = Lines::new(io::BufReader::with_capacity(7, text.as_bytes()));
        let mut seen = Vec::new();
        loop {
            match lines.advance().unwrap() {
                Line::Text => seen.push(lines.text().len()),
                Line::TooLong => seen.push(usize::MAX),
                Line::End => break,
            }
        }
        assert_eq!(seen, [1, usize::MAX, MAX_LINE, 0, 4]);
    }
}
