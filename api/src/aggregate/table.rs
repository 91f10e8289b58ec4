//! What the stored APIServices say, as requests need it.

use std::sync::Arc;

use base64::Engine;
use berth_store::cache::Snapshot;
use serde_json::Value;

use super::priority;
use crate::derived::Sources;

pub(super) const PLURAL: &str = "apiservices";
pub(super) const SOURCES: Sources = &[(priority::GROUP, PLURAL)];

/// Says that the server itself keeps an APIService.
pub(super) const LABEL_MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// A group and version that another server serves.
#[derive(Debug)]
pub(crate) struct Remote {
    /// `version.group`
    pub name: String,
    pub group: String,
    pub version: String,
    pub group_priority: i64,
    pub version_priority: i64,
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) port: u16,
    pub(super) trust: Trust,
    /// What the last check found.
    pub(super) available: bool,
}

/// By what the other server is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    /// The authorities in PEM; the system's where there are none.
    Authority(Vec<u8>),
    /// Whoever answers is believed.
    Anybody,
}

/// All that others serve.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub remotes: Vec<Arc<Remote>>,
}

impl Table {
    pub(super) fn read(snapshots: &[Snapshot]) -> Self {
        let [services] = snapshots else { return Self::default() };
        // Most are the server's own: they are told by their label, without a look at the object.
        let others = services.iter().filter(|entry| !matches!(entry.label(LABEL_MANAGED), Some("true" | "onstart")));
        let parsed = others.filter_map(|entry| serde_json::from_slice::<Value>(&entry.kv().value).ok());
        Self { remotes: parsed.filter_map(|object| Remote::of(&object)).map(Arc::new).collect() }
    }

    pub(super) fn find(&self, group: &str, version: &str) -> Option<&Arc<Remote>> {
        self.remotes.iter().find(|remote| remote.group == group && remote.version == version)
    }
}

impl Remote {
    /// `None` for what is served here: APIServices without a service, those that the server itself keeps, and those of
    /// what ships with it.
    fn of(object: &Value) -> Option<Self> {
        let spec = &object["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, version) = (text(&spec["group"]), text(&spec["version"]));
        if !spec["service"].is_object() || is_managed(object) || priority::is_own(&group, &version) {
            return None;
        }
        let bundle = spec["caBundle"].as_str().unwrap_or_default();
        // The schema has checked that it is base64.
        let bundle = base64::engine::general_purpose::STANDARD.decode(bundle).unwrap_or_default();
        let is_available = |condition: &Value| condition["type"] == "Available" && condition["status"] == "True";
        Some(Self {
            name: text(&object["metadata"]["name"]),
            group,
            version,
            group_priority: spec["groupPriorityMinimum"].as_i64().unwrap_or_default(),
            version_priority: spec["versionPriority"].as_i64().unwrap_or_default(),
            namespace: text(&spec["service"]["namespace"]),
            service: text(&spec["service"]["name"]),
            port: spec["service"]["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443),
            trust: if spec["insecureSkipTLSVerify"] == true { Trust::Anybody } else { Trust::Authority(bundle) },
            available: object["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(is_available)),
        })
    }

    /// Whether two ask for the same thing, whatever came of it.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        let place = |remote: &Self| (remote.namespace.clone(), remote.service.clone(), remote.port);
        place(self) == place(other) && self.trust == other.trust
    }

    /// Where the group and version is: `/apis/group/version`.
    pub(super) fn path(&self) -> String {
        format!("/apis/{}/{}", self.group, self.version)
    }
}

/// Whether the server itself keeps an APIService.
pub(super) fn is_managed(object: &Value) -> bool {
    matches!(object["metadata"]["labels"][LABEL_MANAGED].as_str(), Some("true" | "onstart"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(change: Value) -> Value {
        let mut object = json!({
            "metadata": {"name": "v1.a.example"},
            "spec": {"group": "a.example", "version": "v1", "groupPriorityMinimum": 5, "versionPriority": 6,
                "service": {"namespace": "n", "name": "s"}, "caBundle": "AAAA"},
        });
        for (pointer, value) in change.as_object().into_iter().flatten() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        object
    }

    #[test]
    fn only_what_others_serve_is_remote() {
        let remote = Remote::of(&object(json!({}))).unwrap();
        assert_eq!((remote.port, remote.path(), remote.available), (443, "/apis/a.example/v1".to_owned(), false));
        assert_eq!(remote.trust, Trust::Authority(vec![0, 0, 0]));
        let available = json!({"/status": {"conditions": [{"type": "Available", "status": "True"}]}});
        assert!(Remote::of(&object(available)).unwrap().available);
        for local in [
            json!({"/spec/service": null}),
            json!({"/metadata/labels": {LABEL_MANAGED: "true"}}),
            json!({"/spec/group": "berth.dev"}),
            json!({"/spec/group": "", "/spec/version": "v1"}),
        ] {
            assert!(Remote::of(&object(local.clone())).is_none(), "{local}");
        }
    }
}
