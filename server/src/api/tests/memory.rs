//! What was: history, changes, heat map, flows, from a store that was rolled up.

use super::*;
use crate::{
    log::tests::support::Place,
    store::{reader::Reader, rollup::tests::logged},
};

/// The API over the store; the log's first cycle is at 2025-10-09T08:53:20Z.
fn served(mode: &str) -> (Place, Router) {
    let (place, _) = logged();
    let reader = Reader::open(&place.data()).unwrap();
    let bench = Bench::in_mode(mode);
    let router = bench.router_over(reader, Limits::default());
    (place, router)
}

const FROM: &str = r#"from: "2025-10-09T00:00:00Z""#;

fn ids<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    list.as_array()
        .unwrap()
        .iter()
        .filter_map(|v| v[key].as_str())
        .collect()
}

#[tokio::test]
async fn occupancy_over_time_adds_up_at_every_level() {
    let (_place, router) = served("RawResearch");
    let mut totals = Vec::new();
    for level in ["MINUTE", "HOUR"] {
        let query = format!(
            "{{ history({FROM}, to: \"2025-10-09T13:00:00Z\", level: {level}, points: 5000) \
             {{ area level timezone points {{ from to cycles unknownS emptyS movingS stillS peopleS occupiedShare }} }} }}"
        );
        let history = data(&router, &query).await["history"].take();
        assert_eq!(
            (history["area"].as_str(), history["level"].as_str()),
            (Some("flat"), Some(level))
        );
        let points = history["points"].as_array().unwrap();
        let sum = |key: &str| -> f64 { points.iter().map(|p| p[key].as_f64().unwrap()).sum() };
        let cycles = sum("cycles");
        let known = sum("emptyS") + sum("movingS") + sum("stillS") + sum("unknownS");
        assert!(
            (known - 0.05 * cycles).abs() < 1e-6,
            "{level}: {known} s of {cycles} cycles"
        );
        totals.push(cycles);
    }
    // The first 500 ticks lie before 13:00; ticks begin at 1.
    assert_eq!(totals, [499.0; 2]);
}

