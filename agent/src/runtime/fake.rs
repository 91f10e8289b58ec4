//! A runtime of numbers: containers run until a test ends them. For tests of what stands above a runtime.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use berth_container::ContainerSpec;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::{Abilities, ExecSpec, Found, Launched, Output, Runtime, RuntimeError, SESSION_QUEUE, Session, Usage};
use crate::task::state::Exit;

/// What an exec'ed command answers: exit code and standard output.
type ExecAnswer = (i32, String);

#[derive(Debug)]
struct Running {
    spec: ContainerSpec,
    launched: Launched,
    exit: watch::Sender<Option<Exit>>,
}

#[derive(Debug, Default)]
struct Inner {
    containers: BTreeMap<String, Running>,
    launches: Vec<String>,
    signals: Vec<(String, i32)>,
    fail_next: VecDeque<RuntimeError>,
    exec_answers: BTreeMap<String, ExecAnswer>,
    ignore_signals: bool,
}

/// The fake. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<Mutex<Inner>>);

impl Fake {
    /// Ends a container by itself.
    pub fn exit(&self, id: &str, code: i32) {
        self.end(
            id,
            Exit {
                code,
                signal: None,
                reason: None,
                message: None,
                started_at: None,
                finished_at: Some(Timestamp::UNIX_EPOCH),
            },
        );
    }

    /// Ends a container with all that is told of it.
    pub fn end(&self, id: &str, exit: Exit) {
        if let Some(running) = self.0.lock().containers.get(id) {
            running.exit.send_if_modified(|old| old.is_none().then(|| *old = Some(exit)).is_some());
        }
    }

    /// The next launch fails so.
    pub fn fail_next_launch(&self, error: RuntimeError) {
        self.0.lock().fail_next.push_back(error);
    }

    /// From now on SIGTERM does nothing.
    pub fn ignore_signals(&self) {
        self.0.lock().ignore_signals = true;
    }

    /// What a command that begins with this word answers; others answer 0.
    pub fn answer_exec(&self, program: &str, code: i32, output: &str) {
        self.0.lock().exec_answers.insert(program.to_owned(), (code, output.to_owned()));
    }

    /// Every id that was launched, in order, adoptions left out.
    pub fn launches(&self) -> Vec<String> {
        self.0.lock().launches.clone()
    }

    /// Every signal that was sent; kills are signal 9.
    pub fn signals(&self) -> Vec<(String, i32)> {
        self.0.lock().signals.clone()
    }

    /// What a container was started with.
    pub fn spec(&self, id: &str) -> Option<ContainerSpec> {
        self.0.lock().containers.get(id).map(|c| c.spec.clone())
    }

    /// Ids of what exists.
    pub fn ids(&self) -> Vec<String> {
        self.0.lock().containers.keys().cloned().collect()
    }
}

fn missing(id: &str) -> RuntimeError {
    RuntimeError::new("NotFound", format!("no container {id}"))
}

impl Runtime for Fake {
    fn abilities(&self) -> Abilities {
        Abilities { name: "fake".to_owned(), cgroups: "none".to_owned(), limitations: Vec::new() }
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, RuntimeError>> {
        Box::pin(async { Ok(self.ids()) })
    }

    fn find(&self, id: &str) -> BoxFuture<'_, Result<Option<Found>, RuntimeError>> {
        let found = self.0.lock().containers.get(id).map(|c| match &*c.exit.borrow() {
            Some(exit) => Found::Ended(exit.clone()),
            None => Found::Running(Launched { adopted: true, ..c.launched }),
        });
        Box::pin(async { Ok(found) })
    }

    fn launch(&self, spec: ContainerSpec) -> BoxFuture<'_, Result<Launched, RuntimeError>> {
        let mut inner = self.0.lock();
        let result = if let Some(error) = inner.fail_next.pop_front() {
            Err(error)
        } else if let Some(running) = inner.containers.get(&spec.id) {
            Ok(Launched { adopted: true, ..running.launched })
        } else {
            let pid = i32::try_from(inner.launches.len()).unwrap_or(0) + 100;
            let launched = Launched { pid, at: Timestamp::UNIX_EPOCH, adopted: false };
            inner.launches.push(spec.id.clone());
            inner.containers.insert(spec.id.clone(), Running { spec, launched, exit: watch::Sender::new(None) });
            Ok(launched)
        };
        Box::pin(async { result })
    }

    fn wait(&self, id: &str) -> BoxFuture<'_, Result<Exit, RuntimeError>> {
        let watch = self.0.lock().containers.get(id).map(|c| c.exit.subscribe());
        let id = id.to_owned();
        Box::pin(async move {
            let mut watch = watch.ok_or_else(|| missing(&id))?;
            let exit = watch.wait_for(Option::is_some).await.map_err(|_| missing(&id))?;
            exit.clone().ok_or_else(|| missing(&id))
        })
    }

    fn signal(&self, id: &str, signal: i32) -> BoxFuture<'_, Result<(), RuntimeError>> {
        let mut inner = self.0.lock();
        inner.signals.push((id.to_owned(), signal));
        let ignored = inner.ignore_signals;
        drop(inner);
        if !ignored {
            let finished_at = Some(Timestamp::UNIX_EPOCH);
            self.end(
                id,
                Exit {
                    code: 128 + signal,
                    signal: Some(signal),
                    reason: None,
                    message: None,
                    started_at: None,
                    finished_at,
                },
            );
        }
        Box::pin(async { Ok(()) })
    }

    fn kill(&self, id: &str) -> BoxFuture<'_, Result<(), RuntimeError>> {
        self.0.lock().signals.push((id.to_owned(), 9));
        let finished_at = Some(Timestamp::UNIX_EPOCH);
        self.end(id, Exit { code: 137, signal: Some(9), reason: None, message: None, started_at: None, finished_at });
        Box::pin(async { Ok(()) })
    }

    fn exec(&self, id: &str, spec: ExecSpec) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        let inner = self.0.lock();
        let known = inner.containers.contains_key(id);
        let (code, text) = inner.exec_answers.get(&spec.argv[0]).cloned().unwrap_or_default();
        drop(inner);
        let id = id.to_owned();
        Box::pin(async move {
            if !known {
                return Err(missing(&id));
            }
            let (input, mut queue) = mpsc::channel(SESSION_QUEUE);
            let (sender, output) = mpsc::channel(SESSION_QUEUE);
            tokio::spawn(async move {
                let _ = sender.send(Output::Stdout(Bytes::from(text))).await;
                drop(sender);
                while queue.recv().await.is_some() {}
            });
            Ok(Session { input, output, exit: Box::pin(async move { Ok(code) }) })
        })
    }

    fn usage(&self, id: &str) -> BoxFuture<'_, Result<Usage, RuntimeError>> {
        let known = self.0.lock().containers.contains_key(id);
        let id = id.to_owned();
        Box::pin(async move { if known { Ok(Usage::default()) } else { Err(missing(&id)) } })
    }

    fn destroy(&self, id: &str) -> BoxFuture<'_, Result<(), RuntimeError>> {
        self.0.lock().containers.remove(id);
        Box::pin(async { Ok(()) })
    }
}
