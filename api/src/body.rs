//! Response bodies: whole bytes, pieces that are made as they are sent, or a stream of chunks. Never an error: a stream that breaks just ends.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Frame, SizeHint};

/// A body of the API server.
pub enum ApiBody {
    /// All of it, or nothing more.
    Whole(Option<Bytes>),
    /// As many bytes as were promised, made piece by piece: a large answer stays in the processor's cache on its way.
    Pieces(Pieces),
    /// Chunks as they come; each is flushed.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// A body of known length that is made as it is sent.
pub struct Pieces {
    left: u64,
    make: Box<dyn FnMut() -> Option<Bytes> + Send>,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pieces({} bytes)", self.left)
    }
}

impl Pieces {
    /// `make` gives the pieces, `length` bytes in all, and then nothing.
    pub fn new(length: u64, make: impl FnMut() -> Option<Bytes> + Send + 'static) -> Self {
        Self { left: length, make: Box::new(make) }
    }

    /// Bytes that are yet to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// All that is left, at once.
    pub fn collect(mut self) -> Bytes {
        let mut all = Vec::with_capacity(usize::try_from(self.left).unwrap_or(0));
        while let Some(piece) = self.next() {
            all.extend_from_slice(&piece);
        }
        all.into()
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let piece = (self.make)();
        let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        debug_assert!(length > 0 && length <= self.left, "the pieces are as long as was promised");
        self.left = self.left.saturating_sub(length);
        piece
    }
}

impl ApiBody {
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// Keeps a value until a stream has ended; for a body that is at hand it is dropped at once.
    pub(crate) fn holding(self, value: impl Send + 'static) -> Self {
        match self {
            Self::Stream(stream) => {
                Self::stream(futures::stream::unfold((stream, value), |(mut stream, value)| async move {
                    let chunk = futures::StreamExt::next(&mut stream).await?;
                    Some((chunk, (stream, value)))
                }))
            }
            whole => whole,
        }
    }

    pub fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::Stream(Box::pin(stream))
    }
}

impl From<Bytes> for ApiBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|b| !b.is_empty()))
    }
}

impl From<Pieces> for ApiBody {
    fn from(pieces: Pieces) -> Self {
        Self::Pieces(pieces)
    }
}

impl From<Vec<u8>> for ApiBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl fmt::Debug for ApiBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.as_ref().map_or(0, Bytes::len)),
            Self::Pieces(pieces) => pieces.fmt(f),
            Self::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

impl http_body::Body for ApiBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Pieces(pieces) => Poll::Ready(pieces.next().map(|b| Ok(Frame::data(b)))),
            Self::Stream(stream) => stream.as_mut().poll_next(cx).map(|chunk| chunk.map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces(pieces) => pieces.left == 0,
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Pieces(pieces) => SizeHint::with_exact(pieces.left),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
