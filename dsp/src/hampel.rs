//! Causal Hampel filter: a value far from the median of its neighbours in time becomes that median.
//!
//! Hampel 1974; `|x - median| > 5 * 1.4826 MAD + floor` over the last seven values including the new one (five
//! instead of the usual three: the new value stands at the end, not in the middle, and a smooth fluctuation of four
//! hertz at fifty frames a second reaches 3.4 there). It takes out single frames spoiled by interference or a
//! gain step caught half-way; real motion widens the MAD and passes. Cost: two insertion sorts of seven a value.

use borsh::{BorshDeserialize, BorshSerialize};

/// Values the median is taken over.
pub const LENGTH: usize = 7;
const THRESHOLD: f32 = 5.0 * 1.4826;

/// The filter's memory for a number of channels filtered alike.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Hampel {
    floor: f32,
    filled: u32,
    next: u32,
    history: Vec<f32>,
}

impl Hampel {
    /// A filter for `channels` values a frame; steps below `floor` are never outliers.
    pub fn new(channels: usize, floor: f32) -> Self {
        Self {
            floor,
            filled: 0,
            next: 0,
            history: vec![0.0; channels * LENGTH],
        }
    }

    /// Forgets the past.
    pub fn clear(&mut self) {
        (self.filled, self.next) = (0, 0);
    }

    /// True when the memory has the right size and finite content.
    pub fn fits(&self, channels: usize) -> bool {
        self.history.len() == channels * LENGTH
            && self.filled as usize <= LENGTH
            && (self.next as usize) < LENGTH
            && self.floor.is_finite()
            && self.history.iter().all(|v| v.is_finite())
    }

    /// Filters one frame in place. A masked value repeats the channel's last one in the memory.
    /// Nothing is changed until the memory is full.
    pub fn filter(&mut self, values: &mut [f32], mask: &[u8]) {
        let at = self.next as usize;
        let last = (at + LENGTH - 1) % LENGTH;
        self.next = ((at + 1) % LENGTH) as u32;
        self.filled = (self.filled + 1).min(LENGTH as u32);
        let full = self.filled as usize == LENGTH;
        for ((value, &m), history) in values.iter_mut().zip(mask).zip(self.history.chunks_exact_mut(LENGTH)) {
            history[at] = if m != 0 || self.filled == 1 {
                *value
            } else {
                history[last]
            };
            if !full || m == 0 {
                continue;
            }
            let mut sorted = [0.0; LENGTH];
            sorted.copy_from_slice(history);
            let median = middle(&mut sorted);
            let deviation = (*value - median).abs();
            if deviation > self.floor {
                sorted.iter_mut().for_each(|v| *v = (*v - median).abs());
                if deviation > THRESHOLD * middle(&mut sorted) + self.floor {
                    *value = median;
                }
            }
        }
    }
}

/// The middle value; sorts its argument.
fn middle(values: &mut [f32; LENGTH]) -> f32 {
    for i in 1..LENGTH {
        let mut j = i;
        while j > 0 && values[j - 1] > values[j] {
            values.swap(j - 1, j);
            j -= 1;
        }
    }
    values[LENGTH / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &[f32]) -> Vec<f32> {
        let mut hampel = Hampel::new(1, 0.01);
        input
            .iter()
            .map(|&v| {
                let mut value = [v];
                hampel.filter(&mut value, &[1]);
                value[0]
            })
            .collect()
    }

    #[test]
    fn one_spike_goes_and_a_step_stays() {
        let mut input = vec![1.0; 20];
        input[12] = 5.0;
        assert_eq!(run(&input), vec![1.0; 20]);
        // A lasting step is believed once it fills the middle of the memory.
        let step: Vec<f32> = (0..20).map(|i| if i < 10 { 1.0 } else { 2.0 }).collect();
        assert_eq!(run(&step)[13..], [2.0; 7]);
    }

    #[test]
    fn a_moving_channel_passes() {
        let input: Vec<f32> = (0..60).map(|i| crate::detmath::sin(i as f32 * 0.5)).collect();
        assert_eq!(run(&input), input);
    }

    #[test]
    fn a_masked_value_is_not_remembered() {
        let mut hampel = Hampel::new(1, 0.01);
        for i in 0..20 {
            let mut value = [if i % 5 == 4 { 99.0 } else { 1.0 }];
            hampel.filter(&mut value, &[u8::from(i % 5 != 4)]);
            assert!(i % 5 == 4 || value[0] == 1.0);
        }
    }
}
