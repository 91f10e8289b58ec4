//! Rules of roles and bindings that their schemas cannot say: kube-apiserver's, in its words.

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::{CUSTOM, Strategy};

/// The group of roles and bindings.
const GROUP: &str = berth_access::GROUP;

pub(super) static ROLE: Strategy = Strategy { validate: validate_role, ..CUSTOM };

pub(super) static CLUSTER_ROLE: Strategy = Strategy { validate: validate_cluster_role, ..CUSTOM };

pub(super) static BINDING: Strategy = Strategy {
    prepare_create: prepare_binding,
    prepare_update: |new, _| prepare_binding(new),
    validate: validate_binding,
    ..CUSTOM
};

/// A Role: rules of one namespace, which has no paths.
fn validate_role(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    rules(new, true, errors);
}

/// A ClusterRole.
fn validate_cluster_role(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    rules(new, false, errors);
    let Some(aggregation) = new.get("aggregationRule").filter(|rule| !rule.is_null()) else { return };
    let selectors = list(aggregation, "clusterRoleSelectors");
    if selectors.is_empty() {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(FieldError::required("aggregationRule.clusterRoleSelectors", why));
    }
    for (place, selector) in selectors.iter().enumerate() {
        label_selector(selector, &format!("aggregationRule.clusterRoleSelectors[{place}]"), errors);
    }
}

fn rules(role: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    for (place, rule) in list(role, "rules").iter().enumerate() {
        policy_rule(rule, namespaced, &format!("rules[{place}]"), errors);
    }
}

fn policy_rule(rule: &Value, namespaced: bool, path: &str, errors: &mut Vec<FieldError>) {
    let has = |field: &str| !list(rule, field).is_empty();
    if !has("verbs") {
        errors.push(FieldError::required(format!("{path}.verbs"), "verbs must contain at least one value"));
    }
    if has("nonResourceURLs") {
        let field = format!("{path}.nonResourceURLs");
        let mut wrong = |why| errors.push(FieldError::invalid(field.as_str(), &rule["nonResourceURLs"], why));
        if namespaced {
            wrong("namespaced rules cannot apply to non-resource URLs");
        }
        if has("apiGroups") || has("resources") || has("resourceNames") {
            wrong("rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if !has("apiGroups") {
        let why = "resource rules must supply at least one api group";
        errors.push(FieldError::required(format!("{path}.apiGroups"), why));
    }
    if !has("resources") {
        let why = "resource rules must supply at least one resource";
        errors.push(FieldError::required(format!("{path}.resources"), why));
    }
}

/// Fills in the API group of the role and of users and groups, as clients may leave it out.
fn prepare_binding(binding: &mut Value) {
    if let Some(role) = binding.get_mut("roleRef").and_then(Value::as_object_mut)
        && role.get("apiGroup").and_then(Value::as_str).unwrap_or_default().is_empty()
    {
        role.insert("apiGroup".into(), GROUP.into());
    }
    for subject in binding.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_ours = matches!(subject["kind"].as_str(), Some("User" | "Group"));
        if is_ours
            && text(subject, "apiGroup").is_empty()
            && let Some(subject) = subject.as_object_mut()
        {
            subject.insert("apiGroup".into(), GROUP.into());
        }
    }
}

/// A RoleBinding (it has a namespace) or a ClusterRoleBinding.
fn validate_binding(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let namespaced = !text(&new["metadata"], "namespace").is_empty();
    let role = &new["roleRef"];
    if text(role, "apiGroup") != GROUP {
        errors.push(FieldError::not_supported("roleRef.apiGroup", &json!(text(role, "apiGroup")), [&json!(GROUP)]));
    }
    let kinds: &[Value] =
        &if namespaced { vec![json!("ClusterRole"), json!("Role")] } else { vec![json!("ClusterRole")] };
    if !kinds.iter().any(|kind| kind == text(role, "kind")) {
        errors.push(FieldError::not_supported("roleRef.kind", &json!(text(role, "kind")), kinds));
    }
    match text(role, "name") {
        "" => errors.push(FieldError::required("roleRef.name", "")),
        name => {
            for why in path_segment_problems(name) {
                errors.push(FieldError::invalid("roleRef.name", &json!(name), &why));
            }
        }
    }
    for (place, one) in list(new, "subjects").iter().enumerate() {
        subject(one, namespaced, &format!("subjects[{place}]"), errors);
    }
    if let Some(old) = old
        && ["apiGroup", "kind", "name"].iter().any(|field| text(&old["roleRef"], field) != text(role, field))
    {
        errors.push(FieldError::invalid("roleRef", role, "cannot change roleRef"));
    }
}

fn subject(subject: &Value, namespaced: bool, path: &str, errors: &mut Vec<FieldError>) {
    let (kind, name, group) = (text(subject, "kind"), text(subject, "name"), text(subject, "apiGroup"));
    let at = |field: &str| format!("{path}.{field}");
    if name.is_empty() {
        errors.push(FieldError::required(at("name"), ""));
    }
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() && !is_subdomain(name) {
                errors.push(FieldError::invalid(at("name"), &json!(name), SUBDOMAIN));
            }
            if !group.is_empty() {
                errors.push(FieldError::not_supported(at("apiGroup"), &json!(group), [&json!("")]));
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.push(FieldError::required(at("namespace"), ""));
            }
        }
        "User" | "Group" => {
            if name.is_empty() {
                let why = format!("{} name cannot be empty", kind.to_lowercase());
                errors.push(FieldError::invalid(at("name"), &json!(name), &why));
            }
            if group != GROUP {
                errors.push(FieldError::not_supported(at("apiGroup"), &json!(group), [&json!(GROUP)]));
            }
        }
        other => {
            let kinds = [json!("Group"), json!("ServiceAccount"), json!("User")];
            errors.push(FieldError::not_supported(at("kind"), &json!(other), &kinds));
        }
    }
}

