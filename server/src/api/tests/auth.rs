//! Who may do what: every operation of the schema and every route, with too little in hand.

use std::{collections::BTreeSet, path::PathBuf};

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, TypeKind, TypeSystemDefinition},
};

use super::{live::*, *};
use crate::{
    api::{ROUTES, access},
    tokens::{Scope, Tokens},
};

/// A server that asks for tokens, and a token of each kind.
struct Guarded {
    bench: Bench,
    _dir: tempfile::TempDir,
    file: PathBuf,
}

impl Guarded {
    fn new() -> (Self, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens.json");
        let guarded = Self {
            bench: Bench::new(),
            _dir: dir,
            file,
        };
        let all = guarded.token(&Scope::ALL);
        (guarded, all)
    }

    fn token(&self, scopes: &[Scope]) -> String {
        let mut tokens = Tokens::load(&self.file).unwrap();
        let name = format!("t{}", tokens.all().len());
        let text = tokens.create(&name, scopes, None).unwrap();
        tokens.save(&self.file).unwrap();
        text
    }

    fn security(&self) -> Security {
        Security {
            tokens: Some(self.file.clone()),
            ..Security::local()
        }
    }

    fn router(&self) -> Router {
        self.bench
            .server(self.security(), Limits::default())
            .unwrap()
            .into_router()
    }
}

