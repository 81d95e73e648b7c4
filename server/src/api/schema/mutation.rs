//! Orders.

use async_graphql::{Context, Object, SimpleObject};
use tapline_witness::body::AuditResult;

use super::{
    api,
    query::invalid,
    scalars::{Long, Timestamp},
};
use crate::{
    api::{
        Api,
        access::{Leaves::Anyway, Rule, Scope::*, rule},
        auth::{Identity, TICKET},
        error::Failure,
    },
    live::Command,
};

/// Who may order, and what the answers give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Mutation", Operate, Anyway, "startCalibration stopCalibration"),
    rule("Mutation", Read, Anyway, "createDownloadTicket"),
    rule("Mutation", Admin, Anyway, "forget"),
    rule("DownloadTicket", Read, Anyway, "url seconds"),
    rule("Accepted", Operate, Anyway, "order"),
];

/// Seconds of an empty-room calibration when neither the caller nor the configuration says.
const CALIBRATION_S: f64 = 30.0;

const TOO_MANY: Failure = Failure::Busy {
    what: "places for orders that wait for the next cycle",
    limit: 16,
};

/// Orders about the calibration, and to forget.
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
        send(ctx, "calibration.start", Command::StartCalibration { milliseconds })
    }

    /// A ticket for one download where a header cannot be sent, as behind a link. It is good for this path, once, for a
    /// minute, with the scopes of the caller.
    async fn create_download_ticket(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Path of the download, for example `/schema.graphql`.")] path: String,
    ) -> async_graphql::Result<DownloadTicket> {
        let fits = path.len() <= 1_024 && path.starts_with('/') && !path.contains(['?', '#', ' ']);
        let served = crate::api::ROUTES.iter().copied().flatten().any(|rule| {
            // A path with parameters is held against the text before the first of them.
            let stem = rule.path.split('{').next().unwrap_or_default();
            let same = path == rule.path || stem.len() < rule.path.len() && path.starts_with(stem);
            rule.method == "GET" && same
        });
        if !fits || !served {
            let expected = "a path that GET is answered on, without a query".to_owned();
            return Err(invalid("path", path, expected).into());
        }
        let who = ctx.data_unchecked::<Identity>().clone();
        let ticket = api(ctx).doors.ticket(path.clone(), who)?;
        Ok(DownloadTicket {
            url: format!("{path}?ticket={ticket}"),
            seconds: TICKET.as_secs().into(),
        })
    }

    /// Erases raw input, outcomes and the secrets behind their commitments of the cycles from one point in time to another,
    /// widened to whole tiles of 256 leaves. With them go rollups of people by the second and minute, of heat and flows by the
    /// second; longer ones and occupancy stay. The log says so in a leaf, and its proofs stay; recordings and backups are not touched. What is erased is gone within seconds, a long range later.
    async fn forget(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "First point in time.")] from: Timestamp,
        #[graphql(desc = "The point in time after the last.")] to: Timestamp,
    ) -> async_graphql::Result<Accepted> {
        let (from_ns, to_ns) = (from.wall_ns, to.wall_ns);
        let orders = api(ctx).read_log(move |log| Ok(log.to_forget(from_ns, to_ns)?)).await?;
        let operator = ctx.data_unchecked::<Identity>().operator();
        // All of them are one order to the cycle. The writer of the log obeys the leaves itself.
        let command = orders.iter().rev().fold(None, |then, order| {
            Some(Command::Audited {
                operator,
                action: order.to_string(),
                target: [0; 32],
                result: AuditResult::Done,
                command: then.map(Box::new),
            })
        });
        let Some(command) = command else {
            let expected = "a range in which a cycle is kept".to_owned();
            return Err(invalid("from, to", format!("{from_ns} to {to_ns} ns"), expected).into());
        };
        let order = api(ctx).hub.command(command).ok_or(TOO_MANY)?;
        Ok(Accepted { order: order.into() })
    }

    /// Gives up a running calibration; the one before stays in force.
    async fn stop_calibration(&self, ctx: &Context<'_>) -> async_graphql::Result<Accepted> {
        send(ctx, "calibration.stop", Command::StopCalibration)
    }
}

/// A way to download one thing without a header.
#[derive(SimpleObject)]
struct DownloadTicket {
    /// Path with the ticket, to be put behind the server's address.
    url: String,
    /// Seconds it is good for.
    seconds: Long,
}

/// An order was handed to the cycle.
#[derive(SimpleObject)]
pub(super) struct Accepted {
    /// Number of the order since the process started.
    order: Long,
}

impl Accepted {
    /// Number of the order.
    pub(super) const fn number(&self) -> Long {
        self.order
    }

    /// An order that was done at once; its leaf follows with the next cycle.
    pub(super) fn now(api: &Api, operator: [u8; 32], action: &str, result: AuditResult) -> Self {
        let order = api.hub.audit(operator, action, result);
        Self { order: order.into() }
    }
}

/// Hands an order to the cycle, behind a leaf that says who gave it.
pub(super) fn send(ctx: &Context<'_>, action: &str, command: Command) -> async_graphql::Result<Accepted> {
    let operator = ctx.data_unchecked::<Identity>().operator();
    Ok(send_for(api(ctx), operator, action, command)?)
}

/// The same for an operator who is known.
pub(super) fn send_for(api: &Api, operator: [u8; 32], action: &str, command: Command) -> Result<Accepted, Failure> {
    let order = Command::Audited {
        operator,
        action: action.to_owned(),
        target: [0; 32],
        result: AuditResult::Done,
        command: Some(Box::new(command)),
    };
    let order = api.hub.command(order).ok_or(TOO_MANY)?;
    Ok(Accepted { order: order.into() })
}
