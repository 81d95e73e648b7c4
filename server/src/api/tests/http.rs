//! Probes, queries and orders over plain HTTP.

use super::*;

#[tokio::test]
async fn probes_say_what_is_and_why() {
    let bench = Bench::new();
    let router = bench.router();
    let (status, headers, _) = call(&router, get("/healthz")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let (status, _, text) = call(&router, get("/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("starting"), "{text}");
    ready(&bench);
    assert_eq!(call(&router, get("/readyz")).await.0, StatusCode::OK);
    let (_, _, text) = call(&router, get("/version")).await;
    assert!(
        text.contains(env!("CARGO_PKG_VERSION")) && text.contains("\"site\":\"flat\""),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_hold_each_stage_against_its_budget() {
    let bench = Bench::new();
    let router = bench.router();
    bench.cycle(1);
    let mut text = String::new();
    // The follower runs beside us: give it turns until it has seen the cycle.
    for _ in 0..1_000 {
        text = call(&router, get("/metrics")).await.2;
        if text.contains("tapline_cycle_duration_seconds_count 1") {
            break;
        }
        tokio::task::yield_now().await;
    }
    for line in [
        "tapline_stage_duration_seconds_bucket{stage=\"cir\",le=\"0.001\"} 1",
        "tapline_stage_duration_seconds_bucket{stage=\"cir\",le=\"0.0005\"} 0",
        "tapline_stage_budget_seconds{stage=\"tracker\"} 0.008",
        "tapline_stage_outcomes_total{stage=\"ingest\",disposition=\"RAN\"} 1",
        "tapline_stage_over_budget_total{stage=\"fusion\"} 0",
        "tapline_cycle_duration_seconds_count 1",
        "tapline_missed_ticks_total 2",
        "tapline_datagrams_received_total{kind=\"csi\"} 1000",
        "tapline_datagrams_not_used_total{reason=\"unknown sender\"} 77",
        "tapline_ready 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn every_payload_is_stamped() {
    let bench = Bench::new();
    let router = bench.router();
    assert_eq!(data(&router, "{ cycle { tick } }").await, json!({ "cycle": null }));
    bench.cycle(5);
    bench.hub.publish_durable(durable(6));
    let answer = data(
        &router,
        "{ cycle { bootId cycle tick tMs at simulated ageMs durable privacyClass privacyMode demotions
            quality { score linksShare contradictions } witness people presence { state probability reason sinceTick }
            rooms { id name people presence { state } } zones { id name }
            tracks { id active x y z vx vz sigmaM keypoints { name x z source confidence } }
            gate links { path ageMs motionRatio delayNs } stages { stage disposition tookUs budgetUs } } }",
    )
    .await;
    let c = &answer["cycle"];
    assert_eq!(c["bootId"], "07".repeat(16));
    assert_eq!(
        (&c["cycle"], &c["tick"], &c["durable"]),
        (&json!(5), &json!(15), &json!(true))
    );
    assert_eq!((&c["simulated"], &c["ageMs"]), (&json!(true), &json!(8)));
    assert_eq!(
        (&c["privacyClass"], &c["at"]),
        (&json!("ANONYMOUS"), &json!("2026-11-23T17:22:05.500Z"))
    );
    // Numbers leave as the shortest text of their f32, not as the f64 beside it.
    assert_eq!(c["quality"]["score"].to_string(), "0.8");
    let person = &c["tracks"][0];
    assert_eq!((&person["id"], &person["z"]), (&json!("43981"), &json!(null)));
    assert_eq!(person["keypoints"].as_array().unwrap().len(), 17);
    assert_eq!(person["keypoints"][16]["name"], "RIGHT_ANKLE");
    assert_eq!(person["keypoints"][0]["source"], "PRIOR");
    assert_eq!(c["rooms"][0]["name"], "Living room");
    assert_eq!(c["links"][0]["delayNs"], json!(null));
    assert_eq!(
        c["stages"][4],
        json!({ "stage": "cir", "disposition": "RAN", "tookUs": 700, "budgetUs": 15000 })
    );
}

#[tokio::test]
async fn the_site_and_its_radios_are_described() {
    let bench = Bench::new();
    let router = bench.router();
    bench.cycle(1);
    let answer = data(
        &router,
        "{ server { version uptimeS mode ready notReadyReason otherSites logKey missedTicks received { name count } }
           site { id name privacyMode rooms { id name heightM why people outline { x y } zones { id } doors { widthM } } }
           nodes { id name role health healthReason rateHz rssiDbm lastSeenS x y z antennasM }
           unknownSenders { address node admit reason }
           links { path tx rx channel kind tier latest { coherence } }
           plugins { name state reason blake3 }
           manifest { hash text } config { hash } calibration { status } why { area lines } }",
    )
    .await;
    assert_eq!(answer["server"]["mode"], "SIMULATED");
    assert_eq!(answer["server"]["notReadyReason"], "starting");
    assert_eq!(answer["server"]["otherSites"], json!(["cabin"]));
    let room = &answer["site"]["rooms"][0];
    assert_eq!(
        (&room["id"], &room["people"], &room["heightM"]),
        (&json!("living"), &json!(1), &json!(2.5))
    );
    assert_eq!(room["why"][0], "link 1: 4.5 times its quiet level");
    assert_eq!(
        (&room["zones"][0]["id"], &room["doors"][0]["widthM"]),
        (&json!("sofa"), &json!(0.9))
    );
    assert_eq!(answer["nodes"][0]["health"], "ok");
    assert_eq!(answer["nodes"][0]["antennasM"], json!([]));
    assert_eq!(answer["nodes"][1]["health"], json!(null));
    assert_eq!(answer["nodes"][1]["name"], "node 2");
    assert_eq!(answer["unknownSenders"][0]["admit"], "[[site.node]]\nid = 9\n");
    assert_eq!(answer["links"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&answer["links"][1]["tier"], &answer["links"][0]["latest"]),
        (&json!("HT20"), &json!(null))
    );
    assert_eq!(answer["links"][1]["latest"]["coherence"], json!(0.97));
    assert_eq!(
        (&answer["plugins"][0]["state"], &answer["manifest"]["hash"]),
        (&json!("FAILED"), &json!("01".repeat(32)))
    );
}

#[tokio::test]
async fn a_zone_stays_hidden_when_the_class_lets_out_rooms_only() {
    let bench = Bench::new();
    let router = bench.router();
    let mut c = cycle(1);
    c.outcome.privacy_class = 3;
    c.outcome.zones.clear();
    c.outcome.tracks.clear();
    bench.hub.publish(Arc::new(c));
    let answer = data(
        &router,
        "{ cycle { privacyClass zones { id } tracks { id } } site { zones { presence { state } people why } } why { area } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({
            "cycle": { "privacyClass": "RESTRICTED", "zones": [], "tracks": [] },
            "site": { "zones": [{ "presence": null, "people": null, "why": [] }] },
            "why": [{ "area": "living" }],
        })
    );
}

#[tokio::test]
async fn orders_reach_the_cycle() {
    let bench = Bench::new();
    let router = bench.router();
    let answer = data(
        &router,
        "mutation { a: startCalibration(seconds: 2.5) { order } b: stopCalibration { order } }",
    )
    .await;
    assert_eq!(answer, json!({ "a": { "order": 1 }, "b": { "order": 2 } }));
    let commands = bench.commands.lock().unwrap();
    // Each comes behind a leaf that says who gave it.
    for expected in [
        Command::StartCalibration { milliseconds: 2_500 },
        Command::StopCalibration,
    ] {
        let Command::Audited { operator, command, .. } = commands.try_recv().unwrap() else {
            panic!("an order without an audit leaf");
        };
        assert_eq!(operator, tapline_witness::hash::Domain::Operator.hash(b"local"));
        assert_eq!(command, Some(Box::new(expected)));
    }
}

#[tokio::test]
async fn orders_are_checked_and_bounded() {
    let bench = Bench::new();
    let router = bench.router();
    for seconds in ["0.5", "3601", "-1", "1e300"] {
        let answer = ask(
            &router,
            &format!("mutation {{ startCalibration(seconds: {seconds}) {{ order }} }}"),
        )
        .await;
        assert_eq!(code(&answer), "INVALID_ARGUMENT", "{answer}");
    }
    let mut last = Value::Null;
    for _ in 0..17 {
        last = ask(&router, "mutation { stopCalibration { order } }").await;
    }
    assert_eq!(code(&last), "BUSY", "{last}");
}

#[tokio::test]
async fn a_front_end_on_this_machine_may_read() {
    let bench = Bench::new();
    let router = bench.router();
    let preflight = Request::options("/graphql")
        .header(header::HOST, "localhost:8080")
        .header(header::ORIGIN, "http://localhost:5173")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .body(Body::empty())
        .unwrap();
    let (status, headers, _) = call(&router, preflight).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers["access-control-allow-origin"], "http://localhost:5173");
    assert!(
        headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("content-type")
    );
    let mut request = post(json!({ "query": "{ server { version } }" }).to_string());
    request
        .headers_mut()
        .insert(header::ORIGIN, "http://localhost:5173".parse().unwrap());
    let (status, headers, _) = call(&router, request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-origin"], "http://localhost:5173");
}

#[tokio::test]
async fn the_page_and_the_schema_are_served() {
    let bench = Bench::new();
    let router = bench.router();
    let (status, headers, page) = call(&router, get("/graphiql")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("/graphql/ws"));
    // Nothing that comes from elsewhere runs without its hash, and no other script at all.
    let foreign = page.matches("https://").count();
    assert_eq!((foreign, page.matches("integrity=\"sha384-").count()), (4, 4));
    let policy = headers["content-security-policy"].to_str().unwrap();
    let scripts = policy.split_once("script-src ").unwrap().1.split(';').next().unwrap();
    assert!(
        scripts.starts_with("'sha256-") && !scripts.contains("unsafe"),
        "{scripts}"
    );
    for address in page.split('"').filter(|part| part.starts_with("https://")) {
        let allowed = policy
            .split([' ', ';'])
            .any(|from| from.len() > 20 && address.starts_with(from));
        assert!(allowed, "{address} is not in {policy}");
    }
    let (_, _, schema) = call(&router, get("/schema.graphql")).await;
    assert_eq!(schema, crate::api::sdl());
}

/// `schema.graphql` is generated: `UPDATE_SCHEMA=1 cargo test -p tapline-server schema_file` writes it.
#[test]
fn the_schema_file_is_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema.graphql");
    let sdl = crate::api::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &sdl).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == sdl,
        "schema.graphql differs from the schema; write it with UPDATE_SCHEMA=1"
    );
}

