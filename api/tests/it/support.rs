//! A server in this process, and requests to it in one line.

use berth_api::{ApiBody, ApiServer, Config, UserInfo};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

/// A server over a store in memory.
pub(crate) async fn server() -> ApiServer {
    ApiServer::open(Config::default()).await.expect("an empty store opens")
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.headers.get_all("warning").iter().map(|v| v.to_str().unwrap().to_owned()).collect()
    }

    /// Fails with the body unless the code is this one.
    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text());
        if self.bytes.is_empty() { Value::Null } else { self.json() }
    }
}

/// A request being put together.
pub(crate) struct Ask<'a> {
    server: &'a ApiServer,
    request: Request<Full<Bytes>>,
}

/// Starts a request of the administrator's.
pub(crate) fn ask<'a>(server: &'a ApiServer, method: &str, path: &str) -> Ask<'a> {
    ask_as(server, Some(UserInfo::admin()), method, path)
}

pub(crate) fn ask_as<'a>(server: &'a ApiServer, user: Option<UserInfo>, method: &str, path: &str) -> Ask<'a> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = path.parse().unwrap();
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    Ask { server, request }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) async fn response(self) -> Response<ApiBody> {
        self.server.answer(self.request).await
    }

    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.response().await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { code: parts.status.as_u16(), headers: parts.headers, bytes }
    }
}

pub(crate) async fn get(server: &ApiServer, path: &str) -> Answer {
    ask(server, "GET", path).send().await
}

pub(crate) async fn post(server: &ApiServer, path: &str, body: &Value) -> Answer {
    ask(server, "POST", path).json(body).send().await
}

pub(crate) async fn put(server: &ApiServer, path: &str, body: &Value) -> Answer {
    ask(server, "PUT", path).json(body).send().await
}

pub(crate) async fn delete(server: &ApiServer, path: &str) -> Answer {
    ask(server, "DELETE", path).send().await
}

/// A patch: `merge`, `json`, `strategic` or `apply`.
pub(crate) async fn patch(server: &ApiServer, kind: &str, path: &str, body: &Value) -> Answer {
    let content_type = match kind {
        "merge" => "application/merge-patch+json",
        "json" => "application/json-patch+json",
        "strategic" => "application/strategic-merge-patch+json",
        "apply" => "application/apply-patch+yaml",
        other => other,
    };
    ask(server, "PATCH", path).header("content-type", content_type).body(body.to_string()).send().await
}

pub(crate) const SERVICES: &str = "/apis/berth.dev/v1/namespaces/default/services";
pub(crate) const TASKS: &str = "/apis/berth.dev/v1/namespaces/default/tasks";
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const WIDGETS: &str = "/apis/demo.example.com/v1/namespaces/default/widgets";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "berth.dev/v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "shell": "exec sleep 1000"}]}}},
    })
}

pub(crate) fn task(name: &str) -> Value {
    json!({
        "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "shell": "true"}]},
    })
}

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

/// The toy kind: every feature of a definition in one.
pub(crate) fn widget_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.demo.example.com"},
        "spec": {
            "group": "demo.example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.selector"}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "additionalPrinterColumns": [
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Note", "type": "string", "jsonPath": ".spec.note", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["color"], "properties": {
                        "color": {"type": "string", "enum": ["red", "green", "blue"]},
                        "size": {"type": "integer", "minimum": 1, "default": 3},
                        "note": {"type": "string", "nullable": true, "maxLength": 20},
                        "replicas": {"type": "integer", "default": 1},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                        "ports": {"type": "array", "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "required": ["name"], "properties": {
                                "name": {"type": "string"}, "port": {"type": "integer"},
                                "proto": {"type": "string", "default": "TCP"}}}},
                    }},
                    "status": {"type": "object", "properties": {
                        "replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}}},
                }}},
            }],
        },
    })
}

pub(crate) fn widget(name: &str) -> Value {
    json!({
        "apiVersion": "demo.example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"color": "red"},
    })
}

/// A server that serves widgets.
pub(crate) async fn server_with_widgets() -> ApiServer {
    let server = server().await;
    post(&server, DEFINITIONS, &widget_definition()).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    server
}

/// Waits (by watching) until a definition is established.
pub(crate) async fn established(server: &ApiServer, name: &str) {
    let path = format!("{DEFINITIONS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3D{name}");
    let mut lines = Lines::new(ask(server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.expect("the definition is established in time");
        let conditions = event["object"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True") {
            return;
        }
    }
}

/// The lines of a watch.
pub(crate) struct Lines {
    body: ApiBody,
    buffer: Vec<u8>,
}

impl Lines {
    #[track_caller]
    pub(crate) fn new(response: Response<ApiBody>) -> Self {
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), buffer: Vec::new() }
    }

    /// The next event; `None` when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line is JSON"));
            }
            let frame = tokio::time::timeout(std::time::Duration::from_secs(20), self.body.frame()).await;
            let frame = frame.expect("a watch says something in time")?.expect("bodies never fail");
            self.buffer.extend_from_slice(frame.data_ref().expect("no trailers"));
        }
    }

    /// The next `count` events as "TYPE name".
    pub(crate) async fn brief(&mut self, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        for _ in 0..count {
            let event = self.next().await.expect("the watch goes on");
            let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-").to_owned();
            found.push(format!("{} {name}", event["type"].as_str().unwrap_or("?")));
        }
        found
    }
}

impl Lines {
    /// The next event, or `None` when the body ends.
    pub(crate) async fn next_or_end(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line is JSON"));
            }
            let frame = tokio::time::timeout(std::time::Duration::from_secs(20), self.body.frame()).await;
            let frame = frame.expect("a watch ends in time")?.expect("bodies never fail");
            self.buffer.extend_from_slice(frame.data_ref().expect("no trailers"));
        }
    }
}
