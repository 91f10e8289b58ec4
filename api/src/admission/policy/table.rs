//! All policies with their bindings, compiled.

use berth_cel::types::Type;
use berth_store::cache::Snapshot;
use serde_json::Value;

use crate::admission::conditions::Conditions;
use crate::admission::expressions::{Declared, Environment, Expression, Returns};
use crate::admission::matching::Matching;
use crate::derived::Sources;

const GROUP: &str = "admissionregistration.k8s.io";

/// The kinds that the table is made from.
pub(crate) const SOURCES: Sources = &[
    (GROUP, "validatingadmissionpolicies"),
    (GROUP, "validatingadmissionpolicybindings"),
    (GROUP, "mutatingadmissionpolicies"),
    (GROUP, "mutatingadmissionpolicybindings"),
];

/// Either a compiled expression, or why it cannot be evaluated.
pub(crate) type Compiled = Result<Expression, String>;

/// One thing that must hold.
#[derive(Debug)]
pub(crate) struct Validation {
    pub expression: Compiled,
    pub text: String,
    pub message: String,
    pub message_expression: Option<Compiled>,
    /// Empty for Invalid.
    pub reason: String,
}

/// One note for the audit log.
#[derive(Debug)]
pub(crate) struct Annotation {
    pub key: String,
    pub value: Compiled,
}

/// One change.
#[derive(Debug)]
pub(crate) enum Mutation {
    /// Fields to be merged, as server-side apply merges them.
    Apply(Compiled),
    JsonPatch(Compiled),
}

/// Where a policy's parameters are kept.
#[derive(Clone, Debug)]
pub(crate) struct ParamKind {
    pub api_version: String,
    pub kind: String,
}

/// Which parameters a binding gives to its policy.
#[derive(Debug)]
pub(crate) struct ParamRef {
    pub name: String,
    pub namespace: String,
    pub selector: Option<Value>,
    pub denies_absent: bool,
}

/// Puts a policy into effect.
#[derive(Debug)]
pub(crate) struct Binding {
    pub name: String,
    /// Narrows down what the policy rules; `None` does not.
    pub matching: Option<Matching>,
    pub param_ref: Option<ParamRef>,
    /// Deny, Warn, Audit.
    pub actions: Vec<String>,
}

/// One policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub name: String,
    pub matching: Matching,
    pub fails_closed: bool,
    pub param_kind: Option<ParamKind>,
    pub conditions: Conditions,
    /// `variables.x` and what it stands for.
    pub variables: Vec<(String, Expression)>,
    /// Why a variable cannot be evaluated: then nothing of the policy can.
    pub broken: Option<String>,
    pub validations: Vec<Validation>,
    pub annotations: Vec<Annotation>,
    pub mutations: Vec<Mutation>,
    /// Asked again when a later rule changed the object.
    pub reinvoked: bool,
    pub bindings: Vec<Binding>,
}

/// All policies that have bindings, by name.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    pub validating: Vec<Policy>,
    pub mutating: Vec<Policy>,
}

impl Policies {
    /// Reads and compiles everything.
    pub(crate) fn compute(snapshots: &[Snapshot]) -> Self {
        let of =
            |policies: usize, bindings: usize, mutating: bool| match (snapshots.get(policies), snapshots.get(bindings))
            {
                (Some(policies), Some(bindings)) => read(policies, bindings, mutating),
                _ => Vec::new(),
            };
        Self { validating: of(0, 1, false), mutating: of(2, 3, true) }
    }
}

