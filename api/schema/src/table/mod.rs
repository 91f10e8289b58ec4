//! Table answers: columns of a kind and the cells of an object.

mod duration;

use serde_json::{Value, json};

pub use self::duration::human_duration;
use crate::jsonpath::{Template, print};

const NAME_TEXT: &str = "Name must be unique within a namespace. Is required when creating resources, although some \
    resources may allow a client to request the generation of an appropriate name automatically. Name is primarily \
    intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const AGE_TEXT: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It \
    is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. \
    It is represented in RFC3339 form and is in UTC.";

/// The columns of a kind, compiled from `additionalPrinterColumns`. The name is always the first.
#[derive(Clone, Debug)]
pub struct Columns {
    columns: Vec<Column>,
    computed: Option<Computed>,
}

/// All cells of an object's row, made by code.
pub type Cells = fn(object: &Value, now: jiff::Timestamp) -> Vec<Value>;

/// Columns whose cells paths cannot say: counts, joined names, the state that several conditions make together.
#[derive(Clone, Debug)]
struct Computed {
    definitions: Value,
    cells: Cells,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: CellType,
    format: String,
    description: String,
    priority: i64,
    path: Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellType {
    String,
    Integer,
    Number,
    Boolean,
    Date,
}

impl CellType {
    const ALL: [(&'static str, Self); 5] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("string", |(name, _)| name)
    }
}

impl Columns {
    /// `columns` is the CRD's `additionalPrinterColumns` (array or null); none means Name and Age.
    /// The error names the column and what is wrong with it.
    pub fn compile(columns: &Value) -> Result<Self, String> {
        let given = columns.as_array().filter(|list| !list.is_empty());
        let Some(given) = given else {
            let age = json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
                "description": AGE_TEXT});
            return Ok(Self { columns: vec![Column::compile(&age)?], computed: None });
        };
        Ok(Self { columns: given.iter().map(Column::compile).collect::<Result<_, _>>()?, computed: None })
    }

    /// Columns of a built-in kind: `definitions` are all `columnDefinitions` of the Table, and `cells` gives as many
    /// values.
    pub fn computed(definitions: Value, cells: Cells) -> Self {
        Self { columns: Vec::new(), computed: Some(Computed { definitions, cells }) }
    }

    /// The definition of the column that holds the name.
    pub fn name_definition() -> Value {
        json!({"name": "Name", "type": "string", "format": "name", "description": NAME_TEXT, "priority": 0})
    }

    /// The definition of the column that holds the age, as built-in kinds have it.
    pub fn age_definition() -> Value {
        json!({"name": "Age", "type": "string", "format": "", "description": AGE_TEXT, "priority": 0})
    }

    /// The definition of the column that holds the time of creation, for kinds that nobody made columns for.
    pub fn created_definition() -> Value {
        json!({"name": "Created At", "type": "date", "format": "", "description": AGE_TEXT, "priority": 0})
    }

    /// `columnDefinitions` of a Table.
    pub fn definitions(&self) -> Value {
        if let Some(computed) = &self.computed {
            return computed.definitions.clone();
        }
        let name = Self::name_definition();
        let others = self.columns.iter().map(|column| {
            json!({"name": column.name, "type": column.kind.name(), "format": column.format,
                "description": column.description, "priority": column.priority})
        });
        std::iter::once(name).chain(others).collect()
    }

    /// The cells of one object's row; ages are relative to `now`.
    pub fn cells(&self, object: &Value, now: jiff::Timestamp) -> Value {
        if let Some(computed) = &self.computed {
            return Value::Array((computed.cells)(object, now));
        }
        let name = object.get("metadata").and_then(|m| m.get("name")).cloned().unwrap_or_default();
        std::iter::once(name).chain(self.columns.iter().map(|column| column.cell(object, now))).collect()
    }
}

impl Column {
    fn compile(value: &Value) -> Result<Self, String> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = text("name").to_owned();
        let type_name = text("type");
        let kind = CellType::ALL.iter().find(|(known, _)| *known == type_name);
        let Some((_, kind)) = kind else {
            return Err(format!(
                "column {name:?}: type {type_name:?} is none of string, integer, number, boolean, date"
            ));
        };
        let json_path = text("jsonPath");
        let path = Template::parse(&format!("{{{json_path}}}"))
            .map_err(|e| format!("column {name:?}: jsonPath {json_path:?}: {e}"))?;
        let description = match text("description") {
            "" => format!("Custom resource definition column (in JSONPath format): {json_path}"),
            given => given.to_owned(),
        };
        let priority = value.get("priority").and_then(Value::as_i64).unwrap_or(0);
        Ok(Self { name, kind: *kind, format: text("format").to_owned(), description, priority, path })
    }

    fn cell(&self, object: &Value, now: jiff::Timestamp) -> Value {
        let found = self.path.find(object);
        let Some(first) = found.first() else { return Value::Null };
        match (self.kind, first) {
            (_, Value::Null) => Value::Null,
            (CellType::String, _) => {
                let mut out = String::new();
                for (i, value) in found.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    print(value, &mut out);
                }
                Value::from(out)
            }
            (CellType::Integer, Value::Number(n)) => {
                n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from)
            }
            (CellType::Number, Value::Number(_)) | (CellType::Boolean, Value::Bool(_)) => (*first).clone(),
            (CellType::Date, Value::String(text)) => Value::from(age(text, now)),
            _ => Value::Null,
        }
    }
}

/// How long ago a time was, as kubectl prints it.
pub fn age(time: &str, now: jiff::Timestamp) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => human_duration(now.as_second() - time.as_second()),
        Err(_) => "<invalid>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_their_types_and_dates_are_ages() {
        let columns = Columns::compile(&json!([
            {"name": "Color", "type": "string", "jsonPath": ".spec.color", "description": "the colour"},
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "Ports", "type": "string", "jsonPath": ".spec.ports[*].name", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ]))
        .unwrap();
        let object = json!({
            "metadata": {"name": "n1", "creationTimestamp": "2026-11-22T17:35:22Z"},
            "spec": {"color": "red", "size": 3, "ports": [{"name": "a"}, {"name": "b"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        let now = "2026-11-22T17:40:25Z".parse().unwrap();
        assert_eq!(columns.cells(&object, now), json!(["n1", "red", 3, "True", "a,b", "5m3s"]));
        assert_eq!(columns.cells(&json!({}), now), json!([null, null, null, null, null, null]));
        let definitions = columns.definitions();
        assert_eq!(
            definitions[2],
            json!({"name": "Size", "type": "integer", "format": "", "priority": 0,
                "description": "Custom resource definition column (in JSONPath format): .spec.size"})
        );
        assert_eq!((&definitions[0]["format"], &definitions[4]["priority"]), (&json!("name"), &json!(1)));
    }

    #[test]
    fn a_kind_without_columns_shows_name_and_age() {
        let definitions = Columns::compile(&Value::Null).unwrap().definitions();
        assert_eq!((&definitions[0]["name"], &definitions[1]["name"]), (&json!("Name"), &json!("Age")));
    }

    #[test]
    fn broken_columns_are_told_by_name() {
        let bad = json!([{"name": "X", "type": "strnig", "jsonPath": ".a"}]);
        assert!(Columns::compile(&bad).unwrap_err().starts_with("column \"X\": type \"strnig\""));
        let bad = json!([{"name": "X", "type": "string", "jsonPath": ".a["}]);
        assert!(Columns::compile(&bad).unwrap_err().contains("jsonPath"));
    }
}
