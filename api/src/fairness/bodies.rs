//! How much of request bodies is in memory, in all and of each user: who sends a thousand large ones slowly must not
//! take the memory, or the way in, of others.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::status::ApiError;

/// Bytes of all bodies that are being read or worked on.
const BODIES_BYTES_MAX: usize = 512 << 20;
/// Of one user: 42 of the largest bodies at once, or ten thousand usual ones.
const USER_BYTES_MAX: usize = 128 << 20;
/// A body counts as no less: what is kept for a request beside its body.
const BODY_BYTES_MIN: usize = 4 << 10;

/// The bodies of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bodies {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_user: HashMap<String, usize>,
}

/// Room for one body; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    held: Arc<Mutex<Held>>,
    user: String,
    bytes: usize,
}

impl Bodies {
    /// Makes room for a body of at most so many bytes.
    ///
    /// # Errors
    /// 429 when there is none.
    pub(crate) fn enter(&self, user: &str, bytes: usize) -> Result<Room, ApiError> {
        let bytes = bytes.max(BODY_BYTES_MIN);
        let mut held = self.held.lock();
        let own = held.by_user.get(user).copied().unwrap_or(0);
        if held.all + bytes > BODIES_BYTES_MAX || own + bytes > USER_BYTES_MAX {
            return Err(ApiError::too_many_requests());
        }
        held.all += bytes;
        match held.by_user.get_mut(user) {
            Some(own) => *own += bytes,
            None => {
                held.by_user.insert(user.to_owned(), bytes);
            }
        }
        Ok(Room { held: Arc::clone(&self.held), user: user.to_owned(), bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        held.all -= self.bytes;
        if let Some(own) = held.by_user.get_mut(&self.user) {
            *own -= self.bytes;
            if *own == 0 {
                held.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_all_the_room() {
        let bodies = Bodies::default();
        let large = 3 << 20;
        let mut rooms: Vec<_> = (0..USER_BYTES_MAX / large).map(|_| bodies.enter("a", large).unwrap()).collect();
        assert_eq!(bodies.enter("a", large).unwrap_err().code(), 429);
        bodies.enter("b", large).expect("others go on");
        rooms.pop();
        bodies.enter("a", large).expect("a body that is done makes room");
        drop(rooms);
        assert!(bodies.held.lock().by_user.is_empty());
        assert_eq!(bodies.held.lock().all, 0);
    }
}
