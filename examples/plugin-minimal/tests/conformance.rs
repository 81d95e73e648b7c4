//! The plugin held against the contract. `export_plugin!` brings the counting allocator along.

use plugin_minimal::BackProjection;
use tapline_plugin_api::{conformance, linked};

#[test]
fn it_keeps_the_contract() {
    let report = conformance::check_tomography::<BackProjection>();
    assert!(report.allocations_counted);
}

#[test]
fn its_golden_vectors_are_the_recorded_ones() {
    let proof = conformance::prove(&linked::tomography::<BackProjection>()).expect("the vectors come out");
    let digest: String = proof.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(proof.vectors.len() >= 64, "{} vectors", proof.vectors.len());
    // Changing this line is changing what the plugin computes: say so in its changelog.
    assert_eq!(
        digest,
        "4bb3d70dc189eb3b58bdd24e6e3693224e8a1cdff2dd71c3aa959c40b04ef7e3"
    );
}
