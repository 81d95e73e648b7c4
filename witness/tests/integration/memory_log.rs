//! A small log in memory, to cut bundles from.

use std::collections::BTreeMap;

use tapline_witness::{
    body::*,
    bundle::{
        BundleError,
        build::{BundleRequest, InputsWithheld, KeptCycle, LogSource, Prepared},
        data::FIELDS,
    },
    checkpoint::Checkpoint,
    codec::{List, Text},
    disposition::Disposition,
    hash::{Domain, Field, Hash, ZERO, commit, log_id, salt, witness},
    keyset::seat,
    leaf::{self, Header, Kind, flags},
    lists::{HOST_STAGE, Input, StageEntry},
    note::{KeyType, Name, Signer},
    outcome::{OUTCOME_VERSION, Outcome, Quality},
    outcome_codec::encode_outcome,
    policy::Policy,
    tile::TileId,
    tree::{Edge, TileSource, TreeError, leaf_hash},
    walk::is_context,
};

pub(crate) const MANIFEST: &[u8] = b"generation = 1\n";
pub(crate) const CONFIG: &[u8] = b"[site]\n";

pub(crate) struct MemoryLog {
    pub(crate) log: Signer,
    pub(crate) cosigner: Signer,
    /// Keys that sign beside the two, or in their place: seeds by role.
    pub(crate) signing: Vec<(KeyRole, u8)>,
    pub(crate) log_id: Hash,
    pub(crate) boot_id: [u8; 16],
    pub(crate) class: PrivacyClass,
    pub(crate) mode: PrivacyModeCode,
    pub(crate) manifest: Hash,
    pub(crate) calibration: Hash,
    pub(crate) score: Option<f32>,
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) kept: BTreeMap<u64, KeptCycle>,
    edge: Edge,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
    tick: u64,
    /// Leaf and manifest of the last one.
    last_keyframe: Option<(u64, Hash)>,
}

impl MemoryLog {
    pub(crate) fn new(seed: u8) -> Self {
        let name = Name::new(&format!("tapline.test/{seed}")).unwrap();
        let time = Name::new(&format!("tapline.test/{seed}/time")).unwrap();
        let log = Signer::from_seed(name, KeyType::Ed25519, &[seed; 32]);
        let cosigner = Signer::from_seed(time, KeyType::Cosignature, &[seed + 100; 32]);
        let public = log.verifier().public_key();
        let mut memory = Self {
            log_id: log_id(log.verifier().name().as_str(), &public),
            boot_id: [seed; 16],
            class: PrivacyClass::Raw,
            mode: PrivacyModeCode::RawResearch,
            manifest: Domain::Manifest.hash(MANIFEST),
            calibration: ZERO,
            score: None,
            leaves: Vec::new(),
            kept: BTreeMap::new(),
            edge: Edge::new(),
            tiles: BTreeMap::new(),
            tick: 0,
            last_keyframe: None,
            signing: vec![(KeyRole::Log, seed), (KeyRole::Cosigner, seed + 100)],
            log,
            cosigner,
        };
        let genesis = Genesis {
            format_version: FORMAT_VERSION,
            replay: false,
            origin: Text::new(memory.log.verifier().name().as_str()),
            log_key: public,
            cosigner_key: memory.cosigner.verifier().public_key(),
            predecessor: None,
        };
        memory.append(genesis.into(), 0);
        memory.boot(0);
        memory
    }

    pub(crate) fn boot(&mut self, recovered_size: u64) {
        (self.tick, self.last_keyframe) = (0, None);
        let boot = Boot {
            recovered_size,
            recovered_root: ZERO,
            manifest_hash: self.manifest,
            config_hash: Domain::Config.hash(CONFIG),
            calibration_id: self.calibration,
            privacy_mode: self.mode,
            numeric_profile: 1,
            host: Host {
                builds: List::default(),
                ..Host::default()
            },
        };
        self.append(boot.into(), 0);
    }

    pub(crate) fn append(&mut self, body: Body, flags: u8) {
        let seq = self.leaves.len() as u64;
        let header = Header {
            kind: body.kind(),
            flags,
            log_id: self.log_id,
            seq,
            prev: self.leaves.last().map_or(ZERO, |leaf| witness(leaf)),
            boot_id: self.boot_id,
            tick: self.tick,
            mono_ns: 1 + seq,
            wall_ns: 1_760_000_000_000_000_000 + 50_000_000 * seq as i64,
        };
        let mut leaf = Vec::new();
        leaf::encode(&header, &body, &mut leaf).unwrap();
        let tiles = &mut self.tiles;
        self.edge.append(leaf_hash(&leaf), |id, data| {
            tiles.insert((id.level, id.index), data.to_vec());
        });
        for (id, data) in self.edge.open_tiles() {
            tiles.insert((id.level, id.index), data.to_vec());
        }
        self.leaves.push(leaf);
    }

