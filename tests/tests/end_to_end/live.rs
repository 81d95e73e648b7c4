//! The server in real time.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tapline_tests::{Room, Server, recording, root, scene_config, succeed};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// What a subscriber got.
struct Heard {
    messages: usize,
    seconds: f64,
    ticks: Vec<u64>,
    simulated: bool,
}

fn subscribe(server: &Server, seconds: f64) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut request = format!("ws://{}/graphql/ws", server.http)
            .into_client_request()
            .expect("an address");
        request.headers_mut().insert(
            "sec-websocket-protocol",
            "graphql-transport-ws".parse().expect("a header"),
        );
        let (mut socket, _) = tokio_tungstenite::connect_async(request)
            .await
            .expect("the server takes websockets");
        let say = |text: &str| Message::text(text.to_owned());
        socket
            .send(say(r#"{"type":"connection_init"}"#))
            .await
            .expect("a greeting");
        let subscription =
            r#"{"id":"1","type":"subscribe","payload":{"query":"subscription { poses { tick simulated } }"}}"#;
        socket.send(say(subscription)).await.expect("a subscription");
        let mut heard = Heard {
            messages: 0,
            seconds: 0.0,
            ticks: Vec::new(),
            simulated: true,
        };
        let mut begun: Option<Instant> = None;
        while begun.is_none_or(|t| t.elapsed().as_secs_f64() < seconds) {
            let message = tokio::time::timeout(Duration::from_secs(10), socket.next())
                .await
                .expect("a message in time");
            let text = message
                .expect("the server stays")
                .expect("a good frame")
                .into_text()
                .expect("text");
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            if value["type"] != "next" {
                continue;
            }
            if begun.is_none() {
                // The first message starts the clock, so that it is not counted.
                begun = Some(Instant::now());
                continue;
            }
            let pose = &value["payload"]["data"]["poses"];
            heard.messages += 1;
            heard.ticks.push(pose["tick"].as_u64().expect("a tick"));
            heard.simulated &= pose["simulated"].as_bool().expect("a flag");
        }
        heard.seconds = begun.expect("messages came").elapsed().as_secs_f64();
        heard
    })
}

/// Real datagrams in, twenty messages a second out, none missed; then a clean stop and a clean log.
#[test]
fn a_subscriber_hears_every_cycle() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let server = Server::start(&config, &data);
    let _room = Room::start("demo", server.udp);
    std::thread::sleep(Duration::from_secs(2));
    let heard = subscribe(&server, 10.0);
    let rate_hz = heard.messages as f64 / heard.seconds;
    assert!((19.8..=20.2).contains(&rate_hz), "{rate_hz} messages a second");
    assert!(
        heard.ticks.windows(2).all(|w| w[1] == w[0] + 1),
        "a tick is missing: {:?}",
        heard.ticks
    );
    assert!(heard.simulated, "a simulated room must say so");
    let nodes = server.query("{ nodes { id health } }");
    assert!(nodes["nodes"].as_array().is_some_and(|n| n.len() >= 4), "{nodes}");
    let metrics = server.get("/metrics").expect("metrics");
    assert!(metrics.contains("tapline_missed_ticks_total 0"), "{metrics}");
    server.stop();
    succeed(&["fsck", data.to_str().expect("a plain path")]);
}

/// The same for a real recording, played in real time to the room of the example: five thousand frames in two minutes.
#[test]
fn a_subscriber_hears_every_cycle_of_a_real_recording() {
    let Some(recording) = recording("esp32-two-node/pretrain-1775182186.csi.jsonl") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let server = Server::start(&root().join("config.example.toml"), &data);
    let _sender = Room::play(&recording, server.udp);
    std::thread::sleep(Duration::from_secs(2));
    let heard = subscribe(&server, 10.0);
    let rate_hz = heard.messages as f64 / heard.seconds;
    assert!((19.8..=20.2).contains(&rate_hz), "{rate_hz} messages a second");
    let whole = heard.ticks.windows(2).all(|w| w[1] == w[0] + 1);
    assert!(whole, "a tick is missing: {:?}", heard.ticks);
    assert!(!heard.simulated, "nothing of it is simulated");
    let metrics = server.get("/metrics").expect("metrics");
    assert!(metrics.contains("tapline_missed_ticks_total 0"), "{metrics}");
    let nodes = server.query("{ nodes { id rateHz } }");
    let rates = nodes["nodes"].as_array().expect("a list").iter();
    let hearing = rates.filter(|n| n["rateHz"].as_f64().is_some_and(|r| r > 15.0)).count();
    assert_eq!(hearing, 2, "{nodes}");
    server.stop();
}

