//! The kinds that controllers read and write, and how the stores index them.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::ApiResource;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a kind is reached on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    /// Empty for the core group.
    pub group: Cow<'static, str>,
    /// `v1`.
    pub version: Cow<'static, str>,
    /// `Task`.
    pub kind: Cow<'static, str>,
    /// `tasks`.
    pub plural: Cow<'static, str>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// A field selector: only what it picks is read. Empty: everything.
    pub only: Cow<'static, str>,
}

impl Row {
    /// A row that is known when this is compiled.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
        namespaced: bool,
    ) -> Self {
        Self::some(group, version, kind, plural, namespaced, "")
    }

    /// The same, of which only what a field selector picks is read.
    pub const fn some(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
        namespaced: bool,
        only: &'static str,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            kind: Cow::Borrowed(kind),
            plural: Cow::Borrowed(plural),
            namespaced,
            only: Cow::Borrowed(only),
        }
    }

    /// What stands in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The same for kube.
    pub fn api_resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.to_string(),
            version: self.version.to_string(),
            api_version: self.api_version(),
            kind: self.kind.to_string(),
            plural: self.plural.to_string(),
        }
    }
}

/// A secondary index of a store: by this name, objects are found under each value that [`Kind::index`] gives.
pub type IndexName = &'static str;

/// Every kind has this index: the uid of the owner that controls the object.
pub const BY_OWNER: IndexName = "owner";
/// Tasks: the node that they are bound to.
pub const BY_NODE: IndexName = "node";
/// Services: `namespace/name` of each service that they depend on.
pub const BY_DEPENDENCY: IndexName = "dependency";

/// A kind that the stores can hold. An object's JSON is read once, into this type, when it arrives.
pub trait Kind: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// How it is reached on the wire.
    const ROW: Row;

    /// Only objects that some owner controls are kept: what nobody owns is read by nobody.
    const OWNED_ONLY: bool = false;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;

    /// The same, to be changed: the stores drop `managedFields`, which nobody reads.
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// Calls `add` for each index and value that the object is to be found under, besides [`BY_OWNER`].
    fn index(&self, add: &mut dyn FnMut(IndexName, String)) {
        let _ = add;
    }
}

/// Says that a type with a field `metadata` is a [`Kind`]; a last item takes the place of one of its defaults.
#[macro_export]
macro_rules! kind {
    ($type:ty, $group:expr, $version:expr, $kind:expr, $plural:expr, $namespaced:expr $(, $more:item)?) => {
        impl $crate::driver::Kind for $type {
            const ROW: $crate::driver::Row = $crate::driver::Row::new($group, $version, $kind, $plural, $namespaced);
            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
            $($more)?
        }
    };
}

kind!(
    berth_types::Task,
    "berth.dev",
    "v1",
    "Task",
    "tasks",
    true,
    fn index(&self, add: &mut dyn FnMut(IndexName, String)) {
        if let Some(node) = &self.spec.node_name {
            add(BY_NODE, node.clone());
        }
    }
);
kind!(
    berth_types::Service,
    "berth.dev",
    "v1",
    "Service",
    "services",
    true,
    fn index(&self, add: &mut dyn FnMut(IndexName, String)) {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        for name in &self.spec.depends_on {
            add(BY_DEPENDENCY, format!("{namespace}/{name}"));
        }
    }
);
kind!(berth_types::Revision, "berth.dev", "v1", "Revision", "revisions", true, const OWNED_ONLY: bool = true;);
kind!(berth_types::Job, "berth.dev", "v1", "Job", "jobs", true);
kind!(berth_types::JobRun, "berth.dev", "v1", "JobRun", "jobruns", true);
kind!(berth_types::Node, "berth.dev", "v1", "Node", "nodes", false);
kind!(berth_types::Role, "berth.dev", "v1", "Role", "roles", false);
kind!(k8s_openapi::api::core::v1::Namespace, "", "v1", "Namespace", "namespaces", false);
kind!(k8s_openapi::api::coordination::v1::Lease, "coordination.k8s.io", "v1", "Lease", "leases", true);

/// Any object, its metadata only: enough to follow owners and finalizers.
#[derive(Clone, Debug, Default, Serialize, serde::Deserialize)]
pub struct Metadata {
    /// The object's metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
}
