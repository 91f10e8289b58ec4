//! A server, a manager with the parts under test, and words for what tests do.

use std::sync::Arc;
use std::time::Duration;

use berth_api::{ApiServer, Config, UserInfo};
use berth_client::kube::{self, Client};
use berth_controllers::driver::Part;
use berth_controllers::{Handle, Options};
use berth_identity::csr::Authority;
use http::{Method, Request};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Longer than anything under test takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
    pub(crate) manager: Handle,
    pub(crate) stop: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
        self.server.stop();
    }
}

impl Cluster {
    pub(crate) async fn start(parts: fn() -> Vec<Part>) -> Self {
        let server = ApiServer::open(Config::default()).await.unwrap();
        Self::on(server, parts).await
    }

    pub(crate) async fn on(server: ApiServer, parts: fn() -> Vec<Part>) -> Self {
        let options = Options { parts, ..Options::new("test", CancellationToken::new()) };
        Self::with(server, options).await
    }

    /// With a manager that can sign certificates.
    pub(crate) async fn with_authority(server: ApiServer, parts: fn() -> Vec<Part>, authority: Authority) -> Self {
        let authority = Some(Arc::new(authority));
        let options = Options { parts, authority, ..Options::new("test", CancellationToken::new()) };
        Self::with(server, options).await
    }

    async fn with(server: ApiServer, options: Options) -> Self {
        let client = server.client(UserInfo::new("test", &["system:masters"]));
        let stop = options.shutdown.clone();
        let acting = server.client(UserInfo::controllers());
        let manager = berth_controllers::run(acting, options).await.unwrap();
        manager.wait_ready().await;
        Self { server, client, manager, stop }
    }

    /// Stops the manager and starts another one on the same server.
    pub(crate) async fn restart(self, parts: fn() -> Vec<Part>) -> Self {
        self.stop.cancel();
        let server = self.server.clone();
        std::mem::forget(self);
        Self::on(server, parts).await
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: &Value) -> Result<Value, kube::Error> {
        let body = if body.is_null() { vec![] } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("content-type", content).body(body).unwrap();
        self.client.request::<Value>(request).await
    }

    pub(crate) async fn create(&self, path: &str, object: Value) -> Value {
        self.send(Method::POST, path, "application/json", &object).await.unwrap()
    }

    /// Creates in the name of another client.
    pub(crate) async fn create_as(&self, client: &Client, path: &str, object: Value) -> Value {
        let body = object.to_string().into_bytes();
        let request =
            Request::builder().method(Method::POST).uri(path).header("content-type", "application/json").body(body);
        client.request::<Value>(request.unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.send(Method::GET, path, "application/json", &Value::Null).await {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn patch(&self, path: &str, patch: Value) -> Value {
        self.send(Method::PATCH, path, "application/merge-patch+json", &patch).await.unwrap()
    }

    pub(crate) async fn apply(&self, path: &str, manager: &str, fields: Value) -> Value {
        let path = format!("{path}?fieldManager={manager}&force=true");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", &fields).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str, policy: &str) {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
        self.send(Method::DELETE, path, "application/json", &options).await.unwrap();
    }

    /// Waits until what is at the path is as `is` says; the object as it was then.
    pub(crate) async fn until(&self, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let start = tokio::time::Instant::now();
        let mut last = None;
        while start.elapsed() < PATIENCE {
            last = self.get(path).await;
            if let Some(object) = last.as_ref().filter(|object| is(object)) {
                return object.clone();
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("{path}: never {what}; last seen: {last:#?}");
    }

    pub(crate) async fn until_gone(&self, path: &str) {
        let start = tokio::time::Instant::now();
        while self.get(path).await.is_some() {
            assert!(start.elapsed() < PATIENCE, "{path} never went: {:#?}", self.get(path).await);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A node with so much of everything, ready.
    pub(crate) async fn node(&self, name: &str, cpu: &str, labels: Value) {
        self.create(
            NODES,
            json!({
                "apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {},
            }),
        )
        .await;
        self.apply(
            &format!("{NODES}/{name}/status"),
            "berth-agent",
            json!({
                "apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": name},
                "status": {
                    "allocatable": {"cpu": cpu, "memory": "8Gi"},
                    "capacity": {"cpu": cpu, "memory": "8Gi"},
                    "portRanges": [{"begin": 31000, "end": 31099}],
                    "conditions": [condition("Ready", "True")],
                },
            }),
        )
        .await;
    }

    pub(crate) async fn task(&self, name: &str, cpu: &str) -> Value {
        self.create(TASKS, task(name, cpu)).await
    }
}

pub(crate) const NODES: &str = "/apis/berth.dev/v1/nodes";
pub(crate) const TASKS: &str = "/apis/berth.dev/v1/namespaces/default/tasks";
pub(crate) const EVENTS: &str = "/api/v1/namespaces/default/events";

pub(crate) fn task(name: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": name},
        "spec": {"containers": [{
            "name": "main", "shell": "sleep 1", "ports": [{"name": "http"}],
            "resources": {"requests": {"cpu": cpu}},
        }]},
    })
}

pub(crate) fn condition(type_: &str, status: &str) -> Value {
    json!({"type": type_, "status": status, "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

pub(crate) fn condition_of<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}
