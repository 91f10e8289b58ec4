//! `berth describe`: everything about an object on one page.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::shared::{self, Found, Selector, number, text};
use super::why::cause;
use super::{events, get};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds::{self, target};
use crate::output::table::{Grid, labels_text};
use crate::output::yaml;
use crate::term::harmless;
use crate::text::age;

/// Options of `describe`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth describe service hello\n  berth describe task/hello-7f9c4-0\n  berth describe nodes"
)]
pub(crate) struct Args {
    /// KIND [NAME…] or KIND/NAME…
    #[arg(value_name = "WHAT", required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    selector: Selector,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let targets = target::parse(&args.targets)?;
    let session = ctx.session().await?;
    let mut all: Vec<(Found, Value)> = Vec::new();
    for (kind, name) in &targets.objects {
        let found = shared::found(ctx, kind, name).await?;
        let object = get::object(&session, &found).await?;
        all.push((found, object));
    }
    for kind in &targets.kinds {
        let found = shared::found(ctx, kind, "").await?;
        let namespace = (!args.all_namespaces).then_some(found.namespace.as_str());
        let path = found.resource.list_path(namespace);
        let list = shared::list(&session, &path, &args.selector.parameters(), berth_client::session::JSON).await?;
        for object in shared::items(&found.resource, list) {
            let own = text(&object, &["metadata", "namespace"]).to_owned();
            let found = Found { namespace: own, name: shared::name(&object).to_owned(), ..found.clone() };
            all.push((found, object));
        }
    }
    if all.is_empty() {
        return Err(Failure::not_found("nothing found to describe"));
    }
    for (at, (found, object)) in all.into_iter().enumerate() {
        if at > 0 {
            ctx.term.line("\n")?;
        }
        let related = related(&session, &found).await;
        let page = page(&found, &object, &related, ctx.now());
        ctx.term.data(&page)?;
    }
    Ok(exit::OK)
}

/// What stands around an object.
#[derive(Default)]
struct Related {
    tasks: Vec<Value>,
    events: Vec<Value>,
}

async fn related(session: &berth_client::Session, found: &Found) -> Related {
    use berth_types::names;
    let task = kinds::ours("Task");
    let by_label = |label: &str| ("labelSelector".to_owned(), format!("{label}={}", found.name));
    let parameters = match (found.resource.group.as_str(), found.resource.kind.as_str()) {
        (berth_types::GROUP, "Service") => Some(by_label(names::LABEL_SERVICE)),
        (berth_types::GROUP, "Job") => Some(by_label(names::LABEL_JOB)),
        (berth_types::GROUP, "JobRun") => Some(by_label(names::LABEL_JOB_RUN)),
        (berth_types::GROUP, "Node") => Some(("fieldSelector".to_owned(), format!("spec.nodeName={}", found.name))),
        _ => None,
    };
    let namespace = found.resource.namespaced.then_some(found.namespace.as_str());
    let mut related = Related::default();
    if let Some(parameters) = parameters {
        let list = shared::list(session, &task.list_path(namespace), &[parameters], berth_client::session::JSON).await;
        related.tasks = list.map(|l| shared::items(task, l)).unwrap_or_default();
    }
    let event = kinds::ours("Event");
    let about = format!("involvedObject.kind={},involvedObject.name={}", found.resource.kind, found.name);
    let parameters = [("fieldSelector".to_owned(), about)];
    let list = shared::list(session, &event.list_path(namespace), &parameters, berth_client::session::JSON).await;
    related.events = list.map(|l| shared::items(event, l)).unwrap_or_default();
    related.events.sort_by_key(events::last_seen);
    related
}

/// Width of the first column.
const KEY: usize = 16;

