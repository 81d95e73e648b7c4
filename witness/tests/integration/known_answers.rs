//! Answers computed by programs that share no code with ours: a pure Python generator with its own
//! BLAKE3, and the reference roots of the Certificate Transparency test suite.

use tapline_witness::{
    body::{Body, ClockQuality, Cycle, OutcomeCode, PrivacyClass, PrivacyModeCode},
    hash::{Field, Hash, ZERO, commit, witness},
    leaf::{CYCLE_LEAF_LEN, Header, Kind, decode, encode, encode_raw},
    tree::{Edge, empty_root, leaf_hash},
};

fn cycle(seq: u8) -> Body {
    let salt = [seq; 32];
    let mut outcome = Vec::new();
    for bits in [0x3f80_0000_u32, 0, 0x7fc0_0000] {
        outcome.extend_from_slice(&bits.to_le_bytes());
    }
    Body::Cycle(Cycle {
        clock_quality: ClockQuality::Good,
        privacy_class: PrivacyClass::Anonymous,
        privacy_mode: PrivacyModeCode::PrivateHome,
        outcome_code: OutcomeCode::Ok,
        n_inputs: 2,
        n_stages: 3,
        numeric_profile: 1,
        manifest_hash: [0x11; 32],
        config_hash: [0x22; 32],
        calibration_id: [0x33; 32],
        inputs: commit(Field::Inputs, &salt, format!("in{seq}").as_bytes()),
        stages: commit(Field::Stages, &salt, b"st"),
        outcome: commit(Field::Outcome, &salt, &outcome),
        state: ZERO,
    })
}

fn three_leaves() -> Vec<Vec<u8>> {
    let mut header = Header {
        kind: Kind::Genesis,
        flags: 0,
        log_id: std::array::from_fn(|i| i as u8),
        seq: 0,
        prev: ZERO,
        boot_id: std::array::from_fn(|i| i as u8),
        tick: 0,
        mono_ns: 0,
        wall_ns: 1_760_000_000_000_000_000,
    };
    let mut genesis = Vec::new();
    // The generator's GENESIS body is a placeholder, not a body of ours: the raw form takes it.
    encode_raw(&header, b"origin\0", &mut genesis);
    let mut leaves = vec![genesis];
    for seq in 1..=2_u8 {
        header.kind = Kind::Cycle;
        header.prev = witness(&leaves[usize::from(seq) - 1]);
        header.seq = u64::from(seq);
        header.tick = u64::from(seq);
        header.mono_ns = 50_000_000 * u64::from(seq);
        header.wall_ns += 50_000_000;
        let mut leaf = Vec::new();
        encode(&header, &cycle(seq), &mut leaf).unwrap();
        leaves.push(leaf);
    }
    leaves
}

fn hex32(text: &str) -> Hash {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn leaves_of_the_python_generator() {
    let expected = [
        (
            131,
            "64f8585a51b8683b54a028cf66c5f4d58537ef0a5a7dcbe41fb21192e4d54342",
            "a94ea68309b148acea0626acd1b4fdb525bcce522bb0878e3156729820104af9",
        ),
        (
            CYCLE_LEAF_LEN,
            "a2a4b9c6c75c55c669a5290edbef08288b5ed6550574d97cc1ecbd86767323ca",
            "d27fc4ef5ec004881186aea0e97489b21f683f41b25ab5d320038af6e62c5f77",
        ),
        (
            CYCLE_LEAF_LEN,
            "7b877f7a1cd9cc3698ae84413554bb5494eb41b51c53ee9afabdcad2cf56186b",
            "d9d7c2ce66a52dd206e4f5a6c470f14c738d540345a74be819dd7988e8ece36e",
        ),
    ];
    let leaves = three_leaves();
    let mut edge = Edge::new();
    for (leaf, (len, w, hash)) in leaves.iter().zip(expected) {
        assert_eq!(leaf.len(), len);
        assert_eq!(witness(leaf), hex32(w));
        assert_eq!(leaf_hash(leaf), hex32(hash));
        edge.append(leaf_hash(leaf), |_, _| panic!("no tile of three leaves is full"));
    }
    assert_eq!(
        edge.root(),
        hex32("7c8cf52dec4247f3e8e5028fc5f7d47772c5e34b64bfd66d14ecc6dd521a8edb")
    );
    assert_eq!(decode(&leaves[1]).unwrap().body, cycle(1));
}

#[test]
fn reference_roots_of_rfc_6962() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let expected = [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];
    assert_eq!(empty_root(), hex32(expected[0].1));
    let mut edge = Edge::new();
    for size in 0..=leaves.len() {
        if let Some((_, root)) = expected.iter().find(|(n, _)| *n == size) {
            assert_eq!(edge.root(), hex32(root), "size {size}");
        }
        if let Some(leaf) = leaves.get(size) {
            edge.append(leaf_hash(leaf), |_, _| ());
        }
    }
}
