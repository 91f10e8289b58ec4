//! The v2 document as gnostic's protobuf: the only form that kubectl before 1.27 and Argo CD ask for.
//!
//! Field numbers are those of gnostic's `openapiv2/OpenAPIv2.proto`. Values of free form (extensions, enums) travel
//! as YAML text, and JSON is YAML.

use serde_json::{Map, Value};

use super::wire::Message;

/// A v2 document as gnostic protobuf (`application/com.github.proto-openapi.spec.v2.v1.0+protobuf`).
pub fn v2_protobuf(v2: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, text(v2, "swagger"));
    let mut info = Message::default();
    info.text(1, text(&v2["info"], "title"));
    info.text(2, text(&v2["info"], "version"));
    out.message(2, &info);
    let mut paths = Message::default();
    for (path, item) in members(&v2["paths"]) {
        paths.message(2, &named(path, &path_item(item)));
    }
    out.message(8, &paths);
    let mut definitions = Message::default();
    for (name, definition) in members(&v2["definitions"]) {
        definitions.message(1, &named(name, &schema(definition)));
    }
    out.message(9, &definitions);
    out.into_bytes()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The pair that every map entry is: name 1, value 2.
fn named(name: &str, value: &Message) -> Message {
    let mut pair = Message::default();
    pair.text(1, name);
    pair.message(2, value);
    pair
}

/// gnostic's Any: the value as YAML in field 2.
fn any(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(2, &value.to_string());
    out
}

fn extensions(out: &mut Message, field: u32, value: &Value) {
    for (name, value) in members(value).filter(|(name, _)| name.starts_with("x-")) {
        out.message(field, &named(name, &any(value)));
    }
}

fn path_item(item: &Value) -> Message {
    let mut out = Message::default();
    for (method, field) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        if let Some(found) = item.get(method) {
            out.message(field, &operation(found));
        }
    }
    for found in items(item, "parameters") {
        out.message(9, &parameter(found));
    }
    out
}

fn operation(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(3, text(value, "description"));
    out.text(5, text(value, "operationId"));
    for (name, field) in [("produces", 6), ("consumes", 7)] {
        for found in items(value, name) {
            out.text(field, found.as_str().unwrap_or_default());
        }
    }
    for found in items(value, "parameters") {
        out.message(8, &parameter(found));
    }
    let mut responses = Message::default();
    for (code, found) in members(&value["responses"]) {
        let mut response = Message::default();
        response.text(1, text(found, "description"));
        if let Some(answer) = found.get("schema") {
            let mut item = Message::default();
            item.message(1, &schema(answer));
            response.message(2, &item);
        }
        let mut one_of = Message::default();
        one_of.message(1, &response);
        responses.message(1, &named(code, &one_of));
    }
    out.message(9, &responses);
    for found in items(value, "schemes") {
        out.text(10, found.as_str().unwrap_or_default());
    }
    extensions(&mut out, 13, value);
    out
}

/// ParametersItem{Parameter{BodyParameter | NonBodyParameter{query | path}}}.
fn parameter(value: &Value) -> Message {
    let required = value.get("required") == Some(&Value::Bool(true));
    let mut inner = Message::default();
    let mut choice = Message::default();
    match text(value, "in") {
        "body" => {
            inner.text(2, text(value, "name"));
            inner.text(3, "body");
            inner.boolean(4, required);
            inner.message(5, &schema(&value["schema"]));
            choice.message(1, &inner);
        }
        place => {
            let is_query = place == "query";
            inner.boolean(1, required);
            inner.text(2, place);
            inner.text(3, text(value, "description"));
            inner.text(4, text(value, "name"));
            // The query form has allow_empty_value as 5, which shifts type and the rest by one.
            inner.text(if is_query { 6 } else { 5 }, text(value, "type"));
            inner.boolean(if is_query { 20 } else { 19 }, value.get("uniqueItems") == Some(&Value::Bool(true)));
            let mut one_of = Message::default();
            one_of.message(if is_query { 3 } else { 4 }, &inner);
            choice.message(2, &one_of);
        }
    }
    let mut out = Message::default();
    out.message(1, &choice);
    out
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    for (name, field) in [("$ref", 1), ("format", 2), ("title", 3), ("description", 4)] {
        out.text(field, text(value, name));
    }
    if let Some(default) = value.get("default") {
        out.message(5, &any(default));
    }
    for (name, field) in [("multipleOf", 6), ("maximum", 7), ("minimum", 9)] {
        if let Some(number) = value.get(name).and_then(Value::as_f64) {
            out.double(field, number);
        }
    }
    for (name, field) in [
        ("maxLength", 11),
        ("minLength", 12),
        ("maxItems", 14),
        ("minItems", 15),
        ("maxProperties", 17),
        ("minProperties", 18),
    ] {
        if let Some(number) = value.get(name).and_then(Value::as_i64) {
            out.integer(field, number);
        }
    }
    out.text(13, text(value, "pattern"));
    for name in items(value, "required") {
        out.text(19, name.as_str().unwrap_or_default());
    }
    for allowed in items(value, "enum") {
        out.message(20, &any(allowed));
    }
    match value.get("additionalProperties") {
        Some(Value::Bool(allowed)) => {
            let mut item = Message::default();
            item.boolean(2, *allowed);
            out.message(21, &item);
        }
        Some(inner) => {
            let mut item = Message::default();
            item.message(1, &schema(inner));
            out.message(21, &item);
        }
        None => {}
    }
    if let Some(kind) = value.get("type").and_then(Value::as_str) {
        let mut item = Message::default();
        item.text(1, kind);
        out.message(22, &item);
    }
    if let Some(inner) = value.get("items") {
        let mut item = Message::default();
        item.message(1, &schema(inner));
        out.message(23, &item);
    }
    if let Some(props) = value.get("properties").and_then(Value::as_object) {
        out.message(25, &properties(props));
    }
    extensions(&mut out, 31, value);
    out
}

fn properties(props: &Map<String, Value>) -> Message {
    let mut out = Message::default();
    for (name, value) in props {
        out.message(1, &named(name, &schema(value)));
    }
    out
}
