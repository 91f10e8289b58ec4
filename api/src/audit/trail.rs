//! What is noted of one request while it is worked on, and the events that come of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::Audit;
use super::event::{Event, Facts, ObjectReference, ResponseStatus, Who};
use super::policy::{Attributes, Level, Stage, Verdict};
use crate::authn::{Acting, UserInfo};
use crate::authz::Decision;
use crate::body::ApiBody;
use crate::http::respond::ApiResponse;
use crate::inner::Inner;
use crate::protobuf;
use crate::registry::Resource;
use crate::request::{RequestInfo, Target, Verb, parse_path};
use crate::write::decode::{Format, decode};

/// A client's own id of a request is passed on up to this length, as upstream does.
const AUDIT_ID_BYTES_MAX: usize = 64;
/// Notes of one request; further ones are lost, not the request.
const ANNOTATIONS_MAX: usize = 256;
/// Addresses of proxies that are believed to have passed a request on.
const SOURCE_IPS_MAX: usize = 16;

/// Where a request came from, set by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAddress(pub SocketAddr);

/// What is noted of one request while it is worked on.
#[derive(Debug)]
pub(crate) struct Trail {
    id: HeaderValue,
    /// Nothing is noted while nobody wants it.
    notes: Option<Arc<Notes>>,
}

#[derive(Debug)]
struct Notes {
    audit: Arc<Audit>,
    id: HeaderValue,
    received: Timestamp,
    request: Request,
    state: Mutex<State>,
}

/// What the client sent, as far as events tell it.
#[derive(Debug)]
struct Request {
    method: Method,
    uri: Uri,
    user_agent: Option<HeaderValue>,
    forwarded_for: Option<HeaderValue>,
    real_ip: Option<HeaderValue>,
    peer: Option<IpAddr>,
}

#[derive(Debug, Default)]
enum State {
    /// It is not known yet who asks, or only who wants to be somebody else.
    #[default]
    Begun,
    Asked(Box<UserInfo>),
    /// The policy wants nothing of this request.
    Ignored,
    Followed(Box<Followed>),
    /// The last event is written.
    Ended,
}

#[derive(Debug)]
struct Followed {
    verdict: Verdict,
    facts: Vec<u8>,
    object: Option<ObjectReference>,
    is_long_running: bool,
    /// The kind's objects hold secrets, and refusals may quote them.
    is_sensitive: bool,
    annotations: BTreeMap<String, String>,
    request_object: Option<String>,
    response_object: Option<String>,
}

