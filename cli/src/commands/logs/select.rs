//! Which containers' logs are meant: of a task, of all tasks of an owner, of a selector.

use berth_client::session::JSON;
use berth_client::{Change, ClientError, Retry, Session, Watch};
use berth_types::names;
use serde_json::Value;

use crate::commands::ready::{Progress, progress};
use crate::commands::shared::{self, Found, name, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;

/// One container of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) namespace: String,
    pub(crate) task: String,
    pub(crate) container: String,
}

impl Source {
    pub(crate) fn title(&self) -> String {
        format!("task/{}, container {}", self.task, self.container)
    }

    /// Whether the container has ended: nothing more will be written.
    pub(crate) async fn is_over(&self, session: &Session) -> Result<bool, ClientError> {
        let task = session.read(&kinds::ours("Task").path(&self.namespace, &self.task), JSON, Retry::READ).await?.body;
        let containers = task["status"]["containers"].as_array().into_iter().flatten();
        let own =
            containers.filter(|c| text(c, &["name"]) == self.container).any(|c| c["state"]["terminated"].is_object());
        Ok(own || matches!(text(&task, &["status", "phase"]), "Succeeded" | "Failed" | "Killed"))
    }
}

/// What the arguments mean.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    namespace: String,
    /// The object that was named; none for a selector.
    object: Option<Found>,
    /// How its tasks are found.
    parameter: (String, String),
}

impl Scope {
    /// Whether there may be more than one task, now or later.
    pub(crate) fn is_group(&self) -> bool {
        self.object.as_ref().is_none_or(|o| o.resource.kind != "Task")
    }

    /// Follows the tasks, to notice new ones.
    pub(crate) fn watch(&self, session: &Session) -> Tasks {
        let path = kinds::ours("Task").list_path(Some(&self.namespace));
        Tasks(Watch::new(session.clone(), path, vec![self.parameter.clone()]))
    }

    /// Whether nothing more can come: a task's, run's or job's end.
    pub(crate) async fn is_over(&self, session: &Session) -> bool {
        let Some(found) = &self.object else { return false };
        if found.resource.kind == "Service" {
            return false;
        }
        if found.resource.kind == "Task" {
            return true;
        }
        match session.get(&found.path()).await {
            Ok(object)
                if found.resource.kind == "Job"
                    && object["spec"]["schedules"].as_array().is_some_and(|s| !s.is_empty()) =>
            {
                false
            }
            Ok(object) => !matches!(progress(&object), Progress::Waiting(_)),
            Err(error) => error.is_not_found(),
        }
    }

    /// What to say when no container matches.
    pub(crate) fn nothing(&self, previous: bool) -> String {
        let what = self.object.as_ref().map_or_else(|| "the selector".to_owned(), Found::title);
        if previous {
            return format!("no instance of {what} has ended yet");
        }
        format!("{what} has no task that was started yet; berth why {what}")
    }
}

/// Tasks as they come and change.
pub(crate) struct Tasks(Watch);

impl Tasks {
    /// The tasks that are new or different.
    pub(crate) async fn next(&mut self) -> Outcome<Vec<Value>> {
        Ok(match self.0.next().await? {
            Change::Listed(list) => shared::items(kinds::ours("Task"), list),
            Change::Added(task) | Change::Modified(task) => vec![task],
            Change::Deleted(_) => vec![],
        })
    }
}

/// Reads the arguments: one word is a service, else a task, a job, a run of that name.
pub(crate) async fn scope(
    ctx: &mut Ctx,
    session: &Session,
    target: &[String],
    selector: Option<&str>,
) -> Outcome<Scope> {
    let namespace = ctx.namespace().await?;
    if let Some(selector) = selector {
        return Ok(Scope { namespace, object: None, parameter: ("labelSelector".to_owned(), selector.to_owned()) });
    }
    let found = match target {
        [] => return Err(Failure::usage("say whose logs: berth logs NAME, KIND NAME, or -l LABELS")),
        [name] if !name.contains('/') => by_name(ctx, session, name).await?,
        words => {
            let found = shared::one(ctx, words, "berth logs KIND NAME").await?;
            session
                .get(&found.path())
                .await
                .map_err(|e| if e.is_not_found() { shared::absent(&found) } else { e.into() })?;
            found
        }
    };
    let label = |label: &str| ("labelSelector".to_owned(), format!("{label}={}", found.name));
    let parameter = match (found.resource.group.as_str(), found.resource.kind.as_str()) {
        (berth_types::GROUP, "Service") => label(names::LABEL_SERVICE),
        (berth_types::GROUP, "Job") => label(names::LABEL_JOB),
        (berth_types::GROUP, "JobRun") => label(names::LABEL_JOB_RUN),
        (berth_types::GROUP, "Task") => ("fieldSelector".to_owned(), format!("metadata.name={}", found.name)),
        _ => {
            return Err(Failure::usage(format!(
                "{} write no logs; services, tasks, jobs and jobruns do",
                found.resource.plural
            )));
        }
    };
    Ok(Scope { namespace, object: Some(found), parameter })
}

