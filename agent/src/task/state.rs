//! The task machine: which event may follow which, and what is then to be done. Pure: no clock, no I/O.
//!
//! [`worker`](super::worker) drives it. Every [`Action`] is safe to repeat: after a restart of the agent the same
//! machine starts from the beginning, and what already runs or has already ended answers at once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container that stays: the next one starts as soon as this one has started.
    Sidecar,
    /// Runs beside the other main containers.
    Main,
}

/// What the machine needs to know of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPlan {
    /// Its name in the task.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// It has not started before its start-up probe succeeded.
    pub has_startup_probe: bool,
    /// It is not ready before its readiness probe succeeded.
    pub has_readiness_probe: bool,
    /// Something is run after its start.
    pub has_post_start: bool,
    /// Something is run before its stop.
    pub has_pre_stop: bool,
}

/// What the machine needs to know of a task. Init containers and side-cars come first, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// All containers.
    pub containers: Vec<ContainerPlan>,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// How a container's first process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// One CamelCase word that the runtime knows better than the code tells: OOMKilled, LauncherLost, …
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
    /// When it was executed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// How far the stop of a running container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum StopStep {
    /// Nobody asked.
    None,
    /// Its preStop hook runs.
    PreStop,
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
}

/// Where one container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerStage {
    /// Its turn has not come.
    Waiting,
    /// Told to start; what keeps it, if anything does.
    Starting { blocked: Option<(String, String)> },
    /// Executing.
    Running { pid: i32, at: Timestamp, started: bool, ready: bool, step: StopStep, condemned: Option<(String, String)> },
    /// Could not be started.
    NotStarted { reason: String, message: String },
    /// Ended.
    Ended(Exit),
    /// The task was stopped before its turn came.
    Skipped,
}

impl ContainerStage {
    fn is_live(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Running { .. })
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::NotStarted { .. } | Self::Ended(_) | Self::Skipped)
    }
}

/// Why a task is being stopped. The first cause decides the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The object is being deleted.
    Deleted,
    /// `activeDeadlineSeconds` passed.
    Deadline,
    /// A container failed in some way.
    Failed { container: usize, reason: String, message: String },
    /// All main containers ended with code 0; only side-cars are left.
    Completed,
}

/// Where a task is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not taken up yet.
    New,
    /// Init containers run, or main containers are being started.
    Starting,
    /// Every main container was started.
    Running,
    /// Being stopped.
    Stopping(Cause),
    /// Nothing of it runs, or ever will.
    Ended(Cause),
}

/// What was last told of a container that an earlier agent started. It holds until a probe says otherwise: a
/// restart of the agent must not look like an outage of its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Its start-up probe had succeeded.
    pub started: bool,
    /// It was ready.
    pub ready: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The agent has the task.
    TakenUp,
    /// The container runs. `adopted`: it already did before this agent looked, and was ready then, or not.
    Started { container: usize, pid: i32, at: Timestamp, adopted: Option<Adopted> },
    /// Something that the container needs is not there yet; the driver tries again.
    Blocked { container: usize, reason: String, message: String },
    /// The container cannot be started.
    StartFailed { container: usize, reason: String, message: String },
    /// The container's first process ended.
    Exited { container: usize, exit: Exit },
    /// The start-up probe succeeded.
    StartupPassed { container: usize },
    /// The readiness probe changed its mind.
    Readiness { container: usize, ready: bool },
    /// The start-up or liveness probe, or the postStart hook, failed for good.
    Condemned { container: usize, reason: String, message: String },
    /// The preStop hook ended, well or not.
    PreStopDone { container: usize },
    /// The object has a deletion time.
    DeletionRequested { grace: Duration },
    /// The time between SIGTERM and SIGKILL is over.
    GraceOver,
    /// `activeDeadlineSeconds` passed.
    DeadlinePassed,
    /// Processes, cgroups, mounts and the sandbox are gone.
    CleanedUp,
}

