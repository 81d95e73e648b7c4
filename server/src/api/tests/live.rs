//! Subscriptions over a real socket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::*;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn connect(address: SocketAddr) -> Result<Socket, Box<Error>> {
    let mut request = format!("ws://{address}/graphql/ws").into_client_request().unwrap();
    let protocol = "graphql-transport-ws".parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(connect_async(request).await.map_err(Box::new)?.0)
}

pub(super) async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next text message, or the close frame.
pub(super) async fn hear(socket: &mut Socket) -> Result<Value, CloseFrame> {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("a message in time") {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(Some(frame)))) => return Err(frame),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Connects, greets and subscribes.
pub(super) async fn subscribe(address: SocketAddr, query: &str) -> Socket {
    let mut socket = connect(address).await.unwrap();
    say(&mut socket, json!({ "type": "connection_init" })).await;
    assert_eq!(hear(&mut socket).await.unwrap()["type"], "connection_ack");
    say(
        &mut socket,
        json!({ "type": "subscribe", "id": "1", "payload": { "query": query } }),
    )
    .await;
    socket
}

/// Publishes cycles until the subscriber has heard one: then its subscription stands.
async fn settle(bench: &Bench, socket: &mut Socket, number: &mut u64) {
    for _ in 0..400 {
        bench.cycle(*number);
        *number += 1;
        if let Ok(Some(Ok(Message::Text(_)))) = timeout(Duration::from_millis(25), socket.next()).await {
            return;
        }
    }
    panic!("no message");
}

