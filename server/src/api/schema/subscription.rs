//! What is sent as it happens.

use std::sync::Arc;

use async_graphql::{Context, Subscription};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;

use super::{
    api,
    cycle::{CycleUpdate, PoseFrame, Snapshot},
    skips,
};
use crate::api::access::{Leaves::Anyway, Rule, Scope::*, rule};

/// Who may follow, and what the messages give away.
pub(in crate::api) const RULES: &[Rule] = &[rule("Subscription", Subscribe, Anyway, "cycles poses")];

/// One message a cycle.
#[derive(Default)]
pub(crate) struct CoreSubscription;

#[Subscription]
impl CoreSubscription {
    /// People and occupancy: one message a cycle, exactly 20 a second.
    async fn poses(&self, ctx: &Context<'_>) -> impl Stream<Item = PoseFrame> {
        snapshots(ctx).map(PoseFrame::from)
    }

    /// Whole cycles with their evidence: one message a cycle, exactly 20 a second.
    async fn cycles(&self, ctx: &Context<'_>) -> impl Stream<Item = CycleUpdate> {
        snapshots(ctx).map(CycleUpdate::from)
    }
}

/// Every cycle from now on; what could not be kept up with is counted into the next one.
fn snapshots(ctx: &Context<'_>) -> impl Stream<Item = Snapshot> + use<> {
    let hub = &api(ctx).hub;
    let boot_id = hub.facts.boot_id;
    let shared = ctx.data_opt::<Arc<skips::Shared>>().cloned();
    let state = (hub.subscribe(), hub.durable());
    stream::unfold(state, move |(mut cycles, durable)| {
        let shared = shared.clone();
        async move {
            let mut skipped = 0;
            let cycle = loop {
                match cycles.recv().await {
                    Ok(cycle) => break cycle,
                    Err(RecvError::Lagged(n)) => skipped += n,
                    Err(RecvError::Closed) => return None,
                }
            };
            if let Some(shared) = shared {
                shared.add(skipped);
            }
            let snapshot = Snapshot {
                durable: cycle.cycle < durable.borrow().size,
                cycle,
                boot_id,
                live: true,
                skipped,
            };
            Some((snapshot, (cycles, durable)))
        }
    })
}
