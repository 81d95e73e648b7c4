//! What can be wrong with a scene.

/// Why a scene was refused.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// Not TOML, an unknown key, or a value of the wrong type; the message names line and key.
    #[error("the scene is not readable: {0}")]
    Toml(#[from] toml::de::Error),
    /// The text is larger than any scene needs to be.
    #[error("the scene has {found} bytes, expected at most {limit}; split it")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A value breaks a rule.
    #[error("scene `{key}`: expected {expected}, found {found}")]
    Invalid {
        /// Where, as in the TOML: `person[0].do[2].walk`.
        key: String,
        /// What is allowed.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// No built-in scene has this name.
    #[error("no built-in scene is called `{name}`; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// Those there are, comma separated.
        known: String,
    },
}
