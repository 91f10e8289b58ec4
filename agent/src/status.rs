//! From the task machine to the status that everybody reads. Pure; [`writer`](crate::writer) sends it.

use berth_client::k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use berth_types::condition::{condition, set_condition};
use berth_types::task::{StateRunning, StateTerminated, StateWaiting};
use berth_types::{ContainerState, ContainerStatus, Task, TaskPhase, TaskStatus};
use jiff::Timestamp;

use crate::task::hooks::launch::container_id;
use crate::task::state::{Cause, ContainerStage, Machine, Role, Stage};

/// Conditions that the agent writes; `Scheduled` is placement's.
const OURS: [&str; 3] = ["Initialized", "ContainersReady", "Ready"];

/// What stays the same over a task's life.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The task.
    pub uid: String,
    /// Its generation.
    pub generation: Option<i64>,
    /// Address of the node.
    pub host_ip: String,
    /// When the agent took it up.
    pub taken_up_at: Timestamp,
    /// Words that somebody else wrote before the task was ours: ours replace them, empty ones too.
    had_reason: bool,
    had_message: bool,
}

impl Facts {
    /// From the task as it was when it was taken up.
    pub fn new(task: &Task, host_ip: &str, taken_up_at: Timestamp) -> Self {
        let status = task.status.as_ref();
        Self {
            uid: task.metadata.uid.clone().unwrap_or_default(),
            generation: task.metadata.generation,
            host_ip: host_ip.to_owned(),
            taken_up_at,
            had_reason: status.is_some_and(|s| s.reason.is_some()),
            had_message: status.is_some_and(|s| s.message.is_some()),
        }
    }
}

/// The conditions of a task's status that the agent wrote in an earlier life: their times go on.
pub fn own_conditions(task: &Task) -> Vec<Condition> {
    let all = task.status.iter().flat_map(|s| &s.conditions);
    all.filter(|c| OURS.contains(&c.type_.as_str())).cloned().collect()
}

/// The status that the machine's state means. `last` are the conditions of the status before it.
pub fn build(machine: &Machine, facts: &Facts, last: &[Condition], now: Timestamp) -> TaskStatus {
    let (phase, reason, message) = verdict(machine);
    let containers: Vec<ContainerStatus> = machine
        .plan()
        .containers
        .iter()
        .zip(machine.containers())
        .map(|(plan, stage)| container_status(&plan.name, &facts.uid, stage))
        .collect();
    let summary = match (phase, reason.as_deref()) {
        (TaskPhase::Failed, Some(reason)) if reason != "Error" => reason.to_owned(),
        (TaskPhase::Starting, Some(reason)) => reason.to_owned(),
        _ => format!("{phase:?}"),
    };
    let finish_time = phase.is_terminal().then(|| {
        let ends = machine.containers().iter().filter_map(|c| match c {
            ContainerStage::Ended(exit) => exit.finished_at,
            _ => None,
        });
        Time(ends.max().unwrap_or(now))
    });
    TaskStatus {
        phase,
        summary: Some(summary),
        reason: reason.or_else(|| facts.had_reason.then(String::new)),
        message: message.or_else(|| facts.had_message.then(String::new)),
        observed_generation: facts.generation,
        host_ip: Some(facts.host_ip.clone()).filter(|ip| !ip.is_empty()),
        start_time: Some(Time(facts.taken_up_at)),
        finish_time,
        containers,
        conditions: conditions(machine, phase, facts, last, now),
    }
}

/// Phase, reason and message.
fn verdict(machine: &Machine) -> (TaskPhase, Option<String>, Option<String>) {
    match machine.stage() {
        Stage::New => (TaskPhase::Pending, None, None),
        Stage::Starting => {
            let blocked = machine.containers().iter().find_map(|c| match c {
                ContainerStage::Starting { blocked } => blocked.clone(),
                _ => None,
            });
            let (reason, message) = blocked.unzip();
            (TaskPhase::Starting, reason, message)
        }
        Stage::Running => (TaskPhase::Running, None, None),
        Stage::Stopping(cause) => {
            let (_, reason, message) = outcome(cause);
            (TaskPhase::Stopping, reason, message)
        }
        Stage::Ended(cause) => outcome(cause),
    }
}

