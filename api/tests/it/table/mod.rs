//! The behaviours that `docs/compatibility.md` lists, each asked of the toy kind as a client would ask it,
//! with the exact codes, reasons and words that clients look at.

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::support::*;

mod apply;
mod conformance_definitions;
mod conformance_events;
mod conformance_kinds;
mod conformance_namespaces;
mod conformance_policies;
mod conformance_status;
mod conformance_validation;
mod conformance_watch;
mod core_kinds;
mod create;
mod delete;
mod discovery;
mod list;
mod negotiation;
mod patch;
mod platform;
mod rows;
mod update;
mod watch;

pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub(super) const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
pub(super) const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// The toy kind with every feature that the rows speak of.
pub(super) fn toy_definition() -> Value {
    let mut definition = widget_definition();
    definition["spec"]["names"]["categories"] = json!(["all", "demo"]);
    let version = &mut definition["spec"]["versions"][0];
    version["additionalPrinterColumns"] = json!([
        {"name": "Color", "type": "string", "jsonPath": ".spec.color", "description": "the colour"},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
        {"name": "Note", "type": "string", "jsonPath": ".spec.note", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    let spec = &mut version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["color"]["enum"] = json!(["red", "green", "blue", "locked"]);
    spec["properties"]["port"] = json!({"x-kubernetes-int-or-string": true});
    spec["properties"]["immutable"] =
        json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]});
    spec["properties"]["atoms"] =
        json!({"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "string"}});
    spec["properties"]["params"] = json!({"type": "object", "additionalProperties": {"type": "string"}});
    spec["x-kubernetes-validations"] = json!([{"rule": "self.size <= 100", "message": "size must be <= 100",
        "reason": "FieldValueForbidden", "fieldPath": ".size"}]);
    version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"] = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {"type": "object", "required": ["type"], "properties": {
            "type": {"type": "string"}, "status": {"type": "string"}}}});
    definition
}

/// A server that serves the toy kind.
pub(super) async fn toy() -> ApiServer {
    let server = server().await;
    post(&server, DEFINITIONS, &toy_definition()).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    server
}

/// A toy object with this spec.
pub(super) fn toy_of(name: &str, spec: Value) -> Value {
    let mut object = widget(name);
    object["spec"] = spec;
    object
}

/// The path of an object of the toy kind.
pub(super) fn at(name: &str) -> String {
    format!("{WIDGETS}/{name}")
}

/// What an answer says, word for word.
pub(super) trait Says {
    /// A failure with exactly this code, reason and message. Gives its `details`.
    fn says(self, code: u16, reason: &str, message: &str) -> Value;

    /// A failure with this code and reason whose message has this in it. Gives the Status.
    fn hints(self, code: u16, reason: &str, part: &str) -> Value;
}

impl Says for Answer {
    #[track_caller]
    fn says(self, code: u16, reason: &str, message: &str) -> Value {
        let status = self.expect(code);
        assert_eq!((status["kind"].as_str(), status["status"].as_str()), (Some("Status"), Some("Failure")), "{status}");
        assert_eq!(status["message"].as_str(), Some(message));
        assert_eq!(status["reason"].as_str().unwrap_or_default(), reason, "{status}");
        assert_eq!(status["code"], code);
        status["details"].clone()
    }

    #[track_caller]
    fn hints(self, code: u16, reason: &str, part: &str) -> Value {
        let status = self.expect(code);
        assert_eq!(status["reason"].as_str().unwrap_or_default(), reason, "{status}");
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{part:?} is not in {message:?}");
        status
    }
}

/// Gets in a format of its own.
pub(super) async fn accepting(server: &ApiServer, accept: &str, path: &str) -> Answer {
    ask(server, "GET", path).header("accept", accept).send().await
}

/// The names of a list's items.
pub(super) fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().into_iter().flatten().filter_map(|item| item["metadata"]["name"].as_str()).collect()
}

/// The revision of an object or list.
pub(super) fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).expect("a revision")
}

/// The entry of a manager in an object.
pub(super) fn entry<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array().expect("has managers");
    entries.iter().find(|entry| entry["manager"] == manager).unwrap_or_else(|| panic!("{manager} is in {entries:?}"))
}
