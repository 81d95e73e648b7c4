//! Empty-room calibration: started by an operator, ended by the clock of the input, logged, kept.

use tapline_dsp::{
    calibration::{CalibrationArtefact, CalibrationRefused},
    front::CalibrationStatus,
};
use tapline_witness::{
    body::{Body, Calibration, CalibrationSource},
    hash::{Domain, ZERO},
};

use super::{
    engine::{EngineError, InForce},
    start::StartError,
};
use crate::{
    config::PathKind,
    cycle::Core,
    live,
    log::{Blob, Chain, Stamp, Writer},
};

/// What came of the last calibration.
#[derive(Default)]
pub(super) struct Calibrations {
    file: Option<Vec<u8>>,
    refused: Option<CalibrationRefused>,
    /// When the one in force was learned or loaded, Unix nanoseconds.
    since_ns: Option<i64>,
    /// What became of the calibration of an earlier process: when it was learned there, and why it is not used.
    earlier: Option<(i64, Option<String>)>,
}

impl Calibrations {
    pub(super) fn start(&mut self, core: &mut Core, end_ns: u64) {
        self.refused = None;
        self.earlier = None;
        core.front.start_calibration(end_ns.cast_signed());
    }

    /// Takes a calibration that has just ended: a good one is put in force, and logged with its cycle.
    pub(super) fn settle(
        &mut self,
        core: &mut Core,
        chain: &mut Chain,
        writer: &Writer,
        in_force: &mut InForce,
        stamp: Stamp,
    ) -> Result<(), EngineError> {
        match core.front.take_calibration() {
            None => {}
            Some(Err(refused)) => {
                tracing::warn!(%refused, "calibration refused");
                self.refused = Some(refused);
            }
            Some(Ok(artefact)) => {
                self.put_in_force(
                    &artefact,
                    CalibrationSource::Learned,
                    core,
                    chain,
                    writer,
                    in_force,
                    stamp,
                )?;
            }
        }
        Ok(())
    }

    /// Reads a file and puts it in force.
    pub(super) fn load(
        &mut self,
        bytes: &[u8],
        core: &mut Core,
        chain: &mut Chain,
        writer: &Writer,
        in_force: &mut InForce,
        stamp: Stamp,
    ) -> Result<usize, StartError> {
        let artefact = CalibrationArtefact::from_bytes(bytes).map_err(StartError::Calibration)?;
        self.put_in_force(
            &artefact,
            CalibrationSource::Loaded,
            core,
            chain,
            writer,
            in_force,
            stamp,
        )
        .map_err(StartError::Engine)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of the engine, which is borrowed in pieces"
    )]
    fn put_in_force(
        &mut self,
        artefact: &CalibrationArtefact,
        source: CalibrationSource,
        core: &mut Core,
        chain: &mut Chain,
        writer: &Writer,
        in_force: &mut InForce,
        stamp: Stamp,
    ) -> Result<usize, EngineError> {
        let bytes = artefact.to_bytes();
        let id = Domain::Calibration.hash(&bytes);
        let paths = match core.front.load_calibration(artefact) {
            Ok(paths) => paths,
            Err(error) => {
                tracing::warn!(%error, "the calibration fits no path; the one before stays in force");
                return Ok(0);
            }
        };
        let mut record = writer.checkout_blocking()?;
        record.blobs.push(Blob {
            hash: id,
            kind: "calibration",
            bytes: bytes.clone(),
        });
        let body = Body::Calibration(Calibration {
            old_calibration_id: in_force.calibration_id,
            new_calibration_id: id,
            effective_tick: chain.last_tick().map_or(0, |tick| tick + 1),
            source,
            operator: ZERO,
        });
        chain.append(stamp, &body, &mut record)?;
        writer.submit(record)?;
        in_force.calibration_id = id;
        self.file = Some(bytes);
        self.since_ns = Some(stamp.wall_ns);
        Ok(paths)
    }

    /// Notes that a calibration of an earlier process was tried.
    pub(super) fn reloaded(&mut self, since_ns: i64, refused: Option<String>) {
        if refused.is_none() {
            self.since_ns = Some(since_ns);
        }
        self.earlier = Some((since_ns, refused));
    }

    /// Why the calibration of an earlier process is not in force, when it is not.
    fn why_not(&self) -> Option<String> {
        let (ns, why) = self.earlier.as_ref()?;
        let why = why.as_ref()?;
        Some(format!(
            "none: the one that was learned before this start, at {}, is not used: {why}; learn the empty room anew \
             (startCalibration)",
            time(*ns)
        ))
    }

    pub(super) fn file(&self) -> Option<&[u8]> {
        self.file.as_deref()
    }

    /// Everything, as of now.
    pub(super) fn status(&self, core: &Core, in_force: &InForce) -> live::Calibration {
        let paths = core.site().paths.iter().enumerate();
        let of = |(path, configured): (usize, &crate::config::Path)| {
            let b = core.front.baseline(path)?;
            let csi = matches!(configured.kind, PathKind::Csi(_));
            Some(live::LinkCalibration {
                frames: b.frames,
                tones: csi.then(|| b.mask.iter().map(|m| u32::from(*m != 0)).sum()),
                rssi_dbm: b.rss_dbm,
                agc_db: b.agc_db,
            })
        };
        let id = Some(in_force.calibration_id).filter(|id| *id != ZERO);
        live::Calibration {
            line: self.line(core),
            id,
            since_ns: id.and(self.since_ns),
            paths: paths.map(of).collect(),
        }
    }

    pub(super) fn line(&self, core: &Core) -> String {
        match (core.front.calibration_status(), &self.refused) {
            (CalibrationStatus::Running { elapsed_s, total_s, paths_ready, paths_moving }, _) => format!(
                "running: {elapsed_s:.0} of {total_s:.0} s, {paths_ready} of {} link paths ready, {paths_moving} moving",
                core.site().paths.len()
            ),
            (_, Some(refused)) => format!("refused: {refused}"),
            (CalibrationStatus::InForce { paths }, None) => {
                let since = self.earlier.as_ref().map(|(ns, _)| format!("; learned before this start, at {}", time(*ns)));
                format!(
                    "in force on {paths} of {} link paths{}",
                    core.site().paths.len(),
                    since.unwrap_or_default()
                )
            }
            (CalibrationStatus::Finished, None) => "finished".to_owned(),
            (CalibrationStatus::None, None) if self.why_not().is_some() => {
                self.why_not().unwrap_or_default()
            }
            (CalibrationStatus::None, None) => {
                "none: presence stays unknown until the empty room is learned (startCalibration, or replay --calibrate-first)".to_owned()
            }
        }
    }
}

