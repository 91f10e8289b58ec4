//! Audit: who did what, when, and what came of it.
//!
//! A [`policy`] says of which requests events are written, and how much is in them. A [`Trail`] goes along with each
//! request, collects, and makes the [`event`]s; the log and the webhook take them without ever making a request wait.

mod event;
mod hook;
mod log;
mod policy;
mod trail;

pub use hook::AuditWebhook;
pub use log::AuditLog;
pub(crate) use policy::{Attributes, Policy};
pub(crate) use trail::{PeerAddress, Trail, content_type};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use hook::{HookError, HookSink};
use log::{LogSink, Tally};
use policy::{PolicyError, Verdict};

/// Which events are written, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditConfig {
    /// A file with a `Policy`. Without it every request for an object is recorded, but no object itself.
    pub policy_file: Option<PathBuf>,
    pub log: Option<AuditLog>,
    pub webhook: Option<AuditWebhook>,
}

/// Why audit cannot be begun: a server that should keep a record does not start without.
#[derive(Debug, thiserror::Error)]
#[error("audit: {what} {path}: {why}", path = path.display())]
pub struct AuditError {
    what: &'static str,
    path: PathBuf,
    why: String,
}

impl AuditError {
    fn new(what: &'static str, path: &std::path::Path, why: &dyn std::error::Error) -> Self {
        Self { what, path: path.to_owned(), why: why.to_string() }
    }
}

/// The policy and the sinks of a server.
#[derive(Debug)]
pub(crate) struct Audit {
    policy: Policy,
    log: Option<LogSink>,
    webhook: Option<HookSink>,
    tallies: [(&'static str, Arc<Tally>); 2],
}

impl Audit {
    /// Reads the policy and opens the sinks. `None` when there is nowhere to write to.
    ///
    /// # Errors
    /// When the policy is bad, or a sink cannot be opened.
    pub(crate) async fn open(config: &AuditConfig) -> Result<Option<Arc<Self>>, AuditError> {
        if config.log.is_none() && config.webhook.is_none() {
            return Ok(None);
        }
        let policy = match &config.policy_file {
            None => Policy::parse(policy::DEFAULT).expect("a constant that a test reads"),
            Some(path) => read_policy(path)?,
        };
        let (log_tally, hook_tally) = (Arc::<Tally>::default(), Arc::<Tally>::default());
        let log = match &config.log {
            None => None,
            Some(log) => {
                let opened = LogSink::open(log, Arc::clone(&log_tally));
                Some(opened.map_err(|error| AuditError::new("could not open the log", &log.path, &error))?)
            }
        };
        let webhook = match &config.webhook {
            None => None,
            Some(hook) => {
                let opened = HookSink::open(hook, Arc::clone(&hook_tally)).await;
                let failed =
                    |error: HookError| AuditError::new("could not use the webhook's", &hook.kubeconfig, &error);
                Some(opened.map_err(failed)?)
            }
        };
        let tallies = [("log", log_tally), ("webhook", hook_tally)];
        Ok(Some(Arc::new(Self { policy, log, webhook, tallies })))
    }

    fn verdict(&self, request: &Attributes<'_>) -> Verdict {
        self.policy.verdict(request)
    }

    /// Hands an event to the sinks. Never waits.
    fn record(&self, line: Vec<u8>) {
        if let Some(log) = &self.log {
            log.record(&line);
        }
        if let Some(webhook) = &self.webhook {
            webhook.record(&Bytes::from(line));
        }
    }

    /// Waits until the log has all that was recorded before.
    pub(crate) fn flush(&self) {
        if let Some(log) = &self.log {
            log.flush();
        }
    }

    /// What became of events, as lines for `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        type Count = fn(&Tally) -> u64;
        let counts: [(&str, &str, Count); 3] = [
            ("apiserver_audit_event_total", "Audit events that a sink has taken.", |t| {
                t.written.load(Ordering::Relaxed)
            }),
            ("apiserver_audit_error_total", "Audit events that a sink has refused.", |t| {
                t.failed.load(Ordering::Relaxed)
            }),
            ("berth_audit_dropped_total", "Audit events for which a sink had no room.", |t| {
                t.dropped.load(Ordering::Relaxed)
            }),
        ];
        for (name, help, count) in counts {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (plugin, tally) in &self.tallies {
                let _ = writeln!(text, "{name}{{plugin=\"{plugin}\"}} {}", count(tally));
            }
        }
        text
    }
}

fn read_policy(path: &std::path::Path) -> Result<Policy, AuditError> {
    let what = "could not use the policy";
    let text = std::fs::read_to_string(path).map_err(|error| AuditError::new(what, path, &error))?;
    Policy::parse(&text).map_err(|error: PolicyError| AuditError::new(what, path, &error))
}
