//! `/v1/logs`: a container's log as a stream of text.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::{Body, Found, Server, query, text};
use crate::logs::{Changes, Line, Merged, Options};
use crate::task::hooks::sandbox::sandbox;

/// Pieces that may wait for a slow reader; then the file waits.
const QUEUE: usize = 8;
/// A follower looks again at least this often, should a notice of the kernel be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// While the log's directory is not made yet.
const LOOK_FOR_DIR: Duration = Duration::from_millis(100);

/// What the caller wants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    options: Options,
    follow: bool,
    timestamps: bool,
    limit_bytes: Option<usize>,
}

pub(super) fn answer(server: &Server, found: Found, query: &str) -> Response<Body> {
    let wanted = match parse(query, Timestamp::now()) {
        Ok(wanted) => wanted,
        Err(message) => return text(StatusCode::BAD_REQUEST, message),
    };
    let dir = sandbox(&server.data_dir, &found.namespace, &found.task).join(&found.container);
    let (pieces, stream) = mpsc::channel::<Result<Bytes, io::Error>>(QUEUE);
    tokio::spawn(async move {
        if let Err(error) = send(&dir, found, wanted, &pieces).await {
            let _ = pieces.send(Err(error)).await;
        }
    });
    let body = StreamBody::new(ReceiverStream::new(stream).map(|piece| piece.map(Frame::data)));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

async fn send(
    dir: &std::path::Path,
    mut found: Found,
    wanted: Wanted,
    pieces: &mpsc::Sender<Result<Bytes, io::Error>>,
) -> io::Result<()> {
    let changes = if wanted.follow { watch(dir, &mut found).await } else { None };
    let (opened, options) = (dir.to_owned(), wanted.options);
    let mut merged = blocking(move || Ok(Merged::open(&opened, &options))).await?;
    let mut released = false;
    let mut left = wanted.limit_bytes.unwrap_or(usize::MAX);
    loop {
        // Asked before the read: what the container wrote before its end is read after we knew of the end.
        let over = !wanted.follow || released || found.is_over();
        let (batch, back) = blocking(move || {
            let batch = merged.next_batch(over)?;
            Ok((batch, merged))
        })
        .await?;
        merged = back;
        if !batch.is_empty() {
            let mut piece = render(&batch, wanted.timestamps);
            piece.truncate(left);
            left -= piece.len();
            if pieces.send(Ok(piece.into())).await.is_err() || left == 0 {
                return Ok(());
            }
            continue;
        }
        if over {
            return Ok(());
        }
        tokio::select! {
            () = pieces.closed() => return Ok(()),
            // When the task was released its files are gone, but ours are still open: read them to the end.
            changed = found.view.reports.changed() => released = changed.is_err(),
            () = changed(changes.as_ref()) => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Waits until there is a directory to watch, or the container is over.
async fn watch(dir: &std::path::Path, found: &mut Found) -> Option<Changes> {
    loop {
        match Changes::watch(dir) {
            Ok(changes) => return Some(changes),
            Err(_) if found.is_over() => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A start that waits (for a ConfigMap, say) has no log yet.
                match tokio::time::timeout(LOOK_FOR_DIR, found.view.reports.changed()).await {
                    Ok(Err(_)) => return None,
                    _ => continue,
                }
            }
            Err(error) => {
                tracing::debug!(%error, "log changes cannot be watched, looking from time to time");
                return None;
            }
        }
    }
}

async fn changed(changes: Option<&Changes>) {
    match changes {
        Some(changes) if changes.changed().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(io::Error::other)?
}

fn render(batch: &[Line], timestamps: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for line in batch {
        if timestamps {
            let time = Timestamp::from_nanosecond(i128::from(line.time)).unwrap_or(Timestamp::UNIX_EPOCH);
            out.extend_from_slice(format!("{time:.9} ").as_bytes());
        }
        out.extend_from_slice(&line.text);
    }
    out
}

fn parse(query: &str, now: Timestamp) -> Result<Wanted, String> {
    let pairs = query::pairs(query);
    let number = |key: &str| -> Result<Option<u64>, String> {
        query::value(&pairs, key)
            .map(|v| v.parse().map_err(|_| format!("{key} {v:?} must be a whole number, 0 or more")))
            .transpose()
    };
    let mut since = number("sinceSeconds")?
        .map(|s| now.as_nanosecond().saturating_sub(i128::from(s) * 1_000_000_000))
        .and_then(|n| u64::try_from(n).ok());
    if let Some(time) = query::value(&pairs, "sinceTime") {
        let time: Timestamp =
            time.parse().map_err(|_| format!("sinceTime {time:?} must be a time such as 2026-01-31T08:00:00Z"))?;
        since = u64::try_from(time.as_nanosecond()).ok();
    }
    Ok(Wanted {
        options: Options { tail: number("tailLines")?.and_then(|n| usize::try_from(n).ok()), since },
        follow: query::switch(&pairs, "follow"),
        timestamps: query::switch(&pairs, "timestamps"),
        limit_bytes: number("limitBytes")?.and_then(|n| usize::try_from(n).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_kubernetes_own() {
        let now = Timestamp::from_second(100).unwrap();
        let wanted = parse("follow=true&tailLines=5&sinceSeconds=10&timestamps=1&limitBytes=9", now).unwrap();
        assert_eq!(wanted.options, Options { tail: Some(5), since: Some(90_000_000_000) });
        assert!(wanted.follow && wanted.timestamps);
        assert_eq!(wanted.limit_bytes, Some(9));
        let wanted = parse("sinceTime=1970-01-01T00:00:01Z", now).unwrap();
        assert_eq!(wanted.options.since, Some(1_000_000_000));
        assert!(parse("tailLines=-1", now).unwrap_err().contains("tailLines"));
    }

    #[test]
    fn time_stamps_have_nanoseconds() {
        let line = Line { time: 1_000_000_001, stream: crate::logs::StreamName::Stdout, text: b"x\n".to_vec() };
        assert_eq!(render(&[line], true), b"1970-01-01T00:00:01.000000001Z x\n");
    }
}
