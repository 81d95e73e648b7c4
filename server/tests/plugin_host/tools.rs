//! A site, a moody stage, and where the built libraries are.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::Digest as _;

use tapline_dsp::tier::Tier;
use tapline_plugin_api::{
    CirMethod, Description, Method, NUMERIC_PROFILE, StageError, StageKind, TomographyMethod,
    abi::PluginModule,
    abi_stable::std_types::{RStr, RVec},
    cir::{C32, CirInput, CirLinkSpec, CirOutput, CirSummary},
    describe::Setup,
    geometry::{Grid, NodePosition, Point2},
    guard::code,
    linked,
    tomography::{LinkObservation, TomographyInput, TomographyOutput, TomographySummary, observed},
};
use tapline_server::host::{
    HostSpec, Manifest, PluginHost, Tables, gate,
    golden::PROOF_TIME,
    manifest::{BuildRow, CpuLevel, Digest, PluginRow, config_digest, target},
    manifest_write::{self, Draft},
    stages,
};

/// A room of 6 x 5 voxels.
pub(crate) fn grid() -> Grid {
    Grid {
        pitch_m: 0.5,
        pitch_z_m: 1.0,
        nx: 6,
        ny: 5,
        nz: 1,
        ..Grid::default()
    }
}

/// A site with this many HT20 link paths and these linked stages.
pub(crate) fn spec(links: u32, linked: &'static [PluginModule]) -> HostSpec {
    HostSpec {
        links: (0..links)
            .map(|path| CirLinkSpec {
                path,
                tier: Tier::Ht20.code(),
            })
            .collect(),
        grid: grid(),
        max_links: 16,
        step_s: 0.05,
        tables: Tables::default(),
        plugin_dir: plugin_dir(),
        cpu: None,
        linked,
        proof_time: PROOF_TIME,
    }
}

/// The host over the default linked stages.
pub(crate) fn host(spec: HostSpec) -> PluginHost {
    let manifest = PluginHost::linked_manifest(&spec, ["", "", ""], Vec::new()).expect("a manifest");
    PluginHost::new(spec, manifest).expect("a host")
}

/// Every link carries one path, four nodes see a person.
pub(crate) fn fill(host: &mut PluginHost, cycle: u32) {
    for group in 0..host.groups() {
        let b = host.cir_buffers_mut(group);
        b.clear_input();
        for link in &mut b.links {
            link.present = 1;
            link.noise_variance = 0.02;
        }
        b.mask.fill(1);
        for (k, tone) in b.tones.iter_mut().enumerate() {
            *tone = C32 {
                re: 10.0 + ((k as u32 * 7 + cycle) % 11) as f32,
                im: ((k as u32 * 3 + cycle) % 5) as f32,
            };
        }
    }
    let scene = host.scene_mut();
    scene.step_s = 0.05;
    scene.presence = 0.9;
    scene.gate = 0;
    let node = |node, x_m, y_m| NodePosition {
        node,
        x_m,
        y_m,
        z_m: 1.0,
    };
    scene.nodes = vec![
        node(1, 0.0, 0.0),
        node(2, 3.0, 0.0),
        node(3, 3.0, 2.5),
        node(4, 0.0, 2.5),
    ];
    scene.outline = scene.nodes.iter().map(|n| Point2 { x_m: n.x_m, y_m: n.y_m }).collect();
    scene.links = [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
        .iter()
        .zip(0..)
        .map(|(&(tx, rx), path)| LinkObservation {
            path,
            tx,
            rx,
            channel: 6,
            observed: observed::RSS | observed::QUIET | observed::CHANGE,
            rss_dbm: -50.0,
            quiet_dbm: -48.0,
            attenuation_db: 2.0,
            noise_db: 0.5,
            change: 0.5 + ((path + cycle) % 4) as f32,
            change_quiet: 0.5,
            age_s: 0.01,
            ..LinkObservation::default()
        })
        .collect();
}

pub(crate) const fn about(name: &'static str, stage: StageKind) -> Description {
    Description {
        name: RStr::from_str(name),
        version: RStr::from_str("1.0.0"),
        stage,
        method: RStr::from_str("a test"),
        numeric_profile: NUMERIC_PROFILE,
        state_schema: 1,
        uses_rustfft: false,
    }
}

/// A `cir` stage that keeps the contract, until its configuration says `misbehave = "..."`: then it does so in
/// call `at`, in the group that serves link path `path`.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Moody {
    misbehave: String,
    at: u32,
    path: u32,
    #[serde(skip)]
    here: bool,
    #[serde(skip)]
    links: usize,
    #[serde(skip)]
    calls: u32,
}

impl Method for Moody {
    const DESCRIPTION: Description = about("moody", StageKind::Cir);
    fn export_state(&self, into: &mut RVec<u8>) -> Result<(), StageError> {
        if self.here && self.misbehave == "hang in export" {
            std::thread::sleep(Duration::MAX);
        }
        into.extend_from_slice(&self.calls.to_le_bytes());
        Ok(())
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        let bytes = state
            .try_into()
            .map_err(|_| StageError::new(code::STATE, "expected 4 bytes"))?;
        self.calls = u32::from_le_bytes(bytes);
        Ok(())
    }
}

