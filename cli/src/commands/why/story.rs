//! The cause chain as text. Pure: evidence in, lines out.

use berth_client::Resource;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::cause;
use super::gather::Evidence;
use crate::commands::events;
use crate::commands::ready::{Progress, progress};
use crate::commands::shared::{condition, is_true, name, number, text};
use crate::kinds;
use crate::term::{Paint, harmless, painted};
use crate::text::{age, count};

/// Events that are shown.
const EVENTS_SHOWN: usize = 8;
/// Failures of earlier instances that are shown when all is well now.
const PAST_SHOWN: usize = 3;

/// What there is to tell.
#[derive(Debug, Default)]
pub(crate) struct Story {
    good: bool,
    headline: String,
    /// Each line with its depth in the chain.
    because: Vec<(usize, String)>,
    /// Facts that are no cause, but good to know.
    notes: Vec<String>,
    logs: Vec<(String, Vec<String>)>,
    events: Vec<String>,
    next: Vec<String>,
}

impl Story {
    fn because(&mut self, depth: usize, line: impl Into<String>) {
        self.because.push((depth, line.into()));
    }

    /// The text, one part after the other.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut out = painted(colour, if self.good { Paint::Good } else { Paint::Bad }, &harmless(&self.headline));
        out.push('\n');
        for (depth, line) in &self.because {
            let indent = "  ".repeat(depth + 1);
            let mut lines = line.lines();
            out.push_str(&format!("{indent}because {}\n", harmless(lines.next().unwrap_or_default())));
            for more in lines {
                out.push_str(&format!("{indent}        {}\n", harmless(more)));
            }
        }
        for note in &self.notes {
            out.push_str(&format!("  note: {}\n", harmless(note)));
        }
        for (title, lines) in &self.logs {
            out.push_str(&format!("\n{}\n", painted(colour, Paint::Bold, title)));
            for line in lines {
                out.push_str(&format!("  | {line}\n"));
            }
        }
        if !self.events.is_empty() {
            out.push_str(&format!("\n{}\n", painted(colour, Paint::Bold, "What happened:")));
            for event in &self.events {
                out.push_str(&format!("  {}\n", harmless(event)));
            }
        }
        if !self.next.is_empty() {
            out.push_str(&format!("\n{}\n", painted(colour, Paint::Bold, "Next:")));
            for next in &self.next {
                out.push_str(&format!("  {next}\n"));
            }
        }
        out
    }
}

/// Tells why the object is as it is.
pub(crate) fn tell(evidence: &Evidence, resource: &Resource, flag: &str, now: Timestamp) -> Story {
    let title = kinds::title(resource, name(&evidence.object));
    let mut story = match (resource.group.as_str(), resource.kind.as_str()) {
        (berth_types::GROUP, "Service") => service(evidence, &title, flag, now),
        (berth_types::GROUP, "Task") => task(evidence, &title, flag, now),
        (berth_types::GROUP, "Job") => job(evidence, &title, flag, now),
        (berth_types::GROUP, "JobRun") => run(evidence, &title, flag, now),
        (berth_types::GROUP, "Node") => node(evidence, &title),
        _ => other(&evidence.object, &title),
    };
    for ((task, container), lines) in &evidence.logs {
        story.logs.push((format!("Last lines of task/{task}, container {container}:"), lines.clone()));
    }
    if !story.good {
        kept_log(&mut story, evidence);
    }
    let skip = evidence.events.len().saturating_sub(EVENTS_SHOWN);
    story.events = evidence.events.iter().skip(skip).map(|e| events::one_line(e, now)).collect();
    story
}

