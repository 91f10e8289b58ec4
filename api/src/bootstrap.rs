//! The objects that every cluster has: made at start when they are not there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_types::names::{DEFAULT_ROLE, NODE_LEASE_NAMESPACE, SYSTEM_NAMESPACE};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::api::ApiServer;
use crate::authn::{USER_ANONYMOUS, UserInfo};

const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", SYSTEM_NAMESPACE, NODE_LEASE_NAMESPACE];

/// What the server tells everybody about itself.
pub(crate) struct Public {
    /// PEM; may be empty.
    pub root_ca: String,
    pub url: Option<String>,
}

/// Creates what is missing. Safe to repeat, and to run in several servers at once.
pub(crate) async fn run(server: &ApiServer, public: &Public) -> Result<(), String> {
    for name in NAMESPACES {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        create(server, "/api/v1/namespaces", name, &namespace).await?;
    }
    crate::authz::bootstrap::run(server).await?;
    let role = json!({"apiVersion": "berth.dev/v1", "kind": "Role", "metadata": {"name": DEFAULT_ROLE}, "spec": {}});
    create(server, "/apis/berth.dev/v1/roles", DEFAULT_ROLE, &role).await?;
    let maps = "/api/v1/namespaces/kube-system/configmaps";
    let root_ca = json!({ "ca.crt": public.root_ca });
    apply(server, maps, "kube-root-ca.crt", config_map("kube-root-ca.crt", root_ca)).await?;
    match &public.url {
        Some(url) => cluster_info(server, url, &public.root_ca).await,
        None => Ok(()),
    }
}

/// What a machine that wants to join may read before anybody knows it, under kubeadm's names. The bootstrap signer
/// adds its signatures.
async fn cluster_info(server: &ApiServer, url: &str, root_ca: &str) -> Result<(), String> {
    const ROLE: &str = "kubeadm:bootstrap-signer-clusterinfo";
    const RBAC: &str = "rbac.authorization.k8s.io";
    let cluster = json!({"server": url, "certificate-authority-data": STANDARD.encode(root_ca)});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}],
        "contexts": [], "current-context": "", "preferences": {}, "users": [],
    });
    let info = config_map("cluster-info", json!({"kubeconfig": kubeconfig.to_string()}));
    apply(server, "/api/v1/namespaces/kube-public/configmaps", "cluster-info", info).await?;
    let path = format!("/apis/{RBAC}/v1/namespaces/kube-public");
    let (version, metadata) = (format!("{RBAC}/v1"), json!({"name": ROLE}));
    let role = json!({
        "apiVersion": version, "kind": "Role", "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cluster-info"], "verbs": ["get"]}],
    });
    create(server, &format!("{path}/roles"), ROLE, &role).await?;
    let binding = json!({
        "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": ROLE},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": USER_ANONYMOUS}],
    });
    create(server, &format!("{path}/rolebindings"), ROLE, &binding).await
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
pub(crate) async fn apply(server: &ApiServer, path: &str, name: &str, object: Value) -> Result<(), String> {
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

/// Makes an object unless it is there, whatever it says.
pub(crate) async fn create(server: &ApiServer, path: &str, name: &str, object: &Value) -> Result<(), String> {
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
