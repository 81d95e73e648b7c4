//! A room with four arrays, and spectra by the law that the filter believes.

use super::*;
use crate::bearing::{DELAYS, DIMENSIONS_MAX, RATES, TURN_TICKS};

const WAVELENGTH_M: f32 = 0.123;
const NODES: [[f32; 2]; 4] = [[0.2, 0.2], [5.8, 0.2], [5.8, 4.8], [0.2, 4.8]];
const OUTLINE: [[f32; 2]; 4] = [[0.0, 0.0], [6.0, 0.0], [6.0, 5.0], [0.0, 5.0]];
const DOOR: Entrance = Entrance {
    at_m: [6.0, 2.5],
    width_m: 0.9,
};

/// Lines of four, half a wavelength apart, across the direction to the middle.
fn antennas() -> Vec<Antenna> {
    let line = |(node, [x, y]): (usize, [f32; 2])| {
        let (dx, dy) = (3.0 - x, 2.5 - y);
        let length = (dx * dx + dy * dy).sqrt();
        (0..4).map(move |antenna| {
            let off = (antenna as f32 - 1.5) * 0.5 * WAVELENGTH_M;
            Antenna {
                node: node as u32 + 1,
                antenna,
                at_m: [x - dy / length * off, y + dx / length * off],
            }
        })
    };
    NODES.into_iter().enumerate().flat_map(line).collect()
}

/// Angle of a receive chain, radians; of the first antenna's none.
fn chain_rad(node: u32, antenna: usize) -> f32 {
    (1.7 * node as f32 + 2.3) * antenna as f32
}

/// The links whose turn it is, and their spectra: noise, and what those people leave, turned by the chains of the receivers.
fn see(tick: u64, people: &[([f32; 2], [f32; 2])], numbers: &mut Sequence) -> (Vec<ArrayLink>, Vec<f32>) {
    let basis = DelayBasis::new(Tier::Ht40);
    let all = antennas();
    let at = |node: u32, antenna: u32| all[(4 * (node - 1) + antenna) as usize].at_m;
    let ends = (1..=4_u32).flat_map(|tx| (1..=4).filter(move |rx| *rx != tx).map(move |rx| (tx, rx)));
    let (mut links, mut spectra) = (Vec::new(), Vec::new());
    for (_, (tx, rx)) in ends
        .enumerate()
        .filter(|(i, _)| (*i as u64 + tick).is_multiple_of(TURN_TICKS))
    {
        let link = ArrayLink {
            tx,
            rx,
            antennas: 4,
            tier: Tier::Ht40,
            wavelength_m: WAVELENGTH_M,
            period_m_s: 25.0 * WAVELENGTH_M,
            noise: 2e-3,
        };
        let geometry = Link {
            tx_m: at(tx, 0),
            rx_m: core::array::from_fn(|a| at(rx, a as u32)),
            antennas: 4,
            wavelength_m: link.wavelength_m,
            period_m_s: link.period_m_s,
            noise: link.noise,
            profile: Profile::new(link.period_m_s),
        };
        let mut x = [[[0.0; RATES]; 2]; DIMENSIONS_MAX];
        for part in x.as_flattened_mut().as_flattened_mut() {
            *part = 0.7 * numbers.normal();
        }
        for (place, velocity) in people {
            let echo = geometry.echo(&basis, *place, *velocity);
            for rate in 0..RATES {
                let (along, _) = geometry.profile.at(&echo, rate);
                let strength = (0.5 * echo.law * along.to_array()[0]).sqrt();
                let (re, im) = (strength * numbers.normal(), strength * numbers.normal());
                for (d, (x, [v_re, v_im])) in x.iter_mut().zip(&echo.v).enumerate() {
                    let chain = chain_rad(rx, d / DELAYS);
                    let (cosine, sine) = (detmath::cos(chain), detmath::sin(chain));
                    let (re, im) = (re * cosine - im * sine, re * sine + im * cosine);
                    x[0][rate] += re * v_re - im * v_im;
                    x[1][rate] += re * v_im + im * v_re;
                }
            }
        }
        links.push(link);
        spectra.extend_from_slice(x.as_flattened().as_flattened());
    }
    (links, spectra)
}

fn step(joint: &mut Joint, links: &[ArrayLink], spectra: &[f32]) -> bool {
    step_in(joint, links, spectra, 0.0)
}

