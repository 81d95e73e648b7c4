//! From a file to a module. The one place that opens libraries.
//!
//! In this order, each step safe because of the one before:
//! 1. the file is read once; everything after works on those bytes, never on the path again;
//! 2. size, BLAKE3 and SHA-256 are those of the manifest (so a static constructor that would run inside
//!    `dlopen` is one that the manifest's author has seen);
//! 3. the static gate ([`gate`]);
//! 4. the bytes go into a sealed `memfd`: nobody can change them any more, this process included;
//! 5. `dlopen` of `/proc/self/fd/N`. The descriptor is kept open for ever: the dynamic linker remembers
//!    libraries by path, and a reused number would give back the old library;
//! 6. the loader version, a plain integer, and the mapping: the symbol lies in a mapping of the sealed inode, and
//!    the build id in memory is that of the bytes;
//! 7. loading has not changed the floating-point environment;
//! 8. abi_stable's handshake over layouts, then the root module, then the description against the manifest.
//!
//! Libraries are never unloaded. Bytes that are loaded already are reused by hash, whatever became of the file, and the
//! number of different ones is bounded.

#![allow(
    unsafe_code,
    reason = "opening a library and reading its symbols; this file's one job"
)]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Write as _},
    mem,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::FileExt as _,
    },
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};
use sha2::{Digest as _, Sha256};
use tapline_plugin_api::{
    CONTRACT_VERSION, LOADER_VERSION, NUMERIC_PROFILE,
    abi::{PluginModule, PluginModuleRef},
    entry,
};

use super::{
    error::HostError,
    fpenv,
    gate::{self, GateError, Passed},
    layout,
    manifest::{BuildRow, CpuLevel, Digest, MAX_LIBRARY_BYTES, PluginRow, target},
    registry::PluginState,
};

/// Different libraries that one process may load in its life.
pub const MAX_LIBRARIES: usize = 64;

/// The library of a plugin as its author's tools see it, not yet loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Name of the file.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the file.
    pub blake3: Digest,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// What the gate learned.
    pub passed: Passed,
}

impl Examined {
    /// The manifest's row for this build.
    pub fn row(&self, target: String, cpu: CpuLevel) -> BuildRow {
        BuildRow {
            target,
            cpu,
            file: self.file.clone(),
            size: self.size,
            blake3: self.blake3,
            sha256: self.sha256,
            build_id: hex::encode(&self.passed.build_id),
            needed: self.passed.needed.clone(),
        }
    }
}

/// A loaded library's module, and the counter its author's allocator exports.
#[derive(Clone, Copy)]
pub struct LoadedModule {
    /// Used like a linked stage's.
    pub module: PluginModule,
    /// Allocations of the calling thread inside the library; none when it does not export them.
    pub allocations: Option<extern "C" fn() -> u64>,
}

/// Loads the build of a plugin that fits this machine, telling each step that it passes.
///
/// # Errors
/// [`HostError`] of the first step that is not passed.
pub fn load(
    dir: &Path,
    row: &PluginRow,
    cpu: Option<CpuLevel>,
    step: &mut dyn FnMut(PluginState, &str),
) -> Result<LoadedModule, HostError> {
    let cpu = cpu.unwrap_or_else(CpuLevel::of_this_machine);
    let build = row.build_for(&target(), cpu).ok_or_else(|| HostError::NoBuild {
        name: row.name.clone(),
        target: target(),
        cpu: cpu.name().to_owned(),
        known: builds_of(row),
    })?;
    let of_file = read_file(&dir.join(&build.file)).and_then(|bytes| {
        let passed = verify(&bytes, build, row.uses_rustfft)?;
        Ok((bytes, passed))
    });
    let (bytes, passed) = match of_file {
        // The manifest names bytes, not a path. What runs here stays at hand when its file is replaced or deleted: a
        // rollback and a recovery want it, and every other stage's swap resolves it again.
        Err(why @ (HostError::Read { .. } | HostError::FileDiffers { .. })) => {
            let bytes = sealed_copy(&build.blake3.0).ok_or(why)?;
            let passed = verify(&bytes, build, row.uses_rustfft)?;
            tracing::warn!(
                file = build.file,
                "the file is gone or another; the copy that was loaded before is used"
            );
            (bytes, passed)
        }
        of_file => of_file?,
    };
    let digest = &hex::encode(build.blake3.0)[..16];
    step(
        PluginState::Verified,
        &format!("{}: BLAKE3 {digest}…, gate passed", build.file),
    );
    let loaded = open(&row.name, &bytes, &passed)?;
    describes(row, &loaded.module)?;
    step(
        PluginState::Loaded,
        &format!("{}: mapped from a sealed copy", build.file),
    );
    Ok(loaded)
}

