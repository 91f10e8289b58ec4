//! Writes one task's status, and lets the object go at the end: in order, the newest only, until it is accepted.
//!
//! An API server that is away delays a status, it never loses one. The same status is not written twice.

use std::time::Duration;

use berth_client::kube::api::{Patch, PatchParams};
use berth_client::kube::{Api, Client, Error};
use berth_types::names::FINALIZER_AGENT;
use berth_types::{Task, TaskPhase, TaskStatus};
use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::events::COMPONENT;
use crate::metrics::Metrics;

/// A start that is done within this is one write and not two: most launches take single milliseconds.
const START_HOLD: Duration = Duration::from_millis(50);
/// A restarted agent finds its containers again within this; until then a task that runs is not said to start.
const ADOPT_HOLD: Duration = Duration::from_secs(10);
/// First pause after a failed write; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest pause between tries: how late a returning API server hears the news.
const RETRY_MAX: Duration = Duration::from_secs(3);

/// A request without an answer for so long is made again, on another connection if that one is dead.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What the API server shall know of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The status; `None` when there is nothing to say (yet, or because the end was told before).
    pub status: Option<TaskStatus>,
    /// Nothing of the task is left on the node: the finalizer may go.
    pub release: bool,
    /// The object is gone: nothing can be written.
    pub vanished: bool,
}

/// Why a write was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The object is gone, or is another one under the same name.
    Gone,
    /// Not now.
    Retry(String),
}

/// Where reports go.
pub trait StatusApi: Send + Sync + 'static {
    /// Writes the whole status.
    fn write<'a>(&'a self, task: &'a Task, status: &'a TaskStatus) -> BoxFuture<'a, Result<(), WriteError>>;
    /// Takes the agent's finalizer off.
    fn release<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<(), WriteError>>;
}

/// Writes reports until the task is released or has vanished.
pub async fn write_reports(api: &dyn StatusApi, task: &Task, mut reports: watch::Receiver<Report>, metrics: &Metrics) {
    let told = task.status.as_ref();
    let hold = if told.is_some_and(|s| s.phase == TaskPhase::Running) { ADOPT_HOLD } else { START_HOLD };
    let hold_until = Instant::now() + hold;
    let mut written: Option<TaskStatus> = None;
    let mut pause = RETRY_MIN;
    loop {
        let mut report = reports.borrow_and_update().clone();
        while written.is_none() && !report.release && report.status.as_ref().is_some_and(only_starts) {
            match tokio::time::timeout_at(hold_until, reports.changed()).await {
                Ok(Ok(())) => report = reports.borrow_and_update().clone(),
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        if written.is_none() && same_words(report.status.as_ref(), told) {
            // An adopted task of which nothing is new.
            written.clone_from(&report.status);
        }
        if report.vanished {
            return;
        }
        let mut result = Ok(());
        if let Some(status) = report.status.as_ref().filter(|status| written.as_ref() != Some(*status)) {
            result = answered(api.write(task, status)).await;
            metrics.status_writes.with_label_values(&[label(&result)]).inc();
            if result.is_ok() {
                written.clone_from(&report.status);
            }
        }
        if result.is_ok() && report.release {
            result = answered(api.release(task)).await;
            if result.is_ok() {
                return;
            }
        }
        match result {
            Ok(()) => {
                pause = RETRY_MIN;
                if reports.changed().await.is_err() {
                    return;
                }
            }
            Err(WriteError::Gone) => {
                // The manager hears of it through the watch and cleans up; until then there is nobody to tell.
                if report.release || reports.wait_for(|r| r.vanished || r.release).await.is_err() {
                    return;
                }
                if reports.borrow().release {
                    return;
                }
            }
            Err(WriteError::Retry(error)) => {
                tracing::warn!(task = task.metadata.name, %error, "task status could not be written, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
                if reports.has_changed().is_err() && !report.release {
                    return;
                }
            }
        }
    }
}

/// Both writes may be repeated: one without an answer is.
async fn answered(request: BoxFuture<'_, Result<(), WriteError>>) -> Result<(), WriteError> {
    let silent = |_| Err(WriteError::Retry(format!("no answer within {} seconds", ANSWER_MAX.as_secs())));
    tokio::time::timeout(ANSWER_MAX, request).await.unwrap_or_else(silent)
}

/// Nothing is to be said yet but that the start began.
fn only_starts(status: &TaskStatus) -> bool {
    status.phase == TaskPhase::Starting && status.reason.as_deref().unwrap_or_default().is_empty()
}

/// Whether the object says it already. Compared as it is written: times have fewer digits there.
fn same_words(new: Option<&TaskStatus>, told: Option<&TaskStatus>) -> bool {
    let (Some(new), Some(told)) = (new, told) else { return false };
    let mut told = told.clone();
    // Placement's condition stands beside ours.
    told.conditions.retain(|c| c.type_ != "Scheduled");
    serde_json::to_value(new).ok() == serde_json::to_value(told).ok()
}

fn label(result: &Result<(), WriteError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(WriteError::Gone) => "gone",
        Err(WriteError::Retry(_)) => "retry",
    }
}

/// The API server.
#[derive(Clone)]
pub struct ApiStatus(pub Client);

impl std::fmt::Debug for ApiStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiStatus")
    }
}

