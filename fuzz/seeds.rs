//! Writes the seeds of every target into `fuzz/corpus` and the policy of target `tar`: `cargo run --example seeds` here.
//! They are made, not copied: a log of three cycles, and the smallest file of each format.

#[path = "../witness/tests/integration/memory_log.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod memory_log;

use std::{fs, path::Path};

use memory_log::MemoryLog;
use tapline_wire::{
    Adr018, Ppdu, RssEntry, Tlr1, crc32,
    recording::{
        SourceKey,
        capture::{CaptureHeader, CaptureWriter, TickEntry},
    },
};
use tapline_witness::tile::put_entry;

fn put(target: &str, name: &str, bytes: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory).expect("corpus directory");
    fs::write(directory.join(name), bytes).expect("seed");
}

fn main() {
    let mut log = MemoryLog::new(1);
    log.cycles(3);
    witness(&log);
    let datagrams = datagrams();
    for (index, datagram) in datagrams.iter().enumerate() {
        put("datagram", &format!("seed-{index}"), datagram);
    }
    recordings(&datagrams);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let example = fs::read(root.join("config.example.toml")).expect("config.example.toml");
    put("fleet", "seed-example", &example);
}

fn witness(log: &MemoryLog) {
    for (index, leaf) in log.leaves.iter().enumerate() {
        put("leaf", &format!("seed-{index}"), leaf);
    }
    for (name, first, bundle) in [
        ("seed-inputs", 1, log.bundle(2, 5, true)),
        ("seed-plain", 0, log.bundle(2, 5, false)),
        ("seed-genesis", 1, log.bundle(0, 1, false)),
    ] {
        put("tar", name, &[&[first], &bundle[..]].concat());
    }
    let policy = log.policy_text("none");
    fs::write(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("targets/tar-policy.txt"),
        &policy,
    )
    .expect("policy");
    put("note", "seed-note", log.checkpoint().1.as_bytes());
    put("note", "seed-policy", policy.as_bytes());
    put("note", "seed-quorum", log.policy_text("time").as_bytes());
    put("note", "seed-vkey", log.log.verifier().to_vkey().as_bytes());
    for (seq, kept) in &log.kept {
        for (field, bytes) in ["inputs", "stages", "outcome"].iter().zip(kept.fields.iter().flatten()) {
            put("outcome", &format!("seed-{field}-{seq}"), &bytes.1);
        }
    }
    for (index, name) in [
        "tile/0/x001/x234/067",
        "tile/1/000.p/5",
        "tile/entries/000.p/3",
        "state/2.bin",
    ]
    .iter()
    .enumerate()
    {
        put("tile", &format!("seed-path-{index}"), name.as_bytes());
    }
    let mut entries = vec![2];
    for leaf in &log.leaves[..3] {
        put_entry(leaf, &mut entries);
    }
    put("tile", "seed-entries", &entries);
    for (old, new, hashes) in [(0_u64, 1_u64, 2_u8), (3, 7, 6), (4, 8, 3)] {
        let mut proof = [old.to_le_bytes(), new.to_le_bytes()].concat();
        proof.extend((0..hashes).flat_map(|byte| [byte; 32]));
        put("proof", &format!("seed-{old}-{new}"), &proof);
    }
}

fn datagrams() -> Vec<Vec<u8>> {
    let mut csi = Vec::new();
    Adr018 {
        node: 1,
        antennas: 1,
        bins: 64,
        frequency_mhz: 2_437,
        seq: 12,
        rssi_dbm: -40,
        noise_dbm: -92,
        ppdu: Ppdu::HtOrLegacy,
        wide: false,
        stbc: false,
        ldpc: false,
        sync_valid: false,
        pairs: &[[1, 2]; 64],
    }
    .encode(&mut csi)
    .expect("it encodes");
    let entry = |tx| RssEntry {
        tx,
        rx: 2,
        channel: 11,
        rssi_dbm: -55,
    };
    let mut rss = Vec::new();
    Tlr1 {
        reporter: Some(2),
        seq: 1,
        capture_ms: 56_000,
        simulated: true,
        entries: &[entry(1), entry(3)],
    }
    .encode(None, &mut rss)
    .expect("it encodes");
    vec![csi, rss]
}

