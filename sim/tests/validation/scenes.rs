//! The built-in scenes: people keep to what people can do, and each scene shows what it is for.

use std::collections::BTreeMap;

use tapline_sim::{Emission, Scene, Simulator, Truth, scene::Format};
use tapline_wire::{CsiFrame, Datagram, parse};

const STEP_S: f64 = 0.05;

fn simulator(name: &str) -> Simulator {
    Simulator::new(Scene::builtin(name).unwrap(), 11).unwrap()
}

fn shortened(name: &str, duration_s: f64) -> Simulator {
    let mut scene = Scene::builtin(name).unwrap();
    scene.duration_s = duration_s;
    Simulator::new(scene, 11).unwrap()
}

fn truths(simulator: &Simulator) -> Vec<Truth> {
    let n = (simulator.duration_s() / STEP_S) as u32;
    (0..n).map(|i| simulator.truth_at(f64::from(i) * STEP_S)).collect()
}

fn datagrams(mut simulator: Simulator) -> Vec<(Emission, Vec<u8>)> {
    let (mut all, mut datagram) = (Vec::new(), Vec::new());
    while let Some(emission) = simulator.next_datagram(&mut datagram) {
        all.push((emission, datagram.clone()));
    }
    all
}

fn csi(bytes: &[u8]) -> CsiFrame<'_> {
    match parse(bytes) {
        Ok(Datagram::Csi(frame)) => frame,
        other => panic!("expected a CSI frame, found {other:?}"),
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    (dx * dx + dy * dy).sqrt()
}

