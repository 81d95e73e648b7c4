//! Rooms in which people walk at random, as scene files.

use std::fmt::Write as _;

use tapline_benches::cir_scene::Random;

/// Length of a scene, seconds.
const DURATION_S: f64 = 140.0;
/// When the first person comes, and how much later the next does, seconds: the empty room is learned before.
const COMES_S: [f64; 2] = [36.0, 4.0];
/// Where people start, metres outside of the door.
const OUTSIDE_M: f64 = 3.0;
/// Least distance of a walk's turns from the walls, and from one to the next, metres.
const WALL_M: f64 = 0.9;
const LEG_LEAST_M: f64 = 0.2;

fn between(random: &mut Random, low: f64, high: f64) -> f64 {
    low + (high - low) * random.uniform()
}

/// A number from 0 to `count` - 1.
fn index(random: &mut Random, count: usize) -> usize {
    (random.uniform() * count as f64) as usize
}

/// A scene file: one room with a door in the east wall and a node near each corner, and so many people who come in and walk.
pub(crate) fn scene(random: &mut Random, people: u32) -> String {
    let (width, depth) = (between(random, 5.0, 7.0), between(random, 4.0, 6.0));
    let height = between(random, 2.4, 2.8);
    let wall = ["plasterboard", "brick", "concrete"][index(random, 3)];
    let mut text = format!(
        "name = \"walks\"\ntitle = \"Walks at random\"\nduration_s = {DURATION_S:.1}\n\
         [radio]\ntier = \"HT40\"\ncentre_mhz = 2437.0\nrate_hz = 25.0\n\
         [[room]]\nid = \"lab\"\nmin = [0.0, 0.0, 0.0]\nmax = [{width:.3}, {depth:.3}, {height:.3}]\n\
         wall = \"{wall}\"\nfloor = \"concrete\"\nceiling = \"concrete\"\n\
         [[door]]\nid = \"door\"\nroom = \"lab\"\nat = [{width:.3}, {:.3}]\nwidth_m = 0.9\n\
         [[furniture]]\nid = \"cabinet\"\nmin = [0.0, 1.9, 0.0]\nmax = [0.45, 3.1, 1.9]\nmaterial = \"wood\"\n",
        0.5 * depth
    );
    for (id, [east, north]) in [[false, false], [true, false], [true, true], [false, true]]
        .into_iter()
        .enumerate()
    {
        let mut beside = |far: bool, side: f64| {
            let off = between(random, 0.2, 0.7);
            if far { side - off } else { off }
        };
        let (x, y) = (beside(east, width), beside(north, depth));
        let (z, ppm) = (between(random, 0.9, 1.4), between(random, -5.0, 5.0));
        let _ = write!(
            text,
            "[[node]]\nid = {}\nat = [{x:.3}, {y:.3}, {z:.3}]\ncrystal_ppm = {ppm:.2}\n",
            id + 1
        );
    }
    for id in 0..people {
        person(random, id, [width, depth], &mut text);
    }
    text
}

/// Somebody who comes in and walks, with a stop now and then, until the scene ends.
fn person(random: &mut Random, id: u32, [width, depth]: [f64; 2], text: &mut String) {
    let comes_s = COMES_S[0] + COMES_S[1] * f64::from(id);
    let tall_m = between(random, 1.55, 1.9);
    let mut at = [width + OUTSIDE_M, 0.5 * depth];
    let _ = write!(
        text,
        "[[person]]\nid = {}\nheight_m = {tall_m:.2}\nstart = [{:.2}, {:.2}]\nfacing_deg = 180.0\nappear_s = {comes_s:.1}\n",
        id + 1,
        at[0],
        at[1]
    );
    let mut entrance = Some([width - 1.0, 0.5 * depth]);
    let mut t_s = comes_s;
    while t_s < DURATION_S {
        let speed_m_s = between(random, 0.55, 1.15);
        let mut points: Vec<_> = entrance.take().into_iter().collect();
        let mut last = points.last().copied().unwrap_or(at);
        for _ in 0..=index(random, 4) {
            last = elsewhere(random, [width, depth], last);
            points.push(last);
        }
        let _ = write!(text, "[[person.do]]\nwalk = [");
        for next in points {
            let _ = write!(text, "[{:.2}, {:.2}],", next[0], next[1]);
            t_s += apart(at, next) / speed_m_s;
            at = next;
        }
        let _ = writeln!(text, "]\nspeed_m_s = {speed_m_s:.2}");
        if random.uniform() < 0.6 {
            let stand_s = between(random, 1.0, 4.0);
            t_s += stand_s;
            let _ = write!(text, "[[person.do]]\nstand_s = {stand_s:.1}\n");
        }
    }
}

/// A place in the room that is not this one.
fn elsewhere(random: &mut Random, [width, depth]: [f64; 2], from: [f64; 2]) -> [f64; 2] {
    loop {
        let place = [
            between(random, WALL_M, width - WALL_M),
            between(random, WALL_M, depth - WALL_M),
        ];
        if apart(from, place) >= LEG_LEAST_M {
            return place;
        }
    }
}

fn apart(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    (dx * dx + dy * dy).sqrt()
}

#[cfg(test)]
mod tests {
    use tapline_sim::Scene;

    use super::*;

    #[test]
    fn every_seed_is_a_scene_with_its_people() {
        for seed in 0..200 {
            let people = 1 + seed as u32 % 2;
            let text = scene(&mut Random(seed), people);
            let scene = Scene::from_toml(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!((scene.person.len(), scene.node.len()), (people as usize, 4));
        }
    }
}
