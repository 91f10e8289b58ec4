//! Keeps one kind's copy current: list, then watch from there, for ever.
//!
//! What is kept of an object is the [`Sink`]'s affair: the stores keep typed objects, the garbage collector a few
//! words of each.
//!
//! A broken watch is resumed where it was; only when the server has forgotten that revision (410) is everything
//! listed again. Bookmarks move the place to resume from.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::store::{Entry, RawStore};
use super::{Error, Row, api};
use crate::metrics::Metrics;

/// Objects a page of a list: a few hundred kilobytes, so that neither side holds much.
const PAGE: u32 = 500;
/// The server ends a watch after this long; we resume it.
const WATCH_SECONDS: u64 = 290;
/// A watch that is silent for this much longer than it may last is dead.
const WATCH_GRACE: Duration = Duration::from_secs(15);
/// The longest event: larger than any object that the API server accepts.
const LINE_MAX: usize = 16 << 20;
/// The first wait after a failure, doubled with each further one.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// The longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Why a watch ended.
enum Ended {
    /// It may be resumed.
    Resume,
    /// The server has forgotten our revision.
    Expired,
}

/// What takes in the objects of a kind.
pub(crate) trait Sink: Send + Sync {
    /// What is kept of an object.
    type Item: Send;

    /// Whether the server is to send only the objects' metadata.
    const METADATA_ONLY: bool;

    /// The kind.
    fn row(&self) -> &Row;

    /// Reads an object's JSON; an object that cannot be read is left out.
    fn read(&self, json: &str) -> Result<Self::Item, serde_json::Error>;

    /// The object's `resourceVersion`.
    fn revision(item: &Self::Item) -> u64;

    /// A fresh list: all objects as of a revision.
    fn listed(&self, revision: u64, items: Vec<Self::Item>) -> impl Future<Output = ()> + Send;

    /// A new or changed object.
    fn changed(&self, item: Self::Item) -> impl Future<Output = ()> + Send;

    /// An object's end.
    fn ended(&self, item: Self::Item) -> impl Future<Output = ()> + Send;

    /// Nothing else happened up to this revision.
    fn passed(&self, revision: u64);

    /// A list is about to be asked for.
    fn lists(&self) {}

    /// An event came.
    fn hears(&self) {}

    /// Touch with the server was lost.
    fn lost_touch(&self, verb: &str, error: &Error);
}

/// A kind's store as a sink, with the counters that it is to count in.
struct Informer {
    store: Arc<RawStore>,
    metrics: Metrics,
}

impl Sink for Informer {
    type Item = Entry;

    const METADATA_ONLY: bool = false;

    fn row(&self) -> &Row {
        &self.store.row
    }

    fn read(&self, json: &str) -> Result<Entry, serde_json::Error> {
        self.store.read_kept(json)
    }

    fn revision(item: &Entry) -> u64 {
        item.revision
    }

    async fn listed(&self, revision: u64, items: Vec<Entry>) {
        self.store.listed(revision, items);
    }

    async fn changed(&self, item: Entry) {
        self.store.watched(item);
    }

    async fn ended(&self, item: Entry) {
        self.store.watched_end(&item);
    }

    fn passed(&self, revision: u64) {
        self.store.watched_until(revision);
    }

    fn lists(&self) {
        self.metrics.listed(&self.store.row.kind);
    }

    fn hears(&self) {
        self.metrics.watched(&self.store.row.kind);
    }

    fn lost_touch(&self, verb: &str, error: &Error) {
        let kind = &*self.store.row.kind;
        tracing::warn!(kind, verb, error = chain(error), "lost touch with the API server; trying again");
    }
}

/// Keeps the store current until the token is cancelled.
pub async fn run(client: Client, store: Arc<RawStore>, metrics: Metrics, stop: CancellationToken) {
    let informer = Informer { store, metrics };
    tokio::select! {
        () = follow(&client, &informer) => {}
        () = stop.cancelled() => {}
    }
}

/// Tells the sink of all objects of its kind, for ever.
pub(crate) async fn follow<S: Sink>(client: &Client, sink: &S) {
    let mut failures = 0;
    loop {
        sink.lists();
        let mut revision = match list(client, sink).await {
            Ok(revision) => revision,
            Err(error) => {
                wait_after_failure(&mut failures, sink, "list", &error).await;
                continue;
            }
        };
        failures = 0;
        loop {
            match watch(client, sink, &mut revision).await {
                Ok(Ended::Resume) => failures = 0,
                Ok(Ended::Expired) => break,
                Err(error) if error.code() == Some(410) => break,
                Err(error) => wait_after_failure(&mut failures, sink, "watch", &error).await,
            }
        }
    }
}

async fn wait_after_failure<S: Sink>(failures: &mut u32, sink: &S, verb: &str, error: &Error) {
    let wait = RETRY_FIRST.saturating_mul(1 << (*failures).min(10)).min(RETRY_MAX);
    if *failures == 0 {
        sink.lost_touch(verb, error);
    }
    *failures += 1;
    tokio::time::sleep(wait).await;
}

