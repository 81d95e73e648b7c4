//! The API as its clients meet it: routes called as a service, websockets on a real loopback port.

mod array;
mod auth;
mod calibrations;
mod events;
mod export;
mod hostile;
mod http;
mod live;
mod log;
mod manifests;
mod memory;
mod orders;
mod page;
mod past;
mod privacy;
mod resume;
mod tls;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, mpsc::Receiver},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tapline_dsp::array::{
    changes::{DriftClass, Verdict},
    clock::{ClockReason, ClockReport, ClockState},
};
use tapline_witness::{
    disposition::Disposition,
    outcome::{
        AreaPresence, Gate, Keypoint, LinkReport, OUTCOME_VERSION, Outcome, Person, Presence, PresenceState, Quality,
        Reason,
    },
};
use tower::ServiceExt as _;

use super::{
    CyclePage, History, HistoryError, Limits, Security, ServeError, Server, StoredCheckpoint, StoredCycle, World,
    WorldEdge, WorldNode, bind, with_limits,
};
use crate::{
    config::Fleet,
    live::{
        Calibration, Command, Cycle, Diagnostics, Durable, Facts, Hub, InForce, LinkCalibration, LinkStatus,
        NodeStatus, PluginStatus, Readiness, UnknownSender,
    },
};

const FLEET: &str = r#"
version = 1
[[site]]
id = "flat"
name = "The flat"
[[site.room]]
id = "living"
name = "Living room"
outline_m = [[0.0, 0.0], [5.0, 0.0], [5.0, 4.0], [0.0, 4.0]]
[[site.zone]]
id = "sofa"
room = "living"
outline_m = [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]
[[site.door]]
id = "hall"
room = "living"
at_m = [0.0, 2.0]
[[site.node]]
id = 1
name = "shelf"
position_m = [0.1, 0.1, 1.0]
[[site.node]]
id = 2
position_m = [4.9, 3.9, 1.0]
[site.mesh]
tier = "HT20"
channels = [6]
"#;

/// A server under test and the world round it.
struct Bench {
    hub: Arc<Hub>,
    store: Arc<Memory>,
    commands: Mutex<Receiver<Command>>,
}

impl Bench {
    fn new() -> Self {
        Self::in_mode("PrivateHome")
    }

    fn in_mode(mode: &str) -> Self {
        let fleet = format!("{FLEET}[site.privacy]\nmode = \"{mode}\"\n");
        let fleet = Fleet::parse(&fleet, Path::new("fleet.toml")).unwrap();
        let facts = Facts {
            site: fleet.select(None, "test").unwrap(),
            other_sites: vec!["cabin".to_owned()],
            boot_id: [7; 16],
            origin: "tapline.test/flat".to_owned(),
            vkey: "tapline.test/flat+00000000+AAAA".to_owned(),
            started_wall_ns: 1_795_454_525_250_000_000,
            plugin_dir: std::path::PathBuf::new(),
            config: "id = \"flat\"\n".to_owned(),
            config_hash: [2; 32],
            host: crate::run::environment::host(Vec::new()),
        };
        let manifest = InForce {
            text: "generation = 1\n".to_owned(),
            hash: [1; 32],
            generation: 1,
            since_tick: 0,
        };
        let (hub, commands) = Hub::new(facts, manifest);
        hub.publish_diagnostics(diagnostics());
        Self {
            hub,
            store: Arc::default(),
            commands: Mutex::new(commands),
        }
    }

    fn router(&self) -> Router {
        self.router_with(Limits::default())
    }

    /// Routes over a real store instead of the one in memory.
    fn router_over(&self, store: crate::store::reader::Reader, limits: Limits) -> Router {
        let server = with_limits(
            Arc::clone(&self.hub),
            Arc::new(store),
            Arc::default(),
            Security::local(),
            limits,
        );
        server.unwrap().into_router()
    }

    fn router_with(&self, limits: Limits) -> Router {
        self.server(Security::local(), limits).unwrap().into_router()
    }

    fn server(&self, security: Security, limits: Limits) -> Result<Server, ServeError> {
        let history: Arc<dyn History> = Arc::clone(&self.store) as _;
        with_limits(Arc::clone(&self.hub), history, Arc::default(), security, limits)
    }

    /// Serves on a loopback port until the returned sender goes away.
    fn serve(&self, limits: Limits) -> (SocketAddr, tokio::sync::oneshot::Sender<()>) {
        self.serve_for(Security::local(), limits)
    }

    /// The same, for whom `security` says.
    fn serve_for(&self, security: Security, limits: Limits) -> (SocketAddr, tokio::sync::oneshot::Sender<()>) {
        let server = self.server(security, limits).unwrap();
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(server.serve(listener, async {
            let _ = stopped.await;
        }));
        (address, stop)
    }

