//! What the numeric stages are built from, taken from the site.

use std::{path::PathBuf, time::Duration};

use tapline_dsp::front::{Area, FrontConfig, PathKind as FrontKind, PathSpec};
use tapline_plugin_api::{
    cir::CirLinkSpec,
    geometry::{AntennaPosition, Door, Grid, NodePosition, Point2},
    tracker::MAX_TRACKS,
};
use tapline_witness::outcome::{Outcome, Quality};

use super::clock::SLOT_S;
use crate::{
    config::{PathKind, Site, limits},
    host::{HostSpec, Scene, Tables, stages},
    ingest::intake::centre_khz_of,
};

/// Why a site cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The image would be too large.
    #[error(
        "the image grid would have {found} voxels; {allowed} are allowed. Give [site.pipeline.grid] a larger pitch_m or fewer layers"
    )]
    Grid {
        /// Voxels asked for.
        found: usize,
        /// The limit.
        allowed: usize,
    },
    /// The front stages refuse the configuration.
    #[error("the configuration cannot be computed: {0}")]
    Front(#[from] tapline_dsp::front::FrontError),
    /// The plugin host cannot start.
    #[error(transparent)]
    Host(#[from] crate::host::HostError),
}

/// What the front stages are built from. Areas are the rooms, then the zones, in configuration order.
pub(super) fn front_config(site: &Site) -> FrontConfig {
    let mut config = FrontConfig {
        paths: site
            .paths
            .iter()
            .map(|p| PathSpec {
                tx: p.tx,
                rx: p.rx,
                tx_antenna: p.tx_antenna,
                rx_antenna: p.rx_antenna,
                channel: p.channel,
                kind: match p.kind {
                    PathKind::Csi(tier) => FrontKind::Csi {
                        tier,
                        centre_khz: centre_khz_of(p.channel),
                    },
                    PathKind::Rss => FrontKind::Rss,
                },
            })
            .collect(),
        nodes: site.nodes.iter().map(|n| (n.id, n.position_m)).collect(),
        step_s: SLOT_S,
        ..FrontConfig::default()
    };
    for (index, room) in site.rooms.iter().enumerate() {
        config.areas.push(Area {
            is_room: true,
            room: index as u16,
            outline_m: room.outline_m.clone(),
        });
    }
    for zone in &site.zones {
        let room = site.room(&zone.room).unwrap_or(0) as u16;
        config.areas.push(Area {
            is_room: false,
            room,
            outline_m: zone.outline_m.clone(),
        });
    }
    let settings = &site.pipeline.front;
    if let Some(window_s) = settings.motion_window_s {
        config.window.window_s = window_s;
        config.window.window_max_s = tapline_dsp::detmath::max(window_s, config.window.window_max_s);
    }
    if let Some(ratio) = settings.motion_ratio {
        config.presence.ratio_threshold = ratio;
    }
    if let Some(dwell_s) = settings.minimum_dwell_s {
        config.presence.dwell_s = dwell_s;
    }
    if let Some(edges) = settings.occupied {
        config.presence.occupied = edges;
    }
    if let Some(edges) = settings.moving {
        config.presence.moving = edges;
    }
    config
}

/// The image grid: covers all rooms and nodes, edges on whole voxels.
///
/// # Errors
/// [`SetupError::Grid`].
fn grid(site: &Site) -> Result<Grid, SetupError> {
    let (low, _) = site.extent_m();
    let pitch_m = site.pipeline.grid.pitch_m;
    let [nx, ny, nz] = site.voxels();
    let height_m = site
        .rooms
        .iter()
        .map(|r| r.height_m)
        .fold(2.5, tapline_dsp::detmath::max);
    let grid = Grid {
        origin_x_m: low[0],
        origin_y_m: low[1],
        origin_z_m: 0.0,
        pitch_m,
        pitch_z_m: height_m / nz as f32,
        nx,
        ny,
        nz,
    };
    let found = u64::from(grid.nx) * u64::from(grid.ny) * u64::from(grid.nz);
    if found > limits::VOXELS as u64 {
        return Err(SetupError::Grid {
            found: found as usize,
            allowed: limits::VOXELS,
        });
    }
    Ok(grid)
}

/// The CSI paths, as the `cir` stage knows them.
fn cir_specs(site: &Site) -> Vec<CirLinkSpec> {
    let csi = |(index, path): (usize, &crate::config::Path)| match path.kind {
        PathKind::Csi(tier) => Some(CirLinkSpec {
            path: index as u32,
            tier: tier.code(),
        }),
        PathKind::Rss => None,
    };
    site.paths.iter().enumerate().filter_map(csi).collect()
}

/// What tomography and tracker are told of the site; step and links are filled in every cycle.
pub(super) fn fill_scene(site: &Site, scene: &mut Scene) {
    // The image covers the site; with several rooms its outline is the rectangle round them all.
    let outline = match site.rooms.as_slice() {
        [room] => room.outline_m.clone(),
        _ => {
            let (low, high) = site.extent_m();
            vec![low, [high[0], low[1]], high, [low[0], high[1]]]
        }
    };
    let node = |n: &crate::config::Node| NodePosition {
        node: u32::from(n.id),
        x_m: n.position_m[0],
        y_m: n.position_m[1],
        z_m: n.position_m[2],
    };
    let antennas = |n: &crate::config::Node| {
        let (node, [x_m, y_m, _]) = (u32::from(n.id), n.position_m);
        let place = move |(antenna, from_m): (u32, &[f32; 2])| AntennaPosition {
            node,
            antenna,
            x_m: x_m + from_m[0],
            y_m: y_m + from_m[1],
        };
        (0..).zip(&n.antennas_m).map(place).collect::<Vec<_>>()
    };
    let point = |p: [f32; 2]| Point2 { x_m: p[0], y_m: p[1] };
    scene.presence = -1.0;
    scene.nodes = site.nodes.iter().map(node).collect();
    scene.antennas = site.nodes.iter().flat_map(antennas).collect();
    scene.outline = outline.into_iter().map(point).collect();
    scene.doors = site
        .doors
        .iter()
        .map(|d| Door {
            at: point(d.at_m),
            width_m: d.width_m,
        })
        .collect();
    scene.links = Vec::with_capacity(site.paths.len());
}

/// What the plugin host builds its instances from.
///
/// # Errors
/// [`SetupError::Grid`].
pub fn host_spec(site: &Site, plugin_dir: PathBuf) -> Result<HostSpec, SetupError> {
    let table = |stage: &str| {
        site.pipeline
            .stage
            .get(stage)
            .map(toml::Table::to_string)
            .unwrap_or_default()
    };
    Ok(HostSpec {
        links: cir_specs(site),
        grid: grid(site)?,
        max_links: site.paths.len() as u32,
        step_s: SLOT_S,
        tables: Tables {
            cir: table("cir"),
            tomography: table("tomography"),
            tracker: table("tracker"),
        },
        plugin_dir,
        cpu: None,
        linked: stages::LINKED,
        proof_time: Duration::from_secs(60),
    })
}

/// An outcome with room for whoever comes and for each kind of contradiction.
pub(super) fn outcome() -> Outcome {
    Outcome {
        tracks: Vec::with_capacity(MAX_TRACKS),
        quality: Quality {
            contradictions: Vec::with_capacity(4),
            ..Quality::default()
        },
        ..Outcome::default()
    }
}

/// No outcome of a site has more bytes: its buffer never grows, whatever a privacy class lets out.
pub(super) fn outcome_bytes(site: &Site) -> usize {
    /// Every number of a report there.
    const LINK: usize = 2 + 8 * (1 + 4);
    /// With 17 keypoints of known places.
    const PERSON: usize = 1_024;
    const AREA: usize = 64;
    const REST: usize = 1_024;
    let areas = 1 + site.rooms.len() + site.zones.len();
    REST + LINK * site.paths.len() + AREA * areas + PERSON * MAX_TRACKS
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Fleet;

    /// By node and antenna, in metres of the site; a node without an array has no row.
    #[test]
    fn the_scene_says_where_the_antennas_of_arrays_are() {
        let text = "version = 1\n[[site]]\nid = \"s\"\n\
             [[site.node]]\nid = 7\nposition_m = [4.0, 0.5, 1.0]\nantennas_m = [[0.25, 0.0], [-0.25, 0.5]]\n\
             [[site.node]]\nid = 2\nposition_m = [2.0, 0.0, 1.0]\n\
             [[site.node]]\nid = 1\nposition_m = [1.0, 3.0, 1.0]\nantennas_m = [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0]]\n\
             [site.mesh]\n";
        let fleet = Fleet::parse(text, Path::new("test")).expect("a good fleet file");
        let mut scene = Scene::default();
        fill_scene(&fleet.select(None, "").expect("one site"), &mut scene);
        let at = |node, antenna, x_m, y_m| AntennaPosition {
            node,
            antenna,
            x_m,
            y_m,
        };
        let expect = [
            at(1, 0, 1.0, 3.0),
            at(1, 1, 1.0, 3.5),
            at(1, 2, 1.0, 4.0),
            at(7, 0, 4.25, 0.5),
            at(7, 1, 3.75, 1.0),
        ];
        assert_eq!(scene.antennas, expect);
        assert_eq!(scene.nodes.len(), 3);
    }
}
