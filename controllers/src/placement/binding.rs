//! The write that binds a task to its node.

use berth_offers::Protocol;
use berth_types::names::FINALIZER_AGENT;
use berth_types::{AllocatedPort, Task};
use serde_json::{Value, json};

use super::book::Assumed;
use super::translate;

/// The merge patch that binds `task`: node, ports and the agent's finalizer in one write, guarded by the version
/// that the decision was made on. `None` when the task is not the one that was decided about.
pub(crate) fn patch(task: &Task, decided: &Assumed) -> Option<Value> {
    let meta = &task.metadata;
    let is_same = meta.uid.as_deref() == Some(decided.uid.as_str());
    if !is_same || task.spec.node_name.is_some() || meta.deletion_timestamp.is_some() {
        return None;
    }
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER_AGENT) {
        finalizers.push(FINALIZER_AGENT.to_owned());
    }
    let wishes: Vec<_> = translate::port_wishes(task).collect();
    if wishes.len() != decided.ports.len() {
        return None;
    }
    let ports = wishes.into_iter().zip(&decided.ports).map(|((container, index, _), (protocol, port))| AllocatedPort {
        container: container.name.clone(),
        index: i32::try_from(index).unwrap_or(i32::MAX),
        name: container.ports[index].name.clone(),
        port: i32::from(*port),
        protocol: word(*protocol).to_owned(),
    });
    let ports: Vec<_> = ports.collect();
    let mut spec = json!({ "nodeName": decided.node });
    if !ports.is_empty() {
        spec["allocatedPorts"] = json!(ports);
    }
    Some(json!({
        "metadata": { "resourceVersion": meta.resource_version, "finalizers": finalizers },
        "spec": spec,
    }))
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(extra: Value) -> Task {
        let mut task = json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": "t", "uid": "u", "resourceVersion": "7", "finalizers": ["x/y"]},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "http"}]}]},
        });
        if let Some(fields) = extra.as_object() {
            fields.iter().for_each(|(name, value)| task["metadata"][name] = value.clone());
        }
        serde_json::from_value(task).unwrap()
    }

    fn decided() -> Assumed {
        Assumed { uid: "u".into(), node: "n".into(), ports: vec![(Protocol::Tcp, 31000)] }
    }

    #[test]
    fn one_write_sets_node_ports_and_finalizer_and_names_the_version() {
        assert_eq!(
            patch(&task(json!({})), &decided()).unwrap(),
            json!({
                "metadata": {"resourceVersion": "7", "finalizers": ["x/y", "berth.dev/agent"]},
                "spec": {"nodeName": "n", "allocatedPorts": [
                    {"container": "c", "index": 0, "name": "http", "port": 31000, "protocol": "TCP"},
                ]},
            })
        );
    }

    #[test]
    fn another_task_of_the_name_or_one_that_goes_is_left_alone() {
        assert_eq!(patch(&task(json!({"uid": "v"})), &decided()), None);
        assert_eq!(patch(&task(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})), &decided()), None);
    }
}
