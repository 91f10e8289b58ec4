//! Policies that change writes, one after the other.

use berth_cel::{Budget, PER_CALL_LIMIT, PER_OBJECT_LIMIT};
use serde_json::Value;

use super::params::{Problem, collect, row_of};
use super::patch::{merged, patched};
use super::table::{Binding, Mutation, Policies, Policy};
use super::validating::namespace_of;
use crate::admission::attributes::Attributes;
use crate::admission::expressions::{Authorizer, Input};
use crate::admission::hooks::{Objects, Reinvocation, fit, keep_identity};
use crate::admission::matching::Matched;
use crate::admission::versions::{Shown, show, take_back};
use crate::status::{ApiError, Cause, Details};
use crate::write::{Write, meta};

/// What went wrong, and whether it was the expressions (then the reason is Invalid) or the configuration.
struct Failures {
    messages: Vec<String>,
    reason: Option<&'static str>,
}

impl Failures {
    fn add(&mut self, policy: &Policy, binding: Option<&Binding>, why: &str, reason: Option<&'static str>) {
        if !policy.fails_closed {
            return;
        }
        let by = binding.map(|binding| format!(" with binding '{}'", binding.name)).unwrap_or_default();
        if self.messages.is_empty() {
            self.reason = reason;
        }
        self.messages.push(format!("policy '{}'{by} denied request: {why}", policy.name));
    }
}

/// Lets every policy that the write concerns change the object. Returns whether it changed.
///
/// # Errors
/// 403 when a policy that must not fail does.
pub(crate) async fn mutate(
    w: &mut Write<'_>,
    a: &Attributes,
    policies: &Policies,
    object: &mut Value,
    old: Option<&Value>,
    run: &mut Reinvocation,
) -> Result<bool, ApiError> {
    let mut failures = Failures { messages: Vec::new(), reason: None };
    let mut namespace: Option<Value> = None;
    let mut changed = false;
    for policy in &policies.mutating {
        let objects = Objects { object: Some(object), old };
        let matched = match policy.matching.matches(w, a, objects.object, objects.old).await {
            Ok(Some(matched)) => matched,
            Ok(None) => continue,
            Err(error) => {
                failures.add(policy, None, &format!("failed to configure policy: {}", error.message()), None);
                continue;
            }
        };
        let row = match row_of(w, policy.param_kind.as_ref()) {
            Ok(row) => row,
            Err(Problem::Policy(why) | Problem::Binding(why)) => {
                failures.add(policy, None, &format!("failed to configure policy: {why}"), None);
                continue;
            }
        };
        for binding in &policy.bindings {
            let objects = Objects { object: Some(object), old };
            if let Some(matching) = &binding.matching {
                match matching.matches(w, a, objects.object, objects.old).await {
                    Ok(Some(_)) => {}
                    Ok(None) => continue,
                    Err(error) => {
                        let why = format!("failed to configure binding: {}", error.message());
                        failures.add(policy, Some(binding), &why, None);
                        continue;
                    }
                }
            }
            let params = match collect(w, a, row.as_ref(), binding.param_ref.as_ref()).await {
                Ok(params) => params,
                Err(Problem::Policy(why) | Problem::Binding(why)) => {
                    failures.add(policy, Some(binding), &format!("failed to configure binding: {why}"), None);
                    continue;
                }
            };
            if namespace.is_none() {
                namespace = Some(namespace_of(w, a).await?);
            }
            for params in &params {
                let id = id(policy, binding, params.as_ref());
                if !run.is_due(&id) {
                    continue;
                }
                let space = namespace.clone().unwrap_or_default();
                match change(w, a, policy, &matched, space, object, old, params.as_ref()).await {
                    Ok(None) => continue,
                    Ok(Some(new)) if new != *object => {
                        *object = new;
                        changed = true;
                        run.changed();
                    }
                    Ok(Some(_)) => {}
                    Err(Failed::Expression(why)) => failures.add(policy, Some(binding), &why, Some("Invalid")),
                    Err(Failed::Whole(error)) => return Err(error),
                }
                if policy.reinvoked {
                    run.note(id);
                }
            }
        }
    }
    match failures.messages.first() {
        None => Ok(changed),
        Some(first) => Err(refusal(w, a, first.clone(), &failures)),
    }
}

fn id(policy: &Policy, binding: &Binding, params: Option<&Value>) -> String {
    let of = params.map(|params| format!("{}/{}", meta::text(params, "namespace"), meta::text(params, "name")));
    format!("policy/{}/{}/{}", policy.name, binding.name, of.unwrap_or_default())
}

enum Failed {
    /// The failure policy decides.
    Expression(String),
    Whole(ApiError),
}

/// The object with all mutations of a policy applied; `None` when its conditions do not hold.
#[allow(clippy::too_many_arguments, reason = "what one evaluation is about, used once")]
async fn change(
    w: &Write<'_>,
    a: &Attributes,
    policy: &Policy,
    matched: &Matched,
    namespace: Value,
    object: &Value,
    old: Option<&Value>,
    params: Option<&Value>,
) -> Result<Option<Value>, Failed> {
    let failed = |why: &String| Failed::Expression(why.clone());
    if let Some(why) = &policy.broken {
        return Err(failed(why));
    }
    let is_scale = a.subresource == "scale";
    let rows = w.server.registry.snapshot();
    let row = rows.find(&w.resource.group, &matched.version, &w.resource.plural).unwrap_or(w.resource);
    let mut current = object.clone();
    let objects = Objects { object: Some(object), old };
    let shown = Shown::of(w, a, matched, objects).await.map_err(Failed::Whole)?;
    let mut input = Input::of(w, a, matched, objects, shown, namespace);
    if !policy.conditions.is_empty() && !policy.conditions.hold(w, &input, params).map_err(Failed::Expression)? {
        return Ok(None);
    }
    let authorizer = Authorizer::of(w);
    for mutation in &policy.mutations {
        let expression = match mutation {
            Mutation::Apply(expression) | Mutation::JsonPatch(expression) => expression.as_ref().map_err(failed)?,
        };
        let new = {
            let activation = input.activation(params, Some(&authorizer), &policy.variables);
            let mut budget = Budget::new(PER_CALL_LIMIT, PER_OBJECT_LIMIT);
            let value = expression.eval(&activation, &mut budget).map_err(Failed::Expression)?;
            match mutation {
                Mutation::Apply(_) => merged(row, is_scale, &input.object, &value, w.now),
                Mutation::JsonPatch(_) => patched(&input.object, &value),
            }
        };
        let mut new = new.map_err(Failed::Expression)?;
        keep_identity(&input.object, &current, &mut new).map_err(Failed::Whole)?;
        let mut new = take_back(w, a, matched, new).await.map_err(Failed::Whole)?;
        if !is_scale {
            w.check_kind(&mut new).map_err(|error| Failed::Expression(error.message().to_owned()))?;
            fit(w, &mut new).map_err(Failed::Whole)?;
        }
        current = new;
        input.object = show(w, a, matched, Some(&current)).await.map_err(Failed::Whole)?;
    }
    Ok(Some(current))
}

/// The error that a client gets.
fn refusal(w: &Write<'_>, a: &Attributes, message: String, failures: &Failures) -> ApiError {
    let causes = failures.messages.iter().map(|message| Cause {
        reason: "".into(),
        message: message.clone(),
        field: String::new(),
    });
    let details = Details {
        name: a.name.clone(),
        group: w.resource.group.clone(),
        kind: w.resource.plural.clone(),
        causes: causes.collect(),
        ..Details::default()
    };
    ApiError::refused(403, failures.reason.unwrap_or("Forbidden"), message, Some(details))
}
