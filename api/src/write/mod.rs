//! The one write path: decode, change, default, prune, validate, book the fields, and commit guarded by revision.
//!
//! Every write reads the stored object, computes the new one by pure functions, and commits only if the stored
//! one is still what was read; otherwise it computes again on what is there now.

pub(crate) mod create;
pub(crate) mod decode;
pub(crate) mod delete;
pub(crate) mod encode;
pub(crate) mod meta;
mod misfit;
pub(crate) mod patch;
pub(crate) mod scale;
pub(crate) mod settled;
pub(crate) mod turns;
pub(crate) mod update;

use std::sync::Arc;

use berth_schema::{FieldError, UnknownField};
use berth_store::{Kv, Op, OpResponse, Revision, StoreError, Txn};
use bytes::Bytes;
use serde_json::Value;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::audit::Trail;
use crate::authn::UserInfo;
use crate::inner::Inner;
use crate::registry::{Resource, crd};
use crate::request::{FieldValidation, ResourcePath, WriteOptions};
use crate::status::{ApiError, Cause};
use crate::version;
use encode::Encoded;

/// How often a write is computed anew when others write the same object at the same time.
const ATTEMPTS_MAX: usize = 64;
/// A write that lost so often waits for its turn: a hundred writers of one object would else spend their time on
/// computing what the next one's commit makes worthless.
const ATTEMPTS_ALONE: usize = 2;

/// 413 of an object that its schema's defaults make too large.
const DEFAULTS_TOO_LARGE: &str =
    "the defaults of the schema make the object larger than any may be: give fewer items, or the fields themselves";

/// One write, on its way.
pub(crate) struct Write<'a> {
    pub server: &'a Inner,
    pub user: &'a UserInfo,
    pub path: &'a ResourcePath,
    pub resource: &'a Arc<Resource>,
    pub options: WriteOptions,
    pub now: jiff::Timestamp,
    /// For `Warning` headers.
    pub warnings: Vec<String>,
    pub trail: &'a Trail,
    /// Until this write has ended, objects may still come in this form of the definition.
    pub _writing: TaskTrackerToken,
}

/// The answer of a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub code: u16,
    /// The object, or a Status.
    pub body: Bytes,
    /// The body is an object of the resource, which may be asked for as a Table and the like.
    pub is_object: bool,
    /// Nothing was written: the object stays at this revision.
    pub kept: Option<Revision>,
}

/// The stored object that a write starts from.
pub(crate) struct Current {
    /// Without resourceVersion, in the version of the request.
    pub object: Value,
    pub revision: Revision,
}

/// What a write decides to do.
pub(crate) enum Step {
    /// Nothing would change.
    Keep,
    Put(Value),
    /// The object goes; this is its last state, for the answer.
    Remove(Value),
    /// What the client wants: to be completed, admitted and checked.
    Complete(Wanted),
}

/// An object as a client wants it to be.
pub(crate) struct Wanted {
    pub object: Value,
    pub part: update::Part,
    pub booking: update::Booking,
}