fn builds_of(row: &PluginRow) -> String {
    let builds = row.builds.iter().map(|b| format!("{}/{}", b.target, b.cpu.name()));
    builds.collect::<Vec<_>>().join(", ")
}

/// Hashes a library that no manifest names yet and puts it through the gate, without running any of its code. What
/// rustfft needs is let through: whether the library says that it uses it is known only once it is loaded.
///
/// # Errors
/// [`HostError::Read`] or [`HostError::Gate`].
pub fn examine(path: &Path) -> Result<Examined, HostError> {
    examine_bytes(path, &read_file(path)?, true)
}

/// As [`examine`], then loads it: for `plugin prove` and `manifest build`, which are about to run the author's own
/// code on purpose.
///
/// # Errors
/// [`HostError`] of any step but the comparison with a manifest.
pub fn load_unlisted(path: &Path) -> Result<(Examined, LoadedModule), HostError> {
    load_bytes(path, &read_file(path)?)
}

/// As [`examine`], for a file of a plugin directory: a link is not followed, so nothing outside of it is read.
///
/// # Errors
/// [`HostError::Read`] or [`HostError::Gate`].
pub fn examine_here(dir: &Path, file: &str) -> Result<Examined, HostError> {
    let path = dir.join(file);
    examine_bytes(&path, &read(&path, false)?, true)
}

