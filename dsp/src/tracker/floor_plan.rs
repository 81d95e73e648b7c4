//! Where somebody can walk: inside the outline, and through its doors.

use super::sequence::Sequence;
use crate::{detmath, tracker::Entrance};

/// Most cells on a side.
const CELLS: usize = 128;
/// Smallest cell, metres.
const CELL_M: f32 = 0.1;
/// How far beyond the outline the plan reaches, metres.
const MARGIN_M: f32 = 1.0;
/// How far beside a door's width, and beyond it, somebody still goes through it, metres.
const DOOR_REACH_M: f32 = 0.4;

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the room.
    Inside,
    /// Outside, in front of a door.
    Doorway,
    /// Outside.
    Outside,
}

/// The plan, in cells.
#[derive(Clone, Debug, Default)]
pub(super) struct FloorPlan {
    low_m: [f32; 2],
    high_m: [f32; 2],
    cell_m: f32,
    size: [usize; 2],
    places: Vec<Place>,
    outline: Vec<[f32; 2]>,
    doors: Vec<Entrance>,
}

impl FloorPlan {
    /// Sets outline and doors; false when both are as before.
    pub(super) fn set(
        &mut self,
        outline: impl ExactSizeIterator<Item = [f32; 2]> + Clone,
        doors: impl ExactSizeIterator<Item = Entrance> + Clone,
    ) -> bool {
        let same = self.outline.len() == outline.len()
            && self.outline.iter().copied().eq(outline.clone())
            && self.doors.len() == doors.len()
            && self.doors.iter().copied().eq(doors.clone());
        if same && !self.places.is_empty() {
            return false;
        }
        self.outline = outline.filter(|p| p.iter().all(|v| v.is_finite())).collect();
        self.doors = doors.collect();
        let around =
            |of: fn(f32, f32) -> f32, start: f32, axis: usize| self.outline.iter().map(|p| p[axis]).fold(start, of);
        self.low_m = [0, 1].map(|axis| around(detmath::min, f32::MAX, axis));
        self.high_m = [0, 1].map(|axis| around(detmath::max, f32::MIN, axis));
        if self.outline.len() < 3 {
            (self.low_m, self.high_m) = ([0.0; 2], [0.0; 2]);
        }
        let extent = [0, 1].map(|axis| self.high_m[axis] - self.low_m[axis] + 2.0 * MARGIN_M);
        self.cell_m = detmath::max(CELL_M, detmath::max(extent[0], extent[1]) / CELLS as f32);
        self.size = extent.map(|m| ((m / self.cell_m) as usize + 1).min(CELLS + 1));
        self.places.clear();
        for iy in 0..self.size[1] {
            for ix in 0..self.size[0] {
                let at = [
                    self.low_m[0] - MARGIN_M + (ix as f32 + 0.5) * self.cell_m,
                    self.low_m[1] - MARGIN_M + (iy as f32 + 0.5) * self.cell_m,
                ];
                self.places.push(self.judge(at));
            }
        }
        true
    }

    /// Whether there is a room to be in.
    pub(super) fn known(&self) -> bool {
        self.outline.len() >= 3
    }

    fn judge(&self, at: [f32; 2]) -> Place {
        if inside(&self.outline, at) {
            return Place::Inside;
        }
        let in_front = |door: &Entrance| {
            detmath::hypot(at[0] - door.at_m[0], at[1] - door.at_m[1]) <= 0.5 * door.width_m + DOOR_REACH_M
        };
        if self.doors.iter().any(in_front) {
            Place::Doorway
        } else {
            Place::Outside
        }
    }

    /// What the place at these coordinates is.
    pub(super) fn at(&self, x: f32, y: f32) -> Place {
        let cell = |v: f32, axis: usize| {
            let cell = (v - self.low_m[axis] + MARGIN_M) / self.cell_m;
            (cell >= 0.0 && cell < self.size[axis] as f32).then_some(cell as usize)
        };
        match (cell(x, 0), cell(y, 1)) {
            (Some(ix), Some(iy)) => self.places[iy * self.size[0] + ix],
            _ => Place::Outside,
        }
    }

    /// A place where somebody new can be: at a door, or by `anywhere` (a share) in the room.
    pub(super) fn newcomer(&self, anywhere: f32, sequence: &mut Sequence) -> [f32; 2] {
        if !self.doors.is_empty() && sequence.even() >= anywhere {
            let at = (sequence.even() * self.doors.len() as f32) as usize;
            let door = &self.doors[at.min(self.doors.len() - 1)];
            let spread = door.spread_m();
            return door.at_m.map(|m| m + spread * sequence.normal());
        }
        let mut at = [0.0; 2];
        // A room fills at least a small part of its bounds.
        for _ in 0..8 {
            at = [0, 1].map(|axis| self.low_m[axis] + sequence.even() * (self.high_m[axis] - self.low_m[axis]));
            if self.at(at[0], at[1]) == Place::Inside {
                break;
            }
        }
        at
    }
}

/// Even-odd rule.
fn inside(outline: &[[f32; 2]], at: [f32; 2]) -> bool {
    let mut within = false;
    for (i, a) in outline.iter().enumerate() {
        let b = &outline[(i + 1) % outline.len()];
        if (a[1] > at[1]) != (b[1] > at[1]) && at[0] < (b[0] - a[0]) * (at[1] - a[1]) / (b[1] - a[1]) + a[0] {
            within = !within;
        }
    }
    within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_with_a_corner_cut_out() {
        let corners = [[0.0, 0.0], [6.0, 0.0], [6.0, 2.0], [3.0, 2.0], [3.0, 5.0], [0.0, 5.0]];
        let door = Entrance {
            at_m: [6.0, 1.0],
            width_m: 0.8,
        };
        let mut plan = FloorPlan::default();
        assert!(plan.set(corners.into_iter(), [door].into_iter()));
        assert!(!plan.set(corners.into_iter(), [door].into_iter()));
        assert_eq!(plan.at(1.0, 4.0), Place::Inside);
        assert_eq!(plan.at(5.0, 4.0), Place::Outside);
        assert_eq!(plan.at(6.4, 1.1), Place::Doorway);
        assert_eq!(plan.at(6.4, 4.0), Place::Outside);
        assert_eq!(plan.at(1e9, f32::NAN), Place::Outside);
        let mut sequence = Sequence::new(1);
        let near = (0..200).filter(|_| plan.newcomer(0.0, &mut sequence)[0] > 4.0).count();
        assert!(near > 180, "{near}");
    }
}
