//! Scattering by bodies: each segment sends a little of what reaches it to the receiver.
//!
//! Bistatic radar equation (Willis, "Bistatic Radar", ch. 4), as an amplitude:
//! `a = sqrt(Gt Gr) lambda sqrt(sigma) / ((4 pi)^(3/2) d1 d2)`, and the phase of the way d1 + d2.
//!
//! A segment is a prolate spheroid of half-length c and radius R. Its cross section is the optical one
//! (Knott, "Radar Cross Section", ch. 5; used for walking people by Chen, "The Micro-Doppler Effect in Radar", ch. 4)
//! `sigma = |G|^2 pi R^4 c^2 / (R^2 sin^2 t + c^2 cos^2 t)^2`, t between its axis and the bisector of the directions to
//! both ends (Kell's monostatic-bistatic equivalence, Proc. IEEE 53, 1965), G = 0.76 the Fresnel reflection of muscle
//! (eps 52.8, sigma 1.7 S/m at 2.4 GHz: Gabriel, 1996). The wave turns round on the surface, not in the middle:
//! the way is shorter by `2 R cos(b/2)`, b the bistatic angle. Towards the forward direction the scattered wave is the
//! shadow, which [`super::shadow`] has: over the width of that lobe, lambda over the breadth of the body, scattering
//! fades out so that nothing is counted twice.
//!
//! Each end is also seen in every panel that mirrors it: ways node-panel-body-node and node-body-panel-node are summed.

use num_complex::Complex64;

use super::{
    paths::{End, cover, reflection, transmission},
    tones::{PathSum, Tones},
};
use crate::{material::LIGHT_M_S, panel::Panel, vector::Vec3};

/// Amplitude reflection of skin and muscle; the sign is that of a denser medium.
const SKIN: f64 = -0.76;
/// Half-width of the ramp that stands for diffraction at a panel's edge, metres.
const SOFT_EDGE_M: f64 = 0.15;

/// A segment of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segment {
    /// Its middle.
    pub at: Vec3,
    /// Unit vector along it.
    pub axis: Vec3,
    /// Half its length, metres.
    pub half_length_m: f64,
    /// Its radius, metres.
    pub radius_m: f64,
}

/// One way in which a node reaches a body: directly, or mirrored in a panel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Approach {
    /// The node, or its mirror image.
    pub(crate) from: Vec3,
    /// Antenna, reflection and transmission.
    pub(crate) gain: Complex64,
}

/// All approaches of a node to a body around `middle`; the direct one first.
pub(crate) fn approaches(panels: &[Panel], node: End, middle: Vec3, mirrored: bool, into: &mut Vec<Approach>) {
    into.clear();
    let mut gain = transmission(panels, node.at, middle, [None, None], SOFT_EDGE_M);
    gain *= node.antenna.amplitude((middle - node.at).unit());
    into.push(Approach { from: node.at, gain });
    if !mirrored {
        return;
    }
    for (i, panel) in panels.iter().enumerate() {
        let side = |p: Vec3| p.axis(panel.axis) - panel.at_m;
        if side(node.at) * side(middle) <= 0.0 {
            continue;
        }
        let image = panel.mirror(node.at);
        let Some(fraction) = panel.crossing(image, middle) else {
            continue;
        };
        let point = image.lerp(middle, fraction);
        let cover = cover(panel, point, SOFT_EDGE_M);
        if cover <= 0.0 {
            continue;
        }
        let mut gain = reflection(panel, (middle - image).unit()) * cover;
        gain *= node.antenna.amplitude((point - node.at).unit());
        gain *= transmission(panels, node.at, point, [Some(i), None], SOFT_EDGE_M);
        gain *= transmission(panels, point, middle, [Some(i), None], SOFT_EDGE_M);
        into.push(Approach { from: image, gain });
    }
}

