//! Fields of the task and amounts of resources as text: `fieldRef` and `resourceFieldRef`.

use berth_client::k8s_openapi::api::core::v1::{ObjectFieldSelector, ResourceFieldSelector};
use berth_types::{Container, Quantity, Task};

use super::{HookError, NodeFacts};

const BAD_FIELD: &str = "InvalidFieldRef";

/// The text of one field of the task.
///
/// # Errors
/// When the path is none that Kubernetes' downward API has.
pub fn field(task: &Task, node: &NodeFacts, selector: &ObjectFieldSelector) -> Result<String, HookError> {
    let path = selector.field_path.as_str();
    let meta = &task.metadata;
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.labels" => meta.labels.as_ref(),
            "metadata.annotations" => meta.annotations.as_ref(),
            _ => return Err(unknown(path)),
        };
        return Ok(map.and_then(|m| m.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => node.name.clone(),
        "spec.serviceAccountName" => task.spec.template.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" | "status.podIP" | "status.hostIPs" | "status.podIPs" => node.address.clone(),
        _ => return Err(unknown(path)),
    })
}

/// One amount of a container of the task, divided and rounded up.
///
/// # Errors
/// When the resource, the divisor or the container is unknown.
pub fn resource(
    task: &Task,
    node: &NodeFacts,
    own: &Container,
    selector: &ResourceFieldSelector,
) -> Result<String, HookError> {
    let spec = &task.spec.template;
    let container = match selector.container_name.as_deref().filter(|n| !n.is_empty()) {
        None => own,
        Some(name) => {
            spec.containers.iter().chain(&spec.init_containers).find(|c| c.name == name).ok_or_else(|| {
                HookError::invalid(
                    BAD_FIELD,
                    format!("resourceFieldRef names container {name:?}, which the task does not have"),
                )
            })?
        }
    };
    let (list, name) = match selector.resource.split_once('.') {
        Some(("limits", name)) => (&container.resources.limits, name),
        Some(("requests", name)) => (&container.resources.requests, name),
        _ => return Err(unknown(&selector.resource)),
    };
    let milli = match list.get(name) {
        Some(quantity) => i128::from(quantity.milli().map_err(|e| HookError::invalid(BAD_FIELD, e.to_string()))?),
        // Without a limit a container may use the whole node.
        None if selector.resource == "limits.cpu" => i128::from(node.cpu_milli),
        None if selector.resource == "limits.memory" => i128::from(node.memory_bytes) * 1000,
        None => 0,
    };
    let divisor = match selector.divisor.as_ref().map(|q| q.0.as_str()).filter(|d| !d.is_empty() && *d != "0") {
        Some(text) => {
            let divisor = Quantity::from(text).milli().map_err(|e| HookError::invalid(BAD_FIELD, e.to_string()))?;
            i128::from(divisor.max(1))
        }
        None => 1000,
    };
    Ok(((milli + divisor - 1) / divisor).to_string())
}

fn unknown(path: &str) -> HookError {
    HookError::invalid(
        BAD_FIELD,
        format!(
            "{path:?} cannot be taken from the task: fieldRef knows metadata.name, namespace, uid, labels['KEY'], \
             annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.podIP; \
             resourceFieldRef knows limits.* and requests.*"
        ),
    )
}

/// `metadata.labels['key']` → (`metadata.labels`, `key`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    Some((map, key))
}

/// `key="value"` lines, as Kubernetes writes them into files.
fn lines(map: Option<&std::collections::BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map.into_iter().flatten().map(|(k, v)| format!("{k}={v:?}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web", "tier": "front"}},
            "spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "100Mi"}, "requests": {"cpu": "250m"}}}]}
        }))
        .unwrap()
    }

    #[track_caller]
    fn check_field(path: &str, expected: &str) {
        let node = NodeFacts { name: "n1".into(), address: "10.0.0.1".into(), ..NodeFacts::default() };
        let selector = ObjectFieldSelector { api_version: None, field_path: path.to_owned() };
        assert_eq!(field(&task(), &node, &selector).unwrap(), expected);
    }

    #[track_caller]
    fn check_resource(resource_name: &str, divisor: Option<&str>, expected: &str) {
        let node = NodeFacts { cpu_milli: 2000, ..NodeFacts::default() };
        let selector: ResourceFieldSelector =
            serde_json::from_value(serde_json::json!({"resource": resource_name, "divisor": divisor})).unwrap();
        let task = task();
        assert_eq!(resource(&task, &node, &task.spec.template.containers[0], &selector).unwrap(), expected);
    }

    #[test]
    fn fields_are_those_of_the_downward_api() {
        check_field("metadata.name", "web-0");
        check_field("metadata.namespace", "shop");
        check_field("metadata.labels['app']", "web");
        check_field("metadata.labels['none']", "");
        check_field("metadata.labels", "app=\"web\"\ntier=\"front\"");
        check_field("spec.nodeName", "n1");
        check_field("status.hostIP", "10.0.0.1");
    }

    #[test]
    fn amounts_round_up_to_the_divisor() {
        check_resource("limits.memory", None, "104857600");
        check_resource("limits.memory", Some("1Mi"), "100");
        check_resource("requests.cpu", None, "1");
        check_resource("requests.cpu", Some("1m"), "250");
        check_resource("limits.cpu", None, "2");
    }

    #[test]
    fn unknown_fields_say_what_there_is() {
        let selector = ObjectFieldSelector { api_version: None, field_path: "spec.secret".to_owned() };
        let error = field(&task(), &NodeFacts::default(), &selector).unwrap_err();
        assert!(error.to_string().contains("metadata.name"));
    }
}
