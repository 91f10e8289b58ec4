//! From the API's kinds to the engine's model.

use std::sync::Arc;

use berth_offers as offers;
use berth_types::names::{DEFAULT_ROLE, LABEL_REVISION};
use berth_types::{ConstraintOperator, Container, Node, ResourceList, Role, Task, condition};
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration};
use offers::{Milli, Resources};

use crate::driver::store::controller_of;

/// The engine's picture of a node.
pub(crate) fn node(node: &Node) -> offers::Node {
    let status = node.status.clone().unwrap_or_default();
    let amounts = if status.allocatable.is_empty() { &status.capacity } else { &status.allocatable };
    let ports = status
        .port_ranges
        .iter()
        .filter_map(|range| Some((u16::try_from(range.begin).ok()?, u16::try_from(range.end).ok()?)));
    offers::Node {
        name: node.metadata.name.clone().unwrap_or_default(),
        // What an agent reports wrongly counts as nothing: tasks then say that it is short.
        total: resources(amounts, |_, _| {}),
        ports: offers::Ranges::new(ports),
        labels: node.metadata.labels.clone().unwrap_or_default(),
        taints: node.spec.taints.iter().filter_map(taint).collect(),
        unschedulable: node.spec.unschedulable,
        ready: condition::is_true(&status.conditions, "Ready") && node.metadata.deletion_timestamp.is_none(),
        attributes: status.attributes,
    }
}

/// The engine's picture of a role.
pub(crate) fn role(role: &Role) -> offers::Role {
    offers::Role { weight: role.spec.weight, limits: resources(&role.spec.limits, |_, _| {}) }
}

/// What decides where a task can go.
///
/// # Errors
/// What is wrong with the task, for people, when it asks for something that cannot be read.
pub(crate) fn shape(task: &Task) -> Result<offers::Shape, String> {
    let spec = &task.spec.template;
    let mut wrong = vec![];
    let requests = requests(&spec.containers, &spec.init_containers, &mut wrong);
    if let Some(first) = wrong.into_iter().next() {
        return Err(first);
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    Ok(offers::Shape {
        owner: owner(task),
        role: spec.role.clone().filter(|role| !role.is_empty()).unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
        priority: spec.priority.unwrap_or(0),
        requests,
        ports: port_wishes(task).map(|(_, _, wish)| wish).collect(),
        node_selector: spec.node_selector.clone(),
        affinity: required.map(|all| all.node_selector_terms.iter().map(term).collect()).unwrap_or_default(),
        tolerations: spec.tolerations.iter().filter_map(toleration).collect(),
        constraints: spec.constraints.iter().map(constraint).collect(),
    })
}

/// What a task holds that has a node.
pub(crate) fn booking(task: &Task, node: &str) -> offers::Booking {
    // A bound task is a fact even when it asks for nonsense; its ports are the ones that were written.
    let shape = shape(task).unwrap_or_else(|_| offers::Shape {
        owner: owner(task),
        role: task.spec.template.role.clone().unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
        ..offers::Shape::default()
    });
    let ports = task.spec.allocated_ports.iter();
    let ports = ports.filter_map(|given| Some((protocol(&given.protocol), u16::try_from(given.port).ok()?)));
    offers::Booking { node: node.to_owned(), shape: Arc::new(shape), ports: ports.collect() }
}

/// Every port of the task's long-running containers: the container, the port's index there, what is wished.
/// The order is that of `spec.allocatedPorts`.
pub(crate) fn port_wishes(task: &Task) -> impl Iterator<Item = (&Container, usize, offers::PortWish)> {
    let spec = &task.spec.template;
    let side_cars = spec.init_containers.iter().filter(|c| is_side_car(c));
    spec.containers.iter().chain(side_cars).flat_map(|container| {
        container.ports.iter().enumerate().map(move |(index, port)| {
            let wish = offers::PortWish { fixed: port.fixed_port(), protocol: protocol(port.protocol()) };
            (container, index, wish)
        })
    })
}

/// Whose tasks count together: those of one revision of one owner, so that a rolling update may put the new
/// task of a UNIQUE service beside the old one (as Marathon does). A task without owner counts alone.
fn owner(task: &Task) -> String {
    let meta = &task.metadata;
    let Some(owner) = controller_of(meta) else { return meta.uid.clone().unwrap_or_default() };
    let revision = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_REVISION));
    format!("{}/{}", owner.uid, revision.map_or("", String::as_str))
}

