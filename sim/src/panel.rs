//! The room as flat panels: what reflects rays and what they pass through.
//!
//! A panel is a rectangle across one axis. Rooms give floor, ceiling and walls (with the doors cut out, and walls that
//! two rooms share taken once), furniture gives the sides and top of its box.

use crate::{
    material::{Material, Materials, Polarisation},
    scene::Scene,
    vector::Vec3,
};

/// A flat rectangle across `axis`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    /// The axis it stands across: 0 x, 1 y, 2 z.
    pub(crate) axis: usize,
    /// Its place on that axis, metres.
    pub(crate) at_m: f64,
    /// Low corner; the component along `axis` is `at_m`.
    pub(crate) min: Vec3,
    /// High corner.
    pub(crate) max: Vec3,
    pub(crate) material: Material,
}

impl Panel {
    fn new(axis: usize, at_m: f64, min: Vec3, max: Vec3, material: Material) -> Self {
        Self {
            axis,
            at_m,
            min: min.with_axis(axis, at_m),
            max: max.with_axis(axis, at_m),
            material,
        }
    }

    /// The mirror image of a point.
    pub(crate) fn mirror(&self, p: Vec3) -> Vec3 {
        p.with_axis(self.axis, 2.0 * self.at_m - p.axis(self.axis))
    }

    /// Fraction of the way from `a` to `b` at which the line meets the panel's plane, strictly between the ends.
    pub(crate) fn crossing(&self, a: Vec3, b: Vec3) -> Option<f64> {
        let (from, to) = (a.axis(self.axis) - self.at_m, b.axis(self.axis) - self.at_m);
        if from * to >= 0.0 {
            return None;
        }
        Some(from / (from - to))
    }

    /// How far inside the rectangle a point of the plane is; negative outside, metres.
    pub(crate) fn inside_m(&self, p: Vec3) -> f64 {
        let mut inside = f64::INFINITY;
        for axis in 0..3 {
            if axis != self.axis {
                for gap in [p.axis(axis) - self.min.axis(axis), self.max.axis(axis) - p.axis(axis)] {
                    if gap < inside {
                        inside = gap;
                    }
                }
            }
        }
        inside
    }

    /// Cosine of the angle between a direction (unit vector) and the panel's normal.
    pub(crate) fn cos_incidence(&self, direction: Vec3) -> f64 {
        direction.axis(self.axis).abs()
    }

    pub(crate) fn polarisation(&self) -> Polarisation {
        if self.axis == 2 {
            Polarisation::Within
        } else {
            Polarisation::Across
        }
    }
}

/// All panels that stand at a time.
pub(crate) fn panels_at(scene: &Scene, t_s: f64) -> Vec<Panel> {
    let materials = Materials::new(scene);
    // Names were checked with the scene.
    let material = |name: &str| materials.find(name);
    let mut panels = Vec::new();
    for room in &scene.room {
        if let Some(floor) = material(&room.floor) {
            panels.push(Panel::new(2, room.min.z, room.min, room.max, floor));
        }
        if let Some(ceiling) = material(&room.ceiling) {
            panels.push(Panel::new(2, room.max.z, room.min, room.max, ceiling));
        }
        let Some(wall) = material(&room.wall) else { continue };
        for axis in [0, 1] {
            for at_m in [room.min.axis(axis), room.max.axis(axis)] {
                walls(scene, &mut panels, Panel::new(axis, at_m, room.min, room.max, wall));
            }
        }
    }
    for f in &scene.furniture {
        let until_s = f.until_s.unwrap_or(f64::INFINITY);
        let Some(material) = material(&f.material) else {
            continue;
        };
        if t_s < f.from_s || t_s >= until_s {
            continue;
        }
        for axis in [0, 1] {
            for at_m in [f.min.axis(axis), f.max.axis(axis)] {
                panels.push(Panel::new(axis, at_m, f.min, f.max, material));
            }
        }
        panels.push(Panel::new(2, f.max.z, f.min, f.max, material));
    }
    panels
}

