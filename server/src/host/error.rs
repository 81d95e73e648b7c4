//! Everything that can go wrong between a manifest and a running stage.

use tapline_plugin_api::StageError;

/// Why the host refuses a manifest, a file, a library or an instance.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The manifest text cannot be read.
    #[error("manifest: {what}")]
    Manifest {
        /// Line, key, what was found and what is allowed.
        what: String,
    },
    /// The manifest names another program around its plugins.
    #[error("the manifest was made for another program: it names {expected}, this program has {found}")]
    OtherProgram {
        /// Golden run of the program that the manifest names.
        expected: String,
        /// The same run of this program.
        found: String,
    },
    /// The manifest names a stage that is not linked into this program.
    #[error("manifest: plugin `{name}` is marked `linked`, but this program has no such stage; it has: {known}")]
    NotLinked {
        /// The name in the manifest.
        name: String,
        /// What there is.
        known: String,
    },
    /// A linked stage or a configuration table is another one than the manifest says.
    #[error("plugin `{name}`: the manifest says {field} {expected}, found {found}; build the manifest anew")]
    Differs {
        /// The plugin.
        name: String,
        /// What differs.
        field: &'static str,
        /// In the manifest.
        expected: String,
        /// In this program.
        found: String,
    },
    /// Too many calls have not come back.
    #[error(
        "{found} workers were given up in calls that have not returned, fewer than {allowed} are allowed: each keeps a thread; restart the server"
    )]
    GivenUp {
        /// Threads.
        found: usize,
        /// The limit.
        allowed: usize,
    },
    /// No build row fits this machine.
    #[error("plugin `{name}`: the manifest has no build for {target} at CPU level {cpu} or below; it has: {known}")]
    NoBuild {
        /// The plugin.
        name: String,
        /// Target triple wanted.
        target: String,
        /// CPU level wanted.
        cpu: String,
        /// Rows there are.
        known: String,
    },
    /// The file cannot be read.
    #[error("plugin file {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the one the manifest names.
    #[error(
        "plugin file {path}: {field} is {found}, the manifest says {expected}; the file was changed, or build the manifest anew"
    )]
    FileDiffers {
        /// The file.
        path: String,
        /// `size`, `BLAKE3`, `SHA-256` or `build id`.
        field: &'static str,
        /// In the manifest.
        expected: String,
        /// In the file.
        found: String,
    },
    /// The static gate refuses the file.
    #[error("plugin file {path}: refused before loading: {why}")]
    Gate {
        /// The file.
        path: String,
        /// What is not allowed and what would be.
        why: super::gate::GateError,
    },
    /// A system call on the way to `dlopen` failed.
    #[error("plugin {name}: {call}: {source}")]
    Os {
        /// The plugin or file.
        name: String,
        /// What was tried.
        call: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// `dlopen` refused the library.
    #[error("plugin {name}: dlopen: {why}")]
    Open {
        /// The plugin or file.
        name: String,
        /// The dynamic linker's words.
        why: String,
    },
    /// A symbol is missing.
    #[error("plugin {name}: it does not export `{symbol}`; a plugin is made by `export_plugin!`")]
    MissingSymbol {
        /// The plugin or file.
        name: String,
        /// The symbol.
        symbol: &'static str,
    },
    /// The first handshake failed.
    #[error(
        "plugin {name}: loader version {found}, this host speaks {expected}; rebuild it with this host's tapline-plugin-api"
    )]
    LoaderVersion {
        /// The plugin or file.
        name: String,
        /// Ours.
        expected: u32,
        /// The library's.
        found: u32,
    },
    /// What is mapped is not the sealed copy.
    #[error("plugin {name}: {what} of the mapped library is {found}, that of the sealed copy is {expected}")]
    Mapping {
        /// The plugin or file.
        name: String,
        /// `inode`, `build id`.
        what: &'static str,
        /// Of the sealed copy.
        expected: String,
        /// Of the mapping.
        found: String,
    },
    /// Loading changed the floating-point environment.
    #[error(
        "plugin {name}: loading it changed the floating-point control register to {found:#x}; it was restored and the library is not used"
    )]
    FpEnv {
        /// The plugin or file.
        name: String,
        /// What it was changed to.
        found: u32,
    },
    /// abi_stable's handshake failed: layouts, versions, or a panic in the module initialiser.
    #[error("plugin {name}: ABI handshake: {why}")]
    Abi {
        /// The plugin or file.
        name: String,
        /// What differs, or abi_stable's words.
        why: String,
    },
    /// The library describes itself otherwise than the manifest.
    #[error("plugin {name}: it describes itself with {field} {found}, the manifest says {expected}")]
    Describes {
        /// The plugin or file.
        name: String,
        /// Which field.
        field: &'static str,
        /// In the manifest.
        expected: String,
        /// In the library.
        found: String,
    },
    /// The golden vectors did not come out.
    #[error("plugin {name}: golden vectors: {why}")]
    Golden {
        /// The plugin or file.
        name: String,
        /// Which vector, expected and found digest.
        why: String,
    },
    /// The file is not the one that was asked for.
    #[error("plugin file {path}: its BLAKE3 is {found}, asked for was {expected}; nothing of it was run")]
    AskedFor {
        /// The file.
        path: String,
        /// What was asked for.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// What was asked for is no plugin that may be used.
    #[error("{why}")]
    Candidate {
        /// What was found, and what is allowed.
        why: String,
    },
    /// The same bytes were refused before; loaded code is never loaded twice.
    #[error("plugin {name}: refused earlier in this process: {why}")]
    Earlier {
        /// The plugin or file.
        name: String,
        /// The first refusal.
        why: String,
    },
    /// A variable of the environment makes the dynamic linker load other code.
    #[error("{variable} is set: {why}; unset it and start again")]
    Environment {
        /// The variable.
        variable: String,
        /// What it does.
        why: String,
    },
    /// The process holds as many different libraries as it may.
    #[error(
        "{loaded} different plugin libraries are loaded in this process, the limit; loaded code is never unloaded, so restart the server"
    )]
    TooMany {
        /// The limit.
        loaded: usize,
    },
    /// A constructor refused.
    #[error("stage `{stage}` ({name}): {source}")]
    Construct {
        /// The stage kind.
        stage: &'static str,
        /// The plugin.
        name: String,
        /// The stage's words.
        source: StageError,
    },
    /// A link path has no such tier.
    #[error("link path {path}: tier code {found}, allowed are 0 to 5")]
    Tier {
        /// The path.
        path: u32,
        /// The code.
        found: u32,
    },
    /// The grid is larger than the host lends buffers for.
    #[error("grid of {found} voxels, at most {allowed} are allowed; use a larger pitch")]
    Grid {
        /// Voxels.
        found: u64,
        /// The limit.
        allowed: u64,
    },
    /// More groups than workers may be started.
    #[error("{found} link groups, at most {allowed} are allowed; use fewer links a site")]
    Groups {
        /// Groups.
        found: usize,
        /// The limit.
        allowed: usize,
    },
    /// A worker thread cannot be started.
    #[error("stage `{stage}`: a worker thread cannot be started: {source}")]
    Thread {
        /// The stage kind.
        stage: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A stage did not export or import its state.
    #[error("stage `{stage}`, instance {index}: state: {why}")]
    State {
        /// The stage kind.
        stage: &'static str,
        /// The instance (the group for `cir`).
        index: usize,
        /// What went wrong.
        why: String,
    },
    /// The state blob is not one of ours.
    #[error("state blob: {why}")]
    StateBlob {
        /// Expected and found.
        why: String,
    },
}
