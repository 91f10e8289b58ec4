//! What servers behind this one read to know users: whom they may believe, and the role that lets them read it.

use serde_json::{Value, json};

use crate::api::ApiServer;
use crate::bootstrap::{apply, create};
use crate::pki::{FRONT_PROXY_NAME, FrontProxy};

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
const READER: &str = "extension-apiserver-authentication-reader";
/// Upstream's name of the binding for its own parts.
const BINDING: &str = "system::extension-apiserver-authentication-reader";

/// Writes what is missing or old. Safe to repeat, and to run in several servers at once.
///
/// # Errors
/// What could not be written, and why.
pub(crate) async fn run(server: &ApiServer, client_ca: &str, front_proxy: Option<&FrontProxy>) -> Result<(), String> {
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}");
    let (role_path, binding_path) = (format!("{roles}/roles"), format!("{roles}/rolebindings"));
    let (role, binding) = (role(), binding());
    let maps = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    let data = data(client_ca, front_proxy);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}, "data": data});
    // All at once: the store syncs once for them.
    futures::future::try_join3(
        create(server, &role_path, READER, &role),
        create(server, &binding_path, BINDING, &binding),
        apply(server, &maps, CONFIG_MAP, map),
    )
    .await?;
    Ok(())
}

/// Lists are JSON in a string, as upstream writes them.
fn data(client_ca: &str, front_proxy: Option<&FrontProxy>) -> Value {
    let mut data = json!({});
    if !client_ca.is_empty() {
        data["client-ca-file"] = client_ca.into();
    }
    if let Some(front_proxy) = front_proxy {
        data["requestheader-client-ca-file"] = front_proxy.ca_pem.clone().into();
        for (key, value) in [
            ("allowed-names", FRONT_PROXY_NAME),
            ("username-headers", "X-Remote-User"),
            ("uid-headers", "X-Remote-Uid"),
            ("group-headers", "X-Remote-Group"),
            ("extra-headers-prefix", "X-Remote-Extra-"),
        ] {
            data[format!("requestheader-{key}")] = json!([value]).to_string().into();
        }
    }
    data
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}

fn role() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata(READER),
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [CONFIG_MAP],
            "verbs": ["get", "list", "watch"]}],
    })
}

fn binding() -> Value {
    let user = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata(BINDING),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": READER},
        "subjects": [user("system:kube-controller-manager"), user("system:kube-scheduler")],
    })
}