fn outcome(cause: &Cause) -> (TaskPhase, Option<String>, Option<String>) {
    let words = |reason: &str, message: &str| (Some(reason.to_owned()), Some(message.to_owned()));
    let (phase, (reason, message)) = match cause {
        Cause::Deleted => (TaskPhase::Killed, words("Deleted", "the task was deleted")),
        Cause::Deadline => {
            (TaskPhase::Failed, words("DeadlineExceeded", "the task ran longer than activeDeadlineSeconds allows"))
        }
        Cause::Completed => (TaskPhase::Succeeded, words("Completed", "all containers ended with code 0")),
        Cause::Failed { reason, message, .. } => (TaskPhase::Failed, words(reason, message)),
    };
    (phase, reason, message)
}

fn container_status(name: &str, uid: &str, stage: &ContainerStage) -> ContainerStatus {
    let mut status = ContainerStatus { name: name.to_owned(), ..ContainerStatus::default() };
    let waiting = |reason: &str, message: Option<String>| ContainerState {
        waiting: Some(StateWaiting { reason: Some(reason.to_owned()), message }),
        ..ContainerState::default()
    };
    let known_id = Some(container_id(uid, name));
    match stage {
        ContainerStage::Waiting => status.state = waiting("Waiting", None),
        ContainerStage::Starting { blocked: None } => status.state = waiting("Starting", None),
        ContainerStage::Starting { blocked: Some((reason, message)) } => {
            status.state = waiting(reason, Some(message.clone()));
        }
        ContainerStage::Skipped => {
            status.state = waiting("NotStarted", Some("the task was stopped before its turn".to_owned()))
        }
        ContainerStage::Running { pid, at, started, ready, .. } => {
            status.container_id = known_id;
            status.state.running = Some(StateRunning { started_at: Some(Time(*at)) });
            status.started = Some(*started);
            status.ready = *ready;
            status.pid = Some(*pid).filter(|pid| *pid > 0);
        }
        ContainerStage::NotStarted { reason, message } => {
            status.state.terminated = Some(StateTerminated {
                exit_code: 128,
                reason: Some(reason.clone()),
                message: Some(message.clone()),
                ..StateTerminated::default()
            });
        }
        ContainerStage::Ended(exit) => {
            status.container_id = known_id;
            let usual = if exit.code == 0 { "Completed" } else { "Error" };
            status.state.terminated = Some(StateTerminated {
                exit_code: exit.code,
                signal: exit.signal,
                reason: Some(exit.reason.clone().unwrap_or_else(|| usual.to_owned())),
                message: exit.message.clone(),
                started_at: exit.started_at.map(Time),
                finished_at: exit.finished_at.map(Time),
            });
        }
    }
    status
}

