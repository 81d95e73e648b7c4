//! The rules a scene must keep, checked as a whole before anything runs.

use tapline_dsp::tier::Tier;

use super::{Action, Antenna, Format, Node, Person, Role, Room, Scene, effort};
use crate::{error::SceneError, material::Materials, person::script::Script};

/// Most things of one kind.
const ROOMS_MAX: usize = 16;
const ZONES_MAX: usize = 64;
const DOORS_MAX: usize = 32;
const FURNITURE_MAX: usize = 32;
const MATERIALS_MAX: usize = 32;
const NODES_MAX: usize = 16;
const PEOPLE_MAX: usize = 8;
const ACTIONS_MAX: usize = 64;
const POINTS_MAX: usize = 64;
/// Most antennas of a node.
const ANTENNAS_MAX: usize = 4;
/// No antenna is further from its node than this along an axis, metres.
const ARRAY_MAX_M: f64 = 1.0;
/// Two antennas of a node are as far apart at least, metres.
const ARRAY_SPACING_MIN_M: f64 = 0.01;
/// No coordinate is further out than this, metres.
const EXTENT_MAX_M: f64 = 200.0;
/// Largest probability of a loss of either kind: of a hundred receptions one arrives at least in the mean, so that the
/// next datagram is never far.
const LOSS_MAX: f64 = 0.9;
/// Longest simulation: 31 days.
const DURATION_MAX_S: f64 = 31.0 * 86_400.0;

pub(super) type Checked = Result<(), SceneError>;

pub(super) fn check(scene: &Scene) -> Checked {
    identifier("name", &scene.name)?;
    text("title", &scene.title, 200)?;
    range("duration_s", scene.duration_s, 0.1, DURATION_MAX_S)?;
    radio(scene)?;
    let t = &scene.temperature;
    range("temperature.start_c", t.start_c, -40.0, 85.0)?;
    range("temperature.ramp_k_s", t.ramp_k_s, -1.0, 1.0)?;
    range("temperature.amplitude_k", t.amplitude_k, 0.0, 40.0)?;
    range("temperature.period_s", t.period_s, 10.0, DURATION_MAX_S)?;
    count("material", scene.material.len(), 0, MATERIALS_MAX)?;
    unique("material", scene.material.iter().map(|m| m.name.clone()))?;
    for (i, m) in scene.material.iter().enumerate() {
        identifier(&format!("material[{i}].name"), &m.name)?;
        range(&format!("material[{i}].reflection"), m.reflection, -1.0, 1.0)?;
        range(&format!("material[{i}].transmission"), m.transmission, 0.0, 1.0)?;
        let power = m.reflection * m.reflection + m.transmission * m.transmission;
        if power > 1.0 {
            return invalid(
                &format!("material[{i}]"),
                "reflection^2 + transmission^2 of at most 1",
                power,
            );
        }
    }
    let materials = Materials::new(scene);
    places(scene, &materials)?;
    nodes(scene)?;
    effort::check(scene)?;
    count("person", scene.person.len(), 0, PEOPLE_MAX)?;
    unique("person", scene.person.iter().map(|p| p.id.to_string()))?;
    for (i, person) in scene.person.iter().enumerate() {
        check_person(scene, &format!("person[{i}]"), person)?;
    }
    Ok(())
}

