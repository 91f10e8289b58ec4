//! From the JSON of an `openAPIV3Schema` to nodes, with every breach of the structural rules on the way.

use std::collections::HashMap;
use std::sync::Arc;

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::format::Format;
use super::list_rules;
use super::metadata;
use super::node::{Additional, Bound, Checks, ListKind, Node, Prop, Span, Type};
use super::rules;
use crate::error::{FieldError, Path};

/// Nested deeper, a schema is no description of anything, and walking it would eat the stack.
const SCHEMA_DEPTH_MAX: usize = 100;
/// Bytes that one compiled pattern may take: keeps a hostile CRD from filling the memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Most patterns are far smaller than this; of those that are not, a schema may have [`LARGE_PATTERNS_MAX`].
const SMALL_PATTERN_BYTES: usize = 64 << 10;
const LARGE_PATTERNS_MAX: usize = 16;
/// Different patterns of one schema: the largest published definitions have about 150.
const PATTERNS_MAX: usize = 500;
/// What matching may cache for each pattern; the library's own bound is 2 MiB.
const PATTERN_CACHE_BYTES: usize = 256 << 10;

/// Where a schema stands: the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Field,
    Item,
    /// Inside allOf, anyOf, oneOf or not: rules on values only. `typed` allows `type`, `choice` the choice between
    /// integer and string below.
    Junctor {
        typed: bool,
        choice: bool,
    },
}

const VALUES_ONLY: Place = Place::Junctor { typed: false, choice: false };

/// Whether the anyOf of a schema is exactly the choice between integer and string.
fn is_choice(map: &Map<String, Value>) -> bool {
    let is = |schema: &Value, name: &str| {
        schema.as_object().is_some_and(|map| map.len() == 1 && map.get("type").is_some_and(|t| t == name))
    };
    match map.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([first, second]) => is(first, "integer") && is(second, "string"),
        _ => false,
    }
}

pub(super) struct Compiler {
    pub(super) errors: Vec<FieldError>,
    /// The rules for schemas of users; built-in kinds are compiled without.
    pub(super) strict: bool,
    /// Patterns that were met already: schemas repeat them.
    patterns: HashMap<String, Arc<regex::Regex>>,
    large_patterns: usize,
}

impl Compiler {
    fn new(strict: bool) -> Self {
        Self { errors: Vec::new(), strict, patterns: HashMap::new(), large_patterns: 0 }
    }
}

/// Compiles a whole kind: `metadata`, `apiVersion` and `kind` are added.
pub(super) fn compile_root(schema: &Value) -> Result<Node, Vec<FieldError>> {
    let mut compiler = Compiler::new(true);
    let mut node = compiler.node(schema, &Path::ROOT, Place::Root, 0);
    if compiler.errors.is_empty() {
        compiler.check_root_defaults(&node);
        compiler.check_defaults(&node, &Path::ROOT);
    }
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    add_object_fields(&mut node);
    Ok(node)
}

/// Compiles the schema of a definition that was accepted before, whatever today's rules say of it.
pub(super) fn compile_accepted(schema: &Value) -> Node {
    let mut node = Compiler::new(true).node(schema, &Path::ROOT, Place::Root, 0);
    add_object_fields(&mut node);
    node
}

/// Compiles the schema of a built-in kind without asking for the structural rules.
pub(super) fn compile_builtin(schema: &Value) -> Node {
    let mut node = compile_trusted(schema);
    add_object_fields(&mut node);
    require_nothing(&mut node);
    node
}

/// To Kubernetes an absent field of a built-in kind is an empty one: the kind's own rules say what must be there, and
/// some that the schema calls required need not.
fn require_nothing(node: &mut Node) {
    node.required.clear();
    node.props.iter_mut().for_each(|prop| require_nothing(&mut prop.node));
    if let Some(items) = &mut node.items {
        require_nothing(items);
    }
    if let Additional::Schema(values) = &mut node.additional {
        require_nothing(values);
    }
}

/// Compiles a schema that ships with the binary and is known to be good.
pub(super) fn compile_trusted(schema: &Value) -> Node {
    Compiler::new(false).node(schema, &Path::ROOT, Place::Field, 0)
}