fn conditions(
    machine: &Machine,
    phase: TaskPhase,
    facts: &Facts,
    last: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let mut all = last.to_vec();
    let roles = || machine.plan().containers.iter().zip(machine.containers());
    let waiting_for: Vec<&str> = roles()
        .filter(|(p, c)| match p.role {
            Role::Init => !matches!(c, ContainerStage::Ended(exit) if exit.code == 0),
            Role::Sidecar => {
                matches!(c, ContainerStage::Waiting | ContainerStage::Starting { .. } | ContainerStage::Skipped)
            }
            Role::Main => false,
        })
        .map(|(p, _)| p.name.as_str())
        .collect();
    let unready: Vec<&str> = roles()
        .filter(|(p, c)| p.role != Role::Init && !matches!(c, ContainerStage::Running { ready: true, .. }))
        .map(|(p, _)| p.name.as_str())
        .collect();
    let mut set = |type_: &str, holds: bool, reason: &str, message: String| {
        let new = condition(type_, Some(holds), reason, message, facts.generation, &Time(now));
        set_condition(&mut all, new);
    };
    if waiting_for.is_empty() {
        set("Initialized", true, "Initialized", String::new());
    } else {
        set("Initialized", false, "ContainersNotInitialized", format!("waits for {}", waiting_for.join(", ")));
    }
    let ready = phase == TaskPhase::Running && unready.is_empty();
    let (reason, message) = match phase {
        TaskPhase::Running if ready => ("ContainersReady", String::new()),
        TaskPhase::Succeeded => ("TaskCompleted", String::new()),
        TaskPhase::Failed => ("TaskFailed", String::new()),
        TaskPhase::Killed | TaskPhase::Stopping => ("TaskStopped", String::new()),
        _ => ("ContainersNotReady", format!("not ready: {}", unready.join(", "))),
    };
    set("ContainersReady", ready, reason, message.clone());
    set("Ready", ready, if ready { "Ready" } else { reason }, message);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::state::{ContainerPlan, Event, Exit, Plan};

    fn machine() -> Machine {
        let container = ContainerPlan {
            name: "web".into(),
            role: Role::Main,
            has_startup_probe: false,
            has_readiness_probe: true,
            has_post_start: false,
            has_pre_stop: false,
        };
        Machine::new(Plan { containers: vec![container], grace: std::time::Duration::from_secs(1) })
    }

    fn facts() -> Facts {
        let task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t", "uid": "u", "generation": 2},
            "spec": {"containers": []}, "status": {"reason": "Unschedulable", "message": "no room"}
        }))
        .unwrap();
        Facts::new(&task, "10.0.0.1", Timestamp::UNIX_EPOCH)
    }

    fn status(machine: &Machine) -> TaskStatus {
        build(machine, &facts(), &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_running_task_is_ready_when_its_containers_are() {
        let mut m = machine();
        m.apply(Event::TakenUp);
        assert_eq!(status(&m).phase, TaskPhase::Starting);
        m.apply(Event::Started { container: 0, pid: 5, at: Timestamp::UNIX_EPOCH, adopted: None });
        let now = status(&m);
        assert_eq!((now.phase, now.containers[0].pid), (TaskPhase::Running, Some(5)));
        assert!(!berth_types::condition::is_true(&now.conditions, "Ready"));
        assert_eq!(now.message.as_deref(), Some(""), "placement's word is taken back");
        m.apply(Event::Readiness { container: 0, ready: true });
        assert!(berth_types::condition::is_true(&status(&m).conditions, "Ready"));
    }

    #[test]
    fn a_failure_names_itself_everywhere() {
        let mut m = machine();
        m.apply(Event::TakenUp);
        m.apply(Event::Started { container: 0, pid: 5, at: Timestamp::UNIX_EPOCH, adopted: None });
        let exit = Exit {
            code: 137,
            signal: Some(9),
            reason: Some("OOMKilled".into()),
            message: Some("too much".into()),
            started_at: None,
            finished_at: Timestamp::from_second(9).ok(),
        };
        m.apply(Event::Exited { container: 0, exit });
        let now = status(&m);
        assert_eq!(
            (now.phase, now.summary.as_deref(), now.reason.as_deref()),
            (TaskPhase::Failed, Some("OOMKilled"), Some("OOMKilled"))
        );
        assert_eq!(now.finish_time, Timestamp::from_second(9).ok().map(Time));
        let terminated = now.containers[0].state.terminated.clone().unwrap();
        assert_eq!((terminated.exit_code, terminated.signal), (137, Some(9)));
        assert_eq!(terminated.started_at, Some(Time(Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn the_same_state_is_the_same_status() {
        let mut m = machine();
        m.apply(Event::TakenUp);
        let first = status(&m);
        let again = build(&m, &facts(), &first.conditions, Timestamp::from_second(100).unwrap());
        assert_eq!(first, again);
    }
}
