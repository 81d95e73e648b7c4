//! The log over HTTP, read by foreign code: `tlog_tiles` and `signed_note` (Cloudflare's) and `ct-merkle`.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use serde_json::json;
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};
use tapline_witness::{
    body::{PrivacyClass, PrivacyModeCode},
    bundle::{MAX_CYCLES, MEDIA_TYPE},
    policy::Policy,
    verify::{Report, Verdict, VerifyRequest, verify},
};
use tlog_tiles::tlog::{self, HashReader};
use tower::ServiceExt as _;

use super::{Bench, get};
use crate::{
    api::Limits,
    live::Durable,
    log::{
        Log,
        tests::support::{self, Place},
    },
    store::reader::Reader,
};

/// A real log behind the API.
struct Served {
    place: Place,
    log: Option<Log>,
    bench: Bench,
    router: Router,
    policy: Policy,
    vkey: String,
    reader: Reader,
}

impl Served {
    fn new(cycles: u64) -> Self {
        Self::with(cycles, PrivacyClass::Raw, Limits::default())
    }

    fn with(cycles: u64, class: PrivacyClass, limits: Limits) -> Self {
        let place = Place::new();
        let mut log = place.open();
        support::boot(&mut log, 0);
        support::run_in(&mut log, 1..cycles + 1, class).unwrap();
        let vkey = log.chain.vkey();
        let policy = Policy::parse(&log.chain.policy()).unwrap();
        let reader = Reader::open(&place.data()).unwrap();
        let bench = Bench::in_mode("RawResearch");
        let router = bench.router_over(reader.clone(), limits);
        let mut served = Self {
            place,
            log: Some(log),
            bench,
            router,
            policy,
            vkey,
            reader,
        };
        served.publish();
        served
    }

    /// Behind a server in this mode.
    fn in_mode(mut self, mode: &str) -> Self {
        self.bench = Bench::in_mode(mode);
        self.router = self.bench.router_over(self.reader.clone(), Limits::default());
        self.publish();
        self
    }

    fn publish(&mut self) {
        let durable = self.log.as_ref().unwrap().writer.flush().unwrap();
        self.bench.hub.publish_durable(Durable {
            size: durable.size,
            note: durable.note.to_string(),
        });
    }

    fn more(&mut self, ticks: std::ops::Range<u64>) {
        support::run(self.log.as_mut().unwrap(), ticks).unwrap();
        self.publish();
    }

    async fn answer(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        answer(&self.router, request).await
    }

    async fn text(&self, path: &str) -> String {
        let (status, _, body) = self.answer(get(path)).await;
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn bundle(&self, query: &str) -> (HeaderMap, Vec<u8>) {
        let (status, headers, body) = self.answer(get(&format!("/v1/witness/bundles?{query}"))).await;
        assert_eq!(status, StatusCode::OK, "{query}: {}", String::from_utf8_lossy(&body));
        assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
        (headers, body)
    }

    fn check(&self, bundle: &[u8]) -> Report {
        let request = VerifyRequest {
            policy: &self.policy,
            seen: &Default::default(),
            must_be_consistent: false,
            fresh: None,
            replay: false,
        };
        verify(std::io::Cursor::new(bundle), &request)
    }
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 30).await.unwrap();
    (parts.status, parts.headers, body.to_vec())
}

fn code(body: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap();
    json["error"]["code"].as_str().unwrap().to_owned()
}

