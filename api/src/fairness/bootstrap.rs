//! The flow schemas and priority levels that every server has: made at start, and kept as they should be.
//!
//! Mandatory ones are made again when they are gone and put right when they were changed. Suggested ones are kept
//! likewise while their annotation [`AUTO_UPDATE_ANNOTATION`] says so, or says nothing and they were never changed.
//! Each schema tells in its status whether the level that it names exists.

use std::time::Duration;

use berth_flow::Named;
use berth_flow::bootstrap::{AUTO_UPDATE_ANNOTATION, is_mandatory, levels, schemas};
use berth_store::cache::{Filter, Snapshot, Watcher};
use bytes::Bytes;
use futures::future::try_join_all;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Value, json};

use super::objects::{GROUP, LEVELS, SCHEMAS};
use crate::api::ApiServer;
use crate::authn::UserInfo;

const ROOT: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
/// How often everything is looked at even if nothing has changed, as upstream does.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After a failed look.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// An object that every server has.
struct Wanted {
    plural: &'static str,
    kind: &'static str,
    name: String,
    spec: Value,
}

fn wanted() -> impl Iterator<Item = Wanted> {
    // Levels first: a schema whose level is missing is passed over.
    of(LEVELS, "PriorityLevelConfiguration", levels()).chain(of(SCHEMAS, "FlowSchema", schemas()))
}

fn of<T: Serialize + 'static>(
    plural: &'static str,
    kind: &'static str,
    objects: Vec<Named<T>>,
) -> impl Iterator<Item = Wanted> {
    let spec = |spec: &T| serde_json::to_value(spec).expect("plain data serialises");
    objects.into_iter().map(move |object| Wanted { plural, kind, spec: spec(&object.spec), name: object.name })
}

/// Makes what is missing, and puts right what is wrong. Safe to repeat, and to run in several servers at once.
///
/// # Errors
/// When an object cannot be written, with the server's words.
pub(crate) async fn run(server: &ApiServer) -> Result<(), String> {
    for plural in [LEVELS, SCHEMAS] {
        let stored = snapshot(server, plural);
        let steps = wanted().filter(|wanted| wanted.plural == plural).map(|wanted| {
            let stored = stored.get("", &wanted.name).map(|entry| entry.json());
            async move { settle(server, &wanted, stored.as_deref()).await }
        });
        try_join_all(steps).await?;
    }
    Ok(())
}

/// The same, and tells each schema whether its level exists.
async fn look(server: &ApiServer) -> Result<(), String> {
    run(server).await?;
    let levels = snapshot(server, LEVELS);
    let schemas: Vec<Value> = parsed(&snapshot(server, SCHEMAS)).collect();
    try_join_all(schemas.iter().map(|schema| tell_dangling(server, schema, &levels))).await?;
    Ok(())
}

/// Runs at once when an object changes, and now and then, until the server stops.
pub(crate) async fn maintain(server: ApiServer) {
    loop {
        let changed = async {
            let watchers = watch(&server, LEVELS).zip(watch(&server, SCHEMAS));
            let Some((mut levels, mut schemas)) = watchers else {
                return std::future::pending::<()>().await;
            };
            tokio::select! {
                _ = levels.next_batch() => {}
                _ = schemas.next_batch() => {}
            }
        };
        // The watches begin before the look: a change during it is seen by the next.
        tokio::pin!(changed);
        let _ = futures::poll!(changed.as_mut());
        let pause = match look(&server).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::debug!(error, "flow schemas could not be looked after");
                LOOK_AGAIN
            }
        };
        tokio::select! {
            () = server.inner.stop.cancelled() => return,
            () = &mut changed => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn watch(server: &ApiServer, plural: &str) -> Option<Watcher> {
    let rows = server.inner.registry.rows();
    rows.any_version(GROUP, plural)?.storage.cache.watch(0, Filter::default()).ok()
}

fn snapshot(server: &ApiServer, plural: &str) -> Snapshot {
    let rows = server.inner.registry.rows();
    rows.any_version(GROUP, plural).map(|row| row.storage.cache.snapshot()).unwrap_or_default()
}

fn parsed(snapshot: &Snapshot) -> impl Iterator<Item = Value> {
    snapshot.iter().filter_map(|entry| serde_json::from_slice(&entry.json()).ok())
}

async fn settle(server: &ApiServer, wanted: &Wanted, stored: Option<&[u8]>) -> Result<(), String> {
    let stored: Option<Value> = stored.and_then(|json| serde_json::from_slice(json).ok());
    let Some(mut object) = stored else {
        let object = json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": wanted.kind,
            "metadata": {"name": wanted.name, "annotations": {AUTO_UPDATE_ANNOTATION: "true"}},
            "spec": wanted.spec,
        });
        let path = format!("{ROOT}/{}", wanted.plural);
        return send(server, Method::POST, &path, "application/json", &object).await;
    };
    let is_kept = is_mandatory(&wanted.name) || is_ours(&object);
    if !is_kept || same_spec(wanted, &object) {
        return Ok(());
    }
    let mut spec = wanted.spec.clone();
    if wanted.name == berth_flow::bootstrap::EXEMPT_NAME && wanted.plural == LEVELS {
        // What the exempt level lends is its administrator's choice.
        spec["exempt"] = object["spec"]["exempt"].take();
    }
    object["spec"] = spec;
    let path = format!("{ROOT}/{}/{}", wanted.plural, wanted.name);
    send(server, Method::PUT, &path, "application/json", &object).await
}

