//! Asks a server behind this one whether it is there and what it serves, once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::condition::Condition;
use super::documents::Definitions;
use super::table::{PLURAL, Remote};
use super::transport::Nowhere;
use super::{discovery, documents, headers, transport};
use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::inner::Inner;
use crate::webhook::{Resolve, ServiceTasks};

/// How long a server may take to say what it serves.
const TIMEOUT: Duration = Duration::from_secs(5);
/// One lost connection is no reason to send everybody away.
const ATTEMPTS: u32 = 3;
/// The list of a group's resources, or of documents.
const LIST_BYTES_MAX: usize = 2 << 20;
/// A document of OpenAPI v2: upstream's own has 2 MiB.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;

/// What a server said when it was asked last.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned {
    /// Its resources, as aggregated discovery shows them.
    pub(super) resources: Vec<Value>,
    /// The query under which its OpenAPI v3 document is found; `None` when it has none.
    pub(super) v3: Option<String>,
    /// Its part of the OpenAPI v2 document.
    pub(super) v2: Option<Arc<Definitions>>,
    /// What its OpenAPI v2 document was when it was read.
    v2_etag: Option<HeaderValue>,
}

impl Learned {
    /// Whether the same is to be shown.
    pub(super) fn shows_the_same(&self, other: &Self) -> bool {
        let same_v2 = match (&self.v2, &other.v2) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (None, None) => true,
            _ => false,
        };
        same_v2 && self.resources == other.resources && self.v3 == other.v3
    }
}

/// Whether a server is there; what it serves, if it is.
pub(super) async fn check(server: &Arc<Inner>, remote: &Remote) -> (Condition, Option<Learned>) {
    let (service, namespace) = (&remote.service, &remote.namespace);
    let rows = server.registry.snapshot();
    let services = rows.any_version(berth_types::GROUP, "services");
    if services.is_none_or(|row| row.storage.cache.get(namespace, service).is_none()) {
        let message = format!("service/{service} in {namespace:?} is not present");
        return (Condition::no("ServiceNotFound", message), None);
    }
    if ServiceTasks(&rows).service(namespace, service, remote.port).is_err() {
        let message = format!("endpoints for service/{service} in {namespace:?} have no addresses with port name \"\"");
        return (Condition::no("MissingEndpoints", message), None);
    }
    let before = server.aggregate.learned(&remote.name).unwrap_or_default();
    let discovered = discovered(server, remote);
    let v3 = v3(server, remote);
    let v2 = v2(server, remote, &before);
    let (resources, v3, (v2, v2_etag)) = futures::join!(discovered, v3, v2);
    match resources {
        Ok(resources) => (Condition::passed(), Some(Learned { resources, v3, v2, v2_etag })),
        Err(why) => (Condition::no("FailedDiscoveryCheck", why), None),
    }
}

/// The resources of the group and version.
async fn discovered(server: &Arc<Inner>, remote: &Remote) -> Result<Vec<Value>, String> {
    let path = remote.path();
    let url = format!("https://{}.{}.svc:{}{path}", remote.service, remote.namespace, remote.port);
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        match get(server, remote, &path, None, LIST_BYTES_MAX).await {
            Ok(answer) if answer.status.is_success() => {
                let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                return Ok(discovery::from_list(&list, &remote.group, &remote.version));
            }
            Ok(answer) => why = format!("bad status from {url}: {}", answer.status.as_u16()),
            Err(error) => {
                why = format!("Get {url:?}: {error}");
                // Whoever was silent for so long has used up everybody's patience.
                if error == LATE {
                    break;
                }
            }
        }
    }
    Err(format!("failing or missing response from {url}: {why}"))
}

/// Where the OpenAPI v3 document is. A server without one is as good.
async fn v3(server: &Arc<Inner>, remote: &Remote) -> Option<String> {
    let answer = get(server, remote, "/openapi/v3", None, LIST_BYTES_MAX).await.ok()?;
    let list: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status.is_success())?;
    let key = remote.path();
    let url = list["paths"][key.trim_start_matches('/')]["serverRelativeURL"].as_str()?;
    let query = url.split_once('?').map_or("", |(_, query)| query);
    // It is shown as it is: nothing but a hash gets through.
    let is_plain = query.len() <= 512 && query.bytes().all(|b| b.is_ascii_alphanumeric() || b"=-_.%".contains(&b));
    Some(if is_plain { query.to_owned() } else { String::new() })
}

/// The part of the OpenAPI v2 document that is the server's own; what was known when it has not changed, or cannot be
/// had.
async fn v2(server: &Arc<Inner>, remote: &Remote, before: &Learned) -> (Option<Arc<Definitions>>, Option<HeaderValue>) {
    let kept = || (before.v2.clone(), before.v2_etag.clone());
    let Ok(answer) = get(server, remote, "/openapi/v2", before.v2_etag.clone(), DOCUMENT_BYTES_MAX).await else {
        return kept();
    };
    match answer.status {
        StatusCode::NOT_MODIFIED => return kept(),
        status if !status.is_success() => return (None, None),
        _ => {}
    }
    let prefix = remote.path();
    let read = tokio::task::spawn_blocking(move || documents::part_of(&answer.body, &prefix));
    match read.await {
        Ok(Some(part)) => (Some(Arc::new(part)), answer.etag),
        _ => {
            tracing::debug!(service = %remote.name, kind = PLURAL, "an aggregated API's OpenAPI v2 cannot be read");
            (None, None)
        }
    }
}

/// Go's word for an answer that did not come in time.
const LATE: &str = "context deadline exceeded";

struct Answer {
    status: StatusCode,
    etag: Option<HeaderValue>,
    body: Bytes,
}

/// One question of the server's own. It is asked as one who may ask everything: whether the server is there must not
/// depend on what it allows to whom.
async fn get(
    server: &Arc<Inner>,
    remote: &Remote,
    path: &str,
    etag: Option<HeaderValue>,
    bytes_max: usize,
) -> Result<Answer, String> {
    let transport = &server.aggregate.transport;
    let exchange = async {
        let place = transport.place(server, remote).await.map_err(|nowhere| match nowhere {
            Nowhere::Unusable(why) | Nowhere::Unresolved(why) => why,
        })?;
        let mut request = Request::new(transport::empty());
        *request.uri_mut() = path.parse().map_err(|_| format!("invalid path {path:?}"))?;
        let to = request.headers_mut();
        to.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        to.insert(header::USER_AGENT, HeaderValue::from_static("kube-aggregator"));
        to.insert(header::HOST, HeaderValue::try_from(place.endpoint.authority()).map_err(|e| e.to_string())?);
        if let Some(etag) = etag {
            to.insert(header::IF_NONE_MATCH, etag);
        }
        let user = UserInfo { groups: vec![GROUP_MASTERS.to_owned()], ..UserInfo::new("system:kube-aggregator", &[]) };
        headers::identify(&user, to).map_err(|error| error.to_string())?;
        let sent = transport.send(&place, request, true).await?;
        let (parts, body) = sent.response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await.map_err(|error| error.to_string())?.to_bytes();
        transport.put_back(&place.endpoint, sent.sender);
        Ok(Answer { status: parts.status, etag: parts.headers.get(header::ETAG).cloned(), body })
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err(LATE.to_owned()))
}
