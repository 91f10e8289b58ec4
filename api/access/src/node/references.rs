//! Which objects a task names, wherever in its spec.

use serde_json::Value;

/// A kind of object that a task can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Secret,
    ConfigMap,
    ServiceAccount,
    Volume,
}

/// Whether a task's spec names the object. Names that are not set are the empty string, which names nothing.
pub fn names(spec: &Value, kind: Kind, name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    match kind {
        Kind::ServiceAccount => {
            // A task that names none acts under the namespace's own.
            let named = ["serviceAccountName", "serviceAccount"]
                .iter()
                .find_map(|field| spec[*field].as_str().filter(|text| !text.is_empty()));
            named.unwrap_or("default") == name
        }
        Kind::Secret => {
            let pulls = spec["imagePullSecrets"].as_array().into_iter().flatten().any(|item| item["name"] == name);
            pulls || mentions(spec, Kind::Secret, name)
        }
        Kind::ConfigMap | Kind::Volume => mentions(spec, kind, name),
    }
}

/// Environment variables, volumes and projected volumes, of all containers.
fn mentions(value: &Value, kind: Kind, name: &str) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(field, value)| match (kind, field.as_str()) {
            (Kind::Secret, "secretKeyRef" | "secretRef") => value["name"] == name,
            // `secretName` in a volume, `name` in a source of a projected one.
            (Kind::Secret, "secret") => value["secretName"] == name || value["name"] == name,
            (Kind::ConfigMap, "configMapKeyRef" | "configMapRef" | "configMap") => value["name"] == name,
            (Kind::Volume, "volume" | "persistentVolumeClaim") => value["name"] == name || value["claimName"] == name,
            _ => mentions(value, kind, name),
        }),
        Value::Array(items) => items.iter().any(|item| mentions(item, kind, name)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_name_a_secret_counts() {
        let spec = json!({
            "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}],
                            "envFrom": [{"secretRef": {"name": "b"}}, {"configMapRef": {"name": "m"}}]}],
            "volumes": [{"secret": {"secretName": "c"}}, {"configMap": {"name": "n"}},
                        {"projected": {"sources": [{"secret": {"name": "d"}}, {"configMap": {"name": "o"}}]}}],
            "imagePullSecrets": [{"name": "e"}],
        });
        for name in ["a", "b", "c", "d", "e"] {
            assert!(names(&spec, Kind::Secret, name), "{name}");
            assert!(!names(&spec, Kind::ConfigMap, name), "{name}");
        }
        for name in ["m", "n", "o"] {
            assert!(names(&spec, Kind::ConfigMap, name), "{name}");
            assert!(!names(&spec, Kind::Secret, name), "{name}");
        }
        assert!(!names(&spec, Kind::Secret, ""));
    }

    #[test]
    fn a_task_without_a_service_account_acts_under_the_default_one() {
        assert!(names(&json!({}), Kind::ServiceAccount, "default"));
        assert!(!names(&json!({"serviceAccountName": "x"}), Kind::ServiceAccount, "default"));
        assert!(names(&json!({"serviceAccount": "x"}), Kind::ServiceAccount, "x"));
    }
}
