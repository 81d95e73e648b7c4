//! The contract as a loaded library meets it: layouts, symbols, the panic guard.

use std::{collections::BTreeSet, fmt::Write as _};

use abi_stable::{
    StableAbi,
    std_types::{RResult, RSlice, RSliceMut, RString, RVec},
    type_layout::TypeLayout,
};
use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind,
    abi::{CirBox, PluginModuleRef, TomographyBox, TrackerBox},
    abi_stable,
    cir::{C32, CirInput, CirLink, CirLinkSpec, CirOutput, CirSummary},
    describe::Setup,
    entry,
    geometry::{AntennaPosition, Door, Grid, NodePosition},
    guard::code,
    linked,
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary},
    tracker::{ArrayLink, Keypoint, Track, TrackerInput, TrackerOutput, TrackerSummary},
};

/// Does what its configuration says.
struct Moody(String);

impl Method for Moody {
    const DESCRIPTION: Description = Description {
        name: abi_stable::std_types::RStr::from_str("moody"),
        version: abi_stable::std_types::RStr::from_str("1.0.0"),
        stage: StageKind::Cir,
        method: abi_stable::std_types::RStr::from_str("a test"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    };
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        into.extend_from_slice(self.0.as_bytes());
        Ok(())
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        self.0 = std::str::from_utf8(state)
            .map_err(|_| StageError::new(code::STATE, "not text"))?
            .to_owned();
        Ok(())
    }
}

impl CirMethod for Moody {
    fn new(setup: &Setup, _: &[CirLinkSpec]) -> Result<Self, StageError> {
        assert_ne!(setup.config_toml.as_str(), "panic in new", "asked to");
        Ok(Self(setup.config_toml.to_string()))
    }
    fn run(&mut self, _: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        assert_ne!(self.0, "panic in run", "asked to");
        for tap in output.taps.iter_mut() {
            tap.re = 1.0;
        }
        Ok(())
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        assert_ne!(self.0, "panic in drop", "asked to");
    }
}

fn setup(config: &str) -> Setup {
    Setup {
        config_toml: RString::from(config),
        step_s: 0.05,
    }
}

fn new_cir(config: &str) -> RResult<CirBox, StageError> {
    (linked::cir::<Moody>().new_cir)(&setup(config), RSlice::EMPTY)
}

fn run(cir: &mut CirBox, taps: &mut [C32]) -> RResult<(), StageError> {
    let links: &[CirLink] = &[];
    let summaries: &mut [CirSummary] = &mut [];
    let input = CirInput {
        links: links.into(),
        tone_index: RSlice::EMPTY,
        tones: RSlice::EMPTY,
        mask: RSlice::EMPTY,
    };
    let mut output = CirOutput {
        taps: RSliceMut::from_mut_slice(taps),
        summaries: RSliceMut::from_mut_slice(summaries),
    };
    cir.run(&input, &mut output)
}

#[test]
fn a_linked_stage_runs_behind_the_trait_object() {
    let mut cir = new_cir("").unwrap();
    let mut taps = [C32::default(); 3];
    assert_eq!(run(&mut cir, &mut taps), RResult::ROk(()));
    assert!(taps.iter().all(|t| t.re == 1.0));
}

#[test]
fn a_panic_in_the_constructor_is_an_error() {
    let error = new_cir("panic in new").err().unwrap();
    assert_eq!(error.code, code::PANIC);
    assert!(error.message.contains("asked to"), "{error}");
}

#[test]
fn a_panic_in_a_call_ends_the_instance_only() {
    let mut cir = new_cir("panic in run").unwrap();
    let first = run(&mut cir, &mut []).unwrap_err();
    assert_eq!(first.code, code::PANIC);
    assert!(first.message.contains("asked to"), "{first}");
    let second = run(&mut cir, &mut []).unwrap_err();
    assert_eq!(second.code, code::PANIC);
    assert!(second.message.contains("earlier call"), "{second}");
    assert_eq!(cir.import_state(RSlice::from_slice(b"")).unwrap_err().code, code::PANIC);
}

#[test]
fn a_panic_in_a_destructor_stays_inside() {
    drop(new_cir("panic in drop").unwrap());
}

#[test]
fn state_goes_out_and_in_exactly() {
    let mut one = new_cir("some state").unwrap();
    let mut blob = RVec::new();
    one.export_state(&mut blob).unwrap();
    let mut two = new_cir("").unwrap();
    two.import_state(blob.as_rslice()).unwrap();
    let mut again = RVec::new();
    two.export_state(&mut again).unwrap();
    assert_eq!(blob, again);
    assert_eq!(
        two.import_state(RSlice::from_slice(&[0xff])).unwrap_err().code,
        code::STATE
    );
}

