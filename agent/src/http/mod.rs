//! The agent's own HTTPS server: logs and exec for the API server, health and metrics for everybody who may.
//!
//! | path | who | what |
//! |---|---|---|
//! | `/livez`, `/readyz[?verbose]` | all | 200 or 503 |
//! | `/metrics` | the API server, masters | Prometheus text |
//! | `/v1/logs/{ns}/{task}/{container}` | the same | `follow tailLines sinceSeconds sinceTime timestamps limitBytes` |
//! | `/v1/exec/{ns}/{task}/{container}` | the same | websocket; `command`… `stdin stdout stderr tty` |

mod exec;
mod logs;
mod query;
pub mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::runtime::Runtime;
use crate::task::hooks::launch::container_id;
use crate::task::manager::{Registry, View};
use berth_types::TaskPhase;

/// Connections at once; a follower of every container of a full node fits.
const CONNECTIONS_MAX: usize = 2048;
/// A TLS handshake and a request's head must come within this.
const HEAD_MAX: Duration = Duration::from_secs(10);

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) registry: Registry,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) metrics: Metrics,
    pub(crate) data_dir: std::path::PathBuf,
    /// The agent has registered its node and knows its tasks.
    pub(crate) ready: watch::Receiver<bool>,
}

/// Binds the address; the port may be 0.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until told to stop.
pub(crate) async fn serve(
    server: Server,
    listener: std::net::TcpListener,
    tls: Arc<rustls::ServerConfig>,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    // Out of descriptors: pausing is all that helps.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let (server, acceptor, stop) = (server.clone(), acceptor.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(server, acceptor, stream) => {}
            }
            drop(slot);
        });
    }
}

async fn connection(server: Server, acceptor: TlsAcceptor, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HEAD_MAX, acceptor.accept(stream)).await else { return };
    let trusted = tls::may_enter(stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()));
    let service = hyper::service::service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.answer(request, trusted).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended");
    }
}

impl Server {
    async fn answer(&self, request: Request<Incoming>, trusted: bool) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts[..] {
            ["livez" | "healthz"] => text(StatusCode::OK, "ok"),
            ["readyz"] => self.readyz(request.uri().query().unwrap_or_default().contains("verbose")),
            _ if !trusted => text(
                StatusCode::UNAUTHORIZED,
                "this needs a client certificate of the API server (CN system:apiserver) or of group system:masters",
            ),
            ["metrics"] => text(StatusCode::OK, self.metrics_text().await),
            ["v1", "logs", namespace, task, container] => match self.find(namespace, task, container) {
                Ok(found) => logs::answer(self, found, request.uri().query().unwrap_or_default()),
                Err(refusal) => *refusal,
            },
            ["v1", "exec", namespace, task, container] => match self.find(namespace, task, container) {
                Ok(found) => exec::answer(self, found, request).await,
                Err(refusal) => *refusal,
            },
            _ => text(StatusCode::NOT_FOUND, "no such path"),
        }
    }

    fn readyz(&self, verbose: bool) -> Response<Body> {
        let ready = *self.ready.borrow();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mark = if ready { "[+]tasks and node registration ok" } else { "[-]waiting for the API server" };
        let last = if ready { "ok" } else { "not ready" };
        text(status, if verbose { format!("[+]http ok\n{mark}\n{last}\n") } else { last.to_owned() })
    }

    async fn metrics_text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = self.metrics.text();
        let mut rows: [String; 3] = Default::default();
        for view in self.registry.all() {
            let report = view.reports.borrow().status.clone();
            let meta = &view.task.metadata;
            for status in report.iter().flat_map(|s| &s.containers).filter(|c| c.state.running.is_some()) {
                let id = container_id(meta.uid.as_deref().unwrap_or_default(), &status.name);
                let Ok(usage) = self.runtime.usage(&id).await else { continue };
                let labels = format!(
                    "namespace={:?},task={:?},container={:?}",
                    meta.namespace.as_deref().unwrap_or_default(),
                    meta.name.as_deref().unwrap_or_default(),
                    status.name
                );
                let _ = writeln!(rows[0], "berth_container_cpu_seconds_total{{{labels}}} {}", usage.cpu_seconds);
                let _ = writeln!(rows[1], "berth_container_memory_bytes{{{labels}}} {}", usage.memory_bytes);
                let _ = writeln!(rows[2], "berth_container_pids{{{labels}}} {}", usage.pids);
            }
        }
        let heads = [
            ("berth_container_cpu_seconds_total", "counter", "Processor time of the container."),
            ("berth_container_memory_bytes", "gauge", "Memory that the container uses."),
            ("berth_container_pids", "gauge", "Processes and threads of the container."),
        ];
        for ((name, kind, help), rows) in heads.iter().zip(rows) {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{rows}");
        }
        out
    }

    fn find(&self, namespace: &str, task: &str, container: &str) -> Result<Found, Box<Response<Body>>> {
        let refuse = |message: String| Box::new(text(StatusCode::NOT_FOUND, message));
        let view = self
            .registry
            .get(namespace, task)
            .ok_or_else(|| refuse(format!("task {namespace}/{task} is not on this node")))?;
        let spec = &view.task.spec.template;
        let names: Vec<&str> = spec.containers.iter().chain(&spec.init_containers).map(|c| c.name.as_str()).collect();
        // `-` and nothing mean the first one, so that the caller needs not know its name.
        let name = match container {
            "" | "-" => names.first().copied().unwrap_or_default().to_owned(),
            name if names.contains(&name) => name.to_owned(),
            name => {
                return Err(refuse(format!(
                    "task {namespace}/{task} has no container {name:?}: it has {}",
                    names.join(", ")
                )));
            }
        };
        Ok(Found { view, namespace: namespace.to_owned(), task: task.to_owned(), container: name })
    }
}

/// A container that somebody asks for.
pub(crate) struct Found {
    pub(crate) view: View,
    pub(crate) namespace: String,
    pub(crate) task: String,
    pub(crate) container: String,
}

impl Found {
    pub(crate) fn id(&self) -> String {
        container_id(self.view.task.metadata.uid.as_deref().unwrap_or_default(), &self.container)
    }

    /// Whether the container ended, or never will start.
    pub(crate) fn is_over(&self) -> bool {
        let report = self.view.reports.borrow();
        let status = report.status.as_ref().or(self.view.task.status.as_ref());
        let Some(status) = status else { return report.vanished };
        let phase: TaskPhase = status.phase;
        let own = status.containers.iter().find(|c| c.name == self.container);
        phase.is_terminal() || own.is_some_and(|c| c.state.terminated.is_some())
    }
}

/// A short answer.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