fn service(evidence: &Evidence, title: &str, flag: &str, now: Timestamp) -> Story {
    let object = &evidence.object;
    let mut story = Story::default();
    let reason = condition(object, "Ready").map(|c| text(c, &["reason"])).filter(|r| !r.is_empty());
    let reason = reason.map(|r| format!(" ({r})")).unwrap_or_default();
    match progress(object) {
        Progress::Done(what) => {
            story.good = true;
            story.headline = format!("{title} is ready: {what}");
        }
        Progress::Waiting(what) | Progress::Failed(what) => {
            story.headline = format!("{title} is not ready: {what}{reason}")
        }
    }
    let name = name(object);
    let current: Vec<&Value> = evidence.tasks.iter().filter(|t| cause::not_ready(t).is_some()).collect();
    if story.good {
        past(&mut story, &evidence.tasks, now);
        story.next.push(format!("berth get tasks -l {}={name}{flag}", berth_types::names::LABEL_SERVICE));
        return story;
    }
    chain(&mut story, &current, &evidence.events, now);
    // The conditions speak of the same tasks in fewer words: they count where no task does.
    if current.is_empty() {
        for (type_, bad) in [("Ready", "False"), ("Degraded", "True")] {
            let message = condition(object, type_).filter(|c| c["status"] == bad).map(|c| text(c, &["message"]));
            let told = |m: &&str| story.because.iter().any(|(_, line)| line.contains(m));
            if let Some(message) = message.filter(|m| !m.is_empty() && !told(m)) {
                story.because(0, message);
            }
        }
    }
    for wait in object["status"]["backoffs"].as_array().into_iter().flatten() {
        let until = text(wait, &["until"]).parse::<Timestamp>().map(|t| t.duration_since(now));
        let left =
            until.ok().filter(|d| d.is_positive()).map(|d| format!(" for {}", age::human(d))).unwrap_or_default();
        let failures = usize::try_from(number(wait, &["failures"])).unwrap_or_default();
        let last = text(wait, &["lastReason"]);
        let last = if last.is_empty() { String::new() } else { format!("; the last time: {last}") };
        let failures = count(failures, "failure");
        story.because(
            0,
            format!(
                "instance {} waits{left} before its next start, after {failures} in a row{last}",
                number(wait, &["instance"])
            ),
        );
    }
    if object["spec"]["paused"] == true {
        story.because(0, "the rollout is paused");
        story.next.push(format!("berth rollout resume service {name}{flag}"));
    }
    if let Some(worst) = current.first() {
        story.next.extend(cause::advice(worst));
        story.next.push(format!("berth why task {}{flag}", self::name(worst)));
        if current.iter().any(|t| cause::has_started(t)) {
            let previous = if cause::failure(worst).is_some() { " --previous" } else { "" };
            story.next.push(format!("berth logs service {name}{previous}{flag}"));
        }
    }
    let revised = number(object, &["status", "updatedReplicas"]) < number(object, &["status", "replicas"]);
    if revised {
        story.next.push(format!("berth rollout undo service {name}{flag}"));
    }
    story
}

/// The tasks that stand in the way, grouped by what is wrong with them.
fn chain(story: &mut Story, tasks: &[&Value], events: &[Value], now: Timestamp) {
    let mut told: Vec<(String, usize)> = Vec::new();
    for task in tasks {
        let Some(reason) = cause::not_ready(task) else { continue };
        if let Some((_, again)) = told.iter_mut().find(|(r, _)| *r == reason) {
            *again += 1;
            continue;
        }
        told.push((reason.clone(), 0));
        let ended = text(task, &["status", "finishTime"]);
        let ago = if ended.is_empty() { String::new() } else { format!(", {} ago", age::since(ended, now)) };
        story.because(0, format!("task/{} {reason}{ago}", name(task)));
        detail(story, task, events, 1);
    }
    for (reason, again) in told.iter().filter(|(_, again)| *again > 0) {
        let tasks = if *again == 1 { "task" } else { "tasks" };
        story.because(1, format!("{again} more {tasks} {reason}"));
    }
}

