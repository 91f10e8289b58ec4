//! Asks the rules of an object.
//!
//! The order, the limits and the words are those of kube-apiserver: the rules of a place before those below it, one
//! budget for the whole object, and what an update leaves as it was is told as a warning instead of an error.

use berth_cel::{Activation, Budget, ErrorKind, EvalError, Value as Cel};
use serde_json::Value;

use super::one::OLD_SELF;
use super::tree::{Rule, RuleNode};
use crate::error::{CauseReason, FieldError, Path};
use crate::structural::lists::KeyIndex;

/// Errors told at most, as of the structural part.
const ERRORS_MAX: usize = 500;
/// Bytes of a message that an expression made; upstream's limit.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;
/// Objects nested deeper never come here; the walk must not eat the stack.
const DEPTH_MAX: usize = 128;

/// What is said when the rules were not asked: they may only see what has the form that the schema declares.
const NOT_ASKED: &str = "some validation rules were not checked because the object was invalid; correct the existing \
                         errors to complete validation";

/// Asks all rules of an object that the structural part has judged before: its errors are in `errors`.
///
/// With `old`, rules over `oldSelf` are asked where the old value can be told, and failures at values that did not
/// change become `warnings`.
pub(crate) fn check_object(
    node: &RuleNode,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
    warnings: &mut Vec<String>,
) {
    if errors.iter().any(blocks) {
        errors.push(FieldError::invalid("<nil>", &Value::Null, NOT_ASKED));
        return;
    }
    let mut walk = Walk { budget: Budget::default(), spent: false, errors, warnings };
    walk.node(node, object, old, Ratchet { now: old, above: None }, &Path::ROOT, 0);
}

/// Asks the rules of a default, as for a new value and as for one that stays.
pub(crate) fn check_default(node: &RuleNode, default: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    for old in [Some(default), None] {
        let mut warnings = Vec::new();
        let mut walk = Walk { budget: Budget::default(), spent: false, errors, warnings: &mut warnings };
        walk.node(node, default, old, Ratchet { now: None, above: None }, path, 0);
        if errors.len() > before {
            return;
        }
    }
}

/// Whether rules cannot be asked beside such an error: the object does not have its declared form.
fn blocks(error: &FieldError) -> bool {
    matches!(
        error.reason,
        CauseReason::NotSupported
            | CauseReason::Required
            | CauseReason::TooLong
            | CauseReason::TooMany
            | CauseReason::TypeInvalid
    )
}

/// What of the old object a failure may be compared with.
#[derive(Clone, Copy)]
struct Ratchet<'a> {
    /// The old value of the place.
    now: Option<&'a Value>,
    /// The nearest place above that has one: new and old value.
    above: Option<(&'a Value, &'a Value)>,
}

impl<'a> Ratchet<'a> {
    fn is_unchanged(self, value: &Value) -> bool {
        match (self.now, self.above) {
            (Some(old), _) => value == old,
            (None, Some((value, old))) => value == old,
            (None, None) => false,
        }
    }

    /// Below a place with this value, where the old object has `old`.
    fn below(self, value: &'a Value, old: Option<&'a Value>) -> Self {
        match self.now {
            Some(now) => Self { now: old, above: Some((value, now)) },
            None => self,
        }
    }
}

struct Walk<'w> {
    budget: Budget<'static>,
    /// The budget is used up, or there are enough errors: no rule is asked any more.
    spent: bool,
    errors: &'w mut Vec<FieldError>,
    warnings: &'w mut Vec<String>,
}

