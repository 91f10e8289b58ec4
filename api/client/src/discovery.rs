//! Which kinds the server serves, in the order in which it prefers them.

use serde_json::Value;

use crate::error::ClientError;
use crate::resource::Resource;
use crate::retry::Retry;
use crate::session::{JSON, Session};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// All kinds, by groups in the server's order. Two requests where the server aggregates, else one a group version.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub async fn discover(session: &Session) -> Result<Vec<Resource>, ClientError> {
    let mut all = Vec::new();
    for root in ["/apis", "/api"] {
        let reply = session.read(root, AGGREGATED, Retry::READ).await?;
        if reply.body["kind"] == "APIGroupDiscoveryList" {
            all.extend(aggregated(&reply.body));
            continue;
        }
        for (group, version) in group_versions(&reply.body) {
            let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            let list = session.read(&path, JSON, Retry::READ).await?.body;
            all.extend(listed(&group, &version, &list));
        }
    }
    Ok(all)
}

fn aggregated(document: &Value) -> Vec<Resource> {
    let mut all = Vec::new();
    for group in items(&document["items"]) {
        let name = text(&group["metadata"]["name"]);
        // The first version is the preferred one; the others are the same kinds again.
        let Some(version) = items(&group["versions"]).first() else { continue };
        for resource in items(&version["resources"]) {
            all.push(Resource {
                group: name.clone(),
                version: text(&version["version"]),
                kind: text(&resource["responseKind"]["kind"]),
                plural: text(&resource["resource"]),
                singular: text(&resource["singularResource"]),
                short_names: texts(&resource["shortNames"]),
                categories: texts(&resource["categories"]),
                namespaced: resource["scope"] == "Namespaced",
                verbs: texts(&resource["verbs"]),
            });
        }
    }
    all
}

fn group_versions(document: &Value) -> Vec<(String, String)> {
    if let Some(versions) = document["versions"].as_array() {
        return versions.iter().map(|v| (String::new(), text(v))).collect();
    }
    let groups = items(&document["groups"]);
    groups.iter().map(|g| (text(&g["name"]), text(&g["preferredVersion"]["version"]))).collect()
}

fn listed(group: &str, version: &str, document: &Value) -> Vec<Resource> {
    let resources = items(&document["resources"]).iter();
    let whole = resources.filter(|r| !r["name"].as_str().unwrap_or_default().contains('/'));
    whole
        .map(|resource| Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(&resource["kind"]),
            plural: text(&resource["name"]),
            singular: text(&resource["singularName"]),
            short_names: texts(&resource["shortNames"]),
            categories: texts(&resource["categories"]),
            namespaced: resource["namespaced"] == true,
            verbs: texts(&resource["verbs"]),
        })
        .collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_discovery_give_the_same_row() {
        let new = serde_json::json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "berth.dev"},
            "versions": [{"version": "v1", "resources": [{"resource": "services", "responseKind": {"kind": "Service"},
            "scope": "Namespaced", "singularResource": "service", "shortNames": ["svc"], "categories": ["all"],
            "verbs": ["get"]}]}]}]});
        let old = serde_json::json!({"resources": [
            {"name": "services", "kind": "Service", "singularName": "service", "namespaced": true,
             "shortNames": ["svc"], "categories": ["all"], "verbs": ["get"]},
            {"name": "services/status", "kind": "Service", "namespaced": true}]});
        assert_eq!(aggregated(&new), listed("berth.dev", "v1", &old));
    }
}
