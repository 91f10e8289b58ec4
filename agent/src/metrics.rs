//! What the agent counts, in Prometheus' text format.

use prometheus::core::Collector;
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

/// Seconds; a launch of the native containerizer takes single milliseconds.
const LAUNCH_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The agent's metrics. Clones count into the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Tasks by phase.
    pub tasks: IntGaugeVec,
    /// From taking a container up to its execution.
    pub launch_seconds: Histogram,
    /// Launches by result.
    pub launches: IntCounterVec,
    /// Probe verdicts and misses, by probe and result.
    pub probes: IntCounterVec,
    /// Status writes by result.
    pub status_writes: IntCounterVec,
    /// Events that were dropped because the queue or the rate was full.
    pub events_dropped: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// With a registry of its own: several agents in one process do not mix.
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels).expect("names and labels are constants");
            register(&registry, counters.clone());
            counters
        };
        let tasks = IntGaugeVec::new(Opts::new("berth_agent_tasks", "Tasks on this node by phase."), &["phase"])
            .expect("names and labels are constants");
        register(&registry, tasks.clone());
        let launch_seconds = Histogram::with_opts(
            HistogramOpts::new("berth_agent_launch_seconds", "From taking a container up to its execution.")
                .buckets(LAUNCH_BUCKETS.to_vec()),
        )
        .expect("names and buckets are constants");
        register(&registry, launch_seconds.clone());
        Self {
            tasks,
            launch_seconds,
            launches: counters("berth_agent_launches_total", "Container launches by result.", &["result"]),
            probes: counters("berth_agent_probes_total", "Probe tries by probe and result.", &["probe", "result"]),
            status_writes: counters("berth_agent_status_writes_total", "Writes of task status by result.", &["result"]),
            events_dropped: counters("berth_agent_events_dropped_total", "Events not written.", &["why"]),
            registry,
        }
    }

    /// Everything, in the text format.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::warn!(%error, "metrics could not be written");
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn register(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect("each name is registered once");
}