/// Something to be done; its result comes back as an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Prepare and launch the container, or find that it already was.
    Start(usize),
    /// Give up preparing the container, if it is not launched yet.
    Abandon(usize),
    /// Run the postStart hook.
    PostStart(usize),
    /// Begin to probe the container.
    Probe(usize),
    /// No more probes of the container.
    StopProbes(usize),
    /// Run the preStop hook.
    PreStop(usize),
    /// Send SIGTERM.
    Terminate(usize),
    /// Send SIGKILL to all of the container.
    Kill(usize),
    /// Tell [`Event::GraceOver`] after this time, counted from the first order.
    ArmGrace(Duration),
    /// Remove all that is left on the node.
    CleanUp,
    /// Let the object go: take the finalizer off.
    Release,
}

impl Exit {
    /// An end that nobody saw.
    pub fn lost(reason: &str, message: impl Into<String>) -> Self {
        let (reason, message) = (Some(reason.to_owned()), Some(message.into()));
        // 137: what a container that was killed from outside answers.
        Self { code: 137, signal: None, reason, message, started_at: None, finished_at: None }
    }
}

/// One task's life.
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Plan,
    stage: Stage,
    containers: Vec<ContainerStage>,
    deleted: bool,
    grace_over: bool,
    cleaning: bool,
    released: bool,
}

impl Machine {
    /// A task that was not taken up yet.
    pub fn new(plan: Plan) -> Self {
        let containers = vec![ContainerStage::Waiting; plan.containers.len()];
        Self {
            plan,
            stage: Stage::New,
            containers,
            deleted: false,
            grace_over: false,
            cleaning: false,
            released: false,
        }
    }

    /// A task whose end was already told to the API server: only its removal is left.
    pub fn ended(plan: Plan) -> Self {
        let mut machine = Self::new(plan);
        machine.stage = Stage::Ended(Cause::Completed);
        machine.containers.fill(ContainerStage::Skipped);
        machine
    }

    /// The containers and the grace that the machine was made with.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where the task is.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Where each container is, in the plan's order.
    pub fn containers(&self) -> &[ContainerStage] {
        &self.containers
    }

    /// Whether the task ended; it never leaves that stage.
    pub fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Whether nothing is left to be done, ever.
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// Whether the task is being deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Takes one event; says what is to be done. Stale events change nothing and ask for nothing.
    pub fn apply(&mut self, event: Event) -> Vec<Action> {
        let mut todo = Vec::new();
        match event {
            Event::TakenUp => {
                if self.stage == Stage::New {
                    self.stage = Stage::Starting;
                }
            }
            Event::Started { container, pid, at, adopted } => self.started(container, pid, at, adopted, &mut todo),
            Event::Blocked { container, reason, message } => {
                if let Some(ContainerStage::Starting { blocked }) = self.containers.get_mut(container) {
                    *blocked = Some((reason, message));
                }
            }
            Event::StartFailed { container, reason, message } => {
                if let Some(stage @ ContainerStage::Starting { .. }) = self.containers.get_mut(container) {
                    *stage = ContainerStage::NotStarted { reason: reason.clone(), message: message.clone() };
                    self.stop(Cause::Failed { container, reason, message }, self.plan.grace, &mut todo);
                }
            }
            Event::Exited { container, exit } => self.exited(container, exit, &mut todo),
            Event::StartupPassed { container } => {
                let has_readiness = self.plan.containers.get(container).is_some_and(|c| c.has_readiness_probe);
                if let Some(ContainerStage::Running { started, ready, .. }) = self.containers.get_mut(container) {
                    *started = true;
                    *ready = *ready || !has_readiness;
                }
            }
            Event::Readiness { container, ready: now } => {
                if let Some(ContainerStage::Running { started: true, ready, .. }) = self.containers.get_mut(container) {
                    *ready = now;
                }
            }
            Event::Condemned { container, reason, message } => {
                if let Some(ContainerStage::Running { condemned, step: StopStep::None, .. }) =
                    self.containers.get_mut(container)
                {
                    *condemned = Some((reason.clone(), message.clone()));
                    self.stop(Cause::Failed { container, reason, message }, self.plan.grace, &mut todo);
                }
            }
            Event::PreStopDone { container } => {
                if let Some(ContainerStage::Running { step: step @ StopStep::PreStop, .. }) =
                    self.containers.get_mut(container)
                {
                    *step = StopStep::Terminated;
                    todo.push(Action::Terminate(container));
                }
            }
            Event::DeletionRequested { grace } => {
                self.deleted = true;
                self.stop(Cause::Deleted, grace.min(self.plan.grace), &mut todo);
            }
            Event::GraceOver => self.grace_over(&mut todo),
            Event::DeadlinePassed => self.stop(Cause::Deadline, self.plan.grace, &mut todo),
            Event::CleanedUp => {
                if self.cleaning && !self.released {
                    self.released = true;
                    todo.push(Action::Release);
                }
            }
        }
        self.advance(&mut todo);
        todo
    }

