//! From a request to an answer: who asks, whether they may, and which verb on which row it is.

pub(crate) mod convert;
mod deadline;
mod discovery;
mod health;
mod negotiate;
mod openapi;
mod proxy;
mod read;
pub(crate) mod respond;
mod selectors;
mod streams;
mod unread;
mod watch;
mod websocket;
mod write;

pub(crate) use openapi::Documents;
pub(crate) use streams::Streams;

use std::sync::Arc;
use std::time::Instant;

use berth_flow::Cost;
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::combinators::UnsyncBoxBody;

use crate::aggregate::{self, Passage};
use crate::audit::{self, PeerAddress, Trail};
use crate::authn::{self, Acting, UserInfo};
use crate::authz;
use crate::fairness;
use crate::inner::Inner;
use crate::registry::{self, Resource};
use crate::request::{Query, RequestInfo, ResourcePath, Target, Verb, parse_path};
use crate::status::ApiError;
use respond::ApiResponse;

/// Any error of a transport's body.
pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// An error while reading a request's body.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BodyError(pub AnyError);

pub(crate) use unread::ReadToEnd;

/// The body of a request, whatever transport brought it.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// One request on a row.
pub(crate) struct Call<'a> {
    pub server: &'a Arc<Inner>,
    pub user: &'a UserInfo,
    pub path: &'a ResourcePath,
    pub resource: &'a Arc<Resource>,
    pub query: Query,
    pub headers: &'a HeaderMap,
    pub user_agent: &'a str,
    pub now: jiff::Timestamp,
    pub trail: &'a Trail,
}

impl Call<'_> {
    pub(crate) fn name(&self) -> Result<&str, ApiError> {
        self.path.name.as_deref().ok_or_else(ApiError::method_not_allowed_here)
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.path.namespace.as_deref().filter(|_| self.resource.namespaced)
    }
}

/// What is known of a request before it is answered: for metrics.
struct Label {
    verb: &'static str,
    group: String,
    resource: String,
    /// Whose turn it waits for; unknown until it is known who asks.
    class: Option<fairness::Class>,
}

/// Answers a request. Never fails, never panics: what goes wrong is an answer, too.
pub(crate) async fn handle(server: Arc<Inner>, request: Request<RequestBody>) -> ApiResponse {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    authn::take_websocket_token(&mut parts.headers);
    let trail = Trail::begin(&server, &parts);
    let accept_encoding = parts.headers.get(header::ACCEPT_ENCODING).cloned();
    let is_head = parts.method == Method::HEAD;
    if let Some(response) = turned_away(&server, &parts) {
        return trail.answered(response);
    }
    let mut label = Label { verb: "other", group: String::new(), resource: String::new(), class: None };
    // In boxes: the frames of a request's whole way would else lie on one thread's stack, beside deep documents.
    let routed = Box::pin(route(&server, parts, body, &mut label, &trail));
    let answered = std::panic::AssertUnwindSafe(routed).catch_unwind().await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => respond::error(&error),
        Err(_) => {
            // The panic hook has printed where; the client learns only that it was not its fault.
            tracing::error!(verb = label.verb, resource = %label.resource, "a request handler panicked");
            server.metrics.panicked();
            trail.panicked();
            respond::error(&ApiError::internal("this request caused apiserver to panic. Look in the logs for details"))
        }
    };
    let mut response = respond::compress(trail.answer(response), accept_encoding.as_ref()).await;
    let headers = response.headers_mut();
    if let Some(class) = &label.class {
        class.stamp(headers);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
    server.metrics.request(label.verb, &label.group, &label.resource, response.status().as_u16(), started.elapsed());
    let mut response = trail.answered(response);
    if is_head {
        *response.body_mut() = crate::body::ApiBody::empty();
    }
    response
}

/// While the server stops, clients that come from elsewhere are sent to another: what this process itself asks must
/// still be answered, and so must whoever looks how the server is.
fn turned_away(server: &Inner, parts: &http::request::Parts) -> Option<ApiResponse> {
    const EXEMPT: &[&str] = &["/readyz", "/livez", "/healthz", "/metrics"];
    let is_remote = parts.extensions.get::<PeerAddress>().is_some();
    if !server.is_draining() || !is_remote || EXEMPT.iter().any(|path| parts.uri.path().starts_with(path)) {
        return None;
    }
    let mut response = respond::text(429, "The apiserver is shutting down, please try again later.\n");
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    // HTTP/2 knows no such header; there the connection has been told already.
    if parts.version < http::Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Some(response)
}

