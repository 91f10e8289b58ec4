//! Collects what may tell the cause: the object, its tasks, their events, the end of their logs.

use std::collections::BTreeMap;

use berth_client::{Session, resource};
use berth_types::names;
use serde_json::Value;

use super::cause;
use crate::commands::get;
use crate::commands::shared::{self, Found, is_true, name, text};
use crate::failure::Outcome;
use crate::kinds;

/// Tasks whose logs are read: the causes of more look the same.
const LOGS_MAX: usize = 3;
/// Most bytes of one log's end.
const LOG_BYTES: &str = "65536";
/// Events that are read.
const EVENTS_MAX: usize = 500;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) object: Value,
    /// Its tasks (of a task: none), newest first.
    pub(crate) tasks: Vec<Value>,
    /// Runs of a job, newest first.
    pub(crate) runs: Vec<Value>,
    /// Events of the object, its runs and its tasks, oldest first.
    pub(crate) events: Vec<Value>,
    /// Last lines of what failed containers wrote, by task and container.
    pub(crate) logs: BTreeMap<(String, String), Vec<String>>,
}

/// Reads everything that may matter.
///
/// # Errors
/// When the object is not there, or the server cannot be reached; the rest may be missing.
pub(crate) async fn all(session: &Session, found: &Found, log_lines: usize) -> Outcome<Evidence> {
    let object = get::object(session, found).await?;
    let mut evidence = Evidence { object, ..Evidence::default() };
    let task = kinds::ours("Task");
    let selector = match found.resource.kind.as_str() {
        "Service" => Some(("labelSelector", format!("{}={}", names::LABEL_SERVICE, found.name))),
        "Job" => Some(("labelSelector", format!("{}={}", names::LABEL_JOB, found.name))),
        "JobRun" => Some(("labelSelector", format!("{}={}", names::LABEL_JOB_RUN, found.name))),
        "Node" => Some(("fieldSelector", format!("spec.nodeName={}", found.name))),
        _ => None,
    };
    let namespace = found.resource.namespaced.then_some(found.namespace.as_str());
    if let Some((key, value)) = &selector {
        let parameters = [((*key).to_owned(), value.clone())];
        let list = shared::list(session, &task.list_path(namespace), &parameters, berth_client::session::JSON).await;
        evidence.tasks = list.map(|l| shared::items(task, l)).unwrap_or_default();
    }
    if found.resource.kind == "Job" {
        let run = kinds::ours("JobRun");
        let parameters = [("labelSelector".to_owned(), format!("{}={}", names::LABEL_JOB, found.name))];
        let list = shared::list(session, &run.list_path(namespace), &parameters, berth_client::session::JSON).await;
        evidence.runs = list.map(|l| shared::items(run, l)).unwrap_or_default();
    }
    for group in [&mut evidence.tasks, &mut evidence.runs] {
        group.sort_by_key(|o| {
            std::cmp::Reverse((text(o, &["metadata", "creationTimestamp"]).to_owned(), name(o).to_owned()))
        });
    }
    evidence.events = events(session, found, &evidence).await;
    read_logs(session, &found.resource.kind, &mut evidence, log_lines).await;
    Ok(evidence)
}

async fn events(session: &Session, found: &Found, evidence: &Evidence) -> Vec<Value> {
    let event = kinds::ours("Event");
    let namespace = found.resource.namespaced.then_some(found.namespace.as_str());
    // Of one task the server can pick; of an owner the tasks' events are wanted, too.
    let mut parameters = Vec::new();
    if found.resource.kind == "Task" {
        parameters.push(("fieldSelector".to_owned(), format!("involvedObject.name={}", found.name)));
    }
    let list = shared::list(session, &event.list_path(namespace), &parameters, berth_client::session::JSON).await;
    let mut events = list.map(|l| shared::items(event, l)).unwrap_or_default();
    let about = |kind: &str, wanted: &str| {
        let own = kind == found.resource.kind && wanted == found.name;
        let task = kind == "Task" && evidence.tasks.iter().any(|t| name(t) == wanted);
        let run = kind == "JobRun" && evidence.runs.iter().any(|r| name(r) == wanted);
        // Tasks that are gone already still tell what happened.
        let past =
            kind == "Task" && found.resource.kind == "Service" && wanted.starts_with(&format!("{}-", found.name));
        own || found.resource.kind != "Node" && (task || run || past)
    };
    events.retain(|e| about(text(e, &["involvedObject", "kind"]), text(e, &["involvedObject", "name"])));
    // An object of the same name may have been there before: its story is another one.
    let time = |text: &str| text.parse::<k8s_openapi::jiff::Timestamp>().ok();
    let born = time(text(&evidence.object, &["metadata", "creationTimestamp"]));
    events.retain(|e| born.is_none() || time(&crate::commands::events::last_seen(e)) >= born);
    events.sort_by_key(crate::commands::events::last_seen);
    let surplus = events.len().saturating_sub(EVENTS_MAX);
    events.drain(..surplus);
    events
}

async fn read_logs(session: &Session, kind: &str, evidence: &mut Evidence, lines: usize) {
    // A node's tasks have their own stories.
    if lines == 0 || kind == "Node" {
        return;
    }
    let tasks: Vec<&Value> = if kind == "Task" { vec![&evidence.object] } else { evidence.tasks.iter().collect() };
    let mut wanted = Vec::new();
    for task in tasks {
        if wanted.len() >= LOGS_MAX || cause::not_ready(task).is_none() {
            continue;
        }
        let failed = cause::failed_containers(task);
        let containers = if failed.is_empty() && !is_true(task, "Ready") {
            task["status"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|c| c["state"]["running"].is_object())
                .collect()
        } else {
            failed
        };
        for container in containers {
            wanted.push((
                text(task, &["metadata", "namespace"]).to_owned(),
                name(task).to_owned(),
                text(container, &["name"]).to_owned(),
            ));
        }
    }
    let tails = shared::parallel(wanted, |(namespace, task, container)| async move {
        let tail = log_tail(session, &namespace, &task, &container, lines).await;
        ((task, container), tail)
    })
    .await;
    evidence.logs = tails.into_iter().filter(|(_, tail)| !tail.is_empty()).collect();
}

/// The last lines of a container's log; none when it cannot be read.
async fn log_tail(session: &Session, namespace: &str, task: &str, container: &str, lines: usize) -> Vec<String> {
    let tail = lines.to_string();
    let query = resource::query([("container", container), ("tailLines", &tail), ("limitBytes", LOG_BYTES)]);
    let path = format!("{}/log{query}", kinds::ours("Task").path(namespace, task));
    let Ok(mut stream) = session.stream(&path, "*/*").await else { return vec![] };
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = futures::StreamExt::next(&mut stream).await {
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8_lossy(&bytes).lines().map(crate::term::harmless).collect()
}
