//! The API server of this process: store, certificates, tokens, socket, and the administrator's kubeconfig.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_api::authn::Tokens;
use berth_api::kubeconfig::{self, Credentials};
use berth_api::pki::{FrontProxy, Identity, Pki};
use berth_api::{ApiServer, Config, StoreConfig};
use berth_store::{EmbeddedConfig, EmbeddedStore, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::limits::LimitArgs;
use super::means::MeansArgs;
use super::reload::Reloading;
use super::renew::{self, Kept};
use super::{paths, process};
use crate::failure::{Failure, Outcome};

/// Where things are in a data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Outcome<Self> {
        Ok(Self { root: std::path::absolute(root)? })
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.root.join("tokens.csv")
    }

    /// The keys of service accounts' tokens.
    pub(crate) fn token_keys(&self) -> PathBuf {
        self.root.join("token-keys")
    }

    /// Users with passwords.
    pub(crate) fn users(&self) -> PathBuf {
        self.root.join(paths::USERS_FILE)
    }

    /// How an OpenID provider is known, if there is one.
    pub(crate) fn authentication(&self) -> PathBuf {
        self.root.join("authentication.yaml")
    }

    /// How a directory is asked about passwords, if there is one.
    pub(crate) fn ldap(&self) -> PathBuf {
        self.root.join("ldap.yaml")
    }

    pub(crate) fn agent(&self) -> PathBuf {
        self.root.join("agent")
    }

    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.root.join(paths::ADMIN_KUBECONFIG)
    }
}

/// A failed step, with all its causes.
pub(crate) fn failed(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(format!("{what}: {}", process::chain(error)))
}

/// Listens, or says what to do about it.
///
/// # Errors
/// When the port is taken, or not ours to take.
pub(crate) fn listen(address: SocketAddr) -> Outcome<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::new(format!("port {} of {} is taken", address.port(), address.ip()))
            .hint("does a berth run already? stop it with: berth down")
            .hint(format!("or listen elsewhere: --listen {}:{}", address.ip(), address.port().saturating_add(1)))
            .hint(format!("who has it is told by: ss -ltnp 'sport = :{}'", address.port())),
        std::io::ErrorKind::AddrNotAvailable => {
            Failure::new(format!("{} is not an address of this machine", address.ip()))
                .hint("--listen 127.0.0.1:7443 listens on this machine only, 0.0.0.0:7443 on all its addresses")
        }
        _ => Failure::new(format!("could not listen on {address}: {error}")),
    })
}

/// Opens the store of a data directory.
///
/// # Errors
/// When it is damaged, locked or not readable.
pub(crate) async fn open_store(layout: &Layout) -> Outcome<Arc<dyn Store>> {
    let dir = layout.store();
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(EmbeddedConfig::new(dir))).await;
    let opened = opened.map_err(|e| Failure::new(format!("could not open the store: {e}")))?;
    let store = opened.map_err(|error: StoreError| failed("could not open the store", &error))?;
    Ok(Arc::new(store))
}

/// The API server, listening.
pub(crate) struct Plane {
    pub(crate) api: ApiServer,
    pub(crate) pki: Pki,
    /// As clients on this machine reach it.
    pub(crate) url: String,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: CancellationToken,
}

