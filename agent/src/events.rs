//! Events (core/v1) about tasks: bounded, counted instead of repeated, and never waited for.
//!
//! [`Recorder::record`] only puts a note into a queue. One task writes them: the same reason and message about
//! one object becomes a higher count, and more than [`BURST`] in a row are slowed to [`PER_SECOND`].

use std::collections::HashMap;
use std::time::Duration;

use berth_client::k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use berth_client::k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use berth_client::kube::api::{Patch, PatchParams, PostParams};
use berth_client::kube::{Api, Client};
use berth_types::Task;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::metrics::Metrics;

/// Notes that may wait; more are dropped and counted. A burst of 200 starts fits.
const QUEUE: usize = 512;
/// Events that may be written without a pause.
const BURST: f64 = 100.0;
/// Events a second in the long run.
const PER_SECOND: f64 = 10.0;
/// Series that are remembered for counting.
const SERIES_MAX: usize = 1024;
/// A series that was silent so long begins anew.
const SERIES_LIFE: Duration = Duration::from_secs(600);
/// Longest message that the API server takes.
const MESSAGE_BYTES_MAX: usize = 1024;
/// A count is written at most this often.
const COUNT_STEP: Duration = Duration::from_secs(10);

/// Who says it.
pub const COMPONENT: &str = "berth-agent";

/// Normal or Warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// As it should be.
    Normal,
    /// Somebody may want to look.
    Warning,
}

#[derive(Debug)]
struct Note {
    object: ObjectReference,
    level: Level,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Where parts of the agent tell what happened.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: Option<mpsc::Sender<Note>>,
    metrics: Metrics,
}

impl Recorder {
    /// Starts the task that writes; it ends when the last recorder is gone.
    pub fn start(client: Client, node: String, metrics: Metrics) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(client, node, notes, metrics.clone()));
        Self { queue: Some(queue), metrics }
    }

    /// Says nothing to nobody: for tests.
    pub fn silent(metrics: Metrics) -> Self {
        Self { queue: None, metrics }
    }

    /// Tells something about a task. Never waits.
    pub fn record(&self, task: &Task, level: Level, reason: &str, message: impl Into<String>) {
        let Some(queue) = &self.queue else { return };
        let object = ObjectReference {
            api_version: Some(berth_types::API_VERSION.to_owned()),
            kind: Some("Task".to_owned()),
            name: task.metadata.name.clone(),
            namespace: task.metadata.namespace.clone(),
            uid: task.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        let mut message = message.into();
        truncate(&mut message, MESSAGE_BYTES_MAX);
        let note = Note { object, level, reason: reason.to_owned(), message, at: Timestamp::now() };
        if queue.try_send(note).is_err() {
            self.metrics.events_dropped.with_label_values(&["queue"]).inc();
        }
    }
}

/// Cuts a text at a character's border.
pub fn truncate(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let at = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(at);
    }
}

struct Series {
    name: String,
    count: i32,
    written: Instant,
}

async fn write_all(client: Client, node: String, mut notes: mpsc::Receiver<Note>, metrics: Metrics) {
    let mut series: HashMap<(String, String, String), Series> = HashMap::new();
    let mut tokens = BURST;
    let mut last = Instant::now();
    while let Some(note) = notes.recv().await {
        let now = Instant::now();
        tokens = (tokens + now.duration_since(last).as_secs_f64() * PER_SECOND).min(BURST);
        last = now;
        if tokens < 1.0 {
            metrics.events_dropped.with_label_values(&["rate"]).inc();
            continue;
        }
        let api: Api<Event> = Api::namespaced(client.clone(), note.object.namespace.as_deref().unwrap_or("default"));
        let key = (note.object.uid.clone().unwrap_or_default(), note.reason.clone(), note.message.clone());
        if let Some(known) = series.get_mut(&key).filter(|s| s.written.elapsed() < SERIES_LIFE) {
            known.count += 1;
            // A crash loop or a failing probe would otherwise write at every try.
            if known.written.elapsed() < COUNT_STEP {
                continue;
            }
            tokens -= 1.0;
            known.written = now;
            let body = serde_json::json!({"count": known.count, "lastTimestamp": Time(note.at)});
            if let Err(error) = api.patch(&known.name, &PatchParams::default(), &Patch::Merge(body)).await {
                tracing::debug!(%error, "event's count could not be written");
                series.remove(&key);
            }
            continue;
        }
        tokens -= 1.0;
        if series.len() >= SERIES_MAX {
            series.retain(|_, s| s.written.elapsed() < SERIES_LIFE);
            if series.len() >= SERIES_MAX {
                series.clear();
            }
        }
        let event = event(&note, &node);
        let name = event.metadata.name.clone().unwrap_or_default();
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {
                series.insert(key, Series { name, count: 1, written: now });
            }
            Err(error) => {
                metrics.events_dropped.with_label_values(&["error"]).inc();
                tracing::debug!(%error, "event could not be written");
            }
        }
    }
}

fn event(note: &Note, node: &str) -> Event {
    let level = match note.level {
        Level::Normal => "Normal",
        Level::Warning => "Warning",
    };
    let object = note.object.name.as_deref().unwrap_or("task");
    Event {
        metadata: ObjectMeta {
            // Named by time, as client-go does: unique on one node, and sorted.
            name: Some(format!("{object}.{:x}", note.at.as_nanosecond())),
            namespace: note.object.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: note.object.clone(),
        type_: Some(level.to_owned()),
        reason: Some(note.reason.clone()),
        message: Some(note.message.clone()),
        action: Some(note.reason.clone()),
        count: Some(1),
        first_timestamp: Some(Time(note.at)),
        last_timestamp: Some(Time(note.at)),
        event_time: Some(MicroTime(note.at)),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: Some(node.to_owned()) }),
        reporting_component: Some(COMPONENT.to_owned()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        let mut text = "aä".repeat(10);
        truncate(&mut text, 5);
        assert_eq!(text, "aäa");
    }
}
