//! Static paths between two points: the image method (Allen, Berkley, J. Acoust. Soc. Am. 65, 1979; for radio:
//! Saunders, "Antennas and Propagation", ch. 6), to order 2, over the panels that really are there.
//!
//! A path's amplitude is Friis' `lambda / (4 pi d)` (Proc. IRE 34, 1946) over the unfolded length d, times both
//! antennas, times the reflection coefficient of each panel it meets and the transmission coefficient of each it
//! passes. Its phase is `-2 pi f d / c`, exact at every tone.

use num_complex::Complex64;

use crate::{material::LIGHT_M_S, panel::Panel, scene::Antenna, vector::Vec3};

/// Paths weaker than the strongest by more than this are left out (amplitude, -60 dB).
const WEAKEST: f64 = 1e-3;

/// Most paths of a link, the strongest: those of the built-in scenes have 37 at most. Each costs a shadow of every
/// person in every frame, and its tones are kept.
pub(crate) const PATHS_MAX: usize = 200;

/// One end of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Vec3,
    pub(crate) antenna: Antenna,
}

/// One way from transmitter to receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Transmitter, reflection points, receiver; `order + 2` of them are used.
    pub points: [Vec3; 4],
    /// Reflections.
    pub order: usize,
    /// Delay, seconds.
    pub delay_s: f64,
    /// Amplitude at the carrier against 1 mW into 1 mW, without the phase of the way (reflections turn it).
    pub amplitude: Complex64,
}

impl Path {
    /// The straight pieces of the path.
    pub fn legs(&self) -> impl Iterator<Item = (Vec3, Vec3)> + '_ {
        self.points[..self.order + 2].windows(2).map(|w| (w[0], w[1]))
    }
}

/// The paths of up to `order` reflections, direct one first: the strongest [`PATHS_MAX`] that are not too weak to count.
pub(crate) fn trace(panels: &[Panel], tx: End, rx: End, order: usize, wavelength_m: f64) -> Vec<Path> {
    strongest(all(panels, tx, rx, order, wavelength_m))
}

/// Every path there is, direct one first.
fn all(panels: &[Panel], tx: End, rx: End, order: usize, wavelength_m: f64) -> Vec<Path> {
    let mut found = Vec::new();
    let mut add = |points: &[Vec3], mirrors: &[usize]| {
        found.push(path(panels, tx, rx, points, mirrors, wavelength_m));
    };
    add(&[tx.at, rx.at], &[]);
    for (i, first) in panels.iter().enumerate() {
        if order == 0 {
            break;
        }
        let image = first.mirror(tx.at);
        if let Some(r) = bounce(first, image, rx.at, tx.at) {
            add(&[tx.at, r, rx.at], &[i]);
        }
        for (j, second) in panels.iter().enumerate() {
            if order < 2 || i == j {
                continue;
            }
            let twice = second.mirror(image);
            let Some(r2) = bounce(second, twice, rx.at, image) else {
                continue;
            };
            let Some(r1) = bounce(first, image, r2, tx.at) else {
                continue;
            };
            add(&[tx.at, r1, r2, rx.at], &[i, j]);
        }
    }
    found
}

/// What is kept of all paths: the direct one first, whatever it is worth, the others in the order they were found in.
fn strongest(mut found: Vec<Path>) -> Vec<Path> {
    let strongest = found
        .iter()
        .map(|p| p.amplitude.norm_sqr())
        .max_by(f64::total_cmp)
        .unwrap_or(0.0);
    let mut least = strongest * WEAKEST * WEAKEST;
    let mut others: Vec<f64> = found.iter().skip(1).map(|p| p.amplitude.norm_sqr()).collect();
    if others.len() >= PATHS_MAX {
        others.sort_by(|a, b| b.total_cmp(a));
        let last = others[PATHS_MAX - 2];
        least = if last > least { last } else { least };
    }
    found.retain(|p| p.order == 0 || p.amplitude.norm_sqr() >= least);
    // Where several are as strong as the last that is kept, the first of them are.
    found.truncate(PATHS_MAX);
    found
}

/// Where the ray from `image` (the mirror image of `source`) to `target` leaves the panel, if it does: source and
/// target stand on the same side, and the point is on the rectangle.
fn bounce(panel: &Panel, image: Vec3, target: Vec3, source: Vec3) -> Option<Vec3> {
    let side = |p: Vec3| p.axis(panel.axis) - panel.at_m;
    if side(source) * side(target) <= 0.0 {
        return None;
    }
    let fraction = panel.crossing(image, target)?;
    let point = image.lerp(target, fraction).with_axis(panel.axis, panel.at_m);
    (panel.inside_m(point) >= 0.0).then_some(point)
}

