//! The API server as a value: opened once, cloned freely, called over TLS or in process.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use berth_store::cache::{Cache, CacheConfig};
use berth_store::{EmbeddedConfig, EmbeddedStore, MemoryStore, Store, StoreError};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::audit::{Audit, AuditConfig, AuditError};
use crate::authn::{Identity, IdentityConfig, IdentityError, Tokens, UserInfo};
use crate::body::ApiBody;
use crate::bootstrap::Public;
use crate::fairness;
use crate::http::{AnyError, BodyError, ReadToEnd, RequestBody, handle};
use crate::inner::Inner;
use crate::registry::form::Form;
use crate::registry::{Registry, Resource, Storage, builtin, core, crd, resource, reviews};

/// Where objects are kept.
#[derive(Clone, Debug, Default)]
pub enum StoreConfig {
    /// Gone when the process ends: for tests.
    #[default]
    Memory,
    /// A directory of this machine.
    Embedded(PathBuf),
    /// A store that is open already.
    Open(Arc<dyn Store>),
}

/// How to open a server.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub store: StoreConfig,
    pub tokens: Tokens,
    /// Keys, providers, users: who somebody is.
    pub identity: IdentityConfig,
    /// How the server proves itself to agents (`system:apiserver`); without it logs and exec are unavailable.
    pub agent_tls: Option<Arc<rustls::ClientConfig>>,
    /// The certificate authority (PEM) by which clients know the server: published in each namespace.
    pub root_ca: Option<String>,
    /// Where clients reach the server, such as `https://10.0.0.1:7443`: told to machines that want to join.
    pub public_url: Option<String>,
    /// How the server proves to those that serve a part of the API behind it that it may speak for users; without it
    /// nothing is passed on to them.
    pub front_proxy: Option<crate::pki::FrontProxy>,
    /// Which requests are recorded, and where; `None` records nothing.
    pub audit: Option<AuditConfig>,
    /// Requests that are worked on at the same time, streams not counted; `None` is 600, as upstream has it.
    pub requests_in_flight_max: Option<u32>,
}

/// Why a server cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("could not open the store")]
    Store(#[from] StoreError),
    #[error("could not create what every cluster has: {0}")]
    Bootstrap(String),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("could not open the means of identity")]
    Identity(#[from] IdentityError),
}

/// The API server. Clones share everything.
#[derive(Clone, Debug)]
pub struct ApiServer {
    pub(crate) inner: Arc<Inner>,
}

impl ApiServer {
    /// Opens the store, fills the caches, and makes the objects that every cluster has. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let store: Arc<dyn Store> = match config.store {
            StoreConfig::Memory => Arc::new(MemoryStore::new()?),
            StoreConfig::Embedded(dir) => Arc::new(
                tokio::task::spawn_blocking(move || EmbeddedStore::open(EmbeddedConfig::new(dir)))
                    .await
                    .map_err(|_| StoreError::Closed)??,
            ),
            StoreConfig::Open(store) => store,
        };
        let rows = built_in_rows(&store).await?;
        let public = Public { root_ca: config.root_ca.unwrap_or_default(), url: config.public_url };
        let (tokens, means) = (config.tokens, config.identity);
        let identity = tokio::task::spawn_blocking(move || Identity::open(tokens, &means)).await;
        let identity = identity.map_err(|_| StoreError::Closed)??;
        let mut inner = Inner::new(store, Registry::new(rows), identity, config.agent_tls);
        inner.flow = fairness::Flow::new(config.requests_in_flight_max);
        inner.aggregate = crate::aggregate::State::new(config.front_proxy.clone());
        if let Some(audit) = &config.audit {
            inner.audit = Audit::open(audit).await?;
        }
        let server = Self { inner: Arc::new(inner) };
        crd::start(&server.inner).await?;
        fairness::bootstrap::run(&server).await.map_err(OpenError::Bootstrap)?;
        fairness::start(&server);
        crate::bootstrap::run(&server, &public).await.map_err(OpenError::Bootstrap)?;
        let (client_ca, front_proxy) = (&public.root_ca, config.front_proxy.as_ref());
        crate::aggregate::bootstrap::run(&server, client_ca, front_proxy).await.map_err(OpenError::Bootstrap)?;
        tokio::spawn(crate::authn::follow(Arc::clone(&server.inner)));
        tokio::spawn(crate::admission::follow(Arc::clone(&server.inner)));
        server.inner.set_bootstrapped();
        crate::aggregate::start(&server.inner);
        Ok(server)
    }

    /// A client in this process that acts as `user`. No socket, no TLS, no header that could be forged.
    pub fn client(&self, user: UserInfo) -> kube::Client {
        kube::Client::new(InProcess { server: self.clone(), user }, "default")
    }

    /// Ends watches and background work; the server says that it is not ready from now on.
    pub fn stop(&self) {
        self.inner.drain();
        self.inner.stop.cancel();
        if let Some(audit) = &self.inner.audit {
            audit.flush();
        }
    }

    /// Whether every check of `/readyz` is good.
    pub async fn is_ready(&self) -> bool {
        self.inner.is_bootstrapped() && !self.inner.is_draining() && self.inner.store.health().await.is_ok()
    }

    /// The store behind the server.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<ApiBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<AnyError>,
    {
        let request = request.map(boxed);
        handle(Arc::clone(&self.inner), request).await
    }
}

