//! Do signatures tell people apart? The AUC of their cosine: pairs of visits by one person against pairs by two.

use core::ops::Range;

use super::{
    lab::{Lab, Replay, side_by_side},
    people::{Errors, Score},
    random::Random,
    report::{Row, Section},
    score::auc,
    signatures::{ALL, ATTENUATION, CHANGE, Place, Signed, collect, cosine},
    simulated::Truth,
    visits::{Build, DOOR_M, EMPTY_S, NODES_M, ROOM_M, STAY_S, Visit},
};

const PEOPLE: u64 = 16;
/// Visits of each person on a route of its own each.
const WANDERED: usize = 4;
const CALIBRATION_S: f64 = 30.0;
/// From here on the person is surely inside.
const INSIDE_S: f64 = EMPTY_S + 8.0;
/// The route that everybody walks, twice.
const COMMON_ROUTE: u64 = 0;
const DRAWS: usize = 1000;
/// What does not reach this on other routes is no help to identity.
const LEAST_AUC: f64 = 0.6;

/// What came of a visit.
struct Seen {
    signed: Option<Signed>,
    errors: Errors,
    missed: f64,
}

/// The visits of a person: on four routes of its own, again on the first of them, twice on the common route.
fn visits(person: u64) -> Vec<Visit> {
    let own = |k: u64| 100 * person + k;
    let routes = (0..WANDERED as u64)
        .map(own)
        .chain([own(0), COMMON_ROUTE, COMMON_ROUTE]);
    let visit = |(number, route)| Visit { person, route, number };
    (0..).zip(routes).map(visit).collect()
}

fn see(lab: &Lab, visit: &Visit) -> Result<Seen, String> {
    let name = visit.name();
    let files = visit.files(lab)?;
    let replay = Replay {
        config: files.config,
        recording: files.recording,
        calibration: None,
        calibrate_first_s: Some(CALIBRATION_S),
    };
    let (cycles, trace) = lab.replay_traced(&replay, &name)?;
    let place = Place {
        room_m: ROOM_M,
        door_m: DOOR_M,
        nodes_m: &NODES_M,
    };
    let signed = collect(&place, &trace, &cycles)?;
    // Tens of megabytes a visit.
    let _ = std::fs::remove_file(&trace);
    let truth = Truth::read(&files.truth)?;
    let mut score = Score::default();
    for cycle in cycles.iter().filter(|c| c.time_s >= INSIDE_S) {
        score.add(truth.at(cycle.time_s), &cycle.tracks);
    }
    Ok(Seen {
        signed,
        errors: score.errors(),
        missed: score.missed(),
    })
}

/// Cosine of two visits: persons, and the value.
type Pair = (usize, usize, f64);

/// How pairs are made of signatures.
#[derive(Clone)]
struct Comparison {
    numbers: Range<usize>,
    /// True: the newcomer's signature rests on what the product waits for only.
    is_early: bool,
}

impl Comparison {
    /// The cosines of all pairs of one visit of `first` and a later one of `second` of each person, by number.
    fn pairs(&self, people: &[Vec<Option<Signed>>], numbers: &[(usize, usize)]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (a, one) in people.iter().enumerate() {
            for (b, other) in people.iter().enumerate() {
                for &(first, second) in numbers {
                    let Some((gone, new)) = one[first].zip(other[second]) else {
                        continue;
                    };
                    let new = if self.is_early { new.early } else { new.late };
                    let part = |numbers: [f32; 128]| numbers[self.numbers.clone()].to_vec();
                    if let Some(cosine) = cosine(&part(gone.late.numbers()), &part(new.numbers())) {
                        pairs.push((a, b, cosine));
                    }
                }
            }
        }
        pairs
    }
}

/// The AUC, with the range that 95 % of draws of as many people (with replacement) stay in.
struct Power {
    auc: f64,
    low: f64,
    high: f64,
    same: usize,
    different: usize,
}

impl Power {
    fn of(pairs: &[Pair]) -> Self {
        let area = |times: &[usize]| {
            let (mut same, mut different) = (Vec::new(), Vec::new());
            for &(a, b, cosine) in pairs {
                let into = if a == b { &mut same } else { &mut different };
                let times = if a == b { times[a] } else { times[a] * times[b] };
                into.extend(std::iter::repeat_n(cosine, times));
            }
            (auc(&different, &same), same.len(), different.len())
        };
        let people = PEOPLE as usize;
        let (whole, same, different) = area(&vec![1; people]);
        let mut random = Random::new([6, 0, 0]);
        let mut draws: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let mut times = vec![0; people];
                (0..people).for_each(|_| times[random.between(0.0, people as f64) as usize] += 1);
                area(&times).0
            })
            .collect();
        draws.sort_by(f64::total_cmp);
        Self {
            auc: whole,
            low: draws[DRAWS / 40],
            high: draws[DRAWS - DRAWS / 40 - 1],
            same,
            different,
        }
    }

    fn row(&self, what: &str) -> Row {
        Row::reported(
            what,
            format!(
                "AUC {:.3} ({:.3} to {:.3}); {} pairs of one person, {} of two",
                self.auc, self.low, self.high, self.same, self.different
            ),
        )
    }
}