fn radio(scene: &Scene) -> Checked {
    let r = &scene.radio;
    range("radio.centre_mhz", r.centre_mhz, 2400.0, 7125.0)?;
    range("radio.rate_hz", r.rate_hz, 0.1, 200.0)?;
    range("radio.transmit_dbm", r.transmit_dbm, -20.0, 30.0)?;
    if r.reflections > 2 {
        return invalid("radio.reflections", "0, 1 or 2", r.reflections);
    }
    range("radio.mesh_sigma_us", r.mesh_sigma_us, 0.0, 1e5)?;
    if r.format == Format::Adr018 && !matches!(r.tier, Tier::Ht20 | Tier::Lltf64) {
        return invalid("radio.tier", "HT20 or LLTF-64 with format `adr018`", r.tier.name());
    }
    let n = &r.network;
    for (key, value, high) in [
        ("delay_ms", n.delay_ms, 1000.0),
        ("jitter_ms", n.jitter_ms, 1000.0),
        ("stall", n.stall, 1.0),
        ("stall_ms", n.stall_ms, 5000.0),
        ("loss", n.loss, LOSS_MAX),
        ("miss", n.miss, LOSS_MAX),
    ] {
        range(&format!("radio.network.{key}"), value, 0.0, high)?;
    }
    Ok(())
}

fn places(scene: &Scene, materials: &Materials) -> Checked {
    count("room", scene.room.len(), 1, ROOMS_MAX)?;
    unique("room", scene.room.iter().map(|r| r.id.clone()))?;
    for (i, room) in scene.room.iter().enumerate() {
        let key = format!("room[{i}]");
        identifier(&format!("{key}.id"), &room.id)?;
        cuboid(
            &key,
            [room.min.x, room.min.y, room.min.z],
            [room.max.x, room.max.y, room.max.z],
        )?;
        if room.min.z != 0.0 {
            return invalid(
                &format!("{key}.min[2]"),
                "0: people walk on a floor at this height",
                room.min.z,
            );
        }
        for (part, name) in [("wall", &room.wall), ("floor", &room.floor), ("ceiling", &room.ceiling)] {
            material(&format!("{key}.{part}"), name, materials)?;
        }
    }
    count("zone", scene.zone.len(), 0, ZONES_MAX)?;
    unique("zone", scene.zone.iter().map(|z| z.id.clone()))?;
    for (i, zone) in scene.zone.iter().enumerate() {
        let key = format!("zone[{i}]");
        identifier(&format!("{key}.id"), &zone.id)?;
        let room = room(scene, &format!("{key}.room"), &zone.room)?;
        for axis in 0..2 {
            let (low, high) = (room.min.axis(axis), room.max.axis(axis));
            range(&format!("{key}.min[{axis}]"), zone.min[axis], low, high)?;
            range(&format!("{key}.max[{axis}]"), zone.max[axis], zone.min[axis], high)?;
        }
    }
    count("door", scene.door.len(), 0, DOORS_MAX)?;
    unique("door", scene.door.iter().map(|d| d.id.clone()))?;
    for (i, door) in scene.door.iter().enumerate() {
        let key = format!("door[{i}]");
        identifier(&format!("{key}.id"), &door.id)?;
        range(&format!("{key}.width_m"), door.width_m, 0.3, 20.0)?;
        let room = room(scene, &format!("{key}.room"), &door.room)?;
        let [x, y] = door.at;
        let on = |v: f64, a: f64, b: f64| (v - a).abs() < 1e-6 || (v - b).abs() < 1e-6;
        let inside = |v: f64, a: f64, b: f64| v - door.width_m / 2.0 >= a && v + door.width_m / 2.0 <= b;
        let fits = (on(x, room.min.x, room.max.x) && inside(y, room.min.y, room.max.y))
            || (on(y, room.min.y, room.max.y) && inside(x, room.min.x, room.max.x));
        if !fits {
            return invalid(
                &format!("{key}.at"),
                "the middle of an opening that lies within one wall of its room",
                format!("{:?} of width {}", door.at, door.width_m),
            );
        }
    }
    count("furniture", scene.furniture.len(), 0, FURNITURE_MAX)?;
    unique("furniture", scene.furniture.iter().map(|f| f.id.clone()))?;
    for (i, f) in scene.furniture.iter().enumerate() {
        let key = format!("furniture[{i}]");
        identifier(&format!("{key}.id"), &f.id)?;
        cuboid(&key, [f.min.x, f.min.y, f.min.z], [f.max.x, f.max.y, f.max.z])?;
        material(&format!("{key}.material"), &f.material, materials)?;
        range(&format!("{key}.from_s"), f.from_s, 0.0, DURATION_MAX_S)?;
        if let Some(until_s) = f.until_s {
            range(&format!("{key}.until_s"), until_s, f.from_s, DURATION_MAX_S)?;
        }
    }
    Ok(())
}