impl Write<'_> {
    /// The name in the URL.
    pub(crate) fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.path.namespace.as_deref().filter(|_| self.resource.namespaced)
    }

    /// Reads the stored object.
    pub(crate) async fn read(&self, name: &str) -> Result<Option<Current>, ApiError> {
        let key = self.resource.key(self.namespace(), name);
        let found = self.server.store.get(&key, None).await.map_err(store_error)?;
        match found.kv {
            Some(kv) => self.current(&kv).await.map(Some),
            None => Ok(None),
        }
    }

    async fn current(&self, kv: &Kv) -> Result<Current, ApiError> {
        let object: Value = serde_json::from_slice(&kv.value).map_err(|error| {
            tracing::error!(key = %kv.key, %error, "a stored object cannot be read");
            ApiError::internal("a stored object cannot be read")
        })?;
        let revision = kv.mod_revision;
        let mut object = version::object_to_request(self.server, self.resource, object, revision).await?;
        crd::drop_lost_owners(self.resource, &mut object);
        Ok(Current { object, revision })
    }

    /// Reads, computes and commits until nobody came between.
    pub(crate) async fn change(
        &mut self,
        mut current: Current,
        mut compute: impl FnMut(&mut Self, &Current) -> Result<Step, ApiError>,
    ) -> Result<Written, ApiError> {
        let name = self.name().to_owned();
        let key: Arc<str> = self.resource.key(self.namespace(), &name).into();
        let warnings = self.warnings.len();
        let server = self.server;
        let mut turn = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt >= ATTEMPTS_ALONE && turn.is_none() {
                turn = Some(server.turns.wait(&key).await);
                current = self.read(&name).await?.ok_or_else(|| ApiError::not_found(self.resource.named(), &name))?;
            }
            self.warnings.truncate(warnings);
            let step = match compute(self, &current)? {
                Step::Complete(wanted) => Box::pin(update::complete(self, &current, wanted)).await?,
                step => step,
            };
            let (txn, new) = match step {
                Step::Complete(_) => return Err(ApiError::internal("a write was completed twice")),
                Step::Keep => {
                    let kept = Some(current.revision);
                    let answer = self.answer(200, &Encoded::new(&current.object), current.revision);
                    return Ok(Written { kept, ..answer });
                }
                Step::Put(object) => {
                    let (shown, stored) = self.encode(object).await?;
                    (self.put(&key, stored, current.revision).await?, shown)
                }
                Step::Remove(object) => (Txn::delete(Arc::clone(&key), current.revision), Encoded::new(&object)),
            };
            if self.options.dry_run {
                return Ok(self.answer(200, &new, current.revision));
            }
            let done = self.server.store.txn(txn).await.map_err(store_error)?;
            if done.succeeded {
                return Ok(self.answer(200, &new, done.revision));
            }
            current = match done.responses.first().and_then(OpResponse::kv) {
                Some(kv) => self.current(kv).await?,
                None => return Err(ApiError::not_found(self.resource.named(), &name)),
            };
        }
        Err(ApiError::stale(self.resource.named(), &name))
    }

    /// The guarded write of an object; `expected` 0 means that it must not be there yet.
    pub(crate) async fn put(&self, key: &Arc<str>, stored: Bytes, expected: Revision) -> Result<Txn, ApiError> {
        let mut txn = Txn::update(Arc::clone(key), stored.clone(), expected);
        if let Some(ttl) = self.resource.rules.ttl {
            let lease = self.server.leases.lease_for(ttl).await.map_err(store_error)?;
            txn.success = vec![Op::put_with_lease(Arc::clone(key), stored, lease)];
        }
        Ok(txn)
    }

    /// Serialises: as the client sees it, and as it is stored.
    pub(crate) async fn encode(&self, object: Value) -> Result<(Encoded, Bytes), ApiError> {
        let shown = Encoded::new(&object);
        if self.resource.is_stored_version() {
            let stored = shown.stored();
            return Ok((shown, stored));
        }
        let stored = version::to_stored(self.server, self.resource, object).await?;
        Ok((shown, Encoded::new(&stored).stored()))
    }

    /// The answer with the object as it now is.
    pub(crate) fn answer(&self, code: u16, encoded: &Encoded, revision: Revision) -> Written {
        let body = if revision == 0 { encoded.stored() } else { encoded.with_revision(revision) };
        Written { code, body, is_object: true, kept: None }
    }

    /// Turns field problems (unknown and duplicate fields) into warnings, or into `error` when asked to be strict.
    pub(crate) fn report_fields(
        &mut self,
        problems: Vec<String>,
        error: impl FnOnce(&Self, String) -> ApiError,
    ) -> Result<(), ApiError> {
        if problems.is_empty() {
            return Ok(());
        }
        match self.options.field_validation {
            FieldValidation::Ignore => Ok(()),
            FieldValidation::Warn => {
                self.warnings.extend(problems);
                Ok(())
            }
            FieldValidation::Strict => Err(error(self, problems.join(", "))),
        }
    }

    /// What is odd about the fields of a body, in the order in which Kubernetes tells it: decoders of custom resources
    /// find twins first, those of standard kinds find both at once.
    pub(crate) fn field_problems(&self, duplicates: &[String], mut unknown: Vec<UnknownField>) -> Vec<String> {
        unknown.sort_by(|a, b| a.path.cmp(&b.path));
        let mut twins: Vec<String> = duplicates.iter().map(|path| format!("duplicate field \"{path}\"")).collect();
        let mut strangers: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        if self.resource.built_in {
            strangers.append(&mut twins);
            return strangers;
        }
        twins.append(&mut strangers);
        twins
    }

    /// 400 of a body with fields that are not known.
    pub(crate) fn strict_error(&self, problems: &str) -> ApiError {
        let (kind, version) = (&self.resource.kind, &self.resource.version);
        ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {problems}"
        ))
    }

    /// 400 of a body of a standard kind that does not fit the kind's types.
    pub(crate) fn check_types(&self, object: &Value) -> Result<(), ApiError> {
        if !self.resource.built_in {
            return Ok(());
        }
        let (kind, version) = (&self.resource.kind, &self.resource.version);
        crate::protobuf::check_json(&self.resource.group, kind, object).map_err(|why| {
            ApiError::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
        })
    }

    /// 422 with every problem.
    pub(crate) fn invalid(&self, name: &str, errors: Vec<FieldError>) -> ApiError {
        ApiError::invalid(&self.resource.group, &self.resource.kind, name, causes(errors))
    }

    /// Checks (and where allowed fills in) apiVersion and kind of a body.
    pub(crate) fn check_kind(&self, object: &mut Value) -> Result<(), ApiError> {
        let resource = self.resource;
        let kind = &resource.kind;
        let Some(root) = object.as_object_mut() else {
            return Err(ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): the body is not a JSON object"
            )));
        };
        let expected = resource.api_version();
        let text = |root: &serde_json::Map<String, Value>, field: &str| match root.get(field) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(ApiError::bad_request(format!("{field} must be a string"))),
        };
        let (given_version, given_kind) = (text(root, "apiVersion")?, text(root, "kind")?);
        for (field, given) in [("apiVersion", &given_version), ("kind", &given_kind)] {
            if given.is_empty() && !resource.rules.kind_optional {
                let what = if field == "kind" { "Kind" } else { field };
                return Err(ApiError::bad_request(format!(
                    "the object provided is unrecognized (must be of type {kind}): Object '{what}' is missing"
                )));
            }
        }
        if !given_version.is_empty() && given_version != expected {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({given_version}) does not match the expected API version ({expected})"
            )));
        }
        if !given_kind.is_empty() && given_kind != *kind {
            let error = FieldError::invalid("kind", &given_kind.into(), &format!("must be {kind}"));
            return Err(self.invalid(meta::text(object, "name"), vec![error]));
        }
        root.insert("apiVersion".into(), expected.into());
        root.insert("kind".into(), kind.clone().into());
        match root.get("metadata") {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return Err(ApiError::bad_request("metadata must be an object")),
        }
        meta::of(object);
        self.check_metadata_types(object)
    }

    /// The metadata's types are fixed; a wrong one is a decoding error, as with Kubernetes' typed metadata.
    fn check_metadata_types(&self, object: &Value) -> Result<(), ApiError> {
        let wrong = |field: &str, want: &str| {
            Err(ApiError::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: metadata.{field} must be {want}",
                self.resource.kind, self.resource.version, self.resource.kind
            )))
        };
        for (field, value) in object["metadata"].as_object().into_iter().flatten() {
            if value.is_null() {
                continue;
            }
            match field.as_str() {
                "name" | "namespace" | "generateName" | "uid" | "resourceVersion" | "selfLink"
                    if !value.is_string() =>
                {
                    return wrong(field, "a string");
                }
                "labels" | "annotations"
                    if value.as_object().is_none_or(|m| m.values().any(|v| !v.is_string() && !v.is_null())) =>
                {
                    return wrong(field, "a map of strings");
                }
                "finalizers" if value.as_array().is_none_or(|a| a.iter().any(|v| !v.is_string())) => {
                    return wrong(field, "a list of strings");
                }
                "ownerReferences" | "managedFields"
                    if value.as_array().is_none_or(|a| a.iter().any(|v| !v.is_object())) =>
                {
                    return wrong(field, "a list of objects");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks (and fills in) the namespace of a body against the URL's.
    pub(crate) fn check_namespace(&self, object: &mut Value) -> Result<(), ApiError> {
        let meta = meta::of(object);
        let given = meta.get("namespace").and_then(Value::as_str).unwrap_or_default();
        match self.namespace() {
            None => {
                meta.remove("namespace");
            }
            Some(ns) if given.is_empty() || given == ns => {
                meta.insert("namespace".into(), ns.into());
            }
            Some(_) => {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
        Ok(())
    }
}

/// Field errors as causes.
pub(crate) fn causes(errors: Vec<FieldError>) -> Vec<Cause> {
    errors
        .into_iter()
        .map(|error| Cause { reason: error.reason.as_str().into(), message: error.detail, field: error.field })
        .collect()
}

/// What a store's failure means to a client.
pub(crate) fn store_error(error: StoreError) -> ApiError {
    match error {
        StoreError::Compacted { requested, compact_revision } => {
            ApiError::expired(format!("too old resource version: {requested} ({compact_revision})"))
        }
        StoreError::FutureRevision { requested, current } => ApiError::too_large_revision(requested, current),
        StoreError::TooLarge { what, got, max } => {
            ApiError::too_large_because(format!("{what} is {got}, at most {max} are allowed"))
        }
        StoreError::NoSpace { .. } => {
            tracing::error!(%error, "a write was refused");
            ApiError::unavailable(
                "the disk of the server's data directory is full: nothing was written; free some space there and try again. Reads \
                 go on",
            )
        }
        StoreError::Closed => ApiError::unavailable("the server is stopping"),
        other => {
            tracing::error!(error = %other, "the store failed");
            ApiError::internal("the store failed; the write may or may not have happened")
        }
    }
}