    /// Runs one cycle: publishes it and keeps it.
    fn cycle(&self, number: u64) {
        self.run(cycle(number));
    }

    /// The same, sensed under this class.
    fn cycle_in(&self, number: u64, class: u8) {
        let mut cycle = cycle(number);
        cycle.outcome.privacy_class = class;
        cycle.outcome_bytes = borsh::to_vec(&cycle.outcome).unwrap();
        self.run(cycle);
    }

    fn run(&self, cycle: Cycle) {
        self.store.keep(&cycle);
        self.hub.publish(Arc::new(cycle));
    }
}

/// A cycle with one person in the living room.
fn cycle(number: u64) -> Cycle {
    let presence = Presence {
        state: PresenceState::OccupiedMoving,
        probability: Some(0.9),
        reason: Reason::Motion,
        since_tick: 3,
    };
    let area = AreaPresence {
        area: 0,
        presence,
        people: Some(1),
    };
    let keypoint = Keypoint {
        position_m: [Some(1.1), Some(2.0), None],
        sigma_m: 0.4,
        covariance_m2: [0.16, 0.0, 0.0, 0.16, 0.0, 0.0],
        confidence: 0.1,
        measured: false,
    };
    let person = Person {
        id: 0xabcd,
        active: true,
        existence: 0.95,
        position_m: [Some(1.0), Some(2.0), None],
        velocity_m_s: [Some(0.25), Some(0.0), None],
        sigma_m: 0.3,
        covariance: [0.0; 21],
        keypoints: Some([keypoint; 17]),
    };
    let link = LinkReport {
        path: 1,
        age_ms: Some(12),
        coherence: Some(0.97),
        motion_ratio: Some(4.5),
        ..LinkReport::default()
    };
    let outcome = Outcome {
        version: OUTCOME_VERSION,
        tick: number + 10,
        t_ms: 1_795_454_525_250 + 50 * number as i64,
        simulated: true,
        age_ms: Some(8),
        privacy_class: 2,
        privacy_mode: 1,
        demotion: 0,
        gate: Gate::Accept,
        gate_reason: Reason::None,
        quality: Quality {
            score: Some(0.8),
            links_share: 1.0,
            coherence: Some(0.97),
            stages_share: 1.0,
            contradictions: Vec::new(),
        },
        presence,
        rooms: vec![area],
        zones: vec![area],
        people: Some(1),
        tracks: vec![person],
        links: vec![link],
    };
    Cycle {
        cycle: number,
        witness: [number as u8; 32],
        wall_ns: 1_795_454_525_250_000_000 + 50_000_000 * number as i64,
        outcome_bytes: borsh::to_vec(&outcome).unwrap(),
        outcome,
        stages: [(Disposition::Ran, 700); 10],
    }
}

fn diagnostics() -> Diagnostics {
    Diagnostics {
        nodes: vec![NodeStatus {
            node: 1,
            last_seen_s: Some(0.01),
            rate_hz: 99.5,
            loss: Some(0.001),
            frames: 12_345,
            reboots: 1,
            not_used: BTreeMap::from([("late", 3)]),
            rssi_dbm: Some(-47),
            address: Some("127.0.0.1".parse().unwrap()),
            health: ("ok", "99.5 frames a second".to_owned()),
            clock: Some(ClockReport {
                state: ClockState::MonitorOnly,
                reason: ClockReason::Dispersed,
                spread_s: Some(250e-6),
                drift_ppm: Some(-12.5),
            }),
        }],
        unknown: vec![UnknownSender {
            address: "192.168.1.9".parse().unwrap(),
            node: Some(9),
            datagrams: 77,
            reason: "not configured",
            admit: "[[site.node]]\nid = 9\n".to_owned(),
        }],
        plugins: vec![PluginStatus {
            name: "tracker".to_owned(),
            version: "0.1.0".to_owned(),
            stage: "tracker",
            generation: 1,
            method: "Kalman".to_owned(),
            state: "FAILED",
            reason: Some("golden digest differs".to_owned()),
            blake3: None,
            golden: "00ff".to_owned(),
        }],
        received: BTreeMap::from([("csi", 1_000)]),
        not_used: BTreeMap::from([("unknown sender", 77)]),
        missed_ticks: 2,
        cycles: 40,
        why: BTreeMap::from([
            (
                "living".to_owned(),
                vec!["link 1: 4.5 times its quiet level".to_owned()],
            ),
            ("sofa".to_owned(), vec!["link 1: 4.5 times its quiet level".to_owned()]),
        ]),
        calibration: Calibration {
            line: "in force on 1 of 2 link paths".to_owned(),
            id: Some([4; 32]),
            since_ns: Some(1_795_454_525_250_000_000),
            paths: vec![
                Some(LinkCalibration {
                    frames: 590,
                    tones: Some(52),
                    rssi_dbm: Some(-48.5),
                    agc_db: None,
                }),
                None,
            ],
        },
        links: vec![
            LinkStatus {
                drift: DriftClass::Step,
                sigma: Some(6.5),
                stepped_s: Some(70),
                walk_m_s: Some(1.5),
            },
            LinkStatus::default(),
        ],
        change: Some((Verdict::OneLink { link: 0 }, None)),
    }
}

