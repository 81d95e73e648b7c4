//! The conformance suite: what a stage owes beyond its golden vectors.

use abi_stable::std_types::RVec;

use super::{
    probe::{Case, Must, Numbers, Probe, setup},
    prove::prove,
    scenes_cir::CirProbe,
    scenes_tomography::TomographyProbe,
    scenes_tracker::TrackerProbe,
};
use crate::{
    CONTRACT_VERSION,
    abi::PluginModule,
    describe::{NUMERIC_PROFILE, StageKind},
    guard::{CirMethod, StageError, TomographyMethod, TrackerMethod, code},
    linked,
};

/// One thing that is not as the contract says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which promise.
    pub promise: &'static str,
    /// Where, what was expected, what was found.
    pub what: String,
}

/// What the suite found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Broken promises; none is good.
    pub findings: Vec<Finding>,
    /// False when no counting allocator was there to ask, so allocation was not looked at.
    pub allocations_counted: bool,
}

impl Report {
    fn add(&mut self, promise: &'static str, what: impl Into<String>) {
        self.findings.push(Finding {
            promise,
            what: what.into(),
        });
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{}: {}", finding.promise, finding.what)?;
        }
        if !self.allocations_counted {
            writeln!(f, "note: allocations were not counted (no counting allocator)")?;
        }
        Ok(())
    }
}

/// Checks a `cir` method of the calling crate.
///
/// Allocation is counted when the test binary has
/// `#[global_allocator] static A: tapline_plugin_api::counting::Counting = tapline_plugin_api::counting::Counting;`
///
/// # Panics
/// With the findings, when there are any: it is for tests.
pub fn check_cir<M: CirMethod>() -> Report {
    checked(&linked::cir::<M>())
}

/// Checks a `tomography` method of the calling crate; as [`check_cir`].
///
/// # Panics
/// With the findings, when there are any.
pub fn check_tomography<M: TomographyMethod>() -> Report {
    checked(&linked::tomography::<M>())
}

/// Checks a `tracker` method of the calling crate; as [`check_cir`].
///
/// # Panics
/// With the findings, when there are any.
pub fn check_tracker<M: TrackerMethod>() -> Report {
    checked(&linked::tracker::<M>())
}

fn checked(module: &PluginModule) -> Report {
    let report = check(module, Some(&crate::counting::allocations));
    assert!(report.findings.is_empty(), "{report}");
    report
}

/// Checks the module of a linked or loaded stage. `allocations` answers how often the code behind the module
/// has allocated on this thread (a loaded library exports it, see [`entry`](crate::entry)).
pub fn check(module: &PluginModule, allocations: Option<&dyn Fn() -> u64>) -> Report {
    let mut report = Report::default();
    let about = (module.describe)();
    if about.numeric_profile != NUMERIC_PROFILE {
        report.add(
            "description",
            format!("numeric profile {}, expected {NUMERIC_PROFILE}", about.numeric_profile),
        );
    }
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !plain(&about.name) || !plain(&about.version) || about.method.is_empty() {
        report.add("description", "name, version and method are plain text, not empty");
    }
    if let Err(error) = prove(module) {
        report.add("golden vectors", error.to_string());
        return report;
    }
    match about.stage {
        StageKind::Cir => check_kind::<CirProbe>(module, allocations, &mut report),
        StageKind::Tomography => check_kind::<TomographyProbe>(module, allocations, &mut report),
        StageKind::Tracker => check_kind::<TrackerProbe>(module, allocations, &mut report),
    }
    other_stages_are_refused(module, about.stage, &mut report);
    report
}

fn check_kind<P: Probe>(module: &PluginModule, allocations: Option<&dyn Fn() -> u64>, report: &mut Report) {
    for case in &P::cases() {
        outputs_are_written_whole(module, case, report);
        state_is_exact(module, case, report);
        nothing_is_allocated(module, case, allocations, report);
    }
    if let Some(case) = P::cases().first() {
        garbage_state_is_refused(module, case, report);
        bad_configuration_is_refused(module, case, report);
    }
}

/// An instance, or a finding.
fn built<P: Probe>(module: &PluginModule, case: &Case<P>, report: &mut Report) -> Option<P::Instance> {
    P::build(module, &setup(""), &case.site)
        .map_err(|error| report.add("construction", format!("{}: {error}", case.name)))
        .ok()
}

/// The answer to one call, in bytes.
fn answer<P: Probe>(instance: &mut P::Instance, input: &P::Input, fill: u8) -> Result<Vec<u8>, StageError> {
    let mut output = P::output(input, fill);
    P::call(instance, input, &mut output)?;
    let mut bytes = Vec::new();
    // A number that is not finite is the golden vectors' finding.
    let _ = P::bytes(&mut output, &mut bytes);
    Ok(bytes)
}

/// Two instances are given answers to fill that hold different rubbish.
fn outputs_are_written_whole<P: Probe>(module: &PluginModule, case: &Case<P>, report: &mut Report) {
    let (Some(mut one), Some(mut two)) = (built(module, case, report), built(module, case, report)) else {
        return;
    };
    for call in &case.calls {
        let a = answer::<P>(&mut one, &call.input, 0x3E);
        let b = answer::<P>(&mut two, &call.input, 0x4B);
        if a != b {
            report.add(
                "the whole answer is written in every call",
                format!(
                    "{}: {}: the answer depends on what the buffers held",
                    case.name, call.name
                ),
            );
            return;
        }
    }
}

