//! Reads one container's log, over breaks and restarts of the server, to its end.

use berth_client::retry::backoff;
use berth_client::{ClientError, Session, resource};
use futures::StreamExt as _;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::mpsc;

use super::line::{Cursor, Line, Splitter};
use super::select::Source;
use crate::kinds;

/// Which part of the log.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Only so many last lines.
    pub(crate) tail: Option<u64>,
    /// Only what is newer.
    pub(crate) since: Option<Timestamp>,
}

/// One log and how far it was read.
#[derive(Debug)]
pub(crate) struct Reader {
    session: Session,
    pub(crate) source: Source,
    wanted: Wanted,
    cursor: Cursor,
    started: bool,
}

impl Reader {
    pub(crate) fn new(session: Session, source: Source, wanted: Wanted) -> Self {
        Self { session, source, wanted, cursor: Cursor::default(), started: false }
    }

    fn path(&self, follow: bool) -> String {
        let mut parameters = vec![("container", self.source.container.clone()), ("timestamps", "true".to_owned())];
        if follow {
            parameters.push(("follow", "true".to_owned()));
        }
        if let Some(since) = self.cursor.since().or(self.wanted.since) {
            parameters.push(("sinceTime", since.to_string()));
        }
        // After a break all that is newer is wanted, however much it is.
        if let Some(tail) = self.wanted.tail.filter(|_| !self.started) {
            parameters.push(("tailLines", tail.to_string()));
        }
        let task = kinds::ours("Task").path(&self.source.namespace, &self.source.task);
        format!("{task}/log{}", resource::query(parameters))
    }

    /// Reads from the cursor to the end of the stream.
    ///
    /// # Errors
    /// When the log cannot be opened, or the stream breaks.
    pub(crate) async fn read_once(&mut self, follow: bool, to: &mpsc::Sender<Line>) -> Result<(), ClientError> {
        let mut stream = self.session.stream(&self.path(follow), "*/*").await?;
        self.started = true;
        self.cursor.resume();
        let mut splitter = Splitter::default();
        while let Some(chunk) = stream.next().await {
            for line in splitter.take(&chunk?) {
                if self.cursor.admit(&line) && to.send(line).await.is_err() {
                    return Ok(());
                }
            }
        }
        // A half line at the end of a followed log may be cut by a stopping server: it comes again, whole.
        if !follow
            && let Some(line) = splitter.finish()
            && self.cursor.admit(&line)
        {
            let _ = to.send(line).await;
        }
        Ok(())
    }

    /// Reads until the container has ended and all that it wrote is read.
    ///
    /// # Errors
    /// When the log is refused for good.
    pub(crate) async fn follow(mut self, to: mpsc::Sender<(Source, Line)>) -> Result<(), ClientError> {
        let (sender, mut lines) = mpsc::channel::<Line>(64);
        let source = self.source.clone();
        let forward = async move {
            while let Some(line) = lines.recv().await {
                if to.send((source.clone(), line)).await.is_err() {
                    return;
                }
            }
        };
        let read = async move {
            let mut failures = 0;
            loop {
                // Asked before the stream, so that what is written in between is not taken for the end.
                let over = match self.source.is_over(&self.session).await {
                    Ok(over) => over,
                    Err(error) if error.is_not_found() => return Ok(()),
                    Err(error) if error.is_transient() => false,
                    Err(error) => return Err(error),
                };
                match self.read_once(!over, &sender).await {
                    Ok(()) if over => return Ok(()),
                    Ok(()) => failures = 0,
                    Err(error) if error.is_not_found() => return Ok(()),
                    // 400: the container is not started yet.
                    Err(error) if error.is_transient() || error.code() == 400 => {
                        if over && error.code() == 400 {
                            return Ok(());
                        }
                        failures += 1;
                    }
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(backoff(failures.max(1))).await;
            }
        };
        let (result, ()) = futures::join!(read, forward);
        result
    }
}
