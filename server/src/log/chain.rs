//! The chain: gives each leaf its place, its `prev` and its commitments. Owned by the cycle thread.

use tapline_witness::{
    body::{
        Body, Boot, ClockQuality, Cycle, FORMAT_VERSION, Genesis, OutcomeCode, Predecessor, PrivacyClass,
        PrivacyModeCode,
    },
    codec::Text,
    hash::{Field, Hash, ZERO, commit, salt, witness},
    keyset::KeySet,
    leaf::{self, Header, Kind, flags},
    walk::GAP_TICKS,
};

use super::{Forget, LogError, Record, Writer, keys::BlindKeys};

/// When something happened, as the host's clock module (or the recording) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Monotonic nanoseconds. Within a boot each leaf is later than the one before: an equal or earlier
    /// value is raised by the least amount.
    pub mono_ns: u64,
    /// Unix nanoseconds.
    pub wall_ns: i64,
}

/// What a CYCLE leaf says, beside its commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CycleFacts {
    /// 50 ms slot since boot, above that of the last cycle.
    pub tick: u64,
    /// Bits of [`flags`] except `KEYFRAME`, which the chain sets itself.
    pub flags: u8,
    /// What is known of the clocks.
    pub clock_quality: ClockQuality,
    /// After demotion.
    pub privacy_class: PrivacyClass,
    /// As configured.
    pub privacy_mode: PrivacyModeCode,
    /// How the cycle ended.
    pub outcome_code: OutcomeCode,
    /// Frames in `inputs`.
    pub n_inputs: u32,
    /// Entries in `stages`.
    pub n_stages: u16,
    /// 1 for `ieee-strict-1`, 0 for no claim.
    pub numeric_profile: u16,
    /// The manifest in force.
    pub manifest_hash: Hash,
    /// The witnessed configuration in force.
    pub config_hash: Hash,
    /// The calibration in force; zero for none.
    pub calibration_id: Hash,
}

impl CycleFacts {
    /// Flags and body of the leaf with these commitments to inputs, stages, outcome and state; a state that is zero is
    /// none, and the cycle then is no keyframe.
    pub fn leaf(&self, [inputs, stages, outcome, state]: [Hash; 4]) -> (u8, Body) {
        let keyframe = if state == ZERO { 0 } else { flags::KEYFRAME };
        let body = Body::Cycle(Cycle {
            clock_quality: self.clock_quality,
            privacy_class: self.privacy_class,
            privacy_mode: self.privacy_mode,
            outcome_code: self.outcome_code,
            n_inputs: self.n_inputs,
            n_stages: self.n_stages,
            numeric_profile: self.numeric_profile,
            manifest_hash: self.manifest_hash,
            config_hash: self.config_hash,
            calibration_id: self.calibration_id,
            inputs,
            stages,
            outcome,
            state,
        });
        (self.flags & !flags::KEYFRAME | keyframe, body)
    }
}

/// Where a leaf went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its index in the log.
    pub seq: u64,
    /// Its witness W.
    pub witness: Hash,
}

/// The end of the log to which leaves are appended.
#[derive(Debug)]
pub struct Chain {
    pub(super) log_id: Hash,
    pub(super) boot_id: [u8; 16],
    /// The public half of what [`Genesis`] states.
    pub(super) genesis: Genesis,
    /// Every key the log had.
    keys: KeySet,
    pub(super) recovered: (u64, Hash),
    pub(super) next_seq: u64,
    pub(super) prev: Hash,
    pub(super) blind: BlindKeys,
    last_tick: Option<u64>,
    gap_since_cycle: bool,
    last_mono_ns: Option<u64>,
    /// Sequence number and manifest of the last CYCLE of this boot.
    last_cycle: Option<(u64, Hash)>,
}

impl Chain {
    pub(super) const fn new(
        genesis: Genesis,
        keys: KeySet,
        log_id: Hash,
        boot_id: [u8; 16],
        recovered: (u64, Hash),
        prev: Hash,
        blind: BlindKeys,
    ) -> Self {
        Self {
            log_id,
            boot_id,
            genesis,
            keys,
            recovered,
            next_seq: recovered.0,
            prev,
            blind,
            last_tick: None,
            gap_since_cycle: false,
            last_mono_ns: None,
            last_cycle: None,
        }
    }

