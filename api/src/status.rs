//! Errors as clients see them: `metav1.Status` bodies with the reasons, messages and causes that
//! kubectl, client-go and kube-rs key on.

use std::borrow::Cow;

use serde::Serialize;

/// One problem of a request, at one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// A CauseType such as `FieldValueInvalid`; empty when there is none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
    /// What is wrong and what is allowed.
    pub message: String,
    /// Path of the field, such as `spec.ports[0].name`; empty when there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// What an error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The plural resource for storage errors, the kind for invalid objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// A failed request. Small, because it travels in every `Result`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ApiError(Box<Body>);

#[derive(Clone, Debug)]
struct Body {
    code: u16,
    reason: Cow<'static, str>,
    message: String,
    details: Option<Details>,
    continue_token: Option<String>,
    /// Not a Status but the text that a Go mux answers with.
    plain: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireMeta<'a> {
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    continue_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: WireMeta<'a>,
    status: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    code: u16,
}

/// An error never grows with the bad input: a body of 3 MiB can be wrong in 60,000 places, or in one of 3 MiB.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// The same for the message of one cause, a field's path, and a name.
const CAUSE_BYTES_MAX: usize = 2 << 10;
const CAUSES_MAX: usize = 100;

/// The text, cut to so many bytes.
fn clip(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

/// As many causes as anybody reads, and a last one that counts the rest.
fn bounded(mut causes: Vec<Cause>) -> Vec<Cause> {
    let more = causes.len().saturating_sub(CAUSES_MAX);
    causes.truncate(CAUSES_MAX);
    for cause in &mut causes {
        cause.message = clip(std::mem::take(&mut cause.message), CAUSE_BYTES_MAX);
        cause.field = clip(std::mem::take(&mut cause.field), CAUSE_BYTES_MAX);
    }
    if more > 0 {
        let message = format!("{more} more errors are not shown");
        causes.push(Cause { reason: "FieldValueInvalid".into(), message, field: String::new() });
    }
    causes
}

/// A resource as errors name it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub group: &'a str,
    pub plural: &'a str,
}

impl Named<'_> {
    /// `widgets.demo.example.com`, or `secrets` for the core group.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    fn details(&self, name: &str) -> Details {
        Details {
            name: name.to_owned(),
            group: self.group.to_owned(),
            kind: self.plural.to_owned(),
            ..Details::default()
        }
    }
}