async fn route(
    server: &Arc<Inner>,
    parts: http::request::Parts,
    body: RequestBody,
    label: &mut Label,
    trail: &Trail,
) -> Result<ApiResponse, ApiError> {
    let target = parse_path(parts.uri.path())?;
    let user = authn::authenticate(server, &parts).await?;
    if parts.headers.contains_key("impersonate-user") {
        trail.asks(&user);
    }
    let acting = authn::impersonate(server, user, &parts)?;
    let query = Query::parse(parts.uri.query());
    if query.is_cut() {
        return Err(ApiError::bad_request("the request has too many query parameters"));
    }
    let path = match target {
        Target::Resource(path) => return on_resource(server, &acting, path, query, parts, body, label, trail).await,
        Target::GroupVersion { .. } => parts.uri.path().trim_end_matches('/').to_owned(),
        Target::Other(ref path) => path.clone(),
    };
    let verb = parts.method.as_str().to_ascii_lowercase();
    let info = RequestInfo::of_path(&path, &verb);
    label.verb = "get";
    let class = admit(server, &acting, &info, trail, label)?;
    let _seat = class.enter(Cost::One).await?;
    let elsewhere = match &target {
        Target::GroupVersion { group, version } => aggregate::find(server, group, version),
        _ => aggregate::find_document(server, &path),
    };
    if let Some(remote) = elsewhere {
        reads_only(&parts.method)?;
        let deadline = Some(tokio::time::Instant::now() + deadline::allowed(&query)?);
        let passage = Passage { server, remote: &remote, user: &acting.user, trail, deadline };
        return Box::pin(aggregate::forward(passage, &parts, body)).await;
    }
    match target {
        Target::GroupVersion { group, version } => {
            reads_only(&parts.method)?;
            discovery::group_version(server, &group, &version)
        }
        _ => other(server, &path, &query, &parts).await,
    }
}

/// Lets a request pass that its user may make. Asked before anything that costs: a look-up in memory is cheaper than
/// to take in a body or to wait for a seat.
fn admit<'a>(
    server: &Inner,
    acting: &Acting,
    info: &RequestInfo<'_>,
    trail: &Trail,
    label: &'a mut Label,
) -> Result<&'a fairness::Class, ApiError> {
    trail.identified(acting, info);
    let class = label.class.insert(fairness::classify(server, &acting.user, info));
    let decision = authz::authorize(server, &acting.user, info);
    trail.authorized(&decision);
    if decision.allowed { Ok(class) } else { Err(authz::forbidden(&acting.user, info, &decision.reason)) }
}

fn reads_only(method: &Method) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) { Ok(()) } else { Err(ApiError::method_not_allowed_here()) }
}

