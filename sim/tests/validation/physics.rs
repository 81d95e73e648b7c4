//! The channel against what theory says of it.

use num_complex::Complex64;
use tapline_sim::{LIGHT_M_S, Scene, Simulator, Vec3};

const CENTRE_HZ: f64 = 2.437e9;
const WAVELENGTH_M: f64 = LIGHT_M_S / CENTRE_HZ;

/// A hall of 40 x 40 x 10 m with its low corner at (-20, -20, 0), walls of `wall`, and what else is given.
fn hall(wall: &str, tier: &str, reflections: u8, rest: &str) -> Simulator {
    let text = format!(
        "name='t'\ntitle='t'\nduration_s=60.0\n\
         [radio]\ntier='{tier}'\ncentre_mhz=2437.0\nrate_hz=20.0\nreflections={reflections}\n\
         [[material]]\nname='air'\nreflection=0.0\ntransmission=1.0\n\
         [[material]]\nname='mirror'\nreflection=-0.6\ntransmission=0.3\n\
         [[room]]\nid='hall'\nmin=[-20,-20,0]\nmax=[20,20,10]\nwall='{wall}'\nfloor='air'\nceiling='air'\n{rest}"
    );
    Simulator::new(Scene::from_toml(&text).unwrap_or_else(|e| panic!("{e}")), 1).unwrap()
}

/// Isotropic nodes with ids from 1.
fn nodes(at: &[Vec3]) -> String {
    let node = |(i, p): (usize, &Vec3)| {
        format!(
            "[[node]]\nid={}\nat=[{:?},{:?},{:?}]\nantenna={{kind='isotropic'}}\n",
            i + 1,
            p.x,
            p.y,
            p.z
        )
    };
    at.iter().enumerate().map(node).collect()
}

fn db(power: f64) -> f64 {
    10.0 * libm::log10(power)
}

fn mean_power(channel: &[Complex64]) -> f64 {
    channel.iter().map(Complex64::norm_sqr).sum::<f64>() / channel.len() as f64
}

fn wrap(angle: f64) -> f64 {
    let tau = core::f64::consts::TAU;
    angle - tau * (angle / tau).round()
}

#[test]
fn free_space_loss_is_friis() {
    for d in [0.5, 1.0, 3.0, 10.0, 30.0] {
        let mut s = hall(
            "air",
            "HT40",
            2,
            &nodes(&[Vec3::new(-15.0, 0.0, 0.0), Vec3::new(d - 15.0, 0.0, 0.0)]),
        );
        let loss_db = -db(mean_power(&s.channel_at(1, 2, 0.0).unwrap()));
        // ITU-R P.525: 32.45 + 20 log f_MHz + 20 log d_km.
        let expected_db = 32.45 + 20.0 * libm::log10(2437.0) + 20.0 * libm::log10(d / 1000.0);
        assert!(
            (loss_db - expected_db).abs() < 0.01,
            "{d} m: {loss_db} dB against {expected_db} dB"
        );
    }
}

#[test]
fn the_delay_of_a_single_path_is_right_to_a_femtosecond() {
    let (a, b) = (Vec3::new(-3.1, 1.7, 0.4), Vec3::new(2.3, -0.9, 1.6));
    let mut s = hall("air", "HE40", 0, &nodes(&[a, b]));
    let channel = s.channel_at(1, 2, 0.0).unwrap();
    // Phase from the lowest to the highest tone, unwrapped tone by tone: -2 pi (488 df) tau.
    let df = 78_125.0;
    let mut phase = 0.0;
    for i in 1..channel.len() {
        phase += libm::atan2(
            (channel[i] * channel[i - 1].conj()).im,
            (channel[i] * channel[i - 1].conj()).re,
        );
    }
    let delay_s = -phase / (core::f64::consts::TAU * 488.0 * df);
    let expected_s = (b - a).length() / LIGHT_M_S;
    assert!(
        (delay_s - expected_s).abs() < 1e-15,
        "{delay_s:e} against {expected_s:e}"
    );
}