impl CirMethod for Moody {
    fn new(setup: &Setup, links: &[CirLinkSpec]) -> Result<Self, StageError> {
        let mut moody: Self =
            toml::from_str(&setup.config_toml).map_err(|e| StageError::new(code::CONFIG, e.to_string()))?;
        moody.here = links.iter().any(|link| link.path == moody.path);
        moody.links = links.len();
        Ok(moody)
    }
    fn run(&mut self, input: &CirInput<'_>, output: &mut CirOutput<'_>) -> Result<(), StageError> {
        let taps: usize = input.links.iter().map(|l| l.tap_count as usize).sum();
        let fits = input.links.iter().all(|l| {
            let tones = l.tone_offset as usize + l.tone_count as usize;
            tones <= input.tones.len() && tones <= input.mask.len() && l.tap_count == 3 * l.tone_count
        });
        if !fits || input.links.len() != self.links || output.taps.len() != taps {
            return Err(StageError::new(code::INPUT, "the buffers do not fit the links"));
        }
        let (calls, now) = (self.calls, self.here && self.calls == self.at);
        self.calls += 1;
        for tap in output.taps.iter_mut() {
            *tap = C32 {
                re: calls as f32,
                im: -0.0,
            };
        }
        output.summaries.as_mut_slice().fill(CirSummary {
            valid: 1,
            ..CirSummary::default()
        });
        if now {
            match self.misbehave.as_str() {
                "err" => return Err(StageError::new(code::OWN + 7, "as configured")),
                "panic" => panic!("as configured"),
                "nan" => output.summaries[0].relative_gap = f32::NAN,
                "hang" => std::thread::sleep(Duration::MAX),
                "slow" => std::thread::sleep(Duration::from_millis(300)),
                "lie" => output.summaries[0].valid = 7,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A `tomography` stage that answers the number of taps it was shown.
pub(crate) struct Counts(usize, u32);

impl Method for Counts {
    const DESCRIPTION: Description = about("counts", StageKind::Tomography);
    fn export_state(&self, _: &mut RVec<u8>) -> Result<(), StageError> {
        Ok(())
    }
    fn import_state(&mut self, state: &[u8]) -> Result<(), StageError> {
        if state.is_empty() {
            return Ok(());
        }
        Err(StageError::new(code::STATE, "expected no bytes"))
    }
}

impl TomographyMethod for Counts {
    fn new(_: &Setup, grid: &Grid, max_links: u32) -> Result<Self, StageError> {
        Ok(Self(grid.voxels(), max_links))
    }
    fn run(
        &mut self,
        input: &TomographyInput<'_>,
        output: &mut TomographyOutput<'_>,
    ) -> Result<TomographySummary, StageError> {
        if output.mean.len() != self.0 || input.grid.voxels() != self.0 || input.links.len() > self.1 as usize {
            return Err(StageError::new(code::INPUT, "the buffers do not fit the grid"));
        }
        output.mean.as_mut_slice().fill(input.taps.len() as f32);
        output.variance.as_mut_slice().fill(1.0);
        Ok(TomographySummary {
            valid: 1,
            links_used: input.cir_links.len() as u32,
            ..TomographySummary::default()
        })
    }
}

/// The moody stage and the counting one.
pub(crate) const MOODY: &[PluginModule] = &[linked::cir::<Moody>(), linked::tomography::<Counts>()];

/// The stages of this program.
pub(crate) const SHIPPED: &[PluginModule] = stages::LINKED;

/// Where the built libraries are.
pub(crate) fn plugin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("TAPLINE_PLUGIN_DIR") {
        return dir.into();
    }
    let exe = std::env::current_exe().expect("the test has a path");
    // target/debug/deps/plugin_host-... -> target/debug
    exe.ancestors().nth(2).expect("a target directory").to_owned()
}

/// The row that names a built library as it is, with a golden digest that nothing gives.
pub(crate) fn row(dir: &Path, file: &str, name: &str) -> PluginRow {
    let path = dir.join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; build the plugins first: cargo build --workspace",
            path.display()
        );
    });
    let passed = gate::check(&bytes, true).ok();
    PluginRow {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        stage: StageKind::Cir,
        contract: 1,
        state_schema: 1,
        uses_rustfft: false,
        golden: Digest([0; 32]),
        config: config_digest(""),
        table: None,
        linked: None,
        builds: vec![BuildRow {
            target: target(),
            cpu: CpuLevel::Baseline,
            file: file.to_owned(),
            size: bytes.len() as u64,
            blake3: Digest(*blake3::hash(&bytes).as_bytes()),
            sha256: Digest(sha2::Sha256::digest(&bytes).into()),
            build_id: passed.as_ref().map(|p| hex::encode(&p.build_id)).unwrap_or_default(),
            needed: passed.map(|p| p.needed).unwrap_or_default(),
        }],
    }
}

/// The row of a built library that proves itself.
pub(crate) fn good_row(file: &str, table: &str) -> PluginRow {
    let path = plugin_dir().join(file);
    manifest_write::library_row_of(&path, CpuLevel::Baseline, table, PROOF_TIME)
        .unwrap_or_else(|e| panic!("{file}: {e}; build the plugins first: cargo build --workspace"))
}

/// The manifest of these plugins.
pub(crate) fn manifest(plugins: Vec<PluginRow>) -> Manifest {
    let draft = Draft {
        plugins,
        ..Draft::default()
    };
    draft.write().expect("a manifest")
}
