//! The condition `Available` of an APIService, in upstream's words, and the writes of the server's own.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::priority;
use super::table::PLURAL;
use crate::api::{ApiServer, OWN_WRITE_TIMEOUT};
use crate::authn::UserInfo;
use crate::inner::Inner;

/// The condition `Available` of an APIService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Condition {
    /// Of what is served here.
    pub(super) fn local() -> Self {
        let message = "Local APIServices are always available".to_owned();
        Self { status: "True", reason: "Local", message }
    }

    /// All is well.
    pub(super) fn passed() -> Self {
        Self { status: "True", reason: "Passed", message: "all checks passed".to_owned() }
    }

    /// Something is missing.
    pub(super) fn no(reason: &'static str, message: String) -> Self {
        Self { status: "False", reason, message }
    }

    /// Whether requests may go there.
    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// Writes the condition if it says something new. Losing against another server is fine: it asks as we do.
pub(super) async fn tell(server: &Arc<Inner>, name: &str, condition: &Condition) {
    let rows = server.registry.snapshot();
    let Some(row) = rows.any_version(priority::GROUP, PLURAL) else { return };
    let Some(entry) = row.storage.cache.get("", name) else { return };
    let object: Value = serde_json::from_slice(&entry.kv().value).unwrap_or_default();
    if says(&object, condition) {
        return;
    }
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let now = crate::write::meta::timestamp(jiff::Timestamp::now());
    let before = conditions.iter().find(|known| known["type"] == "Available");
    let since = before.filter(|known| known["status"] == condition.status);
    let since = since.map_or_else(|| now.clone().into(), |known| known["lastTransitionTime"].clone());
    let Condition { status, reason, message } = condition;
    let new = json!({"type": "Available", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since});
    conditions.retain(|known| known["type"] != "Available");
    conditions.push(new);
    tracing::info!(service = name, status, reason, message, "an aggregated API changes");
    let body = json!({"metadata": {"uid": object["metadata"]["uid"]}, "status": {"conditions": conditions}});
    let path = format!("/apis/{}/v1/{PLURAL}/{name}/status", priority::GROUP);
    let done = write(server, Method::PATCH, &path, body.to_string()).await;
    if let Err(why) = done {
        tracing::debug!(service = name, why, "could not write the condition of an APIService");
    }
}

/// Whether an APIService says this of itself already.
fn says(object: &Value, condition: &Condition) -> bool {
    let known = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut available = known.filter(|known| known["type"] == "Available");
    available.next().is_some_and(|known| {
        known["status"] == condition.status
            && known["reason"] == condition.reason
            && known["message"] == *condition.message
    })
}

/// A write of the server's own.
///
/// # Errors
/// What the answer was, when it is none that says that all is as it should be.
pub(super) async fn write(server: &Arc<Inner>, method: Method, path: &str, body: String) -> Result<(), String> {
    let is_patch = method == Method::PATCH;
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = format!("{path}?fieldManager=berth-apiserver").parse().map_err(|_| path.to_owned())?;
    let content = if is_patch { "application/merge-patch+json" } else { "application/json" };
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    request.extensions_mut().insert(UserInfo::apiserver());
    let server = ApiServer { inner: Arc::clone(server) };
    let answer = tokio::time::timeout(OWN_WRITE_TIMEOUT, Box::pin(server.answer(request))).await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        // Another server was quicker, at making, changing or deleting.
        Ok(answer) if matches!(answer.status().as_u16(), 404 | 409) => Ok(()),
        Ok(answer) => Err(format!("{path}: {} {:?}", answer.status(), answer.body())),
        Err(_) => Err(format!("{path}: no answer in time")),
    }
}
