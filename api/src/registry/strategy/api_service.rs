//! Services of other servers: which group and version they serve.

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::checks::{bad_label_1035, bad_subdomain, fill, members, text};

/// The largest priority of a group, and of a version in it.
const GROUP_PRIORITY_MAX: i64 = 20_000;
const VERSION_PRIORITY_MAX: i64 = 1_000;

pub(super) fn prepare(object: &mut Value) {
    if let Some(service) = object.get_mut("spec").and_then(|spec| members(spec, "service")) {
        fill(service, "port", 443);
    }
}

/// A service of this server itself is there from the start.
pub(super) fn prepare_create(object: &mut Value) {
    prepare(object);
    let is_local = object["spec"]["service"].is_null();
    if let (true, Some(root)) = (is_local, object.as_object_mut()) {
        let now = crate::write::meta::timestamp(jiff::Timestamp::now());
        root.insert(
            "status".into(),
            json!({"conditions": [{
                "type": "Available", "status": "True", "lastTransitionTime": now, "reason": "Local",
                "message": "Local APIServices are always available",
            }]}),
        );
    }
}

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let (group, version) = (text(&spec["group"]), text(&spec["version"]));
    let required = format!("{version}.{group}");
    let name = &new["metadata"]["name"];
    if *name != required {
        let message = format!("must be `spec.version+\".\"+spec.group`: {required:?}");
        errors.push(FieldError::invalid("metadata.name", name, &message));
    }
    if group.is_empty() && version != "v1" {
        let message = "only v1 may have an empty group and it better be legacy kube";
        errors.push(FieldError::required("spec.group", message));
    }
    if let Some(why) = bad_subdomain(group).filter(|_| !group.is_empty()) {
        errors.push(FieldError::invalid("spec.group", &spec["group"], why));
    }
    if let Some(why) = bad_label_1035(version) {
        errors.push(FieldError::invalid("spec.version", &version.into(), why));
    }
    for (field, max) in [("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX)] {
        let priority = spec[field].as_i64().unwrap_or(0);
        if priority <= 0 || priority > max {
            let message = format!("must be positive and less than {max}");
            errors.push(FieldError::invalid(format!("spec.{field}"), &priority.into(), &message));
        }
    }
    let bundle = text(&spec["caBundle"]);
    let insecure = &spec["insecureSkipTLSVerify"];
    let service = &spec["service"];
    if !service.is_object() {
        if !bundle.is_empty() {
            let message = "local APIServices may not have a caBundle";
            let shown = format!("{} bytes", bundle.len() / 4 * 3);
            errors.push(FieldError::invalid("spec.caBundle", &shown.into(), message));
        }
        if *insecure == true {
            let message = "local APIServices may not have insecureSkipTLSVerify";
            errors.push(FieldError::invalid("spec.insecureSkipTLSVerify", insecure, message));
        }
        return;
    }
    for field in ["namespace", "name"] {
        if text(&service[field]).is_empty() {
            errors.push(FieldError::required(format!("spec.service.{field}"), ""));
        }
    }
    if let Some(port) = bad_port(&service["port"]) {
        errors.push(FieldError::invalid("spec.service.port", &port.into(), PORT_TEXT));
    }
    if *insecure == true && !bundle.is_empty() {
        let message = "may not be true if caBundle is present";
        errors.push(FieldError::invalid("spec.insecureSkipTLSVerify", insecure, message));
    }
}

pub(super) const PORT_TEXT: &str = "port is not valid: must be between 1 and 65535, inclusive";

/// A port that is out of range.
pub(super) fn bad_port(port: &Value) -> Option<i64> {
    port.as_i64().filter(|port| !(1..=65_535).contains(port))
}
