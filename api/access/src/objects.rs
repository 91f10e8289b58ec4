//! The four kinds, as far as decisions need them. What else an object carries stays in the store's copy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{PolicyRule, null_is_empty};

/// The part of `metadata` that is looked at here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Namespace; "" for the two kinds without.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Labels.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A Role (with a namespace) or a ClusterRole (without).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Name and namespace.
    #[serde(default)]
    pub metadata: Metadata,
    /// What the role allows; for an aggregated one, what the controller gathered.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub rules: Vec<PolicyRule>,
    /// Which other ClusterRoles' rules this one gathers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_rule: Option<AggregationRule>,
}

/// Which ClusterRoles' rules are gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AggregationRule {
    /// Any of these.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub cluster_role_selectors: Vec<LabelSelector>,
}

/// A RoleBinding (with a namespace) or a ClusterRoleBinding (without).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Name and namespace.
    #[serde(default)]
    pub metadata: Metadata,
    /// Who gets it.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
    /// What they get.
    #[serde(default)]
    pub role_ref: RoleRef,
}

/// One who gets a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// User, Group or ServiceAccount.
    #[serde(default)]
    pub kind: String,
    /// The group of the kind: ours for users and groups, "" for service accounts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Namespace of a service account; the binding's unless told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl Subject {
    /// A user, by name.
    pub fn user(name: &str) -> Self {
        Self { kind: "User".to_owned(), api_group: crate::GROUP.to_owned(), name: name.to_owned(), ..Self::default() }
    }

    /// A group, by name.
    pub fn group(name: &str) -> Self {
        Self { kind: "Group".to_owned(), ..Self::user(name) }
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            ..Self::default()
        }
    }
}

/// The role that a binding gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRef {
    /// Always [`GROUP`](crate::GROUP).
    #[serde(default)]
    pub api_group: String,
    /// Role or ClusterRole.
    #[serde(default)]
    pub kind: String,
    /// Name.
    #[serde(default)]
    pub name: String,
}

impl RoleRef {
    /// A ClusterRole, by name.
    pub fn cluster_role(name: &str) -> Self {
        Self { api_group: crate::GROUP.to_owned(), kind: "ClusterRole".to_owned(), name: name.to_owned() }
    }

    /// A Role of the binding's namespace, by name.
    pub fn role(name: &str) -> Self {
        Self { kind: "Role".to_owned(), ..Self::cluster_role(name) }
    }
}

/// Which labels an object must have. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with these very values.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further demands.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One demand on one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// The label.
    #[serde(default)]
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    #[serde(default)]
    pub operator: String,
    /// Values for In and NotIn.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl LabelSelector {
    /// Whether the labels are what is asked for. An operator that is not known selects nothing.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|demand| demand.is_met(labels))
    }
}

impl LabelSelectorRequirement {
    fn is_met(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => !value.is_some_and(|value| self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select_by_labels_and_expressions() {
        let selector: LabelSelector = serde_json::from_str(
            r#"{"matchLabels":{"a":"1"},"matchExpressions":[{"key":"b","operator":"NotIn","values":["x"]},{"key":"c","operator":"Exists"}]}"#,
        )
        .unwrap();
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert!(selector.selects(&labels(&[("a", "1"), ("c", "")])));
        assert!(!selector.selects(&labels(&[("a", "1"), ("b", "x"), ("c", "")])));
        assert!(!selector.selects(&labels(&[("a", "2"), ("c", "")])));
        assert!(LabelSelector::default().selects(&labels(&[])));
    }

    #[test]
    fn a_binding_keeps_its_wire_form() {
        let text = r#"{"metadata":{"name":"b"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"a"}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}"#;
        let binding: Binding = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&binding).unwrap(), text);
    }
}
