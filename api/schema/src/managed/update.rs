//! Tracking of plain writes (create, update, patches other than apply): the writer owns what it changed.

use serde_json::Value;

use super::compare::compare;
use super::entries::{Manager, Managers, Owned, metadata_mut};
use super::{fresh, time_text};
use crate::structural::Structural;

/// Notes in `new.metadata.managedFields` what `manager` changed by a create, update or plain patch.
///
/// `old` is the stored object, `None` for a create. Call it last, on the object that is to be written.
/// managedFields in `new` are taken as the base (clients may edit them; `[{}]` ends the tracking), except on a
/// subresource. An object that is not tracked stays so.
pub fn track_update(
    schema: &Structural,
    old: Option<&Value>,
    new: &mut Value,
    manager: &str,
    api_version: &str,
    subresource: &str,
    now: jiff::Timestamp,
) {
    let Some(mut managers) = base(old, new, subresource) else {
        remove_entries(new);
        return;
    };
    if old.is_some() && managers.is_empty() {
        remove_entries(new);
        return;
    }
    remove_entries(new);
    if old.is_none() && managers.is_empty() {
        // Everything that is there was written by this one: no sets are needed to say that.
        fresh::write_owner_of_all(schema.root(), new, manager, api_version, subresource, now);
        return;
    }
    let nothing = Value::Object(serde_json::Map::new());
    let changes = compare(schema.root(), old.unwrap_or(&nothing), new);
    let mut written = changes.written();
    written.strip_identity();
    let me = Manager::updater(manager, api_version, subresource);
    for (other, owned) in &mut managers.map {
        if *other != me {
            owned.set = owned.set.without(&written);
        }
        owned.set = owned.set.without(&changes.removed);
    }
    if !written.is_empty() {
        let entry = managers.map.entry(me).or_insert_with(|| Owned {
            set: Default::default(),
            api_version: api_version.to_owned(),
            time: None,
        });
        entry.set.add(written);
        entry.time = Some(time_text(now));
    }
    managers.drop_empty();
    managers.cap();
    managers.write(new);
}

/// The entries to start from; `None` when the writer asked to end the tracking.
fn base(old: Option<&Value>, new: &Value, subresource: &str) -> Option<Managers> {
    let stored = || old.and_then(Managers::read).unwrap_or_default();
    if !subresource.is_empty() {
        return Some(stored());
    }
    let sent = new.get("metadata").and_then(|m| m.get("managedFields")).and_then(Value::as_array);
    if sent.is_some_and(|list| list.len() == 1 && list[0].as_object().is_some_and(serde_json::Map::is_empty)) {
        return old.is_none().then(Managers::default);
    }
    match Managers::read(new) {
        Some(managers) if !managers.is_empty() => Some(managers),
        _ => Some(stored()),
    }
}

fn remove_entries(object: &mut Value) {
    if object.get("metadata").and_then(|m| m.get("managedFields")).is_some()
        && let Some(metadata) = metadata_mut(object)
    {
        metadata.remove("managedFields");
    }
}
