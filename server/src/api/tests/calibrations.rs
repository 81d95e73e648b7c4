//! The calibration in force, and those before it from the leaves of a log.

use tapline_dsp::calibration::{CalibrationArtefact, PathBaseline, PathIdentity};
use tapline_witness::{
    body::{Body, Calibration, CalibrationSource},
    hash::Domain,
};

use super::*;
use crate::{
    log::{
        Blob, Log,
        tests::support::{Place, boot, open_patiently, shut_down, stamp},
    },
    store::reader::Reader,
};

fn artefact() -> Vec<u8> {
    let mut baseline = PathBaseline {
        frames: 590,
        mask: vec![1],
        chosen: vec![1],
        amplitude: vec![1.0],
        amplitude_variance: vec![0.1],
        phase_rad: vec![0.0],
        phase_dispersion: vec![0.0],
        rss_std_db: 1.0,
        ..PathBaseline::default()
    };
    baseline.quiet.std = 1.0;
    CalibrationArtefact {
        start_ns: 1_000_000_000,
        end_ns: 31_500_000_000,
        paths: vec![(PathIdentity::default(), baseline)],
    }
    .to_bytes()
}

fn calibrate(log: &mut Log, tick: u64, file: Option<&[u8]>, old: [u8; 32], source: CalibrationSource) {
    let hash = |bytes: &[u8]| Domain::Calibration.hash(bytes);
    let mut record = log.writer.checkout_blocking().unwrap();
    record.blobs = file
        .iter()
        .map(|bytes| Blob {
            hash: hash(bytes),
            kind: "calibration",
            bytes: bytes.to_vec(),
        })
        .collect();
    let body = Body::Calibration(Calibration {
        old_calibration_id: old,
        new_calibration_id: file.map_or([0; 32], hash),
        effective_tick: tick + 1,
        source,
        operator: [0; 32],
    });
    log.chain.append(stamp(tick), &body, &mut record).unwrap();
    log.writer.submit(record).unwrap();
}

#[tokio::test]
async fn calibrations_are_told_newest_first_page_by_page() {
    let place = Place::new();
    let mut log = open_patiently(|| place.options());
    boot(&mut log, 0);
    let (file, damaged) = (artefact(), b"TLCAL of another version".to_vec());
    calibrate(&mut log, 1, Some(&file), [0; 32], CalibrationSource::Learned);
    calibrate(&mut log, 2, Some(&damaged), [8; 32], CalibrationSource::Loaded);
    calibrate(&mut log, 3, None, [9; 32], CalibrationSource::Cleared);
    shut_down(log, 4);
    let reader = Reader::open(&place.data()).unwrap();
    let bench = Bench::new();
    bench.hub.publish_durable(durable(3));
    let router = bench.router_over(reader, Limits::default());
    let page = |arguments: &str| {
        format!(
            "{{ calibrations({arguments}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ leaf sinceTick cause id oldId operator \
             links learnedS durable }} }} }}"
        )
    };
    let newest = data(&router, &page("first: 2")).await["calibrations"].take();
    let loaded = hex::encode(Domain::Calibration.hash(&damaged));
    assert_eq!(
        newest,
        json!({
            "pageInfo": { "hasNextPage": true, "endCursor": "3" },
            "nodes": [
                { "leaf": 4, "sinceTick": 4, "cause": "CLEARED", "id": null, "oldId": "09".repeat(32), "operator": null,
                  "links": null, "learnedS": null, "durable": false },
                // What this program cannot read is told, and nothing is made up.
                { "leaf": 3, "sinceTick": 3, "cause": "LOADED", "id": loaded, "oldId": "08".repeat(32), "operator": null,
                  "links": null, "learnedS": null, "durable": false },
            ],
        })
    );
    let rest = data(&router, &page("first: 2, after: \"3\"")).await["calibrations"].take();
    let learned = hex::encode(Domain::Calibration.hash(&file));
    assert_eq!(
        rest,
        json!({
            "pageInfo": { "hasNextPage": false, "endCursor": "2" },
            "nodes": [
                { "leaf": 2, "sinceTick": 2, "cause": "LEARNED", "id": learned, "oldId": null, "operator": null,
                  "links": 1, "learnedS": 30.5, "durable": true },
            ],
        })
    );
    for wrong in ["first: 0", "first: 51", "after: \"x\""] {
        assert_eq!(code(&ask(&router, &page(wrong)).await), "INVALID_ARGUMENT", "{wrong}");
    }
}

#[tokio::test]
async fn links_say_what_the_calibration_knows_of_them() {
    let answer = data(
        &Bench::new().router(),
        "{ calibration { status id since links } links { path calibration { frames tones rssiDbm agcDb } } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({
            "calibration": { "status": "in force on 1 of 2 link paths", "id": "04".repeat(32),
                "since": "2026-11-23T17:22:05.250Z", "links": 1 },
            "links": [
                { "path": 0, "calibration": { "frames": 590, "tones": 52, "rssiDbm": -48.5, "agcDb": null } },
                { "path": 1, "calibration": null },
            ],
        })
    );
}