/// As [`load_unlisted`], for a file of a plugin directory; links are not followed. The file must have the expected
/// BLAKE3, when there is one: that is compared before any of its code runs.
///
/// # Errors
/// [`HostError::AskedFor`], or as [`load_unlisted`].
pub fn load_here(dir: &Path, file: &str, expected: Option<Digest>) -> Result<(Examined, LoadedModule), HostError> {
    let path = dir.join(file);
    let bytes = read(&path, false)?;
    let found = Digest(*blake3::hash(&bytes).as_bytes());
    if let Some(expected) = expected.filter(|e| *e != found) {
        return Err(HostError::AskedFor {
            path: file.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
    load_bytes(&path, &bytes)
}

fn load_bytes(path: &Path, bytes: &[u8]) -> Result<(Examined, LoadedModule), HostError> {
    let examined = examine_bytes(path, bytes, true)?;
    let loaded = open(&examined.file, bytes, &examined.passed)?;
    let uses_rustfft = (loaded.module.describe)().uses_rustfft;
    Ok((examine_bytes(path, bytes, uses_rustfft)?, loaded))
}

fn examine_bytes(path: &Path, bytes: &[u8], uses_rustfft: bool) -> Result<Examined, HostError> {
    let passed = gate::check(bytes, uses_rustfft).map_err(|why| HostError::Gate {
        path: path.display().to_string(),
        why,
    })?;
    Ok(Examined {
        file: path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        size: bytes.len() as u64,
        blake3: Digest(*blake3::hash(bytes).as_bytes()),
        sha256: Digest(Sha256::digest(bytes).into()),
        passed,
    })
}

/// Step 1. At most one byte more than is allowed is read.
fn read_file(path: &Path) -> Result<Vec<u8>, HostError> {
    read(path, true)
}

fn read(path: &Path, follow: bool) -> Result<Vec<u8>, HostError> {
    let fail = |source| HostError::Read {
        path: path.display().to_string(),
        source,
    };
    let mut bytes = Vec::new();
    let flags = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    // Non-blocking: a named pipe in a library's place must not hang whoever looks.
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| fail(e.into()))?);
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(fail(io::Error::other("it is not a file")));
    }
    file.take(MAX_LIBRARY_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_LIBRARY_BYTES {
        return Err(fail(io::Error::other(format!(
            "it is larger than the {MAX_LIBRARY_BYTES} bytes that are allowed"
        ))));
    }
    Ok(bytes)
}

/// Steps 2 and 3.
fn verify(bytes: &[u8], build: &BuildRow, uses_rustfft: bool) -> Result<Passed, HostError> {
    let differs = |field, expected: String, found: String| {
        if expected == found {
            return Ok(());
        }
        Err(HostError::FileDiffers {
            path: build.file.clone(),
            field,
            expected,
            found,
        })
    };
    differs("size", build.size.to_string(), bytes.len().to_string())?;
    let blake3 = Digest(*blake3::hash(bytes).as_bytes());
    differs("BLAKE3", build.blake3.to_string(), blake3.to_string())?;
    let sha256 = Digest(Sha256::digest(bytes).into());
    differs("SHA-256", build.sha256.to_string(), sha256.to_string())?;
    let gate = |why| HostError::Gate {
        path: build.file.clone(),
        why,
    };
    let passed = gate::check(bytes, uses_rustfft).map_err(gate)?;
    differs("build id", build.build_id.clone(), hex::encode(&passed.build_id))?;
    if passed.needed != build.needed {
        return Err(gate(GateError::NeededDiffers {
            expected: build.needed.join(", "),
            found: passed.needed.join(", "),
        }));
    }
    Ok(passed)
}

/// Everything loaded in this process, by BLAKE3; an entry is never removed.
struct Entry {
    outcome: Result<LoadedModule, String>,
    /// Kept for ever, see step 5.
    sealed: File,
}

static LOADED: Mutex<BTreeMap<[u8; 32], Entry>> = Mutex::new(BTreeMap::new());

fn loaded() -> MutexGuard<'static, BTreeMap<[u8; 32], Entry>> {
    LOADED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes of a library that loaded well in this process.
fn sealed_copy(blake3: &[u8; 32]) -> Option<Vec<u8>> {
    let all = loaded();
    let entry = all.get(blake3).filter(|entry| entry.outcome.is_ok())?;
    // At an offset: the descriptor's own position is shared.
    let mut bytes = vec![0; usize::try_from(entry.sealed.metadata().ok()?.len()).ok()?];
    entry.sealed.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// How many different libraries this process has loaded.
pub fn libraries() -> usize {
    loaded().len()
}

/// Steps 4 to 8 for bytes that were verified.
fn open(name: &str, bytes: &[u8], passed: &Passed) -> Result<LoadedModule, HostError> {
    let hash = *blake3::hash(bytes).as_bytes();
    // Held to the end: two threads must not map the same bytes twice.
    let mut all = loaded();
    if let Some(entry) = all.get(&hash) {
        return entry.outcome.clone().map_err(|why| HostError::Earlier {
            name: name.to_owned(),
            why,
        });
    }
    if all.len() >= MAX_LIBRARIES {
        return Err(HostError::TooMany { loaded: all.len() });
    }
    let sealed = seal(name, &hash, bytes)?;
    let outcome = open_sealed(name, &sealed, passed);
    all.insert(
        hash,
        Entry {
            outcome: outcome.as_ref().copied().map_err(ToString::to_string),
            sealed: sealed.into(),
        },
    );
    outcome
}

/// Step 4.
fn seal(name: &str, hash: &[u8; 32], bytes: &[u8]) -> Result<OwnedFd, HostError> {
    let fail = |call, source: io::Error| HostError::Os {
        name: name.to_owned(),
        call,
        source,
    };
    let label = format!("tapline-{}", hex::encode(&hash[..8]));
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on want to be told that it will be executed, older ones do not know the flag.
    let fd = memfd_create(&label, flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create(&label, flags))
        .map_err(|e| fail("memfd_create", e.into()))?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(|e| fail("write to the sealed copy", e))?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).map_err(|e| fail("F_ADD_SEALS", e.into()))?;
    Ok(file.into())
}

/// Steps 5 to 8. The library stays mapped however they end.
fn open_sealed(name: &str, sealed: &OwnedFd, passed: &Passed) -> Result<LoadedModule, HostError> {
    fpenv::restore();
    let path = format!("/proc/self/fd/{}", sealed.as_raw_fd());
    // SAFETY: dlopen runs the library's constructors. These are the verified bytes: the manifest's author named
    // them by hash, or (`load_unlisted`) the caller asks for this very file. They are sealed, so what is mapped
    // is what was hashed. The library is leaked, so nothing of it is ever unmapped.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|e| HostError::Open {
        name: name.to_owned(),
        why: e.to_string(),
    });
    let changed = fpenv::restore();
    let library: &'static Library = Box::leak(Box::new(library?));
    if let Some(found) = changed {
        return Err(HostError::FpEnv {
            name: name.to_owned(),
            found,
        });
    }
    let version = symbol(library, name, entry::LOADER_VERSION_SYMBOL)?;
    confirm_mapping(name, sealed, version, passed)?;
    // SAFETY: the symbol's value is an address inside the mapping of the library (just confirmed: a mapping of the
    // sealed inode), readable and 4 bytes long up to the mapping's end, and read unaligned; the name is a promise that a
    // `u32` stands there, and any 4 bytes are a `u32`.
    let found = unsafe { version.cast::<u32>().read_unaligned() };
    if found != LOADER_VERSION {
        return Err(HostError::LoaderVersion {
            name: name.to_owned(),
            expected: LOADER_VERSION,
            found,
        });
    }
    let module = handshake(name, library)?;
    Ok(LoadedModule {
        module,
        allocations: allocations(library),
    })
}

