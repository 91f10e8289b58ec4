//! `berth explain`: the documentation of fields, from the server's own schemas.

use serde_json::Value;

use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::term::Paint;
use crate::text::near;

/// Columns that descriptions are wrapped at.
const WIDTH: usize = 90;
/// Deepest field that --recursive prints: schemas may contain themselves.
const DEPTH_MAX: usize = 16;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth explain service\n  berth explain service.spec.template.spec.containers\n  berth explain job.spec --recursive"
)]
pub(crate) struct Args {
    /// KIND, or KIND.FIELD.FIELD…
    #[arg(value_name = "WHAT")]
    path: String,
    /// All fields below, names and types only
    #[arg(long)]
    recursive: bool,
    /// Of this group and version
    #[arg(long, value_name = "GROUP/VERSION")]
    api_version: Option<String>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let (kind, fields) = args.path.split_once('.').map_or((args.path.as_str(), ""), |(k, f)| (k, f));
    let resource = match &args.api_version {
        Some(version) => {
            let all = ctx.kinds.all(&session).await?;
            let called = |r: &&berth_client::Resource| {
                r.api_version() == *version
                    && [&r.plural, &r.singular, &r.kind].iter().any(|n| n.eq_ignore_ascii_case(kind))
            };
            all.iter()
                .find(called)
                .cloned()
                .ok_or_else(|| Failure::not_found(format!("there is no kind {kind:?} in {version}")))?
        }
        None => ctx.kinds.resolve(&session, kind).await?,
    };
    let root = if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}", resource.api_version())
    };
    let document = session.get(&format!("/openapi/v3/{root}")).await?;
    let schemas = &document["components"]["schemas"];
    let is = |schema: &&Value| {
        schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten().any(|g| {
            g["group"] == resource.group.as_str()
                && g["version"] == resource.version.as_str()
                && g["kind"] == resource.kind.as_str()
        })
    };
    let schema = schemas.as_object().into_iter().flat_map(|m| m.values()).find(is);
    let schema = schema.ok_or_else(|| Failure::not_found(format!("the server documents no kind {}", resource.kind)))?;
    let page = page(schemas, schema, &resource, fields, args.recursive, ctx.term.colour_out)?;
    ctx.term.data(&page)?;
    Ok(exit::OK)
}

fn page(
    schemas: &Value,
    root: &Value,
    resource: &berth_client::Resource,
    fields: &str,
    recursive: bool,
    colour: bool,
) -> Outcome<String> {
    let bold = |text: &str| crate::term::painted(colour, Paint::Bold, text);
    let mut node = resolve(schemas, root);
    let mut description = description_of(schemas, root);
    let mut walked = resource.singular.clone();
    for field in fields.split('.').filter(|f| !f.is_empty()) {
        let field = field.split('[').next().unwrap_or(field);
        let inner = inside(schemas, node);
        let properties = inner["properties"].as_object();
        let Some(next) = properties.and_then(|p| p.get(field)) else {
            let names = properties.into_iter().flat_map(|p| p.keys()).map(String::as_str);
            let failure = Failure::not_found(format!("{walked} has no field {field:?}"));
            return Err(match near::nearest(field, names) {
                Some(meant) => failure.hint(format!("did you mean {walked}.{meant}?")),
                None => failure.hint(format!("its fields are listed by: berth explain {walked}")),
            });
        };
        walked = format!("{walked}.{field}");
        description = description_of(schemas, next);
        node = resolve(schemas, next);
    }
    let mut out =
        format!("{}  {}\n{}  {}\n", bold("KIND:   "), resource.kind, bold("VERSION:"), resource.api_version());
    if !fields.is_empty() {
        out.push_str(&format!("\n{}  {walked} <{}>\n", bold("FIELD:  "), type_of(schemas, node)));
    }
    out.push_str(&format!("\n{}\n", bold("DESCRIPTION:")));
    out.push_str(&wrapped(if description.is_empty() { "<none>" } else { description }, 4));
    for fact in facts(node) {
        out.push_str(&format!("    {fact}\n"));
    }
    let inner = inside(schemas, node);
    if inner["properties"].as_object().is_some_and(|p| !p.is_empty()) {
        out.push_str(&format!("\n{}\n", bold("FIELDS:")));
        if recursive {
            tree(&mut out, schemas, inner, 1);
        } else {
            list(&mut out, schemas, inner);
        }
    }
    Ok(out)
}

/// Follows `$ref`, also through the `allOf` of one that a description stands beside.
fn resolve<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
    let mut node = schema;
    for _ in 0..DEPTH_MAX {
        let reference = node["$ref"].as_str().or_else(|| node["allOf"][0]["$ref"].as_str());
        let Some(name) = reference.and_then(|r| r.rsplit('/').next()) else { break };
        node = &schemas[name];
    }
    node
}

