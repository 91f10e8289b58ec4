//! Objects that expressions construct: `Object{..}`, `Object.spec{..}` and `JSONPatch{..}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Value;
use crate::error::EvalError;

/// The type name of patch operations.
const JSON_PATCH: &str = "JSONPatch";

/// A constructed object.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// `Object`, `Object.spec.template`, `JSONPatch`.
    pub type_name: Arc<str>,
    pub fields: BTreeMap<Arc<str>, Value<'a>>,
}

impl<'a> Object<'a> {
    /// The field; of a patch operation the fields that were not given are empty strings.
    pub(crate) fn get(&self, name: &str) -> Result<Value<'a>, EvalError> {
        if let Some(value) = self.fields.get(name) {
            return Ok(value.clone());
        }
        if &*self.type_name == JSON_PATCH && matches!(name, "op" | "path" | "from") {
            return Ok(Value::from(""));
        }
        Err(EvalError::no_such_key(name))
    }

    /// What `has(object.name)` says.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::String(text)) if &*self.type_name == JSON_PATCH && name != "value" => !text.is_empty(),
            Some(_) => true,
            None => false,
        }
    }

    /// Checks that each nested object has the type that its place has (`Object.spec` in field `spec` of `Object`).
    ///
    /// # Errors
    /// The first object in the wrong place, in upstream's words.
    pub fn check_type_names(&self) -> Result<(), String> {
        self.check_at(&mut vec![&self.type_name])
    }

    fn check_at<'s>(&'s self, path: &mut Vec<&'s str>) -> Result<(), String> {
        let expected = path.join(".");
        if *self.type_name != *expected {
            return Err(format!(
                "unexpected type name {:?}, expected {expected:?}, which matches field name path from root Object type",
                &*self.type_name
            ));
        }
        for (name, value) in &self.fields {
            path.push(name);
            check_value(value, path)?;
            path.pop();
        }
        Ok(())
    }
}

fn check_value<'s>(value: &'s Value<'_>, path: &mut Vec<&'s str>) -> Result<(), String> {
    match value {
        Value::Object(object) => object.check_at(path),
        Value::List(items) => items.iter().try_for_each(|item| check_value(item, path)),
        Value::Map(map) => map.values().try_for_each(|item| check_value(item, path)),
        _ => Ok(()),
    }
}
