//! Leaf bodies, one struct a kind. Fields are encoded in the order they stand here
//! (docs/witness-format.md draws them with offsets).

use crate::{
    codec::{DecodeError, List, Reader, Text, Value, byte_enum, record},
    hash::Hash,
    leaf::Kind,
};

/// Bytes of a CYCLE body.
pub const CYCLE_BODY_LEN: usize = 236;
/// Version of this format, in GENESIS.
pub const FORMAT_VERSION: u16 = 1;

byte_enum! {
    /// How a cycle ended.
    pub enum OutcomeCode ("an outcome code 0 to 4") {
        /// Every stage did what it should.
        Ok = 0,
        /// No frame was there to work on.
        NoInput = 1,
        /// A stage failed; what it would have said is unknown.
        StageFault = 2,
        /// The deadline passed.
        Deadline = 3,
        /// The gate rejected the measurements.
        Rejected = 4,
    }
}

byte_enum! {
    /// What is known of the clocks behind the frames of a cycle.
    pub enum ClockQuality ("a clock quality 0 to 3") {
        /// Nothing: no frame, or nodes without a clock.
        Unknown = 0,
        /// Frames within the soft guard.
        Good = 1,
        /// Frames of different links spread beyond the soft guard.
        Spread = 2,
        /// A node's clock or sequence numbers jumped.
        Suspect = 3,
    }
}

byte_enum! {
    /// What may leave the server.
    pub enum PrivacyClass ("a privacy class 0 to 3") {
        /// Everything.
        Raw = 0,
        /// Poses and stable identities.
        Derived = 1,
        /// Poses under hourly pseudonyms.
        Anonymous = 2,
        /// Counts a room.
        Restricted = 3,
    }
}

byte_enum! {
    /// The configured privacy mode.
    pub enum PrivacyModeCode ("a privacy mode 0 to 4") {
        /// Demonstrations, tests, replays.
        RawResearch = 0,
        /// The default.
        PrivateHome = 1,
        /// Counts only.
        EnterpriseAnonymous = 2,
        /// Poses with consent.
        CareWithConsent = 3,
        /// No identity at all.
        StrictNoIdentity = 4,
    }
}

byte_enum! {
    /// How a swap ended.
    pub enum SwapResult ("a swap result 0 to 2") {
        /// The new manifest is active from its effective tick.
        Applied = 0,
        /// The old manifest stays.
        Rejected = 1,
        /// The old manifest is back.
        RolledBack = 2,
    }
}

/// Reasons in a SWAP leaf.
pub mod swap_reason {
    /// None needed.
    pub const NONE: u16 = 0;
    /// The plugin could not be found, loaded, built or configured.
    pub const LOAD: u16 = 1;
    /// The static gate refused the file.
    pub const GATE: u16 = 2;
    /// The golden vectors did not come out.
    pub const GOLDEN: u16 = 3;
    /// The state was not given or not accepted.
    pub const STATE: u16 = 4;
    /// The leaf was not durable at its effective tick: it is withdrawn.
    pub const NOT_DURABLE: u16 = 5;
    /// A panic.
    pub const PANIC: u16 = 6;
    /// No answer in time.
    pub const DEADLINE: u16 = 7;
    /// A NaN or an infinity.
    pub const NONFINITE: u16 = 8;
    /// The floating-point environment was changed.
    pub const FPENV: u16 = 9;
    /// An operator wanted it.
    pub const OPERATOR: u16 = 10;
    /// The file is not the one that was asked for.
    pub const HASH: u16 = 11;
    /// Another change of the manifest came first.
    pub const SUPERSEDED: u16 = 12;
    /// An error instead of an answer, or an answer that breaks the contract.
    pub const ERROR: u16 = 13;

    /// The name in the API and on the command line.
    pub const fn name(reason: u16) -> &'static str {
        match reason {
            NONE => "NONE",
            LOAD => "LOAD",
            GATE => "GATE",
            GOLDEN => "GOLDEN",
            STATE => "STATE",
            NOT_DURABLE => "NOT_DURABLE",
            PANIC => "PANIC",
            DEADLINE => "DEADLINE",
            NONFINITE => "NONFINITE",
            FPENV => "FPENV",
            OPERATOR => "OPERATOR",
            HASH => "HASH",
            SUPERSEDED => "SUPERSEDED",
            ERROR => "ERROR",
            _ => "OTHER",
        }
    }
}

