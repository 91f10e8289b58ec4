//! What is asked of a store, and what it answers.

use bytes::Bytes;

use crate::error::StoreError;
use crate::kv::{Key, KeyRange, Kv, LeaseId, Revision};

/// Bytes of all values in one transaction: etcd's default request limit, so that what
/// works embedded also works there.
pub const TXN_BYTES_MAX: usize = 1_572_864;

/// Operations and compares in one transaction: etcd's default.
pub const TXN_OPS_MAX: usize = 128;

/// Bytes of one key: namespace and name are at most 253 each, so this is never met by objects.
pub const KEY_BYTES_MAX: usize = 2_048;

/// Many keys, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRequest {
    pub range: KeyRange,
    /// At most so many; 0 is all.
    pub limit: usize,
    /// The state at this revision; `None` is now (linearizable).
    pub at: Option<Revision>,
    /// Only count.
    pub count_only: bool,
}

impl RangeRequest {
    pub fn new(range: KeyRange) -> Self {
        Self { range, limit: 0, at: None, count_only: false }
    }

    pub fn prefix(prefix: &str) -> Self {
        Self::new(KeyRange::prefix(prefix))
    }

    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    #[must_use]
    pub fn at(mut self, revision: Revision) -> Self {
        self.at = Some(revision);
        self
    }

    #[must_use]
    pub fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetResponse {
    /// The store's revision when it answered.
    pub revision: Revision,
    pub kv: Option<Kv>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeResponse {
    /// The store's revision when it answered (also when an older one was read).
    pub revision: Revision,
    /// In key order; empty when only a count was asked for.
    pub kvs: Vec<Kv>,
    /// There are more keys in the range than `limit`.
    pub more: bool,
    /// All keys in the range, whatever the limit.
    pub count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Greater,
    Less,
}

/// What of a key is compared. A key that is not there has 0 everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    ModRevision,
    CreateRevision,
    Version,
}

/// A condition of a transaction: `target of key` `op` `value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    pub key: String,
    pub target: CompareTarget,
    pub op: CompareOp,
    pub value: u64,
}

impl Compare {
    /// The key was last written in this revision; 0: it is not there.
    pub fn mod_revision(key: impl Into<String>, revision: Revision) -> Self {
        Self { key: key.into(), target: CompareTarget::ModRevision, op: CompareOp::Equal, value: revision }
    }

    pub fn absent(key: impl Into<String>) -> Self {
        Self::mod_revision(key, 0)
    }

    pub(crate) fn holds(&self, current: Option<&Kv>) -> bool {
        let actual = current.map_or(0, |kv| match self.target {
            CompareTarget::ModRevision => kv.mod_revision,
            CompareTarget::CreateRevision => kv.create_revision,
            CompareTarget::Version => kv.version,
        });
        match self.op {
            CompareOp::Equal => actual == self.value,
            CompareOp::NotEqual => actual != self.value,
            CompareOp::Greater => actual > self.value,
            CompareOp::Less => actual < self.value,
        }
    }
}

/// One operation of a transaction. Reads see the writes before them in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Put {
        key: Key,
        value: Bytes,
        lease: Option<LeaseId>,
    },
    Delete {
        key: Key,
    },
    DeleteRange {
        range: KeyRange,
    },
    Get {
        key: Key,
    },
    /// `at` must be `None`.
    Range(RangeRequest),
}

impl Op {
    pub fn put(key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: None }
    }

    pub fn put_with_lease(key: impl Into<Key>, value: impl Into<Bytes>, lease: LeaseId) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: Some(lease) }
    }

    pub fn delete(key: impl Into<Key>) -> Self {
        Self::Delete { key: key.into() }
    }

    pub fn get(key: impl Into<Key>) -> Self {
        Self::Get { key: key.into() }
    }
}

/// All compares hold: `success` is done, else `failure`. All or nothing, in one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    pub compares: Vec<Compare>,
    pub success: Vec<Op>,
    pub failure: Vec<Op>,
}