/// SIGKILL at any moment: the log is whole, and nothing under a published checkpoint is lost.
#[test]
fn a_killed_server_goes_on_where_its_log_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let data = directory.path().join("data");
    let mut published = 0;
    for run_ms in [700, 1_900, 1_300] {
        let server = Server::start(&config, &data);
        let _room = Room::start("demo", server.udp);
        std::thread::sleep(Duration::from_millis(run_ms));
        let checkpoint = server.query("{ checkpoint { size } }");
        let size = checkpoint["checkpoint"]["size"].as_u64().unwrap_or(0);
        assert!(size >= published, "a checkpoint of {size} after one of {published}");
        published = published.max(size);
        server.kill();
        let report: serde_json::Value =
            serde_json::from_str(succeed(&["fsck", data.to_str().expect("a plain path"), "--json"]).trim())
                .expect("JSON");
        let leaves = report["leaves"].as_u64().expect("a number");
        assert!(
            leaves >= published,
            "{leaves} leaves after a checkpoint of {published} was published"
        );
    }
    assert!(published > 0, "no checkpoint was ever published");
}

/// Garbage beside a room: counted with a reason, and the cycle does not notice.
#[test]
fn garbage_is_counted_and_costs_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("demo", directory.path());
    let server = Server::start(&config, &directory.path().join("data"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut state = 1_u64;
    for length in 0..2_000_usize {
        let bytes: Vec<u8> = (0..length % 700)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        socket.send_to(&bytes, server.udp).expect("loopback takes it");
        if length % 100 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let metrics = server.get("/metrics").expect("metrics");
    let counted: u64 = metrics
        .lines()
        .filter(|l| l.starts_with("tapline_datagrams_not_used_total{"))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(counted, 2_000, "{metrics}");
    assert!(metrics.contains("tapline_missed_ticks_total 0"));
    server.stop();
}

/// What was learned once is in force after a restart, and the log says so.
#[test]
fn a_calibration_outlives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = scene_config("empty-room", directory.path());
    let data = directory.path().join("data");
    let status = |server: &Server| {
        let answer = server.query("{ calibration { status } }");
        answer["calibration"]["status"].as_str().expect("a text").to_owned()
    };
    let server = Server::start(&config, &data);
    let room = Room::start("empty-room", server.udp);
    server.query("mutation { startCalibration(seconds: 4) { order } }");
    let begun = Instant::now();
    while !status(&server).starts_with("in force") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", status(&server));
        std::thread::sleep(Duration::from_millis(200));
    }
    server.stop();
    let server = Server::start(&config, &data);
    let shown = status(&server);
    assert!(
        shown.starts_with("in force") && shown.contains("learned before this start, at 20"),
        "{shown}"
    );
    drop(room);
    server.stop();
    // A node that was moved meanwhile hears another room.
    let text = std::fs::read_to_string(&config).expect("the fleet file");
    let line = text.lines().find(|l| l.starts_with("position_m")).expect("a node");
    std::fs::write(&config, text.replacen(line, "position_m = [0.5, 0.3, 1.1]", 1)).expect("written");
    let server = Server::start(&config, &data);
    let shown = status(&server);
    assert!(
        shown.starts_with("none: the one that was learned before this start, at 20")
            && shown.contains("the nodes of the fleet"),
        "{shown}"
    );
    server.stop();
    succeed(&["fsck", data.to_str().expect("a plain path")]);
}