    /// Another privacy mode from the next cycle on, with a leaf that says what it was.
    pub(crate) fn mode(&mut self, said: PrivacyModeCode, mode: PrivacyModeCode) {
        let leaf = PrivacyMode {
            old_mode: said,
            new_mode: mode,
            effective_tick: self.tick + 1,
            operator: ZERO,
        };
        self.append(leaf.into(), 0);
        self.mode = mode;
    }

    /// Another calibration from the next cycle on.
    pub(crate) fn calibrate(&mut self, calibration: Hash) {
        let leaf = Calibration {
            old_calibration_id: self.calibration,
            new_calibration_id: calibration,
            effective_tick: self.tick + 1,
            source: CalibrationSource::Learned,
            operator: ZERO,
        };
        self.append(leaf.into(), 0);
        self.calibration = calibration;
    }

    /// Another manifest after so many cycles more, with the leaf that says so now.
    pub(crate) fn swap_after(&mut self, cycles: u64, manifest: Hash) {
        let leaf = Swap {
            old_manifest_hash: self.manifest,
            new_manifest_hash: manifest,
            result: SwapResult::Applied,
            reason: 0,
            effective_tick: self.tick + cycles + 1,
            operator: ZERO,
            golden_set: ZERO,
            vectors_run: 0,
            vectors_passed: 0,
            vectors_failed: 0,
            results: ZERO,
            state_handling: StateHandling::Kept,
            state: ZERO,
            attestation: ZERO,
            builds: List::default(),
        };
        self.append(leaf.into(), 0);
        self.cycles(cycles);
        self.manifest = manifest;
    }

    pub(crate) fn cycles(&mut self, count: u64) {
        for _ in 0..count {
            self.cycle();
        }
    }

    pub(crate) fn cycle(&mut self) {
        self.tick += 1;
        let seq = self.leaves.len() as u64;
        let mut fields = [Vec::new(), Vec::new(), Vec::new()];
        Input {
            source_id: 7,
            arrival_mono_ns: seq,
            bytes: &seq.to_le_bytes(),
        }
        .put(&mut fields[0])
        .unwrap();
        StageEntry::ran(4, HOST_STAGE, 1, &seq.to_le_bytes()).put(&mut fields[1]);
        StageEntry::absent(5, 0, Disposition::Skipped, 2).put(&mut fields[1]);
        let outcome = Outcome {
            version: OUTCOME_VERSION,
            tick: self.tick,
            privacy_class: self.class as u8,
            privacy_mode: self.mode as u8,
            simulated: true,
            quality: Quality {
                score: self.score,
                ..Default::default()
            },
            ..Default::default()
        };
        encode_outcome(&outcome, &mut fields[2]).unwrap();
        let keyframe = self
            .last_keyframe
            .is_none_or(|(last, manifest)| last / 256 != seq / 256 || manifest != self.manifest);
        let state = b"whole state".to_vec();
        let salted = |field, bytes: &[u8]| {
            let salt = salt(&[9; 32], &self.log_id, seq, field);
            (salt, commit(field, &salt, bytes))
        };
        let [inputs, stages, outcome] = [0, 1, 2].map(|index: usize| salted(FIELDS[index], &fields[index]));
        let committed_state = salted(Field::State, &state);
        let body = Cycle {
            clock_quality: ClockQuality::Good,
            privacy_class: self.class,
            privacy_mode: self.mode,
            outcome_code: OutcomeCode::Ok,
            n_inputs: 1,
            n_stages: 2,
            numeric_profile: 1,
            manifest_hash: self.manifest,
            config_hash: Domain::Config.hash(CONFIG),
            calibration_id: self.calibration,
            inputs: inputs.1,
            stages: stages.1,
            outcome: outcome.1,
            state: if keyframe { committed_state.1 } else { ZERO },
        };
        let [a, b, c] = fields;
        self.kept.insert(
            seq,
            KeptCycle {
                fields: [Some((inputs.0, a)), Some((stages.0, b)), Some((outcome.0, c))],
                state: keyframe.then_some((committed_state.0, state)),
            },
        );
        self.append(
            body.into(),
            flags::SIMULATED | if keyframe { flags::KEYFRAME } else { 0 },
        );
        self.last_keyframe = Some((seq, self.manifest));
    }

    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }

    /// A signer of this log with a seed.
    pub(crate) fn signer(&self, role: KeyRole, seed: u8) -> Signer {
        let (name, key_type) = seat(self.log.verifier().name().as_str(), role).unwrap();
        Signer::from_seed(name, key_type, &[seed; 32])
    }

    /// A KEY leaf about a key with a seed; whether it signs from here on is for the caller to say.
    pub(crate) fn key(&mut self, role: KeyRole, action: KeyAction, seed: u8) {
        let verifier = self.signer(role, seed).verifier();
        let key = Key {
            role,
            action,
            name: Text::new(verifier.name().as_str()),
            public_key: verifier.public_key(),
        };
        self.append(key.into(), 0);
    }

    /// The checkpoint, signed by whom one likes.
    pub(crate) fn signed_by(&self, signing: &[(KeyRole, u8)]) -> (u64, String) {
        let checkpoint = Checkpoint {
            origin: self.log.verifier().name().clone(),
            size: self.size(),
            root: self.edge.root(),
        };
        let signers: Vec<Signer> = signing.iter().map(|(role, seed)| self.signer(*role, *seed)).collect();
        let signers: Vec<&Signer> = signers.iter().collect();
        (self.size(), checkpoint.sign(&signers, 1_760_000_000))
    }

    pub(crate) fn checkpoint(&self) -> (u64, String) {
        self.signed_by(&self.signing)
    }

    pub(crate) fn policy_text(&self, quorum: &str) -> String {
        let (log, time) = (self.log.verifier().to_vkey(), self.cosigner.verifier().to_vkey());
        format!("log {log}\nwitness time {time}\nquorum {quorum}\n")
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy_text("none")).unwrap()
    }

    pub(crate) fn bundle(&self, from: u64, to: u64, inputs: bool) -> Vec<u8> {
        let request = BundleRequest {
            from,
            to,
            inputs,
            checkpoint: self.checkpoint(),
            old: None,
        };
        self.bundle_of(request).0
    }

    pub(crate) fn bundle_of(&self, request: BundleRequest) -> (Vec<u8>, Option<InputsWithheld>) {
        let (prepared, withheld) = Prepared::new(self, request).unwrap();
        let mut out = Vec::new();
        prepared.write(&mut out).unwrap();
        assert_eq!(out.len() as u64, prepared.plan().bundle_len());
        (out, withheld)
    }
}

