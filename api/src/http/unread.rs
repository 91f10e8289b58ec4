//! What becomes of a body that an early answer left unread.
//!
//! Most clients read an answer only once they have sent everything. Closing the stream under them hides the answer
//! behind a broken connection, so the rest is taken in and thrown away, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// The rest of a body that is still taken in after the answer: more than any body that we accept.
const UNREAD_BYTES_MAX: usize = 16 << 20;
/// How long that may take.
const UNREAD_TIME_MAX: Duration = Duration::from_secs(10);

/// A request's body that is read to its end even when the handler lets go of it.
pub(crate) struct ReadToEnd<B: Body<Data = Bytes> + Send + Unpin + 'static> {
    body: Option<B>,
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> ReadToEnd<B> {
    pub(crate) fn new(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for ReadToEnd<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        // Nothing is left to read after the end or an error.
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for ReadToEnd<B> {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(UNREAD_TIME_MAX, async move {
            let mut left = UNREAD_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = rest;
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;
    use tokio::sync::mpsc;

    use super::*;

    /// A body that nobody reads, and the client's end of it.
    fn unread() -> mpsc::Sender<Bytes> {
        let (sender, chunks) = mpsc::channel::<Bytes>(1);
        let frames = futures::stream::unfold(chunks, |mut chunks| async {
            let chunk = chunks.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(chunk)), chunks))
        });
        drop(ReadToEnd::new(StreamBody::new(Box::pin(frames))));
        sender
    }

    #[tokio::test]
    async fn what_a_handler_left_unread_is_taken_in() {
        let client = unread();
        for _ in 0..8 {
            client.send(Bytes::from_static(b"more")).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_without_end_is_let_go() {
        let client = unread();
        let mut sent = 0;
        while client.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {
            sent += 1;
            assert!(sent < 100, "it takes in everything");
        }
    }
}