/// `run(0..n)` equals `run(0..k)`, export, import into a fresh instance, `run(k..n)`, for several k.
fn state_is_exact<P: Probe>(module: &PluginModule, case: &Case<P>, report: &mut Report) {
    const PROMISE: &str = "export_state and import_state are exact";
    let n = case.calls.len();
    for k in [n / 4, n / 2, n.saturating_sub(1)] {
        let (Some(mut one), Some(mut two)) = (built(module, case, report), built(module, case, report)) else {
            return;
        };
        for call in &case.calls[..k] {
            let _ = answer::<P>(&mut one, &call.input, 0);
        }
        let mut blob = RVec::new();
        let moved = P::export(&mut one, &mut blob).and_then(|()| P::import(&mut two, &blob));
        if let Err(error) = moved {
            report.add(PROMISE, format!("{}: after {k} calls: {error}", case.name));
            return;
        }
        let mut again = RVec::new();
        if P::export(&mut two, &mut again).is_err() || again != blob {
            report.add(
                PROMISE,
                format!(
                    "{}: after {k} calls: exporting what was imported gives other bytes",
                    case.name
                ),
            );
            return;
        }
        for call in &case.calls[k..] {
            if answer::<P>(&mut one, &call.input, 0) != answer::<P>(&mut two, &call.input, 0) {
                report.add(
                    PROMISE,
                    format!(
                        "{}: state moved after {k} calls, the answer differs at \"{}\"",
                        case.name, call.name
                    ),
                );
                return;
            }
        }
    }
}

/// The second of two equal valid calls allocates nothing.
fn nothing_is_allocated<P: Probe>(
    module: &PluginModule,
    case: &Case<P>,
    allocations: Option<&dyn Fn() -> u64>,
    report: &mut Report,
) {
    let Some(allocations) = allocations else { return };
    let before = allocations();
    let Some(mut instance) = built(module, case, report) else {
        return;
    };
    // Building an instance boxes it, so a counter that stood still is not connected.
    report.allocations_counted |= allocations() > before;
    for call in case.calls.iter().filter(|call| call.must == Must::Answer) {
        let mut output = P::output(&call.input, 0);
        for _ in 0..2 {
            let _ = P::call(&mut instance, &call.input, &mut output);
        }
        let before = allocations();
        let result = P::call(&mut instance, &call.input, &mut output);
        let made = allocations() - before;
        if result.is_ok() && made > 0 {
            report.add(
                "nothing is allocated in steady state",
                format!(
                    "{}: {}: {made} allocations in the third equal call",
                    case.name, call.name
                ),
            );
        }
    }
}

/// Empty, cut, lengthened, changed and random blobs: an error of code STATE, and the state stays as it was.
fn garbage_state_is_refused<P: Probe>(module: &PluginModule, case: &Case<P>, report: &mut Report) {
    const PROMISE: &str = "a state blob that is not one is refused, and changes nothing";
    let Some(mut instance) = built(module, case, report) else {
        return;
    };
    for call in case.calls.iter().take(4) {
        let _ = answer::<P>(&mut instance, &call.input, 0);
    }
    let mut good = RVec::new();
    if P::export(&mut instance, &mut good).is_err() {
        return;
    }
    let mut numbers = Numbers(7);
    let mut blobs: Vec<(&str, Vec<u8>)> = vec![
        ("one byte too many", good.iter().copied().chain([0]).collect()),
        ("64 random bytes", (0..64).map(|_| numbers.next() as u8).collect()),
        ("a length of four billion", vec![0xFF; 40]),
    ];
    if !good.is_empty() {
        blobs.push(("nothing", Vec::new()));
        blobs.push(("one byte too few", good[..good.len() - 1].to_vec()));
        blobs.push(("half of it", good[..good.len() / 2].to_vec()));
    }
    for (name, blob) in blobs {
        match P::import(&mut instance, &blob) {
            Ok(()) => report.add(PROMISE, format!("{name}: it was accepted")),
            Err(error) if error.code != code::STATE => report.add(
                PROMISE,
                format!("{name}: expected code {} (STATE), found {error}", code::STATE),
            ),
            Err(_) => {}
        }
        let mut now = RVec::new();
        if P::export(&mut instance, &mut now).is_err() || now != good {
            report.add(PROMISE, format!("{name}: the state is no longer what it was"));
            return;
        }
    }
}

fn bad_configuration_is_refused<P: Probe>(module: &PluginModule, case: &Case<P>, report: &mut Report) {
    const PROMISE: &str = "a wrong configuration is refused";
    for (name, table) in [
        ("an unknown key", "no_stage_has_this_key = 1"),
        ("text that is not TOML", "= [ this is"),
    ] {
        match P::build(module, &setup(table), &case.site) {
            Ok(_) => report.add(PROMISE, format!("{name}: `{table}` was accepted")),
            Err(error) if error.code != code::CONFIG => report.add(
                PROMISE,
                format!("{name}: expected code {} (CONFIG), found {error}", code::CONFIG),
            ),
            Err(_) => {}
        }
    }
}

fn other_stages_are_refused(module: &PluginModule, stage: StageKind, report: &mut Report) {
    let none: [StageKind; 2] = match stage {
        StageKind::Cir => [StageKind::Tomography, StageKind::Tracker],
        StageKind::Tomography => [StageKind::Cir, StageKind::Tracker],
        StageKind::Tracker => [StageKind::Cir, StageKind::Tomography],
    };
    for other in none {
        let setup = setup("");
        let made = match other {
            StageKind::Cir => (module.new_cir)(&setup, [].as_slice().into()).is_ok(),
            StageKind::Tomography => (module.new_tomography)(&setup, &crate::geometry::Grid::default(), 0).is_ok(),
            StageKind::Tracker => (module.new_tracker)(&setup, &crate::geometry::Grid::default(), 0).is_ok(),
        };
        if made {
            report.add(
                "a plugin is one stage",
                format!(
                    "contract {CONTRACT_VERSION}: it also made a `{}` instance",
                    other.name()
                ),
            );
        }
    }
}
