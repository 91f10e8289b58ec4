//! A server behind ours: a tiny API of its own over TLS, which believes only our front proxy, and keeps what it was
//! asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use berth_api::ApiServer;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rcgen::{CertificateParams, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::*;
use crate::tls::{Running, running};

pub(crate) const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
pub(crate) const TOYS: &str = "/apis/toys.example/v1/namespaces/default/toys";

/// One request that the backend saw.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    /// It answers everything with 500.
    is_broken: AtomicBool,
    /// The rest of a watch.
    events: tokio::sync::Notify,
    /// Certificates that clients showed, by common name.
    shown: Mutex<Vec<String>>,
}

/// A running backend. Ends with the test's runtime.
pub(crate) struct Backend {
    pub(crate) port: u16,
    pub(crate) ca_bundle: String,
    shared: Arc<Shared>,
}

impl Backend {
    /// Starts one that believes whoever was signed by this authority (PEM).
    pub(crate) async fn start(front_proxy_ca: &str) -> Self {
        let mut params = CertificateParams::new(vec!["toys.default.svc".to_owned()]).expect("a good name");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(front_proxy_ca.as_bytes()).expect("PEM")).expect("an authority");
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("one root");
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .expect("a good certificate");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&ours));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let shown = stream.get_ref().1.peer_certificates().expect("demanded")[0].clone();
                    let user = berth_api::authn::user_of_certificate(&shown).expect("it has a name");
                    shared.shown.lock().push(user.name);
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        let ca_bundle = base64::engine::general_purpose::STANDARD.encode(certificate.pem());
        Self { port, ca_bundle, shared }
    }

    /// What people asked so far; not what the server itself asks of it.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let all = self.shared.asked.lock();
        all.iter().filter(|asked| asked.headers["x-remote-user"] != "system:kube-aggregator").cloned().collect()
    }

    pub(crate) fn shown(&self) -> Vec<String> {
        self.shared.shown.lock().clone()
    }

    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.shared.is_broken.store(is_broken, Ordering::SeqCst);
    }

    /// The next event of the open watch.
    pub(crate) fn next_event(&self) {
        self.shared.events.notify_one();
    }

    pub(crate) fn api_service(&self) -> Value {
        api_service("toys.example", "v1", &self.ca_bundle)
    }
}

/// An APIService of the Service `toys`.
pub(crate) fn api_service(group: &str, version: &str, ca_bundle: &str) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("{version}.{group}")},
        "spec": {"group": group, "version": version, "groupPriorityMinimum": 2000, "versionPriority": 20,
            "service": {"namespace": "default", "name": "toys"}, "caBundle": ca_bundle},
    })
}

type Body = BoxBody<Bytes, Infallible>;

fn whole(code: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed());
    *response.status_mut() = StatusCode::from_u16(code).expect("a code");
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    response
}

fn toy(name: &str) -> Value {
    json!({"apiVersion": "toys.example/v1", "kind": "Toy", "metadata": {"name": name, "namespace": "default"}})
}

async fn answer(shared: Arc<Shared>, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path_and_query().expect("a path").as_str().to_owned();
    let method = request.method().to_string();
    let headers = request.headers().clone();
    shared.asked.lock().push(Asked { method: method.clone(), path: path.clone(), headers: headers.clone() });
    if shared.is_broken.load(Ordering::SeqCst) {
        return Ok(whole(500, "{}"));
    }
    if headers.contains_key("upgrade") {
        return Ok(upgraded(&mut request));
    }
    let (plain, query) = path.split_once('?').unwrap_or((&path, ""));
    let v1 = "/apis/toys.example/v1";
    Ok(match (method.as_str(), plain) {
        ("GET", "/apis/toys.example/v1") => whole(
            200,
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "toys.example/v1", "resources": [
                {"name": "toys", "singularName": "toy", "namespaced": true, "kind": "Toy", "shortNames": ["ty"],
                    "verbs": ["get", "list", "watch", "create", "patch"]},
                {"name": "toys/connect", "singularName": "", "namespaced": true, "kind": "Toy", "verbs": ["get"]}]})
            .to_string(),
        ),
        ("GET", "/openapi/v3") => {
            let url = "/openapi/v3/apis/toys.example/v1?hash=ABC";
            whole(200, json!({"paths": {"apis/toys.example/v1": {"serverRelativeURL": url}}}).to_string())
        }
        ("GET", "/openapi/v3/apis/toys.example/v1") => {
            whole(200, json!({"openapi": "3.0.0", "query": query}).to_string())
        }
        ("GET", "/openapi/v2") => {
            let get = json!({"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/example.toys.v1.Toy"}}}}});
            let document = json!({"swagger": "2.0", "paths": {(format!("{v1}/toys")): get, "/version": {}},
                "definitions": {"example.toys.v1.Toy": {"type": "object"}, "unused": {}}});
            whole(200, document.to_string())
        }
        ("GET", "/apis/toys.example/v1/namespaces/default/toys") if query.contains("watch") => {
            let event = |name: &str| Bytes::from(format!("{}\n", json!({"type": "ADDED", "object": toy(name)})));
            let (first, second) = (event("first"), event("second"));
            let later = async move {
                shared.events.notified().await;
                second
            };
            let chunks = futures::stream::once(async { first }).chain(futures::stream::once(later));
            let mut response = Response::new(StreamBody::new(chunks.map(|c| Ok(Frame::data(c)))).boxed_sync());
            response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
            response
        }
        ("GET", "/apis/toys.example/v1/namespaces/default/toys") => {
            whole(200, json!({"kind": "ToyList", "apiVersion": "toys.example/v1", "items": [toy("a")]}).to_string())
        }
        ("GET", "/apis/toys.example/v1/namespaces/default/toys/away") => {
            let mut response = whole(302, "");
            response.headers_mut().insert("location", "https://127.0.0.1:1/secrets".parse().expect("a value"));
            response
        }
        ("GET" | "HEAD", _) => {
            let mut response = whole(200, toy("a").to_string());
            response.headers_mut().insert("x-toy", "1".parse().expect("a value"));
            response
        }
        _ => {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            whole(
                200,
                json!({"method": method, "type": headers["content-type"].to_str().unwrap_or_default(),
                "bytes": body.len(), "end": String::from_utf8_lossy(&body[body.len().saturating_sub(20)..])})
                .to_string(),
            )
        }
    })
}

