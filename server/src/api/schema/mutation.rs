//! Orders.

use async_graphql::{Context, Object, SimpleObject};

use super::{api, query::invalid, scalars::Long};
use crate::{
    api::{
        access::{Leaves::Anyway, Rule, Scope::*, rule},
        error::Failure,
    },
    live::Command,
};

/// Who may order, and what the answers give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Mutation", Operate, Anyway, "startCalibration stopCalibration"),
    rule("Accepted", Operate, Anyway, "order"),
];

/// Seconds of an empty-room calibration when neither the caller nor the configuration says.
const CALIBRATION_S: f64 = 30.0;

/// Orders about the calibration.
#[derive(Default)]
pub(crate) struct CoreMutation;

#[Object]
impl CoreMutation {
    /// Learns the empty room. Leave the room first: it is refused when somebody moves. `calibration.status`
    /// tells how far it is.
    async fn start_calibration(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How long, seconds, 1 to 3600; default: the configuration's `front.calibration_s`, else 30.")]
        seconds: Option<f64>,
    ) -> async_graphql::Result<Accepted> {
        let configured = api(ctx).hub.facts.site.pipeline.front.calibration_s.map(f64::from);
        let seconds = seconds.or(configured).unwrap_or(CALIBRATION_S);
        if !(1.0..=3_600.0).contains(&seconds) {
            return Err(invalid("seconds", seconds, "1 to 3600".to_owned()).into());
        }
        let milliseconds = (seconds * 1_000.0) as u64;
        send(ctx, Command::StartCalibration { milliseconds })
    }

    /// Gives up a running calibration; the one before stays in force.
    async fn stop_calibration(&self, ctx: &Context<'_>) -> async_graphql::Result<Accepted> {
        send(ctx, Command::StopCalibration)
    }
}

/// An order was handed to the cycle.
#[derive(SimpleObject)]
struct Accepted {
    /// Number of the order since the process started.
    order: Long,
}

fn send(ctx: &Context<'_>, command: Command) -> async_graphql::Result<Accepted> {
    let order = api(ctx).hub.command(command).ok_or(Failure::Busy {
        what: "places for orders that wait for the next cycle",
        limit: 16,
    })?;
    Ok(Accepted { order: order.into() })
}
