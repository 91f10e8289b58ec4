//! JSON patch with the semantics of the Go library that kube-apiserver uses, which clients rely on:
//! `test` against `null` passes on a missing member, `replace` of a missing member adds it, negative indexes count
//! from the end.

use serde_json::Value;

use super::{PatchError, TREE_DEPTH_MAX};

/// kube-apiserver's limit: more would make one request a long computation.
pub const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;
/// Bytes that `copy` may add in one patch, so that a small patch cannot make a huge object.
const COPY_BYTES_MAX: usize = 3 << 20;
/// Values looked at while guarding the depth, over the whole patch: bounds the work of moving big parts around.
const VISITED_VALUES_MAX: usize = 4_000_000;
/// Items that inserting into and removing from lists may shift, over the whole patch. Ten thousand operations at the
/// front of a list of ten thousand stay below; all of it is about a second's work.
const SHIFTED_ITEMS_MAX: usize = 200_000_000;

/// Applies `operations` (the array of a JSON patch) to `document`.
pub fn json_patch(document: &Value, operations: &Value) -> Result<Value, PatchError> {
    let Value::Array(list) = operations else {
        return Err(PatchError::Malformed("a JSON patch must be an array of operations".to_owned()));
    };
    if list.len() > JSON_PATCH_OPERATIONS_MAX {
        return Err(PatchError::TooManyOperations { max: JSON_PATCH_OPERATIONS_MAX, got: list.len() });
    }
    if list.iter().any(|operation| !operation.is_object()) {
        return Err(PatchError::Malformed("every operation of a JSON patch must be an object".to_owned()));
    }
    let mut patcher = Patcher { document: document.clone(), copied_bytes: 0, visited_values: 0, shifted_items: 0 };
    for (i, operation) in list.iter().enumerate() {
        patcher.operate(operation).map_err(|why| PatchError::Rejected(format!("operation {i}: {why}")))?;
    }
    Ok(patcher.document)
}

struct Patcher {
    document: Value,
    copied_bytes: usize,
    visited_values: usize,
    shifted_items: usize,
}

impl Patcher {
    fn operate(&mut self, operation: &Value) -> Result<(), String> {
        let text = |name: &str| {
            operation.get(name).and_then(Value::as_str).ok_or_else(|| format!("\"{name}\" must be a string"))
        };
        let path = parse_pointer(text("path")?);
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        match text("op")? {
            "add" => self.add(&path, value()),
            "remove" => self.remove(&path).map(drop),
            "replace" => self.replace(&path, value()),
            "test" => self.test(&path, &value()),
            "move" => {
                let from = parse_pointer(text("from")?);
                if path.len() > from.len() && path.starts_with(&from) {
                    return Err("cannot move a value into itself".to_owned());
                }
                let moved = self.remove(&from)?;
                self.add(&path, moved)
            }
            "copy" => {
                let from = parse_pointer(text("from")?);
                let copied = self.get(&from)?.cloned().ok_or("there is nothing to copy")?;
                self.copied_bytes += copied.to_string().len();
                if self.copied_bytes > COPY_BYTES_MAX {
                    return Err(format!("copies may add {COPY_BYTES_MAX} bytes at most"));
                }
                self.add(&path, copied)
            }
            other => Err(format!("unknown operation {other:?}")),
        }
    }

    /// The container of the last step.
    fn parent(&mut self, path: &[String]) -> Result<&mut Value, String> {
        let mut at = &mut self.document;
        for step in &path[..path.len().saturating_sub(1)] {
            at = match at {
                Value::Object(map) => map.get_mut(step),
                Value::Array(list) => existing_index(step, list.len()).ok().and_then(|i| list.get_mut(i)),
                _ => None,
            }
            .ok_or_else(|| format!("{step:?} does not exist on the way"))?;
        }
        Ok(at)
    }

    /// The value, `None` when only the last step is missing.
    fn get(&mut self, path: &[String]) -> Result<Option<&Value>, String> {
        let Some(last) = path.last() else { return Ok(Some(&self.document)) };
        match self.parent(path)? {
            Value::Object(map) => Ok(map.get(last)),
            Value::Array(list) => Ok(existing_index(last, list.len()).ok().and_then(|i| list.get(i))),
            _ => Err("the parent is no object or array".to_owned()),
        }
    }