/// Gives an object its `apiVersion`, `kind` and `metadata`; what the schema says of name and generateName stays.
fn add_object_fields(node: &mut Node) {
    let mut meta = metadata::object_meta().clone();
    if let Some(own) = node.prop("metadata") {
        for name in ["name", "generateName"] {
            if let Some(restricted) = own.prop(name) {
                meta.set_prop(name, restricted.clone());
            }
        }
    }
    node.set_prop("metadata", meta);
    let text = |description: &str| Node { ty: Type::String, description: description.into(), ..Node::default() };
    node.set_prop("apiVersion", text("Group and version of this representation of the object."));
    node.set_prop("kind", text("The kind of the object, in CamelCase."));
    if node.ty == Type::Any {
        node.ty = Type::Object;
    }
}

impl Compiler {
    fn node(&mut self, schema: &Value, path: &Path<'_>, place: Place, depth: usize) -> Node {
        let Value::Object(map) = schema else {
            self.errors.push(FieldError::type_invalid(path.to_string(), schema, "must be a schema object"));
            return Node::default();
        };
        if depth > SCHEMA_DEPTH_MAX {
            let message = format!("must not be nested more than {SCHEMA_DEPTH_MAX} levels deep");
            self.errors.push(FieldError::forbidden(path.to_string(), &message));
            return Node::default();
        }
        let int_or_string = flag(map, "x-kubernetes-int-or-string");
        let mut node = Node {
            ty: if int_or_string { Type::IntOrString } else { self.type_of(map, path) },
            nullable: flag(map, "nullable"),
            preserve: flag(map, "x-kubernetes-preserve-unknown-fields"),
            map_atomic: text(map, "x-kubernetes-map-type") == Some("atomic"),
            description: text(map, "description").unwrap_or_default().into(),
            default: map.get("default").filter(|d| !d.is_null()).cloned(),
            ..Node::default()
        };
        if self.strict {
            rules::check(self, map, path, place);
        }
        self.members(&mut node, map, path, place, depth);
        node.list = self.list_kind(map);
        node.checks = self.checks(map, path, place, depth);
        if self.strict && !matches!(place, Place::Junctor { .. }) {
            list_rules::check(self, map, path);
            rules::check_complete(self, &node, path);
        }
        if flag(map, "x-kubernetes-embedded-resource") {
            add_object_fields(&mut node);
            node.embedded = true;
            for name in ["apiVersion", "kind"] {
                if !node.is_required(name) {
                    node.required.push(name.into());
                }
            }
        }
        node
    }

    fn type_of(&mut self, map: &Map<String, Value>, path: &Path<'_>) -> Type {
        let Some(value) = map.get("type") else { return Type::Any };
        let name = value.as_str().unwrap_or_default();
        if name.is_empty() && value.is_string() {
            return Type::Any;
        }
        Type::parse(name).unwrap_or_else(|| {
            let field = path.field("type").to_string();
            self.errors.push(if name == "null" {
                FieldError::forbidden(field, "type cannot be set to null, use nullable as an alternative")
            } else {
                let known = ["array", "boolean", "integer", "number", "object", "string"].map(Value::from);
                FieldError::not_supported(field, value, &known)
            });
            Type::Any
        })
    }

