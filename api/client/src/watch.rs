//! Follows a list through time-outs, restarts of the server and expired positions.
//!
//! Guarantee: what [`Watch::next`] returns, applied in order, ends at the server's state. After a break it goes on
//! from the last position; if that has expired it lists again and says so with [`Change::Listed`].

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::error::{ClientError, Status};
use crate::resource::query;
use crate::retry::{Retry, backoff};
use crate::session::{JSON, Session};

/// Longest line (one event) that is taken: an object is at most a few MiB.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Seconds after which the server ends a watch that it was asked for; it is then opened again.
const WATCH_SECONDS: &str = "290";

/// Something that happened to the list.
#[derive(Clone, Debug)]
pub enum Change {
    /// The whole list (or Table) as it is now; forget what was before.
    Listed(Value),
    /// An object (or a Table of one row) is new.
    Added(Value),
    /// An object is different.
    Modified(Value),
    /// An object is gone; its last state.
    Deleted(Value),
}

enum State {
    /// The list must be read.
    Unlisted,
    /// The list is known up to the position; no stream is open.
    Listed,
    /// Events flow.
    Open(BoxStream<'static, Result<bytes::Bytes, ClientError>>),
}

/// A list that is followed. `next` may be dropped and called again at any time without losing a change.
pub struct Watch {
    session: Session,
    path: String,
    parameters: Vec<(String, String)>,
    accept: &'static str,
    retry: Retry,
    position: String,
    state: State,
    buffer: BytesMut,
    ready: VecDeque<Change>,
    failures: u32,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("path", &self.path).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Watch {
    /// Follows the list at `path`; `parameters` are selectors. Nothing is sent before the first `next`.
    pub fn new(session: Session, path: String, parameters: Vec<(String, String)>) -> Self {
        Self {
            session,
            path,
            parameters,
            accept: JSON,
            retry: Retry::PATIENT,
            position: String::new(),
            state: State::Unlisted,
            buffer: BytesMut::new(),
            ready: VecDeque::new(),
            failures: 0,
        }
    }

    /// Asks for another form, such as a Table.
    #[must_use]
    pub fn accept(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// What the first list does when the server cannot be reached. Later breaks are always waited out.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Goes on after a list that the caller has read, from its `resourceVersion`.
    #[must_use]
    pub fn from_position(mut self, position: &str) -> Self {
        position.clone_into(&mut self.position);
        self.state = State::Listed;
        self
    }

    /// The next change. Waits for it as long as it takes.
    ///
    /// # Errors
    /// When the list is refused (no such resource, not allowed), or the first one fails and the policy gives up.
    pub async fn next(&mut self) -> Result<Change, ClientError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            match &mut self.state {
                State::Unlisted => {
                    let target = format!("{}{}", self.path, query(self.parameters.iter().map(|(k, v)| (k, v))));
                    let list = self.session.read(&target, self.accept, self.retry).await?.body;
                    self.retry = Retry::PATIENT;
                    list["metadata"]["resourceVersion"].as_str().unwrap_or_default().clone_into(&mut self.position);
                    self.state = State::Listed;
                    return Ok(Change::Listed(list));
                }
                State::Listed => self.open().await?,
                State::Open(stream) => match stream.next().await {
                    Some(Ok(bytes)) => {
                        self.buffer.extend_from_slice(&bytes);
                        if self.buffer.len() > LINE_BYTES_MAX {
                            self.buffer.clear();
                            self.state = State::Unlisted;
                        }
                        self.take_lines()?;
                    }
                    // An ended or broken stream is opened again at the position.
                    Some(Err(_)) | None => self.state = State::Listed,
                },
            }
        }
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        let fixed = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
            ("resourceVersion", self.position.as_str()),
        ];
        let own = self.parameters.iter().filter(|(k, _)| k != "limit").map(|(k, v)| (k.as_str(), v.as_str()));
        let target = format!("{}{}", self.path, query(own.chain(fixed)));
        match self.session.stream(&target, self.accept).await {
            Ok(stream) => {
                self.buffer.clear();
                self.failures = 0;
                self.state = State::Open(stream);
            }
            Err(error) if error.is_expired() => self.state = State::Unlisted,
            Err(error) if error.is_transient() => {
                self.failures += 1;
                tokio::time::sleep(backoff(self.failures)).await;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn take_lines(&mut self) -> Result<(), ClientError> {
        while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
            let line = self.buffer.split_to(end);
            self.buffer.advance(1);
            if line.is_empty() {
                continue;
            }
            // A line that is cut or garbled means a broken stream: go on from the last position.
            let Ok(mut event) = serde_json::from_slice::<Value>(&line) else {
                self.state = State::Listed;
                return Ok(());
            };
            let object = event["object"].take();
            let kind = event["type"].as_str().unwrap_or_default();
            if kind == "ERROR" {
                let status: Status = serde_json::from_value(object).unwrap_or_default();
                if status.code == 410 {
                    self.state = State::Unlisted;
                    return Ok(());
                }
                let error = ClientError::Status(Box::new(status));
                if error.is_transient() {
                    self.state = State::Listed;
                    return Ok(());
                }
                return Err(error);
            }
            if let Some(position) = position_of(&object) {
                position.clone_into(&mut self.position);
            }
            match kind {
                "ADDED" => self.ready.push_back(Change::Added(object)),
                "MODIFIED" => self.ready.push_back(Change::Modified(object)),
                "DELETED" => self.ready.push_back(Change::Deleted(object)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The position after an event: the object's version; a Table carries it at its own or its row's object.
fn position_of(object: &Value) -> Option<&str> {
    let own = object["metadata"]["resourceVersion"].as_str();
    let row = || object["rows"][0]["object"]["metadata"]["resourceVersion"].as_str();
    own.filter(|v| !v.is_empty()).or_else(row)
}
