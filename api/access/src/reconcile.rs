//! How the default roles and bindings are brought back at start: what is missing is added, what somebody added stays.

use serde_json::{Map, Value, json};

use crate::ANNOTATION_AUTOUPDATE;
use crate::covers::covers;
use crate::objects::{Binding, Metadata, Role};

/// What is to be done about an object that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It has all that it must have, or somebody asked that it be left alone.
    Nothing,
    /// A JSON merge patch that adds what is missing.
    Patch(Value),
    /// It binds another role, which cannot be changed: delete it and make it anew.
    Replace,
}

/// What is missing in a role. `None` for an expected aggregation removes one that is there: it would overwrite the
/// rules.
pub fn reconcile_role(existing: &Role, expected: &Role) -> Step {
    if is_protected(&existing.metadata) {
        return Step::Nothing;
    }
    let mut patch = metadata_patch(&existing.metadata, &expected.metadata);
    let missing = covers(&existing.rules, &expected.rules);
    if !missing.is_empty() {
        patch.insert("rules".to_owned(), json!([&existing.rules[..], &missing[..]].concat()));
    }
    match (&existing.aggregation_rule, &expected.aggregation_rule) {
        (Some(_), None) => {
            patch.insert("aggregationRule".to_owned(), Value::Null);
        }
        (there, Some(wanted)) => {
            let mut selectors = there.clone().unwrap_or_default().cluster_role_selectors;
            let before = selectors.len();
            for selector in &wanted.cluster_role_selectors {
                if !selectors.contains(selector) {
                    selectors.push(selector.clone());
                }
            }
            if selectors.len() > before {
                patch.insert("aggregationRule".to_owned(), json!({ "clusterRoleSelectors": selectors }));
            }
        }
        (None, None) => {}
    }
    step(patch)
}

/// What is missing in a binding.
pub fn reconcile_binding(existing: &Binding, expected: &Binding) -> Step {
    if is_protected(&existing.metadata) {
        return Step::Nothing;
    }
    if existing.role_ref != expected.role_ref {
        return Step::Replace;
    }
    let mut patch = metadata_patch(&existing.metadata, &expected.metadata);
    let mut subjects = existing.subjects.clone();
    for subject in &expected.subjects {
        if !subjects.contains(subject) {
            subjects.push(subject.clone());
        }
    }
    if subjects.len() > existing.subjects.len() {
        patch.insert("subjects".to_owned(), json!(subjects));
    }
    step(patch)
}

fn is_protected(metadata: &Metadata) -> bool {
    metadata.annotations.get(ANNOTATION_AUTOUPDATE).is_some_and(|value| value == "false")
}

/// Labels and annotations that are missing; one that is there keeps its value.
fn metadata_patch(existing: &Metadata, expected: &Metadata) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (field, there, wanted) in
        [("labels", &existing.labels, &expected.labels), ("annotations", &existing.annotations, &expected.annotations)]
    {
        let missing: Map<String, Value> =
            wanted.iter().filter(|(key, _)| !there.contains_key(*key)).map(|(k, v)| (k.clone(), json!(v))).collect();
        if !missing.is_empty() {
            metadata.insert(field.to_owned(), Value::Object(missing));
        }
    }
    let mut patch = Map::new();
    if !metadata.is_empty() {
        patch.insert("metadata".to_owned(), Value::Object(metadata));
    }
    patch
}

fn step(patch: Map<String, Value>) -> Step {
    if patch.is_empty() { Step::Nothing } else { Step::Patch(Value::Object(patch)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;
    use crate::objects::{RoleRef, Subject};
    use crate::policy::PolicyRule;

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        for role in defaults::cluster_roles() {
            assert_eq!(reconcile_role(&role, &role), Step::Nothing, "{}", role.metadata.name);
        }
        for binding in defaults::cluster_role_bindings() {
            assert_eq!(reconcile_binding(&binding, &binding), Step::Nothing);
        }
    }

    #[test]
    fn missing_rules_are_added_and_extra_ones_stay() {
        let (a, b) = (PolicyRule::on("", &["a"], &["get"]), PolicyRule::on("", &["b"], &["get"]));
        let existing = Role { rules: vec![a.clone()], ..Role::default() };
        let expected = Role { rules: vec![b.clone()], ..Role::default() };
        assert_eq!(reconcile_role(&existing, &expected), Step::Patch(json!({"rules": [a, b]})));
    }

    #[test]
    fn an_annotation_keeps_the_server_from_mending() {
        let mut existing = Role::default();
        existing.metadata.annotations.insert(ANNOTATION_AUTOUPDATE.to_owned(), "false".to_owned());
        let expected = Role { rules: vec![PolicyRule::on("", &["b"], &["get"])], ..Role::default() };
        assert_eq!(reconcile_role(&existing, &expected), Step::Nothing);
    }

    #[test]
    fn a_binding_gets_its_missing_subjects_or_is_made_anew() {
        let expected =
            Binding { subjects: vec![Subject::group("g")], role_ref: RoleRef::cluster_role("r"), ..Binding::default() };
        let existing = Binding { subjects: vec![Subject::user("u")], ..expected.clone() };
        let patch = json!({"subjects": [Subject::user("u"), Subject::group("g")]});
        assert_eq!(reconcile_binding(&existing, &expected), Step::Patch(patch));
        let other = Binding { role_ref: RoleRef::cluster_role("x"), ..expected.clone() };
        assert_eq!(reconcile_binding(&other, &expected), Step::Replace);
    }
}