/// What the status of a task adds to its one-line reason.
fn detail(story: &mut Story, task: &Value, events: &[Value], depth: usize) {
    if cause::unready(task).is_some() {
        // What the probe was told is in no status, only in an event.
        let is_its =
            |e: &&Value| text(e, &["involvedObject", "name"]) == name(task) && text(e, &["reason"]) == "Unhealthy";
        if let Some(event) = events.iter().rev().find(is_its) {
            story.because(depth, text(event, &["message"]).replacen("Readiness probe", "readiness probe", 1));
        }
    }
    for container in cause::failed_containers(task) {
        let message = text(container, &["state", "terminated", "message"]).trim();
        // Several lines are the end of the log, which has its own place.
        let told = text(container, &["state", "terminated", "reason"]) == "OOMKilled";
        if !message.is_empty() && !message.contains('\n') && !told {
            story.because(depth, message);
        }
    }
}

/// The end of a failed container's log as its status kept it: for when the log itself is gone.
fn kept_log(story: &mut Story, evidence: &Evidence) {
    for task in std::iter::once(&evidence.object).chain(&evidence.tasks) {
        for container in cause::failed_containers(task) {
            let key = (name(task).to_owned(), text(container, &["name"]).to_owned());
            let message = text(container, &["state", "terminated", "message"]).trim();
            if message.contains('\n') && evidence.logs.is_empty() && story.logs.is_empty() {
                let title = format!("Last lines of task/{}, container {} (kept in its status):", key.0, key.1);
                story.logs.push((title, message.lines().map(harmless).collect()));
            }
        }
    }
}

/// Failures of the past, when everything is well now: what restarts were about.
fn past(story: &mut Story, tasks: &[Value], now: Timestamp) {
    for task in tasks.iter().filter(|t| cause::failure(t).is_some()).take(PAST_SHOWN) {
        let failure = cause::failure(task).unwrap_or_default();
        let ago = age::since(text(task, &["status", "finishTime"]), now);
        story.because(0, format!("an earlier instance was replaced: task/{} {failure}, {ago} ago", name(task)));
    }
}

fn task(evidence: &Evidence, title: &str, flag: &str, now: Timestamp) -> Story {
    let object = &evidence.object;
    let name = name(object);
    let Some(reason) = cause::not_ready(object) else {
        let phase = text(object, &["status", "phase"]);
        let headline = if phase == "Succeeded" {
            format!("{title} has succeeded")
        } else {
            format!("{title} is {phase} and ready")
        };
        return Story { good: true, headline, ..Story::default() };
    };
    let phase = Some(text(object, &["status", "phase"])).filter(|p| !p.is_empty()).unwrap_or("Pending");
    let summary = Some(text(object, &["status", "summary"])).filter(|s| !s.is_empty() && *s != phase);
    let mut story = Story {
        headline: format!("{title} is {phase}{}", summary.map(|s| format!(" ({s})")).unwrap_or_default()),
        ..Story::default()
    };
    let ended = text(object, &["status", "finishTime"]);
    let ago = if ended.is_empty() { String::new() } else { format!(", {} ago", age::since(ended, now)) };
    let node = text(object, &["spec", "nodeName"]);
    let place = if node.is_empty() || ago.is_empty() { String::new() } else { format!(" on node {node}") };
    story.because(0, format!("it {reason}{place}{ago}"));
    detail(&mut story, object, &evidence.events, 1);
    let message = text(object, &["status", "message"]);
    let told =
        !cause::failed_containers(object).is_empty() || story.because.iter().any(|(_, line)| line.contains(message));
    if !message.is_empty() && !told {
        story.because(1, message);
    }
    if phase == "Failed"
        && let Some(owner) = owner(object)
    {
        story.because(1, format!("a task runs once: {owner} replaces it"));
        story.next.push(format!("berth why {owner}{flag}"));
    }
    story.next.extend(cause::advice(object));
    if cause::has_started(object) {
        story.next.push(format!("berth logs task {name}{flag}"));
    } else if node.is_empty() {
        story.next.push("berth get nodes -o wide".to_owned());
    }
    story
}

fn owner(object: &Value) -> Option<String> {
    let owner = object["metadata"]["ownerReferences"].as_array()?.iter().find(|o| o["controller"] == true)?;
    Some(format!("{}/{}", text(owner, &["kind"]).to_lowercase(), text(owner, &["name"])))
}