byte_enum! {
    /// What became of plugin state in a swap.
    pub enum StateHandling ("0 kept or 1 reset") {
        /// Exported and imported.
        Kept = 0,
        /// Started afresh.
        Reset = 1,
    }
}

byte_enum! {
    /// Where a calibration came from.
    pub enum CalibrationSource ("a calibration source 0 to 2") {
        /// Learned on this server.
        Learned = 0,
        /// Loaded from a file.
        Loaded = 1,
        /// Dropped: there is none now.
        Cleared = 2,
    }
}

byte_enum! {
    /// What a signing key is for.
    pub enum KeyRole ("0 log or 1 cosigner") {
        /// Signs checkpoints.
        Log = 0,
        /// Signs them again with a time.
        Cosigner = 1,
    }
}

byte_enum! {
    /// What happened to a signing key.
    pub enum KeyAction ("0 added or 1 retired") {
        /// It signs from now on.
        Added = 0,
        /// It signs no more.
        Retired = 1,
    }
}

byte_enum! {
    /// Why ticks have no cycle.
    pub enum GapReason ("a gap reason 0 to 2") {
        /// The process was not scheduled, or cycles took too long.
        Overrun = 0,
        /// The log could not take a record.
        LogBusy = 1,
        /// The machine slept.
        Suspended = 2,
    }
}

byte_enum! {
    /// Why a process stopped appending.
    pub enum ShutdownReason ("a shutdown reason 0 to 2") {
        /// Asked to.
        Requested = 0,
        /// The recording ended.
        EndOfInput = 1,
        /// A failure that does not concern the log.
        Fault = 2,
    }
}

byte_enum! {
    /// How an audited action ended.
    pub enum AuditResult ("0 done, 1 refused or 2 failed") {
        /// Done.
        Done = 0,
        /// Not allowed.
        Refused = 1,
        /// Tried without success.
        Failed = 2,
    }
}

record! {
    /// The log an earlier one went over to, after its key was lost or stolen.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Predecessor {
        /// Origin of the frozen log.
        pub origin: Text,
        /// Its last size.
        pub size: u64,
        /// Its root at that size.
        pub root: Hash,
    }
}

record! {
    /// GENESIS: the log begins.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Genesis {
        /// [`FORMAT_VERSION`].
        pub format_version: u16,
        /// True for the store of a replay, whose keys are public.
        pub replay: bool,
        /// Origin line of the checkpoints.
        pub origin: Text,
        /// Ed25519 key of the checkpoints.
        pub log_key: [u8; 32],
        /// Ed25519 key of the timestamped cosignature.
        pub cosigner_key: [u8; 32],
        /// The log this one takes over from.
        pub predecessor: Option<Predecessor>,
    }
}

record! {
    /// One cycle.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Cycle {
        /// What is known of the clocks.
        pub clock_quality: ClockQuality,
        /// After demotion.
        pub privacy_class: PrivacyClass,
        /// As configured.
        pub privacy_mode: PrivacyModeCode,
        /// How the cycle ended.
        pub outcome_code: OutcomeCode,
        /// Frames in `inputs_list`.
        pub n_inputs: u32,
        /// Stages in `stages_list`.
        pub n_stages: u16,
        /// 1 is `ieee-strict-1`; 0 claims nothing.
        pub numeric_profile: u16,
        /// The manifest in force.
        pub manifest_hash: Hash,
        /// The witnessed configuration in force.
        pub config_hash: Hash,
        /// The calibration in force; zero for none.
        pub calibration_id: Hash,
        /// Commitment to `inputs_list`.
        pub inputs: Hash,
        /// Commitment to `stages_list`.
        pub stages: Hash,
        /// Commitment to `outcome_bytes`.
        pub outcome: Hash,
        /// Commitment to the state after this cycle, on keyframes; else zero.
        pub state: Hash,
    }
}

record! {
    /// A plugin file that really runs.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct BuildRow {
        /// Index of the plugin in the manifest.
        pub plugin_index: u16,
        /// Index of the build row in the plugin's list.
        pub build_index: u16,
        /// BLAKE3 of the file.
        pub blake3: Hash,
    }
}