fn nodes(scene: &Scene) -> Checked {
    count("node", scene.node.len(), 2, NODES_MAX)?;
    unique("node", scene.node.iter().map(|n| n.id.to_string()))?;
    let transmitters = scene.node.iter().filter(|n| n.role != Role::Receiver).count();
    let listens = scene.node.iter().any(|n| n.role != Role::Transmitter);
    if transmitters == 0 || !listens {
        return invalid(
            "node",
            "one that transmits and one that receives",
            "roles that make no link",
        );
    }
    if scene.radio.format == Format::Adr018 && transmitters != 1 {
        return invalid(
            "node",
            "one transmitter (roles `transmitter` and `receiver`) with format `adr018`: its frames do not name it",
            format!("{transmitters}"),
        );
    }
    for (i, node) in scene.node.iter().enumerate() {
        check_node(scene, &format!("node[{i}]"), node)?;
        for other in &scene.node[..i] {
            for (here, there) in node.places().flat_map(|a| other.places().map(move |b| (a, b))) {
                let distance_m = (here - there).length();
                if distance_m < 0.3 {
                    return invalid(
                        &format!("node[{i}].at"),
                        "0.3 m or more from every other node",
                        distance_m,
                    );
                }
            }
        }
    }
    Ok(())
}

fn check_node(scene: &Scene, key: &str, node: &Node) -> Checked {
    let id_max = if scene.radio.format == Format::Adr018 {
        255
    } else {
        65_534
    };
    range(&format!("{key}.id"), f64::from(node.id), 1.0, f64::from(id_max))?;
    for axis in 0..3 {
        range(
            &format!("{key}.at[{axis}]"),
            node.at.axis(axis),
            -EXTENT_MAX_M,
            EXTENT_MAX_M,
        )?;
    }
    check_array(scene, &format!("{key}.antennas_m"), &node.antennas_m)?;
    if let Antenna::Patch {
        azimuth_deg,
        gain_dbi,
        back_dbi,
    } = node.antenna
    {
        range(&format!("{key}.antenna.azimuth_deg"), azimuth_deg, -360.0, 360.0)?;
        range(&format!("{key}.antenna.gain_dbi"), gain_dbi, 0.0, 20.0)?;
        range(&format!("{key}.antenna.back_dbi"), back_dbi, -60.0, gain_dbi)?;
    }
    for (name, value, low, high) in [
        ("noise_figure_db", node.noise_figure_db, 0.0, 40.0),
        ("evm_db", node.evm_db, -100.0, 0.0),
        ("clock_offset_ms", node.clock_offset_ms, -1e9, 1e9),
        ("crystal_ppm", node.crystal_ppm, -100.0, 100.0),
        ("crystal_ppm_k", node.crystal_ppm_k, -10.0, 10.0),
        ("gain_db_k", node.gain_db_k, -1.0, 1.0),
        ("phase_noise_deg", node.phase_noise_deg, 0.0, 180.0),
        ("timing_sigma_ns", node.timing_sigma_ns, 0.0, 1000.0),
        ("agc_step_db", node.agc_step_db, 0.01, 12.0),
        ("agc_sigma_db", node.agc_sigma_db, 0.0, 6.0),
        ("reboot_s", node.reboot_s.unwrap_or(0.0), 0.0, DURATION_MAX_S),
    ] {
        range(&format!("{key}.{name}"), value, low, high)?;
    }
    Ok(())
}

