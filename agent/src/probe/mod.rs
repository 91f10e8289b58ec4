//! Start-up, readiness and liveness probes of one container.
//!
//! [`judge`] counts, [`target`] finds where to knock, [`exec`], [`http`] and [`tcp`] do it; [`run`] keeps the time.
//! Until the first success a start-up or readiness probe is also tried between its periods, quickly at first: a
//! server that is up after 200 ms is ready then and not a whole period later. Only the tries of a period count
//! as failures.

mod exec;
mod http;
mod judge;
mod target;
mod tcp;

use std::sync::Arc;
use std::time::Duration;

use berth_client::k8s_openapi::api::core::v1::{LifecycleHandler, Probe};
use berth_types::{Container, Task};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::runtime::Runtime;
pub use judge::{Judge, Turn};
pub use target::{HttpRequest, Target};

/// First pause between the quick tries; it doubles up to the period.
const QUICK_RETRY: Duration = Duration::from_millis(50);

/// Which probe spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Holds the others back until it succeeded.
    Startup,
    /// Whether the container can serve.
    Readiness,
    /// Whether it still works.
    Liveness,
}

impl Kind {
    /// For messages and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// What a prober has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// One try failed.
    Miss { kind: Kind, message: String },
    /// The verdict changed.
    Verdict { kind: Kind, healthy: bool, message: String },
}

/// Everything that a try needs.
#[derive(Clone)]
pub struct Prober {
    /// To run commands in the container.
    pub runtime: Arc<dyn Runtime>,
    /// The container's id.
    pub id: String,
    /// Address of the node, for servers that do not listen on loopback.
    pub address: String,
    /// The task, for its ports.
    pub task: Arc<Task>,
    /// The container.
    pub container: Container,
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prober").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Prober {
    /// Knocks once; `Err` says why it failed.
    pub async fn knock(&self, target: &Target, timeout: Duration) -> Result<(), String> {
        let knock = async {
            match target {
                Target::Exec(argv) => exec::knock(&*self.runtime, &self.id, argv).await,
                Target::Http(request) => http::knock(request, &self.address).await,
                Target::Tcp { host, port } => tcp::connect(host.as_deref(), *port, &self.address).await.map(drop),
                Target::Sleep(time) => {
                    tokio::time::sleep(*time).await;
                    Ok(())
                }
            }
        };
        match tokio::time::timeout(timeout, knock).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", timeout.as_secs_f64())),
        }
    }

    /// Runs a lifecycle hook once.
    pub async fn hook(&self, hook: &LifecycleHandler, timeout: Duration) -> Result<(), String> {
        let target = Target::of_hook(hook, &self.task, &self.container)?;
        self.knock(&target, timeout).await
    }

    /// Probes until told to stop, or until nobody listens; a start-up probe ends with its first verdict, which is
    /// the answer.
    pub async fn run(
        &self,
        kind: Kind,
        probe: &Probe,
        stop: &CancellationToken,
        words: &mpsc::Sender<Word>,
    ) -> Option<Turn> {
        let target = match Target::of_probe(probe, &self.task, &self.container) {
            Ok(target) => target,
            Err(message) => {
                let _ = words.send(Word::Verdict { kind, healthy: false, message }).await;
                return Some(Turn::Unhealthy);
            }
        };
        let timeout = seconds(probe.timeout_seconds, 1);
        let period = seconds(probe.period_seconds, 10);
        let mut judge = Judge::new(probe.success_threshold, probe.failure_threshold, kind == Kind::Liveness);
        let mut next =
            Instant::now() + Duration::from_secs(u64::try_from(probe.initial_delay_seconds.unwrap_or(0)).unwrap_or(0));
        let mut counts_from = next + period;
        let mut quick = QUICK_RETRY.min(period);
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep_until(next) => {}
            }
            let result = tokio::select! {
                () = stop.cancelled() => return None,
                result = self.knock(&target, timeout) => result,
            };
            let now = Instant::now();
            let hasty = kind != Kind::Liveness && judge.never_succeeded() && result.is_err() && now < counts_from;
            if hasty {
                next = (now + quick).min(counts_from);
                quick = (quick * 2).min(period);
                continue;
            }
            if result.is_err() {
                counts_from = now + period;
                quick = QUICK_RETRY.min(period);
            }
            next = if kind != Kind::Liveness && judge.never_succeeded() && result.is_err() {
                now + quick
            } else {
                now + period
            };
            let message = match &result {
                Ok(()) => String::new(),
                Err(message) => message.clone(),
            };
            if result.is_err() && words.send(Word::Miss { kind, message: message.clone() }).await.is_err() {
                return None;
            }
            if let Some(turn) = judge.count(result.is_ok()) {
                let healthy = turn == Turn::Healthy;
                let heard = words.send(Word::Verdict { kind, healthy, message }).await.is_ok();
                if kind == Kind::Startup || !heard {
                    return Some(turn);
                }
            }
        }
    }
}

fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
