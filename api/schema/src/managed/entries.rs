//! `metadata.managedFields`: reading, capping and writing the entries.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::FieldSet;

/// Update entries kept apart; the oldest beyond it are folded into one, so that the list stays short.
const UPDATE_MANAGERS_MAX: usize = 10;
/// The name of the folded entry.
const FOLDED_MANAGER: &str = "ancient-changes";

/// Who wrote, and how. An applier is the same one whatever version it applies in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) applies: bool,
    /// Empty for appliers.
    pub(super) update_version: String,
    pub(super) subresource: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) set: FieldSet,
    pub(super) api_version: String,
    /// RFC 3339, as it stands in the object.
    pub(super) time: Option<String>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Managers {
    pub(super) map: BTreeMap<Manager, Owned>,
}

impl Manager {
    pub(super) fn applier(name: &str, subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
            applies: true,
            update_version: String::new(),
            subresource: subresource.to_owned(),
        }
    }

    pub(super) fn updater(name: &str, api_version: &str, subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
            applies: false,
            update_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
        }
    }

    /// As conflicts name it.
    pub(super) fn describe(&self) -> String {
        let mut text = crate::error::quote(&self.name);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {}", crate::error::quote(&self.subresource));
        }
        if !self.applies {
            text = format!("{text} using {}", self.update_version);
        }
        text
    }
}

impl Managers {
    /// Reads `metadata.managedFields` of an object; `None` when an entry is broken.
    pub(super) fn read(object: &Value) -> Option<Self> {
        let mut managers = Self::default();
        let list = object.get("metadata").and_then(|m| m.get("managedFields"));
        for entry in list.and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let version = text("apiVersion");
            let manager = match text("operation") {
                "Apply" => Manager::applier(text("manager"), text("subresource")),
                "Update" => Manager::updater(text("manager"), version, text("subresource")),
                _ => return None,
            };
            let set = match entry.get("fieldsV1") {
                Some(fields) => FieldSet::from_fields_v1(fields)?,
                None => FieldSet::default(),
            };
            let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
            managers.map.insert(manager, Owned { set, api_version: version.to_owned(), time });
        }
        Some(managers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The paths that anyone owns.
    pub(super) fn union(&self) -> FieldSet {
        let mut all = FieldSet::default();
        for owned in self.map.values() {
            all.add(owned.set.clone());
        }
        all
    }

    /// Drops managers that own nothing any more.
    pub(super) fn drop_empty(&mut self) {
        self.map.retain(|_, owned| !owned.set.is_empty());
    }

    /// Folds the oldest updaters of a version into one when there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<Manager> = self.map.keys().filter(|m| !m.applies).cloned().collect();
        let mut count = updaters.len();
        if count <= UPDATE_MANAGERS_MAX {
            return;
        }
        updaters.sort_by_key(|m| (self.map[m].time.clone(), m.clone()));
        let mut first_of: BTreeMap<String, Manager> = BTreeMap::new();
        for manager in updaters {
            if count <= UPDATE_MANAGERS_MAX {
                return;
            }
            let version = manager.update_version.clone();
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, manager);
                continue;
            };
            let bucket = Manager::updater(FOLDED_MANAGER, &version, "");
            if !self.map.contains_key(&bucket)
                && let Some(owned) = self.map.remove(first)
            {
                self.map.insert(bucket.clone(), owned);
            }
            let Some(folded) = self.map.remove(&manager) else { continue };
            if let Some(into) = self.map.get_mut(&bucket) {
                into.set.add(folded.set);
                into.time = folded.time;
            }
            count -= 1;
        }
    }

    /// Writes the entries into an object: appliers first, then by time and name.
    pub(super) fn write(&self, object: &mut Value) {
        let Some(metadata) = metadata_mut(object) else { return };
        if self.is_empty() {
            metadata.remove("managedFields");
            return;
        }
        let mut entries: Vec<(&Manager, &Owned)> = self.map.iter().collect();
        entries.sort_by_key(|(m, owned)| {
            (!m.applies, owned.time.as_deref(), &*m.name, &*owned.api_version, &*m.subresource)
        });
        let list = entries.into_iter().map(|(manager, owned)| {
            let mut entry = json!({
                "manager": manager.name,
                "operation": if manager.applies { "Apply" } else { "Update" },
                "apiVersion": owned.api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": owned.set.to_fields_v1(),
            });
            if let Some(time) = &owned.time {
                entry["time"] = Value::from(time.as_str());
            }
            if !manager.subresource.is_empty() {
                entry["subresource"] = Value::from(manager.subresource.as_str());
            }
            entry
        });
        metadata.insert("managedFields".to_owned(), Value::Array(list.collect()));
    }
}

/// The object's metadata, made when absent; `None` when the object is none.
pub(super) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    metadata.as_object_mut()
}