fn boxed<B>(body: B) -> RequestBody
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<AnyError>,
{
    let body = body.map_err(|error| BodyError(error.into())).boxed_unsync();
    ReadToEnd::new(body).boxed_unsync()
}

/// Starts the caches of the kinds that ship with the binary, all at once.
async fn built_in_rows(store: &Arc<dyn Store>) -> Result<Vec<Resource>, StoreError> {
    let definitions: Vec<Value> = berth_types::crds::values();
    let own = definitions.iter().map(|crd| async move {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, plural) = (text(&crd["spec"]["group"]), text(&crd["spec"]["names"]["plural"]));
        let version = builtin::storage_version(crd).unwrap_or("v1");
        let storage = open_storage(store, &group, &plural, version, builtin::indexed_fields(crd)).await?;
        Ok::<_, StoreError>(builtin::rows_of(crd, &storage, true, &Form::default()))
    });
    let kinds = core::kinds();
    let standard = kinds.iter().filter(|kind| kind.shown_from.is_none()).map(|kind| async move {
        let storage = open_storage(store, kind.group, kind.plural, "v1", kind.indexed_fields()).await?;
        Ok::<_, StoreError>(vec![kind.row(&storage)])
    });
    let reviews = open_storage(store, "", reviews::PREFIX, "v1", Vec::new()).await?;
    let (own, standard) =
        futures::future::try_join(futures::future::try_join_all(own), futures::future::try_join_all(standard)).await?;
    // Kinds that show the objects of another one share its storage.
    let shown: Vec<Resource> = kinds
        .iter()
        .filter_map(|kind| {
            let (group, plural) = kind.shown_from?;
            let rows = standard.iter().flatten().find(|row| row.group == group && row.plural == plural)?;
            Some(kind.row(&rows.storage))
        })
        .collect();
    let reviews = reviews::kinds().map(|kind| kind.row(&reviews));
    Ok(own.into_iter().chain(standard).flatten().chain(shown).chain(reviews).collect())
}

/// Starts the cache of a kind.
pub(crate) async fn open_storage(
    store: &Arc<dyn Store>,
    group: &str,
    plural: &str,
    version: &str,
    indexed_fields: Vec<String>,
) -> Result<Arc<Storage>, StoreError> {
    let prefix = resource::storage_prefix(group, plural);
    let config = CacheConfig { indexed_fields, ..CacheConfig::default() };
    let cache = Cache::start(Arc::clone(store), &prefix, config).await?;
    Ok(Arc::new(Storage { prefix, api_version: resource::api_version(group, version), cache }))
}

impl<B> tower::Service<Request<B>> for ApiServer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<AnyError>,
{
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        let request = request.map(boxed);
        Box::pin(async move { Ok(handle(inner, request).await) })
    }
}

/// Requests of one user in this process.
#[derive(Clone, Debug)]
struct InProcess {
    server: ApiServer,
    user: UserInfo,
}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<AnyError>,
{
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.user.clone());
        tower::Service::call(&mut self.server, request)
    }
}

/// How long a background write of the server's own may take.
pub(crate) const OWN_WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Deletes an object in the name of the server, as a client would: finalizers are respected.
pub(crate) async fn delete_as_server(inner: &Arc<Inner>, row: &Resource, namespace: &str, name: &str) {
    let base = if row.group.is_empty() {
        format!("/api/{}", row.version)
    } else {
        format!("/apis/{}/{}", row.group, row.version)
    };
    let uri = if namespace.is_empty() {
        format!("{base}/{}/{name}", row.plural)
    } else {
        format!("{base}/namespaces/{namespace}/{}/{name}", row.plural)
    };
    let mut request = Request::new(http_body_util::Empty::<Bytes>::new());
    *request.method_mut() = http::Method::DELETE;
    let Ok(uri) = uri.parse() else { return };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(UserInfo::apiserver());
    let server = ApiServer { inner: Arc::clone(inner) };
    let done = tokio::time::timeout(OWN_WRITE_TIMEOUT, Box::pin(server.answer(request))).await;
    if !done.is_ok_and(|response| response.status().is_success() || response.status() == http::StatusCode::NOT_FOUND) {
        tracing::warn!(resource = %row.plural, namespace, name, "could not delete an object of a definition that goes");
    }
}
