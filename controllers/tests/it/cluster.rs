//! An API server in memory, and managers that come and go.

use std::fmt::Debug;
use std::time::Duration;

use berth_api::{ApiServer, Config, UserInfo};
use berth_controllers::driver::Part;
use berth_controllers::{Handle, Options, run};
use berth_types::{Service, ServiceSpec, Task};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// How long a test waits for what takes milliseconds: only a hang takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const NAMESPACE: &str = "default";

/// An API server and the means to look at it.
pub(crate) struct Cluster {
    pub(crate) api: ApiServer,
    pub(crate) admin: Client,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let api = ApiServer::open(Config::default()).await.expect("a server in memory opens");
        let admin = api.client(UserInfo::admin());
        Self { api, admin }
    }

    pub(crate) fn controllers(&self) -> Client {
        self.api.client(UserInfo::controllers())
    }

    pub(crate) async fn manager(&self, parts: fn() -> Vec<Part>) -> Manager {
        Manager::start(self.controllers(), parts).await
    }

    pub(crate) fn of<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.admin.clone(), NAMESPACE)
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + DeserializeOwned + serde::Serialize + Clone + Debug,
        K::DynamicType: Default,
    {
        let object = serde_json::from_value(object).expect("a test's object is of its kind");
        self.of::<K>().create(&PostParams::default(), &object).await.expect("a test's object is accepted")
    }

    pub(crate) async fn patch<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
        K::DynamicType: Default,
    {
        let patch = Patch::Merge(patch);
        self.of::<K>().patch(name, &PatchParams::default(), &patch).await.expect("a test's patch is accepted")
    }

    /// Waits until the object is as the condition says, and gives it.
    pub(crate) async fn wait<K>(&self, name: &str, what: &str, condition: impl Condition<K>) -> Option<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + DeserializeOwned + Clone + Debug + Send + 'static,
        K::DynamicType: Default,
    {
        match tokio::time::timeout(PATIENCE, await_condition(self.of::<K>(), name, condition)).await {
            Ok(found) => found.expect("the watch works"),
            Err(_) => panic!("waited for {what}; {name} is {:#?}", self.of::<K>().get_opt(name).await),
        }
    }

    pub(crate) async fn tasks(&self) -> Vec<Task> {
        self.of::<Task>().list(&ListParams::default()).await.expect("tasks can be listed").items
    }

    /// Tasks that have not ended and are not being deleted.
    pub(crate) async fn live(&self) -> Vec<Task> {
        let is_live = |task: &Task| {
            let ended = task.status.as_ref().is_some_and(|status| status.phase.is_terminal());
            !ended && task.metadata.deletion_timestamp.is_none()
        };
        self.tasks().await.into_iter().filter(is_live).collect()
    }
}

/// A controller manager of a test.
pub(crate) struct Manager {
    pub(crate) handle: Handle,
    stop: CancellationToken,
}

impl Manager {
    pub(crate) async fn start(client: Client, parts: fn() -> Vec<Part>) -> Self {
        Self::with(client, |options| options.parts = parts).await
    }

    pub(crate) async fn with(client: Client, change: impl FnOnce(&mut Options)) -> Self {
        let stop = CancellationToken::new();
        let mut options = Options::new("test", stop.clone());
        change(&mut options);
        Self { handle: run(client, options).await.expect("a manager starts"), stop }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.handle.stopped().await;
    }
}

pub(crate) fn service(name: &str, replicas: i32, shell: &str) -> Value {
    json!({
        "apiVersion": "berth.dev/v1", "kind": "Service", "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "update": { "strategy": "Rolling", "maxSurge": 1, "maxUnavailable": 0 },
            "template": { "spec": { "containers": [{ "name": "main", "shell": shell }] } },
        },
    })
}

/// Rolled out, ready, and the status is about the newest spec.
pub(crate) fn is_settled(replicas: i32) -> impl Fn(Option<&Service>) -> bool {
    move |service| {
        let Some(Service { metadata, spec: ServiceSpec { .. }, status: Some(status) }) = service else { return false };
        let rolled_out = status.conditions.iter().any(|c| c.type_ == "Progressing" && c.reason == "RolledOut");
        status.observed_generation == metadata.generation
            && rolled_out
            && (status.replicas, status.ready_replicas, status.updated_replicas) == (replicas, replicas, replicas)
    }
}

pub(crate) fn condition(service: &Service, type_: &str) -> (String, String, String) {
    let conditions = &service.status.as_ref().expect("the service has a status").conditions;
    let found = conditions.iter().find(|c| c.type_ == type_).expect("the condition is there");
    (found.status.clone(), found.reason.clone(), found.message.clone())
}
