//! The table of messages, read from its text when it is first needed.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

const TEXT: &str = include_str!("messages.txt");

/// A message: its fields, and how server-side apply owns it.
#[derive(Debug)]
pub(crate) struct Message {
    name: &'static str,
    atomic: bool,
    fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    number: u32,
    name: &'static str,
    kind: Type,
    zero: Zero,
    marks: Map<String, Value>,
}

/// What a zero or empty value of a field means. Kubernetes' encoder writes the zero values of all fields that are no
/// pointers, so only the table knows which of them were meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    /// Nothing was given.
    Absent,
    /// It was given.
    Given,
    /// JSON has the field in any case.
    Always,
}

/// The type of a field.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    String,
    Bool,
    Int32,
    Int64,
    Double,
    /// Base64 in JSON.
    Bytes,
    /// A time with whole seconds.
    Time,
    /// A time with six digits of a second.
    MicroTime,
    Quantity,
    /// JSON as text inside a message.
    Json,
    /// A list of texts inside a message.
    Texts,
    SchemaOrBool,
    SchemaOrSchemas,
    SchemaOrTexts,
    Message(Reference),
    /// A message whose members stand in the one around it.
    Inline(Reference),
    List(Box<Type>),
    /// A map of texts to it.
    Map(Box<Type>),
}

/// Refers to a message of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference(usize);

impl Reference {
    pub(crate) fn get(self) -> &'static Message {
        &table().messages[self.0]
    }
}

impl Message {
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The name without its package.
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    pub(crate) fn is_atomic(&self) -> bool {
        self.atomic
    }
}

impl Field {
    #[cfg(test)]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn kind(&self) -> &Type {
        &self.kind
    }

    pub(crate) fn zero(&self) -> Zero {
        self.zero
    }

    /// `x-kubernetes-list-type` and the like.
    pub(crate) fn marks(&self) -> &Map<String, Value> {
        &self.marks
    }
}

/// The message of a kind.
pub(crate) fn message_of(group: &str, kind: &str) -> Option<&'static Message> {
    let table = table();
    let package = table.packages.iter().find(|(_, g)| *g == group).map(|(package, _)| *package)?;
    table.messages.iter().find(|m| m.name.split_once('.') == Some((package, kind)))
}

/// Group and kind of everything that a body may be.
#[cfg(feature = "fuzzing")]
pub(crate) fn all_kinds() -> Vec<(&'static str, &'static str)> {
    let table = table();
    let is_body = |m: &&Message| m.short_name() == "DeleteOptions" || m.fields.iter().any(|f| f.name == "metadata");
    let group = |m: &Message| {
        let package = m.name.split_once('.').map_or("", |(package, _)| package);
        table.packages.iter().find(|(name, _)| *name == package).map(|(_, group)| *group)
    };
    table.messages.iter().filter(is_body).filter_map(|m| Some((group(m)?, m.short_name()))).collect()
}

/// The message of this name in the table.
pub(super) fn message_named(name: &str) -> Option<&'static Message> {
    table().messages.iter().find(|m| m.name == name)
}

struct Table {
    /// Name and API group.
    packages: Vec<(&'static str, &'static str)>,
    messages: Vec<Message>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| read(TEXT).expect("a test reads the same text"))
}

/// Reads the text of a table; the error is the line that cannot be read.
fn read(text: &'static str) -> Result<Table, String> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_header = |line: &str| !line.starts_with(|c: char| c.is_ascii_digit()) && !line.starts_with("package ");
    let names = lines().filter(|line| is_header(line)).filter_map(|line| line.split(' ').next());
    let index: HashMap<&str, usize> = names.enumerate().map(|(at, name)| (name, at)).collect();
    let mut table = Table { packages: Vec::new(), messages: Vec::new() };
    for line in lines() {
        let bad = || line.to_owned();
        let mut words = line.split(' ');
        let first = words.next().ok_or_else(bad)?;
        if first == "package" {
            let (name, group) = (words.next().ok_or_else(bad)?, words.next().ok_or_else(bad)?);
            table.packages.push((name, if group == "-" { "" } else { group }));
        } else if is_header(line) {
            let atomic = words.next() == Some("atomic");
            table.messages.push(Message { name: first, atomic, fields: Vec::new() });
        } else {
            let number = first.parse().map_err(|_| bad())?;
            let name = words.next().ok_or_else(bad)?;
            let word = words.next().ok_or_else(bad)?;
            let (zero, word) = match word.as_bytes().first() {
                Some(b'?') => (Zero::Given, &word[1..]),
                Some(b'!') => (Zero::Always, &word[1..]),
                _ => (Zero::Absent, word),
            };
            let kind = kind(word, &index).ok_or_else(bad)?;
            let mut marks = Map::new();
            for mark in words {
                read_mark(mark, &mut marks).ok_or_else(bad)?;
            }
            let message = table.messages.last_mut().ok_or_else(bad)?;
            message.fields.push(Field { number, name, kind, zero, marks });
        }
    }
    Ok(table)
}

fn kind(word: &str, index: &HashMap<&str, usize>) -> Option<Type> {
    if let Some(inner) = word.strip_prefix("[]") {
        return Some(Type::List(Box::new(kind(inner, index)?)));
    }
    if let Some(inner) = word.strip_prefix("{}") {
        return Some(Type::Map(Box::new(kind(inner, index)?)));
    }
    if let Some(inner) = word.strip_prefix('+') {
        return Some(Type::Inline(Reference(*index.get(inner)?)));
    }
    Some(match word {
        "string" => Type::String,
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "quantity" => Type::Quantity,
        "json" => Type::Json,
        "texts" => Type::Texts,
        "schema|bool" => Type::SchemaOrBool,
        "schema|schemas" => Type::SchemaOrSchemas,
        "schema|texts" => Type::SchemaOrTexts,
        message => Type::Message(Reference(*index.get(message)?)),
    })
}

fn read_mark(mark: &str, marks: &mut Map<String, Value>) -> Option<()> {
    let (word, value) = mark.split_once('=')?;
    let (kind, key) = value.split_once(':').map_or((value, None), |(kind, key)| (kind, Some(key)));
    match word {
        "list" => {
            marks.insert("x-kubernetes-list-type".to_owned(), kind.into());
            if let Some(keys) = key {
                marks.insert("x-kubernetes-list-map-keys".to_owned(), keys.split(',').collect());
            }
        }
        "patch" => {
            marks.insert("x-kubernetes-patch-strategy".to_owned(), kind.into());
            if let Some(key) = key {
                marks.insert("x-kubernetes-patch-merge-key".to_owned(), key.into());
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_numbers_no_field_twice() {
        let table = read(TEXT).unwrap();
        for message in &table.messages {
            let mut numbers: Vec<u32> = message.fields.iter().map(Field::number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), message.fields.len(), "{}", message.name);
        }
        assert!(table.messages.len() > 100);
    }

    #[test]
    fn lists_know_how_they_merge() {
        let account = message_of("", "ServiceAccount").unwrap();
        let secrets = account.fields().iter().find(|field| field.name() == "secrets").unwrap();
        assert_eq!(secrets.marks()["x-kubernetes-list-map-keys"], serde_json::json!(["name"]));
        assert_eq!(secrets.marks()["x-kubernetes-patch-merge-key"], "name");
    }
}
