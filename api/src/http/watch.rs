//! WATCH: what is there, then every change, as lines of JSON. The lines are made once and shared by all watchers.

use std::sync::Arc;
use std::time::Duration;

use berth_store::cache::{Entry, Gone, Snapshot, WatchItem, Watcher};
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Call;
use super::convert::{self, IncludeObject};
use super::negotiate::Shape;
use super::respond::ApiResponse;
use crate::body::ApiBody;
use crate::inner::Inner;
use crate::metrics::WatchGauge;
use crate::registry::Resource;
use crate::request::ListOptions;
use crate::status::ApiError;
use crate::version;

/// A chunk of the body holds about this much: large enough for few system calls, small enough for memory.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often a quiet watch is told how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A last bookmark goes out so long before the end.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// How long a watch lives when it does not say (upstream: 30 to 60 minutes).
const LIFE: Duration = Duration::from_secs(45 * 60);
/// No watch lives longer, whatever it says: credentials and schemas change. Keeps clock sums in range, too.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Call<'_> {
    /// Starts a watch: the headers go out at once, the lines as they come.
    pub(crate) async fn watch(&self) -> Result<ApiResponse, ApiError> {
        let options = ListOptions::parse(&self.query, true)?;
        let shape = self.accepted(true)?.shape;
        let include = IncludeObject::parse(self.query.get("includeObject"))?;
        let (mut filter, _) = super::selectors::filter(
            self.resource,
            self.namespace(),
            options.label_selector.as_deref(),
            options.field_selector.as_deref(),
        )?;
        if let Some(name) = &self.path.name {
            filter.name = Some(name.clone());
        }
        let cache = &self.resource.storage.cache;
        let initial = match (options.send_initial_events, options.revision) {
            (Some(true), None) | (None, None) => {
                self.wait_for_present().await?;
                true
            }
            (Some(true), Some(revision)) => {
                self.wait_for(revision).await?;
                true
            }
            (None, Some(0)) => true,
            _ => false,
        };
        let started = if initial {
            cache.snapshot_and_watch(filter.clone()).map(|(snapshot, watcher)| (Some(snapshot), watcher))
        } else {
            cache.watch(options.revision.unwrap_or(0), filter.clone()).map(|watcher| (None, watcher))
        };
        let view =
            View { server: Arc::clone(self.server), resource: Arc::clone(self.resource), shape, include, first: true };
        let body = match started {
            Err(gone) => {
                let line = error_line(&expired(gone));
                ApiBody::stream(futures::stream::iter([line]))
            }
            Ok((snapshot, watcher)) => {
                let end_marker = options.send_initial_events == Some(true) && options.allow_bookmarks;
                let life = options.timeout_seconds.map_or(LIFE, |seconds| Duration::from_secs(seconds).min(LIFE_MAX));
                let now = Instant::now();
                let state = Watching {
                    view,
                    initial: snapshot.map(|s| (initial_lines(&s, &filter), s.revision())),
                    end_marker,
                    watcher,
                    bookmarks: options.allow_bookmarks,
                    next_bookmark: first_bookmark(now, now + life),
                    end: now + life,
                    stop: self.server.stop.clone(),
                    _counted: self.server.metrics.watching(&self.resource.group, &self.resource.plural),
                };
                ApiBody::stream(futures::stream::unfold(state, |mut state| async move {
                    let chunk = state.next().await?;
                    Some((chunk, state))
                }))
            }
        };
        let mut response = ApiResponse::new(body);
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }
}

fn expired(gone: Gone) -> ApiError {
    ApiError::expired(format!("too old resource version: {} ({})", gone.requested, gone.oldest))
}

fn error_line(error: &ApiError) -> Bytes {
    let mut line = br#"{"type":"ERROR","object":"#.to_vec();
    line.extend_from_slice(&error.to_json());
    line.extend_from_slice(b"}\n");
    line.into()
}

/// How a watcher wants to see objects.
struct View {
    server: Arc<Inner>,
    resource: Arc<Resource>,
    shape: Shape,
    include: IncludeObject,
    /// A Table has its columns in the first event only.
    first: bool,
}

impl View {
    fn is_plain(&self, entry: &Entry) -> bool {
        self.shape == Shape::Object && version::is_as_stored(&self.resource, entry.revision())
    }

