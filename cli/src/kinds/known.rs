//! The kinds that every server of ours serves, so that common commands need no discovery.

use std::sync::LazyLock;

use berth_client::Resource;

/// Group, kind, plural, short names, namespaced, in `all`.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str], bool, bool);

/// Ours first: they win over others of the same name.
const ROWS: &[Row] = &[
    ("berth.dev", "Service", "services", &["svc"], true, true),
    ("berth.dev", "Task", "tasks", &["t"], true, true),
    ("berth.dev", "Job", "jobs", &[], true, true),
    ("berth.dev", "JobRun", "jobruns", &["jr"], true, true),
    ("berth.dev", "Node", "nodes", &["no"], false, false),
    ("berth.dev", "Role", "roles", &[], false, false),
    ("berth.dev", "Revision", "revisions", &["rev"], true, false),
    ("berth.dev", "Volume", "volumes", &["vol"], true, false),
    ("berth.dev", "Package", "packages", &["pkg"], true, false),
    ("", "Namespace", "namespaces", &["ns"], false, false),
    ("", "Secret", "secrets", &[], true, false),
    ("", "ConfigMap", "configmaps", &["cm"], true, false),
    ("", "Event", "events", &["ev"], true, false),
    ("coordination.k8s.io", "Lease", "leases", &[], true, false),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"], false, false),
];

/// The table.
pub(crate) fn known() -> &'static [Resource] {
    static KNOWN: LazyLock<Vec<Resource>> = LazyLock::new(|| ROWS.iter().map(resource).collect());
    &KNOWN
}

/// One of ours by its kind.
pub(crate) fn ours(kind: &str) -> &'static Resource {
    known().iter().find(|r| r.kind == kind).expect("callers name kinds of the table above")
}

fn resource((group, kind, plural, short, namespaced, in_all): &Row) -> Resource {
    Resource {
        group: (*group).to_owned(),
        version: "v1".to_owned(),
        kind: (*kind).to_owned(),
        plural: (*plural).to_owned(),
        singular: kind.to_lowercase(),
        short_names: short.iter().map(|s| (*s).to_owned()).collect(),
        categories: in_all.then(|| "all".to_owned()).into_iter().collect(),
        namespaced: *namespaced,
        verbs: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_definitions_say() {
        for crd in berth_types::crds::all() {
            let names = &crd.spec.names;
            let row = ours(&names.kind);
            assert_eq!(row.plural, names.plural);
            assert_eq!(Some(&row.singular), names.singular.as_ref());
            assert_eq!(row.short_names, names.short_names.clone().unwrap_or_default(), "{}", row.kind);
            assert_eq!(row.namespaced, crd.spec.scope == "Namespaced");
            let in_all = names.categories.iter().flatten().any(|c| c == "all");
            assert_eq!(!row.categories.is_empty(), in_all, "{}", row.kind);
        }
    }
}
