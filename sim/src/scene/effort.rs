//! What tracing the static paths of a scene costs, bounded before it begins.
//!
//! Each pair of nodes tries every panel, and with two reflections every ordered pair of panels.

use super::{
    Scene,
    check::{Checked, invalid},
};
use crate::panel::{changes_s, panels_at};

/// Most ways to try, over all pairs of nodes. The built-in scenes try up to 5 thousand; a million takes seconds.
const WAYS_MAX: usize = 1_000_000;

/// Refuses a scene of which tracing, now or after furniture has moved, would take too long.
pub(super) fn check(scene: &Scene) -> Checked {
    let pairs = scene.node.len() * (scene.node.len() - 1) / 2;
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
            "panels^{order} x pairs of nodes of at most {WAYS_MAX} (fewer rooms, doors, furniture or nodes, or a lower \
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
}