    fn add(&mut self, path: &[String], value: Value) -> Result<(), String> {
        self.guard_depth(path.len(), &value)?;
        let Some(last) = path.last() else {
            self.document = value;
            return Ok(());
        };
        match self.parent(path)? {
            Value::Object(map) => {
                map.insert(last.clone(), value);
            }
            Value::Array(list) => {
                // One place more than there are items: -1 is behind the last.
                let at = if last == "-" { list.len() } else { existing_index(last, list.len() + 1)? };
                let behind = list.len() - at;
                list.insert(at, value);
                self.shifted(behind)?;
            }
            _ => return Err("the parent is no object or array".to_owned()),
        }
        Ok(())
    }

    fn replace(&mut self, path: &[String], value: Value) -> Result<(), String> {
        self.guard_depth(path.len(), &value)?;
        let Some(last) = path.last() else {
            self.document = value;
            return Ok(());
        };
        match self.parent(path)? {
            Value::Object(map) => {
                map.insert(last.clone(), value);
            }
            Value::Array(list) => {
                let at = existing_index(last, list.len())?;
                list[at] = value;
            }
            _ => return Err("the parent is no object or array".to_owned()),
        }
        Ok(())
    }

    fn remove(&mut self, path: &[String]) -> Result<Value, String> {
        let Some(last) = path.last() else { return Err("the whole object cannot be removed".to_owned()) };
        match self.parent(path)? {
            Value::Object(map) => map.remove(last).ok_or_else(|| format!("{last:?} does not exist")),
            Value::Array(list) => {
                let at = existing_index(last, list.len())?;
                let behind = list.len() - at;
                let removed = list.remove(at);
                self.shifted(behind)?;
                Ok(removed)
            }
            _ => Err("the parent is no object or array".to_owned()),
        }
    }

    fn test(&mut self, path: &[String], wanted: &Value) -> Result<(), String> {
        // What was found is not told: it may be part of a Secret. Kept beside the comparison: a missing member equals null, a missing parent nothing.
        let found = self.get(path)?.unwrap_or(&Value::Null);
        if found == wanted { Ok(()) } else { Err(format!("test failed: /{} has another value", path.join("/"))) }
    }

    /// Counts what a change in the middle of a list costs: a short patch must not be a long computation.
    fn shifted(&mut self, items: usize) -> Result<(), String> {
        self.shifted_items += items;
        if self.shifted_items > SHIFTED_ITEMS_MAX {
            return Err("the patch changes too many places of long lists".to_owned());
        }
        Ok(())
    }

    /// Nesting by moves and copies must not grow what later recursion cannot walk.
    fn guard_depth(&mut self, above: usize, value: &Value) -> Result<(), String> {
        let depth = above + depth(value, &mut self.visited_values);
        if depth > TREE_DEPTH_MAX || self.visited_values > VISITED_VALUES_MAX {
            return Err(format!("the result would be nested more than {TREE_DEPTH_MAX} levels deep or is too large"));
        }
        Ok(())
    }
}

fn depth(value: &Value, visited: &mut usize) -> usize {
    *visited += 1;
    match value {
        Value::Object(map) => 1 + map.values().map(|v| depth(v, visited)).max().unwrap_or(0),
        Value::Array(list) => 1 + list.iter().map(|v| depth(v, visited)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Steps of a JSON pointer; the leading slash may be missing, as kube-apiserver lets it.
fn parse_pointer(pointer: &str) -> Vec<String> {
    if pointer.is_empty() {
        return Vec::new();
    }
    let steps = pointer.strip_prefix('/').unwrap_or(pointer);
    steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// An index below `length`; negative ones count from the end.
fn existing_index(step: &str, length: usize) -> Result<usize, String> {
    let index: i64 = step.parse().map_err(|_| format!("{step:?} is no index"))?;
    let length = length as i64;
    let at = if index < 0 { index + length } else { index };
    if (0..length).contains(&at) { Ok(at as usize) } else { Err(format!("index {step} is out of bounds")) }
}
