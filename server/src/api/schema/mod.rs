//! The GraphQL schema: what a front-end can ask, order and follow.

mod array;
mod calibrations;
mod configure;
mod cycle;
mod events;
mod events_past;
mod health;
mod keys;
mod link;
mod manifests;
mod memory;
mod mutation;
mod past;
mod person;
pub(super) mod plugins;
mod query;
mod recordings;
mod scalars;
mod scope;
mod site;
pub(super) mod skips;
mod status;
mod subscription;
mod world_class;

use std::sync::Arc;

use async_graphql::{
    Context, MergedObject, MergedSubscription, SDLExportOptions, SchemaBuilder, connection::Connection,
};

use self::cycle::CycleObject;
pub(super) use self::{cycle::Snapshot, past::cycles as cycles_of, recordings::file as recording_file};
use super::{
    Api,
    access::{Held, Rule},
    limits::Limits,
};

// An area adds its objects and its rules to these four; api/access.rs says how.

/// Questions.
#[derive(Default, MergedObject)]
pub(crate) struct Query(
    query::CoreQuery,
    calibrations::CalibrationsQuery,
    events_past::PastEventsQuery,
    health::HealthQuery,
    keys::KeysQuery,
    manifests::ManifestsQuery,
    memory::MemoryQuery,
    plugins::PluginsQuery,
    recordings::RecordingsQuery,
    scope::ScopeQuery,
);

/// Orders. Each is taken at the next cycle boundary.
#[derive(Default, MergedObject)]
pub(crate) struct Mutation(
    mutation::CoreMutation,
    configure::ConfigureMutation,
    keys::KeysMutation,
    plugins::PluginsMutation,
    recordings::RecordingsMutation,
);

/// What is sent as it happens.
#[derive(Default, MergedSubscription)]
pub(crate) struct Subscription(
    subscription::CoreSubscription,
    events::EventsSubscription,
    health::HealthSubscription,
    plugins::PluginsSubscription,
    scope::ScopeSubscription,
);

/// The rules of all fields.
pub(super) const AREAS: &[&[Rule]] = &[
    array::RULES,
    calibrations::RULES,
    configure::RULES,
    cycle::RULES,
    events::RULES,
    events_past::RULES,
    health::RULES,
    keys::RULES,
    link::RULES,
    manifests::RULES,
    memory::RULES,
    mutation::RULES,
    past::RULES,
    person::RULES,
    plugins::RULES,
    query::RULES,
    recordings::RULES,
    scope::RULES,
    site::RULES,
    status::RULES,
    subscription::RULES,
];

/// The schema with its data.
pub(super) type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

fn builder(limits: &Limits) -> SchemaBuilder<Query, Mutation, Subscription> {
    async_graphql::Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .extension(Held)
        .limit_depth(limits.depth)
        .limit_complexity(limits.complexity)
        .limit_recursive_depth(32)
        .limit_directives(8)
        .override_output_type_description::<Connection<u64, CycleObject>>(
            "A page of past cycles, ascending (Relay cursor connection).",
        )
        .override_output_type_description::<Connection<String, memory::OccupancyChange>>(
            "A page of changes of occupancy, newest first (Relay cursor connection).",
        )
        .override_output_type_description::<Connection<u64, calibrations::CalibrationChange>>(
            "A page of calibrations, newest first (Relay cursor connection).",
        )
        .override_output_type_description::<Connection<u64, events_past::PastEvents, events_past::Searched>>(
            "A page of past changes, newest first (Relay cursor connection).",
        )
        .override_output_type_description::<Connection<u64, manifests::ManifestChange>>(
            "A page of manifests, newest first (Relay cursor connection).",
        )
        .override_output_type_description::<Connection<String, recordings::Recording>>(
            "A page of recordings, ascending by name (Relay cursor connection).",
        )
}

/// The schema for a running server.
pub(super) fn build(api: Arc<Api>) -> Schema {
    builder(&api.limits).data(api).finish()
}

/// The schema as text, sorted: the contents of `schema.graphql`.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by();
    builder(&Limits::default()).finish().sdl_with_options(options)
}

/// What resolvers read from.
fn api<'c>(ctx: &Context<'c>) -> &'c Api {
    ctx.data_unchecked::<Arc<Api>>()
}

/// The newest cycle; none before the first.
fn now(ctx: &Context<'_>) -> Option<Snapshot> {
    let hub = &api(ctx).hub;
    let cycle = hub.latest()?;
    Some(Snapshot {
        durable: cycle.cycle < hub.durable().borrow().size,
        boot_id: hub.facts.boot_id,
        cycle,
        live: true,
        then: None,
        skipped: 0,
        resumed: None,
    })
}
