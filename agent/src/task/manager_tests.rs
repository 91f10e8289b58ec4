//! Recovery: what the node has, against what the API server says.

use berth_types::TaskStatus;
use futures::future::BoxFuture;
use futures::stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::hooks::NodeFacts;
use super::super::hooks::launch::Settings;
use super::super::hooks::sources::{Data, Reference, Source};
use super::*;
use crate::events::Recorder;
use crate::metrics::Metrics;
use crate::runtime::Runtime;
use crate::runtime::fake::Fake;
use crate::writer::{StatusApi, WriteError};

struct Silent;

impl Source for Silent {
    fn fetch<'a>(&'a self, _: &'a str, _: &'a Reference) -> BoxFuture<'a, Result<Option<Data>, String>> {
        Box::pin(async { Ok(None) })
    }
}

impl StatusApi for Silent {
    fn write<'a>(&'a self, task: &'a Task, _: &'a TaskStatus) -> BoxFuture<'a, Result<(), WriteError>> {
        assert!(task.metadata.name.as_deref() != Some("panics"), "as this test wants it");
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async { Ok(()) })
    }
}

fn task(name: &str, uid: &str) -> Task {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "berth.dev/v1", "kind": "Task",
        "metadata": {"name": name, "namespace": "shop", "uid": uid},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "shell": "x"}], "terminationGracePeriodSeconds": 1}
    }))
    .unwrap()
}

struct Agent {
    events: mpsc::Sender<watcher::Result<Event<Task>>>,
    stop: CancellationToken,
    synced: watch::Receiver<bool>,
    registry: Registry,
    run: tokio::task::JoinHandle<()>,
}

fn start(dir: &std::path::Path, fake: &Fake) -> Agent {
    let metrics = Metrics::new();
    let ctx = Context {
        runtime: Arc::new(fake.clone()),
        source: Arc::new(Silent),
        status: Arc::new(Silent),
        settings: Settings {
            node: NodeFacts { name: "n1".into(), ..NodeFacts::default() },
            allocatable: [("cpu".to_owned(), "3".into())].into(),
            ..Settings::default()
        },
        data_dir: dir.to_owned(),
        run_dir: dir.join("run"),
        ledger_dir: dir.join("tasks"),
        events: Recorder::silent(metrics.clone()),
        metrics,
        boot_id: "b".into(),
    };
    let (synced, known) = watch::channel(false);
    let registry = Registry::default();
    let manager = Manager::new(Arc::new(ctx), registry.clone(), synced).unwrap();
    let (events, queue) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let run = tokio::spawn(manager.run(ReceiverStream::new(queue).chain(stream::pending()), stop.clone()));
    Agent { events, stop, synced: known, registry, run }
}

impl Agent {
    async fn list(&mut self, tasks: &[Task]) {
        self.events.send(Ok(Event::Init)).await.unwrap();
        for task in tasks {
            self.events.send(Ok(Event::InitApply(task.clone()))).await.unwrap();
        }
        self.events.send(Ok(Event::InitDone)).await.unwrap();
        self.synced.wait_for(|s| *s).await.unwrap();
        settle().await;
    }

    async fn crash(self) {
        self.stop.cancel();
        self.run.await.unwrap();
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_adopted_and_what_nobody_knows_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    agent.list(&[task("a", "1"), task("b", "2")]).await;
    assert_eq!(fake.ids(), ["1.c", "2.c"]);
    agent.crash().await;
    fake.launch(berth_container::ContainerSpec::new("9.c", vec!["x".into()], "/s")).await.unwrap();
    let mut agent = start(dir.path(), &fake);
    agent.list(&[task("a", "1")]).await;
    assert_eq!(fake.ids(), ["1.c"], "b was deleted meanwhile, 9 is nobody's");
    assert_eq!(fake.launches().len(), 3);
    assert!(fake.signals().contains(&("2.c".to_owned(), 15)));
}

#[tokio::test(start_paused = true)]
async fn without_an_api_server_the_ledger_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    agent.list(&[task("a", "1")]).await;
    agent.crash().await;
    let mut agent = start(dir.path(), &fake);
    settle().await;
    assert!(agent.registry.get("shop", "a").is_some());
    assert_eq!((fake.launches().len(), fake.signals().len()), (1, 0));
    agent.list(&[task("a", "1")]).await;
    assert_eq!((fake.launches().len(), fake.signals().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_task_of_an_old_name_waits_for_the_old_ones_end() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    agent.list(&[task("a", "1")]).await;
    fake.ignore_signals();
    agent.events.send(Ok(Event::Apply(task("a", "2")))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fake.ids(), ["1.c"]);
    settle().await;
    assert_eq!(fake.ids(), ["2.c"]);
    assert!(dir.path().join("sandboxes/shop/a").exists());
}

#[tokio::test(start_paused = true)]
async fn tasks_of_other_nodes_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    let mut other = task("a", "1");
    other.spec.node_name = Some("n2".into());
    agent.list(&[other]).await;
    assert!(fake.ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_fit_is_refused_until_another_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    let wants = |name: &str, uid: &str| {
        let mut task = task(name, uid);
        task.spec.template.containers[0].resources.requests = [("cpu".to_owned(), "2".into())].into();
        task
    };
    agent.list(&[wants("a", "1"), wants("b", "2")]).await;
    let phase = |name: &str| {
        let status = agent.registry.get("shop", name).unwrap().reports.borrow().status.clone().unwrap();
        (format!("{:?}", status.phase), status.reason.unwrap_or_default())
    };
    assert_eq!(phase("a").0, "Running");
    assert_eq!(phase("b"), ("Failed".to_owned(), "OutOfResources".to_owned()));
    assert_eq!(fake.launches(), ["1.c"]);
    fake.exit("1.c", 0);
    settle().await;
    agent.events.send(Ok(Event::Apply(wants("c", "3")))).await.unwrap();
    settle().await;
    assert_eq!(phase("c").0, "Running");
}

#[tokio::test(start_paused = true)]
async fn a_smaller_node_keeps_what_runs_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    agent.list(&[task("a", "1"), task("b", "2")]).await;
    agent.crash().await;
    let mut agent = start(dir.path(), &fake);
    let large = |name: &str, uid: &str| {
        let mut task = task(name, uid);
        task.spec.template.containers[0].resources.requests = [("cpu".to_owned(), "9".into())].into();
        task
    };
    agent.list(&[large("a", "1"), large("b", "2")]).await;
    assert_eq!((fake.ids().len(), fake.signals().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_neither_the_task_nor_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let mut agent = start(dir.path(), &fake);
    agent.list(&[task("panics", "1"), task("b", "2")]).await;
    settle().await;
    // Each new worker adopted it; then it was left to run alone.
    assert_eq!((fake.ids(), fake.launches().len()), (vec!["1.c".to_owned(), "2.c".to_owned()], 2));
    assert!(fake.signals().is_empty());
    assert!(agent.registry.get("shop", "panics").is_none() && agent.registry.get("shop", "b").is_some());
}