impl Trail {
    /// A request has come in.
    pub(crate) fn begin(server: &Inner, parts: &http::request::Parts) -> Self {
        let given = parts.headers.get("audit-id").filter(|id| id.len() <= AUDIT_ID_BYTES_MAX).cloned();
        let id = given
            .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok())
            .unwrap_or_else(|| HeaderValue::from_static("-"));
        let notes = server.audit.as_ref().map(|audit| {
            let header = |name: &str| parts.headers.get(name).cloned();
            let request = Request {
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                user_agent: parts.headers.get(header::USER_AGENT).cloned(),
                forwarded_for: header("x-forwarded-for"),
                real_ip: header("x-real-ip"),
                peer: parts.extensions.get::<PeerAddress>().map(|peer| peer.0.ip().to_canonical()),
            };
            Arc::new(Notes {
                audit: Arc::clone(audit),
                id: id.clone(),
                received: Timestamp::now(),
                request,
                state: Mutex::default(),
            })
        });
        Self { id, notes }
    }

    /// The request's id, for whoever it is passed on to.
    pub(crate) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// Somebody wants to act as another: if they may not, this is who it was.
    pub(crate) fn asks(&self, user: &UserInfo) {
        if let Some(notes) = &self.notes {
            *notes.state.lock() = State::Asked(Box::new(user.clone()));
        }
    }

    /// It is known who asks for what: from here on it is known, too, whether the policy wants it recorded.
    pub(crate) fn identified(&self, acting: &Acting, info: &RequestInfo<'_>) {
        let Some(notes) = &self.notes else { return };
        let user = acting.impersonated_by.as_ref().unwrap_or(&acting.user);
        let verdict = notes.audit.verdict(&attributes(Some(user), info));
        if verdict.level == Level::None {
            *notes.state.lock() = State::Ignored;
            return;
        }
        let impersonated = acting.impersonated_by.as_ref().map(|_| &acting.user);
        let followed = Followed::new(verdict, &notes.request, user.into(), impersonated.map(Into::into), info);
        if !verdict.omit_stages.has(Stage::RequestReceived) {
            notes.write(&followed, Stage::RequestReceived, None, notes.received);
        }
        *notes.state.lock() = State::Followed(Box::new(followed));
    }

    fn change(&self, change: impl FnOnce(&mut Followed)) {
        if let Some(notes) = &self.notes
            && let State::Followed(followed) = &mut *notes.state.lock()
        {
            change(followed);
        }
    }

    fn level(&self) -> Level {
        match self.notes.as_ref().map(|notes| notes.state.lock()).as_deref() {
            Some(State::Followed(followed)) => followed.verdict.level,
            _ => Level::None,
        }
    }

    /// It was decided whether they may.
    pub(crate) fn authorized(&self, decision: &Decision) {
        self.change(|followed| {
            let word = if decision.allowed { "allow" } else { "forbid" };
            followed.annotations.insert("authorization.k8s.io/decision".to_owned(), word.to_owned());
            followed.annotations.insert("authorization.k8s.io/reason".to_owned(), decision.reason.clone().into_owned());
        });
    }

    /// Adds a note, such as why a rule let a request pass. The first one of a key stays, as upstream has it.
    pub(crate) fn annotate(&self, key: &str, value: impl Into<String>) {
        self.change(|followed| {
            if followed.annotations.len() < ANNOTATIONS_MAX {
                followed.annotations.entry(key.to_owned()).or_insert_with(|| value.into());
            }
        });
    }

    /// Adds a note that quotes objects: only where the policy wants objects, at level `Request` and above.
    pub(crate) fn annotate_objects(&self, key: &str, value: impl FnOnce() -> String) {
        if self.level() >= Level::Request {
            self.annotate(key, value());
        }
    }

    /// The name of an object that is created: it is not in the path.
    pub(crate) fn names(&self, name: &str) {
        self.change(|followed| {
            if let Some(object) = followed.object.as_mut().filter(|object| object.name.is_empty()) {
                name.clone_into(&mut object.name);
            }
        });
    }

    /// The body of a request, as it came.
    pub(crate) fn request_body(&self, body: &Bytes, content_type: Option<&str>, resource: &Resource) {
        if body.is_empty() || self.level() < Level::Request || resource.group == "authentication.berth.dev" {
            // A login has a password in it, which no policy may ask for.
            return;
        }
        let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let read = match media {
            "application/apply-patch+yaml" => decode(body, Format::Yaml).ok().map(|decoded| decoded.value),
            media if media.ends_with("+json") => serde_json::from_slice(body).ok(),
            media => match Format::of(Some(media)) {
                Some(Format::Protobuf) => protobuf::decode(body, &resource.group, &resource.kind).ok(),
                Some(format) => decode(body, format).ok().map(|decoded| decoded.value),
                None => None,
            },
        };
        self.change(|followed| followed.request_object = read.map(|object| followed.text_of(object)));
    }

    /// The answer before it is compressed.
    pub(crate) fn answer(&self, response: ApiResponse) -> ApiResponse {
        if self.level() < Level::RequestResponse {
            return response;
        }
        let (parts, body) = response.into_parts();
        let body = match body {
            ApiBody::Pieces(pieces) => ApiBody::from(pieces.collect()),
            other => other,
        };
        if let ApiBody::Whole(Some(bytes)) = &body {
            let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
            let format = Format::of(content_type).filter(|format| !matches!(format, Format::Protobuf));
            let read = format.and_then(|format| decode(bytes, format).ok());
            self.change(|followed| followed.response_object = read.map(|object| followed.text_of(object.value)));
        }
        ApiResponse::from_parts(parts, body)
    }

    /// The handler panicked.
    pub(crate) fn panicked(&self) {
        let Some(notes) = &self.notes else { return };
        let State::Followed(followed) = std::mem::replace(&mut *notes.state.lock(), State::Ended) else { return };
        if !followed.verdict.omit_stages.has(Stage::Panic) {
            let status = ResponseStatus::failed(500, "InternalError", "APIServer panic'd");
            notes.write(&followed, Stage::Panic, Some(&status), Timestamp::now());
        }
    }

    /// The answer is known; a stream has only begun. Puts the id into the answer's headers.
    pub(crate) fn answered(&self, mut response: ApiResponse) -> ApiResponse {
        response.headers_mut().insert("audit-id", self.id.clone());
        let Some(notes) = &self.notes else { return response };
        let code = response.status();
        let mut state = notes.state.lock();
        match std::mem::take(&mut *state) {
            State::Begun if code == StatusCode::UNAUTHORIZED => notes.unidentified(None, &response),
            State::Asked(user) if code.as_u16() >= 400 => notes.unidentified(Some(&user), &response),
            followed @ State::Followed(_) => *state = followed,
            _ => {}
        }
        let State::Followed(followed) = &*state else { return response };
        let status = followed.status_of(&response);
        if followed.is_long_running && code.as_u16() < 400 {
            if !followed.verdict.omit_stages.has(Stage::ResponseStarted) {
                notes.write(followed, Stage::ResponseStarted, Some(&status), Timestamp::now());
            }
            if matches!(response.body(), ApiBody::Stream(_)) {
                drop(state);
                let end = End { notes: Arc::clone(notes), status };
                return response.map(|body| body.holding(end));
            }
        }
        drop(state);
        notes.complete(&status);
        response
    }
}

