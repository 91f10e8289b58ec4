//! Which revision the tasks should have, and which ones can be forgotten.

use std::collections::HashSet;

use super::{Life, Observed};

/// What to do about the revision that the tasks should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevisionStep {
    /// It is there.
    Keep {
        /// Its hash.
        hash: String,
    },
    /// The template is new.
    Create {
        /// Its hash.
        hash: String,
        /// Its number.
        number: i64,
    },
    /// The template is that of an older revision (an undo): it becomes the newest.
    Renumber {
        /// Its hash.
        hash: String,
        /// Its new number.
        number: i64,
    },
}

impl Default for RevisionStep {
    fn default() -> Self {
        Self::Keep { hash: String::new() }
    }
}

impl RevisionStep {
    /// The hash of the revision that the tasks should have.
    pub fn hash(&self) -> &str {
        match self {
            Self::Keep { hash } | Self::Create { hash, .. } | Self::Renumber { hash, .. } => hash,
        }
    }
}

pub(super) fn choose(observed: &Observed) -> RevisionStep {
    let newest = observed.revisions.iter().max_by_key(|revision| revision.number);
    let wanted = observed.revisions.iter().filter(|r| r.is_wanted).max_by_key(|revision| revision.number);
    let number = newest.map_or(1, |revision| revision.number.saturating_add(1));
    match (newest, wanted) {
        // A paused service keeps what it has; the new template waits in the spec.
        (Some(newest), wanted) if observed.wanted.paused || wanted == Some(newest) => {
            RevisionStep::Keep { hash: newest.hash.clone() }
        }
        (_, Some(wanted)) => RevisionStep::Renumber { hash: wanted.hash.clone(), number },
        (_, None) => RevisionStep::Create { hash: observed.fresh_hash.clone(), number },
    }
}

/// The oldest revisions beyond the history limit that no task needs.
pub(super) fn forgettable(observed: &Observed, target: &str) -> Vec<String> {
    let used: HashSet<&str> = observed
        .tasks
        .iter()
        .filter(|task| !matches!(task.life, Life::Ended { .. }))
        .map(|task| task.revision.as_str())
        .collect();
    let mut old: Vec<_> = observed.revisions.iter().filter(|r| r.hash != target).collect();
    old.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    let over = old.into_iter().skip(observed.wanted.history);
    over.filter(|revision| !used.contains(revision.hash.as_str())).map(|revision| revision.hash.clone()).collect()
}