impl ApiStatus {
    fn api(&self, task: &Task) -> Api<Task> {
        Api::namespaced(self.0.clone(), task.metadata.namespace.as_deref().unwrap_or("default"))
    }
}

impl StatusApi for ApiStatus {
    fn write<'a>(&'a self, task: &'a Task, status: &'a TaskStatus) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            let name = task.metadata.name.as_deref().unwrap_or_default();
            let body = json!({
                "apiVersion": berth_types::API_VERSION,
                "kind": "Task",
                // With the uid a task of the same name that came later is refused, not spoilt.
                "metadata": {"name": name, "namespace": task.metadata.namespace, "uid": task.metadata.uid},
                "status": status,
            });
            let params = PatchParams::apply(COMPONENT).force();
            let api = self.api(task);
            match api.patch_status(name, &params, &Patch::Apply(body)).await {
                Ok(_) => Ok(()),
                // Another object under our name, or only a busy server: the uid tells.
                Err(e) if is_conflict(&e) => match api.get_metadata_opt(name).await {
                    Ok(Some(now)) if now.metadata.uid == task.metadata.uid => Err(WriteError::Retry(e.to_string())),
                    Ok(_) => Err(WriteError::Gone),
                    Err(e) => Err(judge(&e)),
                },
                Err(e) => Err(judge(&e)),
            }
        })
    }

    fn release<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            let api = self.api(task);
            let name = task.metadata.name.as_deref().unwrap_or_default();
            let Some(current) = api.get_opt(name).await.map_err(|e| judge(&e))? else { return Ok(()) };
            if current.metadata.uid != task.metadata.uid {
                return Ok(());
            }
            let finalizers = current.metadata.finalizers.unwrap_or_default();
            if !finalizers.iter().any(|f| f == FINALIZER_AGENT) {
                return Ok(());
            }
            let left: Vec<&String> = finalizers.iter().filter(|f| *f != FINALIZER_AGENT).collect();
            // The resourceVersion guards what others changed in the list meanwhile: a conflict is tried again.
            let body = json!({"metadata": {
                "uid": current.metadata.uid,
                "resourceVersion": current.metadata.resource_version,
                "finalizers": left,
            }});
            match api.patch(name, &PatchParams::default(), &Patch::Merge(body)).await {
                Ok(_) => Ok(()),
                Err(e) => match judge(&e) {
                    WriteError::Gone => Ok(()),
                    retry => Err(retry),
                },
            }
        })
    }
}

