//! One policy with one parameter, evaluated over one write.

use berth_cel::{Budget, PER_CALL_LIMIT, PER_OBJECT_LIMIT, Value as Cel};
use serde_json::Value;

use super::table::{Policy, Validation};
use crate::admission::expressions::{Authorizer, Input};
use crate::write::Write;

/// Bytes of a message that an expression makes; a longer one is not used.
const MESSAGE_BYTES_MAX: usize = 5 << 10;

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    /// Which of the validations; of the policy as a whole 0.
    pub index: usize,
    pub message: String,
    /// Empty for Invalid.
    pub reason: String,
}

/// What a policy says of a write.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub denials: Vec<Denial>,
    /// Keys and values for the audit log.
    pub annotations: Vec<(String, String)>,
    /// Notes that could not be made, where the policy must not fail: they refuse the write whatever the binding says.
    pub failed_annotations: Vec<String>,
}

/// Evaluates everything.
pub(super) fn evaluate(w: &Write<'_>, policy: &Policy, input: &Input, params: Option<&Value>) -> Verdict {
    let mut verdict = Verdict::default();
    let failed =
        |index: usize, message: String| policy.fails_closed.then_some(Denial { index, message, reason: String::new() });
    if let Some(why) = &policy.broken {
        verdict.denials.extend(failed(0, why.clone()));
        return verdict;
    }
    if !policy.conditions.is_empty() {
        match policy.conditions.hold(w, input, params) {
            Ok(true) => {}
            Ok(false) => return verdict,
            Err(why) => {
                verdict.denials.extend(failed(0, why));
                return verdict;
            }
        }
    }
    let authorizer = Authorizer::of(w);
    let activation = input.activation(params, Some(&authorizer), &policy.variables);
    let mut budget = Budget::new(PER_CALL_LIMIT, PER_OBJECT_LIMIT);
    for (index, validation) in policy.validations.iter().enumerate() {
        let result = match &validation.expression {
            Ok(expression) => expression.eval(&activation, &mut budget),
            Err(why) => Err(why.clone()),
        };
        match result {
            Ok(value) if value.as_bool() == Some(true) => {}
            Ok(_) => {
                let made = validation.message_expression.as_ref().and_then(|expression| {
                    let value = expression.as_ref().ok()?.eval(&activation, &mut budget).ok()?;
                    usable(value.as_str()?)
                });
                let message = made.unwrap_or_else(|| plain_message(validation));
                verdict.denials.push(Denial { index, message, reason: validation.reason.clone() });
            }
            Err(why) => verdict.denials.extend(failed(index, why)),
        }
    }
    let mut budget = Budget::new(PER_CALL_LIMIT, PER_OBJECT_LIMIT);
    for annotation in &policy.annotations {
        let result = match &annotation.value {
            Ok(expression) => expression.eval(&activation, &mut budget),
            Err(why) => Err(why.clone()),
        };
        match result {
            Ok(Cel::Null) => {}
            Ok(value) => {
                let text = value.as_str().unwrap_or_default().trim();
                if !text.is_empty() {
                    verdict.annotations.push((annotation.key.clone(), text.to_owned()));
                }
            }
            Err(why) if policy.fails_closed => verdict.failed_annotations.push(why),
            Err(_) => {}
        }
    }
    verdict
}

/// A message that an expression made, if it is one line of a bearable length.
fn usable(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= MESSAGE_BYTES_MAX && !text.contains('\n')).then(|| text.to_owned())
}

fn plain_message(validation: &Validation) -> String {
    if validation.message.is_empty() {
        format!("failed expression: {}", validation.text)
    } else {
        validation.message.clone()
    }
}
