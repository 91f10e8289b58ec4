//! redb under the embedded engine: tables, loading, one commit a batch, and getting up again
//! after a failed one. All that knows redb is in this file and its [`file`](super::file).

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::file::StoreFile;
use super::{EmbeddedConfig, duration_ms};
use crate::engine::{Durable, Persistence};
use crate::error::StoreError;
use crate::kv::{Key, KeyValue, Kv};
use crate::mvcc::{LeaseEdit, Loaded, LoadedLease};

/// Live keys; the value has a [`HEADER_BYTES`] header in front.
const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");

/// Lease id to time to live and deadline (Unix time), both in milliseconds.
const LEASES: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("leases");

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const REVISION: &str = "revision";
const LAST_LEASE_ID: &str = "lastLeaseId";
/// Counts commits, so that after a failed one we can tell whether it happened.
const COMMITS: &str = "commits";

/// create revision, mod revision, version, lease (0: none), each 8 bytes little endian.
const HEADER_BYTES: usize = 32;

/// A store that could not be opened again after a fault is tried again so soon, by a write.
const REOPEN_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });

/// After a restart a lease has at least so much left (or all of its time): whoever keeps it
/// alive could not while we were down.
const LEASE_GRACE: Duration = Duration::from_secs(10);

pub(super) struct Persistent {
    path: PathBuf,
    config: EmbeddedConfig,
    /// `None` after a fault, until it can be opened again.
    database: Option<Database>,
    reopen_at: Option<(Instant, StoreError)>,
    commits: u64,
}

impl Persistent {
    pub(super) fn open(path: PathBuf, config: &EmbeddedConfig) -> Result<(Self, Loaded), StoreError> {
        let mut persistent = Self { path, config: config.clone(), database: None, reopen_at: None, commits: 0 };
        let database = persistent.open_database()?;
        let loaded = load(&database).map_err(|error| persistent.read_error(error))?;
        persistent.commits = commits(&database).map_err(|error| persistent.read_error(error))?;
        persistent.database = Some(database);
        Ok((persistent, loaded))
    }

    fn open_database(&self) -> Result<Database, StoreError> {
        #[cfg_attr(not(test), expect(unused_mut, reason = "tests put faults in"))]
        let mut file = StoreFile::open(&self.path).map_err(|source| StoreError::io("open", &self.path, source))?;
        #[cfg(test)]
        {
            file.faults = self.config.faults.clone();
        }
        redb::Builder::new()
            .set_cache_size(self.config.page_cache_bytes)
            .create_with_backend(file)
            .map_err(|error| self.read_error(error.into()))
    }

    fn read_error(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::Io(source) => StoreError::io("read", &self.path, source),
            other => StoreError::Corrupt { path: self.path.clone(), message: other.to_string() },
        }
    }

    fn write_error(&self, error: redb::Error) -> StoreError {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let path = self.path.clone();
        match error {
            redb::Error::Io(source) if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
                StoreError::NoSpace { path }
            }
            other => StoreError::Unavailable { path, message: other.to_string() },
        }
    }

    /// redb refuses everything after a failed write until it is opened anew.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.database.is_some() {
            return Ok(());
        }
        if let Some((at, error)) = &self.reopen_at
            && Instant::now() < *at
        {
            return Err(error.clone());
        }
        let opened = self.open_database().and_then(|database| {
            let commits = commits(&database).map_err(|error| self.read_error(error))?;
            Ok((database, commits))
        });
        match opened {
            Ok((database, commits)) => {
                tracing::info!(path = %self.path.display(), "store file opened again after a failed write");
                self.database = Some(database);
                self.commits = commits;
                self.reopen_at = None;
                Ok(())
            }
            Err(error) => {
                let error = as_refusal(error);
                self.reopen_at = Some((Instant::now() + REOPEN_PAUSE, error.clone()));
                Err(error)
            }
        }
    }
}

/// Whatever keeps us from opening the file now, to a writer it is a refusal.
fn as_refusal(error: StoreError) -> StoreError {
    match error {
        StoreError::Io { path, source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            StoreError::NoSpace { path }
        }
        StoreError::Io { path, source, .. } => StoreError::Unavailable { path, message: source.to_string() },
        StoreError::Corrupt { path, message } => StoreError::Unavailable { path, message },
        other => other,
    }
}