    /// Begins this process's part of the log: GENESIS when the log is empty, then BOOT.
    ///
    /// `boot`'s recovered size and root are filled in here. `blobs` are the manifest, configuration and
    /// calibration it names.
    pub fn boot(
        &mut self,
        stamp: Stamp,
        boot: Boot,
        blobs: Vec<super::Blob>,
        writer: &Writer,
    ) -> Result<Appended, LogError> {
        if self.next_seq == 0 {
            self.begin(stamp, writer)?;
        }
        let (recovered_size, recovered_root) = self.recovered;
        let mut record = writer.checkout_blocking()?;
        record.blobs = blobs;
        let appended = self.append(
            stamp,
            &Body::Boot(Boot {
                recovered_size,
                recovered_root,
                ..boot
            }),
            &mut record,
        )?;
        writer.submit(record)?;
        Ok(appended)
    }

    /// Appends GENESIS to an empty log.
    pub(super) fn begin(&mut self, stamp: Stamp, writer: &Writer) -> Result<(), LogError> {
        let mut record = writer.checkout_blocking()?;
        let genesis = Body::Genesis(self.genesis.clone());
        self.append(stamp, &genesis, &mut record)?;
        writer.submit(record)
    }

    /// The frozen log that this one took over from.
    pub const fn predecessor(&self) -> Option<&Predecessor> {
        self.genesis.predecessor.as_ref()
    }

    /// Sequence number of the next leaf.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The id in every leaf.
    pub const fn log_id(&self) -> &Hash {
        &self.log_id
    }

    /// The boot id in every leaf of this process.
    pub const fn boot_id(&self) -> &[u8; 16] {
        &self.boot_id
    }

    /// Origin line of the checkpoints.
    pub fn origin(&self) -> &str {
        self.genesis.origin.as_str()
    }

    /// Verification key of the log, C2SP vkey text: the newest one in force.
    pub fn vkey(&self) -> String {
        self.keys.vkey().unwrap_or_default()
    }

    /// Every key the log had.
    pub const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Policy text (C2SP tlog-policy) that trusts this log and asks for no outside witness.
    pub fn policy(&self) -> String {
        self.keys.policy()
    }

    /// Tick of the last cycle of this boot.
    pub const fn last_tick(&self) -> Option<u64> {
        self.last_tick
    }

    /// The time the next leaf will carry: within a boot each leaf is later than the one before.
    pub fn settled(&self, stamp: Stamp) -> Stamp {
        let mono_ns = self
            .last_mono_ns
            .map_or(stamp.mono_ns, |last| stamp.mono_ns.max(last + 1));
        Stamp { mono_ns, ..stamp }
    }

    /// True when the next cycle has to carry its state: the first cycle of a boot, the first under a new
    /// manifest, and the first at or after each multiple of 256.
    pub fn keyframe_due(&self, manifest_hash: &Hash) -> bool {
        match &self.last_cycle {
            None => true,
            Some((seq, manifest)) => manifest != manifest_hash || seq / 256 != self.next_seq / 256,
        }
    }

    /// First and last of the ticks between the last cycle and this one, when there are so many (20) that a
    /// GAP leaf has to name them before the cycle is appended.
    pub fn gap_due(&self, tick: u64) -> Option<(u64, u64)> {
        let last = self.last_tick.filter(|_| !self.gap_since_cycle)?;
        (tick > last && tick - last > GAP_TICKS).then(|| (last + 1, tick - 1))
    }