/// Whether the server keeps a suggested object: as its annotation says; without one, while its spec is still the
/// first.
fn is_ours(object: &Value) -> bool {
    match object["metadata"]["annotations"][AUTO_UPDATE_ANNOTATION].as_str() {
        Some(text) => text == "true",
        None => object["metadata"]["generation"] == 1,
    }
}

/// Compared with what is left out filled in, on both sides.
fn same_spec(wanted: &Wanted, object: &Value) -> bool {
    use berth_flow::spec::{FlowSchemaSpec, PriorityLevelSpec};
    let is_exempt = wanted.name == berth_flow::bootstrap::EXEMPT_NAME;
    if wanted.plural == SCHEMAS {
        let read = |spec: &Value| serde_json::from_value::<FlowSchemaSpec>(spec.clone()).ok();
        return read(&wanted.spec) == read(&object["spec"]);
    }
    let read = |spec: &Value| {
        let spec = serde_json::from_value::<PriorityLevelSpec>(spec.clone()).ok()?;
        Some(if is_exempt { PriorityLevelSpec { exempt: None, ..spec } } else { spec })
    };
    read(&wanted.spec) == read(&object["spec"])
}

/// Writes the condition `Dangling`, if it is not there or not true any more.
async fn tell_dangling(server: &ApiServer, schema: &Value, levels: &Snapshot) -> Result<(), String> {
    let level = schema["spec"]["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default();
    let is_found = levels.get("", level).is_some();
    let (status, reason, message) = if is_found {
        let message =
            format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} and it exists");
        ("False", "Found", message)
    } else {
        let message = format!(
            "This FlowSchema references the PriorityLevelConfiguration object named {level:?} but there is no such object"
        );
        ("True", "NotFound", message)
    };
    let conditions = schema["status"]["conditions"].as_array();
    let known = conditions.into_iter().flatten().find(|condition| condition["type"] == "Dangling");
    if known.is_some_and(|known| known["status"] == status && known["message"] == message.as_str()) {
        return Ok(());
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let name = schema["metadata"]["name"].as_str().unwrap_or_default();
    let applied = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
        "status": {"conditions": [{
            "type": "Dangling", "status": status, "lastTransitionTime": now, "reason": reason, "message": message,
        }]},
    });
    let path = format!("{ROOT}/{SCHEMAS}/{name}/status");
    match send(server, Method::PATCH, &path, "application/apply-patch+yaml", &applied).await {
        // It went meanwhile.
        Err(error) if error.contains("404") => Ok(()),
        other => other,
    }
}

async fn send(
    server: &ApiServer,
    method: Method,
    path: &str,
    content_type: &'static str,
    object: &Value,
) -> Result<(), String> {
    let mut request = Request::new(Full::new(Bytes::from(object.to_string())));
    let force = if method == Method::PATCH { "&force=true" } else { "" };
    let uri = format!("{path}?fieldManager=api-priority-and-fairness-config-producer-v1{force}");
    *request.uri_mut() = uri.parse().map_err(|_| format!("{path} is no path"))?;
    *request.method_mut() = method;
    request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    request.extensions_mut().insert(UserInfo::apiserver());
    let answer = server.answer(request).await;
    // Another server may have been quicker, or someone else's write: the next look tells.
    if answer.status().is_success() || answer.status() == StatusCode::CONFLICT {
        return Ok(());
    }
    Err(format!("{path}: {} {:?}", answer.status(), answer.body()))
}
