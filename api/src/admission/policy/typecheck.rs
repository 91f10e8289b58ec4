//! Checking a policy's expressions against the schemas of what it rules: a misspelt field is told in the policy's
//! status. It never changes what the policy does.

use berth_cel::env::DeclType;
use serde_json::{Value, json};

use crate::admission::expressions::{Declared, Environment, Expression, Returns};
use crate::registry::{Resource, Rows};

/// Kinds that one policy is checked against, as upstream: each is a round of compiling.
const KINDS_MAX: usize = 10;

/// The warnings for `status.typeChecking.expressionWarnings`.
pub(crate) fn warnings(rows: &Rows, policy: &Value) -> Vec<Value> {
    let spec = &policy["spec"];
    let kinds = kinds(rows, spec);
    let params = spec["paramKind"].is_object().then(|| {
        let row = rows.ordered.iter().find(|row| {
            spec["paramKind"]["kind"] == row.kind.as_str() && spec["paramKind"]["apiVersion"] == row.api_version()
        });
        row.map_or(DeclType::Dyn, |row| typed(row, "params"))
    });
    let checker = Checker { spec, kinds, params };
    let mut found = Vec::new();
    for (index, validation) in spec["validations"].as_array().into_iter().flatten().enumerate() {
        for field in ["expression", "messageExpression"] {
            let Some(text) = validation[field].as_str().filter(|text| !text.is_empty()) else { continue };
            let warning = checker.check(text);
            if !warning.is_empty() {
                found.push(json!({"fieldRef": format!("spec.validations[{index}].{field}"), "warning": warning}));
            }
        }
    }
    found
}

struct Checker<'a> {
    spec: &'a Value,
    /// How a kind is told, and what its objects look like.
    kinds: Vec<(String, DeclType)>,
    params: Option<DeclType>,
}

impl Checker<'_> {
    /// What is wrong with an expression, for each kind in a paragraph; empty when nothing is.
    fn check(&self, text: &str) -> String {
        let of_kinds = self.kinds.iter().filter_map(|(name, decl)| {
            let environment = self.environment(decl);
            let why = Expression::compile(text, &environment, Returns::Any).err()?;
            Some(format!("{name}: {why}\n"))
        });
        of_kinds.collect::<Vec<_>>().join("\n")
    }

    fn environment(&self, decl: &DeclType) -> Environment {
        let declared = Declared { params: self.params.is_some(), authorizer: true, patches: false };
        let mut environment = Environment::new(declared);
        environment.declare_typed("object", decl.clone());
        environment.declare_typed("oldObject", decl.clone());
        if let Some(params) = &self.params {
            environment.declare_typed("params", params.clone());
        }
        for variable in self.spec["variables"].as_array().into_iter().flatten() {
            let name = format!("variables.{}", variable["name"].as_str().unwrap_or_default());
            let text = variable["expression"].as_str().unwrap_or_default();
            let output = Expression::compile(text, &environment, Returns::Any)
                .map_or(berth_cel::types::Type::Dyn, |expression| expression.output().clone());
            environment.declare_variable(&name, &output);
        }
        environment
    }
}

/// The kinds that the policy's rules name without wildcards, by group, version and kind.
fn kinds(rows: &Rows, spec: &Value) -> Vec<(String, DeclType)> {
    let mut found: Vec<&Resource> = Vec::new();
    for rule in spec["matchConstraints"]["resourceRules"].as_array().into_iter().flatten() {
        let texts = |field: &str| -> Vec<&str> {
            rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let (groups, versions) = (texts("apiGroups"), texts("apiVersions"));
        if groups.contains(&"*") || versions.contains(&"*") {
            continue;
        }
        let plurals = texts("resources").into_iter().filter(|plural| !plural.contains(['*', '/']));
        let plurals: Vec<&str> = plurals.collect();
        for row in &rows.ordered {
            let is_named = groups.contains(&row.group.as_str())
                && versions.contains(&row.version.as_str())
                && plurals.contains(&row.plural.as_str());
            if is_named && !found.iter().any(|known| known.kind == row.kind && known.api_version() == row.api_version())
            {
                found.push(row);
            }
        }
    }
    found.sort_by_key(|row| (row.group.clone(), row.version.clone(), row.kind.clone()));
    found.truncate(KINDS_MAX);
    // As Go prints a group, version and kind: the core group is empty before the slash.
    let told = |row: &Resource| format!("{}/{}, Kind={}", row.group, row.version, row.kind);
    found.into_iter().map(|row| (told(row), typed(row, &format!("kubernetes.{}", row.kind)))).collect()
}

/// The objects of a kind, their metadata spelt out.
fn typed(row: &Resource, name: &str) -> DeclType {
    let mut schema = Value::clone(row.schema.get());
    if schema["x-kubernetes-preserve-unknown-fields"] == true || !schema["properties"].is_object() {
        return DeclType::Dyn;
    }
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = metadata();
    berth_cel::schema::declare(&schema, name, false).unwrap_or(DeclType::Dyn)
}

fn metadata() -> Value {
    let text = json!({"type": "string"});
    let time = json!({"type": "string", "format": "date-time"});
    let number = json!({"type": "integer"});
    let flag = json!({"type": "boolean"});
    let map = json!({"type": "object", "additionalProperties": text});
    let owner = json!({"type": "object", "properties": {"apiVersion": text, "kind": text, "name": text, "uid": text,
        "controller": flag, "blockOwnerDeletion": flag}});
    let managed = json!({"type": "object", "properties": {"manager": text, "operation": text, "apiVersion": text,
        "time": time, "fieldsType": text, "subresource": text}});
    json!({"type": "object", "properties": {
        "name": text, "generateName": text, "namespace": text, "uid": text, "resourceVersion": text, "selfLink": text,
        "generation": number, "creationTimestamp": time, "deletionTimestamp": time,
        "deletionGracePeriodSeconds": number, "labels": map, "annotations": map,
        "finalizers": {"type": "array", "items": text}, "ownerReferences": {"type": "array", "items": owner},
        "managedFields": {"type": "array", "items": managed},
    }})
}
