//! Prometheus metrics: what the process does, and how long each stage takes against its budget.
//!
//! Timings are read from finished cycles here and nowhere else; none of them enters a witness.

use std::{sync::Arc, time::Duration};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::live::{Cycle, Hub, Readiness};

/// Stage names in metrics and API, in the order they run, each with its budget in microseconds.
pub const STAGES: [(&str, u32); 10] = [
    ("ingest", 2_000),
    ("calibration", 2_000),
    ("phase_align", 1_000),
    ("fusion", 2_000),
    ("cir", 15_000),
    ("coherence", 2_000),
    ("tomography", 8_000),
    ("tracker", 8_000),
    ("witness", 5_000),
    ("publish", 5_000),
];

/// Upper bounds of the latency histograms, seconds; every budget of [`STAGES`] is one of them.
const BUCKETS_S: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003_5, 0.005, 0.008, 0.015, 0.025, 0.05, 0.1, 0.25,
];

/// The recorder and what renders it. Not global: each server of a test has its own.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty set of metrics.
    ///
    /// # Panics
    /// Never: the bucket bounds are a constant that is not empty.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_S)
            .expect("the bounds are not empty")
            .build_recorder();
        let handle = recorder.handle();
        let metrics = Self { recorder, handle };
        metrics.with(|| {
            describe_histogram!(
                "tapline_stage_duration_seconds",
                "Time one stage took in one cycle, seconds"
            );
            describe_histogram!(
                "tapline_cycle_duration_seconds",
                "Time of stages 1 to 10 of one cycle, seconds"
            );
            describe_gauge!("tapline_stage_budget_seconds", "Budget of a stage, seconds");
            describe_counter!(
                "tapline_stage_over_budget_total",
                "Cycles in which a stage exceeded its budget"
            );
            describe_counter!(
                "tapline_stage_outcomes_total",
                "What became of each stage, by disposition"
            );
            describe_counter!("tapline_cycles_total", "Cycles run since start");
            describe_counter!("tapline_missed_ticks_total", "50 ms slots that passed without a cycle");
            describe_counter!("tapline_datagrams_received_total", "Datagrams received, by kind");
            describe_counter!("tapline_datagrams_not_used_total", "Datagrams not used, by reason");
            describe_counter!(
                "tapline_messages_skipped_total",
                "Messages skipped for clients that were behind"
            );
            describe_gauge!("tapline_connections", "Open websocket and event-stream connections");
            describe_gauge!("tapline_subscriptions", "Open subscriptions");
            describe_gauge!(
                "tapline_durable_leaves",
                "Leaves covered by the latest published checkpoint"
            );
            describe_gauge!("tapline_ready", "1 when the server is ready, else 0");
            for (stage, budget_us) in STAGES {
                gauge!("tapline_stage_budget_seconds", "stage" => stage).set(f64::from(budget_us) * 1e-6);
            }
            gauge!("tapline_connections").set(0.0);
            gauge!("tapline_subscriptions").set(0.0);
            counter!("tapline_messages_skipped_total").absolute(0);
        });
        metrics
    }

    fn with<T>(&self, f: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, f)
    }

    /// Counts cycles until the hub is gone.
    pub(super) async fn follow(self: Arc<Self>, mut cycles: broadcast::Receiver<Arc<Cycle>>) {
        let mut upkeep = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                cycle = cycles.recv() => match cycle {
                    Ok(cycle) => self.cycle(&cycle),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                // Without this the samples of histograms pile up until somebody scrapes.
                _ = upkeep.tick() => self.handle.run_upkeep(),
            }
        }
    }

    fn cycle(&self, cycle: &Cycle) {
        self.with(|| {
            let mut total_us = 0_u64;
            for ((stage, budget_us), (disposition, took_us)) in STAGES.into_iter().zip(cycle.stages) {
                total_us += u64::from(took_us);
                histogram!("tapline_stage_duration_seconds", "stage" => stage).record(f64::from(took_us) * 1e-6);
                counter!("tapline_stage_outcomes_total", "stage" => stage, "disposition" => disposition.name())
                    .increment(1);
                counter!("tapline_stage_over_budget_total", "stage" => stage).increment(u64::from(took_us > budget_us));
            }
            histogram!("tapline_cycle_duration_seconds").record(total_us as f64 * 1e-6);
        });
    }

    /// A connection opened (`+1.0`) or closed (`-1.0`).
    pub(super) fn connections(&self, change: f64) {
        self.with(|| gauge!("tapline_connections").increment(change));
    }

    /// A subscription opened (`+1.0`) or closed (`-1.0`).
    pub(super) fn subscriptions(&self, change: f64) {
        self.with(|| gauge!("tapline_subscriptions").increment(change));
    }

    /// Messages skipped for one client.
    pub(super) fn skipped(&self, messages: u64) {
        self.with(|| counter!("tapline_messages_skipped_total").increment(messages));
    }

    /// The text of `/metrics`.
    pub fn render(&self, hub: &Hub) -> String {
        let diagnostics = hub.diagnostics();
        self.with(|| {
            counter!("tapline_cycles_total").absolute(diagnostics.cycles);
            counter!("tapline_missed_ticks_total").absolute(diagnostics.missed_ticks);
            for (kind, n) in &diagnostics.received {
                counter!("tapline_datagrams_received_total", "kind" => *kind).absolute(*n);
            }
            for (reason, n) in &diagnostics.not_used {
                counter!("tapline_datagrams_not_used_total", "reason" => *reason).absolute(*n);
            }
            gauge!("tapline_durable_leaves").set(hub.durable().borrow().size as f64);
            gauge!("tapline_ready").set(f64::from(u8::from(*hub.readiness() == Readiness::Ready)));
        });
        self.handle.render()
    }
}
