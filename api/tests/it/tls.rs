//! Over a real socket: certificates, tokens, HTTP/1.1 and HTTP/2, and the orderly end.

use std::net::{SocketAddr, TcpListener};

use berth_api::pki::Pki;
use berth_api::{ApiServer, Config, authn::Tokens, kubeconfig};
use berth_types::Service;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// A server on a free port of the loopback.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) pki: Pki,
    pub(crate) token: String,
    pub(crate) server: ApiServer,
    pub(crate) stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    _dir: tempfile::TempDir,
}

pub(crate) async fn running() -> Running {
    running_with(berth_api::IdentityConfig::default(), "").await
}

/// A server that knows people by `identity`; `others` are authorities of clients beside its own.
pub(crate) async fn running_with(identity: berth_api::IdentityConfig, others: &str) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open(&dir.path().join("pki")).unwrap();
    let (tokens, token) = Tokens::open(&dir.path().join("tokens.csv")).unwrap();
    let agent_tls = Some(pki.client_config(&pki.api_server_client().unwrap()).unwrap());
    let front_proxy = Some(pki.front_proxy().unwrap());
    let root_ca = Some(pki.ca_pem().to_owned());
    let config = Config { tokens, agent_tls, identity, front_proxy, root_ca, ..Config::default() };
    let server = ApiServer::open(config).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tls = pki.server_config_trusting(&pki.api_server(&[]).unwrap(), others).unwrap();
    let stop = CancellationToken::new();
    let served = {
        let (server, stop) = (server.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, tls, stop).await })
    };
    Running { address, pki, token, server, stop, served, _dir: dir }
}

impl Running {
    pub(crate) async fn client(&self, credentials: kubeconfig::Credentials<'_>) -> kube::Client {
        let text = kubeconfig::text(&format!("https://{}", self.address), self.pki.ca_pem(), "me", credentials);
        let file = Kubeconfig::from_yaml(&text).unwrap();
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }
}

#[tokio::test]
async fn a_kubeconfig_with_a_certificate_or_a_token_works() {
    let running = running().await;
    let admin = running.pki.client("admin", "admin", &["system:masters"]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&admin)).await;
    let api: Api<Service> = Api::default_namespaced(client.clone());
    let service: Service = serde_json::from_value(service("a")).unwrap();
    api.create(&PostParams::default(), &service).await.unwrap();
    assert!(client.apiserver_version().await.unwrap().git_version.contains("berth"));
    let client = running.client(kubeconfig::Credentials::Token(&running.token)).await;
    let api: Api<Service> = Api::default_namespaced(client);
    assert_eq!(api.get("a").await.unwrap().spec.replicas, 1);
    let nobody = running.client(kubeconfig::Credentials::Token("wrong")).await;
    let error = Api::<Service>::default_namespaced(nobody).get("a").await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 401));
    let stranger = running.pki.client("alice", "alice", &[]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&stranger)).await;
    let error = Api::<Service>::default_namespaced(client).get("a").await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 403));
    // A certificate of another authority does not even get through the handshake.
    let elsewhere = tempfile::tempdir().unwrap();
    let forged = Pki::open(elsewhere.path()).unwrap().client("admin", "admin", &["system:masters"]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&forged)).await;
    assert!(Api::<Service>::default_namespaced(client).get("a").await.is_err());
}

#[tokio::test]
async fn a_stop_drains_watches_and_connections() {
    use futures::TryStreamExt;
    let running = running().await;
    let client = running.client(kubeconfig::Credentials::Token(&running.token)).await;
    let api: Api<Service> = Api::default_namespaced(client);
    let mut watch = std::pin::pin!(api.watch(&kube::api::WatchParams::default(), "0").await.unwrap());
    post(&running.server, SERVICES, &service("a")).await.expect(201);
    assert!(watch.try_next().await.unwrap().is_some());
    running.stop.cancel();
    assert!(watch.try_next().await.unwrap().is_none(), "a watch ends without an error");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(8), running.served).await;
    ended.expect("the server ends in time").unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_client_that_only_connects_hurts_nobody() {
    let running = running().await;
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(tokio::net::TcpStream::connect(running.address).await.unwrap());
    }
    let client = running.client(kubeconfig::Credentials::Token(&running.token)).await;
    client.apiserver_version().await.unwrap();
    drop(idle);
    running.stop.cancel();
}
