//! The definitions of our own kinds, as CustomResourceDefinitions: one source for schema, discovery and printing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// What makes the definition of each kind, in the order that discovery and `manifests/crds` list them.
const KINDS: [fn() -> CustomResourceDefinition; 9] = [
    crate::Service::crd,
    crate::Task::crd,
    crate::Job::crd,
    crate::JobRun::crd,
    crate::Node::crd,
    crate::Role::crd,
    crate::Revision::crd,
    crate::VolumeClaim::crd,
    crate::Package::crd,
];

/// All our kinds.
pub fn all() -> Vec<CustomResourceDefinition> {
    let typed = |value| serde_json::from_value(value).expect("tidying removes members only");
    values().into_iter().map(typed).collect()
}

/// All our kinds as JSON, for who has no use for the types. Deriving a schema takes milliseconds, so a server's
/// start does it on all cores.
pub fn values() -> Vec<Value> {
    let made = [const { OnceLock::new() }; KINDS.len()];
    let next = AtomicUsize::new(0);
    let make = || {
        while let Some((make, place)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            KINDS.get(index).zip(made.get(index))
        } {
            place.get_or_init(|| tidy(&make()));
        }
    };
    std::thread::scope(|scope| {
        let helpers = std::thread::available_parallelism().map_or(1, usize::from).min(KINDS.len()) - 1;
        for _ in 0..helpers {
            scope.spawn(make);
        }
        make();
    });
    made.into_iter().map(|place| place.into_inner().expect("each kind was taken by one thread")).collect()
}

/// Makes a derived definition what a person would have written: `null` is not a value of an optional field
/// (Kubernetes drops it), whole numbers have whole bounds, and Rust's number formats are gone.
fn tidy(crd: &CustomResourceDefinition) -> Value {
    let mut value = serde_json::to_value(crd).expect("a derived definition is plain data");
    tidy_value(&mut value);
    describe_root(&mut value);
    value
}

/// The derived text of the whole object speaks of Rust; what its spec is for is what people want to read there.
fn describe_root(crd: &mut Value) {
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        let text = schema["properties"]["spec"]["description"].clone();
        if text.is_string() {
            schema["description"] = text;
        }
    }
}

fn tidy_value(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let is_schema = map.contains_key("type") || map.contains_key("x-kubernetes-int-or-string");
            if is_schema {
                map.remove("nullable");
                let is_integer = map.get("type").is_some_and(|t| t == "integer");
                if map.get("format").is_some_and(|f| f.as_str().is_some_and(|f| f.starts_with("uint"))) {
                    map.remove("format");
                }
                for bound in ["minimum", "maximum"] {
                    if is_integer && let Some(number) = map.get(bound).and_then(Value::as_f64) {
                        map.insert(bound.to_owned(), Value::from(number as i64));
                    }
                }
            }
            map.values_mut().for_each(tidy_value);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy_value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_named_by_its_plural_and_group() {
        for crd in all() {
            assert_eq!(crd.metadata.name.as_deref(), Some(&*format!("{}.{}", crd.spec.names.plural, crd.spec.group)));
        }
    }

    #[test]
    fn a_pasted_deployment_template_is_a_template() {
        let template = serde_json::json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{
                "name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": 1, "memory": "128Mi"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            }]}
        });
        let parsed: crate::TaskTemplate = serde_json::from_value(template).unwrap();
        assert_eq!(parsed.spec.containers[0].ports[0].fixed_port(), Some(80));
    }

    #[test]
    fn schemas_have_no_nullable_and_no_references() {
        let text = serde_json::to_string(&all()).unwrap();
        assert!(!text.contains("nullable"));
        assert!(!text.contains("$ref"));
    }
}
