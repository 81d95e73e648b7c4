//! The recording: datagrams as JSON lines in the order of their arrival.

use std::{fmt::Write as _, io::Write};

/// Datagrams on their way into a file.
pub(super) struct Recording<W> {
    out: W,
    /// Arrival, receiving node, bytes; in the order in which they were sent.
    waiting: Vec<(f64, u16, Vec<u8>)>,
}

impl<W: Write> Recording<W> {
    /// Into this.
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            waiting: Vec::new(),
        }
    }

    /// Adds a datagram that a node hands on.
    pub(super) fn add(&mut self, arrival_s: f64, node: u16, datagram: Vec<u8>) {
        self.waiting.push((arrival_s, node, datagram));
    }

    /// Writes what has arrived before a time.
    pub(super) fn write_until(&mut self, time_s: f64) -> Result<(), String> {
        self.waiting.sort_by(|a, b| a.0.total_cmp(&b.0));
        let arrived = self.waiting.partition_point(|line| line.0 < time_s);
        for (arrival_s, node, datagram) in self.waiting.drain(..arrived) {
            let mut hex = String::with_capacity(2 * datagram.len());
            for byte in datagram {
                let _ = write!(hex, "{byte:02x}");
            }
            writeln!(
                self.out,
                "{{\"hex\":\"{hex}\",\"node_id\":{node},\"simulated\":true,\"timestamp\":{arrival_s:.9},\"type\":\"datagram\"}}"
            )
            .map_err(|e| e.to_string())?;
        }
        self.out.flush().map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overtakes_is_written_first() {
        let mut recording = Recording::new(Vec::new());
        recording.add(0.02, 1, vec![0xab, 0x01]);
        recording.add(0.01, 2, vec![0x0f]);
        recording.write_until(0.015).expect("written to memory");
        recording.write_until(f64::INFINITY).expect("written to memory");
        let text = String::from_utf8(recording.out).expect("text");
        assert_eq!(
            text,
            "{\"hex\":\"0f\",\"node_id\":2,\"simulated\":true,\"timestamp\":0.010000000,\"type\":\"datagram\"}\n\
             {\"hex\":\"ab01\",\"node_id\":1,\"simulated\":true,\"timestamp\":0.020000000,\"type\":\"datagram\"}\n"
        );
    }
}