/// Every type, field, argument and enum value has a description.
#[tokio::test]
async fn the_schema_reads_like_documentation() {
    let bench = Bench::new();
    let router = bench.router();
    let answer = data(
        &router,
        "{ __schema { types { name kind description
            fields { name description args { name description } } enumValues { name description } } } }",
    )
    .await;
    let mut bare = Vec::new();
    let described = |v: &Value| v["description"].as_str().is_some_and(|d| !d.trim().is_empty());
    for t in answer["__schema"]["types"].as_array().unwrap() {
        let name = t["name"].as_str().unwrap();
        // What the GraphQL specification itself defines is described there.
        if name.starts_with("__") || name == "ID" {
            continue;
        }
        if !described(t) {
            bare.push(name.to_owned());
        }
        let members = ["fields", "enumValues"]
            .into_iter()
            .filter_map(|k| t[k].as_array())
            .flatten();
        for member in members {
            let path = format!("{name}.{}", member["name"].as_str().unwrap());
            for arg in member["args"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|a| !described(a))
            {
                bare.push(format!("{path}({})", arg["name"].as_str().unwrap()));
            }
            if !described(member) {
                bare.push(path);
            }
        }
    }
    assert_eq!(bare, Vec::<String>::new(), "without a description");
}

/// A cycle thread that hung, or a disk that took nothing, left every probe green for good.
#[tokio::test]
async fn a_server_without_new_cycles_is_not_ready() {
    let bench = Bench::new();
    let later = |ms| std::time::Instant::now() + std::time::Duration::from_millis(ms);
    ready(&bench);
    bench.cycle(1);
    assert_eq!(*bench.hub.readiness_at(later(1_000)), Readiness::Ready);
    let stopped = bench.hub.readiness_at(later(3_500));
    assert_eq!(*stopped, Readiness::NotReady("no cycle for more than 2 s".to_owned()));
    assert_eq!(bench.hub.readiness_at(later(9_000)), stopped);
    // Why a server is not ready yet, or no more, says more.
    let stopping = Readiness::NotReady("stopping".to_owned());
    bench.hub.set_readiness(stopping.clone());
    assert_eq!(*bench.hub.readiness_at(later(9_000)), stopping);
}