/// The address of an exported symbol.
fn symbol(library: &'static Library, name: &str, symbol: &'static str) -> Result<*const u8, HostError> {
    // SAFETY: the symbol is looked up as an address and nothing is read through it here.
    let found = unsafe { library.get::<*const u8>(symbol.as_bytes()) };
    let missing = || HostError::MissingSymbol {
        name: name.to_owned(),
        symbol,
    };
    match found {
        Ok(address) if !address.is_null() => Ok(*address),
        _ => Err(missing()),
    }
}

/// Step 8, first half: layouts and root module.
fn handshake(name: &str, library: &'static Library) -> Result<PluginModule, HostError> {
    let symbol_name = entry::ROOT_SYMBOL;
    symbol(library, name, symbol_name)?;
    // SAFETY: `AbiHeaderRef` is a transparent reference to the library's header, and the symbol's value is the
    // header's address. That a header of this abi_stable stands there is what the loader version promises; its
    // own magic string and layout checks come next, in `upgrade` and `init_root_module`.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
    let header = *header.map_err(|_| HostError::MissingSymbol {
        name: name.to_owned(),
        symbol: symbol_name,
    })?;
    let abi = |why: String| HostError::Abi {
        name: name.to_owned(),
        why,
    };
    // Not `RootModule::load_from*`: those keep one module a Rust type, so the second plugin would be the first.
    let header = header.upgrade().map_err(|e| abi(e.to_string()))?;
    let module = header.init_root_module::<PluginModuleRef>();
    module.map(entry::copied).map_err(|e| abi(layout::words(&e, header)))
}

fn allocations(library: &'static Library) -> Option<extern "C" fn() -> u64> {
    // SAFETY: under the agreed loader version a symbol of this name is a function of this type.
    let found = unsafe { library.get::<extern "C" fn() -> u64>(entry::ALLOCATIONS_SYMBOL.as_bytes()) };
    found.ok().map(|function| *function)
}

/// Step 6: that the linker mapped the sealed copy, not a library that it remembered under the same path.
fn confirm_mapping(name: &str, sealed: &OwnedFd, symbol: *const u8, passed: &Passed) -> Result<(), HostError> {
    let os = |call, source: io::Error| HostError::Os {
        name: name.to_owned(),
        call,
        source,
    };
    let differs = |what, expected: String, found: String| HostError::Mapping {
        name: name.to_owned(),
        what,
        expected,
        found,
    };
    let inode = fstat(sealed).map_err(|e| os("fstat", e.into()))?.st_ino;
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(|e| os("read /proc/self/maps", e))?;
    let mappings = || maps.lines().filter_map(Mapping::parse);
    let here = mappings().find(|m| m.range.contains(&(symbol as usize)));
    let found = here.map_or_else(|| "none".to_owned(), |m| m.inode.to_string());
    if found != inode.to_string() {
        return Err(differs("inode", inode.to_string(), found));
    }
    let base = mappings().filter(|m| m.inode == inode).map(|m| m.range.start).min();
    if let (Some(base), Some(at)) = (base, passed.build_id_at) {
        let start = base.saturating_add(usize::try_from(at).unwrap_or(usize::MAX));
        let end = start.saturating_add(passed.build_id.len());
        let inside = |m: &Mapping| m.inode == inode && m.readable && m.range.start <= start && end <= m.range.end;
        if !mappings().any(|m| inside(&m)) {
            return Err(differs(
                "build id",
                hex::encode(&passed.build_id),
                "not mapped".to_owned(),
            ));
        }
        // SAFETY: `start..end` lies in a readable mapping of the sealed file, which is never unmapped or written.
        let mapped = unsafe { std::slice::from_raw_parts(start as *const u8, end - start) };
        if mapped != passed.build_id {
            return Err(differs("build id", hex::encode(&passed.build_id), hex::encode(mapped)));
        }
    }
    Ok(())
}

/// One line of `/proc/self/maps`.
struct Mapping {
    range: std::ops::Range<usize>,
    readable: bool,
    inode: u64,
}

impl Mapping {
    /// `start-end perms offset dev inode path`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let readable = fields.next()?.starts_with('r');
        let inode = fields.nth(2)?.parse().ok()?;
        Some(Self {
            range: usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?,
            readable,
            inode,
        })
    }
}

