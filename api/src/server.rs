//! The API server on a socket: TLS, HTTP/1.1 and HTTP/2, bounded connections, and an orderly end.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::ApiServer;
use crate::audit::PeerAddress;
use crate::connections::{Connections, Place};
use crate::stalling::Stalling;

/// A client that does not finish its TLS handshake in this time is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for a request's headers. hyper counts the idle time between requests, too, so it must be longer than
/// clients keep idle connections (90 s), or they would now and then write to one that is being closed.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(120);
/// A client that has not sent a whole request in this time after it connected is let go: it takes a place from others.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection whose peer takes nothing for so long is closed; what was to be sent would stay in memory. Long enough
/// for a person who holds a stream of logs to read it.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Streams on one HTTP/2 connection: client-go queues above 100, watches count.
const H2_STREAMS_MAX: u32 = 1000;
/// HTTP/2 connections that do not answer pings are closed.
const H2_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Bytes of all headers of a request.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;
/// Bytes of a request line and its headers under HTTP/1.1, and of what waits to be sent.
const H1_BUFFER_BYTES_MAX: usize = 128 * 1024;
/// How long requests may take to end after the stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// A pause after the system refused a connection (no descriptors left): it will not be better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl ApiServer {
    /// Serves until `stop`: then `/readyz` fails, watches end cleanly, requests in work are finished, and
    /// connections close.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let acceptor = TlsAcceptor::from(tls);
        let connections = TaskTracker::new();
        let places = Connections::new();
        let kill = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (server, acceptor, stop, kill) = (self.clone(), acceptor.clone(), stop.clone(), kill.clone());
            // Taken after the connection has come: nobody has to go for one who does not.
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = places.enter() => Arc::new(place),
            };
            connections.spawn(async move {
                let gone = place.gone();
                tokio::select! {
                    () = kill.cancelled() => {}
                    () = gone.cancelled() => tracing::debug!(%peer, "a quiet connection makes room for another"),
                    () = connection(server, acceptor, stream, peer, &place, stop) => {}
                }
            });
        }
        self.stop();
        drop(listener);
        connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), "closing connections that did not end in time");
            kill.cancel();
            connections.wait().await;
        }
        Ok(())
    }
}

/// One connection, from its handshake to its end.
async fn connection(
    server: ApiServer,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    place: &Arc<Place>,
    stop: CancellationToken,
) {
    // Without it small answers wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let user = shown.and_then(|certificate| server.inner.identity.peer(certificate));
    let asked = CancellationToken::new();
    let first = asked.clone();
    let place = Arc::clone(place);
    let service = service_fn(move |mut request: Request<Incoming>| {
        first.cancel();
        let busy = place.busy();
        request.extensions_mut().insert(PeerAddress(peer));
        if let Some(user) = &user {
            request.extensions_mut().insert(user.clone());
        }
        let server = server.clone();
        async move {
            let response = server.answer(request).await;
            // A stream keeps its connection for as long as it goes on.
            Ok::<_, Infallible>(response.map(|body| body.holding(busy)))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT).max_buf_size(H1_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .keep_alive_interval(H2_KEEP_ALIVE)
        .keep_alive_timeout(H2_KEEP_ALIVE);
    let served =
        builder.serve_connection_with_upgrades(TokioIo::new(Stalling::new(stream, WRITE_STALL_TIMEOUT)), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        () = silent(&asked) => {
            tracing::debug!("a client connected and asked for nothing");
            return;
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Ends when a connection has had its time without a request; never once there was one.
async fn silent(asked: &CancellationToken) {
    if tokio::time::timeout(FIRST_REQUEST_TIMEOUT, asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