#[test]
fn other_stages_are_refused_by_name() {
    let module = linked::cir::<Moody>();
    let error = (module.new_tracker)(&setup(""), &Grid::default(), 1).err().unwrap();
    assert_eq!(error.code, code::CONFIG);
    assert_eq!(
        error.message.as_str(),
        "moody is a `cir` stage, a `tracker` stage was asked of it"
    );
}

#[test]
fn the_exported_root_symbol_is_the_one_abi_stable_looks_for() {
    // The macro must spell it as a literal.
    assert_eq!(entry::ROOT_SYMBOL, "_1as_0lib_1header_0root_bmodule_bloader");
}

/// The type's name, with what a slice holds (abi_stable leaves the parameter out of the name).
fn type_name(layout: &'static TypeLayout) -> String {
    let data = layout.get_fields().into_iter().flatten().find(|f| f.name() == "data");
    match data {
        Some(data) if layout.name().starts_with("RSlice") => {
            format!("{}<{}>", layout.name(), data.layout().full_type().to_string().trim())
        }
        _ => layout.full_type().to_string().trim().to_owned(),
    }
}

/// Every type of this crate reachable from `layout`, with size, alignment, fields and functions.
fn describe_layout(layout: &'static TypeLayout, seen: &mut BTreeSet<String>, into: &mut BTreeSet<String>) {
    let name = type_name(layout);
    let mut text = format!("{name}: {} bytes, align {}", layout.size(), layout.alignment());
    if !seen.insert(format!("{}{text}", layout.package())) {
        return;
    }
    for field in layout.get_fields().into_iter().flatten() {
        let functions = field.function_range();
        if functions.is_empty() {
            write!(text, "\n  {}: {}", field.name(), type_name(field.layout())).unwrap();
        }
        for function in functions.iter() {
            write!(
                text,
                "\n  {}: {}",
                field.name(),
                function.to_string().lines().next().unwrap_or_default()
            )
            .unwrap();
        }
        describe_layout(field.layout(), seen, into);
    }
    for field in layout.phantom_fields() {
        describe_layout(field.layout(), seen, into);
    }
    if layout.package() == "tapline-plugin-api" {
        into.insert(text);
    }
}

/// The records of contract version 1 are frozen: a change here is a new version, not a new snapshot.
#[test]
fn the_layout_is_the_frozen_one() {
    let mut types = BTreeSet::new();
    for layout in [
        <PluginModuleRef as StableAbi>::LAYOUT,
        <CirBox as StableAbi>::LAYOUT,
        <TomographyBox as StableAbi>::LAYOUT,
        <TrackerBox as StableAbi>::LAYOUT,
        <Description as StableAbi>::LAYOUT,
        <Setup as StableAbi>::LAYOUT,
        <StageError as StableAbi>::LAYOUT,
        <CirLinkSpec as StableAbi>::LAYOUT,
        <C32 as StableAbi>::LAYOUT,
        <CirLink as StableAbi>::LAYOUT,
        <CirSummary as StableAbi>::LAYOUT,
        <Grid as StableAbi>::LAYOUT,
        <NodePosition as StableAbi>::LAYOUT,
        <AntennaPosition as StableAbi>::LAYOUT,
        <ArrayLink as StableAbi>::LAYOUT,
        <Door as StableAbi>::LAYOUT,
        <LinkObservation as StableAbi>::LAYOUT,
        <Track as StableAbi>::LAYOUT,
        <Keypoint as StableAbi>::LAYOUT,
        <CirInput<'static> as StableAbi>::LAYOUT,
        <CirOutput<'static> as StableAbi>::LAYOUT,
        <TomographyInput<'static> as StableAbi>::LAYOUT,
        <TomographyOutput<'static> as StableAbi>::LAYOUT,
        <TomographySummary as StableAbi>::LAYOUT,
        <TrackerInput<'static> as StableAbi>::LAYOUT,
        <TrackerOutput<'static> as StableAbi>::LAYOUT,
        <TrackerSummary as StableAbi>::LAYOUT,
    ] {
        describe_layout(layout, &mut BTreeSet::new(), &mut types);
    }
    let found: String = types.iter().map(|text| format!("{text}\n")).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layout-v1.txt");
    if std::env::var_os("TAPLINE_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let frozen = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(frozen, found, "the ABI layout changed; TAPLINE_BLESS=1 rewrites {path}");
}