impl Plane {
    /// Starts the server on an open store. `names`: what else it is reached by.
    ///
    /// # Errors
    /// When certificates or tokens cannot be made, or the server cannot be opened.
    pub(crate) async fn start(
        layout: &Layout,
        store: Arc<dyn Store>,
        listener: TcpListener,
        names: &[String],
        limits: &LimitArgs,
        means: &MeansArgs,
    ) -> Outcome<Self> {
        let address = listener.local_addr()?;
        let pki = Pki::open(&layout.pki()).map_err(|e| failed("could not open the certificate authority", &e))?;
        let identities =
            server_identities(&pki, address, names).map_err(|e| failed("could not make certificates", &e))?;
        let (tokens, token) = Tokens::open(&layout.tokens()).map_err(|e| failed("could not read the tokens", &e))?;
        let agent_tls =
            pki.client_config(&identities.to_agents).map_err(|e| failed("could not use certificates", &e))?;
        let to_agents = Reloading::new(&identities.to_agents.certificate_pem, &identities.to_agents.key_pem)?;
        let mut agent_tls = Arc::unwrap_or_clone(agent_tls);
        to_agents.client(&mut agent_tls);
        let url = format!("https://{}", paths::reachable(address));
        let config = Config {
            store: StoreConfig::Open(store),
            tokens,
            agent_tls: Some(Arc::new(agent_tls)),
            front_proxy: Some(identities.to_extensions),
            root_ca: Some(pki.ca_pem().to_owned()),
            public_url: Some(public_url(address, names)),
            identity: means.identity(layout)?,
            audit: limits.audit()?,
            requests_in_flight_max: Some(limits.in_flight()),
        };
        let api = ApiServer::open(config).await.map_err(|e| failed("could not start the API server", &e))?;
        let others = means.other_authorities()?;
        let tls = pki
            .server_config_trusting(&identities.server, &others)
            .map_err(|e| failed("could not use certificates", &e))?;
        let showing = Reloading::new(&identities.server.certificate_pem, &identities.server.key_pem)?;
        let tls = showing.server(tls);
        let stop = CancellationToken::new();
        let (server, stopped) = (api.clone(), stop.clone());
        let serving = tokio::spawn(async move { server.serve(listener, tls, stopped).await });
        let text = kubeconfig::text(&url, pki.ca_pem(), "admin", Credentials::Token(&token));
        let path = layout.admin_kubeconfig();
        kubeconfig::write(&path, &text)
            .map_err(|e| Failure::new(format!("could not write {}: {e}", path.display())))?;
        let plane = Self { api, pki, url, serving, stop };
        let names = certificate_names(address, names);
        plane.renew(
            layout,
            vec![Kept::new(showing, move |pki| pki.api_server(&names)), Kept::new(to_agents, Pki::api_server_client)],
        );
        Ok(plane)
    }

    /// Keeps certificates of the cluster's own authority fresh until the shutdown.
    pub(crate) fn renew(&self, layout: &Layout, kept: Vec<Kept>) {
        tokio::spawn(renew::keep(layout.pki(), kept, self.stop.clone()));
    }

    /// Ends when the server does, which it should not.
    pub(crate) async fn ended(&mut self) -> Failure {
        match (&mut self.serving).await {
            Ok(Ok(())) => Failure::new("the API server ended"),
            Ok(Err(error)) => Failure::new(format!("the API server ended: {error}")),
            Err(error) => Failure::new(format!("the API server ended: {error}")),
        }
    }

    /// Finishes requests and closes the store.
    pub(crate) async fn shutdown(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

/// What the server's certificate names besides this machine's loopback.
fn certificate_names(address: SocketAddr, names: &[String]) -> Vec<String> {
    let ip = if address.ip().is_unspecified() { berth_agent::node::facts::address() } else { address.ip() };
    let mut all = vec![process::host_name(), ip.to_string()];
    all.extend(names.iter().cloned());
    all
}

/// Where other machines reach the server: by the first name that it was given, or by its address.
fn public_url(address: SocketAddr, names: &[String]) -> String {
    let mut reached = address;
    if address.ip().is_unspecified() {
        reached.set_ip(berth_agent::node::facts::address());
    }
    match names.first() {
        Some(name) if !name.contains(':') => format!("https://{name}:{}", address.port()),
        _ => format!("https://{reached}"),
    }
}

struct Identities {
    server: Identity,
    to_agents: Identity,
    to_extensions: FrontProxy,
}

fn server_identities(pki: &Pki, address: SocketAddr, names: &[String]) -> Result<Identities, berth_api::pki::PkiError> {
    let all = certificate_names(address, names);
    let to_extensions = pki.front_proxy()?;
    Ok(Identities { server: pki.api_server(&all)?, to_agents: pki.api_server_client()?, to_extensions })
}

/// For clap: `ADDRESS:PORT`, `:PORT` or `PORT`.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    named
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:7443 or 0.0.0.0:7443".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on_have_short_forms() {
        let parsed = |text: &str| parse_listen(text).map(|a| a.to_string());
        assert_eq!(parsed("7443").as_deref(), Ok("127.0.0.1:7443"));
        assert_eq!(parsed(":0").as_deref(), Ok("127.0.0.1:0"));
        assert_eq!(parsed("localhost:1").as_deref(), Ok("127.0.0.1:1"));
        assert_eq!(parsed("0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        assert!(parsed("example:80").is_err());
    }

    #[test]
    fn a_taken_port_names_the_way_out() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let failure = listen(first.local_addr().unwrap()).unwrap_err();
        assert!(failure.message.ends_with("is taken"), "{}", failure.message);
        assert!(failure.hints.iter().any(|h| h.contains("--listen")));
    }
}