fn recordings(datagrams: &[Vec<u8>]) {
    let lines = r#"{"timestamp":10.5,"node_id":7,"type":"raw_csi","rssi":1,"iq_hex":"01020304","subcarriers":2}
{"type":"rss","t_ms":5,"tx":1,"rx":2,"channel":3,"rssi_dbm":-40,"simulated":true}
{"timestamp":2,"node_id":1,"type":"datagram","hex":"C511ff00"}
"#;
    put("recording", "seed-jsonl", lines.as_bytes());
    let csv = "type,role,mac,rssi,rate,sig_mode,mcs,bandwidth,smoothing,not_sounding,aggregation,stbc,fec_coding,sgi,noise_floor,ampdu_cnt,channel,secondary_channel,local_timestamp,ant,sig_len,rx_state,real_time_set,real_timestamp,len,CSI_DATA\n\
        CSI_DATA,AP,10:B4:1D:CC:60:E0,-24,11,1,0,1,0,0,0,1,0,0,-93,0,11,2,5,0,374,0,0,2.5,4,[1 -2 3 -4 ]\n";
    put("recording", "seed-csv", csv.as_bytes());

    let mut packet = vec![0x45, 0, 0, 35, 0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 0, 9, 192, 168, 0, 1];
    packet.extend([0x0f, 0xa0, 0x13, 0x8d, 0, 15, 0, 0]);
    packet.extend(b"payload");
    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1];
    pcap.extend([0; 16]);
    pcap.extend(101_u32.to_le_bytes());
    for word in [1, 2, packet.len() as u32, packet.len() as u32] {
        pcap.extend(word.to_le_bytes());
    }
    pcap.extend(packet);
    put("recording", "seed-pcap", &pcap);

    // One receive chain, one transmit stream: 30 tones of three bits and two bytes.
    let csi_len = (30_usize * 19).div_ceil(8);
    let mut intel = vec![
        0,
        (csi_len + 21) as u8,
        0xbb,
        1,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        1,
        33,
        30,
        0,
        0xa4,
        20,
        0,
    ];
    intel.extend((csi_len as u16).to_le_bytes());
    intel.extend(0x010f_u16.to_le_bytes());
    intel.resize(intel.len() + csi_len, 0x55);
    put("recording", "seed-intel5300", &intel);
    put("recording", "seed-npz", &npz());

    let mut capture = Vec::new();
    let header = CaptureHeader {
        simulated: true,
        opened_ns: 1_700_000_000,
        manifest_hash: [3; 32],
        site_id: "site".into(),
    };
    let mut writer = CaptureWriter::new(&mut capture, &header).expect("it begins");
    for datagram in datagrams {
        writer.datagram(1, 2, SourceKey::Node(1), datagram).expect("it fits");
    }
    let tick = TickEntry {
        tick: 1,
        end_ns: 3,
        wall_ns: 4,
        frames: 2,
        dispositions: vec![0; 4],
    };
    writer.tick(&tick).expect("it fits");
    writer.finish().expect("it ends");
    put("recording", "seed-capture", &capture);
}

/// A ZIP file of one stored entry `csi_data.npy` of two rows.
fn npz() -> Vec<u8> {
    let dictionary = "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 128), }\n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((dictionary.len() as u16).to_le_bytes());
    npy.extend(dictionary.bytes());
    npy.extend([5; 256]);
    let name = b"csi_data.npy";
    let (crc, len) = (crc32(&npy).to_le_bytes(), (npy.len() as u32).to_le_bytes());
    let fields = [&[0; 2][..], &[0; 4], &crc, &len, &len, &[name.len() as u8, 0, 0, 0]].concat();
    let mut out = [&b"PK\x03\x04\x14\0\0\0"[..], &fields, name, &npy].concat();
    let directory = (out.len() as u32).to_le_bytes();
    out.extend([&b"PK\x01\x02\x14\0\x14\0\0\0"[..], &fields, &[0; 14], name].concat());
    out.extend(
        [
            &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
            &[58, 0, 0, 0],
            &directory,
            &[0, 0],
        ]
        .concat(),
    );
    out
}
