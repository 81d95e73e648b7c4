//! A look inside: the image, a link's impulse response, and in a demo the truth.

use async_graphql::{Context, Enum, ID, Object, SimpleObject, Subscription};
use futures_util::{Stream, StreamExt, stream};
use tapline_sim::scene;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{api, person::KeypointName, query::invalid, scalars::Long, site::Point};
use crate::{
    api::{
        access::{Leaves::*, Rule, Scope::*, rule},
        auth::Identity,
        error::Failure,
    },
    scope::{self, Scope},
};

/// The rules of this area. An image that is followed leads from one person's hourly identity to the next, so it
/// leaves where a stable identity may. The truth of a demo is nobody's: its people do not exist.
pub(in crate::api) const RULES: &[Rule] = &[
    rule("Query", Read, Anyway, "demo"),
    rule("Subscription", Subscribe, Anyway, "image response truth"),
    rule("Demo", Read, Anyway, "furniture scene title"),
    rule("Furniture", Read, Anyway, "high id low"),
    rule("Image", Subscribe, Anyway, "nx ny origin pitchM tick"),
    rule("Image", Subscribe, Identity, "mean"),
    rule("Response", Subscribe, Anyway, "firstNs path stepNs tick"),
    rule("Response", Subscribe, Raw, "powerDb"),
    rule("Truth", Subscribe, Anyway, "people tMs"),
    rule("RealPerson", Subscribe, Anyway, "id joints moving posture x y"),
    rule("Joint", Subscribe, Anyway, "name x y z"),
];

/// What is in the demo's room and nobody senses.
#[derive(Default)]
pub(crate) struct ScopeQuery;

#[Object]
impl ScopeQuery {
    /// The simulated scene this demo senses; null when this is no demo.
    async fn demo(&self, ctx: &Context<'_>) -> Option<Demo> {
        api(ctx).hub.scope.demo().map(Demo::from)
    }
}

/// A simulated scene. The sensing knows nothing of it.
#[derive(SimpleObject)]
pub(crate) struct Demo {
    /// Its name, for `--scene`.
    scene: String,
    /// One line for people.
    title: String,
    /// Its furniture.
    furniture: Vec<Furniture>,
}

impl From<&scene::Scene> for Demo {
    fn from(scene: &scene::Scene) -> Self {
        let furniture = scene.furniture.iter().map(|f| Furniture {
            id: f.id.as_str().into(),
            low: point([f.min.x, f.min.y]),
            high: point([f.max.x, f.max.y]),
        });
        Self {
            scene: scene.name.clone(),
            title: scene.title.clone(),
            furniture: furniture.collect(),
        }
    }
}

/// A box in the room.
#[derive(SimpleObject)]
struct Furniture {
    /// Short name in the scene file.
    id: ID,
    /// Corner nearest to the origin.
    low: Point,
    /// Corner opposite to it.
    high: Point,
}

fn point([x, y]: [f64; 2]) -> Point {
    Point { x, y }
}

/// Windows into the running cycle.
#[derive(Default)]
pub(crate) struct ScopeSubscription;

#[Subscription]
impl ScopeSubscription {
    /// The tomographic image, ten times a second while there is one. Nothing is sent in a class stricter
    /// than Derived.
    async fn image(&self, ctx: &Context<'_>) -> impl Stream<Item = Image> {
        follow(api(ctx).hub.scope.image()).map(|image| Image::from(&*image))
    }

    /// The impulse response of a link path, one message a cycle. Nothing is sent in a class stricter than
    /// Raw, and nothing to a caller on another machine.
    async fn response(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Index in the site's sorted list of link paths.")] path: u16,
    ) -> async_graphql::Result<impl Stream<Item = Response> + use<>> {
        if !ctx.data_unchecked::<Identity>().near {
            return Err(Failure::Elsewhere {
                what: "the response of a link",
            }
            .into());
        }
        let hub = &api(ctx).hub;
        let Some(look) = Scope::look(hub, usize::from(path)) else {
            let paths = hub.facts.site.paths.len();
            return Err(invalid("path", path, format!("0 to {}", paths.saturating_sub(1))).into());
        };
        Ok(responses(look, path))
    }

    /// What is really in the room of a demo, twenty times a second; nothing is ever sent when this is no demo.
    async fn truth(&self, ctx: &Context<'_>) -> impl Stream<Item = Truth> {
        follow(api(ctx).hub.scope.moments()).map(|moment| Truth::from(&*moment))
    }
}