/// The error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    after: String,
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// Lists everything into the sink; gives the list's revision.
async fn list<S: Sink>(client: &Client, sink: &S) -> Result<u64, Error> {
    let mut items = vec![];
    let mut after: Option<String> = None;
    loop {
        let text = match api::list(client, sink.row(), PAGE, after.as_deref(), S::METADATA_ONLY).await {
            // The list took longer than the server remembers: from the start.
            Err(error) if error.code() == Some(410) && after.is_some() => {
                items.clear();
                after = None;
                continue;
            }
            other => other?,
        };
        let page: List<'_> = serde_json::from_str(&text)
            .map_err(|source| Error::Decode { what: format!("the list of {}", sink.row().plural), source })?;
        items.extend(page.items.unwrap_or_default().into_iter().filter_map(|item| read(sink, item.get())));
        if page.metadata.after.is_empty() {
            let revision = page.metadata.resource_version.parse().map_err(|_| {
                Error::Other(format!("the list of {} has no resourceVersion that is a number", sink.row().plural))
            })?;
            sink.listed(revision, items).await;
            return Ok(revision);
        }
        after = Some(page.metadata.after);
    }
}

/// An object that cannot be read is left out, loudly: one bad object must not stop the rest.
fn read<S: Sink>(sink: &S, json: &str) -> Option<S::Item> {
    match sink.read(json) {
        Ok(item) => Some(item),
        Err(error) => {
            tracing::error!(kind = %sink.row().kind, %error, "an object cannot be read and is ignored");
            None
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    type_: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: ListMeta,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

/// Takes in events until the watch ends.
async fn watch<S: Sink>(client: &Client, sink: &S, revision: &mut u64) -> Result<Ended, Error> {
    let row = sink.row();
    let mut stream = api::watch(client, row, *revision, WATCH_SECONDS, S::METADATA_ONLY).await?;
    let mut line = vec![];
    let silence = Duration::from_secs(WATCH_SECONDS) + WATCH_GRACE;
    loop {
        let told = tokio::time::timeout(silence, next_line(&mut stream, &mut line)).await;
        match told {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(Ended::Resume),
            Ok(Err(error)) => {
                return Err(Error::Other(format!("the watch of {} broke: {error}", row.plural)));
            }
            Err(_) => return Err(Error::Other(format!("the watch of {} is silent", row.plural))),
        }
        let event: Line<'_> = serde_json::from_slice(&line)
            .map_err(|source| Error::Decode { what: format!("an event about {}", row.plural), source })?;
        sink.hears();
        let json = event.object.get();
        match event.type_ {
            "ADDED" | "MODIFIED" => {
                if let Some(item) = read(sink, json) {
                    *revision = S::revision(&item);
                    sink.changed(item).await;
                }
            }
            "DELETED" => {
                if let Some(item) = read(sink, json) {
                    *revision = S::revision(&item);
                    sink.ended(item).await;
                }
            }
            "BOOKMARK" => {
                let bookmark: Option<Bookmark> = serde_json::from_str(json).ok();
                if let Some(at) = bookmark.and_then(|b| b.metadata.resource_version.parse().ok()) {
                    *revision = at;
                    sink.passed(at);
                }
            }
            "ERROR" => {
                let failure: Failure =
                    serde_json::from_str(json).unwrap_or(Failure { code: 0, message: String::new() });
                if failure.code == 410 {
                    return Ok(Ended::Expired);
                }
                return Err(Error::Other(format!("the watch of {} ended: {}", row.plural, failure.message)));
            }
            other => tracing::debug!(event = other, "an unknown kind of event is ignored"),
        }
    }
}

/// Reads one line, without its end. `false` at the end of the stream; a torn last line does not count.
async fn next_line(stream: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    loop {
        let available = stream.fill_buf().await?;
        if available.is_empty() {
            return Ok(false);
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let taken = newline.unwrap_or(available.len());
        line.extend_from_slice(&available[..taken]);
        let used = taken + usize::from(newline.is_some());
        std::pin::Pin::new(&mut *stream).consume(used);
        if line.len() > LINE_MAX {
            return Err(std::io::Error::other("an event is longer than 16 MiB"));
        }
        if newline.is_some() && !line.is_empty() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_told_apart_and_a_torn_one_is_dropped() {
        let mut stream = futures::io::Cursor::new(b"{\"a\":1}\n\n{\"b\":2}\n{\"to".to_vec());
        let mut line = vec![];
        assert!(next_line(&mut stream, &mut line).await.unwrap());
        assert_eq!(line, b"{\"a\":1}");
        assert!(next_line(&mut stream, &mut line).await.unwrap());
        assert_eq!(line, b"{\"b\":2}");
        assert!(!next_line(&mut stream, &mut line).await.unwrap());
    }
}
