//! Roles for people and for what they run: cluster-admin, superuser, admin, edit, view.

use super::{READ, READ_WRITE, WRITE, labels, role};
use crate::objects::{AggregationRule, LabelSelector, Role};
use crate::policy::PolicyRule;

/// The group of our own kinds.
const BERTH: &str = "berth.dev";
/// What people make, in a namespace.
const WORKLOADS: &[&str] = &["services", "services/scale", "jobs", "jobruns", "tasks", "volumes", "packages"];
/// What the system writes about it.
const REPORTS: &[&str] = &[
    "services/status",
    "jobs/status",
    "jobruns/status",
    "tasks/status",
    "tasks/log",
    "volumes/status",
    "packages/status",
    "revisions",
    "revisions/status",
];

pub(super) fn roles() -> Vec<Role> {
    vec![
        role("cluster-admin", everything()),
        // The same under DC/OS's name, so that it can be given and taken away apart from the administrators'.
        role("superuser", everything()),
        aggregated("admin", None),
        aggregated("edit", Some("admin")),
        aggregated("view", Some("edit")),
        part("admin", admin()),
        part("edit", edit()),
        part("view", view()),
    ]
}

fn everything() -> Vec<PolicyRule> {
    crate::full_authority().to_vec()
}

/// A role that gathers all with the label `aggregate-to-NAME`, and is itself gathered by `into`.
fn aggregated(name: &str, into: Option<&str>) -> Role {
    let selector =
        LabelSelector { match_labels: [(label(name), "true".to_owned())].into(), ..LabelSelector::default() };
    let mut made = role(name, Vec::new());
    made.aggregation_rule = Some(AggregationRule { cluster_role_selectors: vec![selector] });
    if let Some(into) = into {
        made.metadata.labels = labels(&[(&label(into), "true")]);
    }
    made
}

/// What we give to `admin`, `edit` or `view`; plugins give theirs by the same label.
fn part(to: &str, rules: Vec<PolicyRule>) -> Role {
    let mut made = role(&format!("system:aggregate-to-{to}"), rules);
    made.metadata.labels = labels(&[(&label(to), "true")]);
    made
}

fn label(to: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{to}")
}

/// Looks at everything in a namespace but secrets, with which more could be done than look.
fn view() -> Vec<PolicyRule> {
    vec![
        PolicyRule::on("", &["configmaps", "serviceaccounts"], READ),
        PolicyRule::on(
            "",
            &["events", "limitranges", "namespaces", "namespaces/status", "resourcequotas", "resourcequotas/status"],
            READ,
        ),
        PolicyRule::on("events.k8s.io", &["events"], READ),
        PolicyRule::on(BERTH, WORKLOADS, READ),
        PolicyRule::on(BERTH, REPORTS, READ),
    ]
}

/// Changes what runs in a namespace. A namespace's service accounts are within reach of whoever starts tasks there.
fn edit() -> Vec<PolicyRule> {
    vec![
        PolicyRule::on("", &["secrets"], READ),
        PolicyRule::on("", &["serviceaccounts"], &["impersonate"]),
        PolicyRule::on("", &["configmaps", "events", "secrets", "serviceaccounts"], WRITE),
        PolicyRule::on("events.k8s.io", &["events"], WRITE),
        PolicyRule::on("", &["serviceaccounts/token"], &["create"]),
        PolicyRule::on("coordination.k8s.io", &["leases"], READ_WRITE),
        PolicyRule::on(BERTH, WORKLOADS, WRITE),
        PolicyRule::on(BERTH, &["tasks/exec"], &["get", "create"]),
    ]
}

/// Gives rights on, within a namespace.
fn admin() -> Vec<PolicyRule> {
    vec![
        PolicyRule::on("authorization.k8s.io", &["localsubjectaccessreviews"], &["create"]),
        PolicyRule::on(crate::GROUP, &["rolebindings", "roles"], READ_WRITE),
    ]
}
