//! Who may do what: roles and their bindings.

use berth_schema::table::Cells;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::Value;

use super::columns::{aged, items, name, named, text, wide, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::{NameRule, Rules};

const GROUP: &str = "rbac.authorization.k8s.io";

const RULES: Rules = Rules { name: NameRule::PathSegment, create_on_update: true, ..Rules::CORE };

/// A role or binding.
const KIND: CoreKind = CoreKind { group: GROUP, rules: RULES, ..BASE };

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            plural: "clusterrolebindings",
            kind: "ClusterRoleBinding",
            namespaced: false,
            schema: || schema::of::<ClusterRoleBinding>(GROUP, "ClusterRoleBinding"),
            columns: binding_columns,
            cells: BINDING_CELLS,
            ..KIND
        },
        CoreKind {
            plural: "clusterroles",
            kind: "ClusterRole",
            namespaced: false,
            schema: || schema::of::<ClusterRole>(GROUP, "ClusterRole"),
            ..KIND
        },
        CoreKind {
            plural: "rolebindings",
            kind: "RoleBinding",
            schema: || schema::of::<RoleBinding>(GROUP, "RoleBinding"),
            columns: binding_columns,
            cells: BINDING_CELLS,
            ..KIND
        },
        CoreKind { plural: "roles", kind: "Role", schema: || schema::of::<Role>(GROUP, "Role"), ..KIND },
    ]
}

fn binding_columns() -> Value {
    named(&[text("Role"), text("Age"), wide("Users"), wide("Groups"), wide("ServiceAccounts")])
}

const BINDING_CELLS: Cells = |object, now| {
    let role = &object["roleRef"];
    let subjects = |kind: &str| {
        let names: Vec<String> = items(&object["subjects"])
            .filter(|subject| word(subject, "kind") == kind)
            .map(|subject| match kind {
                "ServiceAccount" => format!("{}/{}", word(subject, "namespace"), word(subject, "name")),
                _ => word(subject, "name").to_owned(),
            })
            .collect();
        Value::from(names.join(", "))
    };
    vec![
        name(object),
        format!("{}/{}", word(role, "kind"), word(role, "name")).into(),
        aged(object, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
};