fn step_in(joint: &mut Joint, links: &[ArrayLink], spectra: &[f32], vacancy: f32) -> bool {
    joint.set_room(OUTLINE.into_iter(), [DOOR].into_iter());
    joint.step(&JointCycle {
        step_s: 0.05,
        accept: true,
        antennas: antennas().into_iter(),
        links,
        spectra,
        vacancy,
    })
}

fn new() -> Joint {
    Joint::new(TrackerConfig::default(), JointConfig::default())
}

/// Two who come in one after the other and walk on different ways.
fn walkers(t: f32) -> Vec<([f32; 2], [f32; 2])> {
    let mut people = Vec::new();
    if t < 10.0 {
        people.push(([6.2 - 0.5 * t, 2.4 - 0.1 * t], [-0.5, -0.1]));
    }
    if (4.0..10.0).contains(&t) {
        let u = t - 4.0;
        people.push(([6.2 - 0.45 * u, 2.6 + 0.3 * u], [-0.45, 0.3]));
    }
    people
}

#[test]
fn two_who_walk_at_once_are_followed_each_where_it_is() {
    let mut joint = new();
    let mut numbers = Sequence::new(5);
    let mut ids = Vec::new();
    for tick in 0..200 {
        let people = walkers(0.05 * tick as f32);
        let (links, spectra) = see(tick, &people, &mut numbers);
        step(&mut joint, &links, &spectra);
        if tick > 170 {
            let active: Vec<_> = joint.tracks().iter().filter(|t| t.life == Life::Active).collect();
            assert_eq!(active.len(), 2, "tick {tick}");
            for (place, _) in people {
                let off = |t: &Track| {
                    let [dx, dy] = [0, 1].map(|axis| t.kalman.mean[axis] as f32 - place[axis]);
                    (dx * dx + dy * dy).sqrt()
                };
                let nearest = active.iter().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap();
                assert!(off(nearest) < 0.6, "tick {tick}: {} m", off(nearest));
            }
            ids.push([active[0].id, active[1].id]);
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Their walks have told the chains.
    assert!(joint.ready());
    for node in 1..=4 {
        for (antenna, [re, im]) in joint.chains.back(node).into_iter().enumerate() {
            let turn = detmath::atan2(im, re) + chain_rad(node, antenna);
            let off = turn - core::f32::consts::TAU * (turn / core::f32::consts::TAU).round();
            assert!(off.abs() < 0.4, "node {node}, antenna {antenna}: {off} rad");
        }
    }
}

/// In by the door, then round and round: place and velocity.
fn round(t: f32) -> ([f32; 2], [f32; 2]) {
    let (sine, cosine) = (detmath::sin(0.5 * (t - 2.0)), detmath::cos(0.5 * (t - 2.0)));
    if t < 2.0 {
        ([5.9 - 0.65 * t, 2.5], [-0.65, 0.0])
    } else {
        ([3.0 + 1.6 * cosine, 2.5 + 1.6 * sine], [-0.8 * sine, 0.8 * cosine])
    }
}

/// Chains as people would have taught them who were taken for standing `off_m` from where they are.
fn taught(off_m: [f32; 2]) -> Chains {
    let mut chains = Chains::default();
    let mut numbers = Sequence::new(10);
    for tick in 40..440 {
        let (place, velocity) = round(0.05 * tick as f32);
        let (links, spectra) = see(tick, &[(place, velocity)], &mut numbers);
        let mut joint = Joint {
            chains: chains.clone(),
            ..new()
        };
        step(&mut joint, &links, &spectra);
        for seen in joint.seen.iter().filter(|s| s.link.antennas > 1) {
            let at = [place[0] + off_m[0], place[1] + off_m[1]];
            let echo = seen.link.echo(&joint.bases[seen.basis].1, at, velocity);
            let ahead = law::ahead(&seen.window, &seen.link, &echo);
            let unit = ahead.map(|[re, im]| [re, im].map(|v| v / detmath::max((re * re + im * im).sqrt(), 1e-6)));
            chains.learn((joint.known[seen.id][1], 4), &unit);
        }
    }
    chains
}

/// Directions alone would bear chains out for ever by which everybody is found 0.4 m to the north-west.
#[test]
fn chains_that_move_everybody_are_found_out() {
    let mut joint = Joint {
        chains: taught([-0.3, 0.25]),
        ..new()
    };
    let mut numbers = Sequence::new(11);
    let mut off_m = Vec::new();
    for tick in 0..1100 {
        let (place, velocity) = round(0.05 * tick as f32);
        let (links, spectra) = see(tick, &[(place, velocity)], &mut numbers);
        step(&mut joint, &links, &spectra);
        off_m.extend(
            joint
                .tracks()
                .first()
                .map(|t| [0, 1].map(|axis| t.kalman.mean[axis] as f32 - place[axis])),
        );
    }
    let length = |of: &[[f32; 2]]| {
        let [x, y] = [0, 1].map(|axis| of.iter().map(|o| o[axis]).sum::<f32>() / of.len() as f32);
        (x * x + y * y).sqrt()
    };
    let (first, last) = (length(&off_m[..40]), length(&off_m[off_m.len() - 300..]));
    assert!(first > 0.2 && last < 0.1, "{first} m, then {last} m");
}

/// Another filter counted up to now: whom both know keeps its id, others have ids that nobody had.
#[test]
fn who_leads_from_now_on_keeps_the_first_person_s_id() {
    let mut joint = new();
    let mut numbers = Sequence::new(5);
    for tick in 0..180 {
        let (links, spectra) = see(tick, &walkers(0.05 * tick as f32), &mut numbers);
        step(&mut joint, &links, &spectra);
    }
    assert!(!joint.engaged());
    let ids = |joint: &Joint| joint.tracks().iter().map(|t| t.id).collect::<Vec<_>>();
    assert_eq!(ids(&joint), [1, 2]);
    let there = |id: u64, of: &Track| Track { id, ..*of };
    let mut away = there(9, &joint.tracks()[0]);
    away.kalman.mean[0] += 1.5;
    let mut strangers = joint.clone();
    strangers.lead(&[away]);
    assert_eq!((ids(&strangers), strangers.engaged()), (vec![10, 11], true));
    let before = [there(4, &joint.tracks()[0]), there(7, &joint.tracks()[1])];
    joint.lead(&before);
    assert_eq!(ids(&joint), [4, 8]);
}

#[test]
fn noise_makes_nobody() {
    let mut joint = new();
    let mut numbers = Sequence::new(6);
    for tick in 0..600 {
        let (links, spectra) = see(tick, &[], &mut numbers);
        step(&mut joint, &links, &spectra);
        assert!(joint.tracks().is_empty(), "tick {tick}");
    }
    assert!(joint.turn_s >= 0.0 && !joint.ready());
}

#[test]
fn going_on_from_a_state_gives_the_same_bits() {
    let mut joint = new();
    let mut numbers = Sequence::new(7);
    let mut other = None;
    for tick in 0..160 {
        let (links, spectra) = see(tick, &walkers(0.05 * tick as f32), &mut numbers);
        step(&mut joint, &links, &spectra);
        if tick == 101 {
            let mut blob = Vec::new();
            joint.export_state(&mut blob).unwrap();
            for cut in [0, 7, blob.len() / 2, blob.len() - 1] {
                assert!(new().import_state(&blob[..cut]).is_err());
            }
            let mut restored = new();
            restored.import_state(&blob).unwrap();
            assert_eq!(joint.tracks().len(), restored.tracks().len());
            other = Some(restored);
        } else if let Some(other) = &mut other {
            step(other, &links, &spectra);
            let [mut a, mut b] = [Vec::new(), Vec::new()];
            joint.export_state(&mut a).unwrap();
            other.export_state(&mut b).unwrap();
            assert_eq!(a, b, "tick {tick}");
        }
    }
    assert!(!joint.tracks().is_empty());
}

/// People who are gone leave nothing that a state taken between two visits would lack.
#[test]
fn going_on_from_an_empty_room_gives_the_same_bits() {
    let mut joint = new();
    let mut numbers = Sequence::new(7);
    let mut other: Option<Joint> = None;
    let mut visits = [0; 2];
    for tick in 0..660 {
        let t = 0.05 * tick as f32;
        let people = walkers(if t < 20.0 { t } else { t - 20.0 });
        let vacancy = if people.is_empty() { 5.0 } else { 0.0 };
        let (links, spectra) = see(tick, &people, &mut numbers);
        // Spectra that are missing for a while, so that a turn ends without new ones.
        let links = if tick % 50 < 3 { &links[..0] } else { &links[..] };
        let spectra = if links.is_empty() { &spectra[..0] } else { &spectra[..] };
        step_in(&mut joint, links, spectra, vacancy);
        visits[usize::from(t > 20.0)] = visits[usize::from(t > 20.0)].max(joint.tracks().len());
        if tick == 390 || tick == 601 {
            assert_eq!(joint.tracks().is_empty(), tick == 390);
            let mut blob = Vec::new();
            joint.export_state(&mut blob).unwrap();
            let mut restored = new();
            restored.import_state(&blob).unwrap();
            other = Some(restored);
        } else if let Some(other) = &mut other {
            step_in(other, links, spectra, vacancy);
            let [mut a, mut b] = [Vec::new(), Vec::new()];
            joint.export_state(&mut a).unwrap();
            other.export_state(&mut b).unwrap();
            assert!(a == b, "tick {tick}");
        }
    }
    assert!(visits[0] > 0 && visits[1] > 0, "{visits:?}");
}

#[test]
fn links_of_nonsense_are_left_out() {
    let mut joint = new();
    let mut numbers = Sequence::new(8);
    let (links, spectra) = see(0, &[], &mut numbers);
    type Spoil = fn(&mut ArrayLink, &mut Vec<f32>);
    let spoils: [Spoil; 6] = [
        |l, _| l.antennas = 0,
        |l, _| l.antennas = 9_000,
        |l, _| l.rx = 77,
        |l, _| l.wavelength_m = f32::NAN,
        |l, _| l.period_m_s = 0.0,
        |_, s| s.fill(f32::INFINITY),
    ];
    for spoil in spoils {
        let (mut links, mut spectra) = (links.clone(), spectra.clone());
        links.iter_mut().for_each(|l| spoil(l, &mut spectra));
        step(&mut joint, &links, &spectra);
        assert!(joint.seen.is_empty());
    }
}

/// The window's law against the same thing by a dense matrix: `-ln det S - (M + 1) ln(1 + x^H S^-1 x)`, at one rate.
#[test]
fn one_body_s_law_is_the_formula() {
    let mut numbers = Sequence::new(9);
    let (links, spectra) = see(0, &[([2.0, 2.0], [0.5, 0.3])], &mut numbers);
    let mut joint = new();
    step(&mut joint, &links, &spectra);
    // The array, after its antennas one by one.
    let seen = &joint.seen[4];
    assert_eq!(
        (seen.link.antennas, seen.says, joint.seen[3].says),
        (4, Says::Chains, Says::Where)
    );
    let basis = &joint.bases[seen.basis].1;
    let echo = seen.link.echo(basis, [2.0, 2.0], [0.5, 0.3]);
    let gain = 0.7_f32;
    let (found, _) = law::nats(&seen.window, &seen.link, &[(&echo, true, law::Gain::Known(gain))], 1.0);
    let spectrum = &spectra[..SPECTRUM];
    let mut expected = 0.0;
    let m = (4 * DELAYS) as f64;
    let total: f64 = spectrum.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let noise = 1.0 + 0.1 * total / (m * RATES as f64);
    for step in -3..=4 {
        let rate = (echo.rate + step).rem_euclid(RATES as i32) as usize;
        let (along, around) = seen.link.profile.at(&echo, rate);
        let g = f64::from(gain * echo.law);
        let (along, around) = (along.to_array()[0], around.to_array()[0]);
        let a = noise + g * f64::from(around);
        let (mut power, mut re, mut im) = (0.0, 0.0, 0.0);
        for (d, [v_re, v_im]) in echo.v.iter().enumerate() {
            let [x, y] = [0, 1].map(|part| f64::from(spectrum[(2 * d + part) * RATES + rate]));
            power += x * x + y * y;
            re += f64::from(*v_re) * x + f64::from(*v_im) * y;
            im += f64::from(*v_re) * y - f64::from(*v_im) * x;
        }
        let w = g * f64::from(along) / a;
        let det = 1.0 + w * f64::from(echo.length2);
        let form = (power - w * (re * re + im * im) / det) / a;
        expected += -m * a.ln() - det.ln() - (m + 1.0) * (1.0 + form).ln();
        expected -= -m * noise.ln() - (m + 1.0) * (1.0 + power / noise).ln();
    }
    assert!(
        (f64::from(found) - expected).abs() < 0.05 + 1e-3 * expected.abs(),
        "{found} {expected}"
    );
}
