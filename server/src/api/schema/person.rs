//! People and their keypoints.

use crate::api::{
    Api,
    access::{Bar, Leaves::*, Rule, Scope::Read, rule},
};
use async_graphql::{ComplexObject, Enum, ID, SimpleObject};

/// What the fields give away.
pub(in crate::api) const RULES: &[Rule] = &[
    rule(
        "Person",
        Read,
        People,
        "active covariance existence id keypoints sigmaM vx vy vz x y z",
    ),
    rule(
        "Keypoint",
        Read,
        People,
        "confidence covariance name sigmaM source x y z",
    ),
];
use tapline_witness::outcome;

/// People of a cycle, as the cost of a question counts them before it is known how many there are.
pub(super) const PEOPLE: usize = 2;

use super::scalars::decimal;

/// One person.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Person {
    /// Published identity, a decimal number as text: stable, or a pseudonym that changes every hour, by the privacy class in
    /// force; who was sensed while it was looser has another pseudonym after the server was started anew. When the tracker begins
    /// anew (a start of the server, a recovery, a swap to other code) ids count from 1 again, for other people.
    pub(crate) id: ID,
    /// True while measurements support the track, false while it is coasting.
    active: bool,
    /// Probability that this person exists, 0 to 1.
    existence: f64,
    /// Position x, metres; null when the radio cannot give it.
    x: Option<f64>,
    /// Position y, metres; null when the radio cannot give it.
    y: Option<f64>,
    /// Position z, metres above the floor; null when the radio cannot give it (a planar mesh).
    z: Option<f64>,
    /// Velocity x, metres a second; null when unknown.
    vx: Option<f64>,
    /// Velocity y, metres a second; null when unknown.
    vy: Option<f64>,
    /// Velocity z, metres a second; null when unknown.
    vz: Option<f64>,
    /// Standard deviation of the position, metres (root mean square over the known axes).
    sigma_m: f64,
    /// Covariance of (x, y, z, vx, vy, vz), upper triangle row by row: 21 numbers, metres and seconds.
    covariance: Vec<f64>,
    #[graphql(skip)]
    joints: Option<Vec<Keypoint>>,
}

#[ComplexObject]
impl Person {
    /// The 17 COCO keypoints in COCO order; null when the privacy class lets no pose out.
    #[graphql(complexity = "KeypointName::COCO.len() * child_complexity + 1")]
    async fn keypoints(&self) -> Option<&[Keypoint]> {
        self.joints.as_deref()
    }
}

/// Everybody of an outcome under the names that may leave, ascending.
pub(super) fn everybody(api: &Api, bar: Bar, outcome: &outcome::Outcome) -> Vec<Person> {
    let named = |p: &'_ outcome::Person| api.aliases.of(bar, outcome, p.id);
    let mut people: Vec<_> = outcome.tracks.iter().map(|p| (named(p), p)).collect();
    people.sort_unstable_by_key(|(name, _)| *name);
    people.into_iter().map(|(name, p)| Person::new(name, p)).collect()
}

impl Person {
    fn new(name: u64, p: &outcome::Person) -> Self {
        let [x, y, z] = p.position_m.map(|v| v.map(decimal));
        let [vx, vy, vz] = p.velocity_m_s.map(|v| v.map(decimal));
        Self {
            id: name.to_string().into(),
            active: p.active,
            existence: decimal(p.existence),
            x,
            y,
            z,
            vx,
            vy,
            vz,
            sigma_m: decimal(p.sigma_m),
            covariance: p.covariance.iter().map(|v| decimal(*v)).collect(),
            joints: p.keypoints.as_ref().map(|all| {
                KeypointName::COCO
                    .into_iter()
                    .zip(all)
                    .map(|(name, k)| Keypoint::new(name, k))
                    .collect()
            }),
        }
    }
}

/// One joint of a person.
#[derive(SimpleObject)]
struct Keypoint {
    /// Which joint.
    name: KeypointName,
    /// Position x, metres; null when unknown.
    x: Option<f64>,
    /// Position y, metres; null when unknown.
    y: Option<f64>,
    /// Position z, metres; null when unknown.
    z: Option<f64>,
    /// Standard deviation, metres (root mean square over the known axes).
    sigma_m: f64,
    /// Covariance of (x, y, z), upper triangle row by row: 6 numbers, square metres.
    covariance: Vec<f64>,
    /// Probability that the joint lies within 0.2 m of the position, 0 to 1.
    confidence: f64,
    /// Whether the radio measured the joint.
    source: KeypointSource,
}

impl Keypoint {
    fn new(name: KeypointName, k: &outcome::Keypoint) -> Self {
        let [x, y, z] = k.position_m.map(|v| v.map(decimal));
        Self {
            name,
            x,
            y,
            z,
            sigma_m: decimal(k.sigma_m),
            covariance: k.covariance_m2.iter().map(|v| decimal(*v)).collect(),
            confidence: decimal(k.confidence),
            source: if k.measured {
                KeypointSource::Measured
            } else {
                KeypointSource::Prior
            },
        }
    }
}

/// Where a keypoint comes from.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
enum KeypointSource {
    /// The radio measured it.
    Measured,
    /// It follows from a kinematic prior round the person's position; its sigma is honestly wide.
    Prior,
}

/// COCO-17 joints.
#[derive(Clone, Copy, Debug, Enum, PartialEq, Eq)]
pub(crate) enum KeypointName {
    /// Nose.
    Nose,
    /// Left eye.
    LeftEye,
    /// Right eye.
    RightEye,
    /// Left ear.
    LeftEar,
    /// Right ear.
    RightEar,
    /// Left shoulder.
    LeftShoulder,
    /// Right shoulder.
    RightShoulder,
    /// Left elbow.
    LeftElbow,
    /// Right elbow.
    RightElbow,
    /// Left wrist.
    LeftWrist,
    /// Right wrist.
    RightWrist,
    /// Left hip.
    LeftHip,
    /// Right hip.
    RightHip,
    /// Left knee.
    LeftKnee,
    /// Right knee.
    RightKnee,
    /// Left ankle.
    LeftAnkle,
    /// Right ankle.
    RightAnkle,
}

impl KeypointName {
    /// COCO order.
    pub(crate) const COCO: [Self; 17] = [
        Self::Nose,
        Self::LeftEye,
        Self::RightEye,
        Self::LeftEar,
        Self::RightEar,
        Self::LeftShoulder,
        Self::RightShoulder,
        Self::LeftElbow,
        Self::RightElbow,
        Self::LeftWrist,
        Self::RightWrist,
        Self::LeftHip,
        Self::RightHip,
        Self::LeftKnee,
        Self::RightKnee,
        Self::LeftAnkle,
        Self::RightAnkle,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_contract_s() {
        let names: Vec<_> = KeypointName::COCO
            .iter()
            .map(|n| {
                let value = async_graphql::InputType::to_value(n);
                value.to_string().to_ascii_lowercase()
            })
            .collect();
        assert_eq!(names, tapline_plugin_api::tracker::KEYPOINT_NAMES);
    }
}
