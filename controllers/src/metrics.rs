//! Counters of the controller manager, as Prometheus text.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// All counters; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    seconds: HistogramVec,
    queue: IntGaugeVec,
    writes: IntCounterVec,
    lists: IntCounterVec,
    events: IntCounterVec,
    dropped: IntCounter,
    leading: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("the name and labels are valid");
            registry.register(Box::new(vec.clone())).expect("each name is registered once");
            vec
        };
        let reconciles =
            counters("berth_controller_reconciles_total", "Keys worked on, by outcome.", &["controller", "result"]);
        let writes = counters(
            "berth_controller_writes_total",
            "Requests that write, by outcome.",
            &["controller", "verb", "kind", "result"],
        );
        let lists = counters("berth_informer_lists_total", "Full lists of a kind: one at the start.", &["kind"]);
        let events = counters("berth_informer_events_total", "Watch events taken in.", &["kind"]);
        // From a plan in memory to a rollout of thousands of tasks.
        let buckets = vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
        let options = HistogramOpts::new("berth_controller_reconcile_seconds", "How long a key was worked on.");
        let seconds =
            HistogramVec::new(options.buckets(buckets), &["controller"]).expect("the name and labels are valid");
        let queue = IntGaugeVec::new(Opts::new("berth_controller_queue", "Keys that wait."), &["controller"])
            .expect("the name and labels are valid");
        let dropped = IntCounter::new("berth_events_dropped_total", "Events that were not written: too many waited.")
            .expect("the name is valid");
        let leading =
            IntGauge::new("berth_controllers_leading", "1 while this manager leads.").expect("the name is valid");
        registry.register(Box::new(seconds.clone())).expect("each name is registered once");
        registry.register(Box::new(queue.clone())).expect("each name is registered once");
        registry.register(Box::new(dropped.clone())).expect("each name is registered once");
        registry.register(Box::new(leading.clone())).expect("each name is registered once");
        Self { registry, reconciles, seconds, queue, writes, lists, events, dropped, leading }
    }
}

impl Metrics {
    /// Where a controller may register metrics of its own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut buffer = vec![];
        match TextEncoder::new().encode(&self.registry.gather(), &mut buffer) {
            Ok(()) => String::from_utf8(buffer).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "metrics cannot be printed");
                String::new()
            }
        }
    }

    /// How many requests that write were sent: a settled cluster sends none.
    pub fn writes(&self) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "berth_controller_writes_total");
        family.map_or(0, |family| family.get_metric().iter().map(|m| m.get_counter().get_value() as u64).sum())
    }

    pub(crate) fn reconciled(&self, controller: &str, result: &str, took: Duration) {
        self.reconciles.with_label_values(&[controller, result]).inc();
        self.seconds.with_label_values(&[controller]).observe(took.as_secs_f64());
    }

    pub(crate) fn queued(&self, controller: &str, len: usize) {
        self.queue.with_label_values(&[controller]).set(i64::try_from(len).unwrap_or(i64::MAX));
    }

    pub(crate) fn wrote(&self, controller: &str, verb: &str, kind: &str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.writes.with_label_values(&[controller, verb, kind, result]).inc();
    }

    pub(crate) fn listed(&self, kind: &str) {
        self.lists.with_label_values(&[kind]).inc();
    }

    pub(crate) fn watched(&self, kind: &str) {
        self.events.with_label_values(&[kind]).inc();
    }

    pub(crate) fn event_dropped(&self) {
        self.dropped.inc();
    }

    pub(crate) fn led(&self, leading: bool) {
        self.leading.set(i64::from(leading));
    }
}