fn page(found: &Found, object: &Value, related: &Related, now: Timestamp) -> String {
    let mut out = String::new();
    let metadata = &object["metadata"];
    let mut field = |key: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("{:<KEY$}{}\n", format!("{key}:"), harmless(value)));
        }
    };
    field("Name", &found.name);
    field("Namespace", text(metadata, &["namespace"]));
    field("Kind", &format!("{} ({})", found.resource.kind, found.resource.api_version()));
    field("Labels", &labels_text(&metadata["labels"]));
    field("Annotations", &labels_text(&metadata["annotations"]));
    let created = text(metadata, &["creationTimestamp"]);
    field(
        "Created",
        &if created.is_empty() { String::new() } else { format!("{created} ({} ago)", age::since(created, now)) },
    );
    let deleted = text(metadata, &["deletionTimestamp"]);
    field(
        "Deleted",
        &if deleted.is_empty() { String::new() } else { format!("{deleted}, waits for {}", finalizers(metadata)) },
    );
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        field("Owner", &format!("{}/{}", text(owner, &["kind"]).to_lowercase(), text(owner, &["name"])));
    }
    for (key, value) in summary(&found.resource.kind, object) {
        field(key, &value);
    }
    let body = object.as_object().into_iter().flatten();
    for (key, value) in body.filter(|(k, _)| !matches!(k.as_str(), "apiVersion" | "kind" | "metadata" | "status")) {
        let value = if found.resource.kind == "Secret" && matches!(key.as_str(), "data" | "stringData") {
            sizes(value)
        } else {
            value.clone()
        };
        section(&mut out, &title(key), &value);
    }
    containers(&mut out, object, now);
    let mut status = object["status"].clone();
    if let Some(map) = status.as_object_mut() {
        map.remove("conditions");
        if found.resource.kind == "Task" {
            map.remove("containers");
        }
    }
    section(&mut out, "Status", &status);
    conditions(&mut out, object, now);
    tasks(&mut out, related, now);
    out.push_str("\nEvents:\n");
    if related.events.is_empty() {
        out.push_str("  none in the last hour\n");
    }
    for event in &related.events {
        out.push_str(&format!("  {}\n", harmless(&events::one_line(event, now))));
    }
    out
}

