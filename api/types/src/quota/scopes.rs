//! Which tasks a quota with scopes speaks of. Other kinds have no scopes: such a quota is not about them.

use serde_json::Value;

use super::usage::Counted;

/// Whether every scope of the quota holds for an object.
pub fn match_all(quota: &Value, counted: Counted<'_>, object: &Value) -> bool {
    let spec = &quota["spec"];
    let plain = spec["scopes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|scope| (scope, "Exists", &Value::Null));
    let terms = spec["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten();
    let terms =
        terms.filter_map(|term| Some((term["scopeName"].as_str()?, term["operator"].as_str()?, &term["values"])));
    plain
        .chain(terms)
        .all(|(scope, operator, values)| counted.is_task() && holds(scope, operator, values, &object["spec"]))
}

fn holds(scope: &str, operator: &str, values: &Value, spec: &Value) -> bool {
    let ends = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => is_best_effort(spec),
        "NotBestEffort" => !is_best_effort(spec),
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().filter(|class| !class.is_empty());
            let listed = || values.as_array().into_iter().flatten().any(|value| value.as_str() == class);
            match operator {
                "Exists" => class.is_some(),
                "DoesNotExist" => class.is_none(),
                "In" => class.is_some() && listed(),
                "NotIn" => class.is_none() || !listed(),
                _ => false,
            }
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(&spec["affinity"]),
        _ => false,
    }
}

/// No container asks for processor or memory.
fn is_best_effort(spec: &Value) -> bool {
    let containers =
        ["containers", "initContainers"].iter().flat_map(|kind| spec[*kind].as_array().into_iter().flatten());
    let mut asked = containers.flat_map(|container| {
        ["requests", "limits"]
            .into_iter()
            .flat_map(|kind| ["cpu", "memory"].map(|name| &container["resources"][kind][name]))
    });
    !asked.any(|amount| !amount.is_null())
}

fn crosses_namespaces(affinity: &Value) -> bool {
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let required =
            affinity[*kind]["requiredDuringSchedulingIgnoredDuringExecution"].as_array().into_iter().flatten();
        let preferred =
            affinity[*kind]["preferredDuringSchedulingIgnoredDuringExecution"].as_array().into_iter().flatten();
        let mut terms = required.chain(preferred.map(|weighted| &weighted["podAffinityTerm"]));
        terms.any(|term| {
            term["namespaces"].as_array().is_some_and(|names| !names.is_empty()) || !term["namespaceSelector"].is_null()
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TASKS: Counted<'static> = Counted { group: "berth.dev", plural: "tasks" };

    fn matches(quota: Value, spec: Value) -> bool {
        match_all(&json!({"spec": quota}), TASKS, &json!({"spec": spec}))
    }

    #[test]
    fn scopes_pick_tasks() {
        let idle = json!({"containers": [{"name": "a"}]});
        let busy = json!({"containers": [{"resources": {"limits": {"cpu": 1}}}], "activeDeadlineSeconds": 5,
            "priorityClassName": "high"});
        for (scopes, of_idle, of_busy) in [
            (json!([]), true, true),
            (json!(["BestEffort"]), true, false),
            (json!(["NotBestEffort", "Terminating"]), false, true),
            (json!(["NotTerminating"]), true, false),
            (json!(["PriorityClass"]), false, true),
        ] {
            assert_eq!(matches(json!({"scopes": scopes}), idle.clone()), of_idle, "{scopes}");
            assert_eq!(matches(json!({"scopes": scopes}), busy.clone()), of_busy, "{scopes}");
        }
        let term = |operator: &str| {
            json!({"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": ["high"]}]}})
        };
        assert!(matches(term("In"), busy.clone()) && !matches(term("In"), idle.clone()));
        assert!(!matches(term("NotIn"), busy) && matches(term("NotIn"), idle));
        let widgets = Counted { group: "g", plural: "widgets" };
        assert!(!match_all(&json!({"spec": {"scopes": ["BestEffort"]}}), widgets, &json!({})));
    }
}
