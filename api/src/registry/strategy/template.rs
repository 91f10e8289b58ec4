//! What the schema cannot say about a task's template: names that must be unique, references that must lead
//! somewhere, amounts that must fit each other. Every problem at once.

use std::collections::HashSet;

use berth_schema::FieldError;
use berth_types::Quantity;
use berth_types::template::WITHOUT_EFFECT_YET;
use serde_json::{Value, json};

/// The spec at a dotted path such as `spec.template.spec`.
fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |value, name| &value[name])
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value[name].as_array().into_iter().flatten().enumerate()
}

/// Finds what is wrong with the template's spec at `path`.
pub(super) fn validate(object: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let spec = at(object, path);
    let mut volumes = HashSet::new();
    for (index, volume) in list(spec, "volumes") {
        let field = format!("{path}.volumes[{index}]");
        if let Some(name) = volume["name"].as_str()
            && !volumes.insert(name)
        {
            errors.push(FieldError::duplicate(format!("{field}.name"), &volume["name"]));
        }
        exactly_one(volume, &field, &["emptyDir", "hostPath", "configMap", "secret", "downwardAPI"], "source", errors);
        if let Some(limit) = volume.pointer("/emptyDir/sizeLimit") {
            quantity(limit, &format!("{field}.emptyDir.sizeLimit"), errors);
        }
    }
    let mut names = HashSet::new();
    let mut ports = Ports::default();
    for kind in ["initContainers", "containers"] {
        for (index, container) in list(spec, kind) {
            let field = format!("{path}.{kind}[{index}]");
            if let Some(name) = container["name"].as_str()
                && !names.insert(name)
            {
                errors.push(FieldError::duplicate(format!("{field}.name"), &container["name"]));
            }
            check_container(container, &field, &volumes, &mut ports, errors);
        }
    }
    for (index, constraint) in list(spec, "constraints") {
        check_constraint(constraint, &format!("{path}.constraints[{index}]"), errors);
    }
}

/// Port names and fixed numbers of all containers: they share one network.
#[derive(Default)]
struct Ports<'a> {
    names: HashSet<&'a str>,
    numbers: HashSet<(i64, &'a str)>,
}

fn check_container<'a>(
    container: &'a Value,
    field: &str,
    volumes: &HashSet<&str>,
    ports: &mut Ports<'a>,
    errors: &mut Vec<FieldError>,
) {
    let given = |name: &str| match &container[name] {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    if given("shell") && (given("command") || given("args")) {
        errors.push(FieldError::forbidden(format!("{field}.shell"), "may not be given beside `command` or `args`"));
    }
    if !given("shell") && !given("command") && !given("image") {
        errors.push(FieldError::required(field, "one of `shell`, `command` or `image` says what runs"));
    }
    for (index, port) in list(container, "ports") {
        check_port(port, &format!("{field}.ports[{index}]"), ports, errors);
    }
    check_resources(&container["resources"], &format!("{field}.resources"), errors);
    let mut paths = HashSet::new();
    for (index, mount) in list(container, "volumeMounts") {
        let field = format!("{field}.volumeMounts[{index}]");
        if let Some(name) = mount["name"].as_str()
            && !volumes.contains(name)
        {
            errors.push(FieldError::not_found(format!("{field}.name"), &mount["name"]));
        }
        let Some(path) = mount["mountPath"].as_str() else { continue };
        if !path.starts_with('/') || path.contains(':') {
            let message = "must be an absolute path without ':'";
            errors.push(FieldError::invalid(format!("{field}.mountPath"), &mount["mountPath"], message));
        }
        if !paths.insert(path) {
            errors.push(FieldError::duplicate(format!("{field}.mountPath"), &mount["mountPath"]));
        }
        if mount["subPath"].as_str().is_some_and(|p| p.starts_with('/') || p.split('/').any(|part| part == "..")) {
            let message = "must be a relative path without '..'";
            errors.push(FieldError::invalid(format!("{field}.subPath"), &mount["subPath"], message));
        }
    }
    for (index, variable) in list(container, "env") {
        if variable["value"].as_str().is_some_and(|v| !v.is_empty()) && !variable["valueFrom"].is_null() {
            let message = "may not be given beside a non-empty `value`";
            errors.push(FieldError::forbidden(format!("{field}.env[{index}].valueFrom"), message));
        }
    }
    let port_names: HashSet<&str> = list(container, "ports").filter_map(|(_, p)| p["name"].as_str()).collect();
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if !container[name].is_null() {
            check_probe(&container[name], &format!("{field}.{name}"), &port_names, errors);
        }
    }
    for name in ["postStart", "preStop"] {
        let hook = &container["lifecycle"][name];
        if !hook.is_null() {
            let field = format!("{field}.lifecycle.{name}");
            exactly_one(hook, &field, &["exec", "httpGet", "tcpSocket", "sleep"], "handler", errors);
        }
    }
}