#[derive(Debug)]
pub(crate) struct MemoryError(#[allow(dead_code, reason = "shown when a test fails")] String);

impl From<BundleError> for MemoryError {
    fn from(error: BundleError) -> Self {
        Self(error.to_string())
    }
}

impl From<TreeError> for MemoryError {
    fn from(error: TreeError) -> Self {
        Self(error.to_string())
    }
}

impl TileSource for MemoryLog {
    fn tile(&self, id: TileId) -> Result<Vec<u8>, TreeError> {
        self.tiles
            .get(&(id.level, id.index))
            .cloned()
            .ok_or(TreeError::MissingTile(id))
    }
}

impl LogSource for MemoryLog {
    type Error = MemoryError;

    fn leaves(&self, first: u64, end: u64) -> Result<Vec<Vec<u8>>, MemoryError> {
        Ok(self.leaves[first as usize..end as usize].to_vec())
    }

    fn context(&self, seq: u64) -> Result<Vec<u64>, MemoryError> {
        let decode = |index: u64| leaf::decode(&self.leaves[index as usize]).unwrap().header;
        let boot_id = decode(seq).boot_id;
        let of_boot = |index: &u64| decode(*index).boot_id == boot_id && is_context(decode(*index).kind);
        Ok((0..=seq).filter(of_boot).collect())
    }

    fn key_leaves(&self, size: u64) -> Result<Vec<u64>, MemoryError> {
        let is_key = |index: &u64| leaf::decode(&self.leaves[*index as usize]).unwrap().header.kind == Kind::Key;
        Ok((0..size.min(self.leaves.len() as u64)).filter(is_key).collect())
    }

    fn kept(&self, seq: u64) -> Result<Option<KeptCycle>, MemoryError> {
        Ok(self.kept.get(&seq).cloned())
    }

    fn kept_lens(&self, seq: u64) -> Result<Option<[Option<u64>; 4]>, MemoryError> {
        let len = |field: &Option<(Hash, Vec<u8>)>| field.as_ref().map(|(_, bytes)| bytes.len() as u64);
        Ok(self.kept.get(&seq).map(|kept| {
            [
                len(&kept.fields[0]),
                len(&kept.fields[1]),
                len(&kept.fields[2]),
                len(&kept.state),
            ]
        }))
    }

    fn blob(&self, hash: &Hash) -> Result<Option<Vec<u8>>, MemoryError> {
        let known = [(Domain::Manifest, MANIFEST), (Domain::Config, CONFIG)];
        Ok(known
            .iter()
            .find(|(domain, bytes)| domain.hash(bytes) == *hash)
            .map(|(_, bytes)| bytes.to_vec()))
    }
}
