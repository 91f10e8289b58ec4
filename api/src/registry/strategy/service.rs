//! Services and their revisions.

use berth_schema::FieldError;
use serde_json::Value;

use super::template;

/// `kubectl cluster-info` looks for the cluster's own services so, and can read only Kubernetes' kind.
const CLUSTER_SERVICES: (&str, &str) = ("kube-system", "kubernetes.io/cluster-service=true");

/// The name "services" leads kubectl to ours; with these labels it means the other one, of which there are none.
pub(super) fn list_of_namesake(namespace: &str, labels: &str) -> Option<&'static str> {
    ((namespace, labels) == CLUSTER_SERVICES).then_some("v1")
}

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    template::validate(new, "spec.template.spec", errors);
    let update = &new["spec"]["update"];
    let surge = share("spec.update.maxSurge", &update["maxSurge"], errors);
    let unavailable = share("spec.update.maxUnavailable", &update["maxUnavailable"], errors);
    if surge == Some(0) && unavailable == Some(0) {
        errors.push(FieldError::invalid(
            "spec.update.maxUnavailable",
            &update["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    for (index, dependency) in new["spec"]["dependsOn"].as_array().into_iter().flatten().enumerate() {
        if dependency == name {
            errors.push(FieldError::invalid(
                format!("spec.dependsOn[{index}]"),
                dependency,
                "a service cannot wait for itself",
            ));
        }
    }
}

/// A number or a percentage: its number, `None` when absent or broken.
fn share(field: &str, value: &Value, errors: &mut Vec<FieldError>) -> Option<u64> {
    let found = match value {
        Value::Null => return None,
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.strip_suffix('%').and_then(|digits| digits.parse().ok()),
        _ => return None,
    };
    if found.is_none() {
        errors.push(FieldError::invalid(
            field,
            value,
            "must be a non-negative number, or a percentage such as \"25%\"",
        ));
    }
    found
}

/// A revision records what was: its template never changes.
pub(super) fn validate_revision(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Some(old) = old else { return };
    if old["spec"]["template"] != new["spec"]["template"] {
        errors.push(FieldError::forbidden("spec.template", "field is immutable: a revision records what was"));
    }
    let (before, after) = (&old["spec"]["revision"], &new["spec"]["revision"]);
    if after.as_i64() < before.as_i64() {
        errors.push(FieldError::invalid("spec.revision", after, &format!("may only grow, it was {before}")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn errors_of(update: Value) -> Vec<String> {
        let mut errors = Vec::new();
        let service = json!({
            "metadata": {"name": "a"},
            "spec": {"update": update, "template": {"spec": {"containers": [{"name": "a", "shell": "true"}]}}},
        });
        validate(&service, None, &mut errors);
        errors.iter().map(FieldError::to_string).collect()
    }

    #[test]
    fn surge_and_unavailable_cannot_both_be_nothing() {
        assert_eq!(errors_of(json!({"maxSurge": 0, "maxUnavailable": 1})), Vec::<String>::new());
        assert_eq!(
            errors_of(json!({"maxSurge": 0, "maxUnavailable": "0%"})),
            [r#"spec.update.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0"#]
        );
        assert_eq!(errors_of(json!({"maxSurge": "lots"})).len(), 1);
        assert_eq!(errors_of(json!({"maxSurge": -1})).len(), 1);
    }
}