fn path(panels: &[Panel], tx: End, rx: End, points: &[Vec3], mirrors: &[usize], wavelength_m: f64) -> Path {
    let last = points.len() - 1;
    let length_m: f64 = points.windows(2).map(|w| (w[1] - w[0]).length()).sum();
    let mut amplitude = Complex64::new(wavelength_m / (4.0 * core::f64::consts::PI * length_m), 0.0);
    amplitude *= tx.antenna.amplitude((points[1] - points[0]).unit());
    amplitude *= rx.antenna.amplitude((points[last - 1] - points[last]).unit());
    for (i, leg) in points.windows(2).enumerate() {
        let ends = [
            i.checked_sub(1).and_then(|i| mirrors.get(i)).copied(),
            mirrors.get(i).copied(),
        ];
        amplitude *= transmission(panels, leg[0], leg[1], ends, 0.0);
        if let Some(mirror) = mirrors.get(i) {
            let panel = &panels[*mirror];
            amplitude *= reflection(panel, (leg[1] - leg[0]).unit());
        }
    }
    let mut all = [Vec3::default(); 4];
    all[..points.len()].copy_from_slice(points);
    Path {
        points: all,
        order: mirrors.len(),
        delay_s: length_m / LIGHT_M_S,
        amplitude,
    }
}

/// The panel's reflection coefficient for the upright field component of a ray of this direction. (For floors the
/// Fresnel coefficient is that of the magnetic field, and the upright electric component has the same factor.)
pub(crate) fn reflection(panel: &Panel, direction: Vec3) -> Complex64 {
    panel
        .material
        .coefficients(panel.cos_incidence(direction), panel.polarisation())
        .0
}

/// The product of the transmission coefficients of all panels between two points, but for those named.
///
/// With a `soft_m` above zero a panel's edge is a ramp of that half-width instead of a step, so that a moving point
/// sees no jump where the wave would bend around the edge.
pub(crate) fn transmission(panels: &[Panel], a: Vec3, b: Vec3, without: [Option<usize>; 2], soft_m: f64) -> Complex64 {
    let mut product = Complex64::new(1.0, 0.0);
    let direction = (b - a).unit();
    for (i, panel) in panels.iter().enumerate() {
        if without.contains(&Some(i)) {
            continue;
        }
        let Some(fraction) = panel.crossing(a, b) else { continue };
        let cover = cover(panel, a.lerp(b, fraction), soft_m);
        if cover > 0.0 {
            let cos = panel.cos_incidence(direction);
            let (_, t) = panel.material.coefficients(cos, panel.polarisation());
            product *= 1.0 + (t - 1.0) * cover;
        }
    }
    product
}

/// How much of a ray through this point of its plane a panel catches, 0 to 1.
pub(crate) fn cover(panel: &Panel, point: Vec3, soft_m: f64) -> f64 {
    let inside_m = panel.inside_m(point);
    if soft_m > 0.0 {
        crate::vector::smoothstep(0.5 + 0.5 * inside_m / soft_m)
    } else if inside_m >= 0.0 {
        1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{panel::panels_at, scene::Scene};

    /// Boxes in boxes of half-transparent mirrors around both ends: every pair of faces makes a path.
    fn nested() -> Vec<Panel> {
        let rooms: String = (0..8)
            .map(|i| {
                let (low, high) = (-0.31 * f64::from(i) - 1.0, 0.37 * f64::from(i) + 3.0);
                format!("[[room]]\nid='r{i}'\nmin=[{low},{low},0]\nmax=[{high},{high},{high}]\nwall='m'\nfloor='m'\nceiling='m'\n")
            })
            .collect();
        let text = format!(
            "name='t'\ntitle='t'\nduration_s=10.0\n[radio]\ntier='HT20'\ncentre_mhz=2437.0\nrate_hz=20.0\n\
             [[material]]\nname='m'\nreflection=-0.3\ntransmission=0.95\n\
             [[node]]\nid=1\nat=[0,0,1]\n[[node]]\nid=2\nat=[2,1,1.5]\n{rooms}"
        );
        panels_at(&Scene::from_toml(&text).unwrap(), 0.0)
    }

    fn end(x: f64, y: f64, z: f64) -> End {
        End {
            at: Vec3::new(x, y, z),
            antenna: Antenna::Isotropic {},
        }
    }

    #[test]
    fn of_too_many_paths_the_strongest_are_kept() {
        let (panels, tx, rx) = (nested(), end(0.0, 0.0, 1.0), end(2.0, 1.0, 1.5));
        let every = all(&panels, tx, rx, 2, 0.123);
        let kept = trace(&panels, tx, rx, 2, 0.123);
        assert!(every.len() > 2 * PATHS_MAX, "{}", every.len());
        assert_eq!((kept.len(), kept[0]), (PATHS_MAX, every[0]));
        let power = |p: &Path| p.amplitude.norm_sqr();
        let weakest = kept[1..].iter().map(power).min_by(f64::total_cmp).unwrap();
        let stronger = every.iter().filter(|p| power(p) > weakest).count();
        assert!(stronger <= PATHS_MAX, "{stronger} are stronger than one that is kept");
        // With few, none is left out but those 60 dB down.
        let few = &panels[..6];
        let (kept, every) = (trace(few, tx, rx, 2, 0.123), all(few, tx, rx, 2, 0.123));
        assert!(kept.len() > 10 && every.iter().all(|p| kept.contains(p)));
    }
}
