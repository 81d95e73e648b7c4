//! The smallest complete plugin.
