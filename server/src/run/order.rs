//! Orders that change what a cycle computes. Each is an AUDIT leaf whose action is the order, word for word, in
//! front of the first cycle it holds for: a replay of the log obeys it there.

use std::fmt;

/// An order to the cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Learn the empty room until this monotonic time.
    StartCalibration {
        /// Nanoseconds since boot.
        end_ns: u64,
    },
    /// Give up a calibration.
    StopCalibration,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartCalibration { end_ns } => write!(f, "calibration.start {end_ns}"),
            Self::StopCalibration => f.write_str("calibration.stop"),
        }
    }
}

impl Order {
    /// The order that an AUDIT leaf records; none when it records something that no cycle depends on.
    pub fn from_action(action: &str) -> Option<Self> {
        let order = match action.split_once(' ') {
            None if action == "calibration.stop" => Self::StopCalibration,
            Some(("calibration.start", end_ns)) => Self::StartCalibration {
                end_ns: end_ns.parse().ok()?,
            },
            _ => return None,
        };
        (order.to_string() == action).then_some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn an_order_has_one_spelling() {
        for order in [Order::StopCalibration, Order::StartCalibration { end_ns: u64::MAX }] {
            assert_eq!(Order::from_action(&order.to_string()), Some(order));
        }
        for other in [
            "calibration.start",
            "calibration.start +5",
            "calibration.start 05",
            "bundle.inputs 1 2",
            "",
        ] {
            assert_eq!(Order::from_action(other), None, "{other}");
        }
    }
}