fn with(mut request: Request<Body>, token: &str) -> Request<Body> {
    let value = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

/// Fields of Query, Mutation and Subscription, from the schema itself.
fn operations() -> Vec<(&'static str, FieldDefinition)> {
    let schema = parse_schema(crate::api::sdl()).unwrap();
    let mut operations = Vec::new();
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(ty) = definition else {
            continue;
        };
        let root = ["Query", "Mutation", "Subscription"]
            .into_iter()
            .find(|r| ty.node.name.node == *r);
        if let (Some(root), TypeKind::Object(object)) = (root, ty.node.kind) {
            operations.extend(object.fields.into_iter().map(|f| (root, f.node)));
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_is_refused_to_a_token_that_lacks_its_scope() {
    let (guarded, _) = Guarded::new();
    let lacking: Vec<_> = Scope::ALL
        .into_iter()
        .map(|without| {
            let others: Vec<_> = Scope::ALL.into_iter().filter(|s| *s != without).collect();
            (without, guarded.token(&others))
        })
        .collect();
    let router = guarded.router();
    let operations = operations();
    assert!(operations.len() > 15);
    for (root, field) in operations {
        let scope = access::of(root, &field.name.node).unwrap().scope;
        let token = &lacking.iter().find(|(s, _)| *s == scope).unwrap().1;
        // The scope is asked for before the arguments, and inside fragments and behind aliases too.
        for query in [
            format!("{} {{ {} }}", root.to_lowercase(), field.name.node),
            format!(
                "{} {{ ...F }} fragment F on {root} {{ x: {} }}",
                root.to_lowercase(),
                field.name.node
            ),
        ] {
            if root == "Subscription" {
                let failure = access::admit(
                    &mut async_graphql::Request::new(&query),
                    &crate::api::auth::Identity::new(
                        "t",
                        None,
                        &[Scope::Read, Scope::Operate, Scope::Admin],
                        [127, 0, 0, 1].into(),
                    ),
                );
                assert_eq!(failure.unwrap_err().code(), "FORBIDDEN", "{query}");
                continue;
            }
            let request = with(post(json!({ "query": query }).to_string()), token);
            let (_, _, text) = call(&router, request).await;
            assert_eq!(
                code(&serde_json::from_str(&text).unwrap()),
                "FORBIDDEN",
                "{query}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn every_route_asks_who_is_there() {
    let (guarded, all) = Guarded::new();
    let none = guarded.token(&[]);
    let router = guarded.router();
    ready(&guarded.bench);
    for rule in ROUTES.iter().copied().flatten() {
        let path = rule.path.replace("{*path}", "x").replace(['{', '}'], "");
        let request = || {
            Request::builder()
                .method(rule.method)
                .uri(&path)
                .header(header::HOST, "localhost")
                .body(Body::empty())
                .unwrap()
        };
        let (without, headers, text) = call(&router, request()).await;
        let (guess, ..) = call(&router, with(request(), "tl_00000000_00")).await;
        if rule.caller == access::Caller::Anybody {
            assert_ne!(without.as_u16(), 401, "{path}");
        } else {
            assert_eq!(without.as_u16(), 401, "{path}: {text}");
            assert!(text.contains("UNAUTHENTICATED") && headers.contains_key(header::WWW_AUTHENTICATE));
        }
        assert!(
            [401, 429].contains(&guess.as_u16()),
            "{path}: a wrong token is refused everywhere"
        );
        if matches!(rule.caller, access::Caller::With(_)) {
            let (status, ..) = call(&router, with(request(), &none)).await;
            assert_eq!(status.as_u16(), 403, "{path}");
            let (status, _, text) = call(&router, with(request(), &all)).await;
            if rule.leaves.under(2) {
                assert!(![401, 403].contains(&status.as_u16()), "{path}: {status}");
            } else {
                assert!(
                    status.as_u16() == 403 && text.contains("PRIVACY"),
                    "{path}: {status} {text}"
                );
            }
        }
        // A URL is no place for a token.
        if rule.caller != access::Caller::Anybody {
            let uri = format!("{path}?token={all}&access_token={all}");
            let request = Request::builder()
                .method(rule.method)
                .uri(uri)
                .header(header::HOST, "localhost");
            let (status, ..) = call(&router, request.body(Body::empty()).unwrap()).await;
            assert_eq!(status.as_u16(), 401, "{path}");
        }
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_and_good_tokens_go_on() {
    let (guarded, all) = Guarded::new();
    let router = guarded.router();
    let mut seen = BTreeSet::new();
    for n in 0..14 {
        let (status, _, _) = call(&router, with(get("/version"), &format!("tl_{n:08x}_{n:064x}"))).await;
        seen.insert(status.as_u16());
    }
    assert_eq!(seen, BTreeSet::from([401, 429]));
    let (status, ..) = call(&router, with(get("/version"), &all)).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_websocket_shows_its_token_first_and_is_closed_when_it_is_revoked() {
    let (guarded, _) = Guarded::new();
    let all = guarded.token(&[Scope::Subscribe]);
    guarded.bench.cycle(1);
    let server = guarded.bench.server(guarded.security(), Limits::default()).unwrap();
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(server.serve(listener, async {
        let _ = stopped.await;
    }));
    for payload in [
        json!(null),
        json!({}),
        json!({ "authorization": "Bearer no" }),
        json!({ "token": "no" }),
    ] {
        let mut socket = connect(address).await.unwrap();
        say(&mut socket, json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(u16::from(hear(&mut socket).await.unwrap_err().code), 4403);
    }
    let mut socket = connect(address).await.unwrap();
    let payload = json!({ "Authorization": format!("Bearer {all}") });
    say(&mut socket, json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(hear(&mut socket).await.unwrap()["type"], "connection_ack");
    // `subscribe` alone is enough for all that a subscription sends.
    let query = "subscription { occupancy { skipped cycle rooms { id people } zones { id } } }";
    say(
        &mut socket,
        json!({ "type": "subscribe", "id": "1", "payload": { "query": query } }),
    )
    .await;
    let message = hear(&mut socket).await.unwrap();
    assert_eq!(
        message["payload"]["data"]["occupancy"]["rooms"][0]["people"], 1,
        "{message}"
    );
    let mut tokens = Tokens::load(&guarded.file).unwrap();
    assert!(tokens.revoke("t1"));
    tokens.create("other", &[Scope::Read], None).unwrap();
    tokens.save(&guarded.file).unwrap();
    assert_eq!(u16::from(hear(&mut socket).await.unwrap_err().code), 4403);
}

/// What a token holds open ends with it, though nobody touches the token file: a websocket, an event stream, a ticket.
#[tokio::test]
async fn an_expired_token_keeps_nothing_open() {
    use futures_util::StreamExt as _;
    let (guarded, _) = Guarded::new();
    let mut tokens = Tokens::load(&guarded.file).unwrap();
    let ends_s = crate::tokens::now_s() + 3;
    let short = tokens.create("short", &Scope::ALL, Some(ends_s)).unwrap();
    tokens.save(&guarded.file).unwrap();
    guarded.bench.cycle(1);
    let (address, _stop) = guarded.bench.serve_for(guarded.security(), Limits::default());
    let router = guarded.router();

    let mut socket = connect(address).await.unwrap();
    say(
        &mut socket,
        json!({ "type": "connection_init", "payload": { "token": short } }),
    )
    .await;
    assert_eq!(hear(&mut socket).await.unwrap()["type"], "connection_ack");
    let query = "subscription { occupancy { cycle } }";
    let follow = json!({ "type": "subscribe", "id": "1", "payload": { "query": query } });
    say(&mut socket, follow).await;
    assert_eq!(hear(&mut socket).await.unwrap()["type"], "next");

    let mut request = with(post(json!({ "query": query }).to_string()), &short);
    let accept = "text/event-stream".parse().unwrap();
    request.headers_mut().insert(header::ACCEPT, accept);
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    assert!(stream.next().await.is_some_and(|piece| piece.is_ok()));

    let ticket = json!({ "query": "mutation { createDownloadTicket(path: \"/version\") { url } }" });
    let (_, _, text) = call(&router, with(post(ticket.to_string()), &short)).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let url = answer["data"]["createDownloadTicket"]["url"]
        .as_str()
        .unwrap()
        .to_owned();

    // Heartbeats go on: without a limit of its own this would wait for ever.
    let closed = tokio::time::timeout(std::time::Duration::from_secs(10), hear(&mut socket));
    let closed = closed.await.expect("it is closed with its token").unwrap_err();
    assert_eq!(
        (u16::from(closed.code), &*closed.reason),
        (4403, "Forbidden: the token has expired or was revoked")
    );
    let rest = tokio::time::timeout(std::time::Duration::from_secs(5), stream.count());
    rest.await.expect("the stream ends with the token");
    let late_s = crate::tokens::now_s() - ends_s;
    assert!(late_s < 5, "{late_s} s late");
    assert_eq!(call(&router, get(&url)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_ticket_is_good_once_for_its_path() {
    let (guarded, all) = Guarded::new();
    let router = guarded.router();
    let ask_for = |path: &str| {
        let query = format!("mutation {{ createDownloadTicket(path: \"{path}\") {{ url seconds }} }}");
        with(post(json!({ "query": query }).to_string()), &all)
    };
    for bad in [
        "/nothing",
        "/v1/plugins/rollback",
        "schema.graphql",
        "/schema.graphql?x=1",
        "/../etc/passwd",
    ] {
        let (_, _, text) = call(&router, ask_for(bad)).await;
        assert_eq!(code(&serde_json::from_str(&text).unwrap()), "INVALID_ARGUMENT", "{bad}");
    }
    let (_, _, text) = call(&router, ask_for("/schema.graphql")).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let url = answer["data"]["createDownloadTicket"]["url"].as_str().unwrap();
    assert_eq!(call(&router, get(url)).await.0, StatusCode::OK);
    assert_eq!(
        call(&router, get(url)).await.0,
        StatusCode::UNAUTHORIZED,
        "it is used up"
    );
    let (_, _, text) = call(&router, ask_for("/schema.graphql")).await;
    let other = serde_json::from_str::<Value>(&text).unwrap()["data"]["createDownloadTicket"]["url"]
        .as_str()
        .unwrap()
        .replace("/schema.graphql", "/version");
    assert_eq!(
        call(&router, get(&other)).await.0,
        StatusCode::UNAUTHORIZED,
        "it is for another path"
    );
}

#[tokio::test]
async fn orders_and_refused_orders_stand_in_the_log() {
    let (guarded, _) = Guarded::new();
    let (operate, read) = (guarded.token(&[Scope::Operate]), guarded.token(&[Scope::Read]));
    let router = guarded.router();
    for token in [&operate, &read] {
        let body = json!({ "query": "mutation { startCalibration(seconds: 5) { order } }" }).to_string();
        call(&router, with(post(body), token)).await;
    }
    let commands = guarded.bench.commands.lock().unwrap();
    let orders: Vec<_> = commands.try_iter().collect();
    let [
        Command::Audited {
            operator,
            action,
            command: Some(command),
            ..
        },
        Command::Audited {
            result, command: None, ..
        },
    ] = &orders[..]
    else {
        panic!("{orders:?}");
    };
    assert_eq!(*operator, tapline_witness::hash::Domain::Operator.hash(b"t1"));
    assert_eq!(action, "calibration.start");
    assert!(matches!(**command, Command::StartCalibration { milliseconds: 5_000 }));
    assert_eq!(*result, tapline_witness::body::AuditResult::Refused);
}

/// Who revoked the only token, or lost the file, had given everybody on loopback all scopes: behind a reverse proxy, the network.
#[tokio::test]
async fn what_once_asked_for_tokens_never_falls_open() {
    let (guarded, all) = Guarded::new();
    ready(&guarded.bench);
    let asked = || post(json!({ "query": "{ server { version } }" }).to_string());
    let status = async |router: &Router, request| call(router, request).await.0.as_u16();
    let doors = crate::api::auth::Doors::new(guarded.security(), (100, 100)).unwrap();
    let from = std::net::IpAddr::from([127, 0, 0, 1]);
    assert_eq!(doors.nobody(from), None);

    std::fs::remove_file(&guarded.file).unwrap();
    for _ in 0..2 {
        doors.reload();
        assert!(
            doors.nobody(from).is_none() && doors.token(&all, from).is_ok(),
            "the file is gone"
        );
    }
    std::fs::write(&guarded.file, "[]").unwrap();
    doors.reload();
    assert!(
        doors.nobody(from).is_none() && doors.token(&all, from).is_err(),
        "all are revoked"
    );
    let router = guarded.router();
    assert_eq!(
        status(&router, asked()).await,
        401,
        "started with a file without tokens"
    );

    // Where no token was ever made, whoever has the machine has the server; the first token ends it.
    std::fs::remove_file(&guarded.file).unwrap();
    let doors = crate::api::auth::Doors::new(guarded.security(), (100, 100)).unwrap();
    let local = doors.nobody(from).unwrap();
    assert_eq!(status(&guarded.router(), asked()).await, 200);
    guarded.token(&[Scope::Read]);
    doors.reload();
    assert!(doors.nobody(from).is_none() && !doors.still(&local));
}

/// Over REST they left nothing: who tried the routes of plugins, or fetched raw input, with too little in hand was not seen.
#[tokio::test]
async fn orders_refused_over_rest_stand_in_the_log() {
    let (guarded, _) = Guarded::new();
    let (read, follow) = (guarded.token(&[Scope::Read]), guarded.token(&[Scope::Subscribe]));
    let router = guarded.router();
    let mut swap = post(json!({ "stage": "cir", "plugin": "cir-dense" }).to_string());
    *swap.uri_mut() = "/v1/plugins/swap".parse().unwrap();
    let inputs = "/v1/witness/bundles?from=0&to=1&inputs=1";
    for request in [swap, get(inputs)] {
        assert_eq!(call(&router, with(request, &read)).await.0, 403);
    }
    // What only reads leaves nothing, refused or not.
    assert_eq!(call(&router, with(get("/version"), &follow)).await.0, 403);
    let orders: Vec<_> = guarded.bench.commands.lock().unwrap().try_iter().collect();
    let refused: Vec<_> = orders
        .iter()
        .map(|order| match order {
            Command::Audited {
                operator,
                action,
                result: tapline_witness::body::AuditResult::Refused,
                command: None,
                ..
            } => (*operator, action.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    let who = tapline_witness::hash::Domain::Operator.hash(b"t1");
    assert_eq!(
        refused,
        [
            (who, "POST./v1/plugins/swap"),
            (who, "/v1/witness/bundles with inputs=1")
        ]
    );
}

#[tokio::test]
async fn who_is_not_known_keeps_no_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (guarded, all) = Guarded::new();
    let (address, _stop) = guarded.bench.serve_for(guarded.security(), Limits::default());
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let asked = "GET /version HTTP/1.1\r\nHost: localhost\r\n";
    let known = format!("{asked}Authorization: Bearer {all}\r\n\r\n");
    // Two requests on one connection: the second is of nobody, and the last.
    socket
        .write_all(format!("{known}{asked}\r\n").as_bytes())
        .await
        .unwrap();
    let mut heard = String::new();
    let all = socket.read_to_string(&mut heard);
    tokio::time::timeout(std::time::Duration::from_secs(3), all)
        .await
        .unwrap()
        .unwrap();
    let statuses: Vec<_> = heard.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "401"], "{heard}");
    assert!(heard.to_lowercase().contains("\r\nconnection: close\r\n"));
}

/// Taps leave to this machine only; whoever asks the same from elsewhere is in no group with somebody who may have them.
#[tokio::test]
async fn raw_taps_do_not_leave_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let guarded = Guarded {
        bench: Bench::in_mode("RawResearch"),
        file: dir.path().join("tokens.json"),
        _dir: dir,
    };
    let all = guarded.token(&Scope::ALL);
    guarded.bench.cycle_in(1, 0);
    let router = guarded.router();
    let asked = |from: &str| {
        let query = "/graphql?query=subscription%7Bresponse(path%3A0)%7BpowerDb%7D%7D";
        let mut request = with(get(query), &all);
        let accept = "text/event-stream".parse().unwrap();
        request.headers_mut().insert(header::ACCEPT, accept);
        let peer = crate::api::listen::Peer(from.parse().unwrap());
        request.extensions_mut().insert(peer);
        request
    };
    let here = router.clone().oneshot(asked("127.0.0.1:9")).await.unwrap();
    assert_eq!(here.status(), StatusCode::OK);
    for elsewhere in ["192.168.1.9:9", "[2001:db8::1]:9"] {
        let (_, _, text) = call(&router, asked(elsewhere)).await;
        assert!(
            text.contains(r#""code":"PRIVACY""#) && text.contains("own machine"),
            "{text}"
        );
    }
    // Whoever is here goes on hearing.
    let mut body = here.into_body().into_data_stream();
    let mut heard = None;
    for n in 0..100 {
        let (image, response) = super::privacy::shown(n);
        guarded.bench.hub.scope.show_these(image, response);
        let next = futures_util::StreamExt::next(&mut body);
        if let Ok(Some(Ok(bytes))) = tokio::time::timeout(std::time::Duration::from_millis(50), next).await {
            heard = Some(String::from_utf8_lossy(&bytes).into_owned());
            break;
        }
    }
    assert!(heard.as_ref().is_some_and(|text| text.contains("powerDb")), "{heard:?}");
}

#[tokio::test]
async fn another_address_needs_tokens_or_says_that_it_is_open() {
    let (guarded, all) = Guarded::new();
    let out = |insecure, tokens| Security {
        address: "192.168.1.5:8080".parse().unwrap(),
        insecure,
        tokens,
        ..Security::local()
    };
    let bench = &guarded.bench;
    let refused = bench.server(out(false, None), Limits::default()).unwrap_err();
    assert!(matches!(refused, ServeError::Open { .. }) && refused.to_string().contains("token create"));
    ready(bench);
    let open = bench.server(out(true, None), Limits::default()).unwrap().into_router();
    for path in ["/healthz", "/readyz"] {
        let (status, _, text) = call(&open, get(path)).await;
        assert!(status == StatusCode::OK && text.contains("insecure"), "{text}");
    }
    let introspection = "{ __schema { queryType { name } } }";
    assert_eq!(ask(&open, introspection).await["data"]["__schema"], json!(null));
    assert_eq!(
        data(&open, "{ server { version } }").await["server"]["version"],
        env!("CARGO_PKG_VERSION")
    );
    let closed = bench
        .server(out(false, Some(guarded.file.clone())), Limits::default())
        .unwrap()
        .into_router();
    let (_, _, text) = call(&closed, with(post(json!({ "query": introspection }).to_string()), &all)).await;
    assert!(text.contains("Query"), "{text}");
    let (_, _, text) = call(&closed, get("/healthz")).await;
    assert_eq!(text, r#"{"status":"ok"}"#);
    // Digits cannot be rebound; names can.
    for (host, status) in [("192.168.1.5:8080", 200), ("evil.example", 421)] {
        let request = Request::get("/healthz")
            .header(header::HOST, host)
            .body(Body::empty())
            .unwrap();
        assert_eq!(call(&closed, request).await.0.as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::new();
    let limits = Limits {
        init: std::time::Duration::from_millis(100),
        connections_per_own_address: 2,
        ..Limits::default()
    };
    let (address, _stop) = bench.serve(limits);
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-")
        .await
        .unwrap();
    let mut second = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut third = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut text = Vec::new();
    // One too many of an address is closed at once, the silent ones after their time.
    third.read_to_end(&mut text).await.unwrap_or_default();
    slow.read_to_end(&mut text).await.unwrap_or_default();
    second.read_to_end(&mut text).await.unwrap_or_default();
    assert!(!String::from_utf8_lossy(&text).contains("200 OK"));
}
