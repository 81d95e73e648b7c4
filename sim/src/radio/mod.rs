//! The radios: clocks, receivers, and the frames they send to the host.

pub(crate) mod clock;
pub(crate) mod frame;
pub(crate) mod receiver;