/// Paths that are no resources.
async fn other(
    server: &Arc<Inner>,
    path: &str,
    query: &Query,
    parts: &http::request::Parts,
) -> Result<ApiResponse, ApiError> {
    match path.split('/').nth(1).unwrap_or_default() {
        "livez" | "readyz" | "healthz" => return health::check(server, path, query).await,
        _ => reads_only(&parts.method)?,
    }
    match path {
        "/" => Ok(discovery::root(server)),
        "/version" => Ok(health::version()),
        "/metrics" => Ok(health::metrics(server).await),
        "/.well-known/openid-configuration" | "/openid/v1/jwks" => authn::serve_openid(server, path, &parts.headers),
        "/api" | "/apis" => discovery::groups(server, path == "/api", &parts.headers),
        "/openapi/v2" => openapi::v2(server, &parts.headers).await,
        "/openapi/v3" => openapi::v3_root(server).await,
        _ => {
            if let Some(group) = path.strip_prefix("/apis/") {
                return discovery::group(server, group);
            }
            if let Some(document) = path.strip_prefix("/openapi/v3/") {
                return openapi::v3(server, document, query, &parts.headers).await;
            }
            Err(ApiError::page_not_found())
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "the parts of one request, used once")]
async fn on_resource(
    server: &Arc<Inner>,
    acting: &Acting,
    path: ResourcePath,
    query: Query,
    parts: http::request::Parts,
    body: RequestBody,
    label: &mut Label,
    trail: &Trail,
) -> Result<ApiResponse, ApiError> {
    let watch = query.flag("watch") || path.watch_prefix;
    let verb = match Verb::of(&parts.method, &path, watch) {
        Some(Verb::Get) if path.watch_prefix => Verb::Watch,
        Some(verb) => verb,
        None => return Err(ApiError::method_not_allowed_here()),
    };
    label.verb = verb.as_str();
    let info = RequestInfo::of_resource(parts.uri.path().trim_end_matches('/'), verb, &path, &query);
    admit(server, acting, &info, trail, label)?;
    let is_long_running = info.is_long_running();
    // A stream says how long it wants to live in other words, and may live longer.
    let allowed = if is_long_running { deadline::REQUEST_TIMEOUT } else { deadline::allowed(&query)? };
    let deadline = tokio::time::Instant::now() + allowed;
    if let Some(remote) = aggregate::find(server, &path.group, &path.version) {
        label.group.clone_from(&path.group);
        let class = label.class.as_ref().filter(|_| !is_long_running || verb == Verb::Watch);
        let _seat = match class {
            Some(class) => Some(class.enter(Cost::One).await?),
            None => None,
        };
        let slot = if is_long_running { Some(server.streams.enter(&acting.user.name)?) } else { None };
        let deadline = Some(deadline).filter(|_| !is_long_running);
        let passage = Passage { server, remote: &remote, user: &acting.user, trail, deadline };
        // Seldom, and large: not a part of every request's future.
        let response = Box::pin(aggregate::forward(passage, &parts, body)).await?;
        return Ok(match slot {
            Some(slot) => response.map(|body| slot.guard(body)),
            None => response,
        });
    }
    if path.is_deep {
        return Err(ApiError::page_not_found());
    }
    let rows = server.registry.snapshot();
    let Some(resource) = rows.find(&path.group, &path.version, &path.plural) else {
        if registry::core::is_hidden(&path.group, &path.version, &path.plural) {
            return hidden_service(verb, &path, &query);
        }
        // A group of definitions is a mux of its own: what none of them serves is nobody's.
        let served = rows.version(&path.group, &path.version);
        let in_builtin_group = served.is_some_and(|resources| resources.values().any(|row| row.built_in));
        return Err(if in_builtin_group { ApiError::no_such_resource() } else { ApiError::page_not_found() });
    };
    label.group.clone_from(&resource.group);
    label.resource.clone_from(&resource.plural);
    check_scope(&path, resource, verb)?;

    // The body is taken in before the seat: a client that sends slowly keeps no other one waiting.
    let has_body = !is_long_running && !matches!(verb, Verb::Get | Verb::List | Verb::Watch);
    let (body, _room) = if has_body {
        let room = server.bodies.enter(&acting.user.name, write::bytes_max(&body))?;
        let read = tokio::time::timeout_at(deadline, write::read(body)).await;
        (read.map_err(|_| ApiError::timeout())??, Some(room))
    } else {
        (Bytes::new(), None)
    };
    trail.request_body(&body, audit::content_type(&parts.headers), resource);
    let class = label.class.as_ref().filter(|_| !is_long_running || verb == Verb::Watch);
    let cost = fairness::cost(server, &info, &query, resource);
    let _seat = match class {
        Some(class) => Some(class.enter(cost).await?),
        // Logs and shells are bounded by their number, not by seats.
        None => None,
    };
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let call = Call {
        server,
        user: &acting.user,
        path: &path,
        resource,
        query: query.clone(),
        headers: &parts.headers,
        user_agent,
        now: jiff::Timestamp::now(),
        trail,
    };
    let work = Box::pin(call.dispatch(verb, body, &parts));
    let mut response = if is_long_running {
        let slot = server.streams.enter(&acting.user.name)?;
        work.await?.map(|body| slot.guard(body))
    } else {
        tokio::time::timeout_at(deadline, work).await.map_err(|_| ApiError::timeout())??
    };
    if let Some(warning) = &resource.deprecation {
        respond::warn(response.headers_mut(), std::slice::from_ref(warning));
    }
    Ok(response)
}

/// Services of the core group can be read, and nothing else.
fn hidden_service(verb: Verb, path: &ResourcePath, query: &Query) -> Result<ApiResponse, ApiError> {
    let (namespace, name) = (path.namespace.as_deref(), path.name.as_deref());
    if path.subresource.is_some() || !matches!(verb, Verb::Get | Verb::List) {
        return Err(ApiError::method_not_allowed_here());
    }
    let selects = ["labelSelector", "fieldSelector"].iter().any(|name| query.filled(name).is_some());
    let found = registry::core::hidden_services(namespace, name, selects);
    let named = crate::status::Named { group: "", plural: "services" };
    let body = found.ok_or_else(|| ApiError::not_found(named, name.unwrap_or_default()))?;
    Ok(respond::json(200, body.to_string()))
}

/// Names and collections must be where the kind's scope says.
fn check_scope(path: &ResourcePath, resource: &Resource, verb: Verb) -> Result<(), ApiError> {
    let is_namespace = resource.group.is_empty() && resource.plural == "namespaces";
    if is_namespace && path.namespace != path.name {
        // `/namespaces/a/namespaces/b`: a namespace lies in no other.
        return Err(ApiError::page_not_found());
    }
    let in_namespace = path.namespace.is_some() && !is_namespace;
    let reads_all = matches!(verb, Verb::List | Verb::Watch) && path.name.is_none();
    let fits = match (resource.namespaced, in_namespace) {
        (true, true) | (false, false) => true,
        (true, false) => reads_all,
        (false, true) => false,
    };
    if !fits {
        return Err(ApiError::page_not_found());
    }
    if verb == Verb::Create && path.name.is_some() && path.subresource.is_none()
        || verb == Verb::Update && path.name.is_none()
        || verb == Verb::Patch && path.name.is_none()
        || !resource.supports(verb)
    {
        return Err(ApiError::method_not_allowed(verb.as_str(), resource.named()));
    }
    Ok(())
}

impl Call<'_> {
    /// The verb's handler.
    async fn dispatch(&self, verb: Verb, body: Bytes, parts: &http::request::Parts) -> Result<ApiResponse, ApiError> {
        if let Some(answer) = self.resource.answer {
            return self.review(answer, &body).await;
        }
        let unknown = || ApiError::not_found(self.resource.named(), self.path.name.as_deref().unwrap_or_default());
        let not_here = || ApiError::method_not_allowed(verb.as_str(), self.resource.named());
        match (self.path.subresource.as_deref(), verb) {
            (None, Verb::Get) => self.get().await,
            (None, Verb::List) => self.list().await,
            (None, Verb::Watch) if websocket::is_asked(parts) => Box::pin(websocket::watch(self, parts)).await,
            (None, Verb::Watch) => self.watch().await,
            (None, _) => {
                let response = self.write(verb, body).await?;
                authz::settled(self).await;
                Ok(response)
            }
            (Some("status"), _) if !self.resource.has_status => Err(unknown()),
            (Some("status"), Verb::Get) => self.get().await,
            (Some("status"), Verb::Update | Verb::Patch) => self.write(verb, body).await,
            (Some("status"), _) => Err(not_here()),
            (Some("scale"), _) if self.resource.scale.is_none() => Err(unknown()),
            (Some("scale"), Verb::Get | Verb::Update | Verb::Patch) => self.scale(verb, body).await,
            (Some("scale"), _) => Err(not_here()),
            (Some(other), _) if !self.resource.other_subresources.iter().any(|(name, _)| *name == other) => {
                Err(unknown())
            }
            (Some("finalize"), Verb::Update) => self.write(verb, body).await,
            (Some("token"), Verb::Create) => Box::pin(authn::token_request(self, &body)).await,
            (Some("approval"), Verb::Get) => self.get().await,
            (Some("approval"), Verb::Update | Verb::Patch) => self.write(verb, body).await,
            (Some("log"), Verb::Get) => proxy::log(self).await,
            (Some("exec"), Verb::Get | Verb::Create) => proxy::exec(self, parts).await,
            (Some(_), _) => Err(not_here()),
        }
    }
}
