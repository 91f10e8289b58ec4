//! The form that a definition gives its objects, from when on they are written in it, and what tells that it has
//! changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use berth_store::Revision;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// One form of a definition, shared by the rows of its versions. Kinds that ship with the binary have the default:
/// every object is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    since: Arc<AtomicU64>,
    replaced: CancellationToken,
    writers: TaskTracker,
}

impl Form {
    /// A form in which every object after this revision is written.
    pub(crate) fn since_revision(revision: Revision) -> Self {
        Self { since: Arc::new(AtomicU64::new(revision)), ..Self::default() }
    }

    /// A form that takes the place of another: writes of the other may still be under way, so no object is known to
    /// be in this one until [`settle`](Self::settle) says so.
    pub(crate) fn in_place_of_another() -> Self {
        Self::since_revision(Revision::MAX)
    }

    /// Objects that were written up to this revision may be in another form: they are fitted when they are read.
    pub(crate) fn since(&self) -> Revision {
        self.since.load(Ordering::Acquire)
    }

    /// From this revision on, every write is in this form.
    pub(crate) fn settle(&self, revision: Revision) {
        self.since.store(revision, Ordering::Release);
    }

    /// A write in this form begins; it ends when the token is dropped.
    pub(crate) fn write(&self) -> TaskTrackerToken {
        self.writers.token()
    }

    /// Another form is in place: watches end, and clients come back to it. Returns when the last write in this form
    /// has ended.
    pub(crate) fn replace(&self) -> impl Future<Output = ()> + use<> {
        self.replaced.cancel();
        self.writers.close();
        let writers = self.writers.clone();
        async move { writers.wait().await }
    }

    /// Returns when another form has taken the place of this one.
    pub(crate) fn replaced(&self) -> CancellationToken {
        self.replaced.clone()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_form_is_left_when_its_last_write_has_ended() {
        let form = Form::since_revision(3);
        let write = form.write();
        let left = form.replace();
        let mut left = Box::pin(left);
        assert!(left.as_mut().now_or_never().is_none(), "a write is under way");
        assert!(form.replaced().is_cancelled());
        drop(write);
        assert!(left.now_or_never().is_some());
    }

    #[test]
    fn until_it_is_settled_no_object_is_known_to_be_in_a_new_form() {
        let form = Form::in_place_of_another();
        assert_eq!(form.since(), Revision::MAX);
        form.settle(7);
        assert_eq!(form.clone().since(), 7);
    }
}
