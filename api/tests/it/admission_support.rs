//! A webhook that listens on loopback over TLS, answers as a test wants, and keeps what it was asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use berth_api::ApiServer;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rcgen::{CertificateParams, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use crate::support::{get, post};

/// What a webhook answers with.
pub(crate) enum Reply {
    /// This `response`; the uid is filled in unless it is there.
    Response(Value),
    /// These bytes with this code.
    Raw(u16, String),
    /// Nothing, for this long; then consent.
    Late(Duration),
    /// A redirection to this place.
    Elsewhere(String),
}

type Handler = Box<dyn Fn(&str, &Value) -> Reply + Send + Sync>;

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) review: Value,
}

/// A running webhook. Ends with the test's runtime.
pub(crate) struct Hook {
    pub(crate) port: u16,
    /// Base64 of the PEM, as configurations carry it.
    pub(crate) ca_bundle: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
}

impl Hook {
    /// Starts one whose certificate is made out to loopback and to `hook.default.svc`.
    pub(crate) async fn start(handler: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let names = ["127.0.0.1", "localhost", "hook.default.svc"].map(str::to_owned).to_vec();
        let mut params = CertificateParams::new(names).expect("good names");
        // As frameworks for operators do: one certificate that is its own authority.
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .expect("a good certificate");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let (handler, log, count) =
            (Arc::new(Box::new(handler) as Handler), Arc::clone(&asked), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handler, log) = (acceptor.clone(), Arc::clone(&handler), Arc::clone(&log));
                *count.lock() += 1;
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(Arc::clone(&handler), Arc::clone(&log), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let ca_bundle = base64::engine::general_purpose::STANDARD.encode(certificate.pem());
        Self { port, ca_bundle, asked, connections }
    }

    /// One that answers every question with this `response`.
    pub(crate) async fn always(response: Value) -> Self {
        Self::start(move |_, _| Reply::Response(response.clone())).await
    }

    pub(crate) fn client_config(&self, path: &str) -> Value {
        json!({"url": format!("https://127.0.0.1:{}{path}", self.port), "caBundle": self.ca_bundle})
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The requests that it was asked about, as "OPERATION plural/subresource name".
    pub(crate) fn brief(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let brief = |asked: &Asked| {
            let request = &asked.review["request"];
            let sub = text(&request["subResource"]);
            let slash = if sub.is_empty() { "" } else { "/" };
            format!(
                "{} {}{slash}{sub} {}",
                text(&request["operation"]),
                text(&request["resource"]["resource"]),
                text(&request["name"])
            )
        };
        self.asked.lock().iter().map(brief).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock()
    }
}

async fn answer(
    handler: Arc<Handler>,
    log: Arc<Mutex<Vec<Asked>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let review: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = parts.uri.path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
    log.lock().push(Asked { path: path.clone(), headers: parts.headers, review: review.clone() });
    let reply = |code: u16, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = http::StatusCode::from_u16(code).expect("a code");
        response
    };
    let review_of = |mut response: Value| {
        if response["uid"].is_null() {
            response["uid"] = review["request"]["uid"].clone();
        }
        json!({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response}).to_string()
    };
    Ok(match handler(&path, &review) {
        Reply::Response(response) => reply(200, review_of(response)),
        Reply::Raw(code, body) => reply(code, body),
        Reply::Late(time) => {
            tokio::time::sleep(time).await;
            reply(200, review_of(json!({"allowed": true})))
        }
        Reply::Elsewhere(place) => {
            let mut response = reply(307, String::new());
            response.headers_mut().insert("location", place.parse().expect("a place"));
            response
        }
    })
}

/// A `response` that changes the object.
pub(crate) fn changes(operations: &Value) -> Value {
    let patch = base64::engine::general_purpose::STANDARD.encode(operations.to_string());
    json!({"allowed": true, "patchType": "JSONPatch", "patch": patch})
}

/// One webhook of a configuration: asked about every create, update and delete of these resources.
pub(crate) fn webhook(name: &str, client_config: &Value, group: &str, resources: &[&str]) -> Value {
    json!({
        "name": name, "clientConfig": client_config, "sideEffects": "None", "admissionReviewVersions": ["v1", "v1beta1"],
        "rules": [{"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [group], "apiVersions": ["*"],
            "resources": resources}],
    })
}

pub(crate) const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
pub(crate) const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// A configuration for the collection at `path`.
pub(crate) fn configuration(path: &str, name: &str, webhooks: &[Value]) -> Value {
    let kind = if path == MUTATING { "MutatingWebhookConfiguration" } else { "ValidatingWebhookConfiguration" };
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": webhooks})
}

/// The same with other fields.
pub(crate) fn with(mut webhook: Value, fields: Value) -> Value {
    for (field, value) in fields.as_object().into_iter().flatten() {
        webhook[field] = value.clone();
    }
    webhook
}

/// Registers webhooks, and waits until they are asked.
pub(crate) async fn register(server: &ApiServer, path: &str, name: &str, webhooks: &[Value]) {
    post(server, path, &configuration(path, name, webhooks)).await.expect(201);
    // A consistent list: whoever has it sees the configuration, and so does every write from here on.
    get(server, path).await.expect(200);
}