/// Everything from now on; what could not be kept up with is left out.
fn follow<T: Clone>(receiver: Receiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(item) => return Some((item, receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

fn responses(look: scope::Look, path: u16) -> impl Stream<Item = Response> {
    // The look travels with the stream: when it is dropped, the copying ends.
    stream::unfold(look, move |mut look| async move {
        loop {
            match look.responses.recv().await {
                Ok(response) if response.path == path => return Some((Response::from(&*response), look)),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

/// A tomographic image: where the room changes what the links receive.
#[derive(SimpleObject)]
struct Image {
    /// 50 ms slot since the process started.
    tick: Long,
    /// Low corner of the first voxel.
    origin: Point,
    /// Edge of a voxel, metres.
    pitch_m: f64,
    /// Voxels along x.
    nx: u32,
    /// Voxels along y.
    ny: u32,
    /// Mean of each column of voxels (the highest over z), x first, then y; four digits. The unit is the
    /// method's.
    mean: Vec<f64>,
}

impl From<&scope::Image> for Image {
    fn from(image: &scope::Image) -> Self {
        let g = &image.grid;
        let columns = g.nx as usize * g.ny as usize;
        let highest = |i: usize| {
            let column = image.mean.iter().skip(i).step_by(columns.max(1));
            column.copied().fold(f32::NEG_INFINITY, f32::max)
        };
        Self {
            tick: image.tick.into(),
            origin: [g.origin_x_m, g.origin_y_m].into(),
            pitch_m: super::scalars::decimal(g.pitch_m),
            nx: g.nx,
            ny: g.ny,
            mean: (0..columns).map(|i| digits(highest(i))).collect(),
        }
    }
}

/// Four significant digits: what an onlooker sees, a quarter of the bytes.
fn digits(x: f32) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(0.0)
}

/// The impulse response of a link path in one cycle.
#[derive(SimpleObject)]
struct Response {
    /// 50 ms slot since the process started.
    tick: Long,
    /// Index in the site's sorted list of link paths.
    path: u16,
    /// Delay of the first tap, nanoseconds; below 0, because the response is circular.
    first_ns: f64,
    /// From tap to tap, nanoseconds.
    step_ns: f64,
    /// Power of each tap, dB over the weakest number there is (receiver units, one decimal); null where the
    /// solver left nothing. Empty when the impulse response has no answer.
    power_db: Vec<Option<f64>>,
}

impl From<&scope::Response> for Response {
    fn from(r: &scope::Response) -> Self {
        let db = |p: &f32| (*p > 0.0).then(|| (100.0 * f64::from(*p).log10()).round() / 10.0);
        Self {
            tick: r.tick.into(),
            path: r.path,
            first_ns: digits(r.first_s * 1e9),
            step_ns: digits(r.step_s * 1e9),
            power_db: r.power.iter().map(db).collect(),
        }
    }
}

/// What is really there.
#[derive(SimpleObject)]
struct Truth {
    /// When, by the server's clock: Unix milliseconds.
    t_ms: Long,
    /// Everybody in the scene.
    people: Vec<RealPerson>,
}

/// A simulated person.
#[derive(SimpleObject)]
struct RealPerson {
    /// The scene's number.
    id: u32,
    /// Between the hips, metres.
    x: f64,
    /// Between the hips, metres.
    y: f64,
    /// True when they walk, turn, sit down or get up.
    moving: bool,
    /// What they do with their body.
    posture: Posture,
    /// The 17 joints in COCO order.
    joints: Vec<Joint>,
}

/// Where a joint really is.
#[derive(SimpleObject)]
struct Joint {
    /// Which joint.
    name: KeypointName,
    /// Metres.
    x: f64,
    /// Metres.
    y: f64,
    /// Metres above the floor.
    z: f64,
}

/// What somebody does with their body.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
#[graphql(remote = "tapline_sim::Posture")]
enum Posture {
    /// On their feet, in one place.
    Standing,
    /// Under way.
    Walking,
    /// On a chair, or on the way to or from it.
    Seated,
}

impl From<&scope::Moment> for Truth {
    fn from(moment: &scope::Moment) -> Self {
        let millimetres = |x: f64| (x * 1e3).round() / 1e3;
        let people = moment.truth.people.iter().map(|p| RealPerson {
            id: p.id,
            x: millimetres(p.position_m[0]),
            y: millimetres(p.position_m[1]),
            moving: p.moving,
            posture: p.posture.into(),
            joints: KeypointName::COCO
                .into_iter()
                .zip(p.joints_m)
                .map(|(name, [x, y, z])| Joint {
                    name,
                    x: millimetres(x),
                    y: millimetres(y),
                    z: millimetres(z),
                })
                .collect(),
        });
        Self {
            t_ms: moment.t_ms.into(),
            people: people.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_kept() {
        assert_eq!(digits(0.123_456), 0.1235);
        assert_eq!(digits(-12_347.0), -12_350.0);
        assert_eq!(digits(0.0), 0.0);
    }

    #[test]
    fn a_column_shows_its_highest_voxel() {
        let grid = tapline_plugin_api::geometry::Grid {
            nx: 2,
            ny: 1,
            nz: 2,
            ..Default::default()
        };
        let mean = vec![1.0, 5.0, 3.0, -2.0];
        let image = Image::from(&scope::Image { tick: 1, grid, mean });
        assert_eq!(image.mean, [3.0, 5.0]);
    }
}