record! {
    /// What runs the cycle. All zero and empty in a replay, so that its root is the same on every machine.
    #[derive(Clone, Debug, PartialEq, Eq, Default)]
    pub struct Host {
        /// BLAKE3 of the running program.
        pub program: Hash,
        /// BLAKE3 of the `Cargo.lock` it was built from.
        pub cargo_lock: Hash,
        /// Numeric fingerprint measured at start.
        pub fingerprint: Hash,
        /// Compiler version.
        pub rustc: Text,
        /// Target triple.
        pub target: Text,
        /// Compiler flags and profile.
        pub flags: Text,
        /// Plugin files.
        pub builds: List<BuildRow>,
    }
}

record! {
    /// BOOT: a process starts to append.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Boot {
        /// Size of the tree found at start.
        pub recovered_size: u64,
        /// Its root.
        pub recovered_root: Hash,
        /// The manifest in force from here.
        pub manifest_hash: Hash,
        /// The witnessed configuration in force.
        pub config_hash: Hash,
        /// The calibration in force; zero for none.
        pub calibration_id: Hash,
        /// The mode in force.
        pub privacy_mode: PrivacyModeCode,
        /// The numeric profile this process claims.
        pub numeric_profile: u16,
        /// What runs.
        pub host: Host,
    }
}

record! {
    /// SWAP: a manifest was replaced, or an attempt at it ended.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Swap {
        /// First tick under the manifest this leaf leaves in force.
        pub effective_tick: u64,
        /// The manifest before.
        pub old_manifest_hash: Hash,
        /// The manifest asked for; after a roll-back, the one that is back.
        pub new_manifest_hash: Hash,
        /// How it ended.
        pub result: SwapResult,
        /// Why, 0 for no reason needed (docs/witness-format.md lists them).
        pub reason: u16,
        /// Hash of the operator's name; zero when the server itself acted.
        pub operator: Hash,
        /// Digest of the golden set.
        pub golden_set: Hash,
        /// Golden vectors run.
        pub vectors_run: u32,
        /// Of which with the expected digest.
        pub vectors_passed: u32,
        /// Of which not.
        pub vectors_failed: u32,
        /// Digest over (vector id, expected, got).
        pub results: Hash,
        /// What became of the state.
        pub state_handling: StateHandling,
        /// Digest of the state carried over; zero when reset.
        pub state: Hash,
        /// Digest of an attestation; zero for none.
        pub attestation: Hash,
        /// Files of the new manifest on this machine; empty in a replay.
        pub builds: List<BuildRow>,
    }
}

record! {
    /// Cycles under one manifest.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct ManifestCount {
        /// The manifest.
        pub manifest_hash: Hash,
        /// Cycles of the range under it.
        pub cycles: u64,
    }
}

record! {
    /// ROLLUP: integers only, so that whoever saved the leaves computes the same bytes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Rollup {
        /// First leaf of the range, a multiple of 256.
        pub start: u64,
        /// One past its last leaf, a multiple of 256.
        pub end: u64,
        /// `wall_ns` of the first leaf.
        pub first_wall_ns: i64,
        /// `wall_ns` of the last leaf.
        pub last_wall_ns: i64,
        /// `prev` of the first leaf.
        pub first_prev: Hash,
        /// Witness of the last leaf.
        pub last_witness: Hash,
        /// Hash over the level-1 tree hashes of the range, in order.
        pub range_digest: Hash,
        /// CYCLE leaves by outcome code.
        pub by_outcome: [u64; 5],
        /// CYCLE leaves by privacy class.
        pub by_class: [u64; 4],
        /// Stages by disposition.
        pub by_disposition: [u64; 7],
        /// Ticks without a cycle.
        pub missed_ticks: u64,
        /// CYCLE leaves by manifest, ascending hash.
        pub by_manifest: List<ManifestCount>,
        /// Cycles by number of people: 0 to 6, 7 or more, unknown.
        pub occupancy: [u64; 9],
        /// Sum of quality scores in units of 2^-24.
        pub quality_sum: i128,
        /// Cycles with a quality score.
        pub quality_count: u64,
        /// Least score, ordered bit pattern; all ones for none.
        pub quality_min_bits: u32,
        /// Greatest score, ordered bit pattern; zero for none.
        pub quality_max_bits: u32,
        /// True while the raw input of the range is kept.
        pub raw_kept: bool,
        /// Digest of an archive of the range.
        pub archive: Option<Hash>,
        /// Digest of the one-minute rows closed in the range; zero for none.
        pub minute_rows: Hash,
    }
}

