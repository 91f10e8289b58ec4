//! GET and LIST: bytes from the cache, spliced together, never parsed on the plain way.

use berth_store::cache::{Entry, Snapshot, SnapshotError};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

use super::Call;
use super::convert::{self, IncludeObject};
use super::negotiate::{Accepted, Media, Shape};
use super::respond::{self, ApiResponse};
use crate::body::Pieces;
use crate::registry::Resource;
use crate::request::{ContinueToken, ListOptions, RevisionMatch};
use crate::status::ApiError;
use crate::version::{self, Stored};
use crate::write::store_error;

/// How long a read waits for the cache to reach a revision.
const FRESHNESS_TIMEOUT: Duration = Duration::from_secs(3);

impl Call<'_> {
    /// One object.
    pub(crate) async fn get(&self) -> Result<ApiResponse, ApiError> {
        let name = self.name()?;
        let namespace = self.namespace();
        let cache = &self.resource.storage.cache;
        let accepted = self.accepted(false)?;
        let body = match self.query.filled("resourceVersion").map(crate::request::parse_revision).transpose()? {
            // Any state will do, or one that is not older than a revision.
            Some(revision) => {
                self.wait_for(revision).await?;
                cache.get(namespace.unwrap_or_default(), name).map(|entry| (entry.json(), entry.revision()))
            }
            None => {
                let key = self.resource.key(namespace, name);
                let found = self.server.store.get(&key, None).await.map_err(store_error)?;
                found.kv.map(|kv| (cache.json_of(&kv), kv.mod_revision))
            }
        };
        let (body, revision) = body.ok_or_else(|| ApiError::not_found(self.resource.named(), name))?;
        let body = version::bytes_to_request(self.server, self.resource, body, revision).await?;
        self.object_response(200, body, accepted)
    }

    /// An object, in the version of the request, in the accepted shape and format.
    pub(crate) fn object_response(&self, code: u16, body: Bytes, accepted: Accepted) -> Result<ApiResponse, ApiError> {
        let body = if accepted.shape == Shape::Object {
            body
        } else {
            let include = IncludeObject::parse(self.query.get("includeObject"))?;
            convert::object(self.resource, body, accepted, include)?
        };
        let (body, content_type) = convert::encode(body, accepted.media, self.pretty())?;
        Ok(respond::with(code, content_type, body))
    }

    /// Waits until the cache has a revision.
    pub(crate) async fn wait_for(&self, revision: u64) -> Result<(), ApiError> {
        if revision == 0 {
            return Ok(());
        }
        let waited = self.resource.storage.cache.wait_until(revision, FRESHNESS_TIMEOUT).await;
        waited.map(|_| ()).map_err(|late| ApiError::too_large_revision(late.requested, late.current))
    }

    /// Waits until the cache has every write that was acknowledged before now.
    pub(crate) async fn wait_for_present(&self) -> Result<(), ApiError> {
        let revision = self.server.store.current_revision().await.map_err(store_error)?;
        let waited = self.resource.storage.cache.wait_until(revision, FRESHNESS_TIMEOUT).await;
        waited.map(|_| ()).map_err(|_| ApiError::timeout())
    }

    /// A collection.
    pub(crate) async fn list(&self) -> Result<ApiResponse, ApiError> {
        let options = ListOptions::parse(&self.query, false)?;
        let accepted = self.accepted(false)?;
        if accepted.shape == Shape::Metadata {
            return Err(ApiError::not_acceptable(format!(
                "you requested PartialObjectMetadata, but the requested object is a list ({})",
                self.resource.list_kind
            )));
        }
        let (filter, selects) = super::selectors::filter(
            self.resource,
            self.namespace(),
            options.label_selector.as_deref(),
            options.field_selector.as_deref(),
        )?;
        if accepted.shape == Shape::Object
            && let (Some(namespace), Some(labels)) = (self.namespace(), options.label_selector.as_deref())
            && let Some(version) = (self.resource.strategy.list_of_namesake)(namespace, labels)
        {
            let revision = self.resource.storage.cache.snapshot().revision().to_string();
            let metadata = json!({"resourceVersion": revision});
            let list =
                json!({"apiVersion": version, "kind": self.resource.list_kind, "metadata": metadata, "items": []});
            let (body, content_type) = convert::encode(list.to_string().into(), accepted.media, self.pretty())?;
            return Ok(respond::with(200, content_type, body));
        }
        let (snapshot, start) = self.snapshot(&options).await?;
        // A list of "any" state comes whole, as kube-apiserver answers it from its cache.
        let limit = options.limit.filter(|_| options.revision != Some(0) || options.continue_token.is_some());
        let after = start.as_ref().map(|(ns, name)| (ns.as_str(), name.as_str()));
        let mut found = snapshot.after(filter.namespace.as_deref(), after).filter(|entry| filter.matches(entry));
        let page: Vec<&Entry> = match limit {
            Some(limit) => found.by_ref().take(limit).collect(),
            None => found.by_ref().collect(),
        };
        let mut metadata = json!({"resourceVersion": snapshot.revision().to_string(), "continue": ""});
        if limit.is_some()
            && let Some(last) = page.last()
        {
            // With selectors a count would cost a look at everything: only whether there is more.
            let (more, left) = if selects {
                (found.next().is_some(), None)
            } else {
                let left = snapshot.count_after(filter.namespace.as_deref(), last.sort_key());
                (left > 0, Some(left))
            };
            if more {
                let token = ContinueToken { revision: snapshot.revision() as i64, after: last.sort_key() };
                metadata["continue"] = token.encode().into();
                if let Some(left) = left {
                    metadata["remainingItemCount"] = left.into();
                }
                self.resource.storage.cache.keep(&snapshot);
            }
        }
        if accepted == Accepted::JSON && is_plain(self.resource, &page) && !self.pretty() {
            let body = splice_list(self.resource, &page, &metadata);
            return Ok(respond::with_body(200, "application/json", body));
        }
        let body = self.list_body(&page, metadata, accepted).await?;
        let (body, content_type) = convert::encode(body, accepted.media, self.pretty())?;
        Ok(respond::with(200, content_type, body))
    }

    /// The state that a list reads, and where it starts.
    async fn snapshot(&self, options: &ListOptions) -> Result<(Snapshot, Option<(String, String)>), ApiError> {
        let cache = &self.resource.storage.cache;
        if let Some(token) = &options.continue_token {
            let (revision, after) = ContinueToken::decode(token, self.resource.namespaced)?;
            if revision < 0 {
                self.wait_for_present().await?;
                return Ok((cache.snapshot(), Some(after)));
            }
            let snapshot = cache.snapshot_at(revision.unsigned_abs()).map_err(|error| match error {
                SnapshotError::Gone(_) => {
                    let token = ContinueToken { revision: -1, after: (&after.0, &after.1) };
                    ApiError::expired_continue(token.encode())
                }
                SnapshotError::TooNew(late) => ApiError::too_large_revision(late.requested, late.current),
            })?;
            return Ok((snapshot, Some(after)));
        }
        let exact = match (options.revision, options.revision_match) {
            (None, _) => {
                self.wait_for_present().await?;
                None
            }
            (Some(0), _) => None,
            (Some(revision), Some(RevisionMatch::Exact)) => Some(revision),
            (Some(revision), None) if options.limit.is_some() => Some(revision),
            (Some(revision), _) => {
                self.wait_for(revision).await?;
                None
            }
        };
        let Some(revision) = exact else { return Ok((cache.snapshot(), None)) };
        self.wait_for(revision).await?;
        let snapshot = cache.snapshot_at(revision).map_err(|error| match error {
            SnapshotError::Gone(_) => ApiError::expired("The resourceVersion for the provided list is too old."),
            SnapshotError::TooNew(late) => ApiError::too_large_revision(late.requested, late.current),
        })?;
        Ok((snapshot, None))
    }

    async fn list_body(&self, page: &[&Entry], metadata: Value, accepted: Accepted) -> Result<Bytes, ApiError> {
        let resource = self.resource;
        match accepted.shape {
            Shape::Object if is_plain(resource, page) => Ok(splice_list(resource, page, &metadata).collect()),
            Shape::Object => {
                let items = self.parsed(page).await?;
                let list = json!({"apiVersion": resource.api_version(), "kind": resource.list_kind, "metadata": metadata, "items": items});
                Ok(list.to_string().into())
            }
            Shape::Metadata | Shape::MetadataList => {
                let mut out = br#"{"apiVersion":"meta.k8s.io/v1","items":["#.to_vec();
                for (index, entry) in page.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    convert::write_partial(entry, &mut out);
                }
                out.extend_from_slice(
                    format!("],\"kind\":\"PartialObjectMetadataList\",\"metadata\":{metadata}}}").as_bytes(),
                );
                Ok(out.into())
            }
            Shape::Table { beta } => {
                let include = IncludeObject::parse(self.query.get("includeObject"))?;
                let objects = self.parsed(page).await?;
                let rows = objects.iter().map(|object| convert::row(resource, object, include, self.now)).collect();
                Ok(convert::table(resource, beta, metadata, rows, true).to_string().into())
            }
        }
    }

    /// The objects of a page, in the version of the request.
    pub(crate) async fn parsed(&self, page: &[&Entry]) -> Result<Vec<Value>, ApiError> {
        let stored: Result<Vec<Stored>, ApiError> = page
            .iter()
            .map(|entry| Ok(Stored { object: convert::parse(&entry.json())?, revision: entry.revision() }))
            .collect();
        version::to_request(self.server, self.resource, stored?).await
    }

    /// People with curl or a browser get indented JSON.
    pub(crate) fn pretty(&self) -> bool {
        if let Some(asked) = self.query.get("pretty") {
            return !matches!(asked, "0" | "false");
        }
        let agent = self.user_agent;
        agent.starts_with("curl/") || agent.starts_with("Wget/") || agent.starts_with("Mozilla/")
    }

    pub(crate) fn accepted(&self, watch: bool) -> Result<Accepted, ApiError> {
        let header = self.headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok());
        let accepted = super::negotiate::accepted(header, watch)?;
        debug_assert!(!watch || accepted.media == Media::Json, "a watch is JSON");
        Ok(accepted)
    }
}

