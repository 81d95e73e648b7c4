//! What leaves under each class: the whole schema is walked, and every value held against its field's rule.

use std::collections::BTreeMap;

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, Type, TypeKind, TypeSystemDefinition},
};

use super::*;
use crate::api::access;

type Objects = BTreeMap<String, Vec<FieldDefinition>>;

/// Object types with their fields.
fn objects() -> Objects {
    let definitions = parse_schema(crate::api::sdl()).unwrap().definitions;
    let object = |definition| match definition {
        TypeSystemDefinition::Type(ty) => match ty.node.kind {
            TypeKind::Object(o) => {
                let fields = o.fields.into_iter().map(|f| f.node).collect();
                Some((ty.node.name.node.to_string(), fields))
            }
            _ => None,
        },
        _ => None,
    };
    definitions.into_iter().filter_map(object).collect()
}

fn named(ty: &Type) -> String {
    match &ty.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(of) => named(of),
    }
}

/// What to write behind a field's name so that it can be asked: nothing, or the arguments it needs.
fn arguments(field: &FieldDefinition) -> String {
    let needed = field
        .arguments
        .iter()
        .filter(|a| !a.node.ty.node.nullable && a.node.default_value.is_none());
    let given: Vec<_> = needed
        .map(|a| {
            let name = a.node.name.node.as_str();
            let value = match name {
                "from" => "\"2025-10-09T00:00:00Z\"",
                "tx" | "seq" => "1",
                "rx" => "2",
                "room" => "\"living\"",
                "path" => "0",
                _ => panic!("{}.{name} needs a value for this test", field.name.node),
            };
            format!("{name}: {value}")
        })
        .collect();
    if given.is_empty() {
        String::new()
    } else {
        format!("({})", given.join(", "))
    }
}

/// A selection of everything under a type, that deep.
fn everything(objects: &Objects, of: &str, depth: usize) -> String {
    let Some(fields) = objects.get(of) else {
        return String::new();
    };
    let mut selection = String::from("{ __typename ");
    for field in fields {
        let with = arguments(field);
        let below = named(&field.ty.node);
        if !objects.contains_key(&below) {
            selection += &format!("{}{with} ", field.name.node);
        } else if depth > 0 {
            selection += &format!("{}{with} {} ", field.name.node, everything(objects, &below, depth - 1));
        }
    }
    selection + "}"
}

