//! The public crate's pose tracker on detections that somebody else made: `cargo xtask accuracy peer-tracker` runs it.
//!
//! From standard input a line a cycle, `seconds since the last cycle`, then `x y` of each detection, metres. To standard
//! output a line a cycle, `id is_active x y` of each track that it would show.
//!
//! The crate has tracks, filters, cost and lifecycle; the loop is left to its caller. Here it is as the server of the same
//! project drives it: predict all; each detection in turn takes the track of least cost among those not yet taken and not
//! ended (Lost ones included), if that cost is below 9; taken tracks are updated with a noise of 0.08 m; every other
//! detection begins a track; Tentative and Active tracks are shown. No embeddings, as there. One argument, metres: another noise.
//!
//! A detection is a standing person: 17 keypoints above its place. The crate filters each keypoint alone and by the same
//! law, so that all of them have the same path, and any other constant pose would give the same track.

use std::io::{BufRead, Write};

use wifi_densepose_signal::ruvsense::{
    NUM_KEYPOINTS,
    pose_tracker::{PoseTracker, TrackLifecycleState},
};

type Keypoints = [[f32; 3]; NUM_KEYPOINTS];

/// Cost from which on a detection is not the track's.
const GATE: f32 = 9.0;
const NOISE_M: f32 = 0.08;

fn standing(x: f32, y: f32) -> Keypoints {
    std::array::from_fn(|k| [x, y, 0.1 * k as f32])
}

fn centroid(pose: &Keypoints) -> [f32; 3] {
    [0, 1, 2].map(|axis: usize| pose.iter().map(|p| p[axis]).sum::<f32>() / NUM_KEYPOINTS as f32)
}

fn cycle(tracker: &mut PoseTracker, step_s: f32, time_us: u64, detections: &[Keypoints], noise_m: f32) {
    tracker.predict_all(step_s);
    let mut taken = Vec::new();
    for pose in detections {
        let free = tracker.active_tracks().into_iter().filter(|t| !taken.contains(&Some(t.id)));
        let best = free
            .map(|t| (tracker.assignment_cost(t, &centroid(pose), &[]), t.id))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        taken.push(best.filter(|(cost, _)| *cost < GATE).map(|(_, id)| id));
    }
    for (pose, id) in detections.iter().zip(taken) {
        match id.and_then(|id| tracker.find_track_mut(id)) {
            Some(track) => track.update_keypoints(pose, noise_m, 1.0, time_us),
            None => {
                tracker.create_track(pose, time_us);
            }
        }
    }
    tracker.prune_terminated();
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let noise_m = std::env::args().nth(1).map_or(Ok(NOISE_M), |text| text.parse())?;
    let mut tracker = PoseTracker::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (line, time_us) in std::io::stdin().lock().lines().zip((1_u64..).map(|k| 50_000 * k)) {
        let numbers: Vec<f32> = line?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let (step_s, places) = numbers.split_first().ok_or("a line without a step")?;
        let detections: Vec<Keypoints> = places.chunks_exact(2).map(|p| standing(p[0], p[1])).collect();
        cycle(&mut tracker, *step_s, time_us, &detections, noise_m);
        for track in tracker.confirmed_tracks() {
            let [x, y, _] = track.centroid();
            let is_active = u8::from(track.lifecycle == TrackLifecycleState::Active);
            write!(out, "{} {is_active} {x} {y} ", track.id.0)?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}