/// Adds the ways over one body: both ends directly, or either one mirrored.
pub(crate) fn add_body(
    tones: &Tones,
    wavelength_m: f64,
    breadth_m: f64,
    segments: &[Segment],
    tx: &[Approach],
    rx: &[Approach],
    sum: &mut PathSum,
) {
    let Some((&tx_direct, &rx_direct)) = tx.first().zip(rx.first()) else {
        return;
    };
    let pairs = rx
        .iter()
        .map(|r| (tx_direct, *r))
        .chain(tx[1..].iter().map(|t| (*t, rx_direct)));
    for (t, r) in pairs {
        let gain = t.gain * r.gain;
        if gain.norm_sqr() < 1e-8 {
            continue;
        }
        for segment in segments {
            let (amplitude, delay_s) = bistatic(segment, t.from, r.from, wavelength_m, breadth_m);
            sum.push(tones, gain * amplitude, delay_s);
        }
    }
}

/// Amplitude (isotropic ends) and delay of the way over a segment.
pub(crate) fn bistatic(segment: &Segment, tx: Vec3, rx: Vec3, wavelength_m: f64, breadth_m: f64) -> (f64, f64) {
    let (to_tx, to_rx) = (tx - segment.at, rx - segment.at);
    let (d1, d2) = (to_tx.length(), to_rx.length());
    // A segment is never nearer to an antenna than its own size.
    let least_m = segment.half_length_m;
    let (d1, d2) = (
        if d1 < least_m { least_m } else { d1 },
        if d2 < least_m { least_m } else { d2 },
    );
    let (u1, u2) = (to_tx * (1.0 / d1), to_rx * (1.0 / d2));
    let cos_bistatic = u1.dot(u2);
    let cos_half = if cos_bistatic > -1.0 {
        (0.5 * (1.0 + cos_bistatic)).sqrt()
    } else {
        0.0
    };

    let (r, c) = (segment.radius_m, segment.half_length_m);
    let cos_axis = (u1 + u2).unit().dot(segment.axis);
    let cos2 = cos_axis * cos_axis;
    let root_sigma = core::f64::consts::PI.sqrt() * r * r * c / (r * r * (1.0 - cos2) + c * c * cos2);

    let lobe = wavelength_m / breadth_m;
    let beside_forward = 1.0 - tapline_dsp::detmath::exp64(-2.0 * (1.0 + cos_bistatic) / (lobe * lobe));

    let spread = 4.0 * core::f64::consts::PI;
    let amplitude = SKIN * wavelength_m * root_sigma * beside_forward / (spread * spread.sqrt() * d1 * d2);
    (amplitude, (d1 + d2 - 2.0 * r * cos_half) / LIGHT_M_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPRIGHT: Segment = Segment {
        at: Vec3::new(0.0, 0.0, 1.0),
        axis: Vec3::new(0.0, 0.0, 1.0),
        half_length_m: 0.3,
        radius_m: 0.15,
    };

    #[test]
    fn cross_section_is_that_of_the_spheroid_at_its_two_ends() {
        let wavelength_m = 0.123;
        let four_pi = 4.0 * core::f64::consts::PI;
        // Power into an isotropic monostatic receiver at 10 m, solved for sigma.
        let sigma = |from: Vec3| {
            let (a, _) = bistatic(&UPRIGHT, from, from, wavelength_m, 0.45);
            a * a * four_pi * four_pi * four_pi * 1e4 / (wavelength_m * wavelength_m) / (SKIN * SKIN)
        };
        let broadside = sigma(Vec3::new(10.0, 0.0, 1.0));
        assert!((broadside - core::f64::consts::PI * 0.09).abs() < 1e-9, "{broadside}");
        let end_on = sigma(Vec3::new(0.0, 0.0, 11.0));
        let expected = core::f64::consts::PI * libm::pow(0.15, 4.0) / 0.09;
        assert!((end_on - expected).abs() < 1e-9, "{end_on} {expected}");
    }

    #[test]
    fn nothing_is_scattered_straight_on_and_the_way_ends_at_the_surface() {
        let (tx, rx) = (Vec3::new(-3.0, 0.0, 1.0), Vec3::new(3.0, 0.0, 1.0));
        let (forward, _) = bistatic(&UPRIGHT, tx, rx, 0.123, 0.45);
        assert_eq!(forward, 0.0);
        let (_, delay_s) = bistatic(&UPRIGHT, tx, tx, 0.123, 0.45);
        assert!((delay_s * LIGHT_M_S - (6.0 - 0.3)).abs() < 1e-12);
    }
}
