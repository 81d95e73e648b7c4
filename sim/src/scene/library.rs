//! The scenes that come with the program.

use super::Scene;
use crate::error::SceneError;

macro_rules! scenes {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../../scenes/", $name, ".toml")))),*] };
}

/// Name and text of each built-in scene.
pub(super) const SCENES: &[(&str, &str)] = scenes! {
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

pub(super) fn builtin(name: &str) -> Result<Scene, SceneError> {
    match SCENES.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Scene::from_toml(text),
        None => Err(SceneError::Unknown {
            name: name.to_owned(),
            known: SCENES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_scene_is_valid_and_carries_its_file_name() {
        for (name, _) in SCENES {
            let scene = builtin(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(scene.name, *name);
        }
    }

    #[test]
    fn an_unknown_scene_is_answered_with_the_known_ones() {
        let message = builtin("nowhere").unwrap_err().to_string();
        assert!(message.contains("`nowhere`") && message.contains("demo"), "{message}");
    }
}
