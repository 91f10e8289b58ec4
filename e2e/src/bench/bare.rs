//! The yardstick for GET and LIST: a hyper server with TLS that answers each path with bytes it was given.

use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// `--bare-server ADDRESS CERTIFICATE KEY BODY_FILE`: serves until it is killed.
pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let [address, certificate, key, body] = arguments else { anyhow::bail!("four arguments") };
    let body = Bytes::from(fs::read(body)?);
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).context("key")?)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // As many threads as the measured server has: one a core.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (acceptor, body) = (acceptor.clone(), body.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |_| {
                    let response = Response::builder()
                        .header("content-type", "application/json")
                        .body(Full::new(body.clone()))
                        .expect("the headers are constant");
                    async move { Ok::<_, std::convert::Infallible>(response) }
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