/// As Kubernetes counts: side by side the sum, one after the other the largest; side-cars run beside both.
fn requests(containers: &[Container], init: &[Container], wrong: &mut Vec<String>) -> Resources {
    let mut sum = Resources::default();
    for container in containers.iter().chain(init.iter().filter(|c| is_side_car(c))) {
        sum.add(&requests_of(container, wrong));
    }
    for container in init.iter().filter(|c| !is_side_car(c)) {
        sum.raise_to(&requests_of(container, wrong));
    }
    sum
}

fn is_side_car(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

fn requests_of(container: &Container, wrong: &mut Vec<String>) -> Resources {
    let mut asked = container.resources.limits.clone();
    // A bound on processes keeps none of them free for others: only a request for pids is counted.
    asked.remove("pids");
    asked.extend(container.resources.requests.clone());
    resources(&asked, |name, error| {
        wrong.push(format!("container {:?}: resources: {name}: {error}", container.name));
    })
}

fn resources(list: &ResourceList, mut wrong: impl FnMut(&str, String)) -> Resources {
    let mut all = Resources::default();
    for (name, quantity) in list {
        match quantity.milli() {
            Ok(milli) => {
                let name = if name == "ephemeral-storage" { "disk" } else { name };
                all.0.insert(name.to_owned(), Milli(milli.max(0)));
            }
            Err(error) => wrong(name, error.to_string()),
        }
    }
    all
}

fn protocol(name: &str) -> offers::Protocol {
    match name {
        "UDP" => offers::Protocol::Udp,
        "SCTP" => offers::Protocol::Sctp,
        _ => offers::Protocol::Tcp,
    }
}

fn effect(name: &str) -> Option<offers::Effect> {
    match name {
        "NoSchedule" => Some(offers::Effect::NoSchedule),
        "PreferNoSchedule" => Some(offers::Effect::PreferNoSchedule),
        "NoExecute" => Some(offers::Effect::NoExecute),
        _ => None,
    }
}

fn taint(taint: &Taint) -> Option<offers::Taint> {
    let value = taint.value.clone().unwrap_or_default();
    Some(offers::Taint { key: taint.key.clone(), value, effect: effect(&taint.effect)? })
}

/// `None` for one that can cover nothing: an effect or operator that does not exist.
fn toleration(toleration: &Toleration) -> Option<offers::Toleration> {
    let key = toleration.key.clone().filter(|key| !key.is_empty());
    let value = match toleration.operator.as_deref() {
        Some("Exists") => None,
        None | Some("" | "Equal") if key.is_some() => Some(toleration.value.clone().unwrap_or_default()),
        _ => return None,
    };
    let effect = match toleration.effect.as_deref().filter(|effect| !effect.is_empty()) {
        Some(name) => Some(effect(name)?),
        None => None,
    };
    Some(offers::Toleration { key, value, effect })
}

fn term(term: &NodeSelectorTerm) -> offers::AffinityTerm {
    let expressions = term.match_expressions.iter().flatten().chain(term.match_fields.iter().flatten());
    offers::AffinityTerm(expressions.map(expression).collect())
}

fn expression(requirement: &NodeSelectorRequirement) -> offers::Expression {
    use offers::ExpressionOperator as Operator;
    let values = requirement.values.clone().unwrap_or_default();
    let (operator, values) = match requirement.operator.as_str() {
        "In" => (Operator::In, values),
        "NotIn" => (Operator::NotIn, values),
        "Exists" => (Operator::Exists, values),
        "DoesNotExist" => (Operator::DoesNotExist, values),
        "Gt" => (Operator::Gt, values),
        "Lt" => (Operator::Lt, values),
        // An operator that nobody knows is a demand that nothing meets.
        _ => (Operator::In, vec![]),
    };
    offers::Expression { key: requirement.key.clone(), operator, values }
}

fn constraint(constraint: &berth_types::Constraint) -> offers::Constraint {
    let operator = match constraint.operator {
        ConstraintOperator::Unique => offers::Operator::Unique,
        ConstraintOperator::Cluster => offers::Operator::Cluster,
        ConstraintOperator::GroupBy => offers::Operator::GroupBy,
        ConstraintOperator::Like => offers::Operator::Like,
        ConstraintOperator::Unlike => offers::Operator::Unlike,
        ConstraintOperator::MaxPer => offers::Operator::MaxPer,
        ConstraintOperator::Is => offers::Operator::Is,
    };
    offers::Constraint { field: constraint.field.clone(), operator, value: constraint.value.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(spec: serde_json::Value) -> Task {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {
                "name": "t", "namespace": "default", "uid": "u",
                "labels": {"berth.dev/revision": "r1"},
                "ownerReferences": [{"apiVersion": "berth.dev/v1", "kind": "Service", "name": "s", "uid": "o", "controller": true}],
            },
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn requests_are_the_sum_of_containers_and_at_least_each_init_container() {
        let shape = shape(&task(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi", "pids": "10"}}},
                {"name": "b", "resources": {"requests": {"cpu": "200m", "ephemeral-storage": "1Gi"}}},
            ],
            "initContainers": [
                {"name": "i", "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}}},
                {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
            ],
        })))
        .unwrap();
        let mib = (1i64 << 20) * 1000;
        let wanted = Resources::from_milli([("cpu", 350), ("memory", 128 * mib), ("disk", 1024 * mib)]);
        assert_eq!(shape.requests, wanted);
        assert_eq!((shape.owner.as_str(), shape.role.as_str()), ("o/r1", "default"));
    }

    #[test]
    fn an_amount_that_is_none_is_told_by_container_and_resource() {
        let error = shape(&task(json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "many"}}}],
        })))
        .unwrap_err();
        assert!(error.starts_with("container \"a\": resources: cpu: quantity \"many\" must be"), "{error}");
    }

    #[test]
    fn ports_keep_the_order_of_the_containers() {
        let task = task(json!({"containers": [
            {"name": "a", "ports": [{"name": "http"}, {"containerPort": 80}]},
            {"name": "b", "ports": [{"hostPort": 53, "protocol": "UDP"}]},
        ]}));
        let wishes: Vec<_> = port_wishes(&task).map(|(c, i, w)| (c.name.as_str(), i, w.fixed, w.protocol)).collect();
        assert_eq!(
            wishes,
            [
                ("a", 0, None, offers::Protocol::Tcp),
                ("a", 1, Some(80), offers::Protocol::Tcp),
                ("b", 0, Some(53), offers::Protocol::Udp),
            ]
        );
    }

    #[test]
    fn a_node_without_a_ready_condition_is_not_ready() {
        let node_object = Node::new("n", berth_types::NodeSpec::default());
        assert!(!node(&node_object).ready);
    }

    #[test]
    fn tolerations_mean_what_kubernetes_says() {
        let parse = |value| toleration(&serde_json::from_value(value).unwrap());
        let any = offers::Toleration::default();
        assert_eq!(parse(json!({"operator": "Exists"})), Some(any));
        assert_eq!(parse(json!({"operator": "Equal"})), None);
        let keyed = offers::Toleration { key: Some("k".into()), value: Some(String::new()), effect: None };
        assert_eq!(parse(json!({"key": "k"})), Some(keyed));
    }
}