/// What stands or lies elsewhere than when a calibration was learned, by the witnessed configurations of then and now; none
/// when it still holds. Names may differ. Whether the link paths are the same, each path's identity says.
pub(super) fn moved(then: &str, now: &str) -> Option<String> {
    let tables = |text: &str, key: &str| {
        let mut document: toml::Table = toml::from_str(text).unwrap_or_default();
        let Some(toml::Value::Array(mut all)) = document.remove(key) else {
            return Vec::new();
        };
        for table in all.iter_mut().filter_map(toml::Value::as_table_mut) {
            table.remove("name");
        }
        all
    };
    for (key, what) in [("room", "the rooms"), ("node", "the nodes")] {
        let (then, now) = (tables(then, key), tables(now, key));
        if then == now {
            continue;
        }
        let first = then.iter().chain(&now).find(|t| !then.contains(t) || !now.contains(t));
        let id = first.and_then(|t| t.get("id")).map(toml::Value::to_string);
        return Some(format!(
            "{what} of the fleet file are others than then (first: {})",
            id.unwrap_or_else(|| "their order".to_owned())
        ));
    }
    None
}

/// A time of the wall clock, to the second.
fn time(ns: i64) -> String {
    jiff::Timestamp::from_second(ns.div_euclid(1_000_000_000))
        .map_or_else(|_| "a time out of range".to_owned(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::moved;

    #[test]
    fn what_moved_is_named() {
        let then = "[[room]]\nid = \"r\"\nname = \"a\"\n[[node]]\nid = 1\nposition_m = [0.0, 1.0]\n[[node]]\nid = 2\n";
        assert_eq!(moved(then, then), None);
        assert_eq!(moved(then, &then.replace("\"a\"", "\"b\"")), None, "a name");
        let check = |now: &str, expected: &str| {
            let why = moved(then, now).expect("it moved");
            assert!(why.ends_with(expected), "{why}");
        };
        check(&then.replace("1.0", "1.5"), "(first: 1)");
        check(&then.replace("id = 2", "id = 3"), "(first: 2)");
        check(&then.replace("\"r\"", "\"q\""), "(first: \"r\")");
        check("", "(first: \"r\")");
        assert!(moved("", then).is_some(), "nothing is known of then");
    }
}
