//! Says in a few lines why a plugin's types are not the server's.
//!
//! `abi_stable` prints the layouts of every type between the root module and the difference: some five hundred lines.

use abi_stable::{
    StableAbi as _,
    abi_stability::abi_checking::{
        AbiInstability, AbiInstabilityError, AbiInstabilityErrors, check_layout_compatibility,
    },
    library::{IsLayoutChecked, LibHeader, LibraryError},
    type_layout::{TLField, TLFieldOrFunction},
};
use tapline_plugin_api::abi::PluginModuleRef;

/// Why the handshake with this library failed.
pub(super) fn words(error: &LibraryError, library: &LibHeader) -> String {
    let layouts = match (error, library.root_mod_consts().layout()) {
        // The error has only text in it, so the check is made again.
        (LibraryError::AbiInstability(_), IsLayoutChecked::Yes(found)) => {
            check_layout_compatibility(PluginModuleRef::LAYOUT, found).err()
        }
        _ => None,
    };
    match layouts.as_ref().and_then(difference) {
        Some((within, what)) => format!(
            "PluginModule is of another plugin contract: in {within}, {what}; build the plugin anew with this server's tapline-plugin-api"
        ),
        None => error.to_string(),
    }
}

/// The innermost difference: the type it is in, and what is expected and found.
fn difference(layouts: &AbiInstabilityErrors) -> Option<(String, String)> {
    let differing = layouts.errors.iter().filter(|e| !e.errs.is_empty());
    let deepest = differing.max_by_key(|e| e.stack_trace.len())?;
    let fields = deepest.stack_trace.iter().rev().filter_map(|at| match &at.expected {
        TLFieldOrFunction::Field(field) => Some(field.full_type()),
        TLFieldOrFunction::Function(_) => None,
    });
    let within = fields.map(|t| t.to_string()).next();
    Some((
        within.unwrap_or_else(|| layouts.interface.full_type().to_string()),
        told(deepest),
    ))
}

/// What differs, in words where it is a field, a size or a name.
fn told(error: &AbiInstabilityError) -> String {
    let field = |f: &TLField| format!("{}: {}", f.name(), f.full_type());
    let fields = error.errs.iter().find_map(|e| match e {
        AbiInstability::UnexpectedField(v) => Some((field(&v.expected), field(&v.found))),
        _ => None,
    });
    let numbers = error.errs.iter().find_map(|e| match e {
        AbiInstability::FieldCountMismatch(v) => Some((format!("{} fields", v.expected), v.found.to_string())),
        AbiInstability::Size(v) => Some((format!("{} bytes", v.expected), v.found.to_string())),
        AbiInstability::Name(v) => Some((v.expected.to_string(), v.found.to_string())),
        AbiInstability::Package(v) => Some((format!("a type of {}", v.expected), v.found.to_string())),
        AbiInstability::PackageVersion(v) => Some((format!("version {}", v.expected), v.found.to_string())),
        _ => None,
    });
    fields.or(numbers).map_or_else(
        || "the layout found is another".to_owned(),
        |(expected, found)| format!("expected {expected}, found {found}"),
    )
}
