//! Datagrams waiting for their tick: one flat buffer, reused from tick to tick.

/// Source id of input whose sender is not a configured node.
pub const NO_SOURCE: u32 = u32::MAX;

/// Where one datagram lies in a [`Frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    source: u32,
    arrival_ns: u64,
    offset: usize,
    len: usize,
}

/// One datagram as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'f> {
    /// Receiving node, or [`NO_SOURCE`].
    pub source: u32,
    /// Arrival, monotonic nanoseconds since boot.
    pub arrival_ns: u64,
    /// The datagram.
    pub bytes: &'f [u8],
}

/// Datagrams in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Frames {
    /// Room for `frames` datagrams of some 600 bytes before the first allocation.
    pub fn with_capacity(frames: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(frames * 600),
            entries: Vec::with_capacity(frames),
        }
    }

    /// Appends one.
    pub fn push(&mut self, source: u32, arrival_ns: u64, bytes: &[u8]) {
        self.entries.push(Entry {
            source,
            arrival_ns,
            offset: self.bytes.len(),
            len: bytes.len(),
        });
        self.bytes.extend_from_slice(bytes);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// In the order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.entries.iter().map(|e| Frame {
            source: e.source,
            arrival_ns: e.arrival_ns,
            bytes: &self.bytes[e.offset..e.offset + e.len],
        })
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Moves what arrived at or before `end_ns` into `into`; the rest stays.
    pub fn take_until(&mut self, end_ns: u64, into: &mut Self) {
        // Arrival order is time order but for the clock's resolution: the first later one ends the slot.
        let count = self
            .entries
            .iter()
            .position(|e| e.arrival_ns > end_ns)
            .unwrap_or(self.entries.len());
        for e in &self.entries[..count] {
            into.push(e.source, e.arrival_ns, &self.bytes[e.offset..e.offset + e.len]);
        }
        let cut = self.entries.get(count).map_or(self.bytes.len(), |e| e.offset);
        self.bytes.drain(..cut);
        self.entries.drain(..count);
        for e in &mut self.entries {
            e.offset -= cut;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_falls_into_exactly_one_slot() {
        let mut queue = Frames::default();
        for (i, at) in [10, 20, 50, 51, 99, 100, 101].into_iter().enumerate() {
            queue.push(i as u32, at, &[i as u8; 3][..i % 4]);
        }
        let mut slots = Vec::new();
        for end in [50, 100, 150] {
            let mut slot = Frames::default();
            queue.take_until(end, &mut slot);
            slots.push(slot.iter().map(|f| (f.source, f.bytes.to_vec())).collect::<Vec<_>>());
        }
        let sources: Vec<Vec<u32>> = slots.iter().map(|s| s.iter().map(|f| f.0).collect()).collect();
        assert_eq!(sources, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert!(
            slots
                .iter()
                .flatten()
                .all(|(s, b)| *b == vec![*s as u8; *s as usize % 4])
        );
        assert!(queue.is_empty() && queue.bytes.is_empty());
    }
}
