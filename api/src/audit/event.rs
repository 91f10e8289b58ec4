//! An audit event as one line of JSON: `audit.k8s.io/v1`, fields in the order in which Kubernetes writes them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{Level, Stage};
use crate::authn::UserInfo;

/// Objects of an event that are larger together are left out, and the event says so.
const OBJECTS_BYTES_MAX: usize = 4 << 20;
/// Says so.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// What stays the same in all events of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts<'a> {
    #[serde(rename = "requestURI")]
    pub request_uri: &'a str,
    pub verb: &'a str,
    pub user: Who<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated_user: Option<Who<'a>>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "<[String]>::is_empty")]
    pub source_ips: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user_agent: &'a str,
}

/// A user.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Who<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<&'a BTreeMap<String, Vec<String>>>,
}

impl<'a> From<&'a UserInfo> for Who<'a> {
    fn from(user: &'a UserInfo) -> Self {
        let extra = Some(&user.extra).filter(|extra| !extra.is_empty());
        Self { username: &user.name, uid: &user.uid, groups: &user.groups, extra }
    }
}

impl Facts<'_> {
    /// The fields without the braces around them.
    pub(crate) fn fields(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("plain data serialises");
        text.pop();
        text.remove(0);
        text
    }
}

/// The object that a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectReference {
    pub resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct ResponseStatus {
    #[serde(skip_deserializing)]
    metadata: Empty,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    #[serde(default)]
    code: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Empty {}

impl ResponseStatus {
    pub(crate) fn code(code: u16) -> Self {
        Self { code, ..Self::default() }
    }

    /// A failure that has no body of its own.
    pub(crate) fn failed(code: u16, reason: &str, message: &str) -> Self {
        let (status, reason, message) = ("Failure".to_owned(), reason.to_owned(), message.to_owned());
        Self { status, message, reason, code, ..Self::default() }
    }

    /// A refusal, from the body of its answer. `tells` says whether what may quote the object belongs into an event:
    /// not when the object holds secrets.
    pub(crate) fn refused(code: u16, body: &[u8], tells: bool) -> Self {
        let Ok(status) = serde_json::from_slice::<Self>(body) else {
            return Self::failed(code, "", String::from_utf8_lossy(body).trim());
        };
        let status = Self { code, ..status };
        if tells { status } else { Self { message: String::new(), details: None, ..status } }
    }
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub level: Level,
    pub id: &'a str,
    pub stage: Stage,
    /// Of [`Facts::fields`].
    pub facts: &'a [u8],
    pub object: Option<&'a ObjectReference>,
    pub response: Option<&'a ResponseStatus>,
    /// JSON on one line.
    pub request_object: Option<&'a str>,
    /// JSON on one line.
    pub response_object: Option<&'a str>,
    pub received: Timestamp,
    pub at: Timestamp,
    pub annotations: &'a BTreeMap<String, String>,
}

impl Event<'_> {
    /// The event as a line, with its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        let objects = [("requestObject", self.request_object), ("responseObject", self.response_object)];
        let objects_bytes: usize = objects.iter().filter_map(|(_, object)| *object).map(str::len).sum();
        let is_truncated = objects_bytes > OBJECTS_BYTES_MAX;
        let mut out = Line(Vec::with_capacity(640 + self.facts.len() + objects_bytes.min(OBJECTS_BYTES_MAX)));
        out.0.extend_from_slice(br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1""#);
        out.field("level", &self.level.as_str());
        out.field("auditID", &self.id);
        out.field("stage", &self.stage.as_str());
        out.0.push(b',');
        out.0.extend_from_slice(self.facts);
        if let Some(object) = self.object {
            out.field("objectRef", object);
        }
        if let Some(response) = self.response {
            out.field("responseStatus", response);
        }
        for (name, object) in objects {
            if let Some(object) = object.filter(|_| !is_truncated) {
                out.name(name);
                out.0.extend_from_slice(object.as_bytes());
            }
        }
        out.time("requestReceivedTimestamp", self.received);
        out.time("stageTimestamp", self.at);
        if is_truncated {
            let mut annotations = self.annotations.clone();
            annotations.insert(TRUNCATED.to_owned(), "true".to_owned());
            out.field("annotations", &annotations);
        } else if !self.annotations.is_empty() {
            out.field("annotations", self.annotations);
        }
        out.0.extend_from_slice(b"}\n");
        out.0
    }
}