#[test]
fn reflected_paths_have_the_delays_of_their_images() {
    let (a, b) = (Vec3::new(-6.0, 3.0, 1.0), Vec3::new(5.0, -7.0, 2.0));
    let mut s = hall("mirror", "HT20", 2, &nodes(&[a, b]));
    let paths = s.paths_at(1, 2, 0.0).unwrap();
    // Four mirrors: 4 single images, and 4 * 3 double ones of which opposite walls give 4 and corners 2 * 4 candidate
    // orders, of which geometry leaves one for each corner.
    assert_eq!(paths.iter().filter(|p| p.order == 1).count(), 4);
    assert_eq!(paths.iter().filter(|p| p.order == 2).count(), 8);
    let mut images = vec![(0, b - a)];
    for twice_wall in [40.0, -40.0] {
        images.push((1, b - Vec3::new(twice_wall - a.x, a.y, a.z)));
        images.push((1, b - Vec3::new(a.x, twice_wall - a.y, a.z)));
    }
    for x in [40.0 - a.x, -40.0 - a.x] {
        for y in [40.0 - a.y, -40.0 - a.y] {
            images.push((2, b - Vec3::new(x, y, a.z)));
        }
    }
    for sign in [80.0, -80.0] {
        images.push((2, b - Vec3::new(a.x + sign, a.y, a.z)));
        images.push((2, b - Vec3::new(a.x, a.y + sign, a.z)));
    }
    assert_eq!(paths.len(), images.len());
    for (order, way) in images {
        let expected_s = way.length() / LIGHT_M_S;
        let nearest = paths
            .iter()
            .filter(|p| p.order == order)
            .map(|p| (p.delay_s - expected_s).abs())
            .min_by(f64::total_cmp)
            .unwrap();
        // Far below the 0.1 ns asked for.
        assert!(nearest < 1e-15, "order {order}, {expected_s:e} s: off by {nearest:e} s");
        let size = 0.6_f64.powi(order as i32) * WAVELENGTH_M / (4.0 * core::f64::consts::PI * way.length());
        let found = paths.iter().find(|p| (p.delay_s - expected_s).abs() < 1e-15).unwrap();
        assert!((found.amplitude.norm_sqr().sqrt() / size - 1.0).abs() < 1e-9);
    }
}

#[test]
fn two_rays_interfere_as_two_rays_do() {
    // Direct ray and one wall: |H| over distance has minima where the ways differ by whole wavelengths (the wall turns
    // the phase by 180 degrees) and maxima half a wavelength on.
    let x = |i: usize| -10.0 + 0.5 + 0.01 * i as f64;
    let mut differences = Vec::new();
    let mut powers = Vec::new();
    for i in 0..800 {
        let (a, b) = (Vec3::new(-10.5, 18.0, 0.0), Vec3::new(x(i), 18.0, 0.0));
        let mut s = hall("mirror", "HT20", 1, &nodes(&[a, b]));
        let paths = s.paths_at(1, 2, 0.0).unwrap();
        let wall = paths
            .iter()
            .find(|p| p.order == 1 && (p.points[1].y - 20.0).abs() < 1e-9)
            .unwrap();
        let direct = paths[0];
        let sum = |p: &tapline_sim::channel::paths::Path| {
            let angle = -core::f64::consts::TAU * CENTRE_HZ * p.delay_s;
            p.amplitude * Complex64::new(libm::cos(angle), libm::sin(angle))
        };
        differences.push((wall.delay_s - direct.delay_s) * CENTRE_HZ);
        powers.push((sum(&direct) + sum(wall)).norm_sqr() / direct.amplitude.norm_sqr());
    }
    let minima: Vec<usize> = (1..799)
        .filter(|i| powers[*i] < powers[i - 1] && powers[*i] < powers[i + 1] && powers[*i] < 1.0)
        .collect();
    assert!(minima.len() >= 5, "{minima:?}");
    for i in minima {
        let cycles = differences[i];
        assert!(
            (cycles - cycles.round()).abs() < 0.08,
            "minimum at a difference of {cycles} wavelengths"
        );
    }
}