fn with(path: &str, headers: &[(header::HeaderName, &str)]) -> Request<Body> {
    let mut request = get(path);
    for (name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// Tiles over HTTP for `tlog_tiles`.
struct Remote<'s>(&'s Served);

impl tlog_tiles::TileReader for Remote<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let one = |tile: &tlog_tiles::Tile| {
            // Go's path names the height; C2SP's does not: it is 8.
            let path = tile.path().replacen("tile/8/", "/tile/", 1);
            let fetch = async {
                let (status, headers, body) = self.0.answer(get(&path)).await;
                assert_eq!(status, StatusCode::OK, "{path}");
                assert_eq!(headers[header::CONTENT_TYPE], "application/octet-stream");
                assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
                body
            };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(fetch))
        };
        Ok(tiles.iter().map(one).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// The lines of base64 hashes and the note behind them.
fn proof(text: &str, first_lines: usize) -> (Vec<[u8; 32]>, &str) {
    let (head, note) = text.split_once("\n\n").unwrap();
    let hashes = head.lines().skip(first_lines);
    let hash = |line| BASE64.decode(line).unwrap().try_into().unwrap();
    (hashes.map(hash).collect(), note)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_accepts_checkpoint_tiles_and_proofs() {
    let mut served = Served::new(600);
    let old = served.text("/checkpoint").await;
    served.more(601..660);

    // The note: Cloudflare's parser and Ed25519.
    let text = served.text("/checkpoint").await;
    let note = Note::from_bytes(text.as_bytes()).unwrap();
    let key = StandardVerifier::new(&served.vkey).unwrap();
    let (verified, _) = note.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!(verified.len(), 1);
    let head = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    let old_head = tlog_tiles::Checkpoint::from_bytes(Note::from_bytes(old.as_bytes()).unwrap().text()).unwrap();
    let (size, root) = (head.size(), *head.hash());
    assert_eq!((old_head.size(), size), (602, 661));

    // The tiles: its reader refuses any that does not lead to the root.
    let remote = Remote(&served);
    let reader = tlog_tiles::TileHashReader::new(size, root, &remote);
    let mut leaves = Vec::new();
    for (index, width) in [(0, 256), (1, 256), (2, 149)] {
        let path = if width == 256 {
            format!("/tile/entries/{index:03}")
        } else {
            format!("/tile/entries/{index:03}.p/{width}")
        };
        let (status, _, bundle) = served.answer(get(&path)).await;
        assert_eq!(status, StatusCode::OK);
        leaves.extend(
            tapline_witness::tile::entries(&bundle, width)
                .unwrap()
                .into_iter()
                .map(<[u8]>::to_vec),
        );
    }
    for (index, leaf) in leaves.iter().enumerate() {
        let stored = reader.read_hashes(&[tlog::stored_hash_index(0, index as u64)]).unwrap();
        if index % 97 == 0 {
            assert_eq!(stored[0], tlog::record_hash(leaf), "leaf {index}");
        }
    }

    // Proofs: both libraries.
    let their_root = RootHash::<Sha256>::new(root.0.into(), size);
    for index in [0, 1, 255, 256, 511, 600, 660] {
        let text = served.text(&format!("/proof?index={index}")).await;
        assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {index}\n")));
        let (path, note) = proof(&text, 2);
        assert_eq!(note, served.text("/checkpoint").await);
        let question =
            format!("{{ leaf(seq: {index}) {{ durable inclusionProof {{ index size hashes checkpoint text }} }} }}");
        let told = super::data(&served.router, &question).await["leaf"].take();
        let hashes: Vec<_> = path.iter().map(|hash| BASE64.encode(hash)).collect();
        assert_eq!(
            told,
            json!({ "durable": true, "inclusionProof": {
                "index": index, "size": size, "hashes": hashes, "checkpoint": note, "text": text } })
        );
        let leaf = &leaves[index as usize];
        let theirs = path.iter().map(|hash| tlog::Hash(*hash)).collect();
        tlog::check_record(&theirs, size, root, index, tlog::record_hash(leaf)).unwrap();
        let theirs = InclusionProof::<Sha256>::try_from_bytes(path.concat()).unwrap();
        their_root.verify_inclusion(leaf, index, &theirs).unwrap();
        their_root
            .verify_inclusion(&leaves[(index as usize + 1) % 661], index, &theirs)
            .unwrap_err();
    }
    let text = served.text("/consistency?from=602").await;
    assert!(text.starts_with("old 602\n"));
    let (path, _) = proof(&text, 1);
    let theirs = path.iter().map(|hash| tlog::Hash(*hash)).collect();
    tlog::check_tree(&theirs, size, root, 602, *old_head.hash()).unwrap();
    let theirs = ConsistencyProof::<Sha256>::try_from_bytes(path.concat()).unwrap();
    let old_root = RootHash::<Sha256>::new(old_head.hash().0.into(), 602);
    their_root.verify_consistency(&old_root, &theirs).unwrap();
}

#[tokio::test]
async fn what_is_not_published_is_not_shown() {
    let served = Served::new(300);
    for path in [
        "/tile/0/002",
        "/tile/0/001.p/47",
        "/tile/1/000",
        "/tile/1/000.p/2",
        "/tile/entries/001.p/47",
        "/tile/0/1",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/8/000",
        "/tile/x/../../keys/log.key",
        "/tile/0/x001/",
    ] {
        let (status, _, body) = served.answer(get(path)).await;
        assert_eq!(
            (status, code(&body).as_str()),
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            "{path}"
        );
    }
    for path in [
        "/tile/0/001.p/46",
        "/tile/1/000.p/1",
        "/tile/entries/001.p/46",
        "/tile/0/000",
        "/tile/0/000.p/255",
    ] {
        served.answer(get(path)).await;
        assert_eq!(served.answer(get(path)).await.0, StatusCode::OK, "{path}");
    }
    for path in [
        "/proof",
        "/proof?index=",
        "/proof?index=-1",
        "/proof?index=302",
        "/proof?index=99999999999999999999",
        "/proof?leaf=1",
        "/proof?index=1&x=2",
        "/consistency?from=303",
        "/consistency?from=0x1",
    ] {
        let (status, _, body) = served.answer(get(path)).await;
        assert_eq!(
            (status, code(&body).as_str()),
            (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            "{path}"
        );
    }
    let (status, _, _) = served.answer(get("/consistency?from=0")).await;
    assert_eq!(status, StatusCode::OK);
    // Before the first commit there is no head.
    let bench = Bench::new();
    let (status, _, _) = answer(&bench.router(), get("/checkpoint")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bundle_is_the_same_bytes_and_proves_its_range() {
    let mut served = Served::new(600);
    let (headers, bundle) = served.bundle("from=300&to=310&nonce=abc-1").await;
    assert_eq!(headers[header::CONTENT_TYPE], MEDIA_TYPE);
    assert_eq!(headers["tapline-nonce"], "abc-1");
    assert_eq!(headers["tapline-inputs"], "not asked for");
    let report = served.check(&bundle);
    assert!(report.is_accepted(), "{report}");
    assert_eq!(report.cycles, Some((300, 309)));
    let size = headers["tapline-checkpoint"].to_str().unwrap().to_owned();

    // The head moves on; a pinned one gives the same bytes.
    served.more(601..640);
    let (moved, other) = served.bundle("from=300&to=310").await;
    assert_ne!(moved[header::ETAG], headers[header::ETAG]);
    assert_ne!(other, bundle);
    let (pinned, same) = served.bundle(&format!("from=300&to=310&checkpoint={size}")).await;
    assert_eq!(pinned[header::ETAG], headers[header::ETAG]);
    assert_eq!(same, bundle);
    let (_, continued) = served.bundle(&format!("from=300&to=310&old={size}")).await;
    assert_eq!(
        served
            .check(&continued)
            .verdict(tapline_witness::verify::Level::Consistent),
        &Verdict::Pass
    );

    // By time: 50 ms a cycle from tick 1 on.
    let time = |tick: i64| {
        format!(
            "{}",
            jiff::Timestamp::from_nanosecond(i128::from(support::T0_NS + 50_000_000 * tick)).unwrap()
        )
    };
    let (_, by_time) = served
        .bundle(&format!("from={}&to={}&checkpoint={size}", time(299), time(309)))
        .await;
    assert_eq!(by_time, bundle);
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_cut() {
    // The thread of an answer without a body ends a moment after the answer: on a busy machine two places are not enough.
    let limits = Limits {
        bundles: 16,
        ..Limits::default()
    };
    let mut served = Served::with(300, PrivacyClass::Raw, limits);
    let path = "/v1/witness/bundles?from=2&to=300";
    let (_, headers, whole) = served.answer(get(path)).await;
    let etag = headers[header::ETAG].to_str().unwrap().to_owned();
    assert!(etag.starts_with('"'), "a weak tag cannot resume");
    let mut pieces = Vec::new();
    for (first, last) in [(0, 0), (1, 1023), (1024, 70_000), (70_001, whole.len() as u64 - 1)] {
        let range = format!("bytes={first}-{last}");
        let (status, headers, piece) = served
            .answer(with(path, &[(header::RANGE, &range), (header::IF_RANGE, &etag)]))
            .await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(
            headers[header::CONTENT_RANGE],
            format!("bytes {first}-{last}/{}", whole.len())
        );
        pieces.extend(piece);
    }
    assert!(pieces == whole, "the pieces make the whole");
    let (status, headers, _) = served.answer(with(path, &[(header::RANGE, "bytes=99999999-")])).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(headers[header::CONTENT_RANGE], format!("bytes */{}", whole.len()));
    let (status, _, body) = served.answer(with(path, &[(header::IF_NONE_MATCH, &etag)])).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    let mut head = get(path);
    *head.method_mut() = Method::HEAD;
    let (status, headers, body) = served.answer(head).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers[header::CONTENT_LENGTH], whole.len().to_string());

    // The head moved: the whole bundle again, unless the old head is pinned.
    served.more(301..320);
    let moved = [(header::RANGE, "bytes=1024-"), (header::IF_RANGE, etag.as_str())];
    assert_eq!(served.answer(with(path, &moved)).await.0, StatusCode::OK);
    let pinned = format!("{path}&checkpoint=302");
    let (status, _, rest) = served.answer(with(&pinned, &moved)).await;
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    assert!(rest == whole[1024..]);
}

#[tokio::test]
async fn ranges_that_cannot_be_are_refused_each_with_its_code() {
    let served = Served::new(300);
    for (query, expected) in [
        ("", "INVALID_ARGUMENT"),
        ("from=1", "INVALID_ARGUMENT"),
        ("from=-1&to=5", "INVALID_ARGUMENT"),
        ("from=9&to=5", "INVALID_ARGUMENT"),
        ("from=5&to=5", "INVALID_ARGUMENT"),
        ("from=5&to=303", "INVALID_ARGUMENT"),
        ("from=5&to=99999999999999999999999", "INVALID_ARGUMENT"),
        ("from=5&to=6&inputs=2", "INVALID_ARGUMENT"),
        ("from=5&to=6&checkpoint=7", "INVALID_ARGUMENT"),
        ("from=5&to=6&old=9999", "INVALID_ARGUMENT"),
        ("from=5&to=6&nonce=a%0d%0ab", "INVALID_ARGUMENT"),
        ("from=5&to=6&more=1", "INVALID_ARGUMENT"),
        ("from=2027-01-01T00:00:00Z&to=2027-01-02T00:00:00Z", "INVALID_ARGUMENT"),
    ] {
        let (status, _, body) = served.answer(get(&format!("/v1/witness/bundles?{query}"))).await;
        assert_eq!(
            (status, code(&body).as_str()),
            (StatusCode::BAD_REQUEST, expected),
            "{query}"
        );
    }
    // Every place for a download taken.
    let limits = Limits {
        bundles: 0,
        ..Limits::default()
    };
    let busy = Served::with(3, PrivacyClass::Raw, limits);
    let (status, _, body) = busy.answer(get("/v1/witness/bundles?from=2&to=4")).await;
    assert_eq!(
        (status, code(&body).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "BUSY")
    );
}

#[tokio::test]
async fn more_than_an_hour_is_too_much() {
    // Not an hour of cycles: the check comes before any leaf is read, so a database with the sizes of one is enough.
    let served = Served::new(20);
    let (status, _, body) = {
        served.reader.snapshot(|_| Ok(())).unwrap();
        let db = rusqlite::Connection::open(served.place.data().join("tapline.db")).unwrap();
        db.execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 22 UNION ALL SELECT i + 1 FROM n WHERE i < {})
             INSERT INTO leaf SELECT i, 1, (SELECT body FROM leaf WHERE seq = 20) FROM n;
             INSERT INTO checkpoint VALUES (80000, 'note');",
            80_000 - 1
        ))
        .unwrap();
        served.bench.hub.publish_durable(Durable {
            size: 80_000,
            note: "note".to_owned(),
        });
        served.answer(get("/v1/witness/bundles?from=0&to=80000")).await
    };
    assert_eq!(
        (status, code(&body).as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "RANGE_TOO_LARGE")
    );
    assert!(
        String::from_utf8_lossy(&body).contains(&format!("ends before {MAX_CYCLES}")),
        "{}",
        String::from_utf8_lossy(&body)
    );
}

#[tokio::test]
async fn raw_input_needs_a_class_that_allows_it_and_is_recorded() {
    let served = Served::with(40, PrivacyClass::Anonymous, Limits::default());
    let (headers, bundle) = served.bundle("from=10&to=20&inputs=1").await;
    assert_eq!(headers["tapline-inputs"], "withheld; reason=privacy");
    assert_eq!(served.check(&bundle).inputs_opened, 0);

    let mut served = Served::new(40);
    let ask = tokio::spawn({
        let router = served.router.clone();
        async move { answer(&router, get("/v1/witness/bundles?from=10&to=20&inputs=1")).await }
    });
    // The order comes; nothing is given out before its leaf is durable.
    let command = loop {
        tokio::task::yield_now().await;
        if let Ok(command) = served.bench.commands.lock().unwrap().try_recv() {
            break command;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    };
    let crate::live::Command::Audited { action, .. } = command else {
        panic!("{command:?}")
    };
    // The range begins at the keyframe a replay starts from.
    assert_eq!(action, "bundle.inputs 2 20");
    assert!(!ask.is_finished());
    for cycle in 42..46 {
        served.bench.cycle_in(cycle, 0);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(!ask.is_finished(), "appended, not durable");
    served.more(41..60);
    let (status, headers, bundle) = ask.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["tapline-inputs"], "included");
    let report = served.check(&bundle);
    assert!(report.is_accepted(), "{report}");
    assert_eq!(report.inputs_opened, report.cycles_opened);
    no_secret_in(&served, &bundle);
    no_secret_in(&served, &served.bundle("from=0&to=50").await.1);
    let texts = ["/checkpoint", "/tile/entries/000.p/41", "/v1/witness/policy"];
    for path in texts {
        let (_, _, body) = served.answer(get(path)).await;
        no_secret_in(&served, &body);
    }
}

/// Two modes share the class Anonymous, and only one of them lets single people out.
#[tokio::test]
async fn a_bundle_holds_nobody_where_counts_only_may_leave() {
    use PrivacyModeCode::{EnterpriseAnonymous, PrivateHome};
    // Leaves 2 to 41 of the one mode, 42 to 81 of the other, 82 to 101 demoted: nobody was in those.
    let past = |first, second| {
        let mut served = Served::with(0, PrivacyClass::Raw, Limits::default());
        let log = served.log.as_mut().unwrap();
        support::run_as(log, 1..41, PrivacyClass::Anonymous, first).unwrap();
        support::run_as(log, 41..81, PrivacyClass::Anonymous, second).unwrap();
        support::run_as(log, 81..101, PrivacyClass::Restricted, PrivateHome).unwrap();
        served
    };
    let ask = async |served: &Served, query: &str| {
        let (status, _, body) = served.answer(get(&format!("/v1/witness/bundles?{query}"))).await;
        let said = if status == StatusCode::OK { Vec::new() } else { body };
        (status, String::from_utf8(said).unwrap())
    };

    let strict = past(PrivateHome, EnterpriseAnonymous).in_mode("EnterpriseAnonymous");
    for query in ["from=2&to=42", "from=2&to=102", "from=41&to=60"] {
        let (status, said) = ask(&strict, query).await;
        assert_eq!(
            (status, code(said.as_bytes()).as_str()),
            (StatusCode::FORBIDDEN, "PRIVACY"),
            "{query}"
        );
        assert!(
            said.contains("cycle 41, which ran in class Anonymous and mode PrivateHome"),
            "{said}"
        );
        assert!(
            said.contains("under class Anonymous and mode EnterpriseAnonymous"),
            "{said}"
        );
        let instead = if query.ends_with("42") {
            "cycles do that ran in a mode as strict".to_owned()
        } else {
            format!("the range from=42&to={} does", &query[query.rfind('=').unwrap() + 1..])
        };
        assert!(said.contains(&instead), "{query}: {said}");
    }
    assert_eq!(
        ask(&strict, "from=42&to=102").await,
        (StatusCode::OK, String::new()),
        "its own"
    );

    // The other way round: what was sensed under the stricter mode has nobody in it.
    let loose = past(EnterpriseAnonymous, PrivateHome).in_mode("PrivateHome");
    assert_eq!(ask(&loose, "from=2&to=102").await, (StatusCode::OK, String::new()));

    // The class alone still counts, and leaves whose cycles are forgotten leave always: they hold no outcome.
    let strict = past(PrivateHome, PrivateHome).in_mode("StrictNoIdentity");
    assert!(ask(&strict, "from=2&to=102").await.1.contains("from=82&to=102"));
    let db = rusqlite::Connection::open(strict.place.data().join("tapline.db")).unwrap();
    db.execute_batch("DELETE FROM cycle_data WHERE seq < 82").unwrap();
    assert_eq!(ask(&strict, "from=2&to=102").await, (StatusCode::OK, String::new()));
}

/// Searches for everything that must not leave: signing keys, the secrets behind the salts, where the data lies; as bytes,
/// hexadecimal and base64.
fn no_secret_in(served: &Served, bytes: &[u8]) {
    let data = served.place.data();
    let mut secrets = vec![data.to_string_lossy().into_owned().into_bytes()];
    for file in ["log.key", "cosigner.key"] {
        let text = std::fs::read_to_string(data.join("keys").join(file)).unwrap();
        let blob = BASE64.decode(text.trim().splitn(5, '+').nth(4).unwrap()).unwrap();
        secrets.push(blob[1..].to_vec());
        secrets.push(text.trim().into());
        secrets.push(b"PRIVATE+KEY".into());
    }
    let db = rusqlite::Connection::open(data.join(crate::store::DATABASE_FILE)).unwrap();
    let mut blind = db.prepare("SELECT key FROM salt").unwrap();
    let keys = blind.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    secrets.extend(keys.map(Result::unwrap));
    assert_eq!(
        secrets.len(),
        8,
        "a path, three of each key file, the blind key of one tile"
    );
    let found = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    for secret in &secrets {
        for shape in [secret.clone(), hex::encode(secret).into(), BASE64.encode(secret).into()] {
            assert!(!found(&shape), "{}", String::from_utf8_lossy(&shape));
        }
    }
    // The search finds what is there.
    assert!(bytes.len() < 32 || found(&bytes[bytes.len() - 20..]));
}

#[tokio::test]
async fn pruning_cannot_tear_a_download() {
    let served = Served::new(600);
    let path = "/v1/witness/bundles?from=2&to=600";
    let (_, whole) = served.bundle("from=2&to=600").await;
    let response = served.router.clone().oneshot(get(path)).await.unwrap();
    // The head is there, the body is still being made: now the first tile goes.
    let db = rusqlite::Connection::open(served.place.data().join("tapline.db")).unwrap();
    db.execute_batch(
        "UPDATE meta SET v = 256 WHERE k = 'minimum_index';
         DELETE FROM leaf WHERE seq < 256;
         DELETE FROM tile WHERE level = 0 AND idx = 0;
         DELETE FROM cycle_data WHERE seq < 256;
         DELETE FROM cycle WHERE seq < 256;",
    )
    .unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 30).await.unwrap();
    assert!(body == whole, "the snapshot the download began with");
    for path in [
        path,
        "/tile/entries/000",
        "/tile/0/000",
        "/proof?index=3",
        "/v1/witness/bundles?from=255&to=300",
    ] {
        let (status, _, body) = served.answer(get(path)).await;
        assert_eq!((status, code(&body).as_str()), (StatusCode::GONE, "GONE"), "{path}");
    }
}