#[tokio::test(flavor = "multi_thread")]
async fn poses_come_once_a_cycle_at_20_hz() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    let mut socket = subscribe(address, "subscription { poses { skipped cycle tick simulated ageMs durable quality { score } privacyClass bootId tracks { id x } } }").await;
    let mut number = 1;
    settle(&bench, &mut socket, &mut number).await;
    let first = number;
    let hub = Arc::clone(&bench.hub);
    let publisher = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for n in first..first + 40 {
            ticks.tick().await;
            hub.publish(Arc::new(cycle(n)));
        }
    });
    let mut heard = Vec::new();
    let mut began = None;
    while heard.len() < 40 {
        let message = hear(&mut socket).await.unwrap();
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!("1")));
        let poses = &message["payload"]["data"]["poses"];
        assert_eq!((&poses["skipped"], &poses["durable"]), (&json!(0), &json!(false)));
        assert_eq!(poses["tracks"][0]["id"], "43981");
        let n = poses["cycle"].as_u64().unwrap();
        if n < first {
            continue; // of the settling
        }
        began.get_or_insert_with(std::time::Instant::now);
        heard.push(n);
    }
    let took = began.unwrap().elapsed().as_secs_f64();
    assert_eq!(
        heard,
        (first..first + 40).collect::<Vec<_>>(),
        "each cycle once, in order"
    );
    let rate = 39.0 / took;
    assert!((19.0..=21.0).contains(&rate), "{rate} messages a second");
    publisher.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_skips_and_is_told_and_delays_nobody() {
    let bench = Bench::new();
    let limits = Limits {
        backlog: 8,
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    let query = "subscription { cycles { skipped cycle tracks { keypoints { name x y z sigmaM covariance } } } }";
    let mut slow = subscribe(address, query).await;
    let mut fast = subscribe(address, query).await;
    let mut number = 1;
    settle(&bench, &mut slow, &mut number).await;
    settle(&bench, &mut fast, &mut number).await;
    // The slow client reads nothing until the kernel's buffers and its backlog are full.
    let first = number;
    let last = first + 3_000;
    let mut heard = 0;
    let mut fast_skipped = 0;
    for n in first..=last {
        bench.hub.publish(Arc::new(cycle(n)));
        loop {
            let message = hear(&mut fast).await.unwrap();
            let update = &message["payload"]["data"]["cycles"];
            if update["cycle"].as_u64().unwrap() >= first {
                heard += 1;
            }
            fast_skipped += update["skipped"].as_u64().unwrap();
            if update["cycle"] == json!(n) {
                break;
            }
        }
    }
    assert_eq!(
        (heard, fast_skipped),
        (last - first + 1, 0),
        "the fast client misses nothing"
    );
    let (mut told, mut got) = (0, 0);
    let mut before: Option<u64> = None;
    loop {
        let message = hear(&mut slow).await.unwrap();
        let update = &message["payload"]["data"]["cycles"];
        let (n, skipped) = (update["cycle"].as_u64().unwrap(), update["skipped"].as_u64().unwrap());
        if let Some(before) = before {
            assert_eq!(n, before + 1 + skipped, "what is missing is what it was told");
        }
        before = Some(n);
        told += skipped;
        got += 1;
        if n == last {
            break;
        }
    }
    assert!(told > 0, "got all {got}: the test did not make it slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_one_subscription_share_its_encoding() {
    let bench = Bench::new();
    let limits = Limits {
        distinct_subscriptions: 2,
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    let (a, b) = ("subscription { poses { cycle } }", "subscription { poses { tick } }");
    let mut number = 1;
    let mut sockets = Vec::new();
    for query in [a, b, a, a, b] {
        let mut socket = subscribe(address, query).await;
        settle(&bench, &mut socket, &mut number).await;
        sockets.push(socket);
    }
    let mut third = subscribe(address, "subscription { poses { tMs } }").await;
    let refusal = hear(&mut third).await.unwrap();
    assert_eq!(
        (&refusal["type"], &refusal["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("BUSY"))
    );
    // When the last client of a subscription leaves, its place is free again.
    drop(sockets);
    for _ in 0..200 {
        say(
            &mut third,
            json!({ "type": "subscribe", "id": "2", "payload": { "query": "subscription { poses { tMs } }" } }),
        )
        .await;
        bench.cycle(number);
        number += 1;
        let answer = loop {
            if let Ok(answer) = timeout(Duration::from_millis(100), hear(&mut third)).await {
                break answer.unwrap();
            }
            bench.cycle(number);
            number += 1;
        };
        if answer["type"] == "next" {
            return;
        }
    }
    panic!("the place was never free");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_is_kept() {
    let bench = Bench::new();
    bench.cycle(1);
    let (address, stop) = bench.serve(Limits::default());
    let mut socket = subscribe(address, "{ cycle { cycle } }").await;
    let next = hear(&mut socket).await.unwrap();
    assert_eq!(next["payload"]["data"], json!({ "cycle": { "cycle": 1 } }));
    assert_eq!(
        hear(&mut socket).await.unwrap(),
        json!({ "id": "1", "type": "complete" })
    );
    say(&mut socket, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut socket).await.unwrap(), json!({ "type": "pong" }));
    let broken = json!({ "type": "subscribe", "id": "2", "payload": { "query": "subscription { nothing }" } });
    say(&mut socket, broken).await;
    let error = hear(&mut socket).await.unwrap();
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("2")));
    assert_eq!(error["payload"][0]["extensions"]["code"], "BAD_QUERY");
    let poses = json!({ "type": "subscribe", "id": "3", "payload": { "query": "subscription { poses { cycle } }" } });
    say(&mut socket, poses.clone()).await;
    let mut number = 2;
    settle(&bench, &mut socket, &mut number).await;
    // After its end an id may be used again; without, it may not.
    say(&mut socket, json!({ "type": "complete", "id": "3" })).await;
    say(&mut socket, poses.clone()).await;
    settle(&bench, &mut socket, &mut number).await;
    say(&mut socket, poses).await;
    let close = loop {
        if let Err(close) = hear(&mut socket).await {
            break close;
        }
    };
    assert_eq!(u16::from(close.code), 4409);

    let mut socket = subscribe(address, "subscription { poses { cycle } }").await;
    settle(&bench, &mut socket, &mut number).await;
    stop.send(()).unwrap();
    let close = loop {
        if let Err(close) = hear(&mut socket).await {
            break close;
        }
    };
    assert_eq!(u16::from(close.code), 1001, "a server that stops says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn poses_of_one_room_above_a_quality_and_no_faster_than_asked() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    for (arguments, expected) in [
        ("room: \"attic\"", "living"),
        ("site: \"cabin\"", "flat"),
        ("minQuality: 1.5", "0 to 1"),
        ("maxRateHz: 0", "0.1 to 20"),
    ] {
        let mut socket = subscribe(address, &format!("subscription {{ poses({arguments}) {{ cycle }} }}")).await;
        let message = hear(&mut socket).await.unwrap();
        assert_eq!(message["type"], "error", "{message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], "INVALID_ARGUMENT");
        assert!(
            message["payload"][0]["message"].as_str().unwrap().contains(expected),
            "{message}"
        );
    }
    let query = "subscription { poses(room: \"living\", minQuality: 0.5, maxRateHz: 5) { tick tracks { x } rooms { id } zones { id } } }";
    let mut socket = subscribe(address, query).await;
    let mut number = 1;
    settle(&bench, &mut socket, &mut number).await;
    // A bar nobody clears keeps a second subscription silent.
    let mut silent = subscribe(address, "subscription { poses(minQuality: 0.99) { tick } }").await;
    let mut ticks = Vec::new();
    for _ in 0..3 {
        for _ in 0..4 {
            bench.cycle(number);
            number += 1;
        }
        let message = hear(&mut socket).await.unwrap();
        let poses = &message["payload"]["data"]["poses"];
        assert_eq!(
            (&poses["tracks"][0]["x"], &poses["rooms"][0]["id"]),
            (&json!(1.0), &json!("living"))
        );
        ticks.push(poses["tick"].as_u64().unwrap());
    }
    assert!(ticks.windows(2).all(|w| w[1] - w[0] >= 4), "{ticks:?}");
    assert!(timeout(Duration::from_millis(50), silent.next()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_followed() {
    let bench = Bench::new();
    bench.hub.publish_durable(durable(3));
    let (address, _stop) = bench.serve(Limits::default());
    let mut socket = subscribe(address, "subscription { witness { size } }").await;
    for size in [3, 9] {
        let message = hear(&mut socket).await.unwrap();
        assert_eq!(message["payload"]["data"]["witness"]["size"], size);
        bench.hub.publish_durable(durable(9));
    }
}

/// Whoever comes later, with the same question, gets what is, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_begins_with_the_state_begins_so_for_everybody() {
    let bench = Bench::new();
    bench.cycle(1);
    let (address, _stop) = bench.serve(Limits::default());
    for (query, of) in [
        (
            "subscription { world { snapshot nodes { id } edges { from } goneNodes } }",
            "world",
        ),
        ("subscription { occupancy { cycle } }", "occupancy"),
    ] {
        let mut sockets = Vec::new();
        for _ in 0..3 {
            let mut socket = subscribe(address, query).await;
            let message = hear(&mut socket).await.unwrap();
            let first = &message["payload"]["data"][of];
            assert!(first.is_object(), "{message}");
            assert!(of != "world" || (first["snapshot"] == true && !first["nodes"].as_array().unwrap().is_empty()));
            sockets.push(socket);
        }
    }
}

/// Each follower of `occupancy` or `world` took one of the 64 places for different subscriptions: a server had 64 of them.
#[tokio::test(flavor = "multi_thread")]
async fn followers_of_the_state_take_no_place_from_others() {
    let bench = Bench::new();
    bench.cycle(1);
    let limits = Limits {
        distinct_subscriptions: 1,
        lone_subscriptions: (2, 32),
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    let mut homes = Vec::new();
    for _ in 0..5 {
        let mut socket = subscribe(address, "subscription { occupancy { cycle people } }").await;
        let message = hear(&mut socket).await.unwrap();
        assert_eq!(message["payload"]["data"]["occupancy"]["cycle"], 1, "{message}");
        homes.push(socket);
    }
    // What changes reaches all of them, once, also whoever came later.
    let mut changed = cycle(2);
    changed.outcome.people = Some(2);
    bench.hub.publish(Arc::new(changed));
    bench.cycle(3);
    for socket in &mut homes {
        for (cycle, people) in [(2, 2), (3, 1)] {
            let message = hear(socket).await.unwrap();
            let told = &message["payload"]["data"]["occupancy"];
            assert_eq!((&told["cycle"], &told["people"]), (&json!(cycle), &json!(people)));
        }
    }
    let world = "subscription { world { snapshot } }";
    let mut maps = Vec::new();
    for busy in [false, false, true] {
        let mut socket = subscribe(address, world).await;
        let message = hear(&mut socket).await.unwrap();
        let refused = message["payload"][0]["extensions"]["code"] == "BUSY";
        assert_eq!(refused, busy, "{message}");
        maps.push(socket);
    }
}
