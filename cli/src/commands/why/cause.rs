//! From what an object's status says to why it is so. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::commands::shared::{condition, is_true, name, number, text};
use crate::text::count;

/// How a container ended, in words: `container web exited with code 3`.
pub(crate) fn ending(status: &Value) -> Option<String> {
    let ended = status["state"]["terminated"].as_object()?;
    let container = text(status, &["name"]);
    let reason = ended.get("reason").and_then(Value::as_str).unwrap_or_default();
    let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    let signal = ended.get("signal").and_then(Value::as_i64);
    let how = match (reason, signal) {
        ("OOMKilled", _) => "was killed because it used more memory than its limit".to_owned(),
        ("CommandNotFound", _) => "could not start: its command was not found".to_owned(),
        ("StartError", _) => "could not start".to_owned(),
        ("ImageNotSupported", _) => "could not start: nodes cannot run images yet".to_owned(),
        ("LivenessProbeFailed", _) => "was stopped because its liveness probe failed".to_owned(),
        ("LauncherLost", _) => "was lost with the process that kept it".to_owned(),
        (_, Some(signal)) => format!("was ended by signal {signal}{}", signal_name(signal)),
        (_, None) => format!("exited with code {code}"),
    };
    // `Error` says no more than the code or signal does.
    let word = if matches!(reason, "" | "Error") { String::new() } else { format!(" ({reason})") };
    Some(format!("container {container} {how}{word}"))
}

fn signal_name(signal: i64) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// The containers of a task that ended badly.
pub(crate) fn failed_containers(task: &Value) -> Vec<&Value> {
    let containers = task["status"]["containers"].as_array().into_iter().flatten();
    let bad = |c: &&Value| {
        let ended = &c["state"]["terminated"];
        ended.is_object()
            && (number(ended, &["exitCode"]) != 0 || !matches!(text(ended, &["reason"]), "" | "Completed"))
    };
    containers.filter(bad).collect()
}

/// Why a task failed, in one line; `None` while it has not.
pub(crate) fn failure(task: &Value) -> Option<String> {
    if text(task, &["status", "phase"]) != "Failed" {
        return None;
    }
    // The first that fell took the others with it: those were only stopped.
    let mut containers = failed_containers(task);
    containers.sort_by_key(|c| {
        (
            text(c, &["state", "terminated", "reason"]) == "Killed",
            text(c, &["state", "terminated", "finishedAt"]).to_owned(),
        )
    });
    if let Some(ending) = containers.first().and_then(|c| ending(c)) {
        return Some(format!("failed: {ending}"));
    }
    let (reason, message) = (text(task, &["status", "reason"]), text(task, &["status", "message"]));
    Some(match (reason.is_empty(), message.is_empty()) {
        (_, false) => format!("failed: {message}"),
        (false, true) => format!("failed: {reason}"),
        (true, true) => "failed".to_owned(),
    })
}

/// Why a task is not ready, in one line; `None` when it is, or ended well.
pub(crate) fn not_ready(task: &Value) -> Option<String> {
    if let Some(failure) = failure(task) {
        return Some(failure);
    }
    let phase = text(task, &["status", "phase"]);
    if is_true(task, "Ready") || phase == "Succeeded" {
        return None;
    }
    if !text(task, &["metadata", "deletionTimestamp"]).is_empty() {
        return Some("is being stopped".to_owned());
    }
    if let Some(placed) = condition(task, "Scheduled").filter(|c| c["status"] == "False") {
        return Some(format!("cannot be placed: {}", text(placed, &["message"])));
    }
    if text(task, &["spec", "nodeName"]).is_empty() {
        return Some("is not placed yet".to_owned());
    }
    let containers = task["status"]["containers"].as_array().into_iter().flatten();
    for container in containers.clone() {
        let waiting = &container["state"]["waiting"];
        let (reason, message) = (text(waiting, &["reason"]), text(waiting, &["message"]));
        if !reason.is_empty() {
            let more = if message.is_empty() { String::new() } else { format!(": {message}") };
            return Some(format!("is not started: container {} waits ({reason}){more}", text(container, &["name"])));
        }
    }
    let unready: Vec<&str> = containers.filter(|c| c["ready"] == false).map(|c| text(c, &["name"])).collect();
    match unready.as_slice() {
        [] => {}
        [one] => return Some(format!("runs, but container {one} is not ready: its readiness probe has not succeeded")),
        many => {
            return Some(format!(
                "runs, but containers {} are not ready: their readiness probes have not succeeded",
                many.join(", ")
            ));
        }
    }
    if let Some(ready) = condition(task, "Ready").filter(|c| !text(c, &["message"]).is_empty()) {
        return Some(format!("is not ready: {}", text(ready, &["message"])));
    }
    let phase = if phase.is_empty() { "Pending" } else { phase };
    Some(format!("is {phase}"))
}

