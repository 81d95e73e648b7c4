//! Event streams, and going on after a lost connection.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{live::*, *};

const PATIENCE: Duration = Duration::from_secs(20);

/// One event of a stream: its name, id, data.
#[derive(Debug, PartialEq)]
struct Heard {
    name: String,
    id: Option<String>,
    data: Value,
}

struct Stream {
    body: BodyDataStream,
    text: String,
    comments: usize,
}

impl Stream {
    /// Opens an event stream; the status when it is refused.
    async fn open(router: &Router, mut request: Request<Body>) -> Result<Self, (StatusCode, String)> {
        let accept = "text/event-stream".parse().unwrap();
        request.headers_mut().insert(header::ACCEPT, accept);
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        if status != StatusCode::OK {
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            return Err((status, String::from_utf8(body.to_vec()).unwrap()));
        }
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Ok(Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
            comments: 0,
        })
    }

    /// The next event; none at the end.
    async fn hear(&mut self) -> Option<Heard> {
        // As a whole: heartbeats alone would go on for ever.
        timeout(PATIENCE, self.listen()).await.expect("an event in time")
    }

    async fn listen(&mut self) -> Option<Heard> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let line = event.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
                    line.map(|value| value.trim_start().to_owned())
                };
                let Some(name) = field("event") else {
                    self.comments += 1;
                    continue;
                };
                let data = field("data").unwrap_or_default();
                return Some(Heard {
                    name,
                    id: field("id"),
                    data: serde_json::from_str(&data).unwrap_or(Value::Null),
                });
            }
            let piece = self.body.next().await?;
            self.text += std::str::from_utf8(&piece.unwrap()).unwrap();
        }
    }
}

fn subscription(query: &str, last: Option<&str>) -> Request<Body> {
    let mut request = post(json!({ "query": query }).to_string());
    if let Some(last) = last {
        request.headers_mut().insert("last-event-id", last.parse().unwrap());
    }
    request
}

fn mark(cycle: u64) -> String {
    format!("{}:{cycle}", "07".repeat(16))
}

const CYCLES: &str =
    "subscription { cycles { cycle bootId skipped durable resumption { reset lastKept gapFrom gapTo } } }";

/// The numbers of the next `n` messages, and what the first said of going on.
async fn numbers(stream: &mut Stream, n: usize) -> (Vec<u64>, Value) {
    let (mut numbers, mut resumption) = (Vec::new(), Value::Null);
    for i in 0..n {
        let heard = stream.hear().await.unwrap();
        let cycle = &heard.data["data"]["cycles"];
        let number = cycle["cycle"].as_u64().unwrap_or_else(|| panic!("{heard:?}"));
        let boot_id = cycle["bootId"].as_str().unwrap();
        assert_eq!(heard.id, Some(format!("{boot_id}:{number}")), "an id to go on from");
        assert_eq!(cycle["skipped"], 0, "{heard:?}");
        if i == 0 {
            resumption = cycle["resumption"].clone();
        } else {
            assert_eq!(cycle["resumption"], Value::Null, "only the first message says it");
        }
        numbers.push(number);
    }
    (numbers, resumption)
}

