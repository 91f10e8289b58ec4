//! The environment of a container: Mesos' variables and ours, then `envFrom`, then `env`; later wins.

use std::collections::BTreeMap;
use std::path::Path;

use berth_types::names::{LABEL_INSTANCE, LABEL_SERVICE};
use berth_types::{AllocatedPort, Container, Task};

use super::expand::expand;
use super::fields;
use super::sources::{Reference, Sources};
use super::{HookError, NodeFacts};

/// What a program finds without any variable of its own.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The environment of one process may not be larger than the kernel takes at exec, with room for arguments.
const ENV_BYTES_MAX: usize = 1 << 20;

/// The whole environment of a container.
///
/// # Errors
/// When a reference is missing (waits) or senseless (never works).
pub fn environment(
    task: &Task,
    container: &Container,
    id: &str,
    node: &NodeFacts,
    sandbox: &Path,
    sources: &Sources,
) -> Result<BTreeMap<String, String>, HookError> {
    let namespace = task.metadata.namespace.as_deref().unwrap_or("default");
    let mut env = base(task, container, id, node, sandbox);
    for from in &container.env_from {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let wanted = [
            from.config_map_ref.as_ref().map(|r| (Reference::ConfigMap(r.name.clone()), r.optional)),
            from.secret_ref.as_ref().map(|r| (Reference::Secret(r.name.clone()), r.optional)),
        ];
        for (reference, optional) in wanted.into_iter().flatten() {
            let Some(data) = sources.require(namespace, &reference, optional == Some(true))? else { continue };
            for (key, value) in data.iter().filter(|(key, _)| is_variable_name(key)) {
                env.insert(format!("{prefix}{key}"), text(&reference, key, value)?);
            }
        }
    }
    for variable in &container.env {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => Some(expand(value, |name| env.get(name).map(String::as_str))),
            (None, None) => Some(String::new()),
            (None, Some(from)) => {
                let key_of = |reference: Reference, key: &str, optional: Option<bool>| {
                    let found = sources.require_key(namespace, &reference, key, optional == Some(true))?;
                    found.map(|bytes| text(&reference, key, bytes)).transpose()
                };
                if let Some(selector) = &from.field_ref {
                    Some(fields::field(task, node, selector)?)
                } else if let Some(selector) = &from.resource_field_ref {
                    Some(fields::resource(task, node, container, selector)?)
                } else if let Some(r) = &from.config_map_key_ref {
                    key_of(Reference::ConfigMap(r.name.clone()), &r.key, r.optional)?
                } else if let Some(r) = &from.secret_key_ref {
                    key_of(Reference::Secret(r.name.clone()), &r.key, r.optional)?
                } else {
                    return Err(HookError::invalid(
                        "InvalidEnv",
                        format!(
                            "variable {:?}: valueFrom needs fieldRef, resourceFieldRef, configMapKeyRef or secretKeyRef",
                            variable.name
                        ),
                    ));
                }
            }
        };
        // A missing optional key leaves the variable unset.
        if let Some(value) = value {
            env.insert(variable.name.clone(), value);
        }
    }
    let size: usize = env.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    if size > ENV_BYTES_MAX {
        return Err(HookError::invalid(
            "InvalidEnv",
            format!(
                "the environment has {size} bytes, at most {ENV_BYTES_MAX} are allowed: mount large values as files"
            ),
        ));
    }
    if let Some((name, _)) = env.iter().find(|(k, v)| k.is_empty() || k.contains(['=', '\0']) || v.contains('\0')) {
        return Err(HookError::invalid(
            "InvalidEnv",
            format!("variable {name:?} needs a name without '=' and a value without NUL bytes"),
        ));
    }
    Ok(env)
}

