//! An APIService for each group and version that is served here, as definitions come and go. Those that somebody else
//! made are left alone: whoever put a service of theirs in the place of a definition meant it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_store::cache::{Filter, Watcher};
use http::Method;
use serde_json::{Value, json};

use super::condition::write;
use super::priority;
use super::table::{LABEL_MANAGED, PLURAL, is_managed};
use crate::inner::Inner;
use crate::registry::{Rows, Storage};

/// How long to wait before what was refused is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the APIServices of this server until it stops. One write at a time: nothing waits for them.
pub(super) async fn follow(server: Arc<Inner>) {
    let stop = server.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = run(&server) => {}
    }
}

async fn run(server: &Arc<Inner>) {
    let mut rows = server.registry.follow();
    let snapshot = server.registry.snapshot();
    let Some(storage) = snapshot.any_version(priority::GROUP, PLURAL).map(|row| Arc::clone(&row.storage)) else {
        return;
    };
    drop(snapshot);
    let mut watcher = None;
    loop {
        // Before anything is looked at: what changes meanwhile is seen in the next round.
        rows.mark_unchanged();
        if watcher.is_none() {
            watcher = storage.cache.snapshot_and_watch(Filter::default()).ok().map(|(_, watcher)| watcher);
        }
        let is_done = settle(server, &storage).await;
        let retry = if is_done && watcher.is_some() { None } else { Some(RETRY) };
        tokio::select! {
            changed = rows.changed() => if changed.is_err() { return },
            () = next(&mut watcher) => {}
            () = pause(retry) => {}
        }
    }
}

/// The next change of an APIService.
async fn next(watcher: &mut Option<Watcher>) {
    let Some(following) = watcher else { return std::future::pending().await };
    if following.next_batch().await.is_err() {
        *watcher = None;
    }
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The APIServices that there must be, by name.
fn wanted(rows: &Rows) -> BTreeMap<String, Value> {
    let groups = rows.groups();
    let versions = groups.iter().flat_map(|(group, versions)| versions.iter().map(move |version| (group, version)));
    versions
        .filter(|(group, _)| group.as_str() != priority::GROUP)
        .map(|(group, version)| {
            let (group_priority, version_priority) = priority::of(group, version);
            let label = if priority::is_own(group, version) { "onstart" } else { "true" };
            let name = format!("{version}.{group}");
            let object = json!({
                "apiVersion": format!("{}/v1", priority::GROUP), "kind": "APIService",
                "metadata": {"name": name, "labels": {LABEL_MANAGED: label}},
                "spec": {"group": group, "version": version, "groupPriorityMinimum": group_priority,
                    "versionPriority": version_priority},
            });
            (name, object)
        })
        .collect()
}

/// Makes what is stored agree with what is served; tells whether nothing was refused.
async fn settle(server: &Arc<Inner>, storage: &Storage) -> bool {
    let wanted = wanted(&server.registry.rows());
    let collection = format!("/apis/{}/v1/{PLURAL}", priority::GROUP);
    let there = storage.cache.snapshot();
    let mut writes = Vec::new();
    for (name, object) in &wanted {
        match there.get("", name) {
            None => writes.push((Method::POST, collection.clone(), object.to_string())),
            Some(entry) => {
                let found: Value = serde_json::from_slice(&entry.kv().value).unwrap_or_default();
                if let Some(patch) = mend(&found, object) {
                    writes.push((Method::PATCH, format!("{collection}/{name}"), patch.to_string()));
                }
            }
        }
    }
    for entry in there.iter() {
        let is_ours = matches!(entry.label(LABEL_MANAGED), Some("true" | "onstart"));
        if is_ours && !wanted.contains_key(entry.name()) {
            writes.push((Method::DELETE, format!("{collection}/{}", entry.name()), String::new()));
        }
    }
    let mut is_done = true;
    for (method, path, body) in writes {
        if let Err(why) = write(server, method, &path, body).await {
            tracing::warn!(why, "could not write an APIService");
            is_done = false;
        }
    }
    is_done
}

/// What is to be changed of an APIService that this server keeps.
fn mend(found: &Value, wanted: &Value) -> Option<Value> {
    let (is, should) = (&found["spec"], &wanted["spec"]);
    let fields = ["group", "version", "groupPriorityMinimum", "versionPriority"];
    let is_good = is["service"].is_null() && fields.iter().all(|field| is[*field] == should[*field]);
    if !is_managed(found) || is_good {
        return None;
    }
    let mut spec = should.clone();
    for field in ["service", "caBundle", "insecureSkipTLSVerify"] {
        spec[field] = Value::Null;
    }
    Some(json!({ "spec": spec }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_keeps_is_mended() {
        let wanted = json!({"spec": {"group": "a", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 2}});
        let mut found = wanted.clone();
        found["metadata"]["labels"] = json!({LABEL_MANAGED: "true"});
        assert_eq!(mend(&found, &wanted), None);
        found["spec"]["service"] = json!({"name": "s"});
        assert_eq!(mend(&found, &wanted).unwrap()["spec"]["service"], Value::Null);
        found["metadata"]["labels"] = json!({});
        assert_eq!(mend(&found, &wanted), None);
    }
}