/// Publishes until the stream's subscription stands; gives the next number.
async fn settle(bench: &Bench, stream: &mut Stream, mut number: u64) -> u64 {
    for _ in 0..400 {
        bench.cycle(number);
        number += 1;
        if timeout(Duration::from_millis(25), stream.hear()).await.is_ok() {
            return number;
        }
    }
    panic!("no message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_comes_as_an_event_stream() {
    let bench = Bench::new();
    let limits = Limits {
        heartbeat: Duration::from_millis(20),
        ..Limits::default()
    };
    let router = bench.router_with(limits);
    let mut stream = Stream::open(&router, subscription(CYCLES, None)).await.unwrap();
    let number = settle(&bench, &mut stream, 1).await;
    while timeout(Duration::from_millis(200), stream.hear()).await.is_ok() {}
    bench.cycle(number);
    let (heard, resumption) = numbers(&mut stream, 1).await;
    assert_eq!((heard, resumption), (vec![number], Value::Null));
    assert!(stream.comments > 0, "a heartbeat while nothing happens");
    // A question is one message and the end; so is a refusal.
    let mut once = Stream::open(&router, subscription("{ server { ready } }", None))
        .await
        .unwrap();
    assert_eq!(
        once.hear().await.unwrap().data,
        json!({ "data": { "server": { "ready": false } } })
    );
    assert_eq!(once.hear().await.unwrap().name, "complete");
    assert_eq!(once.hear().await, None);
    let mut broken = Stream::open(&router, subscription("subscription { nothing }", None))
        .await
        .unwrap();
    let error = broken.hear().await.unwrap();
    assert_eq!((error.name.as_str(), code(&error.data)), ("next", "BAD_QUERY"));
    let mut wrong = Stream::open(&router, subscription(CYCLES, Some("yesterday")))
        .await
        .unwrap();
    assert_eq!(code(&wrong.hear().await.unwrap().data), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_follows_and_orders_nothing() {
    let bench = Bench::new();
    bench.cycle(1);
    let router = bench.router();
    let open = async |query: &str| Stream::open(&router, get(&format!("/graphql?query={query}"))).await;
    let mut stream = open("%7B+cycle+%7B+cycle+%7D+%7D").await.unwrap();
    assert_eq!(stream.hear().await.unwrap().data["data"]["cycle"]["cycle"], 1);
    let (status, body) = open("mutation+%7B+stopCalibration+%7B+order+%7D+%7D")
        .await
        .err()
        .unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(
        body.contains("INVALID_ARGUMENT") && body.contains("a mutation"),
        "{body}"
    );
    assert!(
        bench.commands.lock().unwrap().try_recv().is_err(),
        "nothing was ordered"
    );
    let (status, _, body) = call(&router, get("/graphql?query=%7Bserver%7Bready%7D%7D")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "without Accept: {body}");
    let (status, body) = Stream::open(&router, get("/graphql")).await.err().unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST, "without a query: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_sent_again_and_nothing_twice() {
    let bench = Bench::new();
    // 200 cycles are in the store, the newest 128 in memory too.
    let router = bench.router();
    for n in 1..=200 {
        bench.cycle(n);
        if n % 32 == 0 {
            tokio::task::yield_now().await;
        }
    }
    bench.hub.publish_durable(durable(150));
    let mut stream = Stream::open(&router, subscription(CYCLES, Some(&mark(20))))
        .await
        .unwrap();
    let (heard, resumption) = numbers(&mut stream, 180).await;
    assert_eq!(heard, (21..=200).collect::<Vec<_>>());
    assert_eq!(
        resumption,
        json!({ "reset": false, "lastKept": null, "gapFrom": null, "gapTo": null })
    );
    for n in 201..=210 {
        bench.cycle(n);
    }
    assert_eq!(numbers(&mut stream, 10).await.0, (201..=210).collect::<Vec<_>>());
    // Nothing missed: it goes on without a word. The store may lack the tail: memory has it.
    let lost: Vec<u64> = (180..=210).collect();
    lost.iter().for_each(|n| {
        bench.store.cycles.lock().unwrap().remove(n);
    });
    let mut again = Stream::open(&router, subscription(CYCLES, Some(&mark(205))))
        .await
        .unwrap();
    assert_eq!(numbers(&mut again, 5).await.0, (206..=210).collect::<Vec<_>>());
    let mut current = Stream::open(&router, subscription(CYCLES, Some(&mark(210))))
        .await
        .unwrap();
    let silent = timeout(Duration::from_millis(50), current.hear()).await;
    assert!(silent.is_err(), "nothing was missed: {silent:?}");
    bench.cycle(211);
    let (heard, resumption) = numbers(&mut current, 1).await;
    assert_eq!((heard, resumption), (vec![211], Value::Null));
    assert_eq!(numbers(&mut again, 1).await.0, [211]);
}

/// One thread: nothing else runs between two lines that do not wait.
#[tokio::test]
async fn what_memory_loses_while_it_is_waited_for_comes_from_the_store() {
    let bench = Bench::new();
    let router = bench.router();
    for n in 1..=60 {
        bench.cycle(n);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Memory holds 1 to 60, and is told of the others all at once: more than it is kept for.
    for n in 61..=300 {
        bench.cycle(n);
    }
    for lost in [100, 101] {
        bench.store.cycles.lock().unwrap().remove(&lost);
    }
    let mut stream = Stream::open(&router, subscription(CYCLES, Some(&mark(20))))
        .await
        .unwrap();
    let (heard, _) = numbers(&mut stream, 79).await;
    assert_eq!(heard, (21..=99).collect::<Vec<_>>());
    // What is nowhere is counted.
    let next = stream.hear().await.unwrap().data["data"]["cycles"].take();
    assert_eq!((&next["cycle"], &next["skipped"]), (&json!(102), &json!(2)), "{next}");
    assert_eq!(numbers(&mut stream, 198).await.0, (103..=300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_absence_is_a_gap_and_a_new_process_a_reset() {
    let bench = Bench::new();
    for n in 1..=1_300 {
        bench.store.keep(&cycle(n));
    }
    let router = bench.router();
    bench.cycle(1_301);
    let mut stream = Stream::open(&router, subscription(CYCLES, Some(&mark(3))))
        .await
        .unwrap();
    let (heard, resumption) = numbers(&mut stream, 1_200).await;
    assert_eq!((heard[0], heard[1_199]), (102, 1_301));
    assert_eq!(
        resumption,
        json!({ "reset": false, "lastKept": null, "gapFrom": 4, "gapTo": 101 })
    );

    // The process before wrote up to 1,250 and showed 1,260; its last ten cycles were not on disk.
    for stored in bench.store.cycles.lock().unwrap().values_mut() {
        if stored.cycle <= 1_250 {
            stored.boot_id = [6; 16];
        }
    }
    let old = format!("{}:1260", "06".repeat(16));
    let mut stream = Stream::open(&router, subscription(CYCLES, Some(&old))).await.unwrap();
    let (heard, resumption) = numbers(&mut stream, 51).await;
    assert_eq!(heard, (1_251..=1_301).collect::<Vec<_>>());
    assert_eq!(
        resumption,
        json!({ "reset": true, "lastKept": 1_250, "gapFrom": null, "gapTo": null })
    );

    // Of a process the log knows nothing of, only what this one did can follow.
    let unknown = format!("{}:77", "05".repeat(16));
    let mut stream = Stream::open(&router, subscription(CYCLES, Some(&unknown)))
        .await
        .unwrap();
    let (heard, resumption) = numbers(&mut stream, 51).await;
    assert_eq!(heard, (1_251..=1_301).collect::<Vec<_>>());
    assert_eq!(
        resumption,
        json!({ "reset": true, "lastKept": null, "gapFrom": null, "gapTo": null })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_on_too() {
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    for n in 1..=9 {
        bench.cycle(n);
    }
    let mut socket = connect(address).await.unwrap();
    say(&mut socket, json!({ "type": "connection_init" })).await;
    hear(&mut socket).await.unwrap();
    let query = "subscription { poses(maxRateHz: 10) { cycle tick resumption { reset } } }";
    let payload = json!({ "query": query, "extensions": { "lastEventId": mark(4) } });
    say(
        &mut socket,
        json!({ "type": "subscribe", "id": "1", "payload": payload }),
    )
    .await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        let message = hear(&mut socket).await.unwrap();
        let poses = &message["payload"]["data"]["poses"];
        assert_eq!(poses["resumption"].is_object(), heard.is_empty(), "{message}");
        heard.push(poses["cycle"].as_u64().unwrap());
    }
    assert_eq!(heard, [5, 7, 9], "what is wanted is asked of the past too");
    let broken = json!({ "query": query, "extensions": { "lastEventId": "9" } });
    say(
        &mut socket,
        json!({ "type": "subscribe", "id": "2", "payload": broken }),
    )
    .await;
    let error = hear(&mut socket).await.unwrap();
    assert_eq!(error["payload"][0]["extensions"]["code"], "INVALID_ARGUMENT");
}