    fn started(&mut self, container: usize, pid: i32, at: Timestamp, adopted: Option<Adopted>, todo: &mut Vec<Action>) {
        let Some(stage @ ContainerStage::Starting { .. }) = self.containers.get_mut(container) else { return };
        let plan = &self.plan.containers[container];
        let before = adopted.unwrap_or_default();
        let started = !plan.has_startup_probe || before.started;
        let ready = started && (!plan.has_readiness_probe || before.ready);
        *stage = ContainerStage::Running { pid, at, started, ready, step: StopStep::None, condemned: None };
        if matches!(self.stage, Stage::Stopping(_)) {
            // It was launched while the order to stop was on its way.
            return if self.grace_over { self.kill(container, todo) } else { self.terminate(container, todo) };
        }
        // An adopted container had its hook when it was started: it must not run twice.
        if plan.has_post_start && adopted.is_none() {
            todo.push(Action::PostStart(container));
        }
        todo.push(Action::Probe(container));
    }

    fn exited(&mut self, container: usize, mut exit: Exit, todo: &mut Vec<Action>) {
        let Some(stage) = self.containers.get_mut(container) else { return };
        if !stage.is_live() {
            return;
        }
        if let ContainerStage::Running { at, step, condemned, .. } = stage {
            exit.started_at = exit.started_at.or(Some(*at));
            if let Some((reason, message)) = condemned.take() {
                exit.reason = Some(reason);
                exit.message = Some(message);
            } else if *step >= StopStep::Terminated && exit.code != 0 && exit.reason.is_none() {
                exit.reason = Some("Killed".to_owned());
            }
        }
        todo.push(Action::StopProbes(container));
        let failed = exit.code != 0;
        let reason = exit.reason.clone().unwrap_or_else(|| "Error".to_owned());
        let message = self.plan.containers[container].exit_message(&exit);
        *stage = ContainerStage::Ended(exit);
        if failed {
            self.stop(Cause::Failed { container, reason, message }, self.plan.grace, todo);
        }
    }

    /// Begins to stop; a task that already stops only gets the shorter grace.
    fn stop(&mut self, cause: Cause, grace: Duration, todo: &mut Vec<Action>) {
        match self.stage {
            Stage::Ended(_) => return,
            Stage::Stopping(_) => {
                if cause == Cause::Deleted {
                    todo.push(Action::ArmGrace(grace));
                }
                return;
            }
            Stage::New | Stage::Starting | Stage::Running => {}
        }
        self.stage = Stage::Stopping(cause);
        for index in 0..self.containers.len() {
            match self.containers[index] {
                ContainerStage::Waiting => self.containers[index] = ContainerStage::Skipped,
                ContainerStage::Starting { .. } => todo.push(Action::Abandon(index)),
                ContainerStage::Running { .. } if self.plan.containers[index].role != Role::Sidecar => {
                    self.terminate(index, todo);
                }
                _ => {}
            }
        }
        if self.containers.iter().any(ContainerStage::is_live) {
            todo.push(Action::ArmGrace(grace));
        }
    }