/// What every container gets, as Mesos and Marathon gave it, and our own names beside.
fn base(task: &Task, container: &Container, id: &str, node: &NodeFacts, sandbox: &Path) -> BTreeMap<String, String> {
    let meta = &task.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let namespace = meta.namespace.clone().unwrap_or_default();
    let label = |key: &str| meta.labels.as_ref().and_then(|l| l.get(key)).cloned();
    let sandbox = sandbox.display().to_string();
    let mut env: BTreeMap<String, String> = [
        ("PATH", DEFAULT_PATH.to_owned()),
        ("HOME", sandbox.clone()),
        ("HOST", node.address.clone()),
        ("MESOS_SANDBOX", sandbox.clone()),
        ("MESOS_DIRECTORY", sandbox),
        ("MESOS_TASK_ID", format!("{namespace}.{name}")),
        ("MESOS_EXECUTOR_ID", format!("{namespace}.{name}")),
        ("MESOS_FRAMEWORK_ID", "berth".to_owned()),
        ("MESOS_CONTAINER_ID", id.to_owned()),
        ("MESOS_CONTAINER_IP", node.address.clone()),
        ("MESOS_SLAVE_ID", node.machine_id.clone()),
        ("MESOS_AGENT_ENDPOINT", format!("{}:{}", node.address, node.agent_port)),
        (
            "MESOS_ALLOCATION_ROLE",
            task.spec.template.role.clone().unwrap_or_else(|| berth_types::names::DEFAULT_ROLE.to_owned()),
        ),
        ("BERTH_TASK", name),
        ("BERTH_NAMESPACE", namespace),
        ("BERTH_CONTAINER", container.name.clone()),
        ("BERTH_NODE", node.name.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    env.extend(label(LABEL_SERVICE).map(|service| ("BERTH_SERVICE".to_owned(), service)));
    env.extend(label(LABEL_INSTANCE).map(|index| ("BERTH_INSTANCE".to_owned(), index)));
    env.extend(ports(&task.spec.allocated_ports, &container.name));
    env
}

/// `PORT0…`, `PORT`, `PORTS` and `PORT_<NAME>`: the container's own ports; one without ports sees all of the task's.
fn ports(allocated: &[AllocatedPort], container: &str) -> Vec<(String, String)> {
    let mut own: Vec<&AllocatedPort> = allocated.iter().filter(|p| p.container == container).collect();
    if own.is_empty() {
        own = allocated.iter().collect();
    } else {
        own.sort_by_key(|p| p.index);
    }
    let mut env = Vec::new();
    for (index, port) in own.iter().enumerate() {
        env.push((format!("PORT{index}"), port.port.to_string()));
        env.extend(port.name.as_ref().map(|name| (format!("PORT_{}", variable_name(name)), port.port.to_string())));
    }
    if let Some(first) = own.first() {
        env.push(("PORT".to_owned(), first.port.to_string()));
        let all: Vec<String> = own.iter().map(|p| p.port.to_string()).collect();
        env.push(("PORTS".to_owned(), all.join(",")));
    }
    env
}

fn variable_name(port: &str) -> String {
    port.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Keys of ConfigMaps that are no variable names are left out, as Kubernetes does.
fn is_variable_name(key: &str) -> bool {
    !key.is_empty() && !key.contains(['=', '\0']) && !key.starts_with(|c: char| c.is_ascii_digit())
}

fn text(reference: &Reference, key: &str, bytes: &[u8]) -> Result<String, HookError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        HookError::invalid(
            "InvalidEnv",
            format!("key {key:?} of {} is not text: mount it as a file", reference.describe()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(container: serde_json::Value) -> Task {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": "web-0", "namespace": "shop", "labels": {"berth.dev/service": "web"}},
            "spec": {
                "containers": [container],
                "allocatedPorts": [
                    {"container": "main", "index": 1, "name": "admin-ui", "port": 31005},
                    {"container": "main", "index": 0, "name": "http", "port": 31001}
                ]
            }
        }))
        .unwrap()
    }

    fn env_of(container: serde_json::Value, sources: &Sources) -> Result<BTreeMap<String, String>, HookError> {
        let task = task(container);
        let node = NodeFacts { name: "n1".into(), address: "10.0.0.1".into(), ..NodeFacts::default() };
        environment(&task, &task.spec.template.containers[0], "id", &node, Path::new("/s"), sources)
    }

    fn config() -> Sources {
        let data = [("A", "from-map"), ("1bad", "x"), ("B", "b")].map(|(k, v)| (k.to_owned(), v.as_bytes().to_vec()));
        Sources::from_pairs([(Reference::ConfigMap("cfg".into()), data.into_iter().collect())])
    }

    #[test]
    fn ports_and_names_are_those_that_mesos_programs_know() {
        let env = env_of(serde_json::json!({"name": "main"}), &Sources::default()).unwrap();
        for (name, value) in [
            ("PORT0", "31001"),
            ("PORT1", "31005"),
            ("PORT", "31001"),
            ("PORTS", "31001,31005"),
            ("PORT_HTTP", "31001"),
            ("PORT_ADMIN_UI", "31005"),
            ("HOST", "10.0.0.1"),
            ("MESOS_SANDBOX", "/s"),
            ("MESOS_TASK_ID", "shop.web-0"),
            ("BERTH_TASK", "web-0"),
            ("BERTH_NAMESPACE", "shop"),
            ("BERTH_SERVICE", "web"),
            ("BERTH_NODE", "n1"),
        ] {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn later_variables_use_earlier_ones_and_win() {
        let container = serde_json::json!({
            "name": "main",
            "envFrom": [{"configMapRef": {"name": "cfg"}}],
            "env": [{"name": "A", "value": "own"}, {"name": "URL", "value": "http://$(HOST):$(PORT0)/$(A)/$(NONE)"}]
        });
        let env = env_of(container, &config()).unwrap();
        assert_eq!(env["A"], "own");
        assert_eq!(env["B"], "b");
        assert_eq!(env["URL"], "http://10.0.0.1:31001/own/$(NONE)");
        assert!(!env.contains_key("1bad"));
    }

    #[test]
    fn a_missing_reference_waits_and_an_optional_one_is_left_out() {
        let reference = |optional: bool| {
            serde_json::json!({"name": "main", "env": [
                {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": optional}}}]})
        };
        assert!(matches!(
            env_of(reference(false), &config()),
            Err(HookError::Waiting { reason: "SecretNotFound", .. })
        ));
        assert!(!env_of(reference(true), &config()).unwrap().contains_key("X"));
        let key = serde_json::json!({"name": "main", "env": [
            {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "none"}}}]});
        assert!(matches!(env_of(key, &config()), Err(HookError::Waiting { reason: "KeyNotFound", .. })));
    }
}