impl Followed {
    fn new(
        verdict: Verdict,
        request: &Request,
        user: Who<'_>,
        impersonated_user: Option<Who<'_>>,
        info: &RequestInfo<'_>,
    ) -> Self {
        let uri = request.uri.path_and_query().map_or("/", |uri| uri.as_str());
        let source_ips = request.source_ips();
        let user_agent = request.user_agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let facts =
            Facts { request_uri: uri, verb: info.verb, user, impersonated_user, source_ips: &source_ips, user_agent };
        let object = info.resource.map(|path| ObjectReference {
            resource: path.plural.clone(),
            namespace: info.namespace().to_owned(),
            name: info.name.to_owned(),
            api_group: path.group.clone(),
            api_version: path.version.clone(),
            subresource: info.subresource().to_owned(),
        });
        Self {
            verdict,
            facts: facts.fields(),
            object,
            is_long_running: info.is_long_running(),
            is_sensitive: is_sensitive(info),
            annotations: BTreeMap::new(),
            request_object: None,
            response_object: None,
        }
    }

    /// What came of the request: a refusal is told as its answer tells it.
    fn status_of(&self, response: &ApiResponse) -> ResponseStatus {
        let code = response.status().as_u16();
        match response.body() {
            ApiBody::Whole(Some(bytes)) if code >= 400 => {
                let tells = !self.is_sensitive || self.verdict.level >= Level::Request;
                ResponseStatus::refused(code, bytes, tells)
            }
            _ => ResponseStatus::code(code),
        }
    }

    /// An object on one line, without what the policy leaves out.
    fn text_of(&self, mut object: Value) -> String {
        if self.verdict.omit_managed_fields {
            let without = |object: &mut Value| {
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("managedFields");
                }
            };
            without(&mut object);
            object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(without);
        }
        object.to_string()
    }
}

/// Whether refusals may quote secrets.
fn is_sensitive(info: &RequestInfo<'_>) -> bool {
    match (info.group(), info.plural()) {
        ("", "secrets" | "configmaps") | ("authentication.k8s.io", "tokenreviews") => true,
        ("authentication.berth.dev", _) => true,
        ("", "serviceaccounts") => info.subresource() == "token",
        _ => false,
    }
}

