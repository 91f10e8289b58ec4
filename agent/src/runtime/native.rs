//! The native containerizer behind [`Runtime`]: its calls block for milliseconds and run on blocking threads;
//! an exit is a descriptor that becomes readable, so waiting costs no thread.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::SystemTime;

use berth_container::{ContainerSpec, Containerizer, Error, ExecProcess, ExitRecord, LaunchError, Running, State};
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use super::{
    Abilities, ExecSpec, Found, Input, Launched, Output, Runtime, RuntimeError, SESSION_QUEUE, Session, Usage,
};
use crate::fd;
use crate::task::state::Exit;

/// How much of a session's output is read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// The native containerizer.
#[derive(Clone, Debug)]
pub struct Native {
    containerizer: Arc<Containerizer>,
}

impl Native {
    /// Makes the run directory and finds out what works here.
    ///
    /// # Errors
    /// When the run directory cannot be used.
    pub fn open(config: berth_container::Config) -> Result<Self, Error> {
        Ok(Self { containerizer: Arc::new(Containerizer::new(config)?) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Containerizer) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let containerizer = self.containerizer.clone();
        let result = tokio::task::spawn_blocking(move || call(&containerizer)).await;
        result.unwrap_or_else(|e| {
            Err(RuntimeError::new("RuntimeError", format!("the runtime's call did not finish: {e}")))
        })
    }
}

impl Runtime for Native {
    fn abilities(&self) -> Abilities {
        let features = self.containerizer.capabilities();
        let cgroups = format!("{:?}", features.cgroups).to_lowercase();
        Abilities { name: "native".to_owned(), cgroups, limitations: features.limitations.clone() }
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, RuntimeError>> {
        Box::pin(self.blocking(|c| Ok(c.list().map_err(error)?.into_iter().map(|found| found.id).collect())))
    }

    fn find(&self, id: &str) -> BoxFuture<'_, Result<Option<Found>, RuntimeError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |c| Ok(c.status(&id).map_err(error)?.map(found))))
    }

    fn launch(&self, spec: ContainerSpec) -> BoxFuture<'_, Result<Launched, RuntimeError>> {
        Box::pin(self.blocking(move |c| match c.launch(&spec) {
            Ok(running) => Ok(launched(running, false)),
            Err(LaunchError::AlreadyExists { id }) => match c.status(&id).map_err(error)?.map(found) {
                Some(Found::Running(mut launched)) => {
                    launched.adopted = true;
                    Ok(launched)
                }
                // The caller waits for it next, and hears how it ended.
                Some(Found::Ended(exit)) => {
                    Ok(Launched { pid: 0, at: exit.started_at.unwrap_or_else(Timestamp::now), adopted: true })
                }
                None => Err(RuntimeError::new("StartError", format!("container {id} vanished while it was started"))),
            },
            Err(e) => Err(launch_error(&e)),
        }))
    }

    fn wait(&self, id: &str) -> BoxFuture<'_, Result<Exit, RuntimeError>> {
        let id = id.to_owned();
        Box::pin(async move {
            let watched = id.clone();
            let watch: OwnedFd = self.blocking(move |c| c.exit_watch(&watched).map_err(error)).await?;
            let watch = fd::readable(watch).map_err(io_error)?;
            loop {
                let mut ready = watch.readable().await.map_err(io_error)?;
                match self.find(&id).await? {
                    Some(Found::Ended(exit)) => return Ok(exit),
                    Some(Found::Running(_)) => ready.clear_ready(),
                    None => return Err(RuntimeError::new("NotFound", format!("no container {id}"))),
                }
            }
        })
    }

    fn signal(&self, id: &str, signal: i32) -> BoxFuture<'_, Result<(), RuntimeError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |c| c.signal(&id, signal).map_err(error)))
    }

    fn kill(&self, id: &str) -> BoxFuture<'_, Result<(), RuntimeError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |c| c.kill_all(&id).map_err(error)))
    }

    fn exec(&self, id: &str, spec: ExecSpec) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        let id = id.to_owned();
        Box::pin(async move {
            let ExecSpec { argv, tty, stdin } = spec;
            let spec = berth_container::ExecSpec { argv, tty, stdin, ..berth_container::ExecSpec::default() };
            let process = self.blocking(move |c| c.exec(&id, &spec).map_err(|e| launch_error(&e))).await?;
            session(process)
        })
    }

    fn usage(&self, id: &str) -> BoxFuture<'_, Result<Usage, RuntimeError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |c| {
            let stats = c.stats(&id).map_err(error)?;
            Ok(Usage {
                cpu_seconds: stats.cpu_usec as f64 / 1e6,
                memory_bytes: stats.memory_working_set_bytes,
                pids: stats.pids,
            })
        }))
    }

    fn destroy(&self, id: &str) -> BoxFuture<'_, Result<(), RuntimeError>> {
        let id = id.to_owned();
        Box::pin(self.blocking(move |c| c.destroy(&id).map_err(error)))
    }
}