#[tokio::test]
async fn the_finest_level_within_the_points_answers() {
    let (_place, router) = served("RawResearch");
    let level = async |more: &str| {
        let answer = data(
            &router,
            &format!("{{ history({FROM}{more}) {{ level points {{ from }} }} }}"),
        )
        .await;
        (
            answer["history"]["level"].as_str().unwrap().to_owned(),
            answer["history"]["points"].as_array().unwrap().len(),
        )
    };
    assert_eq!(level(", points: 40").await.0, "HOUR");
    assert_eq!(level(", area: \"living\", points: 1").await.0, "DAY");
    let (fine, count) = level(", to: \"2025-10-09T08:54:00Z\", area: \"sofa\", points: 600").await;
    assert!(fine == "MINUTE" && count == 1, "{fine} {count}");
    for (wrong, code) in [
        ("area: \"attic\"", "INVALID_ARGUMENT"),
        ("points: 0", "INVALID_ARGUMENT"),
        ("to: \"2025-10-08T00:00:00Z\"", "INVALID_ARGUMENT"),
    ] {
        let answer = ask(&router, &format!("{{ history({FROM}, {wrong}) {{ level }} }}")).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn links_and_the_server_itself_have_a_past() {
    let (_place, router) = served("RawResearch");
    let answer = data(
        &router,
        &format!(
            "{{ linkHistory(tx: 1, rx: 2, {FROM}, level: DAY) {{ points {{ reports freshShare coherenceMean coherenceLeast motionMean motionMost }} }} \
             operationHistory({FROM}, level: HOUR) {{ points {{ cycles missed accepted longestMs stages {{ stage p50Ms p99Ms }} }} }} }}"
        ),
    )
    .await;
    let link = &answer["linkHistory"]["points"][0];
    assert!(link["reports"].as_u64().unwrap() > 500);
    for (key, low, high) in [
        ("freshShare", 0.5, 0.7),
        ("coherenceMean", 0.3, 0.45),
        ("coherenceLeast", 0.0, 0.001),
        ("motionMean", 1.0, 7.0),
        ("motionMost", 7.0, 7.0),
    ] {
        let found = link[key].as_f64().unwrap();
        assert!((low..=high).contains(&found), "{key} {found}");
    }
    let hours = answer["operationHistory"]["points"].as_array().unwrap();
    let missed: u64 = hours.iter().map(|h| h["missed"].as_u64().unwrap()).sum();
    assert_eq!(missed, 15);
    assert_eq!(ids(&hours[0]["stages"], "stage")[..2], ["cycle", "ingest"]);
    // Stage times were the tick in microseconds, nine of them a cycle.
    assert!(hours[0]["stages"][0]["p99Ms"].as_f64().unwrap() > 9.0 * hours[0]["stages"][1]["p50Ms"].as_f64().unwrap());
}

#[tokio::test]
async fn changes_page_back_and_say_when_somebody_was_there() {
    let (_place, router) = served("RawResearch");
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let query = format!(
            "{{ occupancyChanges(first: 4{after}) {{ edges {{ cursor node {{ at cycle area state }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = data(&router, &query).await["occupancyChanges"].take();
        let edges = page["edges"].as_array().unwrap();
        seen.extend(edges.iter().map(|e| e["node"]["at"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: \"{}\"", page["pageInfo"]["endCursor"].as_str().unwrap());
    }
    assert!(seen.len() > 10 && seen.windows(2).all(|w| w[0] >= w[1]), "{seen:?}");
    let answer = data(
        &router,
        "{ site: lastOccupied { at now } room: lastOccupied(area: \"living\") { at now } \
           one: occupancyChanges(area: \"sofa\", first: 500) { nodes { area } } }",
    )
    .await;
    assert_eq!(answer["site"]["now"], true);
    assert!(ids(&answer["one"]["nodes"], "area").iter().all(|area| *area == "sofa"));
    let wrong = ask(&router, "{ occupancyChanges(after: \"x\") { nodes { area } } }").await;
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT");
}

/// Without an end, days were added up, of which today's is not closed.
#[tokio::test]
async fn heat_flows_and_people_of_today_are_there() {
    let (_place, router) = served("RawResearch");
    // The log ends at 09:55:50.
    let from = r#"from: "2025-10-10T03:00:00Z""#;
    let query = format!(
        "{{ heatMap(room: \"living\", {from}) {{ level cells {{ seconds }} }} flows({from}) {{ people }} \
         peopleSeen({from}) {{ person }} }}"
    );
    let today = data(&router, &query).await;
    for list in [&today["heatMap"]["cells"], &today["flows"], &today["peopleSeen"]] {
        assert!(!list.as_array().unwrap().is_empty(), "{today}");
    }
    assert_eq!(today["heatMap"]["level"], "HOUR");
}

#[tokio::test]
async fn heat_flows_and_people_leave_by_class() {
    let query = format!(
        "{{ heatMap(room: \"living\", {FROM}) {{ cellM cells {{ x y seconds }} }} flows({FROM}) {{ from to people }} \
         peopleSeen({FROM}) {{ person seenS wayM meanX }} }}"
    );
    let (_place, router) = served("RawResearch");
    let open = data(&router, &query).await;
    let cells = open["heatMap"]["cells"].as_array().unwrap();
    let total: f64 = cells.iter().map(|c| c["seconds"].as_f64().unwrap()).sum();
    assert!(cells.len() > 10 && total > 20.0, "{total}");
    assert!(
        open["flows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|f| f["from"] == "sofa" && f["to"] == "living")
    );
    assert!(open["peopleSeen"].as_array().unwrap().len() > 1);
    let (_place, router) = served("EnterpriseAnonymous");
    let counts = data(&router, &query).await;
    assert_eq!(counts["heatMap"], Value::Null, "as the export of it: {counts}");
    assert!(!counts["flows"].as_array().unwrap().is_empty());
    assert_eq!(counts["peopleSeen"], json!([]));
    let (_place, router) = served("StrictNoIdentity");
    let strict = ask(&router, &query).await;
    assert_eq!(strict["data"]["heatMap"], Value::Null, "{strict}");
    let zone = ask(&router, &format!("{{ history(area: \"sofa\", {FROM}) {{ level }} }}")).await;
    assert_eq!(zone["errors"][0]["extensions"]["code"], "PRIVACY", "{zone}");
    let room = data(
        &router,
        &format!(
            "{{ history(area: \"living\", {FROM}) {{ level }} occupancyChanges(first: 500) {{ nodes {{ area }} }} }}"
        ),
    )
    .await;
    assert!(!ids(&room["occupancyChanges"]["nodes"], "area").contains(&"sofa"));
}
