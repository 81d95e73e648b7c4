//! The scenes that come with the program.

use super::Scene;
use crate::error::SceneError;

macro_rules! scenes {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../../scenes/", $name, ".toml")))),*] };
}

/// Name and text of each built-in scene that has a file.
const SCENES: &[(&str, &str)] = scenes! {
    "demo"
    "empty-room"
    "one-walker"
    "two-crossing"
    "sitting-still"
    "door"
    "four-nodes-ht20"
    "four-nodes-ht40"
    "six-nodes-he40"
    "bad-clocks"
    "drifting-temperature"
    "moved-furniture"
    "two-nodes-adr018"
};

/// What the name of a scene with arrays ends in.
pub(super) const ARRAYS_SUFFIX: &str = "-arrays";
/// Antennas of a node in a built-in scene with arrays.
const ARRAY_ANTENNAS: usize = 4;
/// The scenes with arrays that are listed; every other one can be had by its name as well.
const LISTED_ARRAYS: [&str; 1] = ["two-crossing-arrays"];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SCENES.iter().map(|(name, _)| *name).chain(LISTED_ARRAYS)
}

pub(super) fn builtin(name: &str) -> Result<Scene, SceneError> {
    let text_of = |name| SCENES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    if let Some(text) = text_of(name) {
        return Scene::from_toml(text);
    }
    if let Some(text) = name.strip_suffix(ARRAYS_SUFFIX).and_then(text_of) {
        return Scene::from_toml(text)?.with_arrays(ARRAY_ANTENNAS);
    }
    Err(SceneError::Unknown {
        name: name.to_owned(),
        known: names().collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_scene_is_valid_and_carries_its_file_name() {
        for name in names() {
            let scene = builtin(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(scene.name, name);
        }
    }

    #[test]
    fn every_builtin_scene_has_a_twin_with_arrays_unless_its_frames_cannot_carry_them() {
        for (name, _) in SCENES {
            match builtin(&format!("{name}{ARRAYS_SUFFIX}")) {
                Ok(scene) => assert!(scene.node.iter().all(|n| n.antennas() == ARRAY_ANTENNAS), "{name}"),
                Err(e) => assert!(e.to_string().contains("with format `adr018`"), "{name}: {e}"),
            }
        }
    }

    #[test]
    fn arrays_stand_across_the_way_to_the_middle_half_a_wavelength_apart() {
        let (plain, scene) = (
            builtin("two-crossing").unwrap(),
            builtin("two-crossing-arrays").unwrap(),
        );
        assert_eq!(scene.title, "Two people cross each other, seen by arrays of antennas");
        for (node, plain) in scene.node.iter().zip(&plain.node) {
            let ahead = [3.0 - node.at.x, 2.5 - node.at.y];
            for pair in node.antennas_m.windows(2) {
                let [x, y] = [pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]];
                assert!((x * x + y * y - 0.0615 * 0.0615).abs() < 1e-5, "{x} {y}");
                assert!((x * ahead[0] + y * ahead[1]).abs() < 1e-12, "{x} {y}");
            }
            let middle = node.antennas_m.iter().fold([0.0; 2], |[x, y], m| [x + m[0], y + m[1]]);
            assert!(middle.iter().all(|m| m.abs() < 1e-12), "{middle:?}");
            let mut without = node.clone();
            without.antennas_m.clear();
            assert_eq!(&without, plain);
        }
    }

    #[test]
    fn an_unknown_scene_is_answered_with_the_known_ones() {
        let message = builtin("nowhere").unwrap_err().to_string();
        assert!(message.contains("`nowhere`") && message.contains("demo"), "{message}");
    }
}