/// Joins a process's descriptors to queues.
fn session(mut process: ExecProcess) -> Result<Session, RuntimeError> {
    let (input, input_queue) = mpsc::channel(SESSION_QUEUE);
    let (output_queue, output) = mpsc::channel(SESSION_QUEUE);
    let mut sink: Option<Box<dyn AsyncWrite + Send + Unpin>> = None;
    if let Some(fd) = process.stdin.take() {
        sink = Some(Box::new(pipe::Sender::from_owned_fd(fd).map_err(io_error)?));
    }
    if let Some(fd) = process.stdout.take() {
        tokio::spawn(copy(pipe::Receiver::from_owned_fd(fd).map_err(io_error)?, output_queue.clone(), Output::Stdout));
    }
    if let Some(fd) = process.stderr.take() {
        tokio::spawn(copy(pipe::Receiver::from_owned_fd(fd).map_err(io_error)?, output_queue.clone(), Output::Stderr));
    }
    if let Some(fd) = &process.tty {
        // A terminal is rare and a person waits at it: a blocking thread is simple and fine. The process keeps its
        // own handle, which is what tells the terminal its size.
        let reader = std::fs::File::from(fd.try_clone().map_err(io_error)?);
        sink = Some(Box::new(tokio::fs::File::from_std(reader.try_clone().map_err(io_error)?)));
        tokio::spawn(copy(tokio::fs::File::from_std(reader), output_queue, Output::Stdout));
    }
    let (done, exit) = oneshot::channel();
    let ended = fd::readable(process.as_fd().try_clone_to_owned().map_err(io_error)?);
    tokio::spawn(drive(process, ended.map_err(io_error)?, input_queue, sink, done));
    let lost = || RuntimeError::new("ExecLost", "the process's end was not seen");
    Ok(Session { input, output, exit: Box::pin(async move { exit.await.unwrap_or_else(|_| Err(lost())) }) })
}

/// Feeds the process until it ends, or until the session is dropped: then the process is too.
async fn drive(
    process: ExecProcess,
    ended: AsyncFd<OwnedFd>,
    mut input: mpsc::Receiver<Input>,
    mut sink: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    done: oneshot::Sender<Result<i32, RuntimeError>>,
) {
    loop {
        let next = tokio::select! {
            ready = ended.readable() => match ready {
                Ok(_) => break,
                Err(_) => return,
            },
            next = input.recv() => next,
        };
        match next {
            None => return,
            Some(Input::Close) => sink = None,
            Some(Input::Resize { columns, rows }) => {
                if let Err(error) = process.resize(columns, rows) {
                    tracing::debug!(%error, "could not resize a session's terminal");
                }
            }
            Some(Input::Data(data)) => {
                if let Some(writer) = &mut sink {
                    let written = tokio::select! {
                        written = async { writer.write_all(&data).await?; writer.flush().await } => written,
                        // A process that ends while its input is full must not hold us.
                        _ = ended.readable() => break,
                    };
                    if written.is_err() {
                        sink = None;
                    }
                }
            }
        }
    }
    let result = tokio::task::spawn_blocking(move || process.wait().map_err(error)).await;
    let status = result.unwrap_or_else(|e| Err(RuntimeError::new("ExecLost", e.to_string())));
    let _ = done.send(status.map(|s| s.code.unwrap_or_else(|| 128 + s.signal.unwrap_or(0))));
}

async fn copy(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Output>, wrap: fn(Bytes) -> Output) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        // A terminal answers EIO when its last process is gone: the end, as a pipe's EOF is.
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if to.send(wrap(Bytes::copy_from_slice(&buffer[..n]))).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn found(state: State) -> Found {
    match state {
        State::Running(running) => Found::Running(launched(running, true)),
        State::Exited(record) => Found::Ended(exit(record)),
        State::Lost => Found::Ended(Exit::lost(
            "LauncherLost",
            "the process that watches over the container was killed or the machine was restarted: its exit code is not known",
        )),
    }
}

fn launched(running: Running, adopted: bool) -> Launched {
    Launched { pid: running.pid, at: timestamp(running.started_at), adopted }
}

fn exit(record: ExitRecord) -> Exit {
    let code = record.code.unwrap_or_else(|| 128 + record.signal.unwrap_or(9));
    let (reason, message) = match record.failure {
        Some(failure) => {
            let error = launch_error(&failure.into());
            (Some(error.reason), Some(error.message))
        }
        None if record.oom_kills > 0 && code != 0 => {
            (Some("OOMKilled".to_owned()), Some("it used more memory than limits.memory allows".to_owned()))
        }
        None => (None, None),
    };
    Exit {
        code,
        signal: record.signal,
        reason,
        message,
        started_at: nanos(record.started_unix_nanos),
        finished_at: nanos(record.finished_unix_nanos),
    }
}

fn nanos(unix: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(unix)).ok().filter(|_| unix > 0)
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_else(|_| Timestamp::now())
}

fn launch_error(e: &LaunchError) -> RuntimeError {
    let reason = match e {
        LaunchError::CommandNotFound { .. } => "CommandNotFound",
        LaunchError::PermissionDenied { .. } => "PermissionDenied",
        LaunchError::InvalidSpec { .. } => "InvalidSpec",
        LaunchError::NotRunning { .. } => "NotRunning",
        LaunchError::AlreadyExists { .. } | LaunchError::StartError { .. } | LaunchError::ShimFailed { .. } => {
            "StartError"
        }
    };
    RuntimeError::new(reason, with_causes(e))
}

fn error(e: Error) -> RuntimeError {
    let reason = match &e {
        Error::NotFound { .. } => "NotFound",
        Error::NotRunning { .. } => "NotRunning",
        Error::Lost { .. } => "LauncherLost",
        _ => "RuntimeError",
    };
    RuntimeError::new(reason, with_causes(&e))
}

fn io_error(e: std::io::Error) -> RuntimeError {
    RuntimeError::new("RuntimeError", e.to_string())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
