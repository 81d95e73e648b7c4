//! People: where they are (script), how they hold themselves (gait), what a radio wave meets (body).

pub mod body;
pub(crate) mod gait;
pub(crate) mod route;
pub(crate) mod script;