/// The members of a Role of `berth.dev`: a service account lies in a namespace, others lie in none.
pub(super) fn validate_members(role: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    for (place, member) in list(&role["spec"], "members").iter().enumerate() {
        let field = format!("spec.members[{place}].namespace");
        let has_namespace = !text(member, "namespace").is_empty();
        match text(member, "kind") {
            "ServiceAccount" if !has_namespace => {
                errors.push(FieldError::required(field, "a service account lies in a namespace"));
            }
            "ServiceAccount" => {}
            kind if has_namespace => {
                errors.push(FieldError::forbidden(field, &format!("a {kind} lies in no namespace")));
            }
            _ => {}
        }
    }
}

/// What keeps a name from being a part of a path; names of roles and bindings are nothing else.
fn path_segment_problems(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].iter().filter(|bad| name.contains(**bad)).map(|bad| format!("may not contain '{bad}'")).collect()
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
     with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn is_subdomain(name: &str) -> bool {
    let fits = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(fits)
}

fn label_selector(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (place, demand) in list(selector, "matchExpressions").iter().enumerate() {
        let at = |field: &str| format!("{path}.matchExpressions[{place}].{field}");
        let has_values = !list(demand, "values").is_empty();
        match text(demand, "operator") {
            "In" | "NotIn" if !has_values => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(at("values"), why));
            }
            "Exists" | "DoesNotExist" if has_values => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(at("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(at("operator"), &json!(other), "not a valid selector operator"));
            }
        }
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(
        validate: fn(&Value, Option<&Value>, &mut Vec<FieldError>),
        new: Value,
        old: Option<Value>,
    ) -> Vec<String> {
        let mut errors = Vec::new();
        validate(&new, old.as_ref(), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_say_what_they_are_about() {
        assert_eq!(
            problems(validate_role, json!({"rules": [{}]}), None),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ]
        );
        let paths = json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]});
        assert_eq!(
            problems(validate_role, paths.clone(), None),
            [r#"rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#]
        );
        assert_eq!(problems(validate_cluster_role, paths, None), [""; 0]);
        let both = json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["a"]}]});
        assert!(
            problems(validate_cluster_role, both, None)[0].ends_with("both regular resources and non-resource URLs")
        );
        assert_eq!(
            problems(validate_cluster_role, json!({"aggregationRule": {}}), None),
            [
                "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"
            ]
        );
    }

    #[test]
    fn a_binding_names_a_role_and_subjects() {
        let mut binding = json!({
            "metadata": {"namespace": "a"}, "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "bot"}],
        });
        prepare_binding(&mut binding);
        assert_eq!(binding["subjects"][0]["apiGroup"], GROUP);
        assert_eq!(binding["subjects"][1].get("apiGroup"), None);
        assert_eq!(problems(validate_binding, binding.clone(), None), [""; 0]);
        let mut changed = binding.clone();
        changed["roleRef"]["name"] = json!("s");
        let found = problems(validate_binding, changed, Some(binding.clone()));
        assert!(found[0].ends_with("cannot change roleRef") && found.len() == 1, "{found:?}");
        binding["metadata"] = json!({});
        let found = problems(validate_binding, binding, None);
        assert_eq!(
            found,
            [
                r#"roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole""#,
                "subjects[1].namespace: Required value"
            ]
        );
        let odd = json!({"roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "a/b"}, "subjects": [{"kind": "X", "name": "y"}]});
        assert_eq!(
            problems(validate_binding, odd, None),
            [
                r#"roleRef.name: Invalid value: "a/b": may not contain '/'"#,
                r#"subjects[0].kind: Unsupported value: "X": supported values: "Group", "ServiceAccount", "User""#,
            ]
        );
    }
}
