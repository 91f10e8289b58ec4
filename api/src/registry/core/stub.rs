//! The Service `kubernetes` of the namespace `default`: tools look for it to learn that they talk to a cluster.
//! It can be read, stands in no discovery document, and is nothing else: the services of this server are in its own
//! group.

use serde_json::{Value, json};

/// The address that the stub shows where the server knows none of its own: the first of the range that Kubernetes
/// gives out by default.
const CLUSTER_IP: &str = "10.0.0.1";

/// Whether a resource is served though no document lists it.
pub(crate) fn is_hidden(group: &str, version: &str, plural: &str) -> bool {
    group.is_empty() && version == "v1" && plural == "services"
}

/// The Service of this name, or the list of a namespace's (of all namespaces'); `None` when there is none. No selector
/// picks the stub.
pub(crate) fn hidden_services(namespace: Option<&str>, name: Option<&str>, selects: bool) -> Option<Value> {
    let in_default = namespace.is_none_or(|ns| ns == "default");
    match name {
        Some("kubernetes") if in_default => {
            let mut service = service();
            service["apiVersion"] = "v1".into();
            service["kind"] = "Service".into();
            Some(service)
        }
        Some(_) => None,
        None => {
            // `kubectl cluster-info` lists those of kube-system with a selector, and asks for no more than a list.
            let items: Vec<Value> = if in_default && !selects { vec![service()] } else { Vec::new() };
            Some(json!({
                "kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items,
            }))
        }
    }
}

fn service() -> Value {
    json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "resourceVersion": "1",
            "uid": "00000000-0000-4000-8000-000000000001", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": CLUSTER_IP, "clusterIPs": [CLUSTER_IP], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
        "status": {"loadBalancer": {}},
    })
}