/// The schema whose properties are meant: a list's items, a map's values.
fn inside<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
    let mut node = resolve(schemas, schema);
    for _ in 0..DEPTH_MAX {
        if node["items"].is_object() {
            node = resolve(schemas, &node["items"]);
        } else if node["additionalProperties"].is_object() && !node["properties"].is_object() {
            node = resolve(schemas, &node["additionalProperties"]);
        } else {
            break;
        }
    }
    node
}

fn description_of<'a>(schemas: &'a Value, schema: &'a Value) -> &'a str {
    schema["description"].as_str().or_else(|| resolve(schemas, schema)["description"].as_str()).unwrap_or_default()
}

fn type_of(schemas: &Value, schema: &Value) -> String {
    let node = resolve(schemas, schema);
    if node["x-kubernetes-int-or-string"] == true || node["format"] == "int-or-string" {
        return "integer or string".to_owned();
    }
    match node["type"].as_str() {
        Some("array") => format!("[]{}", type_of(schemas, &node["items"])),
        Some("object") if node["additionalProperties"].is_object() => {
            format!("map[string]{}", type_of(schemas, &node["additionalProperties"]))
        }
        Some("object") => "Object".to_owned(),
        Some(other) => other.to_owned(),
        None if node["properties"].is_object() => "Object".to_owned(),
        None => "any".to_owned(),
    }
}

fn facts(schema: &Value) -> Vec<String> {
    let mut facts = Vec::new();
    if !schema["default"].is_null() {
        facts.push(format!("Default: {}", schema["default"]));
    }
    if let Some(values) = schema["enum"].as_array() {
        facts.push(format!("One of: {}", values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    }
    for (key, word) in [
        ("minimum", "At least"),
        ("maximum", "At most"),
        ("minLength", "At least so many characters"),
        ("maxLength", "At most so many characters"),
        ("minItems", "At least so many items"),
        ("maxItems", "At most so many items"),
        ("pattern", "Must match"),
    ] {
        if !schema[key].is_null() {
            facts.push(format!(
                "{word}: {}",
                schema[key].as_str().map_or_else(|| schema[key].to_string(), ToOwned::to_owned)
            ));
        }
    }
    facts
}

fn required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().into_iter().flatten().any(|r| r == field)
}

fn list(out: &mut String, schemas: &Value, schema: &Value) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let mark = if required(schema, name) { " -required-" } else { "" };
        out.push_str(&format!("  {name} <{}>{mark}\n", type_of(schemas, property)));
        let description = description_of(schemas, property);
        if !description.is_empty() {
            out.push_str(&wrapped(description, 4));
        }
        for fact in facts(resolve(schemas, property)) {
            out.push_str(&format!("    {fact}\n"));
        }
        out.push('\n');
    }
}

fn tree(out: &mut String, schemas: &Value, schema: &Value, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let mark = if required(schema, name) { " -required-" } else { "" };
        out.push_str(&format!("{:1$}{name} <{2}>{mark}\n", "", depth * 2, type_of(schemas, property)));
        tree(out, schemas, inside(schemas, property), depth + 1);
    }
}

fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + word.chars().count() + 1 > WIDTH - indent {
                out.push_str(&format!("{:indent$}{line}\n", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    fn schemas() -> Value {
        json!({
            "root": {"type": "object", "description": "Keeps tasks running.", "properties": {"spec": {"$ref": "#/components/schemas/spec"}}},
            "spec": {"type": "object", "description": "What is asked for.", "required": ["template"], "properties": {
                "replicas": {"type": "integer", "default": 1, "minimum": 0, "description": "How many."},
                "template": {"allOf": [{"$ref": "#/components/schemas/template"}], "description": "From what."}}},
            "template": {"type": "object", "properties": {"containers": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}},
        })
    }

    fn explain(fields: &str, recursive: bool) -> Outcome<String> {
        page(&schemas(), &schemas()["root"], kinds::ours("Service"), fields, recursive, false)
    }

    #[test]
    fn fields_have_types_defaults_and_words() {
        assert_eq!(
            explain("spec", false).unwrap(),
            "\
KIND:     Service
VERSION:  berth.dev/v1

FIELD:    service.spec <Object>

DESCRIPTION:
    What is asked for.

FIELDS:
  replicas <integer>
    How many.
    Default: 1
    At least: 0

  template <Object> -required-
    From what.

"
        );
    }

    #[test]
    fn lists_are_looked_into_and_trees_are_whole() {
        assert!(explain("spec.template.containers.name", false).unwrap().contains("name <string>"));
        assert!(explain("", true).unwrap().contains("  spec <Object>\n    replicas <integer>\n    template <Object> -required-\n      containers <[]Object>\n        name <string>\n"));
    }

    #[test]
    fn a_misspelt_field_is_corrected() {
        let failure = explain("spec.replcas", false).unwrap_err();
        assert_eq!(failure.hints, ["did you mean service.spec.replicas?"]);
        assert_eq!(failure.code, 3);
    }
}
