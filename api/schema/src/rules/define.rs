//! Asks a definition whether its rules make sense, and whether they are cheap enough to be asked on every write.

use berth_cel::cost::{Cardinality, Range, estimate, excess, limits};
use berth_cel::env::{DeclType, Env};
use berth_cel::schema::declare;
use serde_json::Value;

use super::eval::check_default;
use super::field_path::field_path;
use super::one::{Compiled, Envs, KEYWORD, REASONS, Written, compile_message, compile_rule, written};
use super::tree::{RuleNode, SELF_TYPE, element_decl, has_rules, properties, property_decl};
use crate::error::{CauseReason, FieldError, Path};

/// The costliest rules that are named when all together cost too much.
const COSTLY_MAX: usize = 4;

/// What is wrong with the rules of a schema that is well-formed otherwise, and with the defaults that break them.
///
/// `base` is the path of the schema. With `costs_known` the costs of single rules are not judged: the schema was
/// accepted with them before.
pub(crate) fn check_definition(schema: &Value, base: &str, costs_known: bool) -> Vec<FieldError> {
    if !has_rules(schema) {
        return Vec::new();
    }
    let root = Path::ROOT;
    let path = root.field(base);
    let mut defaults = Vec::new();
    check_defaults(schema, true, &path, &mut defaults);
    if !defaults.is_empty() {
        return defaults;
    }
    let mut check =
        Check { costs_known, schema_errors: Vec::new(), rule_errors: Vec::new(), total: 0, costly: Vec::new() };
    let decl = declare(schema, SELF_TYPE, true);
    check.place(schema, decl.as_ref(), Cardinality::ROOT, None, &path);
    let Check { mut schema_errors, rule_errors, total, mut costly, .. } = check;
    schema_errors.extend(rule_errors);
    let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    if let Some(message) = excess(name, total, limits::DEFINITION_COST_MAX) {
        costly.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        let contributed = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        schema_errors.extend(costly.into_iter().take(COSTLY_MAX).map(|(at, _)| FieldError::forbidden(at, contributed)));
        schema_errors.push(FieldError::forbidden(path.to_string(), &message));
    }
    schema_errors
}

/// Asks the rules of every default.
fn check_defaults(schema: &Value, is_resource: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(map) = schema.as_object() else { return };
    if !has_rules(schema) {
        return;
    }
    if let Some(default) = map.get("default").filter(|default| !default.is_null())
        && let Some(node) = RuleNode::at(schema, is_resource)
    {
        check_default(&node, default, &path.field("default"), errors);
    }
    if let Some(items) = map.get("items") {
        check_defaults(items, is_embedded(items), &path.field("items"), errors);
    }
    if let Some(values) = map.get("additionalProperties") {
        check_defaults(values, is_embedded(values), &path.field("additionalProperties"), errors);
    }
    let here = path.field("properties");
    for (name, schema) in properties(map) {
        check_defaults(schema, is_embedded(schema), &here.key(name), errors);
    }
}

fn is_embedded(schema: &Value) -> bool {
    schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true))
}

struct Check {
    costs_known: bool,
    /// Errors that can be seen without compiling a rule: while there are some below a place, its rules are not
    /// compiled.
    schema_errors: Vec<FieldError>,
    rule_errors: Vec<FieldError>,
    total: u64,
    /// Rules that cost much, with their paths.
    costly: Vec<(String, u64)>,
}

impl Check {
    fn place(
        &mut self,
        schema: &Value,
        decl: Option<&DeclType>,
        cardinality: Cardinality,
        uncorrelatable: Option<&str>,
        path: &Path<'_>,
    ) {
        let Some(map) = schema.as_object() else { return };
        let before = self.schema_errors.len();
        let inner = cardinality.within(schema);
        let here = path.field("properties");
        for (name, child) in properties(map).filter(|(_, schema)| has_rules(schema)) {
            let decl = property_decl(decl, name, child);
            self.place(child, decl.as_ref(), inner, uncorrelatable, &here.key(name));
        }
        if let Some(values) = map.get("additionalProperties").filter(|schema| has_rules(schema)) {
            self.place(values, element_decl(decl), inner, uncorrelatable, &path.field("additionalProperties"));
        }
        if let Some(items) = map.get("items").filter(|schema| has_rules(schema)) {
            let here = path.to_string();
            // Only items with keys can be found again in the old list.
            let is_map = map.get("x-kubernetes-list-type").is_some_and(|kind| kind == "map");
            let uncorrelatable = uncorrelatable.or(if is_map { None } else { Some(&here) });
            self.place(items, element_decl(decl), inner, uncorrelatable, &path.field("items"));
        }
        if written(schema).next().is_none() {
            return;
        }
        let list = path.field(KEYWORD);
        for (i, rule) in written(schema).enumerate() {
            self.words(&rule, schema, &list.index(i));
        }
        if self.schema_errors.len() > before {
            return;
        }
        let Some(decl) = decl else {
            let message = "internal error: failed to construct type information for x-kubernetes-validations rules: \
                           unable to convert structural schema to CEL declarations";
            self.rule_errors.push(FieldError::internal(list.to_string(), message));
            return;
        };
        let envs = Envs::of(decl);
        for (i, rule) in written(schema).enumerate() {
            self.rule(&rule, envs.for_rule(&rule), decl, cardinality, uncorrelatable, &list.index(i));
        }
    }