/// Whether every object can be shown as it is stored.
fn is_plain(resource: &Resource, page: &[&Entry]) -> bool {
    page.iter().all(|entry| version::is_as_stored(resource, entry.revision()))
}

/// A piece of a list holds about this much: what is written is encrypted and sent before the next piece is made.
const PIECE_BYTES: usize = 64 * 1024;

/// A list out of the bytes of its items.
fn splice_list(resource: &Resource, page: &[&Entry], metadata: &Value) -> Pieces {
    let head = format!("{{\"apiVersion\":\"{}\",\"items\":[", resource.api_version());
    let tail = format!("],\"kind\":\"{}\",\"metadata\":{metadata}}}", resource.list_kind);
    let items: usize = page.iter().map(|entry| entry.json_len()).sum();
    let length = head.len() + items + page.len().saturating_sub(1) + tail.len();
    let mut entries = page.iter().copied().cloned().collect::<Vec<Entry>>().into_iter().peekable();
    let (mut head, mut tail) = (Some(head), Some(tail));
    Pieces::new(length as u64, move || {
        let mut out = Vec::with_capacity(PIECE_BYTES + entries.peek().map_or(0, Entry::json_len));
        if let Some(head) = head.take() {
            out.extend_from_slice(head.as_bytes());
        }
        while out.len() < PIECE_BYTES {
            let Some(entry) = entries.next() else {
                out.extend_from_slice(tail.take()?.as_bytes());
                break;
            };
            entry.write_json(&mut out);
            if entries.peek().is_some() {
                out.push(b',');
            }
        }
        Some(out.into())
    })
}
