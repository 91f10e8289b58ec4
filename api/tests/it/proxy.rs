//! Logs and exec, passed on to an agent: here one that tells what it was asked.

use std::convert::Infallible;
use std::sync::Arc;

use berth_api::kubeconfig::Credentials;
use berth_types::Task;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::api::{Api, AttachParams, Execute, LogParams};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use crate::support::*;
use crate::tls::running;

/// Answers logs with the path that was asked for, and exec with one line on standard output.
async fn agent(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    use futures::SinkExt;
    let asked = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    if asked.contains("/v1/logs/") {
        return Ok(Response::new(Full::new(Bytes::from(asked))));
    }
    let key = request.headers()["sec-websocket-key"].as_bytes().to_vec();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let line = [&[1u8][..], asked.as_bytes()].concat();
        socket.send(Message::Binary(line.into())).await.unwrap();
        let status = [&[3u8][..], br#"{"metadata":{},"status":"Success"}"#].concat();
        socket.send(Message::Binary(status.into())).await.unwrap();
        let _ = socket.close(None).await;
    });
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", "v5.channel.k8s.io")]
    {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer.headers_mut().insert("sec-websocket-accept", derive_accept_key(&key).parse().unwrap());
    Ok(answer)
}

#[tokio::test]
async fn logs_and_exec_reach_the_agent_of_the_tasks_node() {
    let running = running().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let identity = running.pki.node("n1", &["127.0.0.1".to_owned()]).unwrap();
    let acceptor = TlsAcceptor::from(running.pki.server_config(&identity).unwrap());
    let users = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&users);
    let agents = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
            seen.lock().unwrap().push(berth_api::authn::user_of_certificate(&certificate).unwrap().name);
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(agent))
                    .with_upgrades(),
            );
        }
    });
    let server = &running.server;
    let node = json!({"apiVersion": "berth.dev/v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {}});
    post(server, "/apis/berth.dev/v1/nodes", &node).await.expect(201);
    let path = format!("{TASKS}/t/log");
    let mut bound = task("t");
    bound["spec"]["nodeName"] = json!("n1");
    post(server, TASKS, &task("u")).await.expect(201);
    post(server, TASKS, &bound).await.expect(201);
    get(server, &format!("{TASKS}/u/log")).await.expect(400);
    get(server, &format!("{TASKS}/absent/log")).await.expect(404);
    get(server, &path).await.expect(503);
    let endpoint = json!({"status": {"agentEndpoint": {"address": "127.0.0.1", "port": port}}});
    let patched = patch(server, "merge", "/apis/berth.dev/v1/nodes/n1/status", &endpoint).await.expect(200);
    // The proxy reads the cache: wait until it has the write.
    let revision = patched["metadata"]["resourceVersion"].as_str().unwrap();
    get(server, &format!("/apis/berth.dev/v1/nodes/n1?resourceVersion={revision}")).await.expect(200);
    get(server, &format!("{path}?container=nope")).await.expect(400);

    let client = running.client(Credentials::Token(&running.token)).await;
    let api: Api<TaskWithLogs> = Api::default_namespaced(client);
    let log = api.logs("t", &LogParams { follow: true, tail_lines: Some(5), ..LogParams::default() }).await.unwrap();
    assert_eq!(log, "/v1/logs/default/t/main?follow=true&tailLines=5");
    let mut exec = api.exec("t", ["ls", "-l a"], &AttachParams::default().stderr(false)).await.unwrap();
    let mut out = String::new();
    exec.stdout().unwrap().read_to_string(&mut out).await.unwrap();
    assert!(out.starts_with("/v1/exec/default/t/main?command=ls&command=-l%20a"), "{out}");
    assert_eq!(users.lock().unwrap()[0], "system:apiserver");
    agents.abort();
    running.stop.cancel();
}

/// Our Task, with the methods that kube-rs gives to what has logs and can be exec'd.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
struct TaskWithLogs(Task);

impl kube::Resource for TaskWithLogs {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind(_: &()) -> std::borrow::Cow<'_, str> {
        "Task".into()
    }
    fn group(_: &()) -> std::borrow::Cow<'_, str> {
        "berth.dev".into()
    }
    fn version(_: &()) -> std::borrow::Cow<'_, str> {
        "v1".into()
    }
    fn plural(_: &()) -> std::borrow::Cow<'_, str> {
        "tasks".into()
    }
    fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        &self.0.metadata
    }
    fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        &mut self.0.metadata
    }
}

impl kube::api::Log for TaskWithLogs {}
impl Execute for TaskWithLogs {}