#[test]
fn the_channel_is_reciprocal() {
    let person = "[[person]]\nid=1\nstart=[0.5,1.0]\n[[person.do]]\nwalk=[[4,1]]\n";
    let rest = nodes(&[Vec3::new(-2.0, 0.0, 1.2), Vec3::new(3.0, 0.3, 0.8)]) + person;
    let mut s = hall("mirror", "HT20", 2, &rest);
    for t in [0.0, 0.7, 1.9] {
        let (there, back) = (s.channel_at(1, 2, t).unwrap(), s.channel_at(2, 1, t).unwrap());
        for (a, b) in there.iter().zip(&back) {
            assert!(
                (a - b).norm_sqr().sqrt() < 1e-12 * a.norm_sqr().sqrt().max(1e-9),
                "{a} {b}"
            );
        }
    }
}

#[test]
fn neighbouring_antennas_differ_by_the_phase_of_the_angle_of_arrival() {
    // A line of four along y, half a wavelength apart, 30 m from the transmitter: the wave is plane to within 0.01 rad.
    let spacing_m = 0.5 * WAVELENGTH_M;
    let offset_m = |antenna: usize| spacing_m * (antenna as f64 - 1.5);
    let places: Vec<[f64; 2]> = (0..4).map(|antenna| [0.0, offset_m(antenna)]).collect();
    let tx = Vec3::new(-15.0, 0.0, 1.0);
    for angle_deg in [-35.0, -10.0, 0.0, 20.0, 35.0_f64] {
        let angle = angle_deg.to_radians();
        let rx = tx + Vec3::new(libm::cos(angle), -libm::sin(angle), 0.0) * 30.0;
        let mut s = hall(
            "air",
            "HT20",
            0,
            &(nodes(&[tx, rx]) + &format!("antennas_m={places:?}\n")),
        );
        let channel = s.channel_at(1, 2, 0.0).unwrap();
        let antennas: Vec<&[Complex64]> = channel.chunks_exact(52).collect();
        assert_eq!(antennas.len(), 4);
        // Seen from the array the transmitter is `angle` from broadside towards +y; the lowest tone is number -26.
        let expected =
            core::f64::consts::TAU * spacing_m * libm::sin(angle) * (CENTRE_HZ - 26.0 * 312_500.0) / LIGHT_M_S;
        for pair in antennas.windows(2) {
            let step = pair[1][0] * pair[0][0].conj();
            let found = libm::atan2(step.im, step.re);
            assert!(
                wrap(found - expected).abs() < 0.015,
                "{angle_deg}: {found} against {expected}"
            );
        }
        // The first antenna sends, from its own place.
        let back = s.channel_at(2, 1, 0.0).unwrap();
        assert_eq!(back, antennas[0]);
        let from = s.paths_at(2, 1, 0.0).unwrap()[0].delay_s * LIGHT_M_S;
        let first = rx + Vec3::new(0.0, offset_m(0), 0.0);
        assert!((from - (first - tx).length()).abs() < 1e-9, "{from} m");
    }
}