#[test]
fn people_move_as_people_do_and_use_doors() {
    for name in Scene::names() {
        let s = simulator(name);
        let scene = s.scene();
        let mut last: BTreeMap<u32, ([f64; 2], Option<String>)> = BTreeMap::new();
        for truth in truths(&s) {
            for p in &truth.people {
                let [x, y] = p.position_m;
                for f in &scene.furniture {
                    let within = x > f.min.x && x < f.max.x && y > f.min.y && y < f.max.y;
                    assert!(!within, "{name}: {} walks through {} at {} s", p.id, f.id, truth.t_s);
                }
                for [jx, jy, jz] in p.joints_m {
                    assert!(
                        distance([jx, jy], p.position_m) < 1.1 && (0.0..2.2).contains(&jz),
                        "{name}: {jx} {jy} {jz}"
                    );
                }
                if let Some((before, room)) = last.insert(p.id, (p.position_m, p.room.clone())) {
                    let speed = distance(before, p.position_m) / STEP_S;
                    assert!(speed < 1.4, "{name}: {} goes at {speed} m/s", p.id);
                    let told = distance(p.velocity_m_s, [0.0, 0.0]);
                    assert!(
                        (speed - told).abs() < 0.15,
                        "{name}: {speed} m/s, told {told} m/s at {} s",
                        truth.t_s
                    );
                    assert!(told < 0.05 || p.moving);
                    if room != p.room {
                        let nearest = scene
                            .door
                            .iter()
                            .map(|d| (distance(d.at, p.position_m), d.width_m))
                            .min_by(|a, b| a.0.total_cmp(&b.0));
                        assert!(
                            nearest.is_some_and(|(d, width)| d < width / 2.0 + 0.1),
                            "{name}: through the wall at {x}, {y}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn every_scene_sends_frames_that_parse_at_its_rate() {
    for name in Scene::names() {
        let s = shortened(name, 2.0);
        let (format, tier) = (s.scene().radio.format, s.scene().radio.tier);
        let network = s.scene().radio.network.clone();
        let expected = s.site_config().links.len() as f64 * s.scene().radio.rate_hz * 2.0;
        let all = datagrams(s);
        let share = all.len() as f64 / expected;
        assert!(
            (share - (1.0 - network.loss) * (1.0 - network.miss)).abs() < 0.06,
            "{name}: {share}"
        );
        for (emission, bytes) in &all {
            let frame = csi(bytes);
            assert_eq!(frame.rx_node, emission.node);
            assert_eq!(frame.simulated, format == Format::Tlf1, "ADR-018 has no such flag");
            assert_eq!(frame.own_tier(), Some(tier), "{name}");
        }
    }
}

#[test]
fn tones_in_a_datagram_are_those_of_the_channel() {
    // A clean radio: what the parser takes out of the frame is the channel, but for one complex factor and a slope.
    let mut s = shortened("six-nodes-he40", 0.2);
    let all = datagrams(shortened("six-nodes-he40", 0.2));
    let frame = csi(&all[0].1);
    let tier = s.scene().radio.tier;
    let mut tones = vec![num_complex::Complex32::default(); tier.tones()];
    let mut mask = vec![0; tier.tones()];
    frame
        .tones(0, tapline_wire::BinLayout::Auto, tier, &mut tones, &mut mask)
        .unwrap();
    assert!(mask.iter().all(|m| *m == 1));
    let truth = s.channel_at(frame.tx_node.unwrap(), frame.rx_node, 0.0).unwrap();
    let ratio: Vec<_> = tones
        .iter()
        .zip(&truth)
        .map(|(m, h)| num_complex::Complex64::new(f64::from(m.re), f64::from(m.im)) / h)
        .collect();
    let steps: num_complex::Complex64 = ratio.windows(2).map(|w| w[1] * w[0].conj()).sum();
    let turn = steps / steps.norm_sqr().sqrt();
    let (mut slope, mut sum, mut power) = (
        num_complex::Complex64::new(1.0, 0.0),
        num_complex::Complex64::default(),
        0.0,
    );
    for (i, r) in ratio.iter().enumerate() {
        // The gap around the carrier has no tones: index -3 is followed by +3.
        if i == tier.tones() / 2 {
            (0..5).for_each(|_| slope *= turn);
        }
        sum += r * slope.conj();
        power += r.norm_sqr();
        slope *= turn;
    }
    let coherence = sum.norm_sqr() / (power * ratio.len() as f64);
    assert!(coherence > 0.995, "coherence {coherence}");
}

#[test]
fn a_frame_of_an_array_has_the_channel_of_each_antenna() {
    let mut s = shortened("two-crossing-arrays", 0.2);
    let all = datagrams(shortened("two-crossing-arrays", 0.2));
    assert!(all[0].1.len() < 1472, "more than an Ethernet frame holds");
    let tier = s.scene().radio.tier;
    // What one node's antennas do to three other nodes' frames.
    let mut chains: Vec<[num_complex::Complex64; 3]> = Vec::new();
    for (_, bytes) in &all {
        let frame = csi(bytes);
        assert_eq!((frame.rx_antennas, frame.format), (4, tapline_wire::SampleFormat::I8));
        if frame.rx_node != 1 || chains.len() == 3 {
            continue;
        }
        let truth = s.channel_at(frame.tx_node.unwrap(), frame.rx_node, 0.0).unwrap();
        assert_eq!(truth.len(), 4 * tier.tones());
        let measured: Vec<Vec<num_complex::Complex64>> = (0..4)
            .map(|antenna| {
                let mut tones = vec![num_complex::Complex32::default(); tier.tones()];
                let mut mask = vec![0; tier.tones()];
                frame
                    .tones(antenna, tapline_wire::BinLayout::Auto, tier, &mut tones, &mut mask)
                    .unwrap();
                assert!(mask.iter().all(|m| *m == 1), "antenna {antenna}");
                tones
                    .iter()
                    .map(|z| num_complex::Complex64::new(f64::from(z.re), f64::from(z.im)))
                    .collect()
            })
            .collect();
        // Carrier phase, timing and gain are those of the node: from antenna to antenna they cancel, and the chain is left.
        let against_first = |antenna: &[num_complex::Complex64], first: &[num_complex::Complex64]| -> Vec<_> {
            antenna.iter().zip(first).map(|(a, f)| a * f.conj()).collect()
        };
        chains.push([1, 2, 3].map(|antenna| {
            let found = against_first(&measured[antenna], &measured[0]);
            let true_tones = |antenna: usize| &truth[antenna * tier.tones()..(antenna + 1) * tier.tones()];
            let expected = against_first(true_tones(antenna), true_tones(0));
            let power = |of: &[num_complex::Complex64]| of.iter().map(num_complex::Complex64::norm_sqr).sum::<f64>();
            let cross: num_complex::Complex64 = found.iter().zip(&expected).map(|(f, e)| f * e.conj()).sum();
            let likeness = cross / (power(&found) * power(&expected)).sqrt();
            assert!(likeness.norm_sqr().sqrt() > 0.99, "antenna {antenna}: {likeness}");
            likeness
        }));
    }
    assert_eq!(chains.len(), 3);
    for other in &chains[1..] {
        for (a, b) in chains[0].iter().zip(other) {
            assert!(
                (a - b).norm_sqr().sqrt() < 0.1,
                "the chain of an antenna changed: {a} {b}"
            );
        }
    }
    assert!(chains[0].iter().any(|c| (c - 1.0).norm_sqr() > 0.1), "{:?}", chains[0]);
}

#[test]
fn the_empty_room_is_still_and_moved_furniture_changes_it() {
    let mut s = simulator("empty-room");
    assert_eq!(s.channel_at(1, 3, 0.0), s.channel_at(1, 3, 250.0));
    let mut s = simulator("moved-furniture");
    let (before, after) = (s.channel_at(1, 3, 119.9).unwrap(), s.channel_at(1, 3, 120.1).unwrap());
    assert_eq!(s.channel_at(1, 3, 0.0).unwrap(), before);
    let change: f64 = before.iter().zip(&after).map(|(a, b)| (a - b).norm_sqr()).sum();
    let power: f64 = before.iter().map(num_complex::Complex64::norm_sqr).sum();
    assert!(change / power > 0.01, "{}", change / power);
}

#[test]
fn two_people_cross_closely_and_often() {
    let all = truths(&simulator("two-crossing"));
    let mut crossings = 0;
    let mut apart = true;
    for truth in &all {
        let [a, b] = &truth.people[..] else { continue };
        let d = distance(a.position_m, b.position_m);
        if apart && d < 0.8 {
            crossings += 1;
            apart = false;
        }
        apart |= d > 1.5;
    }
    assert!(crossings >= 6, "{crossings}");
    assert!(
        all.iter().take(790).all(|t| t.people.is_empty()),
        "the first 40 seconds are for calibration"
    );
}

#[test]
fn the_door_scene_counts_from_nobody_to_three() {
    let all = truths(&simulator("door"));
    let inside: Vec<usize> = all
        .iter()
        .map(|t| t.people.iter().filter(|p| p.room.is_some()).count())
        .collect();
    assert_eq!((inside.iter().min(), inside.iter().max()), (Some(&0), Some(&3)));
    assert!(inside.windows(2).filter(|w| w[0] != w[1]).count() >= 14);
}

#[test]
fn someone_sits_for_two_minutes() {
    let all = truths(&simulator("sitting-still"));
    let seated = all
        .iter()
        .filter(|t| {
            t.people
                .iter()
                .any(|p| p.posture == tapline_sim::Posture::Seated && !p.moving)
        })
        .count();
    assert!(seated as f64 * STEP_S > 120.0, "{} s", seated as f64 * STEP_S);
}

#[test]
fn bad_clocks_overtake_lose_and_reboot() {
    let s = shortened("bad-clocks", 110.0);
    let expected = s.site_config().links.len() as f64 * s.scene().radio.rate_hz * 110.0;
    let all = datagrams(s);
    let (mut overtaken, mut reboots) = (0, 0);
    let mut last: BTreeMap<u16, (u32, u16, u64)> = BTreeMap::new();
    let mut clocks: BTreeMap<u16, Vec<(u64, u64)>> = BTreeMap::new();
    for (emission, bytes) in &all {
        let frame = csi(bytes);
        let capture_us = frame.capture_us.unwrap();
        let boot = frame.boot_count.unwrap();
        if let Some((seq, old_boot, _)) = last.insert(frame.rx_node, (frame.seq, boot, capture_us)) {
            reboots += u32::from(boot > old_boot);
            overtaken += u32::from(boot == old_boot && frame.seq < seq);
        }
        clocks
            .entry(frame.rx_node)
            .or_default()
            .push((emission.time_ns / 1000, capture_us));
    }
    assert!(overtaken > 100 && (1..20).contains(&reboots), "{overtaken} {reboots}");
    let share = all.len() as f64 / expected;
    assert!((share - 0.95 * 0.97).abs() < 0.01, "{share}");
    // Node 1: 1.8 s behind, 38 ppm fast. A stall delays the host by up to 45 ms, so take the least difference early and late.
    let gain = |from_s: u64| {
        clocks[&1]
            .iter()
            .filter(|(host_us, _)| (from_s * 1_000_000..(from_s + 10) * 1_000_000).contains(host_us))
            .map(|(host_us, own_us)| *own_us as i64 - *host_us as i64)
            .max()
            .unwrap()
    };
    let ppm = (gain(100) - gain(0)) as f64 / 100.0;
    assert!((ppm - 38.0).abs() < 4.0, "{ppm} ppm");
}

#[test]
fn the_drifting_room_takes_gain_along() {
    let level = |t_s: f64| {
        let mut s = shortened("drifting-temperature", t_s + 2.0);
        let (mut datagram, mut sum, mut n) = (Vec::new(), 0.0, 0);
        while let Some(e) = s.next_datagram(&mut datagram) {
            let frame = csi(&datagram);
            if e.time_ns as f64 * 1e-9 > t_s && (frame.tx_node, frame.rx_node) == (Some(1), 3) {
                let power: f64 = frame
                    .samples
                    .chunks_exact(2)
                    .map(|w| f64::from(i16::from_le_bytes([w[0], w[1]])))
                    .map(|v| v * v)
                    .sum();
                sum += 10.0 * libm::log10(power) - f64::from(frame.agc_db.unwrap());
                n += 1;
            }
        }
        sum / f64::from(n)
    };
    // At 175 s: 6 K of the wave, 0.7 K of the ramp, times -0.04 dB/K.
    let change = level(175.0) - level(0.0);
    assert!((change + 6.7 * 0.04).abs() < 0.08, "{change} dB");
}

#[test]
fn every_scene_writes_a_site() {
    for name in Scene::names() {
        let site = simulator(name).site_config();
        let table: toml::Table = site.to_fleet_toml().parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            table["site"][0]["node"].as_array().map(Vec::len),
            Some(site.nodes.len())
        );
        assert!(
            site.channel.is_some(),
            "{name}: {} MHz is no Wi-Fi channel",
            site.centre_mhz
        );
    }
}

#[test]
fn equal_scene_and_seed_give_these_bytes_on_every_machine() {
    // FNV-1a over arrival times and datagrams of two seconds with a walking person. A change of the physics changes the
    // digest on purpose; a compiler, an optimisation level or a CPU must not.
    let mut scene = Scene::builtin("demo").unwrap();
    (scene.duration_s, scene.person[0].appear_s) = (2.0, 0.0);
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for (emission, bytes) in datagrams(Simulator::new(scene, 1).unwrap()) {
        for byte in emission.time_ns.to_le_bytes().iter().chain(&bytes) {
            digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(digest, 0x98b5_0799_b7df_27c7, "digest {digest:#018x}");
}