/// A line that grows.
struct Line(Vec<u8>);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn field(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        serde_json::to_writer(&mut self.0, value).expect("plain data serialises into memory");
    }

    /// Microseconds, always six digits of them.
    fn time(&mut self, name: &str, time: Timestamp) {
        use std::io::Write as _;
        self.name(name);
        let _ = write!(self.0, "\"{time:.6}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Vec<u8> {
        let user = UserInfo { uid: "u1".into(), ..UserInfo::new("ann", &["dev"]) };
        let facts = Facts {
            request_uri: "/api/v1/namespaces/a/secrets?x=\"y\"",
            verb: "create",
            user: (&user).into(),
            impersonated_user: None,
            source_ips: &["10.0.0.1".to_owned()],
            user_agent: "kubectl/v1.35",
        };
        facts.fields()
    }

    fn event<'a>(facts: &'a [u8], annotations: &'a BTreeMap<String, String>) -> Event<'a> {
        let at = |text: &str| text.parse().unwrap();
        Event {
            level: Level::Metadata,
            id: "5d2c",
            stage: Stage::ResponseComplete,
            facts,
            object: None,
            response: None,
            request_object: None,
            response_object: None,
            received: at("2026-11-22T18:13:50.448906Z"),
            at: at("2026-11-22T18:13:50.5Z"),
            annotations,
        }
    }

    #[test]
    fn an_event_reads_as_kubernetes_writes_it() {
        let facts = facts();
        let annotations = BTreeMap::from([("authorization.k8s.io/decision".to_owned(), "allow".to_owned())]);
        let object = ObjectReference {
            resource: "secrets".into(),
            namespace: "a".into(),
            name: "s".into(),
            api_version: "v1".into(),
            ..ObjectReference::default()
        };
        let status = ResponseStatus::code(201);
        let event = Event { object: Some(&object), response: Some(&status), ..event(&facts, &annotations) };
        assert_eq!(
            String::from_utf8(event.line()).unwrap(),
            concat!(
                r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"5d2c","stage":"ResponseComplete","#,
                r#""requestURI":"/api/v1/namespaces/a/secrets?x=\"y\"","verb":"create","#,
                r#""user":{"username":"ann","uid":"u1","groups":["dev","system:authenticated"]},"sourceIPs":["10.0.0.1"],"#,
                r#""userAgent":"kubectl/v1.35","objectRef":{"resource":"secrets","namespace":"a","name":"s","apiVersion":"v1"},"#,
                r#""responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2026-11-22T18:13:50.448906Z","#,
                r#""stageTimestamp":"2026-11-22T18:13:50.500000Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn objects_that_are_too_large_are_left_out_and_the_event_says_so() {
        let (facts, annotations) = (facts(), BTreeMap::new());
        let large = format!("\"{}\"", "x".repeat(OBJECTS_BYTES_MAX));
        let line = Event { request_object: Some(&large), ..event(&facts, &annotations) }.line();
        let read: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["annotations"][TRUNCATED], "true");
        assert!(read.get("requestObject").is_none());
    }

    #[test]
    fn a_refusal_of_a_secret_quotes_nothing() {
        let body = br#"{"kind":"Status","metadata":{},"status":"Failure","message":"\"hunter2\" is bad","reason":"Invalid","code":422}"#;
        let untold = serde_json::to_string(&ResponseStatus::refused(422, body, false)).unwrap();
        assert_eq!(untold, r#"{"metadata":{},"status":"Failure","reason":"Invalid","code":422}"#);
        let told = serde_json::to_value(ResponseStatus::refused(422, body, true)).unwrap();
        assert_eq!(told["message"], "\"hunter2\" is bad");
        assert_eq!(ResponseStatus::refused(404, b"404 page not found\n", true).message, "404 page not found");
    }
}
