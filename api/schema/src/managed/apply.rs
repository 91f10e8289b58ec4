//! Applying a configuration: merge, prune what was given up, find conflicts, take ownership.

use serde_json::{Map, Value};

use super::compare::compare;
use super::entries::{Manager, Managers, Owned};
use super::merge::{merge, prune};
use super::set::FieldSet;
use super::typed::{problems, to_set};
use super::{BEFORE_FIRST_APPLY, SERVER_FIELDS, time_text};
use crate::structural::Structural;

/// One apply request.
#[derive(Clone, Copy, Debug)]
pub struct ApplyInput<'a> {
    pub schema: &'a Structural,
    /// The object as stored (with managedFields), or `None` to create it.
    pub live: Option<&'a Value>,
    /// The configuration as sent. `apiVersion`, `kind` and the URL's name must have been checked and set.
    pub applied: &'a Value,
    /// The field manager.
    pub manager: &'a str,
    /// `""`, `"status"` or `"scale"`.
    pub subresource: &'a str,
    /// `group/version` of the request.
    pub api_version: &'a str,
    /// Take over fields in conflict.
    pub force: bool,
    pub now: jiff::Timestamp,
    /// What this endpoint does not write.
    pub reset: ResetFields,
}

/// The fields that an endpoint ignores: they are neither written nor owned through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetFields {
    /// A kind without status subresource: everything may be written.
    None,
    /// The main endpoint of a kind with a status subresource.
    Status,
    /// The status endpoint: only status is written.
    AllButStatus,
}

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `conflict with "m1"` or `conflict with "m3" using example.com/v1`: the cause's message.
    pub message: String,
    /// `.spec.color`
    pub field: String,
}

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 409 Conflict with a cause FieldManagerConflict for each; the message is Kubernetes' own.
    #[error("{message}")]
    Conflict { message: String, conflicts: Vec<Conflict> },
    /// The configuration does not fit the schema: kube-apiserver answers 500, we 400.
    #[error("{0}")]
    Schema(String),
    /// 400: `metadata.managedFields must be nil`.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsSet,
}

/// Merges `applied` into `live` and returns the new object with its managedFields.
///
/// Fields that the server keeps (uid, resourceVersion, generation, times) stay as they are live, whatever was sent:
/// check preconditions on the request's body. Defaulting, pruning and validation are the caller's, afterwards.
/// A repeated apply returns an object equal to `live`.
pub fn apply(input: &ApplyInput<'_>) -> Result<Value, ApplyError> {
    let schema = input.schema.root();
    let applied = prepare(input)?;
    let problems = problems(schema, &applied);
    if !problems.is_empty() {
        return Err(ApplyError::Schema(schema_message(input, &problems)));
    }

    let now = time_text(input.now);
    let mut live = input.live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let mut managers = Managers::read(&live).unwrap_or_default();
    if let Some(metadata) = live.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let mut set = to_set(Some(schema), &applied);
    set.strip_identity();
    input.reset.filter(&mut set);
    // Who wants no field takes nothing from anybody: there is no first apply to tell apart from what was before.
    if managers.is_empty() && input.live.is_some() && !set.is_empty() {
        managers = before_first_apply(input, &live);
    }

    let me = Manager::applier(input.manager, input.subresource);
    let last = managers.map.remove(&me);

    let mut merged = live.clone();
    merge(Some(schema), &mut merged, &applied);
    if let Some(last) = &last {
        let mut owned = managers.union();
        owned.add(set.clone());
        prune(Some(schema), &mut merged, &last.set, &owned);
    }

    let changes = compare(schema, &live, &merged);
    let written = changes.written();
    let conflicts: Vec<(Manager, FieldSet)> = managers
        .map
        .iter()
        .map(|(manager, owned)| (manager.clone(), owned.set.common(&written)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    if !conflicts.is_empty() && !input.force {
        return Err(conflict_error(&conflicts));
    }
    for (manager, fields) in &conflicts {
        if let Some(owned) = managers.map.get_mut(manager) {
            owned.set = owned.set.without(fields);
        }
    }
    for owned in managers.map.values_mut() {
        owned.set = owned.set.without(&changes.removed);
    }

    // The time moves with the object or the set, so that a repeated apply writes nothing.
    let time = match last {
        Some(last) if last.set == set && last.api_version == input.api_version && live == merged => last.time,
        _ => Some(now),
    };
    managers.map.insert(me, Owned { set, api_version: input.api_version.to_owned(), time });
    managers.drop_empty();
    managers.cap();
    managers.write(&mut merged);
    Ok(merged)
}

/// The configuration without what this endpoint does not take.
fn prepare(input: &ApplyInput<'_>) -> Result<Value, ApplyError> {
    let mut applied = input.applied.clone();
    if let Some(metadata) = applied.get_mut("metadata").and_then(Value::as_object_mut) {
        match metadata.remove("managedFields") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) if list.is_empty() => {}
            Some(_) => return Err(ApplyError::ManagedFieldsSet),
        }
        for name in SERVER_FIELDS {
            metadata.remove(name);
        }
    }
    if let Value::Object(members) = &mut applied {
        match input.reset {
            ResetFields::None => {}
            ResetFields::Status => {
                members.remove("status");
            }
            ResetFields::AllButStatus => {
                members.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "status"));
            }
        }
    }
    input.schema.drop_nulls(&mut applied);
    Ok(applied)
}

impl ResetFields {
    fn filter(self, set: &mut FieldSet) {
        match self {
            Self::None => {}
            Self::Status => set.cut("f:status"),
            Self::AllButStatus => set.keep_only("f:status"),
        }
    }
}

/// Everything of an object that was never tracked belongs to a manager of its own, so that applying other values
/// over it is a conflict and not a silent change.
fn before_first_apply(input: &ApplyInput<'_>, live: &Value) -> Managers {
    let changes = compare(input.schema.root(), &Value::Object(Map::new()), live);
    let mut set = changes.written();
    set.strip_identity();
    let mut managers = Managers::default();
    let manager = Manager::updater(BEFORE_FIRST_APPLY, input.api_version, "");
    let time = Some(time_text(input.now));
    managers.map.insert(manager, Owned { set, api_version: input.api_version.to_owned(), time });
    managers.drop_empty();
    managers
}

fn schema_message(input: &ApplyInput<'_>, problems: &[String]) -> String {
    let text = |value: &Value, path: &[&str]| {
        let found = path.iter().try_fold(value, |value, name| value.get(name));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let namespace = text(input.applied, &["metadata", "namespace"]);
    let name = text(input.applied, &["metadata", "name"]);
    let kind = text(input.applied, &["kind"]);
    let told = match problems {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    format!("failed to create typed patch object ({namespace}/{name}; {}, Kind={kind}): {told}", input.api_version)
}

fn conflict_error(found: &[(Manager, FieldSet)]) -> ApplyError {
    let mut conflicts = Vec::new();
    let mut lines = Vec::new();
    for (manager, fields) in found {
        let manager = manager.describe();
        lines.push(format!("conflicts with {manager}:"));
        for field in fields.paths() {
            lines.push(format!("- {field}"));
            conflicts.push(Conflict { message: format!("conflict with {manager}"), field });
        }
    }
    let message = match conflicts.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    ApplyError::Conflict { message, conflicts }
}