fn objects(snapshot: &Snapshot) -> Vec<Value> {
    snapshot.iter().filter_map(|entry| serde_json::from_slice(&entry.kv().value).ok()).collect()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn read(policies: &Snapshot, bindings: &Snapshot, mutating: bool) -> Vec<Policy> {
    let bindings = objects(bindings);
    objects(policies)
        .iter()
        .filter_map(|object| {
            let name = text(&object["metadata"], "name");
            let of_policy = bindings.iter().filter(|binding| text(&binding["spec"], "policyName") == name);
            let bound: Vec<Binding> = of_policy.map(binding).collect();
            // One that nothing binds rules nothing, and need not be compiled.
            (!bound.is_empty()).then(|| policy(name, &object["spec"], bound, mutating))
        })
        .collect()
}

fn binding(object: &Value) -> Binding {
    let spec = &object["spec"];
    let reference = &spec["paramRef"];
    Binding {
        name: text(&object["metadata"], "name"),
        matching: spec["matchResources"].is_object().then(|| Matching::of_match_resources(&spec["matchResources"])),
        param_ref: reference.is_object().then(|| ParamRef {
            name: text(reference, "name"),
            namespace: text(reference, "namespace"),
            selector: reference.get("selector").filter(|selector| selector.is_object()).cloned(),
            denies_absent: reference["parameterNotFoundAction"] == "Deny",
        }),
        actions: list(&spec["validationActions"]).filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

fn policy(name: String, spec: &Value, bindings: Vec<Binding>, mutating: bool) -> Policy {
    let fails_closed = spec["failurePolicy"] != "Ignore";
    let param_kind = spec["paramKind"].is_object().then(|| ParamKind {
        api_version: text(&spec["paramKind"], "apiVersion"),
        kind: text(&spec["paramKind"], "kind"),
    });
    let params = param_kind.is_some();
    let mut environment = Environment::new(Declared { params, authorizer: true, patches: mutating });
    let mut messages = Environment::new(Declared { params, ..Declared::default() });
    let mut variables = Vec::new();
    let mut broken = None;
    for variable in list(&spec["variables"]) {
        let full = format!("variables.{}", text(variable, "name"));
        let output = match Expression::compile(&text(variable, "expression"), &environment, Returns::Any) {
            Ok(expression) => {
                let output = expression.output().clone();
                variables.push((full.clone(), expression));
                output
            }
            Err(why) => {
                broken = broken.or_else(|| Some(format!("compilation error: {why}")));
                Type::Dyn
            }
        };
        environment.declare_variable(&full, &output);
        messages.declare_variable(&full, &output);
    }
    let compile = |value: &Value, environment: &Environment, returns: Returns| -> Compiled {
        let text = value.as_str().unwrap_or_default();
        Expression::compile(text, environment, returns).map_err(|why| format!("compilation error: {why}"))
    };
    let given = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let validations = list(&spec["validations"]).map(|validation| Validation {
        expression: compile(&validation["expression"], &environment, Returns::Bool),
        text: text(validation, "expression").trim().to_owned(),
        message: text(validation, "message").trim().to_owned(),
        message_expression: given(&validation["messageExpression"])
            .then(|| compile(&validation["messageExpression"], &messages, Returns::Text)),
        reason: text(validation, "reason"),
    });
    let annotations = list(&spec["auditAnnotations"]).map(|annotation| Annotation {
        key: text(annotation, "key"),
        value: compile(&annotation["valueExpression"], &environment, Returns::TextOrNull),
    });
    let mutations = list(&spec["mutations"]).map(|mutation| match mutation["patchType"].as_str() {
        Some("JSONPatch") => {
            Mutation::JsonPatch(compile(&mutation["jsonPatch"]["expression"], &environment, Returns::Patches))
        }
        _ => Mutation::Apply(compile(&mutation["applyConfiguration"]["expression"], &environment, Returns::Object)),
    });
    Policy {
        name,
        matching: Matching::of_match_resources(&spec["matchConstraints"]),
        fails_closed,
        conditions: Conditions::of(&spec["matchConditions"], fails_closed, params),
        broken,
        validations: validations.collect(),
        annotations: annotations.collect(),
        mutations: mutations.collect(),
        reinvoked: spec["reinvocationPolicy"] == "IfNeeded",
        variables,
        param_kind,
        bindings,
    }
}