#[test]
fn doppler_is_the_rate_of_the_way_over_the_body() {
    // A person walks along x at 1.2 m/s, well beside the link; bistatic Doppler of the trunk is -(dL/dt) / lambda.
    let (tx, rx) = (Vec3::new(-6.0, 0.0, 1.2), Vec3::new(-6.0, 2.0, 1.2));
    let person = "[[person]]\nid=1\nstart=[-4.0,5.0]\nbreath_mm=0.0\n[[person.do]]\nwalk=[[12.0,5.0]]\nspeed_m_s=1.2\n";
    let mut s = hall("air", "HT20", 0, &(nodes(&[tx, rx]) + person));
    let (begin_s, n, rate_hz) = (4.0, 256, 256.0);
    let still = {
        let mut empty = hall("air", "HT20", 0, &nodes(&[tx, rx]));
        empty.channel_at(1, 2, 0.0).unwrap()
    };
    let signal: Vec<Complex64> = (0..n)
        .map(|i| s.channel_at(1, 2, begin_s + f64::from(i) / rate_hz).unwrap()[26] - still[26])
        .collect();
    // Spectrum by the definition, Hann window, 0.25 Hz steps.
    let power_at = |f: f64| {
        let sum: Complex64 = signal
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let phase = -core::f64::consts::TAU * f * i as f64 / rate_hz;
                let window = 0.5 - 0.5 * libm::cos(core::f64::consts::TAU * i as f64 / f64::from(n));
                v * Complex64::new(libm::cos(phase), libm::sin(phase)) * window
            })
            .sum();
        sum.norm_sqr()
    };
    let peak_hz = (-160..=160)
        .map(|i| f64::from(i) * 0.25)
        .max_by(|a, b| power_at(*a).total_cmp(&power_at(*b)))
        .unwrap();
    let middle_s = begin_s + 0.5 * f64::from(n) / rate_hz;
    let way = |t: f64| {
        let at = s.bodies_at(t)[0].segments[1].at;
        (at - tx).length() + (at - rx).length()
    };
    let expected_hz = -(way(middle_s + 0.25) - way(middle_s - 0.25)) / 0.5 / WAVELENGTH_M;
    assert!(expected_hz < -12.0, "{expected_hz}");
    // A window of one second resolves about 2 Hz, and limbs spread the line.
    assert!(
        (peak_hz - expected_hz).abs() < 1.5,
        "{peak_hz} Hz against {expected_hz} Hz"
    );
}

/// Level in dB against the empty hall of a 5 m link, for a person standing `y` metres beside its middle.
fn beside_link(y: f64) -> f64 {
    let ends = nodes(&[Vec3::new(-2.5, 0.0, 1.2), Vec3::new(2.5, 0.0, 1.2)]);
    let person = format!("[[person]]\nid=1\nstart=[0.0,{y:?}]\nfacing_deg=90.0\nbreath_mm=0.0\n");
    let level = |rest: &str| mean_power(&hall("air", "HT20", 0, rest).channel_at(1, 2, 1.0).unwrap());
    db(level(&(ends.clone() + &person)) / level(&ends))
}

#[test]
fn a_body_counts_within_the_first_fresnel_zone_and_ripples_outside() {
    // First zone at the middle: sqrt(lambda d / 4) = 0.392 m.
    let on_line = beside_link(0.0);
    assert!((-12.0..-4.0).contains(&on_line), "{on_line} dB");
    // Clear of it by a whole zone the direct path is back to within the ripple of scattering.
    for i in 0..20 {
        let y = 1.1 + 0.1 * f64::from(i);
        let level = beside_link(y);
        assert!(level.abs() < 3.0, "{y} m: {level} dB");
    }
    assert!((beside_link(0.35) - beside_link(-0.35)).abs() < 0.2);
}

#[test]
fn crossing_fresnel_zones_makes_one_ripple_for_two_zones() {
    // Zone n ends where the way over the body is n half wavelengths longer; a ripple is a whole wavelength.
    let level: Vec<(f64, f64)> = (0..400)
        .map(|i| 0.9 + 0.005 * f64::from(i))
        .map(|y| (y, beside_link(y)))
        .collect();
    let peaks: Vec<f64> = level
        .windows(3)
        .filter(|w| w[1].1 > w[0].1 && w[1].1 > w[2].1)
        .map(|w| w[1].0)
        .collect();
    // The chest's surface stands a little nearer than its middle.
    let way = |y: f64| 2.0 * (2.5_f64 * 2.5 + (y - 0.13) * (y - 0.13)).sqrt() / WAVELENGTH_M;
    assert!(peaks.len() >= 5, "{peaks:?}");
    let cycles: Vec<f64> = peaks.windows(2).map(|w| way(w[1]) - way(w[0])).collect();
    let mean = cycles.iter().sum::<f64>() / cycles.len() as f64;
    assert!(
        (mean - 1.0).abs() < 0.15,
        "wavelengths between peaks {cycles:?}, mean {mean}"
    );
}