/// Every `(type, field, value)` of an answer.
fn values<'v>(answer: &'v Value, into: &mut Vec<(&'v str, &'v str, &'v Value)>) {
    match answer {
        Value::Object(object) => {
            let of = object.get("__typename").and_then(Value::as_str).unwrap_or_default();
            for (field, value) in object.iter().filter(|(f, _)| *f != "__typename") {
                // What is JSON by itself has no type.
                if !of.is_empty() {
                    into.push((of, field, value));
                    values(value, into);
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|v| values(v, into)),
        _ => {}
    }
}

/// Every mode with its class.
const MODES: [(&str, u8); 5] = [
    ("RawResearch", 0),
    ("CareWithConsent", 1),
    ("PrivateHome", 2),
    ("EnterpriseAnonymous", 2),
    ("StrictNoIdentity", 3),
];

/// Holds what an answer has against the rules: values that may leave, and that were kept back.
fn hold(mode: &str, class: u8, answer: &Value) -> (usize, usize) {
    let (mut given, mut kept) = (0, 0);
    let mut found = Vec::new();
    values(answer, &mut found);
    for (of, field, value) in found {
        let rule = access::of(of, field).unwrap_or_else(|| panic!("{of}.{field} has no rule"));
        let nobody = matches!(mode, "EnterpriseAnonymous" | "StrictNoIdentity");
        if rule.leaves.under(class) && !(nobody && rule.leaves >= access::Leaves::People) {
            given += 1;
        } else {
            assert!(
                value.is_null() || *value == json!([]),
                "{mode}: {of}.{field} left: {value}"
            );
            kept += 1;
        }
    }
    (given, kept)
}

/// An image, and the response of the first path.
pub(super) fn shown(n: u64) -> (crate::scope::Image, crate::scope::Response) {
    use crate::scope::{Image, Response};
    let grid = tapline_plugin_api::geometry::Grid {
        nx: 2,
        ny: 1,
        nz: 1,
        ..Default::default()
    };
    let mean = vec![1.0, 2.0];
    let image = Image { tick: n, grid, mean };
    let response = Response {
        tick: n,
        path: 0,
        first_s: 0.0,
        step_s: 1e-8,
        power: vec![1.0],
    };
    (image, response)
}

/// What there is to look at beside cycles.
fn show(bench: &Bench, n: u64) {
    use crate::scope::Moment;
    let (image, response) = shown(n);
    bench.hub.scope.show_these(image, response);
    let scene = tapline_sim::Scene::builtin("demo").unwrap();
    let truth = tapline_sim::Simulator::new(scene, 1).unwrap().truth_at(60.0);
    bench.hub.scope.show_moment(Moment { t_ms: 1, truth });
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_let_out_no_more_than_questions() {
    use super::live::subscribe;
    use futures_util::StreamExt as _;
    let objects = objects();
    for (mode, class) in MODES {
        let bench = Bench::in_mode(mode);
        bench.hub.publish_durable(durable(1));
        bench.cycle_in(1, 0);
        let (address, _stop) = bench.serve(Limits::default());
        let (mut heard, mut given) = (std::collections::BTreeSet::new(), 0);
        for field in &objects["Subscription"] {
            let name = field.name.node.as_str();
            let arguments = if name == "response" { "(path: 0)" } else { "" };
            let below = everything(&objects, &named(&field.ty.node), 4);
            let mut socket = subscribe(address, &format!("subscription {{ {name}{arguments} {below} }}")).await;
            for n in 0..12 {
                // Every other cycle is another, so that there is something to tell.
                let mut cycle = cycle(2 + n);
                cycle.outcome.privacy_class = 0;
                if n % 2 == 0 {
                    cycle.outcome.tracks.clear();
                    cycle.outcome.presence.state = PresenceState::Empty;
                    cycle.outcome.zones[0].presence.state = PresenceState::Empty;
                }
                bench.hub.publish(Arc::new(cycle));
                show(&bench, n);
                let wait = std::time::Duration::from_millis(60);
                if let Ok(Some(Ok(message))) = tokio::time::timeout(wait, socket.next()).await
                    && let Ok(message) = serde_json::from_str::<Value>(message.to_text().unwrap())
                    && message["type"] != "connection_ack"
                {
                    let errors = [&message["payload"]["errors"], &message["payload"]];
                    for error in errors.iter().filter_map(|e| e.as_array()).flatten() {
                        assert_eq!(error["extensions"]["code"], "PRIVACY", "{mode}: {name}: {error}");
                    }
                    given += hold(mode, class, &message["payload"]["data"][name]).0;
                    heard.insert(name);
                }
            }
        }
        for name in [
            "cycles",
            "events",
            "health",
            "image",
            "occupancy",
            "poses",
            "response",
            "truth",
            "witness",
            "world",
        ] {
            assert!(heard.contains(name), "{mode}: nothing came of {name}; heard {heard:?}");
        }
        assert!(given > 100, "{mode}: {given} values");
    }
}

#[tokio::test]
async fn nothing_leaves_that_its_class_does_not_let_out() {
    let objects = objects();
    let (place, _) = crate::store::rollup::tests::logged();
    for (mode, class) in MODES {
        let bench = Bench::in_mode(mode);
        let past = crate::store::reader::Reader::open(&place.data()).unwrap();
        assert!(bench.store.past.set(past).is_ok());
        // The cycles were sensed under the loosest class: what is stricter now holds for them too.
        for n in 1..=3 {
            bench.cycle_in(n, 0);
        }
        let limits = Limits {
            complexity: 10_000_000,
            body_bytes: 1 << 20,
            ..Limits::default()
        };
        let router = bench.router_with(limits);
        let (mut given, mut kept) = (0, 0);
        for field in &objects["Query"] {
            let below = named(&field.ty.node);
            let query = format!(
                "{{ __typename {}{} {} }}",
                field.name.node,
                arguments(field),
                everything(&objects, &below, 4)
            );
            let answer = ask(&router, &query).await;
            for error in answer["errors"].as_array().into_iter().flatten() {
                assert_eq!(error["extensions"]["code"], "PRIVACY", "{mode}: {query}: {error}");
                kept += 1;
            }
            let (let_out, kept_back) = hold(mode, class, &answer["data"]);
            given += let_out;
            kept += kept_back;
        }
        assert!(given > 100, "{mode}: {given} values");
        assert!(class < 3 || kept > 0, "{mode}: nothing was kept back");
    }
}

/// A site that ran in CareWithConsent and became PrivateHome told for as long as its outcomes are kept who of the past was who.
#[tokio::test]
async fn nobody_is_known_again_over_hours_of_a_looser_past() {
    const HOUR: u64 = 72_000;
    let bench = Bench::new();
    for n in [1, 2, 2 + HOUR] {
        bench.cycle_in(n, 1);
    }
    let gone = 3 + HOUR;
    let mut last = cycle(gone);
    last.outcome.tracks.clear();
    last.outcome_bytes = borsh::to_vec(&last.outcome).unwrap();
    bench.run(last);
    let router = bench.router();
    let query = format!(
        "{{ a: tracks(fromCycle: 1, toCycle: 2) {{ person {{ id x }} }} b: tracks(fromCycle: {}, toCycle: {gone}) {{ person {{ id }} }}
           cycle(number: 1) {{ tracks {{ id }} }} cycles(first: 1) {{ nodes {{ tracks {{ id }} }} }}
           events(kinds: [PERSON_GONE]) {{ nodes {{ events {{ person }} }} }} }}",
        gone - 1
    );
    let answer = data(&router, &query).await;
    assert!(!answer.to_string().contains("43981"), "{answer}");
    let name = &answer["a"][0]["person"]["id"];
    let next = &answer["b"][0]["person"]["id"];
    assert_eq!(answer["a"][0]["person"]["x"], 1.0);
    for same in [
        &answer["a"][1]["person"]["id"],
        &answer["cycle"]["tracks"][0]["id"],
        &answer["cycles"]["nodes"][0]["tracks"][0]["id"],
    ] {
        assert_eq!(same, name, "one name through an hour");
    }
    assert_ne!(next, name, "another in the next");
    assert_eq!(&answer["events"]["nodes"][0]["events"][0]["person"], next);
    // By that name they are found.
    let named = format!("{{ tracks(fromCycle: 1, person: {name}) {{ cycle }} }}");
    assert_eq!(data(&router, &named).await["tracks"].as_array().unwrap().len(), 2);
}