async fn by_name(ctx: &mut Ctx, session: &Session, name: &str) -> Outcome<Found> {
    for kind in ["Service", "Task", "Job", "JobRun"] {
        let found = shared::found(ctx, kind, name).await?;
        match session.get(&found.path()).await {
            Ok(_) => return Ok(found),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::not_found(format!(
        "there is no service, task, job or jobrun {name:?} in namespace {}",
        ctx.namespace().await?
    ))
    .code(exit::NOT_FOUND)
    .hint("berth get all"))
}

/// The containers whose logs are to be printed.
pub(crate) async fn sources(
    session: &Session,
    scope: &Scope,
    container: Option<&str>,
    previous: bool,
) -> Outcome<Vec<Source>> {
    let task = kinds::ours("Task");
    let of_task = scope.object.as_ref().filter(|o| o.resource.kind == "Task");
    let list = |parameter: (String, String)| async move {
        let list = shared::list(session, &task.list_path(Some(&scope.namespace)), &[parameter], JSON).await?;
        Ok::<_, Failure>(shared::items(task, list))
    };
    let mut tasks = list(scope.parameter.clone()).await?;
    if previous {
        tasks = match of_task {
            Some(_) => {
                let Some(current) = tasks.pop() else { return Ok(vec![]) };
                let siblings = match instance_selector(&current) {
                    Some(selector) => list(("labelSelector".to_owned(), selector)).await?,
                    None => vec![],
                };
                previous_of(&current, siblings).into_iter().collect()
            }
            None => newest_ended(tasks),
        };
    }
    if let Some(wanted) = container {
        let known: Vec<&str> = tasks.iter().flat_map(|t| containers(t)).collect();
        if !known.is_empty() && !known.contains(&wanted) {
            let mut known: Vec<&str> = known;
            known.sort_unstable();
            known.dedup();
            return Err(Failure::not_found(format!(
                "there is no container {wanted:?}; there are: {}",
                known.join(", ")
            )));
        }
    }
    Ok(started(&tasks, container))
}

/// The containers of these tasks that have written, or may have.
pub(crate) fn started(tasks: &[Value], container: Option<&str>) -> Vec<Source> {
    let mut sources = Vec::new();
    for task in tasks.iter().filter(|t| !text(t, &["spec", "nodeName"]).is_empty()) {
        for status in task["status"]["containers"].as_array().into_iter().flatten() {
            let state = &status["state"];
            let ran = state["running"].is_object() || state["terminated"].is_object();
            let own = text(status, &["name"]);
            if ran && container.is_none_or(|c| c == own) {
                sources.push(Source {
                    namespace: text(task, &["metadata", "namespace"]).to_owned(),
                    task: name(task).to_owned(),
                    container: own.to_owned(),
                });
            }
        }
    }
    sources
}

fn containers(task: &Value) -> Vec<&str> {
    let spec = &task["spec"];
    let lists = [&spec["initContainers"], &spec["containers"]];
    lists.into_iter().flat_map(|l| l.as_array().into_iter().flatten()).map(|c| text(c, &["name"])).collect()
}

/// Labels that the tasks of one instance share.
fn instance_selector(task: &Value) -> Option<String> {
    let labels = &task["metadata"]["labels"];
    let service = labels[names::LABEL_SERVICE].as_str()?;
    let instance = labels[names::LABEL_INSTANCE].as_str()?;
    Some(format!("{}={service},{}={instance}", names::LABEL_SERVICE, names::LABEL_INSTANCE))
}

fn created(task: &Value) -> (&str, &str) {
    (text(task, &["metadata", "creationTimestamp"]), name(task))
}

fn ended(task: &Value) -> bool {
    matches!(text(task, &["status", "phase"]), "Failed" | "Succeeded" | "Killed")
}

/// The task that this one replaced.
fn previous_of(current: &Value, siblings: Vec<Value>) -> Option<Value> {
    let before =
        siblings.into_iter().filter(|t| ended(t) && name(t) != name(current) && created(t).0 <= created(current).0);
    before.max_by(|a, b| created(a).cmp(&created(b)))
}

/// Of each instance the task that ended last.
fn newest_ended(mut tasks: Vec<Value>) -> Vec<Value> {
    tasks.retain(ended);
    tasks.sort_by(|a, b| created(b).cmp(&created(a)));
    let mut seen = Vec::new();
    tasks.retain(|task| {
        let instance = text(task, &["metadata", "labels", names::LABEL_INSTANCE]).to_owned();
        let new = instance.is_empty() || !seen.contains(&instance);
        seen.push(instance);
        new
    });
    tasks.reverse();
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn task(name: &str, instance: &str, phase: &str, second: u8) -> Value {
        json!({"metadata": {"name": name, "namespace": "default", "creationTimestamp": format!("2026-01-01T00:00:0{second}Z"),
            "labels": {"berth.dev/service": "hello", "berth.dev/instance": instance}},
            "spec": {"nodeName": "n", "containers": [{"name": "web"}]},
            "status": {"phase": phase, "containers": [{"name": "web", "state": {"running": {}}}, {"name": "side", "state": {"waiting": {}}}]}})
    }

    #[test]
    fn containers_that_never_ran_have_no_log() {
        let sources = started(&[task("a", "0", "Running", 1)], None);
        assert_eq!(sources.len(), 1);
        assert_eq!(sources[0].container, "web");
        assert!(started(&[task("a", "0", "Running", 1)], Some("side")).is_empty());
    }

    #[test]
    fn previous_means_the_last_that_ended_of_each_instance() {
        let tasks = vec![
            task("a", "0", "Failed", 1),
            task("b", "0", "Failed", 2),
            task("c", "0", "Running", 3),
            task("d", "1", "Failed", 1),
        ];
        let names: Vec<String> = newest_ended(tasks.clone()).iter().map(|t| name(t).to_owned()).collect();
        assert_eq!(names, ["d", "b"]);
        assert_eq!(previous_of(&tasks[2], tasks.clone()).map(|t| name(&t).to_owned()).as_deref(), Some("b"));
        assert_eq!(previous_of(&tasks[0], tasks[..3].to_vec()), None);
    }
}
