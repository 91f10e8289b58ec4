//! Field errors as Kubernetes words them: where (a path), why (a cause reason) and what to mend (the detail).
//!
//! [`Path`] is a chain of stack frames, so that walking an object costs nothing; text is made only for an error.

use std::fmt;

use serde_json::Value;

/// Why a field was refused; the text of [`CauseReason::as_str`] is `details.causes[].reason` of a Status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CauseReason {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    TypeInvalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    InternalError,
}

impl CauseReason {
    /// The wire form, for example `FieldValueInvalid`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::InternalError => "InternalError",
        }
    }

    /// The words that open a detail, for example `Invalid value`.
    fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::InternalError => "Internal error",
        }
    }
}

/// One refused field. Displayed as `spec.size: Invalid value: 0: must be above 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path as a person would type it: `spec.ports[0].name`; `<nil>` is the object itself.
    pub field: String,
    pub reason: CauseReason,
    /// The whole detail, opening words included: this is `details.causes[].message`.
    pub detail: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

impl std::error::Error for FieldError {}

impl FieldError {
    /// A value that must be given is absent; `message` may be empty.
    pub fn required(field: impl Into<String>, message: &str) -> Self {
        Self::plain(field, CauseReason::Required, message)
    }

    /// This field may not be given or changed; `message` says when.
    pub fn forbidden(field: impl Into<String>, message: &str) -> Self {
        Self::plain(field, CauseReason::Forbidden, message)
    }

    /// The server's own fault.
    pub fn internal(field: impl Into<String>, message: &str) -> Self {
        Self::plain(field, CauseReason::InternalError, message)
    }

    /// A value that breaks a rule; `message` says which.
    pub fn invalid(field: impl Into<String>, value: &Value, message: &str) -> Self {
        Self::with_value(field, CauseReason::Invalid, value, message)
    }

    /// A value of the wrong JSON type.
    pub fn type_invalid(field: impl Into<String>, value: &Value, message: &str) -> Self {
        Self::with_value(field, CauseReason::TypeInvalid, value, message)
    }

    /// A value that is there twice in a list that is a set or a map.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::with_value(field, CauseReason::Duplicate, value, "")
    }

    /// A reference to something that does not exist.
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::with_value(field, CauseReason::NotFound, value, "")
    }

    /// A value out of a closed list; strings in `supported` are quoted, other values are shown as JSON.
    pub fn not_supported<'a>(
        field: impl Into<String>,
        value: &Value,
        supported: impl IntoIterator<Item = &'a Value>,
    ) -> Self {
        let allowed: Vec<String> = supported
            .into_iter()
            .map(|v| match v {
                Value::String(s) => quote(s),
                other => quote(&other.to_string()),
            })
            .collect();
        let message =
            if allowed.is_empty() { String::new() } else { format!("supported values: {}", allowed.join(", ")) };
        Self::with_value(field, CauseReason::NotSupported, value, &message)
    }

    /// Text longer than `max` (Kubernetes says bytes, whatever is counted).
    pub fn too_long(field: impl Into<String>, max: u64) -> Self {
        Self::plain(field, CauseReason::TooLong, &format!("may not be more than {max} bytes"))
    }

    /// A list or map with `actual` entries where `max` are allowed.
    pub fn too_many(field: impl Into<String>, actual: u64, max: u64) -> Self {
        let noun = if max == 1 { "item" } else { "items" };
        let value = Value::from(actual);
        Self::with_value(field, CauseReason::TooMany, &value, &format!("must have at most {max} {noun}"))
    }

    /// The same error of a value that stands at `base`.
    #[must_use]
    pub fn below(mut self, base: &str) -> Self {
        self.field = match self.field.as_str() {
            "<nil>" => base.to_owned(),
            field if field.starts_with('[') => format!("{base}{field}"),
            field => format!("{base}.{field}"),
        };
        self
    }

    fn plain(field: impl Into<String>, reason: CauseReason, message: &str) -> Self {
        Self { field: field.into(), reason, detail: join(reason.words(), message) }
    }

    fn with_value(field: impl Into<String>, reason: CauseReason, value: &Value, message: &str) -> Self {
        let shown = match value {
            Value::String(s) => quote(s),
            other => other.to_string(),
        };
        Self { field: field.into(), reason, detail: join(&format!("{}: {shown}", reason.words()), message) }
    }
}