/// Step 8, second half: the library says of itself what the manifest says of it.
fn describes(row: &PluginRow, module: &PluginModule) -> Result<(), HostError> {
    let about = (module.describe)();
    let same = |field, expected: String, found: String| {
        if expected == found {
            return Ok(());
        }
        Err(HostError::Describes {
            name: row.name.clone(),
            field,
            expected,
            found,
        })
    };
    same("name", row.name.clone(), about.name.to_string())?;
    same("version", row.version.clone(), about.version.to_string())?;
    same("stage", row.stage.name().to_owned(), about.stage.name().to_owned())?;
    same("contract", row.contract.to_string(), CONTRACT_VERSION.to_string())?;
    same(
        "state schema",
        row.state_schema.to_string(),
        about.state_schema.to_string(),
    )?;
    same(
        "numeric profile",
        NUMERIC_PROFILE.to_string(),
        about.numeric_profile.to_string(),
    )?;
    same(
        "uses_rustfft",
        row.uses_rustfft.to_string(),
        about.uses_rustfft.to_string(),
    )
}

/// What `serve` asks first: that no variable of the environment makes the dynamic linker load other code.
///
/// # Errors
/// [`HostError::Environment`] naming the variable.
pub fn check_environment() -> Result<(), HostError> {
    for variable in ["LD_PRELOAD", "LD_AUDIT", "GLIBC_TUNABLES"] {
        if std::env::var_os(variable).is_some_and(|value| !value.is_empty()) {
            return Err(HostError::Environment {
                variable: variable.to_owned(),
                why: "it changes which code the dynamic linker picks".to_owned(),
            });
        }
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let value = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    for dir in std::env::split_paths(&value).filter(|d| d.is_absolute()) {
        let mapped = maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5));
        if let Some(file) = mapped.map(Path::new).find(|file| file.parent() == Some(dir.as_path())) {
            return Err(HostError::Environment {
                variable: "LD_LIBRARY_PATH".to_owned(),
                why: format!("{} was loaded from it", file.display()),
            });
        }
    }
    Ok(())
}

const _: () = assert!(mem::size_of::<AbiHeaderRef>() == mem::size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Vec<u8> {
        let exe = std::env::current_exe().expect("a path");
        let dir = exe.ancestors().nth(2).expect("a target directory");
        let dir = std::env::var_os("TAPLINE_PLUGIN_DIR").map_or_else(|| dir.to_owned(), Into::into);
        let path = dir.join("libplugin_minimal.so");
        std::fs::read(&path).unwrap_or_else(|e| {
            panic!(
                "{}: {e}; build it first: cargo build -p tapline-plugin-minimal",
                path.display()
            )
        })
    }

    /// The linker knows libraries by path. When the descriptor behind `/proc/self/fd/N` is closed and its number
    /// given to another file, opening the path again gives the old library back (seen with glibc 2.36). Hence
    /// descriptors are kept open; and if one were not, the mapping's inode tells.
    #[test]
    fn a_library_of_a_reused_descriptor_is_not_taken_for_the_new_one() {
        let one = library();
        let two: Vec<u8> = one.iter().copied().chain(*b"another file").collect();
        let passed = gate::check(&one, true).expect("it passes");
        let first = seal("first", &[1; 32], &one).expect("sealed");
        let number = first.as_raw_fd();
        let path = format!("/proc/self/fd/{number}");
        // SAFETY: the example plugin, built with this test; leaked like any other.
        let old = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }.expect("it opens");
        let old: &'static Library = Box::leak(Box::new(old));
        let symbol_of = |library| symbol(library, "x", entry::LOADER_VERSION_SYMBOL).expect("it is exported");
        assert!(confirm_mapping("x", &first, symbol_of(old), &passed).is_ok());

        let second = seal("second", &[2; 32], &two).expect("sealed");
        // The number goes from the first file to the second.
        rustix::io::dup2(&second, &mut { first }).expect("dup2");
        // SAFETY: as above.
        let new = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }.expect("it opens");
        let new: &'static Library = Box::leak(Box::new(new));
        let stale = symbol_of(new) == symbol_of(old);
        let confirmed = confirm_mapping("x", &second, symbol_of(new), &passed);
        // Whatever this machine's linker does, a stale library is never confirmed and a fresh one is.
        assert_eq!(confirmed.is_err(), stale, "{confirmed:?}");
        if stale {
            assert!(matches!(confirmed, Err(HostError::Mapping { what: "inode", .. })));
        }
    }

    #[test]
    fn a_sealed_copy_cannot_be_written() {
        let sealed = seal("sealed", &[3; 32], b"some bytes").expect("sealed");
        let mut file = File::from(sealed);
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
    }
}
