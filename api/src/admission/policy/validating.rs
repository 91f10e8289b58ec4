//! Policies that judge writes.

use serde_json::{Value, json};

use super::evaluate::{Denial, evaluate};
use super::params::{Problem, collect, row_of};
use super::table::{Binding, Policies, Policy};
use crate::admission::attributes::{Attributes, namespace_object};
use crate::admission::expressions::Input;
use crate::admission::hooks::Objects;
use crate::admission::versions::Shown;
use crate::status::ApiError;
use crate::write::Write;

const FAILURES: &str = "validation.policy.admission.k8s.io/validation_failure";
/// Failures that one note lists, and bytes of one value: the audit log is not to be flooded.
const FAILURES_MAX: usize = 50;
const VALUE_BYTES_MAX: usize = 10 << 10;

/// What was found of one write.
#[derive(Default)]
struct Findings {
    /// The first refusal: policy, binding, and why.
    denied: Option<(String, Option<String>, Denial)>,
    failures: Vec<Value>,
    warnings: Vec<String>,
    /// Notes of the policy that is looked at: key and distinct values.
    notes: Vec<(String, Vec<String>)>,
}

impl Findings {
    fn deny(&mut self, policy: &Policy, binding: Option<&Binding>, denial: Denial) {
        let binding = binding.map(|binding| binding.name.clone());
        self.denied.get_or_insert_with(|| (policy.name.clone(), binding, denial));
    }

    /// Something is wrong with the policy or the binding rather than with the write.
    fn misconfigured(&mut self, policy: &Policy, binding: Option<&Binding>, why: &str) {
        if policy.fails_closed {
            let what = if binding.is_some() { "binding" } else { "policy" };
            let message = format!("failed to configure {what}: {why}");
            self.deny(policy, binding, Denial { index: 0, message, reason: String::new() });
        }
    }
}

/// Evaluates every policy that the write concerns.
///
/// # Errors
/// The first refusal, with the code of its reason.
pub(crate) async fn validate(
    w: &mut Write<'_>,
    a: &Attributes,
    policies: &Policies,
    objects: Objects<'_>,
) -> Result<(), ApiError> {
    let mut found = Findings::default();
    let mut namespace: Option<Value> = None;
    for policy in &policies.validating {
        let matched = match policy.matching.matches(w, a, objects.object, objects.old).await {
            Ok(Some(matched)) => matched,
            Ok(None) => continue,
            Err(error) => {
                found.misconfigured(policy, None, error.message());
                continue;
            }
        };
        let row = match row_of(w, policy.param_kind.as_ref()) {
            Ok(row) => row,
            Err(Problem::Policy(why) | Problem::Binding(why)) => {
                found.misconfigured(policy, None, &why);
                continue;
            }
        };
        let mut input = None;
        for binding in &policy.bindings {
            if let Some(matching) = &binding.matching {
                match matching.matches(w, a, objects.object, objects.old).await {
                    Ok(Some(_)) => {}
                    Ok(None) => continue,
                    Err(error) => {
                        found.misconfigured(policy, Some(binding), error.message());
                        continue;
                    }
                }
            }
            let params = match collect(w, a, row.as_ref(), binding.param_ref.as_ref()).await {
                Ok(params) => params,
                Err(Problem::Policy(why) | Problem::Binding(why)) => {
                    found.misconfigured(policy, Some(binding), &why);
                    continue;
                }
            };
            if namespace.is_none() {
                namespace = Some(namespace_of(w, a).await?);
            }
            if input.is_none() {
                let shown = Shown::of(w, a, &matched, objects).await?;
                input = Some(Input::of(w, a, &matched, objects, shown, namespace.clone().unwrap_or_default()));
            }
            let Some(input) = &input else { continue };
            for params in &params {
                judge(w, policy, binding, input, params.as_ref(), &mut found);
            }
        }
        for (key, values) in found.notes.drain(..) {
            w.trail.annotate(&format!("{}/{key}", policy.name), values.join(", "));
        }
    }
    w.warnings.append(&mut found.warnings);
    if !found.failures.is_empty() {
        found.failures.truncate(FAILURES_MAX);
        w.trail.annotate(FAILURES, Value::Array(found.failures).to_string());
    }
    match found.denied {
        Some((policy, binding, denial)) => Err(refusal(w, a, &policy, binding.as_deref(), denial)),
        None => Ok(()),
    }
}

/// The namespace of the object; null for what lies in none, and for namespaces themselves.
pub(super) async fn namespace_of(w: &Write<'_>, a: &Attributes) -> Result<Value, ApiError> {
    if a.namespace.is_empty() || a.is_namespace {
        return Ok(Value::Null);
    }
    namespace_object(w, &a.namespace).await
}

/// One policy by one binding with one parameter.
fn judge(
    w: &Write<'_>,
    policy: &Policy,
    binding: &Binding,
    input: &Input,
    params: Option<&Value>,
    found: &mut Findings,
) {
    let verdict = evaluate(w, policy, input, params);
    for denial in verdict.denials {
        for action in &binding.actions {
            match action.as_str() {
                "Deny" => found.deny(policy, Some(binding), denial.clone()),
                "Warn" => found.warnings.push(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                    policy.name, binding.name, denial.message
                )),
                "Audit" => found.failures.push(json!({
                    "message": denial.message, "policy": policy.name, "binding": binding.name,
                    "expressionIndex": denial.index, "validationActions": binding.actions,
                })),
                _ => {}
            }
        }
    }
    for (key, mut value) in verdict.annotations {
        value.truncate(value.floor_char_boundary(VALUE_BYTES_MAX));
        match found.notes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => found.notes.push((key, vec![value])),
        }
    }
    for message in verdict.failed_annotations {
        found.deny(policy, Some(binding), Denial { index: 0, message, reason: String::new() });
    }
}

/// The error that a client gets.
fn refusal(w: &Write<'_>, a: &Attributes, policy: &str, binding: Option<&str>, denial: Denial) -> ApiError {
    let by = binding.map(|binding| format!(" with binding '{binding}'")).unwrap_or_default();
    let message = format!("ValidatingAdmissionPolicy '{policy}'{by} denied request: {}", denial.message);
    let reason = if denial.reason.is_empty() { "Invalid".to_owned() } else { denial.reason };
    let code = match reason.as_str() {
        "Forbidden" => 403,
        "Unauthorized" => 401,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    ApiError::forbidden(w.resource.named(), &a.name, &message).with_reason(code, reason).with_cause(message)
}