fn job(evidence: &Evidence, title: &str, flag: &str, now: Timestamp) -> Story {
    let mut story = by_progress(&evidence.object, title);
    if let Some(run) = evidence.runs.first() {
        let message = text(run, &["status", "message"]);
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        story.because(
            0,
            format!("its newest run, jobrun/{}, is {}{message}", name(run), text(run, &["status", "phase"])),
        );
    }
    let bad: Vec<&Value> = evidence.tasks.iter().filter(|t| cause::not_ready(t).is_some()).collect();
    if !story.good {
        chain(&mut story, &bad, &evidence.events, now);
        story.next.extend(bad.first().and_then(|t| cause::advice(t)));
    }
    if evidence.tasks.iter().any(cause::has_started) {
        story.next.push(format!("berth logs job {}{flag}", name(&evidence.object)));
    }
    story
}

fn run(evidence: &Evidence, title: &str, flag: &str, now: Timestamp) -> Story {
    let mut story = by_progress(&evidence.object, title);
    let bad: Vec<&Value> = evidence.tasks.iter().filter(|t| cause::not_ready(t).is_some()).collect();
    if !story.good {
        chain(&mut story, &bad, &evidence.events, now);
        story.next.extend(bad.first().and_then(|t| cause::advice(t)));
    }
    story.next.push(format!("berth logs jobrun {}{flag}", name(&evidence.object)));
    story
}

fn by_progress(object: &Value, title: &str) -> Story {
    match progress(object) {
        Progress::Done(what) => Story { good: true, headline: format!("{title} is fine: {what}"), ..Story::default() },
        Progress::Waiting(what) => Story { headline: format!("{title} is not done: {what}"), ..Story::default() },
        Progress::Failed(what) => {
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            Story { headline: format!("{title} has failed{what}"), ..Story::default() }
        }
    }
}

fn node(evidence: &Evidence, title: &str) -> Story {
    let object = &evidence.object;
    let mut story = Story::default();
    let ready = is_true(object, "Ready");
    let cordoned = object["spec"]["unschedulable"] == true;
    let ended = |t: &&Value| matches!(text(t, &["status", "phase"]), "Succeeded" | "Failed" | "Killed");
    let running = evidence.tasks.iter().filter(|t| !ended(t)).count();
    story.good = ready && !cordoned;
    story.headline = match (ready, cordoned) {
        (true, false) => format!("{title} is ready and runs {}", count(running, "task")),
        (true, true) => format!("{title} is ready, but takes nothing new"),
        (false, _) => format!("{title} is not ready"),
    };
    if cordoned {
        story.because(0, "it is cordoned (spec.unschedulable)");
        story.next.push(format!("berth uncordon {}", name(object)));
    }
    if !ready {
        let message = condition(object, "Ready").map(|c| text(c, &["message"])).filter(|m| !m.is_empty());
        story.because(0, message.unwrap_or("its agent has not told its state"));
        story.next.push("check that the agent runs there: berth agent (or berth up)".to_owned());
    }
    for taint in object["spec"]["taints"].as_array().into_iter().flatten() {
        story.because(0, format!("it has the taint {}:{}", text(taint, &["key"]), text(taint, &["effect"])));
    }
    for limitation in object["status"]["limitations"].as_array().into_iter().flatten() {
        story.notes.push(limitation.as_str().unwrap_or_default().to_owned());
    }
    story
}

