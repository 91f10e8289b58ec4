//! How many watches and logs are open, in all and by each user: none may take all that a server can hold.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::body::ApiBody;
use crate::status::ApiError;

/// Open streams of all users. A quiet watch costs a few KiB, so these stay below 100 MiB.
const STREAMS_MAX: usize = 20_000;
/// Open streams of one user: a node has about ten, a console for each of its viewers as many.
const STREAMS_PER_USER_MAX: usize = 4_000;

/// The open streams of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_user: HashMap<String, usize>,
}

/// One open stream; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct StreamSlot {
    open: Arc<Mutex<Open>>,
    user: String,
}

impl Streams {
    /// Counts a new stream of a user.
    ///
    /// # Errors
    /// 429 when there are too many.
    pub(crate) fn enter(&self, user: &str) -> Result<StreamSlot, ApiError> {
        let mut open = self.open.lock();
        let own = open.by_user.get(user).copied().unwrap_or(0);
        if open.all >= STREAMS_MAX || own >= STREAMS_PER_USER_MAX {
            return Err(ApiError::too_many_requests());
        }
        open.all += 1;
        open.by_user.insert(user.to_owned(), own + 1);
        Ok(StreamSlot { open: Arc::clone(&self.open), user: user.to_owned() })
    }
}

impl StreamSlot {
    /// Keeps the slot as long as the body.
    pub(crate) fn guard(self, body: ApiBody) -> ApiBody {
        body.holding(self)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.all -= 1;
        if let Some(own) = open.by_user.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                open.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_every_stream() {
        let streams = Streams::default();
        let mut slots: Vec<_> = (0..STREAMS_PER_USER_MAX).map(|_| streams.enter("a").unwrap()).collect();
        assert_eq!(streams.enter("a").unwrap_err().code(), 429);
        streams.enter("b").expect("others go on");
        slots.pop();
        streams.enter("a").expect("a closed stream makes room");
        drop(slots);
        assert!(streams.open.lock().by_user.is_empty());
    }
}
