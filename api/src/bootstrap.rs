//! The objects that every cluster has: made at start when they are not there.

use berth_types::names::{DEFAULT_ROLE, NODE_LEASE_NAMESPACE, SYSTEM_NAMESPACE};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::api::ApiServer;
use crate::authn::UserInfo;

const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", SYSTEM_NAMESPACE, NODE_LEASE_NAMESPACE];

/// Creates what is missing. Safe to repeat, and to run in several servers at once.
pub(crate) async fn run(server: &ApiServer, root_ca: &str) -> Result<(), String> {
    for name in NAMESPACES {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        create(server, "/api/v1/namespaces", name, &namespace).await?;
    }
    crate::authz::bootstrap::run(server).await?;
    let role = json!({"apiVersion": "berth.dev/v1", "kind": "Role", "metadata": {"name": DEFAULT_ROLE}, "spec": {}});
    create(server, "/apis/berth.dev/v1/roles", DEFAULT_ROLE, &role).await?;
    let maps = "/api/v1/namespaces/kube-system/configmaps";
    apply(server, maps, "kube-root-ca.crt", config_map("kube-root-ca.crt", json!({ "ca.crt": root_ca }))).await
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// The server's own request; `path` is a constant with names that need no escapes.
fn request(method: Method, uri: String, body: String) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = uri.parse().expect("a constant path");
    request.extensions_mut().insert(UserInfo::apiserver());
    request
}

/// Makes an object say this, whatever it said before.
async fn apply(server: &ApiServer, path: &str, name: &str, object: Value) -> Result<(), String> {
    let uri = format!("{path}/{name}?fieldManager=berth-apiserver&force=true");
    let mut request = request(Method::PATCH, uri, object.to_string());
    let content = http::HeaderValue::from_static("application/apply-patch+yaml");
    request.headers_mut().insert(http::header::CONTENT_TYPE, content);
    let made = server.answer(request).await;
    if made.status().is_success() {
        return Ok(());
    }
    Err(format!("{path}/{name}: {} {:?}", made.status(), made.body()))
}

async fn create(server: &ApiServer, path: &str, name: &str, object: &Value) -> Result<(), String> {
    let found = server.answer(request(Method::GET, format!("{path}/{name}?resourceVersion=0"), String::new())).await;
    if found.status().is_success() {
        return Ok(());
    }
    let uri = format!("{path}?fieldManager=berth-apiserver");
    let made = server.answer(request(Method::POST, uri, object.to_string())).await;
    // Another server may have been quicker.
    if made.status().is_success() || made.status() == http::StatusCode::CONFLICT {
        return Ok(());
    }
    Err(format!("{path}/{name}: {} {:?}", made.status(), made.body()))
}
