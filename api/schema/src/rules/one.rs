//! One rule: as the schema writes it, and compiled.

use berth_cel::env::{DeclType, Env};
use berth_cel::types::Type;
use berth_cel::{Checked, Program, compile};
use serde_json::Value;

use crate::error::CauseReason;

/// The keyword.
pub(super) const KEYWORD: &str = "x-kubernetes-validations";
const SELF: &str = "self";
pub(super) const OLD_SELF: &str = "oldSelf";

/// A rule as the schema writes it; what is absent is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'s> {
    pub(super) rule: &'s str,
    pub(super) message: &'s str,
    pub(super) message_expression: &'s str,
    pub(super) reason: Option<&'s str>,
    pub(super) field_path: &'s str,
    pub(super) optional_old_self: Option<bool>,
}

/// The rules at one place of a schema.
pub(super) fn written(schema: &Value) -> impl Iterator<Item = Written<'_>> {
    let list = schema.get(KEYWORD).and_then(Value::as_array);
    list.into_iter().flatten().map(|rule| {
        let text = |name: &str| rule.get(name).and_then(Value::as_str);
        Written {
            rule: text("rule").unwrap_or_default(),
            message: text("message").unwrap_or_default(),
            message_expression: text("messageExpression").unwrap_or_default(),
            reason: text("reason"),
            field_path: text("fieldPath").unwrap_or_default(),
            optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
        }
    })
}

impl Written<'_> {
    /// What is said of a value that breaks the rule, unless an expression says it.
    pub(super) fn default_message(&self) -> String {
        if self.message.is_empty() { format!("failed rule: {}", self.rule.trim()) } else { self.message.trim().into() }
    }

    /// How errors of an evaluation call the rule.
    pub(super) fn shown(&self) -> &str {
        if self.message.is_empty() { self.rule.trim() } else { self.message.trim() }
    }

    /// The reason of the cause; nothing for a word that is none.
    pub(super) fn cause_reason(&self) -> Option<CauseReason> {
        match self.reason {
            None => Some(CauseReason::Invalid),
            Some(word) => REASONS.into_iter().find(|reason| reason.as_str() == word),
        }
    }

    /// As Go prints the rule in messages that blame it: the JSON of a struct without field names of its own.
    pub(super) fn as_go_json(&self) -> String {
        let text = |text: &str| {
            // Go's encoder escapes what HTML gives a meaning.
            Value::from(text).to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
        };
        format!(
            r#"{{"Rule":{},"Message":{},"MessageExpression":{},"Reason":{},"FieldPath":{},"OptionalOldSelf":{}}}"#,
            text(self.rule),
            text(self.message),
            text(self.message_expression),
            self.reason.map_or_else(|| "null".to_owned(), text),
            text(self.field_path),
            self.optional_old_self.map_or_else(|| "null".to_owned(), |set| set.to_string()),
        )
    }
}

/// The reasons that a rule may give.
pub(super) const REASONS: [CauseReason; 4] =
    [CauseReason::Duplicate, CauseReason::Forbidden, CauseReason::Invalid, CauseReason::Required];

/// The environments of the rules at one place.
pub(super) struct Envs {
    plain: Env,
    /// `oldSelf` may be absent.
    optional: Env,
}

impl Envs {
    pub(super) fn of(decl: &DeclType) -> Self {
        let base = Env::new().with(SELF, decl.clone());
        let optional = DeclType::Optional(std::sync::Arc::new(decl.clone()));
        Self { optional: base.clone().with(OLD_SELF, optional), plain: base.with(OLD_SELF, decl.clone()) }
    }

    pub(super) fn for_rule(&self, rule: &Written<'_>) -> &Env {
        if rule.optional_old_self == Some(true) { &self.optional } else { &self.plain }
    }
}

/// An expression that can be run and estimated.
pub(super) struct Compiled {
    pub(super) checked: Checked,
    pub(super) program: Program,
}

impl Compiled {
    pub(super) fn uses_old_self(&self) -> bool {
        self.checked.variables.iter().any(|name| &**name == OLD_SELF)
    }
}

/// Compiles the rule itself.
///
/// # Errors
/// What is wrong, in kube-apiserver's words.
pub(super) fn compile_rule(rule: &Written<'_>, env: &Env) -> Result<Compiled, String> {
    let checked = compile(rule.rule, env).map_err(|issues| format!("compilation failed: {issues}"))?;
    if checked.output != Type::Bool {
        return Err("cel expression must evaluate to a bool".to_owned());
    }
    let program = Program::new(&checked).map_err(|error| format!("program instantiation failed: {error}"))?;
    Ok(Compiled { checked, program })
}

/// Compiles the expression that makes the message, if there is one.
///
/// # Errors
/// As [`compile_rule`].
pub(super) fn compile_message(rule: &Written<'_>, env: &Env) -> Result<Option<Compiled>, String> {
    if rule.message_expression.is_empty() {
        return Ok(None);
    }
    let checked = compile(rule.message_expression, env)
        .map_err(|issues| format!("messageExpression compilation failed: {issues}"))?;
    if checked.output != Type::String {
        return Err("messageExpression must evaluate to a string".to_owned());
    }
    let program = Program::new(&checked).map_err(|error| format!("messageExpression instantiation failed: {error}"))?;
    Ok(Some(Compiled { checked, program }))
}