impl Txn {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    #[must_use]
    pub fn then(mut self, op: Op) -> Self {
        self.success.push(op);
        self
    }

    #[must_use]
    pub fn otherwise(mut self, op: Op) -> Self {
        self.failure.push(op);
        self
    }

    /// Writes without a condition.
    pub fn put(key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        Self::new().then(Op::put(key, value))
    }

    /// Writes a new key; if it is there already the answer holds it.
    pub fn create(key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        Self::update(key, value, 0)
    }

    /// Writes over the version of `expected`; otherwise the answer holds the live one.
    pub fn update(key: impl Into<Key>, value: impl Into<Bytes>, expected: Revision) -> Self {
        let key = key.into();
        Self::new()
            .when(Compare::mod_revision(&*key, expected))
            .then(Op::put(Key::clone(&key), value))
            .otherwise(Op::get(key))
    }

    /// Deletes the version of `expected`; otherwise the answer holds the live one.
    pub fn delete(key: impl Into<Key>, expected: Revision) -> Self {
        let key = key.into();
        Self::new()
            .when(Compare::mod_revision(&*key, expected))
            .then(Op::delete(Key::clone(&key)))
            .otherwise(Op::get(key))
    }

    /// Refuses what no store may be asked, before it reaches the writer.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let ops = self.success.len().max(self.failure.len()).max(self.compares.len());
        if ops > TXN_OPS_MAX {
            return Err(StoreError::TooLarge {
                what: "the number of operations in a transaction",
                got: ops,
                max: TXN_OPS_MAX,
            });
        }
        self.compares.iter().try_for_each(|compare| check_key(&compare.key))?;
        check_ops(&self.success)?;
        check_ops(&self.failure)
    }
}

fn check_ops(ops: &[Op]) -> Result<(), StoreError> {
    let mut bytes = 0;
    for (i, op) in ops.iter().enumerate() {
        match op {
            Op::Put { key, value, .. } => {
                check_key(key)?;
                bytes += value.len();
                let written_twice = ops.iter().enumerate().any(|(j, other)| j != i && writes(other, key));
                if written_twice {
                    return Err(StoreError::invalid(format!("key {key:?} is written twice in one transaction")));
                }
            }
            Op::Delete { key } | Op::Get { key } => check_key(key)?,
            Op::Range(range) if range.at.is_some() => {
                return Err(StoreError::invalid("a transaction reads the present only"));
            }
            Op::DeleteRange { .. } | Op::Range(_) => {}
        }
    }
    if bytes > TXN_BYTES_MAX {
        return Err(StoreError::TooLarge {
            what: "the number of value bytes in a transaction",
            got: bytes,
            max: TXN_BYTES_MAX,
        });
    }
    Ok(())
}

/// A put may share its key with no other write: one revision holds one change of a key.
fn writes(op: &Op, key: &str) -> bool {
    match op {
        Op::Put { key: other, .. } | Op::Delete { key: other } => &**other == key,
        Op::DeleteRange { range } => range.contains(key),
        Op::Get { .. } | Op::Range(_) => false,
    }
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::invalid("a key is empty"));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(StoreError::TooLarge { what: "the number of bytes of a key", got: key.len(), max: KEY_BYTES_MAX });
    }
    Ok(())
}

/// The answer of one [`Op`], in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResponse {
    Put {
        kv: Kv,
        prev: Option<Kv>,
    },
    /// The last versions of what was deleted; empty when nothing was there.
    Delete {
        deleted: Vec<Kv>,
    },
    Get(Option<Kv>),
    Range(RangeResponse),
}

impl OpResponse {
    /// The version written, or read by a get.
    pub fn kv(&self) -> Option<&Kv> {
        match self {
            Self::Put { kv, .. } => Some(kv),
            Self::Get(kv) => kv.as_ref(),
            Self::Delete { .. } | Self::Range(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnResponse {
    /// The revision of the writes; the store's revision when nothing was written.
    pub revision: Revision,
    /// All compares held.
    pub succeeded: bool,
    /// One for each operation that was done, in order.
    pub responses: Vec<OpResponse>,
}