/// What to do about it, when that is known.
pub(crate) fn advice(task: &Value) -> Option<String> {
    if let Some(container) = failed_containers(task).first() {
        let name = text(container, &["name"]);
        return match text(container, &["state", "terminated", "reason"]) {
            "OOMKilled" => Some(format!(
                "raise resources.limits.memory of container {name}{}, or make it use less",
                limit(task, name)
            )),
            "CommandNotFound" => Some(format!(
                "check `command` or `shell` of container {name}: the program must be in the image or on the node"
            )),
            "ImageNotSupported" => Some(format!(
                "remove `image` of container {name}, and give `shell` or `command`: {name} runs on the node's own files"
            )),
            "LivenessProbeFailed" => {
                Some(format!("check what container {name} does when it hangs, or give its livenessProbe more time"))
            }
            _ => None,
        };
    }
    if let Some(container) = unready(task) {
        return Some(format!(
            "check what the readinessProbe of container {container} asks for: berth explain task.spec.containers.readinessProbe"
        ));
    }
    let unplaced = condition(task, "Scheduled").filter(|c| c["status"] == "False")?;
    let message = text(unplaced, &["message"]);
    let advice = match message {
        m if m.contains(" short by ") => "ask for less (resources.requests), free something, or add a node",
        m if m.contains("cordoned") => "let nodes take tasks again: berth uncordon NODE",
        m if m.contains("port ") => "ask for another port, or leave the number out to have one allotted",
        m if m.contains("label or attribute") => {
            "see what the nodes have: berth get nodes --show-labels; or change one: berth label node NAME KEY=VALUE"
        }
        _ => "see what the nodes offer: berth describe nodes",
    };
    Some(advice.to_owned())
}

/// A container that runs and is not ready.
pub(crate) fn unready(task: &Value) -> Option<&str> {
    if text(task, &["status", "phase"]) != "Running" {
        return None;
    }
    let mut containers = task["status"]["containers"].as_array().into_iter().flatten();
    containers.find(|c| c["ready"] == false && c["state"]["running"].is_object()).map(|c| text(c, &["name"]))
}

/// Whether any process of the task ever ran: only then is there a log.
pub(crate) fn has_started(task: &Value) -> bool {
    let mut containers = task["status"]["containers"].as_array().into_iter().flatten();
    containers.any(|c| {
        let ended = &c["state"]["terminated"];
        let never = matches!(text(ended, &["reason"]), "CommandNotFound" | "StartError" | "ImageNotSupported");
        c["state"]["running"].is_object() || ended.is_object() && !never
    })
}

fn limit(task: &Value, container: &str) -> String {
    let containers = task["spec"]["containers"].as_array().into_iter().flatten();
    let found = containers
        .filter(|c| text(c, &["name"]) == container)
        .find_map(|c| c["resources"]["limits"]["memory"].as_str());
    found.map(|limit| format!(" (now {limit})")).unwrap_or_default()
}