fn title(key: &str) -> String {
    let mut chars = key.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn finalizers(metadata: &Value) -> String {
    let names = metadata["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.collect::<Vec<_>>().join(", ")
}

/// Secrets are not for looking over somebody's shoulder.
fn sizes(data: &Value) -> Value {
    let sizes = data.as_object().into_iter().flatten();
    Value::Object(
        sizes
            .map(|(k, v)| (k.clone(), format!("{} bytes", v.as_str().map_or(0, |t| t.len() * 3 / 4)).into()))
            .collect(),
    )
}

/// The one or two facts of a kind that people look for first.
fn summary(kind: &str, object: &Value) -> Vec<(&'static str, String)> {
    match kind {
        "Service" => {
            let status = |field: &str| number(object, &["status", field]);
            let desired = object["spec"]["replicas"].as_i64().unwrap_or(1);
            vec![(
                "Replicas",
                format!(
                    "{desired} desired, {} there, {} updated, {} ready, {} available",
                    status("replicas"),
                    status("updatedReplicas"),
                    status("readyReplicas"),
                    status("availableReplicas")
                ),
            )]
        }
        "Task" => {
            let ports = object["spec"]["allocatedPorts"].as_array().into_iter().flatten();
            let ports: Vec<String> =
                ports.map(|p| format!("{} {}", text(p, &["name"]), p["port"]).trim().to_owned()).collect();
            vec![
                ("Node", text(object, &["spec", "nodeName"]).to_owned()),
                ("Phase", text(object, &["status", "phase"]).to_owned()),
                ("Why", cause::not_ready(object).unwrap_or_default()),
                ("Ports", ports.join(", ")),
            ]
        }
        _ => vec![],
    }
}

fn section(out: &mut String, title: &str, value: &Value) {
    let empty = match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if empty {
        return;
    }
    out.push_str(&format!("\n{title}:\n"));
    for line in yaml::emit(value).lines() {
        out.push_str(&format!("  {}\n", harmless(line)));
    }
}

fn containers(out: &mut String, object: &Value, now: Timestamp) {
    let Some(containers) = object["status"]["containers"].as_array().filter(|c| !c.is_empty()) else { return };
    let mut grid = Grid::new(["container", "state", "ready", "pid", "since"]);
    for container in containers {
        let state = &container["state"];
        let (word, since) = if state["running"].is_object() {
            ("running".to_owned(), text(state, &["running", "startedAt"]))
        } else if state["terminated"].is_object() {
            (cause::ending(container).unwrap_or_default(), text(state, &["terminated", "finishedAt"]))
        } else {
            (format!("waiting {}", text(state, &["waiting", "reason"])), "")
        };
        let since = if since.is_empty() { "-".to_owned() } else { age::since(since, now) };
        let pid = container["pid"].as_i64().map_or_else(|| "-".to_owned(), |p| p.to_string());
        grid.row(vec![
            text(container, &["name"]).to_owned(),
            word.trim().to_owned(),
            container["ready"].to_string(),
            pid,
            since,
        ]);
    }
    indented(out, "Containers", &grid);
}

fn conditions(out: &mut String, object: &Value, now: Timestamp) {
    let Some(conditions) = object["status"]["conditions"].as_array().filter(|c| !c.is_empty()) else { return };
    let mut grid = Grid::new(["type", "status", "reason", "since", "message"]);
    for condition in conditions {
        grid.row(vec![
            text(condition, &["type"]).to_owned(),
            text(condition, &["status"]).to_owned(),
            text(condition, &["reason"]).to_owned(),
            age::since(text(condition, &["lastTransitionTime"]), now),
            text(condition, &["message"]).to_owned(),
        ]);
    }
    indented(out, "Conditions", &grid);
}

fn tasks(out: &mut String, related: &Related, now: Timestamp) {
    if related.tasks.is_empty() {
        return;
    }
    let mut grid = Grid::new(["name", "ready", "status", "node", "age", "why"]);
    for task in &related.tasks {
        let status = Some(text(task, &["status", "summary"]))
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| text(task, &["status", "phase"]));
        grid.row(vec![
            shared::name(task).to_owned(),
            shared::is_true(task, "Ready").to_string(),
            status.to_owned(),
            text(task, &["spec", "nodeName"]).to_owned(),
            age::since(text(task, &["metadata", "creationTimestamp"]), now),
            cause::not_ready(task).unwrap_or_default(),
        ]);
    }
    indented(out, "Tasks", &grid);
}

fn indented(out: &mut String, title: &str, grid: &Grid) {
    out.push_str(&format!("\n{title}:\n"));
    for line in grid.render().lines() {
        out.push_str(&format!("  {}\n", line.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_holds_every_part() {
        let found =
            Found { resource: kinds::ours("Service").clone(), namespace: "default".into(), name: "hello".into() };
        let object = json!({"apiVersion": "berth.dev/v1", "kind": "Service",
            "metadata": {"name": "hello", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 1},
            "status": {"replicas": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "AllReady", "message": "m", "lastTransitionTime": "2026-01-01T00:00:30Z"}]}});
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let related = Related {
            tasks: vec![
                json!({"metadata": {"name": "hello-0", "creationTimestamp": "2026-01-01T00:00:30Z"}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
            ],
            events: vec![],
        };
        assert_eq!(
            page(&found, &object, &related, now),
            "\
Name:           hello
Namespace:      default
Kind:           Service (berth.dev/v1)
Labels:         <none>
Annotations:    <none>
Created:        2026-01-01T00:00:00Z (60s ago)
Replicas:       1 desired, 1 there, 0 updated, 0 ready, 0 available

Spec:
  replicas: 1

Status:
  replicas: 1

Conditions:
  TYPE    STATUS   REASON     SINCE   MESSAGE
  Ready   True     AllReady   30s     m

Tasks:
  NAME      READY   STATUS    NODE   AGE   WHY
  hello-0   true    Running          30s

Events:
  none in the last hour
"
        );
    }

    #[test]
    fn secrets_show_sizes_only() {
        assert_eq!(sizes(&json!({"a": "aGVsbG8h"})), json!({"a": "6 bytes"}));
    }
}
