//! A look inside the running cycle: the image, the taps of a link, and in a demo what is really there.
//!
//! None of it is witnessed or stored. It is copied by the publisher (stage 10) only while somebody looks,
//! and only as far as the cycle's privacy class lets it out: the image with Derived and below, taps with Raw.
//! Nobody waits for anybody: a reader that falls behind loses the oldest.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tapline_dsp::tier::Tier;
use tapline_plugin_api::geometry::Grid;
use tapline_sim::{Scene, Truth};
use tapline_witness::disposition::Disposition;
use tokio::sync::broadcast;

use crate::{config::Site, cycle::Core};

/// The strictest class that lets the image out: Derived.
const IMAGE_CLASS: u8 = 1;
/// The only class that lets taps out: Raw.
const TAPS_CLASS: u8 = 0;
/// The image is shown every second cycle.
const IMAGE_CYCLES: u64 = 2;
/// Taps shown before delay 0 (the response is circular: what arrives early stands at its end).
const TAPS_BEFORE: usize = 4;
/// Delay up to which taps are shown, seconds: 150 m of way.
const SHOWN_S: f32 = 500e-9;
/// Messages kept for a reader that is behind.
const BACKLOG: usize = 8;

/// A tomographic image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Slot it belongs to.
    pub tick: u64,
    /// Where its voxels are.
    pub grid: Grid,
    /// Mean of each voxel, in the order of [`Grid`]; the unit is the method's.
    pub mean: Vec<f32>,
}

/// The impulse response of one link path.
#[derive(Clone, Debug)]
pub struct Response {
    /// Slot it belongs to.
    pub tick: u64,
    /// Index of the path.
    pub path: u16,
    /// Delay of the first power, seconds.
    pub first_s: f32,
    /// Delay from one power to the next, seconds.
    pub step_s: f32,
    /// Power of each tap: squared amplitude in receiver units; empty when there is no answer.
    pub power: Vec<f32>,
}

/// What is really there, at a moment of the server's clock.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Wall clock, Unix milliseconds.
    pub t_ms: i64,
    /// Everybody.
    pub truth: Truth,
}

/// The windows into the cycle.
#[derive(Debug)]
pub struct Scope {
    image: broadcast::Sender<Arc<Image>>,
    responses: broadcast::Sender<Arc<Response>>,
    /// How many look at each path.
    looked_at: Vec<AtomicU32>,
    moments: broadcast::Sender<Arc<Moment>>,
    demo: std::sync::OnceLock<Scene>,
}

/// Somebody who looks at a path; the copying ends when the last is gone.
#[derive(Debug)]
pub struct Look {
    hub: Arc<crate::live::Hub>,
    path: usize,
    /// The responses of all paths that are looked at.
    pub responses: broadcast::Receiver<Arc<Response>>,
}

impl Drop for Look {
    fn drop(&mut self) {
        self.hub.scope.looked_at[self.path].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Scope {
    /// Windows of a site; all closed.
    pub fn new(site: &Site) -> Self {
        Self {
            image: broadcast::Sender::new(BACKLOG),
            responses: broadcast::Sender::new(BACKLOG * 4),
            looked_at: site.paths.iter().map(|_| AtomicU32::new(0)).collect(),
            moments: broadcast::Sender::new(BACKLOG),
            demo: std::sync::OnceLock::new(),
        }
    }

    /// Follows the image.
    pub fn image(&self) -> broadcast::Receiver<Arc<Image>> {
        self.image.subscribe()
    }

    /// Follows the impulse response of a path; none when there is no such path.
    pub fn look(hub: &Arc<crate::live::Hub>, path: usize) -> Option<Look> {
        hub.scope.looked_at.get(path)?.fetch_add(1, Ordering::Relaxed);
        Some(Look {
            path,
            responses: hub.scope.responses.subscribe(),
            hub: Arc::clone(hub),
        })
    }

    /// Says that what is sensed is this scene.
    pub fn show_demo(&self, scene: Scene) {
        // A second scene in one process would be a bug of the demo; the first one stands.
        let _ = self.demo.set(scene);
    }

    /// The scene that is sensed, in a demo.
    pub fn demo(&self) -> Option<&Scene> {
        self.demo.get()
    }

    /// Shows what is really there.
    pub fn show_moment(&self, moment: Moment) {
        // Nobody looking is not an error.
        let _ = self.moments.send(Arc::new(moment));
    }

    /// Follows what is really there.
    pub fn moments(&self) -> broadcast::Receiver<Arc<Moment>> {
        self.moments.subscribe()
    }

    /// Shows an image and a response, as the publisher does.
    #[cfg(test)]
    pub(crate) fn show_these(&self, image: Image, response: Response) {
        let _ = self.image.send(Arc::new(image));
        let _ = self.responses.send(Arc::new(response));
    }

    /// Called by the publisher after each cycle.
    pub(crate) fn show(&self, core: &Core, tick: u64, stages: &[(Disposition, u32); 10]) {
        let class = core.outcome().privacy_class;
        let ran = |stage: usize| stages[stage - 1].0 == Disposition::Ran;
        if class <= IMAGE_CLASS && tick.is_multiple_of(IMAGE_CYCLES) && self.image.receiver_count() > 0 && ran(7) {
            self.show_image(core, tick);
        }
        if class == TAPS_CLASS && self.responses.receiver_count() > 0 {
            for path in (0..self.looked_at.len()).filter(|p| self.looked_at[*p].load(Ordering::Relaxed) > 0) {
                let response = response(core, path, tick);
                let _ = self.responses.send(Arc::new(response));
            }
        }
    }

    fn show_image(&self, core: &Core, tick: u64) {
        let Some(out) = core.host.tomography_output().filter(|out| out.summary.valid == 1) else {
            return;
        };
        let _ = self.image.send(Arc::new(Image {
            tick,
            grid: out.grid(),
            mean: out.mean.clone(),
        }));
    }
}

/// The part of a path's impulse response that lies within a room's reach; empty when its group gave no answer.
fn response(core: &Core, path: usize, tick: u64) -> Response {
    let mut response = Response {
        tick,
        path: path as u16,
        first_s: 0.0,
        step_s: 0.0,
        power: Vec::new(),
    };
    for buffers in (0..core.host.groups()).filter_map(|g| core.host.cir_buffers(g)) {
        let Some(place) = buffers.links.iter().position(|l| l.path as usize == path) else {
            continue;
        };
        let (link, summary) = (&buffers.links[place], &buffers.summaries[place]);
        let Some(tier) = Tier::from_code(link.tier) else { break };
        let taps = &buffers.taps[link.tap_offset as usize..][..link.tap_count as usize];
        response.step_s = tier.tap_delay_s() as f32;
        response.first_s = -(TAPS_BEFORE as f32) * response.step_s;
        if summary.valid == 1 {
            let after = ((SHOWN_S / response.step_s) as usize).min(taps.len() - TAPS_BEFORE);
            let shown = taps[taps.len() - TAPS_BEFORE..].iter().chain(&taps[..after]);
            response.power.extend(shown.map(|t| t.re * t.re + t.im * t.im));
        }
    }
    response
}
