//! The history of manifests, from the leaves of a log.

use tapline_witness::{
    body::{Body, StateHandling, Swap, SwapResult, swap_reason},
    hash::Domain,
};

use super::*;
use crate::{
    host::manifest::PIPELINE,
    log::{
        Blob, Log,
        tests::support::{Place, boot, open_patiently, shut_down, stamp},
    },
    store::reader::Reader,
};

/// A manifest with one plugin that is built in and one library.
fn text(generation: u64) -> String {
    let (golden, config, file) = ("aa".repeat(32), "bb".repeat(32), "cc".repeat(32));
    format!(
        "manifest = 1\ngeneration = {generation}\npipeline = {PIPELINE:?}\nlink_group = 8\nnumeric_profile = \"ieee-strict-1\"\n\
         [[host_stage]]\nname = \"cycle-demo\"\nversion = \"0.1.0\"\ngolden = \"{golden}\"\n\
         [[plugin]]\nname = \"cir-fft\"\nversion = \"0.2.0\"\nstage = \"cir\"\ncontract = {contract}\nstate_schema = 1\n\
         uses_rustfft = false\ngolden = \"{golden}\"\nconfig = \"{config}\"\nlinked = \"{file}\"\n\
         [[plugin]]\nname = \"tracker\"\nversion = \"0.3.0\"\nstage = \"tracker\"\ncontract = {contract}\nstate_schema = 2\n\
         uses_rustfft = false\ngolden = \"{config}\"\nconfig = \"{config}\"\n\
         [[plugin.build]]\ntarget = \"x86_64-unknown-linux-gnu\"\ncpu = \"v3\"\nfile = \"tracker.so\"\nsize = 4096\n\
         blake3 = \"{file}\"\nsha256 = \"{golden}\"\nbuild_id = \"\"\nneeded = []\n",
        contract = tapline_plugin_api::CONTRACT_VERSION
    )
}

fn swap(log: &mut Log, tick: u64, new: Option<&str>, result: SwapResult, reason: u16) {
    let hash = |text: &str| Domain::Manifest.hash(text.as_bytes());
    let mut record = log.writer.checkout_blocking().unwrap();
    record.blobs = new
        .iter()
        .map(|text| Blob {
            hash: hash(text),
            kind: "manifest",
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    let body = Body::Swap(Swap {
        effective_tick: tick + 3,
        old_manifest_hash: [9; 32],
        new_manifest_hash: new.map_or([0; 32], hash),
        result,
        reason,
        operator: if reason == swap_reason::PANIC { [0; 32] } else { [5; 32] },
        golden_set: [6; 32],
        vectors_run: 4,
        vectors_passed: 3,
        vectors_failed: 1,
        results: [0; 32],
        state_handling: StateHandling::Reset,
        state: [0; 32],
        attestation: [0; 32],
        builds: Default::default(),
    });
    log.chain.append(stamp(tick), &body, &mut record).unwrap();
    log.writer.submit(record).unwrap();
}

#[tokio::test]
async fn manifests_are_told_with_cause_and_golden_digests_page_by_page() {
    let place = Place::new();
    let mut log = open_patiently(|| place.options());
    boot(&mut log, 0);
    swap(&mut log, 1, Some(&text(2)), SwapResult::Applied, swap_reason::OPERATOR);
    swap(&mut log, 2, None, SwapResult::Rejected, swap_reason::GATE);
    swap(&mut log, 3, Some(&text(3)), SwapResult::RolledBack, swap_reason::PANIC);
    shut_down(log, 4);
    let reader = Reader::open(&place.data()).unwrap();
    let bench = Bench::new();
    bench.hub.publish_durable(durable(3));
    let router = bench.router_over(reader, Limits::default());
    let page = |arguments: &str| {
        format!(
            "{{ manifests({arguments}) {{ pageInfo {{ hasNextPage hasPreviousPage endCursor }} nodes {{ leaf sinceTick cause reason \
             operator hash oldHash durable generation text goldenSet vectorsRun vectorsPassed vectorsFailed \
             hostStages {{ name golden }} plugins {{ name version stage golden linked stateSchema \
             builds {{ file cpu size blake3 sha256 buildId }} }} }} }} }}"
        )
    };
    let answer = data(&router, &page("first: 3")).await["manifests"].take();
    assert_eq!(
        answer["pageInfo"],
        json!({ "hasNextPage": true, "hasPreviousPage": false, "endCursor": "2" })
    );
    let told = answer["nodes"].as_array().unwrap();
    let causes: Vec<_> = told
        .iter()
        .map(|n| (n["leaf"].clone(), n["cause"].clone(), n["reason"].clone()))
        .collect();
    assert_eq!(
        json!(causes),
        json!([
            [4, "ROLLED_BACK", "PANIC"],
            [3, "REJECTED", "GATE"],
            [2, "APPLIED", "OPERATOR"]
        ])
    );
    let (back, refused, applied) = (&told[0], &told[1], &told[2]);
    assert_eq!((&back["operator"], &back["generation"]), (&Value::Null, &json!(3)));
    assert_eq!((&refused["hash"], &refused["text"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&refused["plugins"], &refused["vectorsFailed"]),
        (&json!([]), &json!(1))
    );
    assert_eq!(
        (&refused["durable"], &applied["durable"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(applied["text"], text(2));
    assert_eq!(applied["hash"], hex::encode(Domain::Manifest.hash(text(2).as_bytes())));
    assert_eq!(
        (&applied["sinceTick"], &applied["operator"]),
        (&json!(4), &json!("05".repeat(32)))
    );
    assert_eq!(applied["hostStages"][0]["golden"], "aa".repeat(32));
    assert_eq!(
        applied["plugins"],
        json!([
            { "name": "cir-fft", "version": "0.2.0", "stage": "CIR", "golden": "aa".repeat(32), "linked": true,
              "stateSchema": 1, "builds": [] },
            { "name": "tracker", "version": "0.3.0", "stage": "TRACKER", "golden": "bb".repeat(32), "linked": false,
              "stateSchema": 2, "builds": [{ "file": "tracker.so", "cpu": "v3", "size": 4096, "blake3": "cc".repeat(32),
                "sha256": "aa".repeat(32), "buildId": null }] },
        ])
    );
    let rest = data(&router, &page("first: 3, after: \"2\"")).await["manifests"].take();
    assert_eq!(rest["pageInfo"]["hasNextPage"], false);
    let started = &rest["nodes"][0];
    assert_eq!(rest["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&started["leaf"], &started["cause"], &started["oldHash"]),
        (&json!(1), &json!("STARTED"), &Value::Null)
    );
    // A text that this program cannot read is told, and no rows are made up.
    assert_eq!(started["text"], "generation = 1\n");
    assert_eq!(
        (&started["generation"], &started["plugins"]),
        (&Value::Null, &json!([]))
    );
    for wrong in ["first: 0", "first: 51", "after: \"x\""] {
        let answer = ask(&router, &page(wrong)).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT", "{wrong}");
    }
}