fn attributes<'a>(user: Option<&'a UserInfo>, info: &RequestInfo<'a>) -> Attributes<'a> {
    Attributes {
        user: user.map_or("", |user| &user.name),
        groups: user.map_or(&[], |user| &user.groups),
        verb: info.verb,
        is_resource: info.resource.is_some(),
        group: info.group(),
        resource: info.plural(),
        subresource: info.subresource(),
        namespace: info.namespace(),
        name: info.name,
        path: info.path,
    }
}

impl Request {
    /// The addresses that a request came by, the client's first. All but the last are the client's own words.
    fn source_ips(&self) -> Vec<String> {
        let text =
            |header: &Option<HeaderValue>| header.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned);
        let parse = |part: &str| part.trim().parse::<IpAddr>().ok();
        let forwarded = text(&self.forwarded_for).unwrap_or_default();
        let mut found: Vec<IpAddr> = forwarded.split(',').filter_map(parse).take(SOURCE_IPS_MAX).collect();
        if let Some(real) = text(&self.real_ip).as_deref().and_then(parse).filter(|real| !found.contains(real)) {
            found.push(real);
        }
        if let Some(peer) = self.peer.filter(|peer| found.last() != Some(peer)) {
            found.push(peer);
        }
        found.iter().map(ToString::to_string).collect()
    }
}

impl Notes {
    fn write(&self, followed: &Followed, stage: Stage, response: Option<&ResponseStatus>, at: Timestamp) {
        let is_last = stage == Stage::ResponseComplete || stage == Stage::Panic;
        let event = Event {
            level: followed.verdict.level,
            id: self.id.to_str().unwrap_or("-"),
            stage,
            facts: &followed.facts,
            object: followed.object.as_ref(),
            response,
            request_object: followed.request_object.as_deref(),
            response_object: followed.response_object.as_deref().filter(|_| is_last),
            received: self.received,
            at,
            annotations: &followed.annotations,
        };
        self.audit.record(event.line());
    }

    /// Writes the last event, once.
    fn complete(&self, status: &ResponseStatus) {
        let State::Followed(followed) = std::mem::replace(&mut *self.state.lock(), State::Ended) else { return };
        if followed.verdict.omit_stages.has(Stage::ResponseComplete) {
            return;
        }
        self.write(&followed, Stage::ResponseComplete, Some(status), Timestamp::now());
    }

    /// The only event of a request of somebody who could not prove who they are (as far as the policy says anything of
    /// nobody), or who may not be who they want to be.
    fn unidentified(&self, user: Option<&UserInfo>, response: &ApiResponse) {
        let path = self.request.uri.path();
        let lower = self.request.method.as_str().to_ascii_lowercase();
        let target = parse_path(path).ok();
        let query = crate::request::Query::parse(self.request.uri.query());
        let info = match &target {
            Some(Target::Resource(resource)) => {
                let watch = query.flag("watch") || resource.watch_prefix;
                let Some(verb) = Verb::of(&self.request.method, resource, watch) else { return };
                RequestInfo::of_resource(path, verb, resource, &query)
            }
            _ => RequestInfo::of_path(path, &lower),
        };
        let verdict = self.audit.verdict(&attributes(user, &info));
        // The answer is all there is, so its beginning is the event, as upstream has it.
        let stage = if user.is_some() { Stage::ResponseComplete } else { Stage::ResponseStarted };
        if verdict.level == Level::None || verdict.omit_stages.has(stage) {
            return;
        }
        let followed = Followed::new(verdict, &self.request, user.map(Who::from).unwrap_or_default(), None, &info);
        let status = followed.status_of(response);
        self.write(&followed, stage, Some(&status), Timestamp::now());
    }
}

/// Writes the last event when a stream ends, however it does.
struct End {
    notes: Arc<Notes>,
    status: ResponseStatus,
}

impl Drop for End {
    fn drop(&mut self) {
        self.notes.complete(&self.status);
    }
}

/// The type of a request's body.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
}
