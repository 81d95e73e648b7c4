//! How the server does, in one answer: for dashboards and for whoever is woken at night.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, Object, SimpleObject, Subscription};
use futures_util::{Stream, stream};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    api,
    query::nodes,
    scalars::{Long, Timestamp},
    status::{Node, Plugin},
};
use crate::{
    api::{
        Api,
        access::{Leaves::*, Rule, Scope::*, rule},
    },
    live::Readiness,
};

/// Who may ask and follow, and what the answers give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "health"),
    rule("Subscription", Subscribe, Anyway, "health"),
    rule(
        "Health",
        Read,
        Anyway,
        "at missedTicks nodes ok plugins problems ready warning",
    ),
    rule("Problem", Read, Anyway, "text what"),
];

/// How often the state is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How the server does, asked.
#[derive(Default)]
pub(crate) struct HealthQuery;

#[Object]
impl HealthQuery {
    /// How the server does now.
    async fn health(&self, ctx: &Context<'_>) -> Health {
        Health::now(api(ctx))
    }
}

/// How the server does, followed.
#[derive(Default)]
pub(crate) struct HealthSubscription;

#[Subscription]
impl HealthSubscription {
    /// How the server does: at once, and from then on whenever a problem comes, changes or goes, looked at twice a second.
    async fn health(&self, ctx: &Context<'_>) -> impl Stream<Item = Health> + use<> {
        let api = Arc::clone(ctx.data_unchecked::<Arc<Api>>());
        let mut clock = interval(LOOK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stream::unfold((api, clock, None), |(api, mut clock, before)| async move {
            loop {
                clock.tick().await;
                let health = Health::now(&api);
                let key = (health.ready, health.problems.clone());
                if before.as_ref() != Some(&key) {
                    return Some((health, (api, clock, Some(key))));
                }
            }
        })
    }
}

/// How the server does.
#[derive(SimpleObject)]
struct Health {
    /// True when there is no problem.
    ok: bool,
    /// True when cycles run.
    ready: bool,
    /// Everything that is not as it should be; empty when all is well.
    problems: Vec<Problem>,
    /// Configured radios with their health, ascending id.
    nodes: Vec<Node>,
    /// Plugins, active and failed.
    plugins: Vec<Plugin>,
    /// 50 ms slots that passed without a cycle since the process started.
    missed_ticks: Long,
    /// Warning that every health answer carries while the server is open to everybody (`insecure = true`); null otherwise.
    warning: Option<&'static str>,
    /// End of the newest cycle's slot; null before the first cycle.
    at: Option<Timestamp>,
}

/// One thing that is not as it should be.
#[derive(Clone, PartialEq, Eq, SimpleObject)]
struct Problem {
    /// What it is about: `server`, `node 3`, `plugin tracker`.
    what: String,
    /// What is wrong, in words.
    text: String,
}

impl Health {
    fn now(api: &Api) -> Self {
        let diagnostics = api.hub.diagnostics();
        let mut problems = Vec::new();
        let mut problem = |what: String, text: &str| {
            problems.push(Problem {
                what,
                text: text.to_owned(),
            });
        };
        let readiness = api.hub.readiness();
        if let Readiness::NotReady(why) = &*readiness {
            problem("server".to_owned(), why);
        }
        for node in diagnostics.nodes.iter().filter(|n| n.health.0 != "ok") {
            problem(format!("node {}", node.node), node.health.0);
        }
        for plugin in diagnostics.plugins.iter().filter(|p| p.state == "FAILED") {
            let text = plugin.reason.as_deref().unwrap_or("failed");
            problem(format!("plugin {}", plugin.name), text);
        }
        Self {
            ok: problems.is_empty(),
            ready: *readiness == Readiness::Ready,
            problems,
            nodes: nodes(api),
            plugins: diagnostics.plugins.iter().map(Plugin::from).collect(),
            missed_ticks: diagnostics.missed_ticks.into(),
            warning: api.doors.warning(),
            at: api.hub.latest().map(|c| Timestamp { wall_ns: c.wall_ns }),
        }
    }
}