impl Persistence for Persistent {
    fn commit(&mut self, durable: &Durable<'_>) -> Result<(), StoreError> {
        self.reopen()?;
        let Some(database) = &self.database else { return Err(StoreError::Closed) };
        let number = self.commits + 1;
        let Err(error) = write(database, durable, number) else {
            self.commits = number;
            return Ok(());
        };
        let error = self.write_error(error);
        self.database = None;
        match self.reopen() {
            // It failed only after it was durable.
            Ok(()) if self.commits == number => Ok(()),
            Ok(()) | Err(_) => Err(error),
        }
    }

    fn disk_bytes(&self) -> u64 {
        // Unknown is shown as nothing: this is for a gauge.
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}

fn write(database: &Database, durable: &Durable<'_>, number: u64) -> Result<(), redb::Error> {
    let Durable { revision, keys, leases } = durable;
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
    {
        let mut table = txn.open_table(KEYS)?;
        for (key, kv) in *keys {
            match kv {
                Some(kv) => {
                    let mut place = table.insert_reserve(&***key, HEADER_BYTES + kv.value.len())?;
                    encode(kv, place.as_mut());
                }
                None => drop(table.remove(&***key)?),
            }
        }
        let mut meta = txn.open_table(META)?;
        meta.insert(REVISION, revision)?;
        meta.insert(COMMITS, number)?;
        if !leases.is_empty() {
            let mut table = txn.open_table(LEASES)?;
            for edit in *leases {
                match *edit {
                    LeaseEdit::Grant { id, ttl } => {
                        meta.insert(LAST_LEASE_ID, id)?;
                        table.insert(id, lease_row(ttl))?;
                    }
                    LeaseEdit::KeepAlive { id, ttl } => drop(table.insert(id, lease_row(ttl))?),
                    LeaseEdit::End { id } => drop(table.remove(id)?),
                }
            }
        }
    }
    txn.commit()?;
    Ok(())
}

fn encode(kv: &Kv, place: &mut [u8]) {
    let (header, value) = place.split_at_mut(HEADER_BYTES);
    let numbers = [kv.create_revision, kv.mod_revision, kv.version, kv.lease.unwrap_or(0)];
    for (place, number) in header.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    value.copy_from_slice(&kv.value);
}

fn decode(key: &str, row: &[u8]) -> Option<Kv> {
    let (header, value) = row.split_at_checked(HEADER_BYTES)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at * 8..(at + 1) * 8]);
        u64::from_le_bytes(bytes)
    };
    let lease = Some(number(3)).filter(|&id| id != 0);
    let value = Bytes::copy_from_slice(value);
    let (create_revision, mod_revision, version) = (number(0), number(1), number(2));
    Some(Kv::new(KeyValue { key: Key::from(key), value, create_revision, mod_revision, version, lease }))
}

fn load(database: &Database) -> Result<Loaded, redb::Error> {
    let txn = database.begin_read()?;
    let mut loaded = Loaded::default();
    // A table that was never written is not there.
    let Some(meta) = present(txn.open_table(META))? else { return Ok(loaded) };
    loaded.revision = meta.get(REVISION)?.map_or(0, |revision| revision.value());
    loaded.last_lease_id = meta.get(LAST_LEASE_ID)?.map_or(0, |id| id.value());
    if let Some(keys) = present(txn.open_table(KEYS))? {
        for row in keys.iter()? {
            let (key, value) = row?;
            let kv = decode(key.value(), value.value())
                .ok_or_else(|| redb::Error::Corrupted(format!("the row of {:?} is too short", key.value())))?;
            loaded.kvs.push(kv);
        }
    }
    if let Some(leases) = present(txn.open_table(LEASES))? {
        let now = unix_ms();
        for row in leases.iter()? {
            let (id, times) = row?;
            let (ttl, deadline) = times.value();
            let left = deadline.saturating_sub(now).max(duration_ms(LEASE_GRACE)).min(ttl);
            let (ttl, left) = (Duration::from_millis(ttl), Duration::from_millis(left));
            loaded.leases.push(LoadedLease { id: id.value(), ttl, left });
        }
    }
    Ok(loaded)
}

fn commits(database: &Database) -> Result<u64, redb::Error> {
    let txn = database.begin_read()?;
    let Some(meta) = present(txn.open_table(META))? else { return Ok(0) };
    Ok(meta.get(COMMITS)?.map_or(0, |number| number.value()))
}

fn present<T>(table: Result<T, redb::TableError>) -> Result<Option<T>, redb::Error> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn lease_row(ttl: Duration) -> (u64, u64) {
    let ttl = duration_ms(ttl);
    (ttl, unix_ms().saturating_add(ttl))
}

/// The wall clock is all that two lives of the store share. When it is wrong a lease ends at
/// another time, but never before [`LEASE_GRACE`] and never after its whole time.
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, duration_ms)
}
