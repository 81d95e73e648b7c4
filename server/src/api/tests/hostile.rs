//! What must not get through, each with its documented code.

use std::time::Duration;

use super::{
    live::{connect, hear, say, subscribe},
    *,
};

async fn refused(router: &Router, request: Request<Body>) -> (u16, String) {
    let (status, headers, text) = call(router, request).await;
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text:?}"));
    let error = &body["error"];
    assert!(error["message"].is_string() && error["help"].is_string(), "{text}");
    assert_eq!(error["correlationId"].as_str().unwrap().len(), 16, "{text}");
    assert!(headers.contains_key("x-content-type-options"), "{text}");
    (status.as_u16(), error["code"].as_str().unwrap().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn foreign_names_and_pages_are_refused_on_every_route() {
    let router = Bench::new().router();
    for path in [
        "/graphql",
        "/graphql/ws",
        "/graphiql",
        "/healthz",
        "/metrics",
        "/nothing",
    ] {
        let ask = |host: Option<&str>, origin: Option<&str>| {
            let mut request = Request::get(path);
            if let Some(host) = host {
                request = request.header(header::HOST, host);
            }
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            request.body(Body::empty()).unwrap()
        };
        assert_eq!(
            refused(&router, ask(Some("evil.example"), None)).await,
            is(421, "HOST_NOT_ALLOWED")
        );
        assert_eq!(refused(&router, ask(None, None)).await, is(400, "HOST_MISSING"));
        let foreign = ask(Some("localhost"), Some("https://evil.example"));
        assert_eq!(refused(&router, foreign).await, is(403, "ORIGIN_NOT_ALLOWED"));
    }
}

#[tokio::test]
async fn bodies_are_typed_bounded_and_single() {
    let router = Bench::new().router();
    let mut form = post("query={server{version}}");
    let kind = "application/x-www-form-urlencoded".parse().unwrap();
    form.headers_mut().insert(header::CONTENT_TYPE, kind);
    assert_eq!(refused(&router, form).await, is(415, "UNSUPPORTED_MEDIA_TYPE"));
    let mut bare = post("{}");
    bare.headers_mut().remove(header::CONTENT_TYPE);
    assert_eq!(refused(&router, bare).await, is(415, "UNSUPPORTED_MEDIA_TYPE"));
    assert_eq!(refused(&router, post(vec![b' '; 70_000])).await, is(413, "TOO_LARGE"));
    for body in [
        "",
        "null",
        "7",
        "\"{}\"",
        "{",
        "{\"query\": 7}",
        "{\"query\": \"\"}",
        "{\"variables\": {}, \"operationName\": \"\", \"extensions\": {}}",
        " [{\"query\": \"{ server { version } }\"}]",
        "\u{0}",
    ] {
        assert_eq!(
            refused(&router, post(body)).await,
            is(400, "INVALID_ARGUMENT"),
            "{body:?}"
        );
    }
    let subscription = json!({ "query": "subscription { poses { cycle } }" }).to_string();
    assert_eq!(refused(&router, post(subscription)).await, is(400, "INVALID_ARGUMENT"));
    assert_eq!(
        refused(&router, get("/graphql?query={server{version}}")).await,
        is(400, "INVALID_ARGUMENT")
    );
    let mut put = get("/graphql");
    *put.method_mut() = axum::http::Method::PUT;
    assert_eq!(refused(&router, put).await, is(405, "METHOD_NOT_ALLOWED"));
}

#[tokio::test]
async fn no_path_leads_out() {
    // Recordings are given out under the class Raw only, so that is the class to try.
    let bench = Bench::in_mode("RawResearch");
    bench.hub.keep_in(std::path::Path::new("/etc"));
    bench.hub.publish_durable(durable(300));
    let router = bench.router();
    for (path, codes) in [
        ("/../../etc/passwd", &["NOT_FOUND"][..]),
        ("/assets/..%2f..%2findex.html", &["NOT_FOUND"]),
        ("/assets/%2e%2e/index.html", &["NOT_FOUND"]),
        ("/tile/../../etc/passwd", &["NOT_FOUND"]),
        ("/tile/..%2f..%2fetc%2fpasswd", &["NOT_FOUND"]),
        ("/v1/recordings/..%2fpasswd", &["INVALID_ARGUMENT"]),
        ("/v1/recordings/%2fetc%2fpasswd", &["INVALID_ARGUMENT"]),
        ("/v1/recordings/passwd%00", &["INVALID_ARGUMENT"]),
        ("/v1/recordings/..", &["INVALID_ARGUMENT", "NOT_FOUND"]),
        ("/v1/recordings/passwd", &["NOT_FOUND"]),
        ("/v1/plugins/swap/..%2fcandidates", &["INVALID_ARGUMENT"]),
    ] {
        let (status, code) = refused(&router, get(path)).await;
        assert!(
            codes.contains(&code.as_str()) && [400, 404].contains(&status),
            "{path}: {status} {code}"
        );
    }
    for name in ["../x", "/etc/passwd", "a/b", "", "x.tlc"] {
        for order in ["startRecording", "deleteRecording"] {
            let query = format!("mutation {{ {order}(name: {}) {{ order }} }}", json!(name));
            assert_eq!(code(&ask(&router, &query).await), "INVALID_ARGUMENT", "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_end_the_websocket_with_1002() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    let long_ping: Vec<u8> = [&[0x89, 0xfe, 0x00, 0x7e, 0, 0, 0, 0][..], &[0; 126]].concat();
    for (what, frame) in [
        ("not masked", &[0x81, 0x02, b'{', b'}'][..]),
        ("a reserved bit", &[0xf1, 0x82, 0, 0, 0, 0, b'{', b'}']),
        ("a reserved kind", &[0x83, 0x80, 0, 0, 0, 0]),
        ("a ping in pieces", &[0x09, 0x80, 0, 0, 0, 0]),
        ("a ping that is too long", &long_ping),
        (
            "a length beyond all",
            &[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        ),
        ("a piece of nothing", &[0x80, 0x80, 0, 0, 0, 0]),
    ] {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let handshake = "GET /graphql/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
        socket.write_all(handshake.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{what}");
        socket.write_all(frame).await.unwrap();
        let mut said = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut said)).await;
        // A reset after the close frame is as good as an end.
        let _ = read.unwrap_or_else(|_| panic!("{what}: the connection stays open"));
        assert_eq!(said.first().copied(), Some(0x88), "{what}: {said:?}");
        assert_eq!(said[2..4], 1_002_u16.to_be_bytes(), "{what}");
    }
}

/// A client that sends its body byte by byte (slowloris), or more of it than it said or may.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_trickle_in_or_never_end_are_answered_in_time() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::new();
    let limits = Limits {
        request: Duration::from_secs(2),
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let answer = async |length: &str, piece: &[u8], pause: Duration| {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut from, mut to) = socket.into_split();
        to.write_all(format!("{head}{length}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let piece = piece.to_vec();
        let sender = tokio::spawn(async move {
            while to.write_all(&piece).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        let mut said = String::new();
        let read = async {
            let mut piece = [0; 2_000];
            // Head and body may come in two pieces.
            while !said.contains("correlationId") {
                let read = from.read(&mut piece).await.expect("answered, not cut off");
                assert_ne!(read, 0, "ended after {said:?}");
                said += std::str::from_utf8(&piece[..read]).unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("answered in time");
        sender.abort();
        said
    };
    let slow = answer("Content-Length: 60000", b" ", Duration::from_millis(20)).await;
    assert!(slow.starts_with("HTTP/1.1 503") && slow.contains("TIMED_OUT"), "{slow}");
    let said = answer("Content-Length: 70000", &[b' '; 1024], Duration::from_millis(1)).await;
    assert!(said.starts_with("HTTP/1.1 413") && said.contains("TOO_LARGE"), "{said}");
    let piece = [b"400\r\n", &[b' '; 1024][..], b"\r\n"].concat();
    let endless = answer("Transfer-Encoding: chunked", &piece, Duration::from_millis(1)).await;
    assert!(
        endless.starts_with("HTTP/1.1 413") && endless.contains("TOO_LARGE"),
        "{endless}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_that_takes_no_bytes_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::new();
    let limits = Limits {
        connections: 1,
        stalled: Duration::from_millis(300),
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    // Large messages fill the kernel's buffers sooner.
    let everything = "tracks { keypoints { name x y z sigmaM covariance } }";
    let parts: String = (0..12).map(|i| format!("t{i}: {everything} ")).collect();
    let body = json!({ "query": format!("subscription {{ cycles {{ {parts} }} }}") }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let open = async || {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut socket = socket.connect(address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_exact(&mut status)).await;
        read.unwrap().unwrap();
        (String::from_utf8(status.to_vec()).unwrap(), socket)
    };
    let (status, stalled) = open().await;
    assert_eq!(status, "HTTP/1.1 200");
    assert_eq!(open().await.0, "HTTP/1.1 503", "its place is taken");
    let mut number = 1;
    for _ in 0..1_500 {
        bench.cycle(number);
        number += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
        if number % 50 == 1 && open().await.0 == "HTTP/1.1 200" {
            drop(stalled);
            return;
        }
    }
    panic!("a stalled client keeps its place for ever");
}

#[tokio::test]
async fn queries_are_bounded_in_depth_breadth_and_length() {
    let router = Bench::new().router();
    let deep = format!(
        "{{ site {}{}{} }}",
        "{ rooms { zones ".repeat(30),
        "{ id }",
        "}}".repeat(30)
    );
    assert_eq!(code(&ask(&router, &deep).await), "TOO_DEEP");
    let nested_list = format!(
        "{{ cycle(number: {}1{}) {{ cycle }} }}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let answer = ask(&router, &nested_list).await;
    assert!(["TOO_DEEP", "BAD_QUERY"].contains(&code(&answer)), "{answer}");
    let page = "edges { node { tracks { keypoints { name x y z sigmaM covariance confidence source } } } }";
    let aliased: String = (0..20)
        .map(|i| format!("a{i}: cycles(first: 500) {{ {page} }} "))
        .collect();
    assert_eq!(code(&ask(&router, &format!("{{ {aliased} }}")).await), "TOO_COMPLEX");
    // What a range costs grows with it: a minute of poses, many searches, many long histories are too much at once.
    let poses = "{ person { keypoints { x y } } }";
    let from = "from: \"2025-10-09T00:00:00Z\"";
    let search = |n: usize| {
        (0..n)
            .map(|i| format!("e{i}: events(first: 1) {{ searchedCycles }} "))
            .collect::<String>()
    };
    let histories =
        (0..8).map(|i| format!("h{i}: history({from}, points: 10000) {{ points {{ from to peopleMean }} }} "));
    for (query, too_much) in [
        (format!("{{ tracks(fromCycle: 1) {poses} }}"), true),
        (format!("{{ tracks(fromCycle: 1, toCycle: 20) {poses} }}"), false),
        (
            "{ tracks(fromCycle: 1) { cycle tMs person { id x y } } }".to_owned(),
            false,
        ),
        (format!("{{ {} }}", search(17)), true),
        (format!("{{ {} }}", search(2)), false),
        (format!("{{ {} }}", histories.collect::<String>()), true),
    ] {
        assert_eq!(code(&ask(&router, &query).await) == "TOO_COMPLEX", too_much, "{query}");
    }
    for size in ["501", "-1", "2147483647"] {
        let answer = ask(
            &router,
            &format!("{{ cycles(first: {size}) {{ edges {{ cursor }} }} }}"),
        )
        .await;
        assert!(["INVALID_ARGUMENT", "TOO_COMPLEX"].contains(&code(&answer)), "{answer}");
    }
    let fragments = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
    assert_eq!(code(&ask(&router, fragments).await), "TOO_DEEP");
    let directives = format!("{{ server {} {{ version }} }}", "@include(if: true) ".repeat(50));
    assert_eq!(code(&ask(&router, &directives).await), "BAD_QUERY");
    for cursor in ["x", "-1", "18446744073709551616", ""] {
        let answer = ask(
            &router,
            &format!("{{ cycles(first: 1, after: \"{cursor}\") {{ edges {{ cursor }} }} }}"),
        )
        .await;
        assert_eq!(code(&answer), "BAD_QUERY", "{cursor:?} {answer}");
    }
    let edge = data(
        &router,
        "{ cycles(first: 1, after: \"18446744073709551615\") { edges { cursor } } }",
    )
    .await;
    assert_eq!(edge["cycles"]["edges"], json!([]));
    assert_eq!(code(&ask(&router, "{ server { nothing } }").await), "BAD_QUERY");
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_misuse_ends_with_its_code() {
    let bench = Bench::new();
    let limits = Limits {
        init: Duration::from_millis(200),
        connections: 3,
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    let close = async |messages: &[&str]| {
        let mut socket = connect(address).await.unwrap();
        for message in messages {
            let text = tokio_tungstenite::tungstenite::Message::text(*message);
            futures_util::SinkExt::send(&mut socket, text).await.unwrap();
        }
        loop {
            if let Err(close) = hear(&mut socket).await {
                break u16::from(close.code);
            }
        }
    };
    let subscribe_first = r#"{"type":"subscribe","id":"1","payload":{"query":"subscription { poses { cycle } }"}}"#;
    assert_eq!(close(&[subscribe_first]).await, 4401);
    assert_eq!(close(&["not json"]).await, 4400);
    assert_eq!(close(&[r#"{"type":"start"}"#]).await, 4400);
    assert_eq!(
        close(&[r#"{"type":"connection_init"}"#, r#"{"type":"connection_init"}"#]).await,
        4429
    );
    let init = r#"{"type":"connection_init"}"#;
    let batch = r#"{"type":"subscribe","id":"1","payload":[{"query":"{ server { version } }"}]}"#;
    assert_eq!(close(&[init, batch]).await, 4400, "several questions at once");
    assert_eq!(close(&[]).await, 4408, "a client that never greets");
    assert_eq!(close(&[&" ".repeat(70_000)]).await, 1002, "a message beyond the limit");

    let mut socket = subscribe(address, "subscription { poses { cycle } }").await;
    for id in 2..=17 {
        say(&mut socket, json!({ "type": "subscribe", "id": id.to_string(), "payload": { "query": "subscription { poses { cycle } }" } })).await;
    }
    let refusal = hear(&mut socket).await.unwrap();
    assert_eq!(
        (&refusal["id"], &refusal["payload"][0]["extensions"]["code"]),
        (&json!("17"), &json!("BUSY"))
    );
    let _second = connect(address).await.unwrap();
    let _third = connect(address).await.unwrap();
    assert!(connect(address).await.is_err(), "one connection too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_cannot_open_a_websocket() {
    use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};
    let bench = Bench::new();
    let (address, _stop) = bench.serve(Limits::default());
    let open = async |origin: &str, protocol: &str| {
        let mut request = format!("ws://{address}/graphql/ws").into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol.parse().unwrap());
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(open("http://localhost:5173", "graphql-transport-ws").await, 101);
    assert_eq!(open("https://evil.example", "graphql-transport-ws").await, 403);
    assert_eq!(
        open("http://localhost:5173", "graphql-ws").await,
        400,
        "the old protocol"
    );
}