fn join(head: &str, message: &str) -> String {
    if message.is_empty() { head.to_owned() } else { format!("{head}: {message}") }
}

/// A string as Go's `%q` prints it, near enough: JSON escapes.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// The message of an Invalid Status: `Widget.demo.example.com "c1" is invalid: [a: …, b: …]`.
///
/// `group` is empty for core kinds. One error stands without brackets.
pub fn invalid_message(kind: &str, group: &str, name: &str, errors: &[FieldError]) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    let head = format!("{kind}{dot}{group} {} is invalid", quote(name));
    match errors {
        [] => head,
        [one] => format!("{head}: {one}"),
        many => {
            let list: Vec<String> = many.iter().map(FieldError::to_string).collect();
            format!("{head}: [{}]", list.join(", "))
        }
    }
}

/// Where a walk stands: a chain of borrowed steps back to the root.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// An entry of a map whose keys are free text: `metadata.annotations[x]`.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    pub fn is_root(&self) -> bool {
        matches!(self.step, Step::Root)
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
        }
        match self.step {
            Step::Root => {}
            Step::Field(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Index(i) => {
                out.push('[');
                out.push_str(&i.to_string());
                out.push(']');
            }
            Step::Key(k) => {
                out.push('[');
                out.push_str(k);
                out.push(']');
            }
        }
    }

    /// The path as text; the root is empty.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// For error fields: the root is `<nil>`, as Kubernetes prints a missing path.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.write_str(if text.is_empty() { "<nil>" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_worded_as_kubernetes_words_them() {
        let shown: Vec<String> = [
            FieldError::required("metadata.name", "name or generateName is required"),
            FieldError::not_supported("spec.color", &json!("pink"), &[json!("red"), json!("green")]),
            FieldError::too_long("spec.note", 20),
            FieldError::too_many("spec.tags", 5, 3),
            FieldError::duplicate("spec.ports[2]", &json!({"name": "a"})),
            FieldError::invalid("spec.size", &json!(0), "must be above 0"),
        ]
        .iter()
        .map(FieldError::to_string)
        .collect();
        assert_eq!(
            shown,
            [
                "metadata.name: Required value: name or generateName is required",
                r#"spec.color: Unsupported value: "pink": supported values: "red", "green""#,
                "spec.note: Too long: may not be more than 20 bytes",
                "spec.tags: Too many: 5: must have at most 3 items",
                r#"spec.ports[2]: Duplicate value: {"name":"a"}"#,
                "spec.size: Invalid value: 0: must be above 0",
            ]
        );
    }

    #[test]
    fn one_error_stands_alone_and_several_in_brackets() {
        let a = FieldError::required("spec.a", "");
        let b = FieldError::required("spec.b", "");
        assert_eq!(
            invalid_message("Widget", "x.io", "n", std::slice::from_ref(&a)),
            r#"Widget.x.io "n" is invalid: spec.a: Required value"#
        );
        assert_eq!(
            invalid_message("Secret", "", "n", &[a, b]),
            r#"Secret "n" is invalid: [spec.a: Required value, spec.b: Required value]"#
        );
    }

    #[test]
    fn paths_read_as_a_person_types_them() {
        let root = Path::ROOT;
        let spec = root.field("spec");
        let ports = spec.field("ports");
        let first = ports.index(0);
        assert_eq!(first.field("name").to_string(), "spec.ports[0].name");
        assert_eq!(spec.key("a/b").to_string(), "spec[a/b]");
        assert_eq!(root.to_string(), "<nil>");
    }
}