fn check_array(scene: &Scene, key: &str, antennas_m: &[[f64; 2]]) -> Checked {
    if antennas_m.is_empty() {
        return Ok(());
    }
    if !(2..=ANTENNAS_MAX).contains(&antennas_m.len()) {
        return invalid(
            key,
            &format!("0 or 2 to {ANTENNAS_MAX} entries (0: one antenna at `at`)"),
            antennas_m.len(),
        );
    }
    if scene.radio.format == Format::Adr018 {
        return invalid(
            key,
            "0 entries with format `adr018`: only `tlf1` frames carry arrays here",
            antennas_m.len(),
        );
    }
    for (i, [x_m, y_m]) in antennas_m.iter().enumerate() {
        range(&format!("{key}[{i}][0]"), *x_m, -ARRAY_MAX_M, ARRAY_MAX_M)?;
        range(&format!("{key}[{i}][1]"), *y_m, -ARRAY_MAX_M, ARRAY_MAX_M)?;
        for [other_x_m, other_y_m] in &antennas_m[..i] {
            let (dx, dy) = (x_m - other_x_m, y_m - other_y_m);
            let distance_m = (dx * dx + dy * dy).sqrt();
            if distance_m < ARRAY_SPACING_MIN_M {
                return invalid(
                    &format!("{key}[{i}]"),
                    &format!("{ARRAY_SPACING_MIN_M} m or more from the others"),
                    distance_m,
                );
            }
        }
    }
    Ok(())
}

fn check_person(scene: &Scene, key: &str, person: &Person) -> Checked {
    range(&format!("{key}.id"), f64::from(person.id), 1.0, 1e9)?;
    range(&format!("{key}.height_m"), person.height_m, 0.8, 2.2)?;
    range(&format!("{key}.facing_deg"), person.facing_deg, -360.0, 360.0)?;
    range(&format!("{key}.appear_s"), person.appear_s, 0.0, DURATION_MAX_S)?;
    range(&format!("{key}.breaths_min"), person.breaths_min, 0.0, 60.0)?;
    range(&format!("{key}.breath_mm"), person.breath_mm, 0.0, 30.0)?;
    point(&format!("{key}.start"), person.start)?;
    count(&format!("{key}.do"), person.script.len(), 0, ACTIONS_MAX)?;
    let mut at = person.start;
    if person.appear_s > 0.0 {
        outside(scene, &format!("{key}.start"), at, "with `appear_s`")?;
    }
    for (i, action) in person.script.iter().enumerate() {
        let key = format!("{key}.do[{i}]");
        let Action {
            walk,
            speed_m_s,
            stand_s,
            sit_s,
            away_s,
        } = action;
        let given = [walk.is_some(), stand_s.is_some(), sit_s.is_some(), away_s.is_some()];
        let given = given.iter().filter(|x| **x).count();
        if given != 1 {
            return invalid(
                &key,
                "exactly one of `walk`, `stand_s`, `sit_s`, `away_s`",
                format!("{given} of them"),
            );
        }
        for (name, seconds, low) in [
            ("stand_s", stand_s, 0.0),
            ("sit_s", sit_s, 4.0),
            ("away_s", away_s, 0.0),
        ] {
            if let Some(seconds) = *seconds {
                range(&format!("{key}.{name}"), seconds, low, DURATION_MAX_S)?;
            }
        }
        if away_s.is_some() {
            outside(scene, &key, at, "for `away_s`")?;
        }
        if let Some(points) = walk {
            count(&format!("{key}.walk"), points.len(), 1, POINTS_MAX)?;
            for (j, p) in points.iter().enumerate() {
                point(&format!("{key}.walk[{j}]"), *p)?;
                let (dx, dy) = (p[0] - at[0], p[1] - at[1]);
                let length_m = (dx * dx + dy * dy).sqrt();
                if length_m < 0.1 {
                    return invalid(
                        &format!("{key}.walk[{j}]"),
                        "0.1 m or more from the point before",
                        length_m,
                    );
                }
                at = *p;
            }
            range(&format!("{key}.speed_m_s"), speed_m_s.unwrap_or(1.0), 0.1, 3.0)?;
        } else if speed_m_s.is_some() {
            return invalid(&format!("{key}.speed_m_s"), "only together with `walk`", "it alone");
        }
    }
    if person.repeat {
        let (dx, dy) = (at[0] - person.start[0], at[1] - person.start[1]);
        if dx * dx + dy * dy > 1e-4 {
            return invalid(
                &format!("{key}.do"),
                &format!(
                    "a script that ends at `start` {:?}, because `repeat` is true",
                    person.start
                ),
                format!("its end at {at:?}"),
            );
        }
        let lasts_s = Script::new(person).length_s();
        if lasts_s < 1.0 {
            return invalid(
                &format!("{key}.do"),
                "a script to repeat that takes 1 s or more",
                format!("{lasts_s} s"),
            );
        }
    }
    Ok(())
}