/// Speaks a protocol of its own: everything in capitals, until the client ends.
fn upgraded(request: &mut Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        let mut stream = TokioIo::new(upgrade.await.expect("both agree"));
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            buffer[..count].make_ascii_uppercase();
            stream.write_all(&buffer[..count]).await.expect("the client reads");
        }
    });
    let mut response = whole(101, "");
    response.headers_mut().insert("connection", "Upgrade".parse().expect("a value"));
    response.headers_mut().insert("upgrade", "shout".parse().expect("a value"));
    response
}

trait BoxedSync {
    fn boxed_sync(self) -> Body;
}

impl<S> BoxedSync for StreamBody<S>
where
    S: futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
{
    /// A mutex makes it `Sync`.
    fn boxed_sync(self) -> Body {
        BodyExt::boxed(SyncBody(std::sync::Mutex::new(Box::pin(self))))
    }
}

struct SyncBody<B>(std::sync::Mutex<std::pin::Pin<Box<B>>>);

impl<B: http_body::Body<Data = Bytes, Error = Infallible>> http_body::Body for SyncBody<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.lock().expect("nobody panics").as_mut().poll_frame(cx)
    }
}

/// The Service `toys` with one ready task, which listens on this port of the loopback.
pub(crate) async fn serve_toys(server: &ApiServer, port: u16) {
    post(server, SERVICES, &service("toys")).await.expect(201);
    ready_task(server, port).await;
}

pub(crate) async fn ready_task(server: &ApiServer, port: u16) {
    let mut object = task("toys-0");
    object["metadata"]["labels"] = json!({"berth.dev/service": "toys"});
    object["spec"]["containers"][0]["ports"] = json!([{"name": "https", "containerPort": 443}]);
    post(server, TASKS, &object).await.expect(201);
    let path = format!("{TASKS}/toys-0");
    let ports = json!([{"container": "main", "index": 0, "name": "https", "port": port, "protocol": "TCP"}]);
    let bound = json!({"spec": {"nodeName": "n1", "allocatedPorts": ports}});
    patch(server, "merge", &path, &bound).await.expect(200);
    let now = "2026-01-01T00:00:00Z";
    let ready = json!({"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": now});
    let status = json!({"status": {"phase": "Running", "hostIP": "127.0.0.1", "conditions": [ready]}});
    patch(server, "merge", &format!("{path}/status"), &status).await.expect(200);
}

/// Waits (by watching) until the condition of an APIService has this reason; gives its message.
pub(crate) async fn reason(server: &ApiServer, name: &str, reason: &str) -> String {
    let path = format!("{API_SERVICES}?watch=1&timeoutSeconds=40&fieldSelector=metadata.name%3D{name}");
    let mut lines = Lines::new(ask(server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.expect("the condition comes in time");
        let condition = &event["object"]["status"]["conditions"][0];
        if condition["reason"] == reason && event["type"] != "DELETED" {
            return condition["message"].as_str().unwrap_or_default().to_owned();
        }
    }
}

/// A server with a backend for toys, known to be there.
pub(crate) async fn with_toys() -> (Running, Backend) {
    let running = running().await;
    let backend = Backend::start(&running.pki.front_proxy().expect("kept").ca_pem).await;
    serve_toys(&running.server, backend.port).await;
    post(&running.server, API_SERVICES, &backend.api_service()).await.expect(201);
    reason(&running.server, "v1.toys.example", "Passed").await;
    (running, backend)
}
