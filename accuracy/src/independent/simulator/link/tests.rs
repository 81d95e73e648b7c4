//! The channel against what can be computed by hand.

use std::f64::consts::{PI, TAU};

use super::{
    super::{
        antenna::GAIN,
        band::{LIGHT_M_S, SPACING_HZ, WAVELENGTH_M, WAVENUMBER_RAD_M},
        curves::wrapped,
        layout::Scenario,
        person::{Person, Stance},
        random::Random,
        slab::Slab,
    },
    *,
};

/// About the middle of the band, the place of a tone that is sent.
const MIDDLE: usize = 60;

fn scene() -> Scene {
    Scene::new(Scenario::Empty1, 4, &mut Random::new(5))
}

/// A room whose walls reflect nothing.
fn open_air() -> Room {
    let air = Slab {
        permittivity: 1.0,
        conductivity_s_m: 0.0,
        thickness_m: 0.1,
    };
    Room {
        slabs: [air; 6],
        ..scene().room
    }
}

/// The direct path alone.
fn direct(room: &Room, tx: Vector, rx: Vec<Vector>, rx_middle: Vector) -> Link {
    Link::over(tx, rx, rx_middle, |antenna| over_walls(room, tx, antenna, 0))
}

fn person() -> Person {
    Person {
        id: 1,
        height_m: 1.75,
        half_breadth_m: 0.175,
        half_depth_m: 0.115,
        first: 0,
        track: Vec::new(),
    }
}

#[test]
fn the_direct_path_is_friis_and_its_phase_slope_the_distance() {
    let room = open_air();
    let tx = Vector::new(1.0, 1.0, 1.2);
    for distance_m in [1.0, 2.0, 4.0] {
        let rx = tx + Vector::new(distance_m, 0.0, 0.0);
        let link = direct(&room, tx, vec![rx], rx);
        let tones = &link.empty[0];
        let friis = GAIN * WAVELENGTH_M / (4.0 * PI * distance_m);
        assert!((tones[MIDDLE].magnitude() / friis - 1.0).abs() < 1e-9);
        let turn = tones
            .windows(2)
            .fold(Complex::ZERO, |sum, pair| sum + pair[1] * pair[0].conjugate());
        let by_slope_m = -turn.angle_rad() / (TAU * SPACING_HZ) * LIGHT_M_S;
        assert!((by_slope_m - distance_m).abs() < 1e-6, "{distance_m} m: {by_slope_m}");
    }
}

#[test]
fn phases_over_an_array_are_those_of_a_plane_wave() {
    let scene = scene();
    let (to, from) = (&scene.nodes[0], &scene.nodes[2]);
    let tx = from.at + from.antennas[0];
    let rx = to.antennas.iter().map(|antenna| to.at + *antenna).collect();
    let link = direct(&scene.room, tx, rx, to.at);
    let direction = (tx - to.at).unit();
    for (antennas, tones) in to.antennas.windows(2).zip(link.empty.windows(2)) {
        let step_rad = (tones[1][MIDDLE] * tones[0][MIDDLE].conjugate()).angle_rad();
        let plane_rad = WAVENUMBER_RAD_M * (antennas[1] - antennas[0]).dot(direction);
        // From 7 m away, a wave bends by k times (half a wavelength)^2 by 7 m at the outer pairs, at most; tones away
        // from the carrier turn otherwise by a thousandth.
        let wrong_rad = wrapped(step_rad - plane_rad);
        assert!(wrong_rad.abs() < 0.04, "{step_rad} {plane_rad}");
    }
}

#[test]
fn a_walker_has_the_doppler_of_twice_the_speed() {
    let room = open_air();
    let (tx, rx) = (Vector::new(1.0, 2.0, 1.2), Vector::new(1.0, 3.0, 1.2));
    let link = direct(&room, tx, vec![rx], rx);
    let frame_s = 0.0025;
    for (away_m_s, heading_rad) in [(1.0, 0.0), (-1.0, PI)] {
        let echoes = (0..800).map(|i| {
            let time_s = frame_s * f64::from(i);
            let stance = Stance {
                at_m: [4.0 + away_m_s * (time_s - 0.5), 2.5],
                heading_rad,
                speed_m_s: 1.0,
                gait_rad: 5.0 * time_s,
                gait: 0.9,
                presence: 1.0,
                ..Stance::default()
            };
            let body = Body::new(&person(), &stance);
            let mut echo = vec![[Complex::ZERO; TONES]];
            link.add_echoes(&room, Obstacle::new(&room, &body), &[], &mut echo);
            echo[0][MIDDLE]
        });
        let echoes: Vec<Complex> = echoes.collect();
        let turn = echoes
            .windows(2)
            .fold(Complex::ZERO, |sum, pair| sum + pair[1] * pair[0].conjugate());
        let doppler_hz = turn.angle_rad() / (TAU * frame_s);
        // Both legs grow at nearly the speed; limbs that swing move the mean by a twentieth.
        let wanted_hz = -2.0 * away_m_s / WAVELENGTH_M;
        assert!(
            (doppler_hz / wanted_hz - 1.0).abs() < 0.1,
            "{away_m_s} m/s: {doppler_hz} Hz, wanted about {wanted_hz} Hz"
        );
    }
}

#[test]
fn who_stands_in_the_line_of_sight_takes_most_of_it_and_who_stands_aside_nothing() {
    let room = open_air();
    let (tx, rx) = (Vector::new(1.0, 1.5, 1.1), Vector::new(4.5, 1.5, 1.2));
    let link = direct(&room, tx, vec![rx], rx);
    let shadow_db = |y_m: f64| {
        let stance = Stance {
            at_m: [2.75, y_m],
            presence: 1.0,
            ..Stance::default()
        };
        let body = Body::new(&person(), &stance);
        let mut response = link.empty.clone();
        link.add_shadows(&[Obstacle::new(&room, &body)], &mut response);
        10.0 * (response[0][MIDDLE].power() / link.empty[0][MIDDLE].power()).log10()
    };
    assert!((-20.0..-4.0).contains(&shadow_db(1.5)), "{}", shadow_db(1.5));
    assert!(shadow_db(3.6).abs() < 0.1, "{}", shadow_db(3.6));
}