fn check_port<'a>(port: &'a Value, field: &str, ports: &mut Ports<'a>, errors: &mut Vec<FieldError>) {
    if let Some(name) = port["name"].as_str()
        && !ports.names.insert(name)
    {
        errors.push(FieldError::duplicate(format!("{field}.name"), &port["name"]));
    }
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    for name in ["hostPort", "containerPort"] {
        if let Some(number) = port[name].as_i64().filter(|n| *n > 0) {
            if !ports.numbers.insert((number, protocol)) {
                errors.push(FieldError::duplicate(format!("{field}.{name}"), &port[name]));
            }
            // A host port decides; the container's own number is then only information.
            break;
        }
    }
}

fn check_resources(resources: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let amounts = |kind: &str, errors: &mut Vec<FieldError>| -> Vec<(String, i64)> {
        let entries = resources[kind].as_object().into_iter().flatten();
        entries
            .filter_map(|(name, value)| {
                quantity(value, &format!("{field}.{kind}[{name}]"), errors).map(|milli| (name.clone(), milli))
            })
            .collect()
    };
    let limits = amounts("limits", errors);
    for (name, request) in amounts("requests", errors) {
        if let Some((_, limit)) = limits.iter().find(|(n, l)| *n == name && request > *l) {
            let message = format!("must be less than or equal to {name} limit of {}", Quantity::from_milli(*limit));
            errors.push(FieldError::invalid(
                format!("{field}.requests[{name}]"),
                &resources["requests"][&name],
                &message,
            ));
        }
    }
}

/// The amount in thousandths; `None` when it is not one, which is then among the errors.
fn quantity(value: &Value, field: &str, errors: &mut Vec<FieldError>) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    match Quantity(text).milli() {
        Ok(milli) if milli < 0 => {
            errors.push(FieldError::invalid(field, value, "must be greater than or equal to 0"));
            None
        }
        Ok(milli) => Some(milli),
        Err(error) => {
            errors.push(FieldError::invalid(field, value, &error.to_string()));
            None
        }
    }
}

fn check_probe(probe: &Value, field: &str, port_names: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    exactly_one(probe, field, &["exec", "httpGet", "tcpSocket", "grpc"], "action", errors);
    for action in ["httpGet", "tcpSocket"] {
        let port = &probe[action]["port"];
        let field = format!("{field}.{action}.port");
        match port {
            Value::Number(number) if !number.as_i64().is_some_and(|n| (1..=65535).contains(&n)) => {
                errors.push(FieldError::invalid(field, port, "must be between 1 and 65535, inclusive"));
            }
            Value::String(name) if !port_names.contains(name.as_str()) && name.parse::<u16>().is_err() => {
                errors.push(FieldError::invalid(
                    field,
                    port,
                    "must be a number, or the name of one of the container's ports",
                ));
            }
            _ => {}
        }
    }
    for name in ["periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"] {
        if probe[name].as_i64().is_some_and(|n| n < 0) {
            errors.push(FieldError::invalid(
                format!("{field}.{name}"),
                &probe[name],
                "must be greater than or equal to 0",
            ));
        }
    }
}

