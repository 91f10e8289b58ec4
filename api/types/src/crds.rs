//! The definitions of our own kinds, as CustomResourceDefinitions: one source for schema, discovery and printing.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

/// All our kinds, in the order that discovery and `manifests/crds` list them.
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        crate::Service::crd(),
        crate::Task::crd(),
        crate::Job::crd(),
        crate::JobRun::crd(),
        crate::Node::crd(),
        crate::Role::crd(),
        crate::Revision::crd(),
        crate::VolumeClaim::crd(),
        crate::Package::crd(),
    ]
    .into_iter()
    .map(tidy)
    .collect()
}

/// Makes a derived definition what a person would have written: `null` is not a value of an optional field
/// (Kubernetes drops it), whole numbers have whole bounds, and Rust's number formats are gone.
fn tidy(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(&crd).expect("a derived definition is plain data");
    tidy_value(&mut value);
    serde_json::from_value(value).expect("tidying removes members only")
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
