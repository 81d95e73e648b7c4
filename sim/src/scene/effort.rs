//! What tracing the static paths of a scene costs, bounded before it begins.
//!
//! Each pair of antennas that hear each other tries every panel, and with two reflections every ordered pair of panels.

use super::{
    Scene,
    check::{Checked, invalid},
};
use crate::panel::{changes_s, panels_at};

/// Most ways to try, over all pairs of antennas. The built-in scenes try up to 5 thousand; a million takes seconds.
const WAYS_MAX: usize = 1_000_000;
/// Most pairs of antennas, of which each keeps the tones of its paths (1.6 MB at most): twice those of the most nodes
/// without arrays.
const PAIRS_MAX: usize = 240;

/// Refuses a scene of which tracing, now or after furniture has moved, would take too long.
pub(super) fn check(scene: &Scene) -> Checked {
    // Of two nodes the first antenna of each is heard by all of the other.
    let pairs: usize = (1..scene.node.len())
        .flat_map(|b| (0..b).map(move |a| (a, b)))
        .map(|(a, b)| scene.node[a].antennas() + scene.node[b].antennas() - 1)
        .sum();
    if pairs > PAIRS_MAX {
        return invalid(
            "node",
            &format!("at most {PAIRS_MAX} pairs of antennas that hear each other (fewer nodes or fewer `antennas_m`)"),
            pairs,
        );
    }
    let panels = core::iter::once(0.0)
        .chain(changes_s(scene))
        .map(|t_s| panels_at(scene, t_s).len())
        .max()
        .unwrap_or(0);
    let order = u32::from(scene.radio.reflections);
    let ways = panels.saturating_pow(order).saturating_mul(pairs);
    if ways <= WAYS_MAX {
        return Ok(());
    }
    invalid(
        "room",
        &format!(
            "panels^{order} x pairs of antennas of at most {WAYS_MAX} (fewer rooms, doors, furniture or nodes, or a lower \
             `radio.reflections`)"
        ),
        format!("{panels} panels and {pairs} pairs: {ways}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixteen nodes in a room with so many boxes, of which `late` come after ten seconds.
    fn crowded(boxes: usize, late: usize, reflections: u8) -> Scene {
        let mut scene = Scene::builtin("empty-room").unwrap();
        scene.radio.reflections = reflections;
        let (node, mut furniture) = (scene.node[0].clone(), scene.furniture[0].clone());
        scene.node = (0..16_u16)
            .map(|i| {
                let mut node = node.clone();
                node.id = i + 1;
                node.at.x = 0.4 + 0.31 * f64::from(i);
                node
            })
            .collect();
        scene.furniture = (0..boxes)
            .map(|i| {
                furniture.id = format!("box-{i}");
                furniture.from_s = if i < late { 10.0 } else { 0.0 };
                furniture.clone()
            })
            .collect();
        scene
    }

    #[test]
    fn a_scene_that_would_take_too_long_to_trace_is_refused() {
        // 7 panels of the room (a door parts one wall), 5 of each box; 120 pairs.
        assert!(crowded(16, 0, 2).check().is_ok());
        let message = crowded(17, 0, 2).check().unwrap_err().to_string();
        assert!(message.contains("92 panels and 120 pairs: 1015680"), "{message}");
        assert!(crowded(32, 16, 2).check().is_err(), "furniture that comes later counts");
        assert!(crowded(32, 0, 1).check().is_ok(), "one reflection is cheap");
    }

    #[test]
    fn arrays_count_as_the_pairs_of_their_antennas() {
        let with_arrays = |nodes: usize, antennas_m: Vec<[f64; 2]>| {
            let mut scene = crowded(1, 0, 2);
            scene.node.truncate(nodes);
            for (i, node) in scene.node.iter_mut().enumerate() {
                node.at.x = 0.4 + 0.6 * i as f64;
                node.antennas_m.clone_from(&antennas_m);
            }
            scene.check()
        };
        let line = vec![[0.0, 0.0], [0.0, 0.06], [0.0, 0.12], [0.0, 0.18]];
        assert!(with_arrays(8, line.clone()).is_ok());
        let message = with_arrays(9, line).unwrap_err().to_string();
        assert!(
            message.contains("at most 240 pairs of antennas") && message.contains("found 252"),
            "{message}"
        );
    }
}
