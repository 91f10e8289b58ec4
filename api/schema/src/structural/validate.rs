//! Validation: every breach at once, worded as kube-apiserver words it.

use serde_json::{Map, Value};

use super::checks;
use super::embedded;
use super::lists;
use super::node::{Additional, ListKind, Node, PropCursor, Type};
use crate::error::{FieldError, Path};

/// Errors told at most: enough to mend a manifest, too few to make a long answer out of a hostile body.
const ERRORS_MAX: usize = 500;
/// Objects nested deeper are refused; no kind needs it, and the walk must not eat the stack.
pub(super) const DEPTH_MAX: usize = 128;

/// All breaches of a value that stands at the root.
pub(super) fn validate_node(node: &Node, value: &Value) -> Vec<FieldError> {
    run(node, value)
}

/// As [`validate_node`], but what is equal in `old` is not blamed; nor are repeated keys, if `old` has some, too.
pub(super) fn validate_update(node: &Node, value: &Value, old: &Value) -> Vec<FieldError> {
    // A valid object needs no comparison: that is nearly always the case, and it is quicker.
    let errors = run(node, value);
    if errors.is_empty() {
        return errors;
    }
    let mut walk = Walk::default();
    walk.value(node, value, Some(old), &Path::ROOT, 0);
    if !walk.late.is_empty() {
        let mut before = Walk::default();
        before.value(node, old, None, &Path::ROOT, 0);
        if before.late.is_empty() {
            walk.errors.append(&mut walk.late);
        }
    }
    walk.errors
}

fn run(node: &Node, value: &Value) -> Vec<FieldError> {
    let mut walk = Walk::default();
    walk.value(node, value, None, &Path::ROOT, 0);
    walk.errors.append(&mut walk.late);
    walk.errors
}

/// One pass over an object.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) errors: Vec<FieldError>,
    /// Errors of list keys come after those of values.
    late: Vec<FieldError>,
    /// Values that were found good: how anyOf and oneOf choose the alternative that was probably meant.
    good: usize,
}

impl Walk {
    pub(super) fn push(&mut self, error: FieldError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    pub(super) fn value(&mut self, node: &Node, value: &Value, old: Option<&Value>, path: &Path<'_>, depth: usize) {
        if old == Some(value) {
            return;
        }
        if depth > DEPTH_MAX {
            let message = format!("must not be nested more than {DEPTH_MAX} levels deep");
            self.push(FieldError::forbidden(path.to_string(), &message));
            return;
        }
        if value.is_null() && node.nullable {
            return;
        }
        if !has_type(node.ty, value) {
            self.push(wrong_type(node.ty, value, path));
            return;
        }
        self.good += 1;
        if let Some(checks) = &node.checks {
            checks::check(self, checks, node.ty, value, path, depth);
        }
        match value {
            Value::Object(map) => self.object(node, map, old, path, depth),
            Value::Array(list) => self.array(node, list, old, path, depth),
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, map: &Map<String, Value>, old: Option<&Value>, path: &Path<'_>, depth: usize) {
        for name in &node.required {
            if !map.contains_key(&**name) {
                self.push(FieldError::required(path.field(name).to_string(), ""));
            }
        }
        if node.embedded {
            embedded::check(map, path, &mut self.errors);
        }
        if node.props.is_empty() && !matches!(node.additional, Additional::Schema(_)) {
            return;
        }
        let old = old.and_then(Value::as_object);
        let mut cursor = PropCursor::new(node);
        for (name, value) in map {
            let child = cursor.find(name).or(match &node.additional {
                Additional::Schema(child) => Some(&**child),
                _ => None,
            });
            if let Some(child) = child {
                self.value(child, value, old.and_then(|o| o.get(name)), &path.field(name), depth + 1);
            }
        }
    }

    fn array(&mut self, node: &Node, list: &[Value], old: Option<&Value>, path: &Path<'_>, depth: usize) {
        if let Some(items) = &node.items {
            // Only items with a key can be recognised in the old list.
            let olds = match (&node.list, old.and_then(Value::as_array)) {
                (ListKind::Map(keys), Some(old)) => Some(lists::KeyIndex::new(old, keys)),
                _ => None,
            };
            for (i, value) in list.iter().enumerate() {
                let old = olds.as_ref().and_then(|olds| olds.find(value));
                self.value(items, value, old, &path.index(i), depth + 1);
            }
        }
        if list.len() > 1 {
            lists::check_unique(&node.list, list, path, &mut self.late);
        }
    }

    /// Tries an alternative aside: its errors, and how many values it found good.
    pub(super) fn attempt(
        &self,
        node: &Node,
        value: &Value,
        path: &Path<'_>,
        depth: usize,
    ) -> (Vec<FieldError>, usize) {
        let mut walk = Walk::default();
        walk.value(node, value, None, path, depth);
        walk.errors.append(&mut walk.late);
        (walk.errors, walk.good)
    }
}

fn has_type(ty: Type, value: &Value) -> bool {
    match ty {
        Type::Any => true,
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Number => value.is_number(),
        Type::Integer => is_integer(value),
        Type::IntOrString => value.is_string() || is_integer(value),
    }
}

/// `1.0` is an integer too, as in JSON Schema.
fn is_integer(value: &Value) -> bool {
    match value {
        Value::Number(n) => !n.is_f64() || n.as_f64().is_some_and(|f| f.fract() == 0.0),
        _ => false,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_type(ty: Type, value: &Value, path: &Path<'_>) -> FieldError {
    let found = type_name(value);
    let message = format!("{}in body must be of type {}: \"{found}\"", checks::subject(path), ty.name());
    FieldError::type_invalid(path.to_string(), &Value::from(found), &message)
}