record! {
    /// CONFIG: the witnessed configuration changed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Config {
        /// Before.
        pub old_config_hash: Hash,
        /// From `effective_tick` on.
        pub new_config_hash: Hash,
        /// First tick under it.
        pub effective_tick: u64,
        /// Hash of the operator's name; zero when the server itself acted.
        pub operator: Hash,
    }
}

record! {
    /// CALIBRATION: the calibration changed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Calibration {
        /// Before; zero for none.
        pub old_calibration_id: Hash,
        /// From `effective_tick` on; zero for none.
        pub new_calibration_id: Hash,
        /// First tick under it.
        pub effective_tick: u64,
        /// Where it came from.
        pub source: CalibrationSource,
        /// Hash of the operator's name; zero when the server itself acted.
        pub operator: Hash,
    }
}

record! {
    /// KEY: a signing key was added or retired.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Key {
        /// What it is for.
        pub role: KeyRole,
        /// What happened.
        pub action: KeyAction,
        /// Its name in signature lines.
        pub name: Text,
        /// The Ed25519 public key.
        pub public_key: [u8; 32],
    }
}

record! {
    /// PRIVACY_MODE: the mode changed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PrivacyMode {
        /// Before.
        pub old_mode: PrivacyModeCode,
        /// From `effective_tick` on.
        pub new_mode: PrivacyModeCode,
        /// First tick under it.
        pub effective_tick: u64,
        /// Hash of the operator's name; zero when the server itself acted.
        pub operator: Hash,
    }
}

record! {
    /// GAP: ticks without a cycle.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Gap {
        /// First missed tick.
        pub first_tick: u64,
        /// Last missed tick.
        pub last_tick: u64,
        /// Frames that arrived in them and were not used.
        pub frames_lost: u64,
        /// Why.
        pub reason: GapReason,
    }
}

record! {
    /// CLOCK_STEP: the wall clock was set.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ClockStep {
        /// Where the wall clock stood, Unix nanoseconds.
        pub before_ns: i64,
        /// Where it stands now.
        pub after_ns: i64,
    }
}

record! {
    /// RETENTION_POLICY: how long what is kept, in seconds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RetentionPolicy {
        /// Raw input.
        pub raw_s: u64,
        /// Cycles, tracks and the opened form of commitments.
        pub cycles_s: u64,
        /// Leaves and level-0 tiles, once rolled up; `u64::MAX` for ever.
        pub leaves_s: u64,
        /// Rollups; `u64::MAX` for ever.
        pub rollups_s: u64,
    }
}

record! {
    /// SHUTDOWN: a process stops appending.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Shutdown {
        /// Why.
        pub reason: ShutdownReason,
        /// CYCLE leaves of this boot.
        pub cycles: u64,
        /// Ticks of this boot without a cycle.
        pub missed_ticks: u64,
    }
}

record! {
    /// AUDIT: an operator's action.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Audit {
        /// Hash of the operator's name.
        pub operator: Hash,
        /// What was asked, as a short word ("bundle.inputs").
        pub action: Text,
        /// Hash of what it was aimed at; zero for the server as a whole.
        pub target: Hash,
        /// How it ended.
        pub result: AuditResult,
    }
}

macro_rules! bodies {
    ($($kind:ident($ty:ty)),* $(,)?) => {
        /// The body of a leaf.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is the kind of its name; the struct is documented")]
        pub enum Body { $($kind($ty),)* }

        impl Body {
            /// The kind of leaf this body belongs to.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            /// Appends the encoding.
            pub fn put(&self, out: &mut Vec<u8>) {
                match self { $(Self::$kind(body) => body.put(out),)* }
            }

            /// Decodes the body of a leaf of this kind, all of it.
            pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(bytes);
                let body = match kind { $(Kind::$kind => Self::$kind(reader.value(kind.name())?),)* };
                reader.finish(kind.name())?;
                Ok(body)
            }
        }

        $(impl From<$ty> for Body {
            fn from(body: $ty) -> Self {
                Self::$kind(body)
            }
        })*
    };
}

bodies! {
    Genesis(Genesis),
    Cycle(Cycle),
    Boot(Boot),
    Swap(Swap),
    Rollup(Rollup),
    Config(Config),
    Calibration(Calibration),
    Key(Key),
    PrivacyMode(PrivacyMode),
    Gap(Gap),
    ClockStep(ClockStep),
    RetentionPolicy(RetentionPolicy),
    Shutdown(Shutdown),
    Audit(Audit),
}