fn other(object: &Value, title: &str) -> Story {
    let bad = object["status"]["conditions"].as_array().into_iter().flatten().filter(|c| c["status"] != "True");
    let mut story = Story { good: true, headline: format!("{title} is there"), ..Story::default() };
    for condition in bad {
        story.because(
            0,
            format!(
                "{} is {}: {}",
                text(condition, &["type"]),
                text(condition, &["status"]),
                text(condition, &["message"])
            ),
        );
    }
    story
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().unwrap()
    }

    #[test]
    fn a_crashing_service_reads_as_a_chain() {
        let failed = json!({"metadata": {"name": "hello-7f-0-3"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Failed", "finishTime": "2026-01-01T00:00:56Z",
            "containers": [{"name": "web", "state": {"terminated": {"exitCode": 127, "reason": "CommandNotFound", "message": "sh: nope: not found"}}}]}});
        let evidence = Evidence {
            object: json!({"apiVersion": "berth.dev/v1", "kind": "Service", "metadata": {"name": "hello", "generation": 1}, "spec": {"replicas": 1},
                "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 0,
                    "conditions": [{"type": "Ready", "status": "False", "reason": "CrashLoop", "message": "0 of 1 ready"}],
                    "backoffs": [{"instance": 0, "failures": 3, "until": "2026-01-01T00:01:04Z", "lastReason": "CommandNotFound"}]}}),
            tasks: vec![failed],
            logs: [(("hello-7f-0-3".to_owned(), "web".to_owned()), vec!["sh: nope: not found".to_owned()])].into(),
            ..Evidence::default()
        };
        let text = tell(&evidence, kinds::ours("Service"), "", now()).render(false);
        assert_eq!(
            text,
            "\
service/hello is not ready: 0 of 1 instances are available (CrashLoop)
  because task/hello-7f-0-3 failed: container web could not start: its command was not found (CommandNotFound), 4s ago
    because sh: nope: not found
  because instance 0 waits for 4s before its next start, after 3 failures in a row; the last time: CommandNotFound

Last lines of task/hello-7f-0-3, container web:
  | sh: nope: not found

Next:
  check `command` or `shell` of container web: the program must be in the image or on the node
  berth why task hello-7f-0-3
"
        );
    }

    #[test]
    fn a_healthy_service_tells_what_was_replaced() {
        let killed = json!({"metadata": {"name": "hello-0"}, "status": {"phase": "Failed", "finishTime": "2026-01-01T00:00:50Z",
            "containers": [{"name": "web", "state": {"terminated": {"exitCode": 137, "signal": 9, "reason": "Error"}}}]}});
        let evidence = Evidence {
            object: json!({"apiVersion": "berth.dev/v1", "kind": "Service", "metadata": {"name": "hello", "generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}),
            tasks: vec![killed],
            ..Evidence::default()
        };
        let text = tell(&evidence, kinds::ours("Service"), " -n x", now()).render(false);
        assert!(text.starts_with("service/hello is ready: 0 of 0 instances are available\n  because an earlier instance was replaced: task/hello-0 failed: container web was ended by signal 9 (SIGKILL), 10s ago\n"), "{text}");
    }

    #[test]
    fn an_unplaced_task_says_which_resource_is_short() {
        let object = json!({"apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "big-0"}, "status": {"phase": "Pending", "summary": "Unschedulable",
            "conditions": [{"type": "Scheduled", "status": "False", "message": "0 of 1 nodes fit: 1: cpu short by 63"}]}});
        let evidence = Evidence { object, ..Evidence::default() };
        let text = tell(&evidence, kinds::ours("Task"), "", now()).render(false);
        assert!(text.starts_with("task/big-0 is Pending (Unschedulable)\n  because it cannot be placed: 0 of 1 nodes fit: 1: cpu short by 63\n"), "{text}");
        assert!(text.contains("ask for less"), "{text}");
    }

    #[test]
    fn a_task_that_is_not_ready_says_what_its_probe_was_told() {
        let object = json!({"apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "web-0"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running",
            "containers": [{"name": "main", "ready": false, "state": {"running": {}}}],
            "conditions": [{"type": "Ready", "status": "False", "message": "not ready: main"}]}});
        let event = json!({"involvedObject": {"kind": "Task", "name": "web-0"}, "reason": "Unhealthy", "lastTimestamp": "2026-01-01T00:00:55Z",
            "message": "Readiness probe of container main failed: HTTP 503"});
        let evidence = Evidence { object, events: vec![event], ..Evidence::default() };
        let text = tell(&evidence, kinds::ours("Task"), "", now()).render(false);
        let start = "\
task/web-0 is Running
  because it runs, but container main is not ready: its readiness probe has not succeeded
    because readiness probe of container main failed: HTTP 503
";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("  berth logs task web-0\n"), "{text}");
    }
}
