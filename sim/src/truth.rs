//! What is really there: the other half of every accuracy figure.

use serde::Serialize;

use crate::{
    person::body::{Actor, Body},
    scene::Scene,
};

/// Everybody at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Seconds since the start.
    pub t_s: f64,
    /// Those who are there, in the scene's order.
    pub people: Vec<PersonTruth>,
}

/// One person at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonTruth {
    /// The scene's id.
    pub id: u32,
    /// Place between the hips, on the floor plan, metres.
    pub position_m: [f64; 2],
    /// Its velocity, m/s.
    pub velocity_m_s: [f64; 2],
    /// The room they are in; `None` outside of every room.
    pub room: Option<String>,
    /// The first zone they are in.
    pub zone: Option<String>,
    /// Walks, turns, sits down or gets up; breathing alone is not moving.
    pub moving: bool,
    /// Standing, walking or seated.
    pub posture: Posture,
    /// 17 COCO joints in COCO order, `[x, y, z]`, metres.
    pub joints_m: [[f64; 3]; 17],
}

/// What a person does with their body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Posture {
    /// On their feet, in one place.
    Standing,
    /// Under way.
    Walking,
    /// On a chair, or on the way to or from it.
    Seated,
}

pub(crate) fn at(scene: &Scene, actors: &[Actor], t_s: f64) -> Truth {
    Truth {
        t_s,
        people: actors
            .iter()
            .filter_map(|a| Some(person(scene, a.id, &a.at(t_s)?)))
            .collect(),
    }
}

fn person(scene: &Scene, id: u32, body: &Body) -> PersonTruth {
    let [x, y] = body.at;
    let walks = body.velocity_m_s != [0.0, 0.0];
    PersonTruth {
        id,
        position_m: body.at,
        velocity_m_s: body.velocity_m_s,
        room: scene.room_at(x, y).map(|i| scene.room[i].id.clone()),
        zone: scene.zone_at(x, y).map(|i| scene.zone[i].id.clone()),
        moving: body.moving,
        posture: if body.seated > 0.0 {
            Posture::Seated
        } else if walks {
            Posture::Walking
        } else {
            Posture::Standing
        },
        joints_m: body.joints.map(Into::into),
    }
}
