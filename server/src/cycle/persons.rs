//! From the tracker's tracks to published persons.

use tapline_dsp::detmath;
use tapline_plugin_api::tracker::{self, Track, source, state};
use tapline_witness::outcome::{Keypoint, Person};

/// Appends the published persons: Active and Lost tracks, ascending id. Tentative ones are not published.
pub(super) fn persons(tracks: &[Track], into: &mut Vec<Person>) {
    into.clear();
    into.extend(
        tracks
            .iter()
            .filter(|t| matches!(t.state, state::ACTIVE | state::LOST))
            .map(person),
    );
}

/// A track that says where somebody is, for counting: confirmed and still measured.
pub(super) fn is_active(track: &Track) -> bool {
    track.state == state::ACTIVE
}

fn person(track: &Track) -> Person {
    let covariance = track.covariance;
    // Diagonal of the upper triangle of a 6x6 matrix: 0, 6, 11, 15, 18, 20.
    let variance = [covariance[0], covariance[6], covariance[11]];
    let mut keypoints = [Keypoint::default(); 17];
    for (to, from) in keypoints.iter_mut().zip(&track.keypoints) {
        *to = keypoint(from);
    }
    Person {
        id: track.id,
        active: is_active(track),
        existence: track.existence,
        position_m: known([track.mean[0], track.mean[1], track.mean[2]], track.axes),
        velocity_m_s: known([track.mean[3], track.mean[4], track.mean[5]], track.axes),
        sigma_m: sigma(variance, track.axes),
        covariance,
        keypoints: Some(keypoints),
    }
}

fn keypoint(from: &tracker::Keypoint) -> Keypoint {
    // Diagonal of the upper triangle of a 3x3 matrix: 0, 3, 5.
    let variance = [from.covariance[0], from.covariance[3], from.covariance[5]];
    Keypoint {
        position_m: known(from.mean, from.axes),
        sigma_m: sigma(variance, from.axes),
        covariance_m2: from.covariance,
        confidence: from.confidence,
        measured: from.source == source::MEASURED,
    }
}

fn known(values: [f32; 3], axes: u32) -> [Option<f32>; 3] {
    let mut out = [None; 3];
    for (axis, value) in values.into_iter().enumerate() {
        out[axis] = (axes >> axis & 1 == 1).then_some(value);
    }
    out
}

/// Root mean square of the standard deviations of the known axes.
fn sigma(variance: [f32; 3], axes: u32) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (axis, v) in variance.into_iter().enumerate() {
        if axes >> axis & 1 == 1 {
            sum += v;
            count += 1.0;
        }
    }
    if count > 0.0 {
        (detmath::max(sum, 0.0) / count).sqrt()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_the_radio_cannot_give_is_none() {
        let mut track = Track {
            id: 7,
            state: state::ACTIVE,
            axes: 0b011,
            mean: [1.0, 2.0, 9.0, 0.1, 0.2, 9.0],
            ..Track::default()
        };
        (track.covariance[0], track.covariance[6], track.covariance[11]) = (0.09, 0.16, 100.0);
        let mut out = Vec::new();
        persons(
            &[
                track,
                Track {
                    id: 8,
                    state: state::TENTATIVE,
                    ..track
                },
            ],
            &mut out,
        );
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].position_m, [Some(1.0), Some(2.0), None]);
        assert_eq!(out[0].velocity_m_s, [Some(0.1), Some(0.2), None]);
        assert!((out[0].sigma_m - 0.125_f32.sqrt()).abs() < 1e-6, "{}", out[0].sigma_m);
    }
}