fn judge(error: &Error) -> WriteError {
    match error {
        Error::Api(status) if status.code == 404 => WriteError::Gone,
        other => WriteError::Retry(other.to_string()),
    }
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct FakeApi {
        answers: Mutex<Vec<Result<(), WriteError>>>,
        seen: Mutex<Vec<String>>,
    }

    impl StatusApi for FakeApi {
        fn write<'a>(&'a self, _: &'a Task, status: &'a TaskStatus) -> BoxFuture<'a, Result<(), WriteError>> {
            self.seen.lock().push(format!("{:?}", status.phase));
            let answer = self.answers.lock().pop().unwrap_or(Ok(()));
            Box::pin(async { answer })
        }

        fn release<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Result<(), WriteError>> {
            self.seen.lock().push("release".to_owned());
            Box::pin(async { Ok(()) })
        }
    }

    fn report(phase: TaskPhase) -> Report {
        Report { status: Some(TaskStatus { phase, ..TaskStatus::default() }), ..Report::default() }
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    type Started = (watch::Sender<Report>, Arc<FakeApi>, tokio::task::JoinHandle<()>);

    fn start(first: Report, answers: Vec<Result<(), WriteError>>) -> Started {
        start_told(first, answers, None)
    }

    fn start_told(first: Report, answers: Vec<Result<(), WriteError>>, told: Option<TaskStatus>) -> Started {
        let (sender, receiver) = watch::channel(first);
        let api = Arc::new(FakeApi { answers: Mutex::new(answers), ..FakeApi::default() });
        let used = api.clone();
        let mut task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"containers": []}
        }))
        .unwrap();
        task.status = told;
        let handle = tokio::spawn(async move { write_reports(&*used, &task, receiver, &Metrics::new()).await });
        (sender, api, handle)
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_start_is_one_write_and_a_settled_task_none() {
        let (sender, api, _handle) = start(report(TaskPhase::Starting), vec![]);
        tokio::time::sleep(Duration::from_millis(10)).await;
        sender.send_replace(report(TaskPhase::Running));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(*api.seen.lock(), ["Running"]);
        sender.send_replace(report(TaskPhase::Running));
        settle().await;
        assert_eq!(*api.seen.lock(), ["Running"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_adopted_task_is_not_said_to_start_again() {
        let running =
            TaskStatus { phase: TaskPhase::Running, summary: Some("Running".into()), ..TaskStatus::default() };
        let (sender, api, _handle) = start_told(report(TaskPhase::Starting), vec![], Some(running.clone()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        sender.send_replace(Report { status: Some(running), ..Report::default() });
        settle().await;
        assert!(api.seen.lock().is_empty());
        sender.send_replace(report(TaskPhase::Failed));
        settle().await;
        assert_eq!(*api.seen.lock(), ["Failed"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_start_is_told() {
        let (sender, api, _handle) = start(report(TaskPhase::Starting), vec![]);
        settle().await;
        sender.send_replace(report(TaskPhase::Running));
        settle().await;
        assert_eq!(*api.seen.lock(), ["Starting", "Running"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_loses_nothing_and_release_comes_last() {
        let away = || Err(WriteError::Retry("connection refused".into()));
        let (sender, api, handle) = start(report(TaskPhase::Running), vec![away(), away(), away()]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        sender.send_replace(Report { release: true, ..report(TaskPhase::Killed) });
        handle.await.unwrap();
        assert_eq!(*api.seen.lock(), ["Running", "Killed", "Killed", "Killed", "release"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_asked_again() {
        struct Mute(Mutex<u32>);
        impl StatusApi for Mute {
            fn write<'a>(&'a self, _: &'a Task, _: &'a TaskStatus) -> BoxFuture<'a, Result<(), WriteError>> {
                *self.0.lock() += 1;
                Box::pin(std::future::pending())
            }

            fn release<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Result<(), WriteError>> {
                Box::pin(async { Ok(()) })
            }
        }
        let api = Arc::new(Mute(Mutex::new(0)));
        let (_sender, receiver) = watch::channel(report(TaskPhase::Running));
        let used = api.clone();
        let task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"containers": []}
        }))
        .unwrap();
        let _handle = tokio::spawn(async move { write_reports(&*used, &task, receiver, &Metrics::new()).await });
        settle().await;
        assert!(*api.0.lock() >= 4, "{} tries in a minute", api.0.lock());
    }

    #[tokio::test(start_paused = true)]
    async fn a_vanished_object_is_left_alone() {
        let (sender, api, handle) = start(report(TaskPhase::Running), vec![Err(WriteError::Gone)]);
        settle().await;
        sender.send_replace(Report { vanished: true, ..report(TaskPhase::Killed) });
        handle.await.unwrap();
        assert_eq!(*api.seen.lock(), ["Running"]);
    }
}
