//! The rules of a schema, compiled: a tree of the places that bear rules and of the ways to them.

use std::sync::Arc;

use berth_cel::Program;
use berth_cel::env::DeclType;
use berth_cel::escape::escape;
use berth_cel::schema::declare;
use berth_cel::value::{Shape, ShapeKind};
use serde_json::{Map, Value};

use super::field_path::field_path;
use super::one::{Envs, Written, compile_message, compile_rule, written};
use crate::error::CauseReason;

/// What messages call the type of a root; upstream's name is as meaningless, and changes.
pub(super) const SELF_TYPE: &str = "selfType";

/// A place with rules, or on the way to one.
#[derive(Clone, Debug)]
pub(crate) struct RuleNode {
    pub(super) rules: Vec<Rule>,
    /// The `type` of the schema, as messages name it; empty for int-or-string.
    pub(super) ty: Box<str>,
    /// How values are seen by expressions.
    pub(super) shape: Arc<Shape>,
    /// Sorted by name.
    pub(super) props: Vec<(Box<str>, RuleNode)>,
    pub(super) additional: Option<Box<RuleNode>>,
    pub(super) items: Option<Box<RuleNode>>,
    /// The keys of a list whose items can be found again in the old list.
    pub(super) list_keys: Option<Box<[Box<str>]>>,
}

/// One rule, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Or why there is none; a definition that was accepted has only good ones.
    pub(super) program: Result<Program, Box<str>>,
    pub(super) uses_old_self: bool,
    pub(super) optional_old_self: bool,
    pub(super) message: Box<str>,
    pub(super) message_program: Option<Program>,
    /// How errors call the rule.
    pub(super) shown: Box<str>,
    pub(super) message_expression: Box<str>,
    pub(super) reason: CauseReason,
    /// The blamed field below the place, as errors write it; empty for the place itself.
    pub(super) field: Box<str>,
}

impl RuleNode {
    /// Compiles the rules of the schema of a kind; nothing when it has none.
    pub(crate) fn compile(schema: &Value) -> Option<Self> {
        Self::at(schema, true)
    }

    /// The same for any place of a schema; `is_resource` when objects of a kind stand there.
    pub(crate) fn at(schema: &Value, is_resource: bool) -> Option<Self> {
        if !has_rules(schema) {
            return None;
        }
        let decl = declare(schema, SELF_TYPE, is_resource);
        let shape = Arc::new(Shape::from_schema(schema, is_resource));
        node(schema, decl.as_ref(), &shape)
    }
}

/// Whether the schema, or anything below it where rules may be, has a rule.
pub(super) fn has_rules(schema: &Value) -> bool {
    let Value::Object(map) = schema else { return false };
    written(schema).next().is_some()
        || map.get("items").is_some_and(has_rules)
        || map.get("additionalProperties").is_some_and(has_rules)
        || properties(map).any(|(_, schema)| has_rules(schema))
}

pub(super) fn properties(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    map.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn node(schema: &Value, decl: Option<&DeclType>, shape: &Arc<Shape>) -> Option<RuleNode> {
    let map = schema.as_object()?;
    let mut props = Vec::new();
    for (name, schema) in properties(map).filter(|(_, schema)| has_rules(schema)) {
        let Some(decl) = property_decl(decl, name, schema) else { continue };
        let ShapeKind::Object(fields) = &shape.kind else { continue };
        let Some(shape) = fields.get(name.as_str()) else { continue };
        if let Some(node) = node(schema, Some(&decl), shape) {
            props.push((name.as_str().into(), node));
        }
    }
    props.sort_by(|a: &(Box<str>, RuleNode), b| a.0.cmp(&b.0));
    let below = |name: &str| map.get(name).filter(|schema| has_rules(schema));
    let additional = below("additionalProperties").and_then(|schema| {
        let ShapeKind::Map(values) = &shape.kind else { return None };
        node(schema, element_decl(decl), values)
    });
    let items = below("items").and_then(|schema| {
        let ShapeKind::List { items, .. } = &shape.kind else { return None };
        node(schema, element_decl(decl), items)
    });
    let rules = rules_of(schema, decl);
    if rules.is_empty() && props.is_empty() && additional.is_none() && items.is_none() {
        return None;
    }
    Some(RuleNode {
        rules,
        ty: schema.get("type").and_then(Value::as_str).unwrap_or_default().into(),
        shape: Arc::clone(shape),
        props,
        additional: additional.map(Box::new),
        items: items.map(Box::new),
        list_keys: list_keys(schema),
    })
}

fn list_keys(schema: &Value) -> Option<Box<[Box<str>]>> {
    if schema.get("x-kubernetes-list-type")? != "map" {
        return None;
    }
    let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
    Some(keys.iter().filter_map(Value::as_str).map(Into::into).collect())
}

/// The declaration of a property; nothing when expressions cannot see it.
pub(super) fn property_decl(parent: Option<&DeclType>, name: &str, schema: &Value) -> Option<DeclType> {
    match (escape(name), parent?) {
        (Some(escaped), DeclType::Object(object)) => object.fields.get(&*escaped).map(|field| field.decl.clone()),
        (Some(_), _) => None,
        // It cannot be named by the rules above, but has rules of its own.
        (None, _) => {
            let embedded = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
            declare(schema, SELF_TYPE, embedded)
        }
    }
}

/// The declaration of the items of a list or the values of a map.
pub(super) fn element_decl(parent: Option<&DeclType>) -> Option<&DeclType> {
    match parent? {
        DeclType::List { elem, .. } => Some(elem),
        DeclType::Map { value, .. } => Some(value),
        _ => None,
    }
}

fn rules_of(schema: &Value, decl: Option<&DeclType>) -> Vec<Rule> {
    let Some(decl) = decl.filter(|_| written(schema).next().is_some()) else { return Vec::new() };
    let envs = Envs::of(decl);
    // Empty rules ask nothing.
    written(schema).filter(|rule| !rule.rule.trim().is_empty()).map(|rule| one(&rule, &envs, schema)).collect()
}

fn one(rule: &Written<'_>, envs: &Envs, schema: &Value) -> Rule {
    let env = envs.for_rule(rule);
    let compiled = compile_rule(rule, env);
    Rule {
        uses_old_self: compiled.as_ref().is_ok_and(super::one::Compiled::uses_old_self),
        program: compiled.map(|compiled| compiled.program).map_err(Into::into),
        optional_old_self: rule.optional_old_self == Some(true),
        message: rule.default_message().into(),
        message_program: compile_message(rule, env).ok().flatten().map(|compiled| compiled.program),
        shown: rule.shown().into(),
        message_expression: rule.message_expression.into(),
        reason: rule.cause_reason().unwrap_or(CauseReason::Invalid),
        field: field_path(rule.field_path, schema, true).map(|path| path.text).unwrap_or_default().into(),
    }
}