    fn members(&mut self, node: &mut Node, map: &Map<String, Value>, path: &Path<'_>, place: Place, depth: usize) {
        let inner = |field: Place| match place {
            Place::Junctor { .. } => VALUES_ONLY,
            _ => field,
        };
        if let Some(Value::Object(props)) = map.get("properties") {
            let here = path.field("properties");
            for (name, schema) in props {
                let child = self.node(schema, &here.key(name), inner(Place::Field), depth + 1);
                node.props.push(Prop { name: name.as_str().into(), node: child });
            }
            node.props.sort_by(|a, b| a.name.cmp(&b.name));
        }
        if let Some(Value::Array(required)) = map.get("required") {
            node.required = required.iter().filter_map(Value::as_str).map(Into::into).collect();
        }
        match map.get("additionalProperties") {
            Some(Value::Bool(true)) => node.additional = Additional::Any,
            Some(schema @ Value::Object(_)) => {
                let here = path.field("additionalProperties");
                let child = self.node(schema, &here, inner(Place::Field), depth + 1);
                node.additional = Additional::Schema(Box::new(child));
            }
            _ => {}
        }
        match map.get("items") {
            Some(schema @ Value::Object(_)) => {
                let child = self.node(schema, &path.field("items"), inner(Place::Item), depth + 1);
                node.items = Some(Box::new(child));
            }
            Some(Value::Array(_)) => {
                let field = path.field("items").to_string();
                self.errors.push(FieldError::forbidden(field, "items must be a schema object and not an array"));
            }
            _ => {}
        }
    }

    fn list_kind(&self, map: &Map<String, Value>) -> ListKind {
        match text(map, "x-kubernetes-list-type") {
            Some("set") => ListKind::Set,
            Some("map") => {
                let keys = map.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                let mut keys: Vec<Box<str>> = keys.map(Into::into).collect();
                keys.sort();
                if keys.is_empty() { ListKind::Atomic } else { ListKind::Map(keys) }
            }
            _ => ListKind::Atomic,
        }
    }

    fn checks(&mut self, map: &Map<String, Value>, path: &Path<'_>, place: Place, depth: usize) -> Option<Box<Checks>> {
        // Two forms of int-or-string spell out their types: an anyOf, or an anyOf as the first of an allOf.
        let may_choose = !matches!(place, Place::Junctor { choice: false, .. });
        let choice = Place::Junctor { typed: may_choose && is_choice(map), choice: false };
        let first = Place::Junctor { typed: false, choice: !matches!(place, Place::Junctor { .. }) };
        let checks = Checks {
            allowed: map.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            pattern: self.pattern(map, path),
            format: text(map, "format").and_then(Format::parse),
            minimum: bound(map, "minimum", "exclusiveMinimum"),
            maximum: bound(map, "maximum", "exclusiveMaximum"),
            multiple_of: map.get("multipleOf").and_then(Value::as_f64).filter(|m| *m > 0.0),
            length: span(map, "minLength", "maxLength"),
            item_count: span(map, "minItems", "maxItems"),
            property_count: span(map, "minProperties", "maxProperties"),
            all_of: self.list_of(map, "allOf", path, |i| if i == 0 { first } else { VALUES_ONLY }, depth),
            any_of: self.list_of(map, "anyOf", path, |_| choice, depth),
            one_of: self.list_of(map, "oneOf", path, |_| VALUES_ONLY, depth),
            not: map.get("not").map(|not| Box::new(self.node(not, &path.field("not"), VALUES_ONLY, depth + 1))),
        };
        let Checks {
            allowed,
            pattern,
            format,
            minimum,
            maximum,
            multiple_of,
            length,
            item_count,
            property_count,
            all_of,
            any_of,
            one_of,
            not,
        } = &checks;
        let any = !allowed.is_empty()
            || pattern.is_some()
            || format.is_some()
            || minimum.is_some()
            || maximum.is_some()
            || multiple_of.is_some()
            || length.is_set()
            || item_count.is_set()
            || property_count.is_set()
            || !(all_of.is_empty() && any_of.is_empty() && one_of.is_empty())
            || not.is_some();
        any.then(|| Box::new(checks))
    }

    fn list_of(
        &mut self,
        map: &Map<String, Value>,
        name: &str,
        path: &Path<'_>,
        place: impl Fn(usize) -> Place,
        depth: usize,
    ) -> Vec<Node> {
        let Some(Value::Array(list)) = map.get(name) else { return Vec::new() };
        let here = path.field(name);
        list.iter().enumerate().map(|(i, schema)| self.node(schema, &here.index(i), place(i), depth + 1)).collect()
    }

