//! Applies that changed nothing, remembered: a GitOps controller sends the same manifest every few minutes, for years.
//!
//! Who applies the very same bytes to an object that is still at the revision at which they changed nothing gets the
//! same answer, without the merge being computed again. Nothing is believed for longer than it holds: the object's
//! revision is read from the store, the form of the definition is part of the key, and where rules look at writes
//! nothing is remembered.

use std::collections::HashMap;

use berth_store::Revision;
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};

use super::update::Part;
use super::{Write, Written, store_error};
use crate::admission::{self, Operation};
use crate::status::ApiError;
use crate::version;

/// Pieces of the memory with a lock each.
const SHARDS: usize = 16;
/// Applies that are remembered in a piece: 64 Ki in all, about 4 MiB. A full piece begins anew.
const APPLIES_MAX: usize = 4096;
/// Writes of these are judged by what their user may do at the time.
const NEVER: &str = "rbac.authorization.k8s.io";

/// What an apply is recognised by.
pub(crate) type Print = [u8; 32];

/// The applies that changed nothing.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    shards: [Mutex<HashMap<Print, Revision>>; SHARDS],
}

impl Settled {
    fn shard(&self, print: &Print) -> &Mutex<HashMap<Print, Revision>> {
        &self.shards[usize::from(print[0]) % SHARDS]
    }

    fn get(&self, print: &Print) -> Option<Revision> {
        self.shard(print).lock().get(print).copied()
    }

    fn put(&self, print: Print, revision: Revision) {
        let mut shard = self.shard(&print).lock();
        if shard.len() >= APPLIES_MAX && !shard.contains_key(&print) {
            shard.clear();
        }
        shard.insert(print, revision);
    }
}

/// What this apply is recognised by; `None` when its answer depends on more than that.
pub(crate) fn print(w: &Write<'_>, body: &[u8], part: Part) -> Option<Print> {
    if w.resource.group == NEVER || !admission::is_idle(w, Operation::Update) {
        return None;
    }
    let mut context = Context::new(&SHA256);
    let options = &w.options;
    for text in [
        &w.user.name,
        &w.resource.key(w.namespace(), w.name()),
        &w.resource.version,
        &options.field_manager,
        part.subresource(),
    ] {
        context.update(&text.len().to_le_bytes());
        context.update(text.as_bytes());
    }
    context.update(&w.resource.life.form.since().to_le_bytes());
    context.update(&[
        u8::from(options.force),
        u8::from(options.dry_run),
        options.field_validation as u8,
        u8::from(options.field_validation_given),
    ]);
    context.update(body);
    context.finish().as_ref().try_into().ok()
}

/// The answer of an apply that is known to change nothing.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn answer(w: &Write<'_>, print: &Print) -> Result<Option<Written>, ApiError> {
    let Some(revision) = w.server.settled.get(print) else { return Ok(None) };
    if !version::is_as_stored(w.resource, revision) {
        return Ok(None);
    }
    let key = w.resource.key(w.namespace(), w.name());
    let found = w.server.store.get(&key, None).await.map_err(store_error)?;
    let Some(kv) = found.kv.filter(|kv| kv.mod_revision == revision) else { return Ok(None) };
    let body = w.resource.storage.cache.json_of(&kv);
    Ok(Some(Written { code: 200, body, is_object: true, kept: None }))
}

/// Notes that an apply changed nothing, and had nothing to warn of.
pub(crate) fn remember(w: &Write<'_>, print: Print, written: &Written) {
    if let Some(revision) = written.kept.filter(|_| w.warnings.is_empty()) {
        w.server.settled.put(print, revision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_piece_begins_anew_and_keeps_the_newest() {
        let settled = Settled::default();
        for number in 0..=APPLIES_MAX as u64 {
            let mut print = [0; 32];
            print[8..16].copy_from_slice(&number.to_le_bytes());
            settled.put(print, number);
        }
        let mut last = [0; 32];
        last[8..16].copy_from_slice(&(APPLIES_MAX as u64).to_le_bytes());
        assert_eq!(settled.get(&last), Some(APPLIES_MAX as u64));
        assert_eq!(settled.get(&[0; 32]), None);
    }
}