impl ApiError {
    fn new(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Body {
            code,
            reason: reason.into(),
            message: clip(message.into(), MESSAGE_BYTES_MAX),
            details: None,
            continue_token: None,
            plain: false,
        }))
    }

    fn with_details(mut self, mut details: Details) -> Self {
        details.name = clip(details.name, CAUSE_BYTES_MAX);
        self.0.details = Some(details);
        self
    }

    /// The route does not exist: what Go's mux says.
    pub fn page_not_found() -> Self {
        let mut error = Self::new(404, "NotFound", "404 page not found");
        error.0.plain = true;
        error
    }

    /// A resource that a served group does not have.
    pub fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(Details::default())
    }

    pub fn not_found(resource: Named<'_>, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified()))
            .with_details(resource.details(name))
    }

    pub fn already_exists(resource: Named<'_>, name: &str, terminating: bool) -> Self {
        let prefix = if terminating { "object is being deleted: " } else { "" };
        Self::new(409, "AlreadyExists", format!("{prefix}{} \"{name}\" already exists", resource.qualified()))
            .with_details(resource.details(name))
    }

    /// The write was based on an older state than the stored one.
    pub fn stale(resource: Named<'_>, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub fn conflict(resource: Named<'_>, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).with_details(resource.details(name))
    }

    /// Server-side apply met fields that others own.
    pub fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self::new(409, "Conflict", message).with_details(Details { causes: bounded(causes), ..Details::default() })
    }

    /// A 409 without an object, such as a uid that no object has.
    pub fn plain_conflict(message: String) -> Self {
        Self::new(409, "Conflict", message)
    }

    /// The object breaks rules; every cause at once.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let name = clip(name.to_owned(), CAUSE_BYTES_MAX);
        let causes = bounded(causes);
        let lines: Vec<String> = causes
            .iter()
            .map(|c| if c.field.is_empty() { c.message.clone() } else { format!("{}: {}", c.field, c.message) })
            .collect();
        let text = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        Self::new(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {text}")).with_details(Details {
            name,
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes,
            ..Details::default()
        })
    }

    /// An option of the request (`dryRun`, `fieldManager`, …) has a value that is not allowed.
    pub fn invalid_option(options: &str, field: &str, reason: &'static str, message: String) -> Self {
        Self::invalid("meta.k8s.io", options, "", vec![Cause { reason: reason.into(), message, field: field.into() }])
    }

    /// A JSON patch that cannot be applied: Kubernetes says no more than this, we append why.
    pub fn unprocessable(why: &str) -> Self {
        Self::new(422, "Invalid", format!("the server rejected our request due to an error in our request: {why}"))
            .with_details(Details::default())
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(resource: Named<'_>, name: &str, why: &str) -> Self {
        let subject = if name.is_empty() {
            format!("{} is forbidden", resource.qualified())
        } else {
            format!("{} \"{name}\" is forbidden", resource.qualified())
        };
        Self::new(403, "Forbidden", format!("{subject}: {why}")).with_details(resource.details(name))
    }

    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\""))
            .with_details(Details::default())
    }

    /// What a rule of the cluster (a webhook, a policy) says: with a code and a reason of its own.
    pub fn refused(code: u16, reason: impl Into<String>, message: impl Into<String>, details: Option<Details>) -> Self {
        let error = Self::new(code, Cow::Owned(clip(reason.into(), CAUSE_BYTES_MAX)), message);
        match details {
            None => error,
            Some(details) => {
                let causes = bounded(details.causes);
                error.with_details(Details { causes, ..details })
            }
        }
    }

    /// The same refusal with another code and reason, its text also told as a cause.
    #[must_use]
    pub fn with_reason(mut self, code: u16, reason: impl Into<String>) -> Self {
        self.0.code = code;
        self.0.reason = Cow::Owned(reason.into());
        self
    }

    /// Adds a cause without a field.
    #[must_use]
    pub fn with_cause(mut self, message: impl Into<String>) -> Self {
        let message = clip(message.into(), CAUSE_BYTES_MAX);
        let details = self.0.details.get_or_insert_default();
        if details.causes.len() < CAUSES_MAX {
            details.causes.push(Cause { reason: Cow::Borrowed(""), message, field: String::new() });
        }
        self
    }

    /// A create in a namespace that is going away.
    pub fn namespace_terminating(resource: Named<'_>, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut error = Self::forbidden(resource, name, &why);
        if let Some(details) = &mut error.0.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".into(),
            });
        }
        error
    }

    pub fn method_not_allowed(verb: &str, resource: Named<'_>) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{}\"", resource.qualified());
        Self::new(405, "MethodNotAllowed", message).with_details(resource.details(""))
    }

    pub fn method_not_allowed_here() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_details(Details::default())
    }

    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    pub fn unsupported_media(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
        )
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    pub fn too_large_because(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 410: the revision asked for is gone from memory; list again.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410 of a paged list, with a token that goes on at the present state.
    pub fn expired_continue(token: String) -> Self {
        let mut error = Self::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
             that were created, modified, or deleted between the time the first chunk was returned and now may show \
             up in the list.",
        );
        error.0.continue_token = Some(token);
        error
    }

    /// The revision asked for lies in the future.
    pub fn too_large_revision(asked: u64, current: u64) -> Self {
        Self::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"))
            .with_details(Details {
                causes: vec![Cause {
                    reason: "ResourceVersionTooLarge".into(),
                    message: "Too large resource version".into(),
                    field: String::new(),
                }],
                retry_after_seconds: Some(1),
                ..Details::default()
            })
    }

    pub fn timeout() -> Self {
        Self::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
    }

    pub fn too_many_requests() -> Self {
        Self::too_many_requests_for(1)
    }

    /// The client should come again after so many seconds.
    pub fn too_many_requests_for(seconds: u32) -> Self {
        Self::new(429, "TooManyRequests", "Too many requests, please try again later.")
            .with_details(Details { retry_after_seconds: Some(seconds), ..Details::default() })
    }

    /// Something of ours failed. The message goes to the client: no paths, no addresses in it.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}")).with_details(Details::default())
    }

    /// Nothing was changed; try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
            .with_details(Details { retry_after_seconds: Some(1), ..Details::default() })
    }

    pub fn code(&self) -> u16 {
        self.0.code
    }

    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn details(&self) -> Option<&Details> {
        self.0.details.as_ref()
    }

    pub fn retry_after(&self) -> Option<u32> {
        self.0.details.as_ref().and_then(|d| d.retry_after_seconds)
    }

    pub fn is_plain(&self) -> bool {
        self.0.plain
    }

    /// The body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let body = &self.0;
        serde_json::to_vec(&Wire {
            kind: "Status",
            api_version: "v1",
            metadata: WireMeta { continue_token: body.continue_token.as_deref() },
            status: "Failure",
            message: &body.message,
            reason: &body.reason,
            details: body.details.as_ref(),
            code: body.code,
        })
        .expect("plain data serialises")
    }
}

/// The body of a DELETE that removed its object.
pub fn deleted(resource: Named<'_>, name: &str, uid: &str) -> Vec<u8> {
    let mut details = resource.details(name);
    uid.clone_into(&mut details.uid);
    serde_json::to_vec(&serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    }))
    .expect("plain data serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDGETS: Named<'static> = Named { group: "demo.example.com", plural: "widgets" };

    #[test]
    fn not_found_reads_as_kubernetes_writes_it() {
        let text = String::from_utf8(ApiError::not_found(WIDGETS, "zzz").to_json()).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"widgets.demo.example.com \"zzz\" not found","reason":"NotFound","details":{"name":"zzz","group":"demo.example.com","kind":"widgets"},"code":404}"#
        );
    }

    #[test]
    fn one_cause_stands_bare_and_several_in_brackets() {
        let cause = |field: &str| Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value".into(),
            field: field.into(),
        };
        assert_eq!(
            ApiError::invalid("g.io", "Widget", "w", vec![cause("a")]).message(),
            "Widget.g.io \"w\" is invalid: a: Required value"
        );
        assert_eq!(
            ApiError::invalid("", "Secret", "w", vec![cause("a"), cause("b")]).message(),
            "Secret \"w\" is invalid: [a: Required value, b: Required value]"
        );
    }

    #[test]
    fn a_future_revision_carries_the_cause_that_client_go_looks_for() {
        let error = ApiError::too_large_revision(99, 7);
        assert_eq!((error.code(), error.retry_after()), (504, Some(1)));
        assert_eq!(error.details().unwrap().causes[0].reason, "ResourceVersionTooLarge");
    }
}
