//! `/livez`, `/readyz`, `/healthz`, `/version` and `/metrics`.

use std::fmt::Write;

use serde_json::json;

use super::respond::{self, ApiResponse};
use crate::inner::Inner;
use crate::request::Query;
use crate::status::ApiError;

/// The minor version of Kubernetes whose API we speak: clients compare it with their own.
const KUBERNETES_MINOR: &str = "35";

/// What is checked, by name. `None` is good, else what to look at.
async fn checks(server: &Inner, kind: &str) -> Vec<(&'static str, Option<String>)> {
    let mut found = vec![("ping", None)];
    // A store that cannot write does not make a restart help: it counts for readiness only.
    if kind != "livez" {
        let store = server.store.health().await.err().map(|error| error.to_string());
        found.push(("store", store));
        found.push(("bootstrap", (!server.is_bootstrapped()).then(|| "not done yet".to_owned())));
    }
    if kind == "readyz" {
        found.push(("shutdown", server.is_draining().then(|| "the server is stopping".to_owned())));
    }
    found
}

/// A health endpoint: `/readyz`, `/readyz?verbose&exclude=store`, `/readyz/store`.
pub(super) async fn check(server: &Inner, path: &str, query: &Query) -> Result<ApiResponse, ApiError> {
    let mut segments = path.trim_start_matches('/').splitn(2, '/');
    let kind = segments.next().unwrap_or_default();
    let mut found = checks(server, kind).await;
    if let Some(single) = segments.next() {
        found.retain(|(name, _)| *name == single);
        if found.is_empty() {
            return Err(ApiError::page_not_found());
        }
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    found.retain(|(name, _)| !excluded.contains(name));
    let failed = found.iter().any(|(_, why)| why.is_some());
    let verbose = query.get("verbose").is_some() || failed;
    let mut text = String::new();
    if verbose {
        for (name, why) in &found {
            let line = match why {
                None => format!("[+]{name} ok"),
                Some(_) => format!("[-]{name} failed: reason withheld"),
            };
            if let Some(why) = why {
                tracing::warn!(check = name, why, "a health check failed");
            }
            let _ = writeln!(text, "{line}");
        }
        let verdict = if failed { "failed" } else { "passed" };
        let _ = writeln!(text, "{kind} check {verdict}");
    } else {
        text.push_str("ok");
    }
    Ok(respond::text(if failed { 500 } else { 200 }, text))
}

/// `/version`.
pub(super) fn version() -> ApiResponse {
    let body = json!({
        "major": "1", "minor": KUBERNETES_MINOR,
        "gitVersion": format!("v1.{KUBERNETES_MINOR}.0+berth.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none", "compiler": "rustc",
        "platform": format!("linux/{}", if cfg!(target_arch = "x86_64") { "amd64" } else { std::env::consts::ARCH }),
    });
    respond::json(200, serde_json::to_string_pretty(&body).expect("plain data serialises"))
}

/// `/metrics`, in Prometheus' text format.
pub(super) async fn metrics(server: &Inner) -> ApiResponse {
    server.metrics.observe_store(server.store.status().await.ok());
    for row in &server.registry.rows().ordered {
        server.metrics.observe_cache(&row.group, &row.plural, row.storage.cache.stats());
    }
    let mut text = server.metrics.text();
    text.push_str(&server.flow.metrics());
    if let Some(audit) = &server.audit {
        text.push_str(&audit.metrics());
    }
    respond::with(200, "text/plain; version=0.0.4", text)
}
