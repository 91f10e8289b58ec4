//! The writing verbs: bounded bodies in, objects or Statuses out, with warnings in headers.

use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::convert;
use super::negotiate::Shape;
use super::respond::{self, ApiResponse};
use super::{Call, RequestBody};
use crate::protobuf;
use crate::registry::reviews::Answer;
use crate::request::{DeleteOptions, ListOptions, ResourcePath, Verb, WriteOptions};
use crate::status::ApiError;
use crate::write::decode::{BODY_BYTES_MAX, Decoded, Format, decode};
use crate::write::patch::PatchKind;
use crate::write::update::Part;
use crate::write::{Write, Written, create, delete, patch, scale, update};

impl Call<'_> {
    pub(crate) fn start(&self, verb: Verb) -> Result<Write<'_>, ApiError> {
        let kind = match verb {
            Verb::Create => "CreateOptions",
            Verb::Patch => "PatchOptions",
            _ => "UpdateOptions",
        };
        Ok(Write {
            server: self.server,
            user: self.user,
            path: self.path,
            resource: self.resource,
            options: WriteOptions::parse(&self.query, kind, self.user_agent)?,
            now: self.now,
            warnings: Vec::new(),
            trail: self.trail,
            _writing: self.resource.life.form.write(),
        })
    }

    fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("unreadable"))
    }

    /// Create, update, patch, delete and deletecollection, of the object or its status.
    pub(crate) async fn write(&self, verb: Verb, body: Bytes) -> Result<ApiResponse, ApiError> {
        let accepted = self.accepted(false)?;
        let part = match self.path.subresource.as_deref() {
            Some("status") => Part::Status,
            Some("finalize") => Part::Finalize,
            Some("approval") => Part::Approval,
            _ => Part::Main,
        };
        if verb == Verb::DeleteCollection {
            return self.delete_collection(body).await;
        }
        if verb == Verb::Delete {
            let options = self.delete_options(&body)?;
            let mut w = self.start(verb)?;
            w.options.dry_run = options.dry_run;
            w.options.delete = Some(options.clone());
            let written = delete::delete(&mut w, &options).await?;
            return self.written(written, &w.warnings, accepted);
        }
        let mut w = self.start(verb)?;
        match self.change(&mut w, verb, body, part).await {
            Ok(written) => self.written(written, &w.warnings, accepted),
            // A refusal tells the warnings, too: whoever mends the object wants to hear all of it at once.
            Err(error) => {
                let mut response = respond::error(&error);
                respond::warn(response.headers_mut(), &w.warnings);
                Ok(response)
            }
        }
    }

    async fn change(&self, w: &mut Write<'_>, verb: Verb, body: Bytes, part: Part) -> Result<Written, ApiError> {
        match verb {
            Verb::Create => {
                if self.resource.terminating {
                    let why = "create not allowed while custom resource definition is terminating";
                    return Err(ApiError::forbidden(self.resource.named(), "", why));
                }
                let decoded = self.decode_object(&body)?;
                create::create(w, decoded, None, false).await
            }
            Verb::Update => {
                let decoded = self.decode_object(&body)?;
                update::update(w, decoded, part).await
            }
            _ => {
                let kind = PatchKind::of(self.content_type(), self.resource.strategic().is_some())?;
                patch::patch(w, kind, &body, part).await
            }
        }
    }

    /// Answers a question that is not stored.
    pub(crate) async fn review(&self, answer: Answer, body: &Bytes) -> Result<ApiResponse, ApiError> {
        let accepted = self.accepted(false)?;
        if accepted.shape != Shape::Object {
            return Err(ApiError::not_acceptable(
                "only the following media types are accepted: application/json, application/yaml",
            ));
        }
        let mut w = self.start(Verb::Create)?;
        let Decoded { value: mut review, duplicates } = self.decode_object(body)?;
        w.check_kind(&mut review)?;
        w.check_namespace(&mut review)?;
        let mut problems: Vec<String> = duplicates.iter().map(|path| format!("duplicate field \"{path}\"")).collect();
        problems.extend(self.resource.structural().prune(&mut review).iter().map(ToString::to_string));
        w.report_fields(problems, |w, problems| w.strict_error(&problems))?;
        w.check_types(&review)?;
        // Clients in Go send the answer's empty form along with the question: it is ours to give, and checked by nobody.
        if let Some(fields) = review.as_object_mut() {
            fields.remove("status");
        }
        forget_nulls(&mut review);
        let errors = self.resource.structural().validate(&review, None);
        if !errors.is_empty() {
            return Err(w.invalid("", errors));
        }
        let review = answer(self, review).await?;
        let (body, content_type) = convert::encode(review.to_string().into(), accepted.media, self.pretty())?;
        let mut response = respond::with(201, content_type, body);
        respond::warn(response.headers_mut(), &w.warnings);
        Ok(response)
    }

    fn written(
        &self,
        written: Written,
        warnings: &[String],
        accepted: super::negotiate::Accepted,
    ) -> Result<ApiResponse, ApiError> {
        let mut response = if written.is_object {
            self.object_response(written.code, written.body, accepted)?
        } else {
            respond::json(written.code, written.body)
        };
        respond::warn(response.headers_mut(), warnings);
        Ok(response)
    }

    fn decode_object(&self, bytes: &[u8]) -> Result<Decoded, ApiError> {
        let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        match Format::of(self.content_type()) {
            Some(Format::Protobuf) if self.resource.built_in => {
                let value = protobuf::decode(bytes, &self.resource.group, &self.resource.kind)?;
                Ok(Decoded { value, duplicates: Vec::new() })
            }
            None | Some(Format::Protobuf) => Err(ApiError::unsupported_media(accepted)),
            Some(format) => decode(bytes, format),
        }
    }

    fn delete_options(&self, bytes: &[u8]) -> Result<DeleteOptions, ApiError> {
        if bytes.is_empty() {
            return DeleteOptions::parse(&self.query, None);
        }
        let body: Value = match Format::of(self.content_type()) {
            Some(Format::Protobuf) => protobuf::decode(bytes, "meta.k8s.io", "DeleteOptions")?,
            Some(format) => decode(bytes, format)?.value,
            None => return Err(ApiError::unsupported_media("application/json, application/yaml")),
        };
        DeleteOptions::parse(&self.query, Some(&body))
    }

    /// Deletes what the selectors pick, one after the other, and answers with the list of it.
    async fn delete_collection(&self, bytes: Bytes) -> Result<ApiResponse, ApiError> {
        let options = self.delete_options(&bytes)?;
        let list = ListOptions::parse(&self.query, false)?;
        let (filter, _) = super::selectors::filter(
            self.resource,
            self.namespace(),
            list.label_selector.as_deref(),
            list.field_selector.as_deref(),
        )?;
        self.wait_for_present().await?;
        let snapshot = self.resource.storage.cache.snapshot();
        let mut deleted = Vec::new();
        for entry in snapshot.after(filter.namespace.as_deref(), None).filter(|entry| filter.matches(entry)) {
            let path = ResourcePath {
                namespace: self.path.namespace.clone(),
                name: Some(entry.name().to_owned()),
                ..self.path.clone()
            };
            let mut w = Write { path: &path, ..self.start(Verb::Delete)? };
            w.options.dry_run = options.dry_run;
            w.options.delete = Some(options.clone());
            match delete::delete(&mut w, &options).await {
                Ok(_) => {}
                Err(error) if error.code() == 404 => continue,
                Err(error) => return Err(error),
            }
            deleted.push(entry);
        }
        let list = serde_json::json!({
            "apiVersion": self.resource.api_version(),
            "kind": self.resource.list_kind,
            "metadata": {"resourceVersion": snapshot.revision().to_string(), "continue": ""},
            "items": self.parsed(&deleted).await?,
        });
        Ok(respond::json(200, list.to_string()))
    }

    /// The scale subresource.
    pub(crate) async fn scale(&self, verb: Verb, body: Bytes) -> Result<ApiResponse, ApiError> {
        let mut w = self.start(verb)?;
        if verb == Verb::Get {
            return Ok(respond::json(200, scale::get(&w).await?));
        }
        let input = if verb == Verb::Update {
            let format = Format::of(self.content_type())
                .ok_or_else(|| ApiError::unsupported_media("application/json, application/yaml"))?;
            scale::Input::Whole(match format {
                Format::Protobuf => {
                    Decoded { value: protobuf::decode(&body, "autoscaling", "Scale")?, duplicates: Vec::new() }
                }
                format => decode(&body, format)?,
            })
        } else {
            scale::Input::Patch(PatchKind::of(self.content_type(), false)?, &body)
        };
        let written = scale::write(&mut w, input).await?;
        let mut response = respond::json(written.code, written.body);
        respond::warn(response.headers_mut(), &w.warnings);
        Ok(response)
    }
}

/// Bytes of a body that is too large that are still taken in and thrown away: most clients read an answer only once
/// they have sent everything, and see a broken connection else.
const DRAINED_BYTES_MAX: usize = 64 << 20;

/// How many bytes a body may turn out to have.
pub(super) fn bytes_max(body: &RequestBody) -> usize {
    let told = http_body::Body::size_hint(body).upper().and_then(|bytes| usize::try_from(bytes).ok());
    told.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX)
}

/// The whole body, bounded.
pub(super) async fn read(mut body: RequestBody) -> Result<Bytes, ApiError> {
    match Limited::new(&mut body, BODY_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            drain(body).await;
            Err(ApiError::too_large(BODY_BYTES_MAX))
        }
        Err(error) => Err(ApiError::bad_request(format!("the body could not be read: {error}"))),
    }
}

/// Throws away the rest of a body, up to a bound.
async fn drain(mut body: RequestBody) {
    let mut left = DRAINED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

/// Removes what is `null`: to a client in Go, such as one that has no time of creation to tell, that is nothing at all.
fn forget_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, inner| !inner.is_null());
        fields.values_mut().for_each(forget_nulls);
    }
}