    /// A line for an object that is not in the shape of its bytes.
    async fn line(&mut self, kind: &str, entry: &Entry) -> Result<Bytes, ApiError> {
        if matches!(self.shape, Shape::Metadata | Shape::MetadataList) {
            let mut out = Vec::with_capacity(entry.json_len());
            out.extend_from_slice(br#"{"type":""#);
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(br#"","object":"#);
            convert::write_partial(entry, &mut out);
            out.extend_from_slice(b"}\n");
            return Ok(out.into());
        }
        let object = convert::parse(&entry.json())?;
        let object = version::object_to_request(&self.server, &self.resource, object, entry.revision()).await?;
        let shown = match self.shape {
            Shape::Object => object,
            Shape::Metadata | Shape::MetadataList => convert::partial(&object),
            Shape::Table { beta } => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let rows = vec![convert::row(&self.resource, &object, self.include, jiff::Timestamp::now())];
                convert::table(&self.resource, beta, metadata, rows, self.first)
            }
        };
        self.first = false;
        Ok(format!("{}\n", json!({"type": kind, "object": shown})).into())
    }

    fn bookmark(&mut self, revision: u64, ends_initial: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.shape {
            Shape::Object => {
                json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata})
            }
            Shape::Metadata | Shape::MetadataList => convert::partial(&json!({"metadata": metadata})),
            Shape::Table { beta } => {
                let first = std::mem::replace(&mut self.first, false);
                convert::table(&self.resource, beta, metadata, Vec::new(), first)
            }
        };
        format!("{}\n", json!({"type": "BOOKMARK", "object": object})).into()
    }
}

/// The entries that a watch begins with, as an owned iterator: a snapshot costs nothing to hold.
fn initial_lines(snapshot: &Snapshot, filter: &berth_store::cache::Filter) -> std::vec::IntoIter<Entry> {
    let entries: Vec<_> =
        snapshot.after(filter.namespace.as_deref(), None).filter(|entry| filter.matches(entry)).cloned().collect();
    entries.into_iter()
}

fn first_bookmark(now: Instant, end: Instant) -> Instant {
    let last = end.checked_sub(BOOKMARK_BEFORE_END).unwrap_or(end);
    (now + BOOKMARK_EVERY).min(last)
}

/// A running watch.
struct Watching {
    view: View,
    /// What was there at the start, and its revision.
    initial: Option<(std::vec::IntoIter<Entry>, u64)>,
    end_marker: bool,
    watcher: Watcher,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    stop: CancellationToken,
    _counted: WatchGauge,
}

impl Watching {
    /// The next chunk; `None` ends the body cleanly.
    async fn next(&mut self) -> Option<Bytes> {
        match self.next_initial().await {
            Ok(Some(chunk)) => return Some(chunk),
            Ok(None) => {}
            Err(error) => return Some(self.last(&error)),
        }
        loop {
            let (stop, replaced) = (self.stop.clone(), self.view.resource.life.form.replaced());
            let timer = if self.bookmarks { self.next_bookmark } else { self.end };
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                // The definition has changed: clients come back and see objects by the new one.
                () = replaced.cancelled() => return None,
                batch = self.watcher.next_batch() => return Some(match batch {
                    Ok(items) => match self.lines(&items).await {
                        Ok(lines) => lines,
                        Err(error) => self.last(&error),
                    },
                    Err(gone) => self.last(&expired(gone)),
                }),
                () = tokio::time::sleep_until(timer.min(self.end)) => {
                    let now = Instant::now();
                    if now >= self.end {
                        return None;
                    }
                    if self.bookmarks && now >= self.next_bookmark {
                        // `None` means that events are waiting: they go first, the bookmark after them.
                        let Ok(position) = self.watcher.bookmark() else { continue };
                        let Some(revision) = position else { continue };
                        self.next_bookmark = first_bookmark(now, self.end).max(now + Duration::from_millis(100));
                        if now + BOOKMARK_BEFORE_END >= self.end {
                            self.next_bookmark = self.end;
                        }
                        return Some(self.view.bookmark(revision, false));
                    }
                }
            }
        }
    }

    /// An error as the last line: the next poll finds the stop flag set.
    fn last(&mut self, error: &ApiError) -> Bytes {
        self.initial = None;
        self.stop = CancellationToken::new();
        self.stop.cancel();
        error_line(error)
    }

    /// A chunk of what was there at the start, with the mark of its end.
    async fn next_initial(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some((entries, revision)) = self.initial.as_mut() else { return Ok(None) };
        let revision = *revision;
        let mut out = Vec::new();
        while out.len() < CHUNK_BYTES {
            let Some(entry) = entries.next() else {
                self.initial = None;
                if self.end_marker {
                    out.extend_from_slice(&self.view.bookmark(revision, true));
                }
                return Ok(Some(out).filter(|o| !o.is_empty()).map(Bytes::from));
            };
            if self.view.is_plain(&entry) {
                out.extend_from_slice(br#"{"type":"ADDED","object":"#);
                entry.write_json(&mut out);
                out.extend_from_slice(b"}\n");
            } else {
                out.extend_from_slice(&self.view.line("ADDED", &entry).await?);
            }
        }
        Ok(Some(out.into()))
    }

    async fn lines(&mut self, items: &[WatchItem]) -> Result<Bytes, ApiError> {
        if let [item] = items
            && self.view.is_plain(item.entry())
        {
            return Ok(item.line());
        }
        let mut out = Vec::new();
        for item in items {
            if self.view.is_plain(item.entry()) {
                out.extend_from_slice(&item.line());
            } else {
                out.extend_from_slice(&self.view.line(item.kind.as_str(), item.entry()).await?);
            }
        }
        Ok(out.into())
    }
}