impl Walk<'_> {
    fn node<'a>(
        &mut self,
        node: &'a RuleNode,
        value: &'a Value,
        old: Option<&'a Value>,
        ratchet: Ratchet<'a>,
        path: &Path<'_>,
        depth: usize,
    ) {
        // Rules on null are those of the place above.
        if value.is_null() || self.spent || depth > DEPTH_MAX {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        if !node.rules.is_empty() {
            self.rules(node, value, old, ratchet, path);
        }
        match value {
            Value::Object(map) => {
                let olds = old.and_then(Value::as_object);
                let ratchets = ratchet.now.and_then(Value::as_object);
                for (name, child) in &node.props {
                    let Some(value_below) = map.get(&**name) else { continue };
                    let ratchet = ratchet.below(value, ratchets.and_then(|map| map.get(&**name)));
                    let old = olds.and_then(|map| map.get(&**name));
                    self.node(child, value_below, old, ratchet, &path.field(name), depth + 1);
                }
                let Some(child) = &node.additional else { return };
                for (name, value_below) in map {
                    let ratchet = ratchet.below(value, ratchets.and_then(|map| map.get(name)));
                    let old = olds.and_then(|map| map.get(name));
                    self.node(child, value_below, old, ratchet, &path.key(name), depth + 1);
                }
            }
            Value::Array(list) => {
                let Some(child) = &node.items else { return };
                let index = |old: Option<&'a Value>| {
                    node.list_keys.as_deref().zip(old?.as_array()).map(|(keys, old)| KeyIndex::new(old, keys))
                };
                let olds = index(old);
                for (i, value_below) in list.iter().enumerate() {
                    let old = olds.as_ref().and_then(|olds| olds.find(value_below));
                    // What ratchets is told by the same list: where it is not, nothing of it is.
                    let now = old.filter(|_| ratchet.now.is_some());
                    self.node(child, value_below, old, ratchet.below(value, now), &path.index(i), depth + 1);
                }
            }
            _ => {}
        }
    }

    fn rules<'a>(
        &mut self,
        node: &'a RuleNode,
        value: &'a Value,
        old: Option<&'a Value>,
        ratchet: Ratchet<'a>,
        path: &Path<'_>,
    ) {
        let ty = Value::from(&*node.ty);
        if self.budget.remaining() == 0 {
            self.spent = true;
            let message =
                "validation failed due to running out of cost budget, no further validation rules will be run";
            self.push(FieldError::invalid(path.to_string(), &ty, message));
            return;
        }
        let this = Cel::json_as(value, &node.shape);
        let mut activation = Activation::new();
        activation.bind("self", this);
        let before = old.map(|old| Cel::json_as(old, &node.shape));
        let mut bound_optional = None;
        for rule in &node.rules {
            if self.spent {
                return;
            }
            let program = match &rule.program {
                Ok(program) => program,
                Err(why) => {
                    let message = format!("rule compile error: {why}");
                    self.push(FieldError::invalid(path.to_string(), &ty, &message));
                    continue;
                }
            };
            if rule.uses_old_self && before.is_none() && !rule.optional_old_self {
                continue;
            }
            if bound_optional != Some(rule.optional_old_self) {
                bound_optional = Some(rule.optional_old_self);
                match (&before, rule.optional_old_self) {
                    (Some(old), true) => activation.bind(OLD_SELF, Cel::some(old.clone())),
                    (Some(old), false) => activation.bind(OLD_SELF, old.clone()),
                    // A rule that needs it is not asked then.
                    (None, _) => activation.bind(OLD_SELF, Cel::NONE),
                };
            }
            match program.eval(&activation, &mut self.budget) {
                Ok(Cel::Bool(true)) => {}
                Ok(_) => self.broken(rule, &activation, node, value, ratchet, path),
                Err(error) => self.failed(rule, &error, &ty, path),
            }
        }
    }

    /// The rule was asked and says no.
    fn broken<'a>(
        &mut self,
        rule: &'a Rule,
        activation: &Activation<'a>,
        node: &RuleNode,
        value: &'a Value,
        ratchet: Ratchet<'a>,
        path: &Path<'_>,
    ) {
        let field = match (path.is_root(), &*rule.field) {
            (_, "") => path.to_string(),
            (true, below) => below.to_owned(),
            (false, below) => format!("{path}.{below}"),
        };
        let made = match &rule.message_program {
            Some(program) => match program.eval(activation, &mut self.budget) {
                Ok(made) => made.as_str().and_then(usable_message).map(str::to_owned),
                Err(error) if error.is_fatal() => {
                    self.spent = true;
                    let why = message_failure(rule, &error);
                    let error = FieldError::invalid(field, &Value::from(&*node.ty), &why);
                    return self.tell(rule, error, ratchet.is_unchanged(value));
                }
                Err(_) => None,
            },
            None => None,
        };
        let message = made.unwrap_or_else(|| rule.message.to_string());
        // The whole of a list or object would say less than the message.
        let shown = (!matches!(&*node.ty, "object" | "array")).then_some(value);
        let error = match (rule.reason, shown) {
            (CauseReason::Forbidden, _) => FieldError::forbidden(field, &message),
            (CauseReason::Required, _) => FieldError::required(field, &message),
            (CauseReason::Duplicate, Some(value)) => FieldError::duplicate(field, value),
            (CauseReason::Duplicate, None) => {
                FieldError { field, reason: CauseReason::Duplicate, detail: "Duplicate value".into() }
            }
            (_, Some(value)) => FieldError::invalid(field, value, &message),
            (_, None) => {
                FieldError { field, reason: CauseReason::Invalid, detail: format!("Invalid value: {message}") }
            }
        };
        self.tell(rule, error, ratchet.is_unchanged(value));
    }

    /// The rule could not be answered.
    fn failed(&mut self, rule: &Rule, error: &EvalError, ty: &Value, path: &Path<'_>) {
        let shown = &rule.shown;
        let message = match error.kind() {
            ErrorKind::BudgetExhausted | ErrorKind::Interrupted => {
                self.spent = true;
                error.to_string()
            }
            ErrorKind::CostLimit => {
                self.spent = true;
                format!(
                    "'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {shown}"
                )
            }
            ErrorKind::Runtime if error.message().starts_with("no such overload") => format!(
                "'{error}': call arguments did not match a supported operator, function or macro signature for rule: {shown}"
            ),
            ErrorKind::Runtime => format!("{error} evaluating rule: {shown}"),
        };
        self.push(FieldError::invalid(path.to_string(), ty, &message));
    }

    fn tell(&mut self, rule: &Rule, error: FieldError, unchanged: bool) {
        if unchanged && !rule.uses_old_self {
            if self.warnings.len() < ERRORS_MAX {
                self.warnings.push(error.to_string());
            }
        } else {
            self.push(error);
        }
    }

    fn push(&mut self, error: FieldError) {
        self.errors.push(error);
        if self.errors.len() >= ERRORS_MAX {
            self.spent = true;
        }
    }
}

/// The text that an expression made, if it can be shown.
fn usable_message(made: &str) -> Option<&str> {
    let trimmed = made.trim();
    let usable = !trimmed.is_empty() && trimmed.len() <= MESSAGE_BYTES_MAX && !trimmed.contains('\n');
    usable.then_some(trimmed)
}

fn message_failure(rule: &Rule, error: &EvalError) -> String {
    match error.kind() {
        ErrorKind::CostLimit => format!(
            "no further validation rules will be run due to call cost exceeds limit for messageExpression: {}",
            Value::from(&*rule.message_expression)
        ),
        _ => "messageExpression evaluation failed due to running out of cost budget, no further validation rules will \
              be run"
            .to_owned(),
    }
}
