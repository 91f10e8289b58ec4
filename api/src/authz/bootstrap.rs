//! Roles and bindings that every cluster has: made at the first start, mended at each.
//!
//! What is there is read from the caches, so that a start with nothing to do writes nothing and asks nothing; what is
//! missing is written all at once, so that the store syncs once for many.

use berth_access::{Binding, Role, Step, defaults, reconcile_binding, reconcile_role};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::ApiServer;
use crate::authn::UserInfo;

const GROUP: &str = berth_access::GROUP;
/// Writes that are under way together: all of them, in one breath, and no more than the server takes at a time.
const WRITES_AT_ONCE: usize = 64;

/// Brings the default roles and bindings to what they must be at least. Safe to repeat, and to run in several servers
/// at once.
///
/// # Errors
/// What could not be written, and the server's answer.
pub(crate) async fn run(server: &ApiServer) -> Result<(), String> {
    let roles =
        writes(server, "ClusterRole", "clusterroles", defaults::cluster_roles(), reconcile_role, |role: &Role| {
            &role.metadata.name
        });
    let bindings = writes(
        server,
        "ClusterRoleBinding",
        "clusterrolebindings",
        defaults::cluster_role_bindings(),
        reconcile_binding,
        |binding: &Binding| &binding.metadata.name,
    );
    let all: Vec<Write> = roles.into_iter().chain(bindings).collect();
    if all.is_empty() {
        return Ok(());
    }
    let mut done =
        futures::stream::iter(all.into_iter().map(|write| write.send(server))).buffer_unordered(WRITES_AT_ONCE);
    while let Some(result) = done.next().await {
        result?;
    }
    super::settle(&server.inner, &["clusterroles", "clusterrolebindings"]).await;
    Ok(())
}

/// One thing to do.
struct Write {
    /// Requests to make one after the other.
    requests: Vec<(Method, String, &'static str, String)>,
}

/// What is to be done about the objects of a kind.
fn writes<T: Serialize + DeserializeOwned>(
    server: &ApiServer,
    kind: &str,
    plural: &'static str,
    expected: Vec<T>,
    reconcile: fn(&T, &T) -> Step,
    name_of: fn(&T) -> &String,
) -> Vec<Write> {
    let rows = server.inner.registry.rows();
    let Some(row) = rows.any_version(GROUP, plural) else { return Vec::new() };
    let there = row.storage.cache.snapshot();
    let collection = format!("/apis/{GROUP}/v1/{plural}");
    let create = |object: &T| {
        let mut object = json!(object);
        object["apiVersion"] = format!("{GROUP}/v1").into();
        object["kind"] = kind.into();
        (Method::POST, collection.clone(), "application/json", object.to_string())
    };
    let mut all = Vec::new();
    for object in &expected {
        let name = name_of(object);
        let found = there.get("", name).and_then(|entry| serde_json::from_slice::<T>(&entry.json()).ok());
        let Some(found) = found else {
            all.push(Write { requests: vec![create(object)] });
            continue;
        };
        let path = format!("{collection}/{name}");
        match reconcile(&found, object) {
            Step::Nothing => {}
            Step::Patch(patch) => {
                let patch = (Method::PATCH, path, "application/merge-patch+json", patch.to_string());
                all.push(Write { requests: vec![patch] });
            }
            Step::Replace => {
                let delete = (Method::DELETE, path, "application/json", String::new());
                all.push(Write { requests: vec![delete, create(object)] });
            }
        }
    }
    all
}

impl Write {
    async fn send(self, server: &ApiServer) -> Result<(), String> {
        for (method, path, content_type, body) in self.requests {
            let mut request = Request::new(Full::new(Bytes::from(body)));
            *request.uri_mut() = format!("{path}?fieldManager=berth-apiserver").parse().map_err(|_| path.clone())?;
            *request.method_mut() = method;
            request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
            request.extensions_mut().insert(UserInfo::apiserver());
            let answer = server.answer(request).await;
            // Another server may have been quicker, at making or at deleting.
            let is_done =
                answer.status().is_success() || matches!(answer.status(), StatusCode::CONFLICT | StatusCode::NOT_FOUND);
            if !is_done {
                let code = answer.status();
                let body = answer.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let status: Value = serde_json::from_slice(&body).unwrap_or_default();
                return Err(format!("{path}: {code} {}", status["message"].as_str().unwrap_or_default()));
            }
        }
        Ok(())
    }
}
