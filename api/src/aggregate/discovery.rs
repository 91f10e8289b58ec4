//! What others serve, among what is served here: one list for whoever asks what there is.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::{find, priority, table};
use crate::inner::Inner;
use crate::registry::{Rows, version_rank};

/// Resources of one group and version that are shown.
const RESOURCES_MAX: usize = 2_000;

/// The versions of every group, the best first, groups by their priority and then by name.
pub(crate) fn groups(server: &Inner, rows: &Rows) -> Vec<(String, Vec<String>)> {
    let table = table(server);
    let local = rows.groups();
    if table.remotes.is_empty() {
        return local;
    }
    // By group: its priority, and its versions with theirs.
    let mut all: HashMap<String, (i64, HashMap<String, i64>)> = HashMap::new();
    for (group, versions) in local {
        for version in versions {
            let (of_group, of_version) = priority::of(&group, &version);
            let (highest, known) = all.entry(group.clone()).or_default();
            *highest = of_group.max(*highest);
            known.insert(version, of_version);
        }
    }
    for remote in &table.remotes {
        let (highest, known) = all.entry(remote.group.clone()).or_default();
        *highest = remote.group_priority.max(*highest);
        known.insert(remote.version.clone(), remote.version_priority);
    }
    let mut groups: Vec<_> = all.into_iter().collect();
    groups.sort_by(|(a, (rank_a, _)), (b, (rank_b, _))| (Reverse(rank_a), a).cmp(&(Reverse(rank_b), b)));
    groups
        .into_iter()
        .map(|(group, (_, versions))| {
            let mut versions: Vec<_> = versions.into_iter().collect();
            versions.sort_by_key(|(version, rank)| Reverse((*rank, version_rank(version))));
            (group, versions.into_iter().map(|(version, _)| version).collect())
        })
        .collect()
}

/// A version that another server serves, as the aggregated document shows it; `None` when it is served here.
pub(crate) fn version(server: &Inner, group: &str, version: &str) -> Option<Value> {
    let remote = find(server, group, version)?;
    let learned = server.aggregate.learned(&remote.name);
    let freshness = if remote.available && learned.is_some() { "Current" } else { "Stale" };
    let mut shown = json!({"version": version, "freshness": freshness});
    if let Some(learned) = learned {
        shown["resources"] = Value::Array(learned.resources.clone());
    }
    Some(shown)
}

/// The resources of an APIResourceList, as the aggregated document shows them.
pub(super) fn from_list(list: &Value, group: &str, version: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for resource in list["resources"].as_array().into_iter().flatten().take(RESOURCES_MAX) {
        let Some(name) = resource["name"].as_str() else { continue };
        let own = |field: &str, otherwise: &str| resource[field].as_str().unwrap_or(otherwise).to_owned();
        let kind = json!({"group": own("group", group), "version": own("version", version), "kind": own("kind", "")});
        let verbs = if resource["verbs"].is_array() { resource["verbs"].clone() } else { json!([]) };
        let scope = if resource["namespaced"] == true { "Namespaced" } else { "Cluster" };
        let (parent, subresource) = match name.split_once('/') {
            Some((parent, subresource)) => (parent, Some(subresource)),
            None => (name, None),
        };
        let place = *places.entry(parent).or_insert_with(|| {
            // A subresource may come before its resource, or without it.
            found.push(
                json!({"resource": parent, "responseKind": {}, "scope": scope, "singularResource": "", "verbs": []}),
            );
            found.len() - 1
        });
        let shown = &mut found[place];
        if let Some(subresource) = subresource {
            let entry = json!({"subresource": subresource, "responseKind": kind, "verbs": verbs});
            match shown["subresources"].as_array_mut() {
                Some(all) => all.push(entry),
                None => shown["subresources"] = json!([entry]),
            }
            continue;
        }
        shown["responseKind"] = kind;
        shown["scope"] = scope.into();
        shown["singularResource"] = own("singularName", "").into();
        shown["verbs"] = verbs;
        for field in ["shortNames", "categories"] {
            if resource[field].as_array().is_some_and(|all| !all.is_empty()) {
                shown[field] = resource[field].clone();
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_resources_becomes_a_tree() {
        let list = json!({"resources": [
            {"name": "toys/status", "singularName": "", "namespaced": true, "kind": "Toy", "verbs": ["get"]},
            {"name": "toys", "singularName": "toy", "namespaced": true, "kind": "Toy", "verbs": ["get", "list"],
                "shortNames": ["ty"]},
            {"name": "toys/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1",
                "kind": "Scale", "verbs": ["get"]},
            {"name": "lone/start", "singularName": "", "namespaced": false, "kind": "Start", "verbs": ["create"]},
        ]});
        let kind = |group, version, kind| json!({"group": group, "version": version, "kind": kind});
        assert_eq!(
            Value::Array(from_list(&list, "toys.example", "v1")),
            json!([
                {"resource": "toys", "responseKind": kind("toys.example", "v1", "Toy"), "scope": "Namespaced",
                    "singularResource": "toy", "verbs": ["get", "list"], "shortNames": ["ty"], "subresources": [
                        {"subresource": "status", "responseKind": kind("toys.example", "v1", "Toy"), "verbs": ["get"]},
                        {"subresource": "scale", "responseKind": kind("autoscaling", "v1", "Scale"), "verbs": ["get"]}]},
                {"resource": "lone", "responseKind": {}, "scope": "Cluster", "singularResource": "", "verbs": [],
                    "subresources": [{"subresource": "start", "verbs": ["create"],
                        "responseKind": kind("toys.example", "v1", "Start")}]},
            ])
        );
    }
}