#[test]
fn breathing_shows_at_the_breathing_rate() {
    let ends = nodes(&[Vec3::new(-2.5, 0.0, 1.2), Vec3::new(2.5, 0.0, 1.2)]);
    let person = "[[person]]\nid=1\nstart=[0.0,1.3]\nfacing_deg=-90.0\nbreaths_min=15.0\nbreath_mm=8.0\n";
    let mut s = hall("air", "HT20", 0, &(ends + person));
    let phases: Vec<f64> = (0..400)
        .map(|i| {
            let h = s.channel_at(1, 2, f64::from(i) * 0.1).unwrap()[0];
            libm::atan2(h.im, h.re)
        })
        .collect();
    let first = phases[0];
    let mean = phases.iter().map(|p| wrap(p - first)).sum::<f64>() / 400.0;
    let at = |breaths_min: f64| {
        let sum: Complex64 = phases
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let angle = core::f64::consts::TAU * breaths_min / 60.0 * 0.1 * i as f64;
                Complex64::new(libm::cos(angle), libm::sin(angle)) * (wrap(p - first) - mean)
            })
            .sum();
        sum.norm_sqr().sqrt() / 200.0
    };
    assert!(at(15.0) > 1e-3, "{} rad", at(15.0));
    for other in [9.0, 12.0, 18.0, 22.5] {
        assert!(at(15.0) > 10.0 * at(other), "{other}: {} {}", at(15.0), at(other));
    }
}

#[test]
fn noise_is_thermal() {
    // Two transmissions of an empty hall differ by noise alone when the transmitter is perfect.
    let quiet = "evm_db=-100.0\nphase_noise_deg=0.0\ntiming_sigma_ns=0.0\nagc_sigma_db=0.0\nagc_step_db=0.01\n";
    let node = |id: u32, x: f64| {
        format!("[[node]]\nid={id}\nat=[{x:?},0,0]\nantenna={{kind='isotropic'}}\nnoise_figure_db=6.0\n{quiet}")
    };
    let rest = node(1, -15.0) + &node(2, 15.0);
    let mut s = hall("air", "HT20", 0, &rest);
    let (mut datagram, mut noise, mut signal) = (Vec::new(), 0.0, 0.0);
    let mut last: Option<Vec<Complex64>> = None;
    while s.next_datagram(&mut datagram).is_some() {
        let Ok(tapline_wire::Datagram::Csi(frame)) = tapline_wire::parse(&datagram) else {
            panic!()
        };
        if frame.rx_node != 2 {
            continue;
        }
        let tones: Vec<Complex64> = (0..64)
            .filter(|b| (1..=26).contains(b) || *b >= 64 - 26)
            .map(|b| {
                let word = |i: usize| f64::from(i16::from_le_bytes([frame.samples[i], frame.samples[i + 1]]));
                Complex64::new(word(4 * b), word(4 * b + 2))
            })
            .collect();
        if let Some(last) = &last {
            // Fit the common complex factor, then what is left is the noise of two frames.
            let (mut cross, mut power) = (Complex64::default(), 0.0);
            for (a, b) in last.iter().zip(&tones) {
                cross += b * a.conj();
                power += a.norm_sqr();
            }
            let factor = cross / power;
            for (a, b) in last.iter().zip(&tones) {
                noise += (b - a * factor).norm_sqr() / 2.0;
                signal += b.norm_sqr();
            }
        }
        last = Some(tones);
    }
    // 15 dBm over 52 tones, 30 m: 69.7 dB loss; noise -174 + 10 log 312500 + 6.
    let loss_db = 32.45 + 20.0 * libm::log10(2437.0) + 20.0 * libm::log10(0.030);
    let expected_db = 15.0 - 10.0 * libm::log10(52.0) - loss_db - (-173.975 + 10.0 * libm::log10(312_500.0) + 6.0);
    let found_db = db(signal / noise);
    assert!(
        (found_db - expected_db).abs() < 0.3,
        "SNR {found_db} dB against {expected_db} dB"
    );
}