fn outside(scene: &Scene, key: &str, at: [f64; 2], why: &str) -> Checked {
    match scene.room_at(at[0], at[1]) {
        Some(room) => invalid(
            key,
            &format!("a place outside of every room {why}: nobody appears or vanishes inside"),
            format!("{at:?} in room `{}`", scene.room[room].id),
        ),
        None => Ok(()),
    }
}

fn room<'a>(scene: &'a Scene, key: &str, id: &str) -> Result<&'a Room, SceneError> {
    scene
        .room
        .iter()
        .find(|r| r.id == id)
        .ok_or_else(|| SceneError::Invalid {
            key: key.to_owned(),
            expected: "the id of a room".to_owned(),
            found: format!("`{id}`"),
        })
}

fn material(key: &str, name: &str, materials: &Materials) -> Checked {
    if materials.find(name).is_some() {
        return Ok(());
    }
    invalid(key, &format!("a material ({})", materials.names()), format!("`{name}`"))
}

fn cuboid(key: &str, min: [f64; 3], max: [f64; 3]) -> Checked {
    for axis in 0..3 {
        range(&format!("{key}.min[{axis}]"), min[axis], -EXTENT_MAX_M, EXTENT_MAX_M)?;
        range(&format!("{key}.max[{axis}]"), max[axis], min[axis] + 0.01, EXTENT_MAX_M)?;
    }
    Ok(())
}

fn point(key: &str, [x, y]: [f64; 2]) -> Checked {
    range(&format!("{key}[0]"), x, -EXTENT_MAX_M, EXTENT_MAX_M)?;
    range(&format!("{key}[1]"), y, -EXTENT_MAX_M, EXTENT_MAX_M)
}

fn range(key: &str, value: f64, low: f64, high: f64) -> Checked {
    if value >= low && value <= high {
        return Ok(());
    }
    invalid(key, &format!("{low} to {high}"), value)
}

fn count(key: &str, found: usize, low: usize, high: usize) -> Checked {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    invalid(key, &format!("{low} to {high} entries"), found)
}

fn text(key: &str, value: &str, longest: usize) -> Checked {
    if value.len() <= longest && !value.chars().any(char::is_control) {
        return Ok(());
    }
    invalid(
        key,
        &format!("one line of at most {longest} bytes"),
        format!("{} bytes", value.len()),
    )
}

fn identifier(key: &str, value: &str) -> Checked {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !value.is_empty() && value.len() <= 40 && value.chars().all(fits) {
        return Ok(());
    }
    let shown: String = value.chars().take(60).collect();
    invalid(key, "1 to 40 of a-z, 0-9, `-`, `_`", format!("{shown:?}"))
}

fn unique(key: &str, ids: impl Iterator<Item = String>) -> Checked {
    let mut seen: Vec<String> = Vec::new();
    for id in ids {
        if seen.contains(&id) {
            return invalid(key, "different ids", format!("`{id}` twice"));
        }
        seen.push(id);
    }
    Ok(())
}

pub(super) fn invalid(key: &str, expected: &str, found: impl std::fmt::Display) -> Checked {
    Err(SceneError::Invalid {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    })
}
