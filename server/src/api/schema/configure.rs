//! Orders that change the configuration: how strict the site is, where its zones lie.

use std::{path::PathBuf, sync::Arc};

use async_graphql::{Context, ID, InputObject, Object};

use super::{
    api,
    cycle::PrivacyMode,
    mutation::{Accepted, send_for},
    query::invalid,
};
use crate::{
    api::{
        access::{Leaves::*, Rule, Scope::*, rule},
        auth::Identity,
        error::Failure,
    },
    config::{
        self, check_outline,
        orders::{Orders, OrdersError},
    },
    live::{Command, Configured, Ordered},
};

/// Who may order.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Mutation", Admin, Anyway, "setPrivacyMode"),
    rule("Mutation", Operate, Anyway, "setZoneOutline"),
];

/// Orders about the configuration.
#[derive(Default)]
pub(crate) struct ConfigureMutation;

#[Object]
impl ConfigureMutation {
    /// Changes the privacy mode with the next cycle; a CONFIG leaf names the configuration with it. From now on nothing
    /// leaves that the new mode does not let out, of the past either. It outlives a restart, until the fleet file's mode is
    /// changed.
    async fn set_privacy_mode(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The mode from now on.")] mode: PrivacyMode,
    ) -> async_graphql::Result<Accepted> {
        let mode = mode.configured();
        let change = move |site: &config::Site| config::Site {
            privacy: config::Privacy { mode },
            ..site.clone()
        };
        let orders = move |orders: &mut Orders, site: &config::Site| orders.set_mode(mode, site);
        Ok(configure(ctx, &format!("privacy.mode {mode:?}"), change, orders).await?)
    }

    /// Moves the corners of a zone with the next cycle; a CONFIG leaf names the configuration with it. What was known of the
    /// zone's presence is kept. It outlives a restart, until the fleet file's outline is changed. Zones are added and
    /// removed in the fleet file.
    async fn set_zone_outline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id of the zone.")] zone: ID,
        #[graphql(desc = "3 to 64 corners, counter-clockwise.")] outline: Vec<Corner>,
    ) -> async_graphql::Result<Accepted> {
        let site = api(ctx).hub.configured().site.clone();
        if !site.zones.iter().any(|z| *z.id == **zone) {
            let known: Vec<_> = site.zones.iter().map(|z| z.id.as_str()).collect();
            return Err(invalid("zone", zone.as_str(), known.join(", ")).into());
        }
        let corners: Vec<[f32; 2]> = outline.iter().map(|c| [c.x as f32, c.y as f32]).collect();
        if let Err(problem) = check_outline("outline", &corners) {
            return Err(invalid("outline", problem.found, problem.allowed).into());
        }
        let moved = corners.clone();
        let id = zone.to_string();
        let change = move |site: &config::Site| {
            let mut site = site.clone();
            let zone = site.zones.iter_mut().find(|z| z.id == id);
            zone.expect("asked for above").outline_m.clone_from(&moved);
            site
        };
        let id = zone.to_string();
        let orders = move |orders: &mut Orders, site: &config::Site| orders.set_outline(&id, corners, site);
        let action = format!("zone.outline {}", zone.as_str());
        Ok(configure(ctx, &action, change, orders).await?)
    }
}

/// A corner of an outline.
#[derive(InputObject)]
struct Corner {
    /// Metres.
    x: f64,
    /// Metres.
    y: f64,
}

/// Keeps the order for the next start, then hands the changed site to the cycle.
async fn configure(
    ctx: &Context<'_>,
    action: &str,
    change: impl Fn(&config::Site) -> config::Site,
    order: impl FnOnce(&mut Orders, &config::Site) + Send + 'static,
) -> Result<Accepted, Failure> {
    let api = api(ctx);
    // One at a time: the second builds on the first.
    let _one = api.configuring.lock().await;
    let before = api.hub.configured();
    let site = Arc::new(change(&before.site));
    let directory = api.hub.data_dir();
    let kept = match directory {
        Some(directory) => {
            let known = Arc::clone(&before.site);
            Some(keep(directory.to_owned(), move |orders| order(orders, &known)).await?)
        }
        None => None,
    };
    let operator = ctx.data_unchecked::<Identity>().operator();
    let command = Command::Configure {
        site: Ordered(Arc::clone(&site)),
        operator,
    };
    match send_for(api, operator, action, command) {
        Ok(accepted) => {
            // The cycle follows with its next slot; what leaves obeys now.
            api.hub.publish_configured(Configured::of(site));
            Ok(accepted)
        }
        Err(failure) => {
            if let (Some(directory), Some(earlier)) = (directory, kept) {
                keep(directory.to_owned(), move |orders| *orders = earlier).await?;
            }
            Err(failure)
        }
    }
}

/// Changes the orders that are kept; those before.
async fn keep(directory: PathBuf, change: impl FnOnce(&mut Orders) + Send + 'static) -> Result<Orders, Failure> {
    let internal = |detail: String| Failure::Internal { detail };
    let kept = tokio::task::spawn_blocking(move || {
        let earlier = Orders::load(&directory)?;
        let mut orders = earlier.clone();
        change(&mut orders);
        orders.save(&directory)?;
        Ok(earlier)
    });
    kept.await
        .map_err(|e| internal(e.to_string()))?
        .map_err(|e: OrdersError| internal(e.to_string()))
}