    fn terminate(&mut self, container: usize, todo: &mut Vec<Action>) {
        let ContainerStage::Running { step, ready, .. } = &mut self.containers[container] else { return };
        if *step != StopStep::None {
            return;
        }
        *ready = false;
        todo.push(Action::StopProbes(container));
        if self.plan.containers[container].has_pre_stop {
            *step = StopStep::PreStop;
            todo.push(Action::PreStop(container));
        } else {
            *step = StopStep::Terminated;
            todo.push(Action::Terminate(container));
        }
    }

    fn kill(&mut self, container: usize, todo: &mut Vec<Action>) {
        let ContainerStage::Running { step, ready, .. } = &mut self.containers[container] else { return };
        *step = StopStep::Killed;
        *ready = false;
        todo.push(Action::StopProbes(container));
        todo.push(Action::Kill(container));
    }

    fn grace_over(&mut self, todo: &mut Vec<Action>) {
        if !matches!(self.stage, Stage::Stopping(_)) {
            return;
        }
        self.grace_over = true;
        for index in 0..self.containers.len() {
            self.kill(index, todo);
        }
    }

    /// What follows from where everything is: the next starts, the end, the clean-up.
    fn advance(&mut self, todo: &mut Vec<Action>) {
        if self.stage == Stage::Starting {
            self.start_next(todo);
        }
        if matches!(self.stage, Stage::Starting | Stage::Running) && self.all(Role::Main, |c| c.is_over()) {
            self.stop(Cause::Completed, self.plan.grace, todo);
        }
        if matches!(self.stage, Stage::Stopping(_)) {
            if self.all(Role::Main, |c| !c.is_live()) && self.all(Role::Init, |c| !c.is_live()) {
                for index in 0..self.containers.len() {
                    self.terminate(index, todo);
                }
            }
            if !self.containers.iter().any(ContainerStage::is_live) {
                let Stage::Stopping(cause) = &self.stage else { unreachable!("checked above") };
                self.stage = Stage::Ended(cause.clone());
            }
        }
        if self.is_ended() && self.deleted && !self.cleaning {
            self.cleaning = true;
            todo.push(Action::CleanUp);
        }
    }

    fn start_next(&mut self, todo: &mut Vec<Action>) {
        for index in 0..self.containers.len() {
            let role = self.plan.containers[index].role;
            match (&self.containers[index], role) {
                (ContainerStage::Waiting, _) => {
                    self.containers[index] = ContainerStage::Starting { blocked: None };
                    todo.push(Action::Start(index));
                    if role != Role::Main {
                        return;
                    }
                }
                (_, Role::Main) | (ContainerStage::Ended(_), _) => {}
                (ContainerStage::Running { started: true, .. }, Role::Sidecar) => {}
                _ => return,
            }
        }
        if self.all(Role::Main, |c| !matches!(c, ContainerStage::Waiting | ContainerStage::Starting { .. })) {
            self.stage = Stage::Running;
        }
    }

    fn all(&self, role: Role, holds: impl Fn(&ContainerStage) -> bool) -> bool {
        self.plan.containers.iter().zip(&self.containers).filter(|(p, _)| p.role == role).all(|(_, c)| holds(c))
    }
}

impl ContainerPlan {
    fn exit_message(&self, exit: &Exit) -> String {
        let kind = match self.role {
            Role::Init => "init container",
            Role::Sidecar => "side-car container",
            Role::Main => "container",
        };
        let name = &self.name;
        match (&exit.reason, &exit.message) {
            (Some(reason), Some(message)) if reason != "Error" => format!("{kind} {name:?}: {message}"),
            _ => match exit.signal {
                Some(signal) => format!("{kind} {name:?} was ended by signal {signal}"),
                None => format!("{kind} {name:?} exited with code {}", exit.code),
            },
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
