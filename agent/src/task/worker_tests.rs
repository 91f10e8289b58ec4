//! Whole lives of tasks, with a runtime of numbers and virtual time.

use berth_types::TaskStatus;
use futures::future::BoxFuture;

use super::super::hooks::sources::{Data, Reference};
use super::*;
use crate::runtime::RuntimeError;
use crate::runtime::fake::Fake;
use crate::task::state::Exit;
use crate::writer::WriteError;

#[derive(Default)]
struct NoApi {
    maps: Mutex<HashMap<String, Data>>,
    released: Mutex<bool>,
}

impl Source for NoApi {
    fn fetch<'a>(&'a self, _: &'a str, reference: &'a Reference) -> BoxFuture<'a, Result<Option<Data>, String>> {
        let found = match reference {
            Reference::ConfigMap(name) | Reference::Secret(name) => self.maps.lock().get(name).cloned(),
        };
        Box::pin(async { Ok(found) })
    }
}

impl StatusApi for NoApi {
    fn write<'a>(&'a self, _: &'a Task, _: &'a TaskStatus) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Result<(), WriteError>> {
        *self.released.lock() = true;
        Box::pin(async { Ok(()) })
    }
}

struct Node {
    dir: tempfile::TempDir,
    fake: Fake,
    api: Arc<NoApi>,
    set: JoinSet<String>,
    boot: &'static str,
}

impl Node {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            fake: Fake::default(),
            api: Arc::default(),
            set: JoinSet::new(),
            boot: "boot-1",
        }
    }

    fn context(&self) -> Arc<Context> {
        let ledger_dir = self.dir.path().join("tasks");
        std::fs::create_dir_all(&ledger_dir).unwrap();
        let metrics = Metrics::new();
        Arc::new(Context {
            runtime: Arc::new(self.fake.clone()),
            source: self.api.clone(),
            status: self.api.clone(),
            settings: Settings::default(),
            data_dir: self.dir.path().to_owned(),
            run_dir: self.dir.path().join("run"),
            ledger_dir,
            events: Recorder::silent(metrics.clone()),
            metrics,
            boot_id: self.boot.to_owned(),
        })
    }

    fn start(&mut self, task: &Task) -> Handle {
        let ctx = self.context();
        let ledger = crate::task::ledger::load_all(&ctx.ledger_dir).unwrap().pop();
        spawn(ctx, task.clone(), ledger, None, &mut self.set)
    }

    /// The agent dies.
    async fn crash(&mut self) {
        self.set.shutdown().await;
    }
}

fn task(spec: serde_json::Value) -> Task {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "berth.dev/v1", "kind": "Task",
        "metadata": {"name": "web-0", "namespace": "shop", "uid": "u", "finalizers": ["berth.dev/agent"]}, "spec": spec
    }))
    .unwrap()
}

fn one() -> Task {
    task(serde_json::json!({"containers": [{"name": "c", "shell": "x"}], "terminationGracePeriodSeconds": 5}))
}

fn deleted(task: &Task) -> Box<Task> {
    let mut value = serde_json::to_value(task).unwrap();
    value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    Box::new(serde_json::from_value(value).unwrap())
}

