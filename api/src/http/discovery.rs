//! Discovery: which groups, versions and resources are served. Legacy documents, and the aggregated one.

use std::sync::Arc;

use base64::Engine;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use super::negotiate::entries;
use super::respond::{self, ApiResponse};
use crate::aggregate;
use crate::inner::Inner;
use crate::registry::{Resource, Rows, resource::api_version};
use crate::status::ApiError;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The paths that there are.
pub(super) fn root(server: &Inner) -> ApiResponse {
    let mut paths: Vec<String> = [
        "/api",
        "/api/v1",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    let rows = server.registry.rows();
    for (group, versions) in aggregate::discovery::groups(server, &rows).iter().filter(|(g, _)| !g.is_empty()) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|v| format!("/apis/{group}/{v}")));
    }
    paths.sort();
    respond::json(200, json!({ "paths": paths }).to_string())
}

/// `/api` and `/apis`.
pub(super) fn groups(server: &Inner, core: bool, headers: &HeaderMap) -> Result<ApiResponse, ApiError> {
    let rows = server.registry.snapshot();
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut only_aggregated = false;
    for entry in entries(accept) {
        if entry.param("as") == Some("APIGroupDiscoveryList") && entry.media == "application/json" {
            if entry.param("v") == Some("v2") {
                return Ok(aggregated(server, &rows, core, headers));
            }
            only_aggregated = true;
            continue;
        }
        if matches!(entry.media, "application/json" | "application/*" | "*/*") {
            only_aggregated = false;
            break;
        }
    }
    if only_aggregated {
        return Err(ApiError::not_acceptable(format!(
            "only the following media types are accepted: application/json, {AGGREGATED}"
        )));
    }
    if core {
        let versions = json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        });
        return Ok(respond::json(200, versions.to_string()));
    }
    let groups: Vec<Value> = aggregate::discovery::groups(server, &rows)
        .iter()
        .filter(|(g, _)| !g.is_empty())
        .map(|(group, versions)| group_value(group, versions))
        .collect();
    Ok(respond::json(200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}).to_string()))
}

fn group_value(group: &str, versions: &[String]) -> Value {
    let version = |v: &String| json!({"groupVersion": api_version(group, v), "version": v});
    json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

/// `/apis/{group}`.
pub(super) fn group(server: &Inner, group: &str) -> Result<ApiResponse, ApiError> {
    let groups = aggregate::discovery::groups(server, &server.registry.rows());
    let (group, versions) =
        groups.iter().find(|(g, _)| g == group && !g.is_empty()).ok_or_else(ApiError::page_not_found)?;
    let mut value = group_value(group, versions);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Ok(respond::json(200, value.to_string()))
}

/// `/api/v1` and `/apis/{group}/{version}`.
pub(super) fn group_version(server: &Inner, group: &str, version: &str) -> Result<ApiResponse, ApiError> {
    let rows = server.registry.snapshot();
    let resources = rows.version(group, version).ok_or_else(ApiError::page_not_found)?;
    let mut list = Vec::new();
    for row in resources.values() {
        let mut value = json!({
            "name": row.plural, "singularName": row.singular, "namespaced": row.namespaced,
            "kind": row.kind, "verbs": row.verbs(),
        });
        if !row.short_names.is_empty() {
            value["shortNames"] = json!(row.short_names);
        }
        if !row.categories.is_empty() {
            value["categories"] = json!(row.categories);
        }
        if !row.rules.create_only {
            value["storageVersionHash"] = storage_version_hash(row).into();
        }
        list.push(value);
        for sub in subresources(row) {
            let mut value = json!({
                "name": format!("{}/{}", row.plural, sub.name), "singularName": "", "namespaced": row.namespaced,
                "kind": sub.kind, "verbs": sub.verbs,
            });
            if sub.group != row.group {
                value["group"] = sub.group.into();
                value["version"] = sub.version.into();
            }
            list.push(value);
        }
    }
    let body = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": list,
    });
    Ok(respond::json(200, body.to_string()))
}

/// What changes when objects of a kind are stored in another version: eight bytes of a digest, as upstream makes them.
fn storage_version_hash(row: &Resource) -> String {
    let digest = Sha256::digest(format!("{}/{}", row.storage.api_version, row.kind));
    // The core group is written as an empty one.
    let digest = if row.group.is_empty() { Sha256::digest(format!("/{}/{}", row.version, row.kind)) } else { digest };
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

struct Subresource<'a> {
    name: &'a str,
    kind: &'a str,
    group: &'a str,
    version: &'a str,
    verbs: Vec<&'a str>,
}

fn subresources(row: &Resource) -> Vec<Subresource<'_>> {
    let changed = || vec!["get", "patch", "update"];
    let own = |name, verbs| Subresource { name, kind: &row.kind, group: &row.group, version: &row.version, verbs };
    let mut found = Vec::new();
    if row.has_status {
        found.push(own("status", changed()));
    }
    if row.scale.is_some() {
        found.push(Subresource { name: "scale", kind: "Scale", group: "autoscaling", version: "v1", verbs: changed() });
    }
    found.extend(row.other_subresources.iter().map(|(name, verbs)| match *name {
        "token" => Subresource {
            name,
            kind: "TokenRequest",
            group: "authentication.k8s.io",
            version: "v1",
            verbs: verbs.to_vec(),
        },
        _ => own(name, verbs.to_vec()),
    }));
    found
}

fn aggregated(server: &Inner, rows: &Arc<Rows>, core: bool, headers: &HeaderMap) -> ApiResponse {
    let mut items = Vec::new();
    for (group, versions) in aggregate::discovery::groups(server, rows).iter().filter(|(g, _)| g.is_empty() == core) {
        let shown = |version: &String| {
            if let Some(remote) = aggregate::discovery::version(server, group, version) {
                return Some(remote);
            }
            let resources: Vec<Value> = rows.version(group, version)?.values().map(|row| discovered(row)).collect();
            Some(json!({"version": version, "resources": resources, "freshness": "Current"}))
        };
        let versions: Vec<Value> = versions.iter().filter_map(shown).collect();
        let metadata = if core { json!({}) } else { json!({"name": group}) };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    })
    .to_string();
    let etag = format!("\"{}\"", hash(body.as_bytes()));
    let mut response = if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == etag.as_bytes()) {
        respond::with(304, AGGREGATED, "")
    } else {
        respond::with(200, AGGREGATED, body)
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn discovered(row: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let subs: Vec<Value> = subresources(row)
        .iter()
        .map(|sub| json!({"subresource": sub.name, "responseKind": kind(sub.group, sub.version, sub.kind), "verbs": sub.verbs}))
        .collect();
    let mut value = json!({
        "resource": row.plural,
        "responseKind": kind(&row.group, &row.version, &row.kind),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular,
        "verbs": row.verbs(),
    });
    for (name, list) in [("shortNames", &row.short_names), ("categories", &row.categories)] {
        if !list.is_empty() {
            value[name] = json!(list);
        }
    }
    if !subs.is_empty() {
        value["subresources"] = Value::Array(subs);
    }
    value
}

/// SHA-512 in upper-case hexadecimal, as Kubernetes' ETags are.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha512::digest(bytes).iter().map(|b| format!("{b:02X}")).collect()
}
