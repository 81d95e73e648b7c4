//! What of the WorldGraph leaves under which privacy class: each node by what it stands for, each edge with its ends. People who
//! stand in it under the tracker's own identity are left out where identities may not leave: the graph says of each whether it is
//! a name of the hour (`PrivacyLimitedBy`).

use std::collections::BTreeSet;

use crate::api::{
    access::{Bar, Leaves},
    history::{World, WorldEdge},
};

/// What a node gives away. Areas are the `rooms` rooms of the site, then its zones; what is not known is the most.
fn leaves(id: &str, attributes: &str, rooms: usize) -> Leaves {
    let of_area = |area: Option<usize>| match area {
        Some(area) if area >= rooms => Leaves::Zones,
        _ => Leaves::Anyway,
    };
    match id.split_once(':') {
        Some(("room" | "wall" | "door" | "zone" | "object" | "node" | "link", _)) => Leaves::Anyway,
        Some(("state", "site" | "privacy")) => Leaves::Anyway,
        Some(("state", area)) => area.parse().map_or(Leaves::People, |area| of_area(Some(area))),
        Some(("event", _)) => {
            let known: serde_json::Value = serde_json::from_str(attributes).unwrap_or_default();
            match &known["area"] {
                serde_json::Value::Null if known.is_object() => Leaves::Anyway,
                area => area
                    .as_u64()
                    .and_then(|a| usize::try_from(a).ok())
                    .map_or(Leaves::People, |area| of_area(Some(area))),
            }
        }
        _ => Leaves::People,
    }
}

/// The part of a graph that leaves.
pub(in crate::api) fn visible(mut world: World, bar: Bar, rooms: usize) -> World {
    let limits = |edge: &&WorldEdge| edge.kind == "PrivacyLimitedBy";
    let anonymous: BTreeSet<String> = world.edges.iter().filter(limits).map(|e| e.from.clone()).collect();
    let unnamed = |id: &str| !id.starts_with("person:") || bar.lets_out(Leaves::Identity) || anonymous.contains(id);
    world
        .nodes
        .retain(|node| unnamed(&node.id) && bar.lets_out(leaves(&node.id, &node.attributes, rooms)));
    let shown: BTreeSet<&str> = world.nodes.iter().map(|n| n.id.as_str()).collect();
    let ends = |id: &str| unnamed(id) && (shown.contains(id) || bar.lets_out(leaves(id, "", rooms)));
    // Which link moves says where in a room: it leaves with the links' own reports.
    let says = |kind: &str| !matches!(kind, "Supports" | "Contradicts") || bar.lets_out(Leaves::Zones);
    world
        .edges
        .retain(|edge| says(&edge.kind) && ends(&edge.from) && ends(&edge.to));
    world
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::history::WorldNode;

    #[test]
    fn restricted_sees_rooms_and_nobody() {
        let node = |id: &str, attributes: &str| WorldNode {
            id: id.to_owned(),
            kind: String::new(),
            attributes: attributes.to_owned(),
            since_cycle: 1,
        };
        let edge = |from: &str, to: &str| WorldEdge {
            from: from.to_owned(),
            to: to.to_owned(),
            kind: "LocatedIn".to_owned(),
            attributes: "{}".to_owned(),
            since_cycle: 1,
        };
        let world = || World {
            cycle: 1,
            nodes: vec![
                node("room:0", "{}"),
                node("zone:0", "{}"),
                node("object:0", "{}"),
                node("state:site", "{}"),
                node("state:privacy", "{}"),
                node("state:0", "{}"),
                node("state:1", "{}"),
                node("person:7", "{}"),
                node("event:1", r#"{"area":null}"#),
                node("event:2", r#"{"area":0}"#),
                node("event:3", r#"{"area":1}"#),
                node("event:4", "broken"),
                node("new:1", "{}"),
            ],
            edges: vec![
                edge("person:7", "room:0"),
                WorldEdge {
                    kind: "PrivacyLimitedBy".to_owned(),
                    ..edge("person:7", "state:privacy")
                },
                edge("zone:0", "room:0"),
                edge("event:2", "state:0"),
                edge("event:3", "state:1"),
                WorldEdge {
                    kind: "Supports".to_owned(),
                    ..edge("link:1-2", "state:0")
                },
            ],
        };
        let bar = |class| Bar {
            class,
            aggregate_only: class == 3,
        };
        let seen = visible(world(), bar(3), 1);
        let ids: Vec<_> = seen.nodes.iter().map(|n| n.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "room:0",
                "zone:0",
                "object:0",
                "state:site",
                "state:privacy",
                "state:0",
                "event:1",
                "event:2"
            ]
        );
        let from: Vec<_> = seen.edges.iter().map(|e| e.from.as_str()).collect();
        assert_eq!(from, ["zone:0", "event:2"]);
        assert_eq!(visible(world(), bar(2), 1), world());
        let counts = Bar {
            class: 2,
            aggregate_only: true,
        };
        let counted = visible(world(), counts, 1);
        let ids: Vec<_> = counted.nodes.iter().map(|n| n.id.as_str()).collect();
        let shown = [
            "room:0",
            "zone:0",
            "object:0",
            "state:site",
            "state:privacy",
            "state:0",
            "state:1",
            "event:1",
            "event:2",
            "event:3",
        ];
        assert_eq!(ids, shown, "zones, but nobody");

        // A graph of when identities left: under a class that hides them nobody is in it, be it at the end of an edge.
        let named = || {
            let mut world = world();
            world.edges.retain(|e| e.kind != "PrivacyLimitedBy");
            world
        };
        assert_eq!(visible(named(), bar(1), 1), named());
        let hidden = visible(named(), bar(2), 1);
        let about = |id: &str| id.starts_with("person:");
        assert_eq!(hidden.nodes.len(), named().nodes.len() - 1);
        assert_eq!(hidden.edges.len(), named().edges.len() - 1);
        assert!(!hidden.nodes.iter().any(|n| about(&n.id)) && !hidden.edges.iter().any(|e| about(&e.from)));
    }
}