async fn until_phase(handle: &Handle, phase: TaskPhase) -> TaskStatus {
    let mut reports = handle.reports.clone();
    let found = reports.wait_for(|r| r.status.as_ref().is_some_and(|s| s.phase == phase));
    let report = tokio::time::timeout(Duration::from_secs(600), found).await.expect("phase is reached").unwrap();
    report.status.clone().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_and_succeeds() {
    let mut node = Node::new();
    let handle = node.start(&one());
    until_phase(&handle, TaskPhase::Running).await;
    node.fake.exit("u.c", 0);
    let end = until_phase(&handle, TaskPhase::Succeeded).await;
    assert_eq!(end.containers[0].state.terminated.as_ref().unwrap().reason.as_deref(), Some("Completed"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(node.fake.ids().is_empty(), "an ended container leaves no cgroup");
}

#[tokio::test(start_paused = true)]
async fn deletion_kills_after_the_grace_and_leaves_nothing() {
    let mut node = Node::new();
    node.fake.ignore_signals();
    let handle = node.start(&one());
    until_phase(&handle, TaskPhase::Running).await;
    let begin = Instant::now();
    handle.orders.send(Order::Update(deleted(&one()))).await.unwrap();
    assert_eq!(node.set.join_next().await.unwrap().unwrap(), "u");
    assert!((5..6).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert_eq!(node.fake.signals(), [("u.c".to_owned(), 15), ("u.c".to_owned(), 9)]);
    assert!(*node.api.released.lock() && node.fake.ids().is_empty());
    assert!(!node.dir.path().join("sandboxes/shop").exists());
    assert_eq!(std::fs::read_dir(node.dir.path().join("tasks")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_adopts_and_starts_nothing_twice() {
    let mut node = Node::new();
    let handle = node.start(&one());
    let before = until_phase(&handle, TaskPhase::Running).await;
    node.crash().await;
    let handle = node.start(&one());
    let after = until_phase(&handle, TaskPhase::Running).await;
    assert_eq!((before.containers[0].pid, before.start_time), (after.containers[0].pid, after.start_time));
    assert_eq!(node.fake.launches(), ["u.c"]);
}

#[tokio::test(start_paused = true)]
async fn an_exit_in_the_agents_absence_keeps_its_code() {
    let mut node = Node::new();
    until_phase(&node.start(&one()), TaskPhase::Running).await;
    node.crash().await;
    node.fake.exit("u.c", 42);
    let end = until_phase(&node.start(&one()), TaskPhase::Failed).await;
    assert_eq!(end.containers[0].state.terminated.as_ref().unwrap().exit_code, 42);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // And once more, when the runtime has forgotten it: the ledger has not.
    node.crash().await;
    assert!(node.fake.ids().is_empty());
    let end = until_phase(&node.start(&one()), TaskPhase::Failed).await;
    assert_eq!(end.containers[0].state.terminated.as_ref().unwrap().exit_code, 42);
    assert_eq!(node.fake.launches(), ["u.c"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_machine_a_task_is_lost_and_not_run_again() {
    let mut node = Node::new();
    until_phase(&node.start(&one()), TaskPhase::Running).await;
    node.crash().await;
    node.fake = Fake::default();
    node.boot = "boot-2";
    let end = until_phase(&node.start(&one()), TaskPhase::Failed).await;
    assert_eq!(end.reason.as_deref(), Some("NodeRestarted"));
    assert!(node.fake.launches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_end_was_told_is_never_started() {
    let mut node = Node::new();
    let mut ended = one();
    ended.status = Some(TaskStatus { phase: TaskPhase::Succeeded, ..TaskStatus::default() });
    let handle = node.start(&ended);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(node.fake.launches().is_empty());
    handle.orders.send(Order::Update(deleted(&ended))).await.unwrap();
    node.set.join_next().await.unwrap().unwrap();
    assert!(*node.api.released.lock());
}

#[tokio::test(start_paused = true)]
async fn a_task_without_any_trace_that_ran_is_lost() {
    let mut node = Node::new();
    let mut ran = one();
    let container =
        serde_json::from_value(serde_json::json!({"name": "c", "containerID": "u.c", "state": {"running": {}}}))
            .unwrap();
    ran.status = Some(TaskStatus { phase: TaskPhase::Running, containers: vec![container], ..TaskStatus::default() });
    let end = until_phase(&node.start(&ran), TaskPhase::Failed).await;
    assert_eq!(end.reason.as_deref(), Some("LauncherLost"));
    assert!(node.fake.launches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_is_waited_for_and_said() {
    let mut node = Node::new();
    let spec = serde_json::json!({"containers": [{"name": "c", "shell": "x", "envFrom": [{"configMapRef": {"name": "cfg"}}]}]});
    let handle = node.start(&task(spec));
    let mut reports = handle.reports.clone();
    let report = reports.wait_for(|r| r.status.as_ref().is_some_and(|s| s.reason.is_some())).await.unwrap().clone();
    let status = report.status.unwrap();
    assert_eq!((status.phase, status.reason.as_deref()), (TaskPhase::Starting, Some("ConfigMapNotFound")));
    node.api.maps.lock().insert("cfg".into(), [("A".to_owned(), b"1".to_vec())].into());
    until_phase(&handle, TaskPhase::Running).await;
    assert!(node.fake.spec("u.c").unwrap().env.contains(&("A".to_owned(), "1".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_can_be_deleted() {
    let mut node = Node::new();
    let spec =
        serde_json::json!({"containers": [{"name": "c", "shell": "x", "envFrom": [{"secretRef": {"name": "none"}}]}]});
    let waiting = task(spec);
    let handle = node.start(&waiting);
    tokio::time::sleep(Duration::from_secs(30)).await;
    handle.orders.send(Order::Update(deleted(&waiting))).await.unwrap();
    node.set.join_next().await.unwrap().unwrap();
    assert!(node.fake.launches().is_empty() && *node.api.released.lock());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_says_why() {
    let mut node = Node::new();
    node.fake.fail_next_launch(RuntimeError::new("CommandNotFound", "command \"x\" was not found"));
    let end = until_phase(&node.start(&one()), TaskPhase::Failed).await;
    assert_eq!((end.reason.as_deref(), end.summary.as_deref()), (Some("CommandNotFound"), Some("CommandNotFound")));
    let mut node = Node::new();
    let image = task(serde_json::json!({"containers": [{"name": "c", "image": "nginx"}]}));
    let end = until_phase(&node.start(&image), TaskPhase::Failed).await;
    assert_eq!(end.reason.as_deref(), Some("ImageNotSupported"));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_a_stranger_holds_fails_the_task_before_its_start() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let mut node = Node::new();
    let mut task = one();
    task.spec.allocated_ports = serde_json::from_value(serde_json::json!([
        {"container": task.spec.template.containers[0].name, "index": 0, "port": port}
    ]))
    .unwrap();
    let handle = node.start(&task);
    let status = until_phase(&handle, TaskPhase::Failed).await;
    assert_eq!(status.reason.as_deref(), Some("PortTaken"));
    assert!(status.message.unwrap().contains(&format!("port {port} of the node is taken by another process")));
    assert!(node.fake.launches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn out_of_memory_is_the_reason_and_the_log_is_the_message() {
    let mut node = Node::new();
    let handle = node.start(&one());
    until_phase(&handle, TaskPhase::Running).await;
    let exit = Exit {
        code: 137,
        signal: Some(9),
        reason: Some("OOMKilled".into()),
        message: None,
        started_at: None,
        finished_at: None,
    };
    let logs = node.dir.path().join("sandboxes/shop/web-0/c");
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("stderr"), "allocating\n").unwrap();
    node.fake.end("u.c", exit);
    let end = until_phase(&handle, TaskPhase::Failed).await;
    assert_eq!(end.reason.as_deref(), Some("OOMKilled"));
    assert_eq!(end.containers[0].state.terminated.as_ref().unwrap().message.as_deref(), Some("allocating"));
}

#[tokio::test(start_paused = true)]
async fn a_failing_liveness_probe_replaces_the_task() {
    let mut node = Node::new();
    node.fake.answer_exec("check", 1, "dead");
    let probe = serde_json::json!({"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 2});
    let spec = serde_json::json!({"containers": [{"name": "c", "shell": "x", "livenessProbe": probe}, {"name": "d", "shell": "y"}]});
    let handle = node.start(&task(spec));
    let end = until_phase(&handle, TaskPhase::Failed).await;
    assert_eq!(end.reason.as_deref(), Some("LivenessProbeFailed"));
    assert!(node.fake.signals().contains(&("u.d".to_owned(), 15)), "the others are stopped too");
}

#[tokio::test(start_paused = true)]
async fn readiness_turns_the_condition() {
    let mut node = Node::new();
    node.fake.answer_exec("check", 1, "");
    let probe = serde_json::json!({"exec": {"command": ["check"]}, "periodSeconds": 1});
    let spec = serde_json::json!({"containers": [{"name": "c", "shell": "x", "readinessProbe": probe}]});
    let handle = node.start(&task(spec));
    let running = until_phase(&handle, TaskPhase::Running).await;
    assert!(!berth_types::condition::is_true(&running.conditions, "Ready"));
    node.fake.answer_exec("check", 0, "");
    let mut reports = handle.reports.clone();
    let ready = reports
        .wait_for(|r| r.status.as_ref().is_some_and(|s| berth_types::condition::is_true(&s.conditions, "Ready")));
    tokio::time::timeout(Duration::from_secs(5), ready).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_task_also_across_a_restart() {
    let mut node = Node::new();
    let spec = serde_json::json!({"containers": [{"name": "c", "shell": "x"}], "activeDeadlineSeconds": 100});
    let handle = node.start(&task(spec.clone()));
    until_phase(&handle, TaskPhase::Running).await;
    node.crash().await;
    let end = until_phase(&node.start(&task(spec)), TaskPhase::Failed).await;
    assert_eq!(end.reason.as_deref(), Some("DeadlineExceeded"));
}

#[tokio::test(start_paused = true)]
async fn a_vanished_task_is_stopped_and_removed_without_a_word() {
    let mut node = Node::new();
    let handle = node.start(&one());
    until_phase(&handle, TaskPhase::Running).await;
    handle.orders.send(Order::Vanished).await.unwrap();
    node.set.join_next().await.unwrap().unwrap();
    assert!(node.fake.ids().is_empty() && !*node.api.released.lock());
}