pub(super) fn run(lab: &Lab) -> Result<Section, String> {
    let all: Vec<Visit> = (1..=PEOPLE).flat_map(visits).collect();
    let seen = side_by_side(&all, |visit| see(lab, visit))?;
    let each = all.len() / PEOPLE as usize;
    let people: Vec<Vec<_>> = seen
        .chunks(each)
        .map(|c| c.iter().map(|s| s.signed).collect())
        .collect();
    // Every two of the visits on routes of their own; both orders, because one is remembered and one is new.
    let wandered: Vec<_> = (0..WANDERED)
        .flat_map(|a| (0..WANDERED).filter(move |b| *b != a).map(move |b| (a, b)))
        .collect();
    let repeated = [(0, WANDERED), (WANDERED, 0)];
    let common = [(WANDERED + 1, WANDERED + 2), (WANDERED + 2, WANDERED + 1)];
    let whole = Comparison {
        numbers: ALL,
        is_early: false,
    };
    let early = Comparison {
        numbers: ALL,
        is_early: true,
    };
    let half = |numbers| Comparison {
        numbers,
        is_early: false,
    };
    let power = |comparison: &Comparison, numbers: &[(usize, usize)]| Power::of(&comparison.pairs(&people, numbers));
    let wandering = power(&whole, &wandered);
    let earned = wandering.auc >= LEAST_AUC;
    let mut rows = vec![
        wandering.row("other routes on the two visits, whole visits"),
        power(&early, &wandered).row("other routes, the new one's signature when it is first compared"),
        power(&half(ATTENUATION), &wandered).row("other routes, attenuation alone"),
        power(&half(CHANGE), &wandered).row("other routes, Doppler profile alone"),
        power(&whole, &common).row("everybody on one route"),
        power(&whole, &repeated).row("everybody on a route of their own, the same on both visits (route is identity)"),
    ];
    rows.push(Row::reported(
        format!("weight that the first row earns (0 below an AUC of {LEAST_AUC})"),
        if earned { "above 0" } else { "0" },
    ));
    let unsigned = seen.iter().filter(|s| s.signed.is_none()).count();
    let mean = |value: &dyn Fn(&Seen) -> f64| seen.iter().map(value).sum::<f64>() / seen.len() as f64;
    rows.push(Row::reported(
        "visits without a signature",
        format!("{unsigned} of {}", seen.len()),
    ));
    rows.push(Row::reported(
        "tracks of the visits",
        format!(
            "RMSE {:.2} m, missed {:.1} % (means over visits)",
            mean(&|s| s.errors.rmse_m),
            100.0 * mean(&|s| s.missed)
        ),
    ));
    let statures: Vec<String> = (1..=PEOPLE).map(|p| format!("{:.2}", Build::of(p).height_m)).collect();
    Ok(Section {
        title: "Re-identification: do signatures tell people apart?".to_owned(),
        method: format!(
            "{PEOPLE} simulated people visit an empty room of 6 m x 5 m with ten nodes, {} times each, {STAY_S} s at a time, every visit calibrated on the {CALIBRATION_S} s \
             before it. Stature (even in 1.5 m to 1.9 m), speed (0.7 m/s to 1.3 m/s) and breath stay with the person; on each visit the speed is up to 10 % off, the radio's noise \
             is new, and the route (random points, the same law for everybody) too, unless the row says otherwise. Of each frame only the strength in whole dBm is kept, so that the tracker works by \
             strength. The signatures are those of the shipped tracker with its defaults: it is run again on what the trace of the replay says it was given, and its people must be those \
             that the replay published. AUC of the cosine, as the product takes it, for pairs of visits by one person against pairs by two (every two visits in both orders, because one is remembered and one is new); in brackets where \
             95 % of {DRAWS} draws of {PEOPLE} people with replacement lie.",
            all.len() / PEOPLE as usize
        ),
        rows,
        notes: vec![format!("Statures: {} m.", statures.join(", "))],
        ..Section::default()
    })
}