fn check_constraint(constraint: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let value = constraint["value"].as_str().unwrap_or_default();
    let field = format!("{field}.value");
    match constraint["operator"].as_str().unwrap_or_default() {
        "LIKE" | "UNLIKE" => match regex::Regex::new(value) {
            _ if value.is_empty() => errors.push(FieldError::required(field, "a regular expression")),
            Ok(_) => {}
            Err(_) => errors.push(FieldError::invalid(field, &json!(value), "must be a regular expression")),
        },
        "MAX_PER" if value.parse::<u32>().is_ok_and(|n| n > 0) => {}
        "MAX_PER" => errors.push(FieldError::invalid(field, &json!(value), "must be a number above 0")),
        "IS" if value.is_empty() => errors.push(FieldError::required(field, "the value that the field must have")),
        "GROUP_BY" if !value.is_empty() && value.parse::<u32>().is_err() => {
            errors.push(FieldError::invalid(field, &json!(value), "must be a number"));
        }
        _ => {}
    }
}

fn exactly_one(object: &Value, field: &str, names: &[&str], what: &str, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = names.iter().copied().filter(|name| !object[*name].is_null()).collect();
    match given.as_slice() {
        [_] => {}
        [] => errors.push(FieldError::required(field, &format!("must have a {what}: one of {}", names.join(", ")))),
        [_, more @ ..] => {
            for name in more {
                let message = format!("may not specify more than 1 {what}");
                errors.push(FieldError::forbidden(format!("{field}.{name}"), &message));
            }
        }
    }
}

/// Tells of fields that are accepted but change nothing yet.
pub(super) fn warnings(object: &Value, path: &str, out: &mut Vec<String>) {
    let spec = at(object, path);
    for known in WITHOUT_EFFECT_YET {
        match known.split_once("[].") {
            None if is_set(at(spec, known)) => out.push(format!("{path}.{known}: has no effect yet")),
            None => {}
            Some((kind, name)) => {
                for (index, container) in list(spec, kind) {
                    if is_set(&container[name]) {
                        out.push(format!("{path}.{kind}[{index}].{name}: has no effect yet"));
                    }
                }
            }
        }
    }
}

fn is_set(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
        && *value != json!("")
        && *value != json!([])
        && *value != json!({})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: Value, expected: &[&str]) {
        let mut errors = Vec::new();
        validate(&json!({"spec": spec}), "spec", &mut errors);
        let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, expected, "{errors:?}");
    }

    #[test]
    fn a_plain_template_is_good() {
        check(
            json!({
                "volumes": [{"name": "data", "emptyDir": {}}],
                "containers": [{"name": "a", "shell": "true", "ports": [{"name": "http"}, {}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}},
                    "readinessProbe": {"httpGet": {"port": "http"}}}],
            }),
            &[],
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        check(
            json!({
                "volumes": [{"name": "data"}, {"name": "data", "emptyDir": {}, "hostPath": {"path": "/"}}],
                "containers": [
                    {"name": "a"},
                    {"name": "a", "shell": "x", "command": ["y"],
                     "ports": [{"name": "http", "containerPort": 80}, {"name": "http", "containerPort": 80}],
                     "volumeMounts": [{"name": "nope", "mountPath": "rel"}],
                     "resources": {"requests": {"cpu": "2", "memory": "lots"}, "limits": {"cpu": "1"}},
                     "livenessProbe": {"exec": {}, "tcpSocket": {"port": 80}}, "readinessProbe": {}},
                ],
            }),
            &[
                "spec.volumes[0]",
                "spec.volumes[1].name",
                "spec.volumes[1].hostPath",
                "spec.containers[0]",
                "spec.containers[1].name",
                "spec.containers[1].shell",
                "spec.containers[1].ports[1].name",
                "spec.containers[1].ports[1].containerPort",
                "spec.containers[1].resources.requests[memory]",
                "spec.containers[1].resources.requests[cpu]",
                "spec.containers[1].volumeMounts[0].name",
                "spec.containers[1].volumeMounts[0].mountPath",
                "spec.containers[1].livenessProbe.tcpSocket",
                "spec.containers[1].readinessProbe",
            ],
        );
    }

    #[test]
    fn what_has_no_effect_is_told() {
        let mut out = Vec::new();
        warnings(
            &json!({"spec": {"dnsPolicy": "Default", "containers": [{"name": "a", "tty": true}]}}),
            "spec",
            &mut out,
        );
        assert_eq!(out, ["spec.dnsPolicy: has no effect yet", "spec.containers[0].tty: has no effect yet"]);
    }
}
