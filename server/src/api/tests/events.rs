//! Events of the past: searched in stored cycles, newest first.

use tapline_witness::outcome::Outcome;

use super::*;
use crate::store::reader::Reader;

/// Keeps cycles `1..=last`, each changed by `change`.
fn keep(bench: &Bench, last: u64, change: impl Fn(u64, &mut Outcome)) {
    for number in 1..=last {
        let mut cycle = cycle(number);
        change(number, &mut cycle.outcome);
        cycle.outcome_bytes = borsh::to_vec(&cycle.outcome).unwrap();
        bench.store.keep(&cycle);
    }
}

const FIELDS: &str = "searchedCycles searchOn pageInfo { hasNextPage hasPreviousPage endCursor } \
    nodes { cycle events { kind areaKind person missedSlots } }";

async fn search(router: &Router, arguments: &str) -> Value {
    data(router, &format!("{{ events({arguments}) {{ {FIELDS} }} }}")).await["events"].take()
}

/// (cycle, kinds) of every entry.
fn told(page: &Value) -> Vec<(u64, Vec<&str>)> {
    page["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| {
            let events = n["events"].as_array().unwrap();
            (
                n["cycle"].as_u64().unwrap(),
                events.iter().map(|e| e["kind"].as_str().unwrap()).collect(),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_changed_is_found_page_by_page_and_by_kind() {
    let bench = Bench::new();
    // Nobody is tracked from cycle 700 on; the gate closes for cycle 705; from 1,100 on slots are missing.
    keep(&bench, 1_200, |n, o| {
        if n >= 700 {
            o.tracks.clear();
        }
        if n == 705 {
            o.gate = Gate::Reject;
        }
        if n >= 1_100 {
            o.tick += 4;
        }
    });
    let router = bench.router();
    let all = search(&router, "first: 3").await;
    assert_eq!(
        told(&all),
        [(1_100, vec!["SLOTS_MISSED"]), (706, vec!["GATE"]), (705, vec!["GATE"])]
    );
    assert_eq!(all["nodes"][0]["events"][0]["missedSlots"], 4);
    assert_eq!(
        (&all["searchOn"], &all["pageInfo"]["hasNextPage"]),
        (&json!("705"), &json!(true))
    );
    let rest = search(&router, "after: \"705\"").await;
    assert_eq!(told(&rest), [(700, vec!["PERSON_GONE"])]);
    assert_eq!(rest["nodes"][0]["events"][0]["person"], "43981");
    // 703 pairs lie below: the oldest cycle has none before it.
    assert_eq!(
        (
            &rest["searchOn"],
            &rest["searchedCycles"],
            &rest["pageInfo"]["hasPreviousPage"]
        ),
        (&Value::Null, &json!(703), &json!(true))
    );
    let gone = search(&router, "kinds: [PERSON_GONE, RESTARTED]").await;
    assert_eq!(told(&gone), [(700, vec!["PERSON_GONE"])]);
    assert_eq!(gone["searchedCycles"], 1_199);
    for wrong in ["first: 0", "first: 101", "after: \"x\""] {
        let answer = ask(&router, &format!("{{ events({wrong}) {{ searchOn }} }}")).await;
        assert_eq!(code(&answer), "INVALID_ARGUMENT", "{wrong}");
    }
}

/// A search that finds nothing ends after ten minutes of cycles and says where to go on.
#[tokio::test]
async fn a_long_search_ends_and_goes_on() {
    let bench = Bench::new();
    keep(&bench, 12_003, |n, o| {
        if n == 2 {
            o.gate = Gate::Reject;
        }
        o.tracks.clear();
    });
    let router = bench.router();
    let first = search(&router, "kinds: [GATE]").await;
    assert_eq!((told(&first).len(), &first["searchedCycles"]), (0, &json!(12_000)));
    let on = first["searchOn"].as_str().unwrap();
    let second = search(&router, &format!("kinds: [GATE], after: \"{on}\"")).await;
    assert_eq!(told(&second), [(3, vec!["GATE"]), (2, vec!["GATE"])]);
    assert_eq!(second["searchOn"], Value::Null);
}

#[tokio::test]
async fn what_the_class_does_not_let_out_is_not_found() {
    let bench = Bench::in_mode("StrictNoIdentity");
    keep(&bench, 20, |n, o| {
        if n >= 7 {
            o.tracks.clear();
        }
        if n >= 12 {
            o.zones[0].presence.state = PresenceState::Empty;
        }
        if n >= 15 {
            o.rooms[0].presence.state = PresenceState::Empty;
        }
    });
    let page = search(&bench.router(), "first: 100").await;
    assert_eq!(told(&page), [(15, vec!["PRESENCE"])]);
    assert_eq!(page["nodes"][0]["events"][0]["areaKind"], "ROOM");
}

#[tokio::test]
async fn a_time_bounds_the_search_on_both_sides() {
    let (place, cycles) = crate::store::rollup::tests::logged();
    let bench = Bench::new();
    let router = bench.router_over(Reader::open(&place.data()).unwrap(), Limits::default());
    // The presence changes at the ticks 2,010, 2,400, 2,700, 2,900 and 2,910.
    let of = |tick: u64| cycles.iter().find(|(_, o)| o.tick == tick).unwrap().0;
    let at = data(&router, &format!("{{ cycle(number: {}) {{ at }} }}", of(2_400))).await["cycle"]["at"].take();
    let page = search(&router, &format!("kinds: [PRESENCE], first: 1, to: {at}")).await;
    assert_eq!(told(&page)[0].0, of(2_010));
    let page = search(&router, &format!("kinds: [PRESENCE], from: {at}")).await;
    let found: Vec<_> = told(&page).iter().map(|e| e.0).collect();
    assert_eq!(found, [of(2_910), of(2_900), of(2_700), of(2_400)]);
    assert_eq!(page["searchOn"], Value::Null);
    let none = search(&router, "to: \"1999-01-01T00:00:00Z\"").await;
    assert_eq!((told(&none).len(), &none["searchedCycles"]), (0, &json!(0)));
}
