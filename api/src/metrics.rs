//! What the server counts, for Prometheus.

use std::time::Duration;

use berth_store::StoreStatus;
use berth_store::cache::CacheStats;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The server's counters. Each server has its own registry: tests run many in one process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    panics: IntCounter,
    watchers: IntGaugeVec,
    store: IntGaugeVec,
    cache_objects: IntGaugeVec,
    cache_bytes: IntGaugeVec,
    relists: IntGaugeVec,
}

/// Counts one running watch while it lives.
#[derive(Debug)]
pub(crate) struct WatchGauge(IntGauge);

impl Drop for WatchGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let made = IntGaugeVec::new(Opts::new(name, help), labels).expect("a constant, legal metric");
            registry.register(Box::new(made.clone())).expect("each metric is registered once");
            made
        };
        let requests = IntCounterVec::new(
            Opts::new("apiserver_request_total", "Requests by verb, group, resource and code."),
            &["verb", "group", "resource", "code"],
        )
        .expect("a constant, legal metric");
        let durations = HistogramVec::new(
            HistogramOpts::new("apiserver_request_duration_seconds", "Time to the answer's headers.")
                .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0]),
            &["verb", "resource"],
        )
        .expect("a constant, legal metric");
        let panics = IntCounter::new("apiserver_panics_total", "Request handlers that panicked.")
            .expect("a constant, legal metric");
        registry.register(Box::new(requests.clone())).expect("each metric is registered once");
        registry.register(Box::new(durations.clone())).expect("each metric is registered once");
        registry.register(Box::new(panics.clone())).expect("each metric is registered once");
        let kind = &["group", "resource"];
        Self {
            watchers: gauge("apiserver_longrunning_watches", "Watches that are open.", kind),
            store: gauge(
                "berth_store",
                "The store's sizes: revision, keys, leases, watches, history, bytes.",
                &["what"],
            ),
            cache_objects: gauge("berth_cache_objects", "Objects in the watch cache.", kind),
            cache_bytes: gauge("berth_cache_ring_bytes", "Bytes that only the ring of events holds.", kind),
            relists: gauge("berth_cache_relists", "How often a cache had to list anew.", kind),
            registry,
            requests,
            durations,
            panics,
        }
    }

    pub(crate) fn request(&self, verb: &str, group: &str, resource: &str, code: u16, took: Duration) {
        let mut digits = [b'0'; 3];
        let code = code.clamp(100, 599);
        for (place, divisor) in digits.iter_mut().zip([100, 10, 1]) {
            // Below 10, so it fits.
            *place = b'0' + (code / divisor % 10) as u8;
        }
        let code = std::str::from_utf8(&digits).unwrap_or("000");
        self.requests.with_label_values(&[verb, group, resource, code]).inc();
        if verb != "watch" {
            self.durations.with_label_values(&[verb, resource]).observe(took.as_secs_f64());
        }
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn watching(&self, group: &str, resource: &str) -> WatchGauge {
        let gauge = self.watchers.with_label_values(&[group, resource]);
        gauge.inc();
        WatchGauge(gauge)
    }

    /// Watches of a kind that are open.
    pub(crate) fn watches(&self, group: &str, plural: &str) -> u64 {
        u64::try_from(self.watchers.with_label_values(&[group, plural]).get()).unwrap_or(0)
    }

    pub(crate) fn observe_store(&self, status: Option<StoreStatus>) {
        let Some(status) = status else { return };
        let set = |what: &str, value: u64| {
            self.store.with_label_values(&[what]).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set("revision", status.revision);
        set("compact_revision", status.compact_revision);
        set("keys", status.keys_count as u64);
        set("leases", status.leases_count as u64);
        set("watches", status.watches_count as u64);
        set("history", status.history_count as u64);
        set("value_bytes", status.value_bytes);
        set("disk_bytes", status.disk_bytes);
    }

    pub(crate) fn observe_cache(&self, group: &str, resource: &str, stats: CacheStats) {
        let clamp = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.cache_objects.with_label_values(&[group, resource]).set(clamp(stats.entries_count));
        self.cache_bytes.with_label_values(&[group, resource]).set(clamp(stats.ring_bytes));
        self.relists.with_label_values(&[group, resource]).set(i64::try_from(stats.relists_count).unwrap_or(i64::MAX));
    }

    pub(crate) fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}