    fn pattern(&mut self, map: &Map<String, Value>, path: &Path<'_>) -> Option<Arc<regex::Regex>> {
        let pattern = text(map, "pattern").filter(|p| !p.is_empty())?;
        if let Some(known) = self.patterns.get(pattern) {
            return Some(Arc::clone(known));
        }
        match self.compile_pattern(pattern) {
            Ok(regex) => {
                let regex = Arc::new(regex);
                self.patterns.insert(pattern.to_owned(), Arc::clone(&regex));
                Some(regex)
            }
            Err(why) => {
                let message = format!("must be a valid regular expression, but isn't: {why}").replace('\n', " ");
                let field = path.field("pattern").to_string();
                self.errors.push(FieldError::invalid(field, &Value::from(pattern), &message));
                None
            }
        }
    }

    fn compile_pattern(&mut self, pattern: &str) -> Result<regex::Regex, String> {
        if self.patterns.len() >= PATTERNS_MAX {
            return Err(format!("a schema may have at most {PATTERNS_MAX} different patterns"));
        }
        let build = |bytes| RegexBuilder::new(pattern).size_limit(bytes).dfa_size_limit(PATTERN_CACHE_BYTES).build();
        match build(SMALL_PATTERN_BYTES) {
            Err(regex::Error::CompiledTooBig(_)) if self.large_patterns < LARGE_PATTERNS_MAX => {
                self.large_patterns += 1;
                build(PATTERN_BYTES_MAX).map_err(|error| error.to_string())
            }
            built => built.map_err(|error| error.to_string()),
        }
    }

    /// What every object says of itself has no defaults.
    fn check_root_defaults(&mut self, node: &Node) {
        let root = Path::ROOT;
        let properties = root.field("properties");
        for name in ["apiVersion", "kind", "metadata"] {
            let Some(child) = node.prop(name) else { continue };
            let here = properties.key(name);
            let message = format!("must not be set in top-level {name}");
            if child.default.is_some() {
                self.errors.push(FieldError::forbidden(here.field("default").to_string(), &message));
            }
            let below = here.field("properties");
            for prop in child.props.iter().filter(|prop| prop.node.default.is_some()) {
                let at = below.key(&prop.name).field("default").to_string();
                self.errors.push(FieldError::forbidden(at, &message));
            }
        }
    }

    /// Defaults must themselves be valid.
    fn check_defaults(&mut self, node: &Node, path: &Path<'_>) {
        if let Some(default) = &node.default {
            let here = path.field("default");
            let at = here.to_string();
            let mut pruned = default.clone();
            super::prune::prune_node(node, &mut pruned, &Path::ROOT, &mut Vec::new());
            if pruned != *default {
                self.errors.push(FieldError::invalid(at.clone(), default, "must not have unknown fields"));
            }
            for error in super::validate::validate_node(node, default) {
                self.errors.push(error.below(&at));
            }
        }
        let props = path.field("properties");
        for Prop { name, node } in &node.props {
            self.check_defaults(node, &props.key(name));
        }
        if let Additional::Schema(child) = &node.additional {
            self.check_defaults(child, &path.field("additionalProperties"));
        }
        if let Some(items) = &node.items {
            self.check_defaults(items, &path.field("items"));
        }
    }
}

pub(super) fn flag(map: &Map<String, Value>, name: &str) -> bool {
    map.get(name).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn text<'v>(map: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    map.get(name).and_then(Value::as_str)
}

/// OpenAPI 3.0 writes `exclusiveMinimum: true` beside the bound, JSON Schema 2020 writes the bound there.
fn bound(map: &Map<String, Value>, name: &str, exclusive_name: &str) -> Option<Bound> {
    if let Some(value) = map.get(exclusive_name).and_then(Value::as_f64) {
        return Some(Bound { value, exclusive: true });
    }
    let value = map.get(name).and_then(Value::as_f64)?;
    Some(Bound { value, exclusive: flag(map, exclusive_name) })
}

fn span(map: &Map<String, Value>, min: &str, max: &str) -> Span {
    // schemars may write whole numbers as floats
    let count = |name: &str| {
        map.get(name).and_then(|v| v.as_u64().or_else(|| v.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)))
    };
    Span { min: count(min), max: count(max) }
}