/// Times at which furniture appears or goes, ascending, without 0.
pub(crate) fn changes_s(scene: &Scene) -> Vec<f64> {
    let mut times: Vec<f64> = scene
        .furniture
        .iter()
        .flat_map(|f| [Some(f.from_s), f.until_s])
        .flatten()
        .filter(|t| *t > 0.0)
        .collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    times
}

/// Adds the parts of a wall that neither a door nor a wall already there takes away.
fn walls(scene: &Scene, panels: &mut Vec<Panel>, whole: Panel) {
    let along = 1 - whole.axis;
    let same = |a: f64, b: f64| (a - b).abs() < 1e-6;
    let doors = scene
        .door
        .iter()
        .filter(|d| same(d.at[whole.axis], whole.at_m))
        .map(|d| {
            let half = d.width_m / 2.0;
            (d.at[along] - half, d.at[along] + half)
        });
    let built = panels
        .iter()
        .filter(|p| p.axis == whole.axis && same(p.at_m, whole.at_m) && p.max.z > whole.min.z && p.min.z < whole.max.z)
        .map(|p| (p.min.axis(along), p.max.axis(along)));
    let mut left = vec![(whole.min.axis(along), whole.max.axis(along))];
    for (low, high) in doors.chain(built).collect::<Vec<_>>() {
        left = left
            .into_iter()
            .flat_map(|(a, b)| [(a, if low < b { low } else { b }), (if high > a { high } else { a }, b)])
            .filter(|(a, b)| b - a > 1e-3)
            .collect();
    }
    for (low, high) in left {
        panels.push(Panel::new(
            whole.axis,
            whole.at_m,
            whole.min.with_axis(along, low),
            whole.max.with_axis(along, high),
            whole.material,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(extra: &str) -> Scene {
        let text = format!(
            "name='t'\ntitle='t'\nduration_s=10.0\n[radio]\ntier='HT20'\ncentre_mhz=2437.0\nrate_hz=20.0\n\
             [[node]]\nid=1\nat=[1,1,1]\n[[node]]\nid=2\nat=[2,1,1]\n\
             [[room]]\nid='a'\nmin=[0,0,0]\nmax=[4,3,2.5]\n{extra}"
        );
        Scene::from_toml(&text).unwrap()
    }

    #[test]
    fn a_room_is_six_panels_and_a_door_splits_a_wall() {
        assert_eq!(panels_at(&scene(""), 0.0).len(), 6);
        let with_door = panels_at(&scene("[[door]]\nid='d'\nroom='a'\nat=[4,1.5]\nwidth_m=1.0\n"), 0.0);
        assert_eq!(with_door.len(), 7);
        let at_door = Vec3::new(4.0, 1.4, 1.0);
        let covering = with_door
            .iter()
            .filter(|p| p.axis == 0 && p.at_m == 4.0 && p.inside_m(at_door) > 0.0);
        assert_eq!(covering.count(), 0);
    }

    #[test]
    fn a_wall_between_two_rooms_is_there_once() {
        let two = panels_at(&scene("[[room]]\nid='b'\nmin=[4,0,0]\nmax=[7,5,2.5]\n"), 0.0);
        let at = |y| Vec3::new(4.0, y, 1.0);
        let covering = |y: f64| {
            two.iter()
                .filter(|p| p.axis == 0 && p.at_m == 4.0 && p.inside_m(at(y)) > 0.0)
                .count()
        };
        assert_eq!((covering(1.0), covering(4.0)), (1, 1));
    }

    #[test]
    fn furniture_stands_only_in_its_time() {
        let s = scene("[[furniture]]\nid='f'\nmin=[1,2,0]\nmax=[2,2.5,2]\nmaterial='wood'\nfrom_s=2.0\nuntil_s=5.0\n");
        let counts: Vec<_> = [0.0, 2.0, 4.9, 5.0].iter().map(|t| panels_at(&s, *t).len()).collect();
        assert_eq!(counts, [6, 11, 11, 6]);
        assert_eq!(changes_s(&s), [2.0, 5.0]);
    }
}
