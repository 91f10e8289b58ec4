//! Says in a few words how a task stands, or how it ended.

use berth_types::{Task, TaskPhase, condition};

/// What is quoted of a task's message, in bytes.
const QUOTED_MAX: usize = 200;

/// A stable word and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl std::fmt::Display for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.reason, self.message) }
    }
}

fn detail(reason: &str, message: Option<&str>) -> Detail {
    let message = message.unwrap_or_default().trim();
    // Several lines are the end of a log: what a program says last tells best why it ended.
    let line = message.lines().next_back().unwrap_or_default().trim();
    let end = (0..=line.len().min(QUOTED_MAX)).rev().find(|i| line.is_char_boundary(*i)).unwrap_or(0);
    let cut = if end < line.len() { "…" } else { "" };
    Detail { reason: reason.to_owned(), message: format!("{}{cut}", &line[..end]) }
}

/// How an ended task ended: the container's word where there is one.
pub(crate) fn ending(task: &Task) -> Detail {
    let Some(status) = &task.status else { return detail("Unknown", None) };
    let failed = status.containers.iter().filter_map(|c| Some((c, c.state.terminated.as_ref()?)));
    let failed = failed.filter(|(_, end)| end.exit_code != 0 && end.reason.as_deref() != Some("Killed"));
    if let Some((container, end)) = failed.into_iter().next() {
        let reason = end.reason.as_deref().or(status.reason.as_deref()).unwrap_or("Error");
        let told = end.message.as_deref().or(status.message.as_deref()).filter(|text| !text.trim().is_empty());
        return match told {
            Some(told) => detail(reason, Some(told)),
            None => detail(reason, Some(&format!("container {} ended with code {}", container.name, end.exit_code))),
        };
    }
    let reason = status.reason.as_deref().unwrap_or(match status.phase {
        TaskPhase::Succeeded => "Completed",
        TaskPhase::Killed => "Killed",
        _ => "Error",
    });
    detail(reason, status.message.as_deref())
}

/// Why a live task is not ready.
pub(crate) fn waiting(task: &Task) -> Detail {
    let Some(status) = &task.status else { return detail("Pending", Some("waits to be placed")) };
    let is_false = |type_: &str| condition::find(&status.conditions, type_).filter(|c| c.status == "False");
    if let Some(scheduled) = is_false("Scheduled") {
        return detail(&scheduled.reason, Some(&scheduled.message));
    }
    let waiting = status.containers.iter().find_map(|c| c.state.waiting.as_ref()?.reason.as_deref().map(|r| (r, c)));
    if let Some((reason, container)) = waiting {
        let message = container.state.waiting.as_ref().and_then(|waiting| waiting.message.as_deref());
        return detail(reason, message.or(status.message.as_deref()));
    }
    if let Some(reason) = &status.reason {
        return detail(reason, status.message.as_deref());
    }
    if let (TaskPhase::Running, Some(ready)) = (status.phase, is_false("Ready")) {
        return detail(&ready.reason, Some(&ready.message));
    }
    detail(&format!("{:?}", status.phase), status.message.as_deref())
}
