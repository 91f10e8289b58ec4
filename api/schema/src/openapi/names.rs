//! Names of schemas: `dev.berth.v1.Service`, `io.k8s.api.core.v1.Secret`.

use serde_json::{Value, json};

use super::KindDoc;

pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
pub(super) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub(super) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(super) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub(super) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// The group reversed; Kubernetes' own groups are named after their package.
fn prefix(doc: &KindDoc) -> String {
    let version = &doc.version;
    match doc.group.strip_suffix(".k8s.io").map(|g| g.split('.').next().unwrap_or(g)) {
        _ if doc.group.is_empty() => format!("io.k8s.api.core.{version}"),
        Some("apiextensions") => format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}"),
        Some("apiregistration") => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{version}"),
        Some(package) => format!("io.k8s.api.{package}.{version}"),
        None => {
            let reversed: Vec<&str> = doc.group.rsplit('.').collect();
            format!("{}.{version}", reversed.join("."))
        }
    }
}

pub(super) fn kind_name(doc: &KindDoc) -> String {
    format!("{}.{}", prefix(doc), doc.kind)
}

pub(super) fn list_name(doc: &KindDoc) -> String {
    format!("{}.{}", prefix(doc), doc.list_kind)
}

/// `x-kubernetes-group-version-kind` of an operation.
pub(super) fn gvk(doc: &KindDoc) -> Value {
    json!({"group": doc.group, "kind": doc.kind, "version": doc.version})
}
