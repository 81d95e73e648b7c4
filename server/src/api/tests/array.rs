//! Clocks, placement, the mesh, changes and drift of links, as a front-end asks for them.

use super::*;

#[tokio::test]
async fn the_clock_of_a_radio_has_units_and_a_reason() {
    let bench = Bench::new();
    let answer = data(
        &bench.router(),
        "{ nodes { id clockQuality { state reason spreadUs driftPpm } } }",
    )
    .await;
    assert_eq!(
        answer["nodes"],
        json!([
            { "id": 1, "clockQuality":
                { "state": "MONITOR_ONLY", "reason": "DISPERSED", "spreadUs": 250.0, "driftPpm": -12.5 } },
            { "id": 2, "clockQuality": null },
        ])
    );
}

/// One link on a diagonal: both radios carry all there is, and the corner between them is where a third belongs.
#[tokio::test]
async fn placement_geometry_and_mesh_are_those_of_the_configured_places() {
    let bench = Bench::new();
    let answer = data(
        &bench.router(),
        "{ nodes { placement { addsNothing share room hint } }
           site { array { linkedPairs leftOut weakest { links nodes } }
             rooms { geometry { places medianErrorM p10ErrorM p90ErrorM located evenness worst { x y }
               newNode { at { x y } medianErrorM } } } } }",
    )
    .await;
    assert_eq!(
        answer["site"]["array"],
        json!({ "linkedPairs": 1, "leftOut": null, "weakest": { "links": 1, "nodes": [2] } })
    );
    let geometry = &answer["site"]["rooms"][0]["geometry"];
    let number = |v: &Value| v.as_f64().unwrap();
    // A single link knows places in both directions only beside its ends.
    assert!(number(&geometry["located"]) < 0.05, "{geometry}");
    assert!(number(&geometry["evenness"]) < 0.2, "{geometry}");
    assert!(number(&geometry["p10ErrorM"]) < number(&geometry["medianErrorM"]));
    assert!(number(&geometry["medianErrorM"]) > 1.0 && number(&geometry["p90ErrorM"]) < 2.0);
    let (x, y) = (&geometry["newNode"]["at"]["x"], &geometry["newNode"]["at"]["y"]);
    let off_the_line = (4.0 * number(x) - 5.0 * number(y)).abs() / 41.0_f64.sqrt();
    assert!(off_the_line > 1.0, "{geometry}");
    assert!(number(&geometry["newNode"]["medianErrorM"]) < number(&geometry["medianErrorM"]));
    for node in answer["nodes"].as_array().unwrap() {
        let placement = &node["placement"];
        assert_eq!(
            (&placement["addsNothing"], &placement["room"]),
            (&json!(false), &json!("living")),
            "{placement}"
        );
        assert!(number(&placement["share"]) > 0.05);
        assert!(placement["hint"].as_str().unwrap().contains("living"));
    }
}

#[tokio::test]
async fn a_change_names_the_link_only_where_zones_may_leave() {
    let query = "{ site { array { change { kind node path links agoS recalibrate } } } links { drift { kind sigma steppedS } fastestWalkMS } }";
    let bench = Bench::new();
    let answer = data(&bench.router(), query).await;
    assert_eq!(
        answer["site"]["array"]["change"],
        json!({ "kind": "ONE_LINK", "node": null, "path": 0, "links": null, "agoS": null, "recalibrate": false })
    );
    assert_eq!(
        answer["links"],
        json!([
            { "drift": { "kind": "STEP", "sigma": 6.5, "steppedS": 70 }, "fastestWalkMS": 1.5 },
            { "drift": { "kind": "UNKNOWN", "sigma": null, "steppedS": null }, "fastestWalkMS": null },
        ])
    );
    let strict = Bench::in_mode("StrictNoIdentity");
    let answer = data(&strict.router(), query).await;
    assert_eq!(answer["site"]["array"]["change"]["kind"], "ONE_LINK");
    assert_eq!(answer["site"]["array"]["change"]["path"], Value::Null);
    assert_eq!(
        answer["links"],
        json!([{ "drift": null, "fastestWalkMS": 1.5 }, { "drift": null, "fastestWalkMS": null }])
    );
    // The others are told whole.
    let mut told = diagnostics();
    told.change = Some((Verdict::RoomChanged { links: 3, at_s: 5 }, Some(12)));
    bench.hub.publish_diagnostics(told);
    let answer = data(&bench.router(), query).await;
    assert_eq!(
        answer["site"]["array"]["change"],
        json!({ "kind": "ROOM_CHANGED", "node": null, "path": null, "links": 3, "agoS": 12, "recalibrate": true })
    );
}

#[tokio::test]
async fn a_link_without_a_calibration_says_why() {
    let query = "{ links { calibration { frames } noCalibrationReason } }";
    let bench = Bench::new();
    let router = bench.router();
    let answer = data(&router, query).await;
    assert_eq!(
        answer["links"][0],
        json!({ "calibration": { "frames": 590 }, "noCalibrationReason": null })
    );
    let reason = answer["links"][1]["noCalibrationReason"].as_str().unwrap();
    assert!(reason.contains("startCalibration"), "{reason}");
    let mut none = diagnostics();
    none.calibration = Calibration {
        line: "none: learn the empty room".to_owned(),
        paths: vec![None, None],
        ..Calibration::default()
    };
    bench.hub.publish_diagnostics(none);
    let answer = data(&router, query).await;
    assert_eq!(answer["links"][0]["noCalibrationReason"], "none: learn the empty room");
}