/// The likeliest reason why the owner of these tasks is not ready: the one that holds most of them, failures first.
pub(crate) fn likely(owner: Option<&Value>, tasks: &[&Value]) -> Option<String> {
    let mut reasons: BTreeMap<String, (bool, Vec<&str>)> = BTreeMap::new();
    for task in tasks {
        let Some(reason) = not_ready(task) else { continue };
        let failed = text(task, &["status", "phase"]) == "Failed";
        reasons.entry(reason).or_insert((failed, vec![])).1.push(name(task));
    }
    let worst = reasons.iter().max_by_key(|(reason, (failed, tasks))| {
        let unplaced = reason.starts_with("cannot be placed");
        (*failed || unplaced, tasks.len())
    });
    if let Some((reason, (_, names))) = worst {
        let who = match names.as_slice() {
            [one] => format!("task {one}"),
            many => format!("each of {} ({}, …)", count(many.len(), "task"), many[0]),
        };
        return Some(format!("{who} {reason}"));
    }
    let owner = owner?;
    let ready = condition(owner, "Ready").filter(|c| c["status"] != "True")?;
    Some(text(ready, &["message"]).to_owned()).filter(|m| !m.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn task(status: Value) -> Value {
        json!({"metadata": {"name": "hello-1"}, "spec": {"nodeName": "n", "containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]}, "status": status})
    }

    fn ended(reason: &str, code: i64, signal: Option<i64>) -> Value {
        let mut terminated = json!({"exitCode": code, "reason": reason});
        if let Some(signal) = signal {
            terminated["signal"] = signal.into();
        }
        task(json!({"phase": "Failed", "containers": [{"name": "web", "state": {"terminated": terminated}}]}))
    }

    #[test]
    fn endings_are_told_in_words() {
        let told = |task: &Value| failure(task).unwrap();
        assert_eq!(told(&ended("Error", 3, None)), "failed: container web exited with code 3");
        assert_eq!(told(&ended("Error", 137, Some(9))), "failed: container web was ended by signal 9 (SIGKILL)");
        assert_eq!(
            told(&ended("OOMKilled", 137, Some(9))),
            "failed: container web was killed because it used more memory than its limit (OOMKilled)"
        );
        assert_eq!(
            told(&ended("CommandNotFound", 127, None)),
            "failed: container web could not start: its command was not found (CommandNotFound)"
        );
        assert_eq!(
            advice(&ended("OOMKilled", 137, None)).unwrap(),
            "raise resources.limits.memory of container web (now 64Mi), or make it use less"
        );
    }

    #[test]
    fn the_container_that_fell_first_is_the_cause() {
        let both = task(json!({"phase": "Failed", "containers": [
            {"name": "side", "state": {"terminated": {"exitCode": 143, "reason": "Killed", "finishedAt": "2026-01-01T00:00:02Z"}}},
            {"name": "web", "state": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:01Z"}}},
        ]}));
        assert_eq!(failure(&both).unwrap(), "failed: container web exited with code 1");
    }

    #[test]
    fn a_task_that_has_no_place_says_the_counts() {
        let mut unplaced = task(
            json!({"phase": "Pending", "conditions": [{"type": "Scheduled", "status": "False", "message": "0 of 1 nodes fit: 1: cpu short by 63"}]}),
        );
        unplaced["spec"]["nodeName"] = Value::Null;
        assert_eq!(not_ready(&unplaced).unwrap(), "cannot be placed: 0 of 1 nodes fit: 1: cpu short by 63");
        assert_eq!(
            likely(None, &[&unplaced, &unplaced]).unwrap(),
            "each of 2 tasks (hello-1, …) cannot be placed: 0 of 1 nodes fit: 1: cpu short by 63"
        );
    }

    #[test]
    fn ready_and_finished_tasks_need_no_reason() {
        assert_eq!(
            not_ready(&task(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))),
            None
        );
        assert_eq!(not_ready(&task(json!({"phase": "Succeeded"}))), None);
        assert_eq!(not_ready(&task(json!({}))).unwrap(), "is Pending");
    }
}