    /// What can be said of a rule without compiling it.
    fn words(&mut self, rule: &Written<'_>, schema: &Value, path: &Path<'_>) {
        let errors = &mut self.schema_errors;
        let at = |name: &str| path.field(name).to_string();
        let breaks = |text: &str| text.contains(['\n', '\r']);
        let (trimmed, message) = (rule.rule.trim(), rule.message.trim());
        if trimmed.is_empty() {
            errors.push(FieldError::required(at("rule"), "rule is not specified"));
        } else if !rule.message.is_empty() && message.is_empty() {
            let why = "must be non-empty if specified";
            errors.push(FieldError::invalid(at("message"), &Value::from(rule.message), why));
        } else if breaks(message) {
            errors.push(FieldError::invalid(at("message"), &Value::from(rule.message), "must not contain line breaks"));
        } else if breaks(trimmed) && message.is_empty() {
            let why = "message must be specified if rule contains line breaks";
            errors.push(FieldError::required(at("message"), why));
        }
        if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
            let why = "messageExpression must be non-empty if specified";
            errors.push(FieldError::required(at("messageExpression"), why));
        }
        if rule.cause_reason().is_none() {
            let known = REASONS.map(|reason: CauseReason| Value::from(reason.as_str()));
            let given = Value::from(rule.reason.unwrap_or_default());
            errors.push(FieldError::not_supported(at("reason"), &given, &known));
        }
        if rule.field_path.is_empty() {
            return;
        }
        let given = Value::from(rule.field_path);
        if rule.field_path.trim().is_empty() {
            errors.push(FieldError::invalid(at("fieldPath"), &given, "must be non-empty if specified"));
        }
        if breaks(rule.field_path) {
            errors.push(FieldError::invalid(at("fieldPath"), &given, "must not contain line breaks"));
        }
        if field_path(rule.field_path, schema, true).is_err() {
            errors.push(FieldError::invalid(at("fieldPath"), &given, "must be a valid path"));
        }
    }

    fn rule(
        &mut self,
        rule: &Written<'_>,
        env: &Env,
        decl: &DeclType,
        cardinality: Cardinality,
        uncorrelatable: Option<&str>,
        path: &Path<'_>,
    ) {
        let at = path.field("rule").to_string();
        let compiled = match compile_rule(rule, env) {
            Ok(compiled) => compiled,
            Err(why) => {
                let detail = format!("Invalid value: {}: {why}", rule.as_go_json());
                self.rule_errors.push(FieldError { field: at, reason: CauseReason::Invalid, detail });
                return;
            }
        };
        let cost = cardinality.cost(cost_of(&compiled, env), decl.min_size());
        self.observe("estimated rule cost", at.clone(), cost);
        match compile_message(rule, env) {
            Err(why) => {
                let field = path.field("messageExpression").to_string();
                let detail = format!("Invalid value: {}: {why}", rule.as_go_json());
                self.rule_errors.push(FieldError { field, reason: CauseReason::Invalid, detail });
            }
            Ok(Some(message)) => {
                let cost = cost_of(&message, env).max;
                self.observe("estimated messageExpression cost", path.field("messageExpression").to_string(), cost);
            }
            Ok(None) => {}
        }
        match (compiled.uses_old_self(), uncorrelatable, rule.optional_old_self) {
            (true, Some(within), _) => {
                let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
                self.rule_errors.push(FieldError::invalid(at, &Value::from(rule.rule), &why));
            }
            (false, _, Some(set)) => {
                let field = path.field("optionalOldSelf").to_string();
                let why = "may not be set if oldSelf is not used in rule";
                self.rule_errors.push(FieldError::invalid(field, &Value::from(set), why));
            }
            _ => {}
        }
    }

    fn observe(&mut self, name: &str, at: String, cost: u64) {
        if !self.costs_known
            && let Some(message) = excess(name, cost, limits::RULE_COST_MAX)
        {
            self.rule_errors.push(FieldError::forbidden(at.clone(), &message));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= limits::DEFINITION_COST_MAX / 100 {
            self.costly.push((at, cost));
        }
    }
}

fn cost_of(compiled: &Compiled, env: &Env) -> Range {
    estimate(&compiled.checked, env)
}
