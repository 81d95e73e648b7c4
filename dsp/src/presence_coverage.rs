//! Which links see an area: the share of a link's first Fresnel zone that lies inside the area's outline.
//!
//! Seen from above the zone is the ellipse with the two nodes as foci and `lambda / 2` of excess path. A body outside
//! it changes the link little, so a link covers an area where the two overlap.

/// Overlap below which a link says nothing about an area.
pub const SHARE_MIN: f32 = 0.02;

const SPEED_OF_LIGHT: f32 = 299_792_458.0;
const ALONG: usize = 48;
const ACROSS: usize = 5;

/// True when `point` lies inside the polygon (even-odd rule).
pub fn inside(polygon: &[[f32; 2]], point: [f32; 2]) -> bool {
    let [x, y] = point;
    let mut odd = false;
    for i in 0..polygon.len() {
        let ([x1, y1], [x2, y2]) = (polygon[i], polygon[(i + 1) % polygon.len()]);
        if (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1 {
            odd = !odd;
        }
    }
    odd
}

/// Share of the first Fresnel zone between two nodes that lies inside the polygon, 0 to 1.
pub fn fresnel_share(a: [f32; 2], b: [f32; 2], wavelength_m: f32, polygon: &[[f32; 2]]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let distance = (dx * dx + dy * dy).sqrt();
    let long = distance + 0.5 * wavelength_m;
    let half_width = 0.5 * (long * long - distance * distance).sqrt();
    let (ux, uy) = if distance > 0.0 {
        (dx / distance, dy / distance)
    } else {
        (1.0, 0.0)
    };
    let middle = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
    let mut hits = 0_u32;
    for i in 0..ALONG {
        // Sample points fill the ellipse evenly along its axis; across, in proportion to its width there.
        let u = (i as f32 + 0.5) / ALONG as f32 * 2.0 - 1.0;
        let width = half_width * (1.0 - u * u).sqrt();
        for j in 0..ACROSS {
            let v = ((j as f32 + 0.5) / ACROSS as f32 * 2.0 - 1.0) * width;
            let along = u * 0.5 * long;
            let point = [middle[0] + along * ux - v * uy, middle[1] + along * uy + v * ux];
            hits += u32::from(inside(polygon, point));
        }
    }
    hits as f32 / (ALONG * ACROSS) as f32
}

/// Wavelength of a carrier, metres.
pub fn wavelength_m(centre_khz: u32) -> f32 {
    SPEED_OF_LIGHT / (centre_khz.max(1) as f32 * 1e3)
}

/// Carrier of a channel number where only that is known, kHz: 5 GHz Wi-Fi from 36, else the 2.4 GHz band, whose
/// channels (802.11 and 802.15.4) lie within 2 % of each other.
pub fn channel_khz(channel: u16) -> u32 {
    match channel {
        36..=200 => 5_000_000 + 5_000 * u32::from(channel),
        _ => 2_440_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: [[f32; 2]; 4] = [[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]];

    #[test]
    fn inside_and_outside() {
        assert!(inside(&ROOM, [2.0, 1.5]));
        assert!(!inside(&ROOM, [5.0, 1.5]) && !inside(&ROOM, [2.0, -0.1]) && !inside(&[], [0.0, 0.0]));
        let corner_missing = [[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [2.0, 2.0], [2.0, 4.0], [0.0, 4.0]];
        assert!(inside(&corner_missing, [1.0, 3.0]) && inside(&corner_missing, [3.0, 1.0]));
        assert!(!inside(&corner_missing, [3.0, 3.0]) && !inside(&corner_missing, [-1.0, 1.0]));
    }

    #[test]
    fn shares_follow_geometry() {
        let lambda = wavelength_m(2_437_000);
        assert!((lambda - 0.123).abs() < 1e-3);
        let across = |y: f32| fresnel_share([-4.0, y], [8.0, y], lambda, &ROOM);
        // A third of the link runs through the room.
        assert!((across(1.5) - 1.0 / 3.0).abs() < 0.03, "{}", across(1.5));
        assert_eq!(across(9.0), 0.0);
        assert!(across(3.1) > 0.0, "the zone reaches over the wall");
        assert_eq!(fresnel_share([1.0, 1.0], [3.0, 2.0], lambda, &ROOM), 1.0);
    }
}
