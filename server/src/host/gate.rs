//! The static gate: what a library's bytes say of it, judged before any of its code can run.
//!
//! It reads what the dynamic linker reads (program headers, the dynamic segment, relocations), never section
//! headers, which the linker ignores and a file may fill with anything. It stops mistakes and careless code.
//! It cannot stop malice: `syscall` alone is enough for that, and every Rust library imports it.

use std::collections::{BTreeMap, BTreeSet};

use object::{
    LittleEndian as LE,
    elf::{self, Dyn64, FileHeader64, ProgramHeader64, Rela64, Sym64},
    pod,
    read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, Sym as _},
};

/// Libraries that any plugin may depend on.
const NEEDED: [&str; 4] = [
    "libc.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];
/// The one more that rustfft's twiddle tables need.
const LIBM: &str = "libm.so.6";
/// What rustfft brings in: `sin` and `cos` for its twiddle tables, which the golden vectors prove; and the seed of the
/// hash map in which its planner looks up (never iterates) the transforms it has planned.
const RUSTFFT: [&str; 5] = ["sin", "cos", "sincos", "getrandom", "poll"];
/// Imports of a minimal plugin, one a line.
const ALLOWED: &str = include_str!("allowed_symbols.txt");

#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;

/// Why a file is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The bytes are not a well-formed ELF library.
    #[error("it is not a well-formed ELF library: {0}")]
    Malformed(&'static str),
    /// It is an ELF file of another kind.
    #[error("ELF type {found}, expected {expected} (a shared library)")]
    Type {
        /// ET_DYN.
        expected: u16,
        /// In the file.
        found: u16,
    },
    /// It is for another machine.
    #[error("ELF machine {found}, this program runs on {expected}")]
    Machine {
        /// Ours.
        expected: u16,
        /// In the file.
        found: u16,
    },
    /// It wants memory that is writable and executable.
    #[error("{0} would be both writable and executable")]
    Executable(&'static str),
    /// It brings its own search path or interposes on others.
    #[error("the dynamic segment holds {0}, which is not allowed")]
    Dynamic(&'static str),
    /// It depends on a library that plugins may not use.
    #[error("it depends on `{found}`, allowed are {allowed}")]
    Needed {
        /// The library.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// Its dependencies are not those of the manifest.
    #[error("it depends on [{found}], the manifest says [{expected}]")]
    NeededDiffers {
        /// In the manifest.
        expected: String,
        /// In the file.
        found: String,
    },
    /// It imports something that plugins may not use.
    #[error("it imports `{name}`: {why}")]
    Import {
        /// The symbol.
        name: String,
        /// Why not, and what to use instead.
        why: &'static str,
    },
}

/// What the gate learned of a library that it lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its dependencies, in its own order.
    pub needed: Vec<String>,
    /// Its imports.
    pub imports: BTreeSet<String>,
    /// Build id; empty when it has none.
    pub build_id: Vec<u8>,
    /// Address of the build id relative to the load address.
    pub build_id_at: Option<u64>,
    /// How often the byte pair of `cpuid` stands in executable segments. Not proof of anything: code that
    /// branches on the CPU's features is for the golden vectors to find.
    pub cpuid_sites: usize,
}

/// Judges a library.
///
/// # Errors
/// The first thing that is not allowed.
pub fn check(bytes: &[u8], uses_rustfft: bool) -> Result<Passed, GateError> {
    let file = File::parse(bytes)?;
    let dynamic = file.dynamic()?;
    let needed = file.needed(&dynamic)?;
    let libm: &[&str] = if uses_rustfft { &[LIBM] } else { &[] };
    let allowed = || NEEDED.iter().chain(libm);
    if let Some(found) = needed.iter().find(|name| !allowed().any(|a| a == name)) {
        return Err(GateError::Needed {
            found: found.clone(),
            allowed: allowed().copied().collect::<Vec<_>>().join(", "),
        });
    }
    let imports = file.imports(&dynamic)?;
    imports_are_allowed(&imports, uses_rustfft)?;
    let (build_id, build_id_at) = file.build_id()?;
    Ok(Passed {
        needed,
        imports,
        build_id,
        build_id_at,
        cpuid_sites: file.cpuid_sites(),
    })
}

fn imports_are_allowed(imports: &BTreeSet<String>, uses_rustfft: bool) -> Result<(), GateError> {
    let listed: BTreeSet<&str> = ALLOWED.lines().filter(|line| !line.starts_with('#')).collect();
    let allowed = |name: &str| listed.contains(name) || (uses_rustfft && RUSTFFT.contains(&name));
    let refused: Vec<&String> = imports.iter().filter(|name| !allowed(name)).collect();
    // One is named: rather one whose reason the author will recognise than what std pulled in along with it.
    let telling = refused
        .iter()
        .find(|name| why_not(name) != UNKNOWN && name.as_str() != "dlsym");
    match telling.or(refused.first()) {
        None => Ok(()),
        Some(name) => Err(GateError::Import {
            name: (*name).clone(),
            why: why_not(name),
        }),
    }
}

const UNKNOWN: &str = "it is not among the imports of a minimal plugin (server/src/host/allowed_symbols.txt)";

/// Names that people do import, with what to do instead.
fn why_not(name: &str) -> &'static str {
    const MATHS: [&str; 34] = [
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "cbrt",
        "cos",
        "cosh",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "fdim",
        "fma",
        "fmod",
        "hypot",
        "ldexp",
        "lgamma",
        "log",
        "log10",
        "log1p",
        "log2",
        "pow",
        "remainder",
        "sin",
        "sincos",
        "sinh",
        "tan",
        "tanh",
        "tgamma",
        "frexp",
    ];
    let stem = name.strip_suffix('f').unwrap_or(name);
    if MATHS.contains(&name) || MATHS.contains(&stem) || name == "lgamma_r" || name == "lgammaf_r" {
        return "platform mathematics has other bits on other CPUs; use tapline_plugin_api::detmath";
    }
    match name {
        "getrandom" | "getentropy" | "random" | "rand" => {
            "a stage has no randomness; seeds are data that the host passes"
        }
        "socket" | "connect" | "bind" | "sendto" | "recvfrom" => "a stage has no network",
        "pthread_create" | "clone" | "fork" => "a stage starts no threads; the host runs groups in parallel",
        "dlopen" | "dlsym" | "dlmopen" => "a stage loads no code",
        "time" | "gettimeofday" | "nanosleep" | "clock_nanosleep" => {
            "a stage has no clock; the host passes steps as data"
        }
        "execve" | "posix_spawnp" | "posix_spawn" | "system" => "a stage starts no programs",
        _ => UNKNOWN,
    }
}

/// An ELF file by its program headers.
struct File<'a> {
    bytes: &'a [u8],
    segments: &'a [ProgramHeader64<LE>],
}

/// Values of the dynamic segment by tag; `needed` may come often, all others once.
struct Dynamic {
    needed: Vec<u64>,
    values: BTreeMap<i64, u64>,
}

impl Dynamic {
    fn get(&self, tag: i64) -> Option<u64> {
        self.values.get(&tag).copied()
    }
}

impl<'a> File<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, GateError> {
        let header = FileHeader64::<LE>::parse(bytes).map_err(|_| GateError::Malformed("its header"))?;
        if header.e_ident.class != elf::ELFCLASS64 || header.e_ident.data != elf::ELFDATA2LSB {
            return Err(GateError::Malformed("it is not 64-bit little-endian"));
        }
        let (found, machine) = (header.e_type(LE), header.e_machine(LE));
        if found != elf::ET_DYN {
            return Err(GateError::Type {
                expected: elf::ET_DYN.0,
                found: found.0,
            });
        }
        if machine != MACHINE {
            return Err(GateError::Machine {
                expected: MACHINE.0,
                found: machine.0,
            });
        }
        let segments = header
            .program_headers(LE, bytes)
            .map_err(|_| GateError::Malformed("its program headers"))?;
        for segment in segments {
            let flags = segment.p_flags(LE);
            match segment.p_type(LE) {
                elf::PT_INTERP => return Err(GateError::Malformed("it is a program, not a library")),
                elf::PT_GNU_STACK if flags.0 & elf::PF_X.0 != 0 => return Err(GateError::Executable("the stack")),
                elf::PT_LOAD if flags.0 & (elf::PF_W.0 | elf::PF_X.0) == elf::PF_W.0 | elf::PF_X.0 => {
                    return Err(GateError::Executable("a segment"));
                }
                _ => {}
            }
        }
        if !segments.iter().any(|s| s.p_type(LE) == elf::PT_GNU_STACK) {
            return Err(GateError::Executable("the stack (no PT_GNU_STACK)"));
        }
        Ok(Self { bytes, segments })
    }

    /// `length` bytes at an address of the library, as far as a file-backed segment holds them.
    fn at(&self, address: u64, length: u64) -> Result<&'a [u8], GateError> {
        let outside = GateError::Malformed("an address outside its segments");
        for segment in self.segments.iter().filter(|s| s.p_type(LE) == elf::PT_LOAD) {
            let (start, size) = (segment.p_vaddr(LE), segment.p_filesz(LE));
            let Some(offset) = address.checked_sub(start).filter(|o| *o < size) else {
                continue;
            };
            if length > size - offset {
                return Err(outside);
            }
            let begin = segment
                .p_offset(LE)
                .checked_add(offset)
                .and_then(|b| usize::try_from(b).ok());
            let found = begin.zip(usize::try_from(length).ok());
            return found
                .and_then(|(begin, length)| self.bytes.get(begin..begin.checked_add(length)?))
                .ok_or(outside);
        }
        Err(outside)
    }

    fn table<T: pod::Pod>(&self, address: u64, bytes: u64) -> Result<&'a [T], GateError> {
        let bytes = self.at(address, bytes)?;
        pod::slice_from_all_bytes(bytes).map_err(|()| GateError::Malformed("a table of odd size or place"))
    }

    fn dynamic(&self) -> Result<Dynamic, GateError> {
        let mut segments = self.segments.iter().filter(|s| s.p_type(LE) == elf::PT_DYNAMIC);
        let (Some(segment), None) = (segments.next(), segments.next()) else {
            return Err(GateError::Malformed("it has not exactly one dynamic segment"));
        };
        // By address: that is where the linker reads it, whatever the file offset says.
        let entries: &[Dyn64<LE>] = self.table(segment.p_vaddr(LE), segment.p_filesz(LE))?;
        let mut found = Dynamic {
            needed: Vec::new(),
            values: BTreeMap::new(),
        };
        for entry in entries {
            let (tag, value) = (entry.d_tag(LE), entry.d_val(LE));
            match tag {
                elf::DT_NULL => break,
                elf::DT_NEEDED => {
                    found.needed.push(value);
                    continue;
                }
                elf::DT_RPATH => return Err(GateError::Dynamic("RPATH, a search path of its own")),
                elf::DT_RUNPATH => return Err(GateError::Dynamic("RUNPATH, a search path of its own")),
                elf::DT_AUDIT | elf::DT_DEPAUDIT => return Err(GateError::Dynamic("AUDIT")),
                elf::DT_FILTER | elf::DT_AUXILIARY => return Err(GateError::Dynamic("FILTER or AUXILIARY")),
                elf::DT_TEXTREL => return Err(GateError::Dynamic("TEXTREL, code that is patched")),
                elf::DT_REL => return Err(GateError::Dynamic("REL, relocations of another machine's kind")),
                elf::DT_FLAGS if value & elf::DF_TEXTREL.0 != 0 => {
                    return Err(GateError::Dynamic("TEXTREL, code that is patched"));
                }
                elf::DT_FLAGS_1 if value & (elf::DF_1_GLOBAL.0 | elf::DF_1_INTERPOSE.0) != 0 => {
                    return Err(GateError::Dynamic("a flag that puts it before other libraries"));
                }
                _ => {}
            }
            if found.values.insert(tag.0, value).is_some() {
                return Err(GateError::Malformed("a dynamic entry that stands twice"));
            }
        }
        Ok(found)
    }

    fn string(&self, dynamic: &Dynamic, offset: u64) -> Result<String, GateError> {
        let wrong = GateError::Malformed("its string table");
        let table = dynamic.get(elf::DT_STRTAB.0).zip(dynamic.get(elf::DT_STRSZ.0));
        let (address, size) = table.ok_or(wrong.clone())?;
        let strings = self.at(address, size)?;
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|o| strings.get(o..))
            .ok_or(wrong.clone())?;
        let end = rest.iter().position(|b| *b == 0).ok_or(wrong.clone())?;
        std::str::from_utf8(&rest[..end]).map(str::to_owned).map_err(|_| wrong)
    }

    fn needed(&self, dynamic: &Dynamic) -> Result<Vec<String>, GateError> {
        let names = dynamic.needed.iter().map(|offset| self.string(dynamic, *offset));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        if let Some(offset) = dynamic.get(elf::DT_SONAME.0) {
            let soname = self.string(dynamic, offset)?;
            if NEEDED.contains(&soname.as_str()) || soname == LIBM {
                return Err(GateError::Dynamic("SONAME, the name of a system library"));
            }
        }
        Ok(names)
    }

    /// The names of all undefined symbols that a relocation binds: what the linker will look up.
    fn imports(&self, dynamic: &Dynamic) -> Result<BTreeSet<String>, GateError> {
        let mut indices = BTreeSet::new();
        let relocations = [(elf::DT_RELA, elf::DT_RELASZ), (elf::DT_JMPREL, elf::DT_PLTRELSZ)];
        for (table, size) in relocations {
            let place = dynamic.get(table.0).zip(dynamic.get(size.0));
            if let Some((address, size)) = place.filter(|(_, size)| *size > 0) {
                let entries: &[Rela64<LE>] = self.table(address, size)?;
                indices.extend(entries.iter().map(|r| r.r_sym(LE, false)));
            }
        }
        let symbols = dynamic
            .get(elf::DT_SYMTAB.0)
            .ok_or(GateError::Malformed("no symbol table"))?;
        let mut names = BTreeSet::new();
        let size = size_of::<Sym64<LE>>() as u64;
        for index in indices.into_iter().filter(|index| *index != 0) {
            let address = symbols.checked_add(u64::from(index) * size);
            let address = address.ok_or(GateError::Malformed("a symbol's address"))?;
            let [symbol] = self.table::<Sym64<LE>>(address, size)? else {
                return Err(GateError::Malformed("a symbol"));
            };
            if symbol.st_shndx(LE) == elf::SHN_UNDEF {
                names.insert(self.string(dynamic, symbol.st_name(LE).into())?);
            }
        }
        Ok(names)
    }

    fn build_id(&self) -> Result<(Vec<u8>, Option<u64>), GateError> {
        for segment in self.segments.iter().filter(|s| s.p_type(LE) == elf::PT_NOTE) {
            let bytes = self.at(segment.p_vaddr(LE), segment.p_filesz(LE))?;
            let notes = segment
                .notes(LE, self.bytes)
                .map_err(|_| GateError::Malformed("its notes"))?;
            let Some(mut notes) = notes else { continue };
            while let Ok(Some(note)) = notes.next() {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                    let id = note.desc();
                    let within = bytes.windows(id.len().max(1)).position(|w| w == id);
                    let at = within.map(|offset| segment.p_vaddr(LE) + offset as u64);
                    return Ok((id.to_vec(), at));
                }
            }
        }
        Ok((Vec::new(), None))
    }

    fn cpuid_sites(&self) -> usize {
        let executable = |s: &&ProgramHeader64<LE>| s.p_type(LE) == elf::PT_LOAD && s.p_flags(LE).0 & elf::PF_X.0 != 0;
        self.segments
            .iter()
            .filter(executable)
            .filter_map(|s| self.at(s.p_vaddr(LE), s.p_filesz(LE)).ok())
            .map(|code| code.windows(2).filter(|pair| *pair == [0x0F, 0xA2]).count())
            .sum()
    }
}
