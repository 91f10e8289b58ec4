//! The audit webhook: events in batches, posted as an `EventList` to the server that a kubeconfig names.
//!
//! Events wait in a bounded buffer; when the other side is slower than we are, new ones are dropped and counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::mpsc;

use super::log::Tally;

/// Where events are sent, and in what portions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditWebhook {
    /// A file in the form of a kubeconfig: its current context says where and as whom.
    pub kubeconfig: PathBuf,
    /// Events in one request.
    pub batch_events_max: usize,
    /// How long the first event of a batch waits for more.
    pub batch_wait_max: Duration,
    /// The pause before the first repetition of a request that failed.
    pub backoff: Duration,
}

impl AuditWebhook {
    /// With upstream's portions and times.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            batch_events_max: 400,
            batch_wait_max: Duration::from_secs(30),
            backoff: Duration::from_secs(10),
        }
    }
}

/// Events that wait to be sent, as upstream: 10 MB of them.
const BUFFER_EVENTS_MAX: usize = 10_000;
/// How often a batch is tried.
const ATTEMPTS_MAX: u32 = 5;
/// Each pause is longer than the last by this.
const BACKOFF_FACTOR: f64 = 1.5;
/// One request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    #[error("it cannot be read: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("no connection can be made with it: {0}")]
    Client(#[from] Box<kube::Error>),
    #[error("it names no server")]
    NoServer,
}

/// The sending half. The task ends, once everything is sent or given up, when this is dropped.
#[derive(Debug)]
pub(super) struct HookSink {
    sender: mpsc::Sender<Bytes>,
    tally: Arc<Tally>,
}

impl HookSink {
    /// Reads the kubeconfig and starts to send. Must be called within a runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub(super) async fn open(config: &AuditWebhook, tally: Arc<Tally>) -> Result<Self, HookError> {
        let file = Kubeconfig::read_from(&config.kubeconfig)?;
        let mut target = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        // Where to post is the whole address; the client would put its path before ours.
        let path = target.cluster_url.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let mut parts = target.cluster_url.into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        target.cluster_url = http::Uri::from_parts(parts).map_err(|_| HookError::NoServer)?;
        target.read_timeout = Some(REQUEST_TIMEOUT);
        let client = kube::Client::try_from(target).map_err(Box::new)?;
        let (sender, events) = mpsc::channel(BUFFER_EVENTS_MAX);
        let sending = Sending { client, path, config: config.clone(), tally: Arc::clone(&tally) };
        tokio::spawn(sending.run(events));
        Ok(Self { sender, tally })
    }

    /// Adds an event. Never waits.
    pub(super) fn record(&self, line: &Bytes) {
        if self.sender.try_send(line.clone()).is_err() {
            Tally::add(&self.tally.dropped, 1);
        }
    }
}

struct Sending {
    client: kube::Client,
    path: String,
    config: AuditWebhook,
    tally: Arc<Tally>,
}

impl Sending {
    async fn run(self, mut events: mpsc::Receiver<Bytes>) {
        let mut batch = Vec::new();
        while events.recv_many(&mut batch, self.config.batch_events_max.max(1)).await > 0 {
            self.fill(&mut events, &mut batch).await;
            self.deliver(&batch).await;
            batch.clear();
        }
    }

    /// Waits for more, until the batch is full or its time is over.
    async fn fill(&self, events: &mut mpsc::Receiver<Bytes>, batch: &mut Vec<Bytes>) {
        let full = async {
            while batch.len() < self.config.batch_events_max {
                let room = self.config.batch_events_max - batch.len();
                if events.recv_many(batch, room).await == 0 {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(self.config.batch_wait_max, full).await;
    }

    /// Posts a batch, again and again while a repetition may help.
    async fn deliver(&self, batch: &[Bytes]) {
        let body = event_list(batch);
        let mut pause = self.config.backoff;
        for attempt in 1..=ATTEMPTS_MAX {
            let problem = match self.post(body.clone()).await {
                Ok(()) => {
                    Tally::add(&self.tally.written, batch.len());
                    return;
                }
                Err(problem) => problem,
            };
            if attempt == ATTEMPTS_MAX || !problem.may_pass {
                tracing::warn!(events = batch.len(), error = problem.text, "audit events could not be delivered");
                break;
            }
            tracing::debug!(attempt, error = problem.text, "audit events are delivered again");
            tokio::time::sleep(pause).await;
            pause = pause.mul_f64(BACKOFF_FACTOR);
        }
        Tally::add(&self.tally.failed, batch.len());
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Problem> {
        let request = http::Request::post(&self.path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(kube::client::Body::from(body))
            .map_err(|error| Problem { text: error.to_string(), may_pass: false })?;
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.client.send(request)).await;
        match answer {
            Err(_) => Err(Problem { text: "no answer in time".to_owned(), may_pass: true }),
            Ok(Err(error)) => Err(Problem { text: error.to_string(), may_pass: true }),
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => {
                let code = answer.status();
                let may_pass = code.is_server_error() || code == http::StatusCode::TOO_MANY_REQUESTS;
                Err(Problem { text: format!("the answer is {code}"), may_pass })
            }
        }
    }
}

struct Problem {
    text: String,
    /// Whether it may be better next time.
    may_pass: bool,
}

fn event_list(batch: &[Bytes]) -> Vec<u8> {
    const HEAD: &[u8] = br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#;
    let mut body = Vec::with_capacity(HEAD.len() + 2 + batch.iter().map(Bytes::len).sum::<usize>());
    body.extend_from_slice(HEAD);
    for (index, line) in batch.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(line.trim_ascii_end());
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_list() {
        let body = event_list(&[Bytes::from_static(b"{\"a\":1}\n"), Bytes::from_static(b"{\"a\":2}\n")]);
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(list["kind"], "EventList");
        assert_eq!(list["items"][1]["a"], 2);
    }
}