/// A store in memory.
#[derive(Default)]
struct Memory {
    cycles: Mutex<BTreeMap<u64, StoredCycle>>,
    configs: Mutex<BTreeMap<[u8; 32], String>>,
    leaves: Mutex<BTreeMap<u64, Vec<u8>>>,
    checkpoints: Mutex<BTreeMap<u64, StoredCheckpoint>>,
    broken: Mutex<bool>,
    /// A store for what only a store can answer.
    past: std::sync::OnceLock<crate::store::reader::Reader>,
}

impl Memory {
    fn keep(&self, cycle: &Cycle) {
        let stored = StoredCycle {
            cycle: cycle.cycle,
            wall_ns: cycle.wall_ns,
            boot_id: [7; 16],
            witness: cycle.witness,
            config_hash: [2; 32],
            outcome_bytes: cycle.outcome_bytes.clone(),
        };
        self.cycles.lock().unwrap().insert(cycle.cycle, stored);
    }

    fn check(&self) -> Result<(), HistoryError> {
        if *self.broken.lock().unwrap() {
            Err(HistoryError("disk I/O error in /var/lib/secret.db".to_owned()))
        } else {
            Ok(())
        }
    }
}

impl History for Memory {
    fn log(&self) -> Option<&crate::store::reader::Reader> {
        self.past.get()
    }

    fn cycles(&self, page: CyclePage) -> Result<Vec<StoredCycle>, HistoryError> {
        self.check()?;
        let cycles = self.cycles.lock().unwrap();
        let range = cycles.range(page.first..=page.last).map(|(_, c)| c.clone());
        Ok(if page.newest_first {
            range.rev().take(page.limit).collect()
        } else {
            range.take(page.limit).collect()
        })
    }

    fn config(&self, hash: &[u8; 32]) -> Result<Option<String>, HistoryError> {
        self.check()?;
        Ok(self.configs.lock().unwrap().get(hash).cloned())
    }

    fn leaf(&self, seq: u64) -> Result<Option<Vec<u8>>, HistoryError> {
        self.check()?;
        Ok(self.leaves.lock().unwrap().get(&seq).cloned())
    }

    fn checkpoint(&self, size: Option<u64>) -> Result<Option<StoredCheckpoint>, HistoryError> {
        self.check()?;
        let all = self.checkpoints.lock().unwrap();
        Ok(match size {
            Some(size) => all.get(&size).cloned(),
            None => all.values().next_back().cloned(),
        })
    }

    fn world(&self, at: Option<u64>) -> Result<World, HistoryError> {
        self.check()?;
        Ok(World {
            cycle: at.unwrap_or(5),
            nodes: vec![WorldNode {
                id: "person:43981".to_owned(),
                kind: "PersonTrack".to_owned(),
                attributes: r#"{"position_m":[2.5,2.0,null],"sigma_m":0.3}"#.to_owned(),
                since_cycle: 1,
            }],
            edges: vec![
                WorldEdge {
                    from: "person:43981".to_owned(),
                    to: "room:0".to_owned(),
                    kind: "LocatedIn".to_owned(),
                    attributes: "{}".to_owned(),
                    since_cycle: 2,
                },
                WorldEdge {
                    from: "person:43981".to_owned(),
                    to: "state:privacy".to_owned(),
                    kind: "PrivacyLimitedBy".to_owned(),
                    attributes: "{}".to_owned(),
                    since_cycle: 2,
                },
            ],
        })
    }
}

/// Calls a route; the body as text.
async fn call(router: &Router, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path)
        .header(header::HOST, "localhost")
        .body(Body::empty())
        .unwrap()
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/graphql")
        .header(header::HOST, "127.0.0.1:8080")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

/// Asks GraphQL; the whole answer.
async fn ask(router: &Router, query: &str) -> Value {
    let (status, _, text) = call(router, post(json!({ "query": query }).to_string())).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    answer
}

/// Asks GraphQL; the data, and no errors.
async fn data(router: &Router, query: &str) -> Value {
    let mut answer = ask(router, query).await;
    assert_eq!(answer.get("errors"), None, "{query}: {answer}");
    answer["data"].take()
}

/// The code of the first error.
fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
}

fn durable(size: u64) -> Durable {
    Durable {
        size,
        note: String::new(),
    }
}

fn ready(bench: &Bench) {
    bench.hub.set_readiness(Readiness::Ready);
}