    /// Appends a cycle. Takes `inputs`, `stages`, `outcome` and, on a keyframe, `state` from the record.
    ///
    /// Does not allocate once the record's buffers have grown (a new tile's row in the store apart).
    ///
    /// # Errors
    /// A tick that does not rise, a long gap that no leaf names, a state where none is due or none where one is. Nothing is appended then.
    pub fn append_cycle(
        &mut self,
        stamp: Stamp,
        facts: &CycleFacts,
        record: &mut Record,
    ) -> Result<Appended, LogError> {
        let keyframe = self.keyframe_due(&facts.manifest_hash);
        if keyframe == record.state.is_empty() {
            return Err(LogError::Misuse {
                field: "state of a cycle",
                expected: if keyframe { "a keyframe".into() } else { "none".into() },
                found: format!("{} bytes", record.state.len()),
            });
        }
        if let Some(last) = self.last_tick
            && facts.tick <= last
        {
            return Err(LogError::Misuse {
                field: "tick of a cycle",
                expected: format!("more than {last}"),
                found: facts.tick.to_string(),
            });
        }
        if let Some((first, last)) = self.gap_due(facts.tick) {
            return Err(LogError::Misuse {
                field: "missed ticks",
                expected: format!("a GAP leaf for ticks {first} to {last} before this cycle"),
                found: "none".into(),
            });
        }
        let (blind_key, new_key) = self.blind.for_leaf(self.next_seq)?;
        let commitment = |field, bytes: &[u8]| {
            let salt = salt(&blind_key, &self.log_id, self.next_seq, field);
            commit(field, &salt, bytes)
        };
        let state = match keyframe {
            true => commitment(Field::State, &record.state),
            false => ZERO,
        };
        let (flags, body) = facts.leaf([
            commitment(Field::Inputs, &record.inputs),
            commitment(Field::Stages, &record.stages),
            commitment(Field::Outcome, &record.outcome),
            state,
        ]);
        let appended = self.put(stamp, flags, facts.tick, &body, record)?;
        if new_key {
            record.blind_key = Some(blind_key);
        }
        record.outcome_code = facts.outcome_code as u8;
        (self.last_tick, self.gap_since_cycle) = (Some(facts.tick), false);
        self.last_cycle = Some((appended.seq, facts.manifest_hash));
        Ok(appended)
    }

    /// Appends a leaf of any kind but CYCLE. It repeats the tick of the last cycle.
    pub fn append(&mut self, stamp: Stamp, body: &Body, record: &mut Record) -> Result<Appended, LogError> {
        if body.kind() == Kind::Cycle {
            return Err(LogError::Misuse {
                field: "kind of a leaf",
                expected: "any but CYCLE (use append_cycle)".into(),
                found: "CYCLE".into(),
            });
        }
        let mut keys = None;
        if let Body::Key(key) = body {
            // Refused before it is a leaf: the writer signs as the leaves say, and no leaf can be taken back.
            let set = keys.insert(self.keys.clone());
            set.apply(self.next_seq, key).map_err(|error| LogError::Misuse {
                field: "KEY leaf",
                expected: "a key that may sign, or one that signs and is not the last".into(),
                found: error.to_string(),
            })?;
        }
        let appended = self.put(stamp, 0, self.last_tick.unwrap_or(0), body, record)?;
        if let Some(keys) = keys {
            self.keys = keys;
        }
        self.gap_since_cycle |= body.kind() == Kind::Gap;
        if let Body::Audit(audit) = body
            && Forget::parse(audit.action.as_str()).is_some()
        {
            // The secret of the tile that is being filled is erased with what is in it.
            self.blind.renew();
        }
        Ok(appended)
    }

    fn put(
        &mut self,
        stamp: Stamp,
        flags: u8,
        tick: u64,
        body: &Body,
        record: &mut Record,
    ) -> Result<Appended, LogError> {
        let Stamp { mono_ns, wall_ns } = self.settled(stamp);
        let header = Header {
            kind: body.kind(),
            flags,
            log_id: self.log_id,
            seq: self.next_seq,
            prev: self.prev,
            boot_id: self.boot_id,
            tick,
            mono_ns,
            wall_ns,
        };
        record.leaf.clear();
        leaf::encode(&header, body, &mut record.leaf)?;
        let appended = Appended {
            seq: self.next_seq,
            witness: witness(&record.leaf),
        };
        (record.seq, record.kind) = (appended.seq, Some(header.kind));
        (record.witness, record.wall_ns) = (appended.witness, stamp.wall_ns);
        (self.prev, self.last_mono_ns) = (appended.witness, Some(mono_ns));
        self.next_seq += 1;
        Ok(appended)
    }
}

/// What GENESIS says of an identity.
pub(super) fn genesis_of(identity: &super::Identity, predecessor: Option<Predecessor>) -> Genesis {
    let [log, cosigner] = identity.verifiers();
    Genesis {
        format_version: FORMAT_VERSION,
        replay: identity.is_replay(),
        origin: Text::new(log.name().as_str()),
        log_key: log.public_key(),
        cosigner_key: cosigner.public_key(),
        predecessor,
    }
}
