//! Webhooks that change a write: asked one after the other, each sees what those before it made of the object.

use std::collections::HashSet;

use berth_schema::patch::{PatchError, json_patch};
use serde_json::{Value, json};

use super::call::{Failure, applies, ask};
use super::review::Objects;
use super::table::{Hook, Hooks};
use crate::admission::attributes::Attributes;
use crate::admission::matching::Matched;
use crate::admission::versions::{show, take_back};
use crate::status::ApiError;
use crate::write::decode::{Format, decode};
use crate::write::{Write, meta};

const FAILED_OPEN: &str = "failed-open.mutation.webhook.admission.k8s.io/";
const MUTATION: &str = "mutation.webhook.admission.k8s.io/";
const PATCH: &str = "patch.webhook.admission.k8s.io/";

/// Who is asked a second time: those that wish it, were asked before, and whose object was changed since.
#[derive(Debug, Default)]
pub(crate) struct Reinvocation {
    /// 0, then 1.
    pub round: usize,
    /// Something changed the object behind a rule that wishes to be asked again.
    pub wanted: bool,
    asked: HashSet<String>,
    again: HashSet<String>,
    last_output: Option<Value>,
}

impl Reinvocation {
    /// Something changed the object: all that were asked so far see an old one.
    pub(crate) fn changed(&mut self) {
        self.wanted = true;
        self.again.extend(self.asked.drain());
    }

    /// A rule of this name was asked and wishes to be asked again.
    pub(crate) fn note(&mut self, name: String) {
        self.asked.insert(name);
    }

    pub(crate) fn is_due(&self, name: &str) -> bool {
        self.round == 0 || self.again.contains(name)
    }
}

fn id(hook: &Hook) -> String {
    format!("webhook/{}/{}/{}", hook.configuration, hook.index, hook.name)
}

/// Asks every mutating webhook that the write concerns. Returns whether the object changed.
///
/// # Errors
/// A refusal, or a failure of a webhook that must not fail.
pub(crate) async fn mutate(
    w: &mut Write<'_>,
    a: &Attributes,
    hooks: &Hooks,
    object: &mut Value,
    old: Option<&Value>,
    run: &mut Reinvocation,
) -> Result<bool, ApiError> {
    if run.round > 0 && run.last_output.as_ref().is_some_and(|last| last != object) {
        // A rule of our own changed it in the second round.
        run.changed();
    }
    let mut changed = false;
    for (index, hook) in hooks.mutating.iter().enumerate() {
        let objects = Objects { object: Some(object), old };
        let Some(matched) = applies(w, a, hook, objects).await? else { continue };
        let id = id(hook);
        if !run.is_due(&id) {
            continue;
        }
        let mut asked = ask_and_note(w, a, hook, &matched, objects, (run.round, index)).await?;
        if let Some(patch) = asked.take() {
            let patched = apply(w, a, &matched, object, &patch).await?;
            let differs = patched != *object;
            note_patch(w, hook, (run.round, index), differs, &patch);
            if differs {
                *object = patched;
                changed = true;
                run.changed();
            }
        }
        if hook.reinvoked {
            run.note(id);
        }
    }
    if run.round == 0 && run.wanted {
        run.last_output = Some(object.clone());
    }
    Ok(changed)
}

/// Asks the webhooks about a write that has no new object: they may refuse it, and change nothing.
///
/// # Errors
/// A refusal, or a failure of a webhook that must not fail.
pub(crate) async fn forbid_changes(
    w: &mut Write<'_>,
    a: &Attributes,
    hooks: &Hooks,
    objects: Objects<'_>,
) -> Result<(), ApiError> {
    for (index, hook) in hooks.mutating.iter().enumerate() {
        let Some(matched) = applies(w, a, hook, objects).await? else { continue };
        if ask_and_note(w, a, hook, &matched, objects, (0, index)).await?.is_some() {
            return Err(ApiError::internal(format!(
                "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                hook.name
            )));
        }
    }
    Ok(())
}

/// Asks one webhook; the operations of its patch, if it has any.
async fn ask_and_note(
    w: &mut Write<'_>,
    a: &Attributes,
    hook: &Hook,
    matched: &Matched,
    objects: Objects<'_>,
    (round, index): (usize, usize),
) -> Result<Option<Value>, ApiError> {
    let verdict = match ask(w, a, hook, matched, objects, true).await {
        Ok(verdict) => verdict,
        Err(Failure::Refused(error)) => return Err(error),
        Err(Failure::Call(why)) if hook.fails_closed => {
            tracing::warn!(webhook = %hook.name, why, "a webhook failed, the write is refused");
            return Err(ApiError::internal(why));
        }
        Err(Failure::Call(why)) => {
            tracing::warn!(webhook = %hook.name, why, "a webhook failed, the write goes on");
            w.trail.annotate(&format!("{FAILED_OPEN}round_{round}_index_{index}"), hook.name.clone());
            return Ok(None);
        }
    };
    w.warnings.extend(verdict.warnings);
    for (key, value) in verdict.annotations {
        w.trail.annotate(&key, value);
    }
    if let Some(error) = verdict.refused {
        return Err(error);
    }
    if verdict.patch.is_empty() {
        note_mutation(w, hook, (round, index), false);
        return Ok(None);
    }
    // Whatever the failure policy says: a webhook that was reached and speaks nonsense is not one that failed.
    let patch = decode(&verdict.patch, Format::Json).map_err(ApiError::internal)?.value;
    Ok(Some(patch).filter(|patch| patch.as_array().is_none_or(|operations| !operations.is_empty())))
}

/// The object with a patch applied, in the version that the webhook saw.
async fn apply(
    w: &Write<'_>,
    a: &Attributes,
    matched: &Matched,
    object: &Value,
    patch: &Value,
) -> Result<Value, ApiError> {
    let seen = show(w, a, matched, Some(object)).await?;
    let mut patched = json_patch(&seen, patch).map_err(|error| ApiError::internal(go_words(&error, patch)))?;
    keep_identity(&seen, object, &mut patched)?;
    let mut patched = take_back(w, a, matched, patched).await?;
    if a.subresource != "scale" {
        w.check_kind(&mut patched).map_err(|error| ApiError::internal(error.message()))?;
        fit(w, &mut patched)?;
    }
    Ok(patched)
}

/// A rule changes what an object says, not which object it is.
///
/// # Errors
/// When the patched object is none of the kind.
pub(crate) fn keep_identity(seen: &Value, object: &Value, patched: &mut Value) -> Result<(), ApiError> {
    let keeps_kind = ["apiVersion", "kind"].iter().all(|field| patched[*field] == seen[*field]);
    if !patched.is_object() || !keeps_kind || !patched["metadata"].is_object() {
        return Err(ApiError::internal("the patched object is of another kind"));
    }
    for field in ["name", "namespace", "resourceVersion"] {
        let kept = object["metadata"].get(field).cloned();
        match kept {
            Some(value) => meta::of(patched).insert(field.into(), value),
            None => meta::of(patched).remove(field),
        };
    }
    Ok(())
}

/// Fits the object to its schema before the next rule sees it.
pub(crate) fn fit(w: &Write<'_>, object: &mut Value) -> Result<(), ApiError> {
    let managed = meta::of(object).remove("managedFields");
    w.resource.structural().prune(object);
    let fits = w.resource.structural().default(object);
    if let Some(managed) = managed {
        meta::of(object).insert("managedFields".into(), managed);
    }
    if fits { Ok(()) } else { Err(ApiError::too_large_because("the defaults make the patched object too large")) }
}

/// A patch that cannot be applied, as the Go library that kube-apiserver uses tells it where we know its words.
pub(crate) fn go_words(error: &PatchError, patch: &Value) -> String {
    let PatchError::Rejected(why) = error else { return error.to_string() };
    let index = why.strip_prefix("operation ").and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
    let Some(operation) = index.and_then(|index| patch.get(index)) else { return why.clone() };
    let text = |field: &str| operation[field].as_str().unwrap_or_default();
    let (op, path) = (text("op"), text("path"));
    match op {
        "replace" | "add" | "remove" if why.contains("on the way") => {
            format!("{op} operation does not apply: doc is missing path: {path}: missing value")
        }
        "remove" if why.contains("does not exist") => {
            format!("remove operation does not apply: doc is missing path: {path}: missing value")
        }
        "test" => format!("testing value {path} failed: test failed"),
        _ => why.clone(),
    }
}

fn note_mutation(w: &Write<'_>, hook: &Hook, (round, index): (usize, usize), mutated: bool) {
    let note = json!({"configuration": hook.configuration, "webhook": hook.name, "mutated": mutated});
    w.trail.annotate(&format!("{MUTATION}round_{round}_index_{index}"), note.to_string());
}

fn note_patch(w: &Write<'_>, hook: &Hook, (round, index): (usize, usize), mutated: bool, patch: &Value) {
    note_mutation(w, hook, (round, index), mutated);
    // The values of a Secret have no place in a log.
    if w.resource.group.is_empty() && w.resource.plural == "secrets" {
        return;
    }
    // Nor has what a rule put into another object where the policy wants no objects in the log.
    w.trail.annotate_objects(&format!("{PATCH}round_{round}_index_{index}"), || {
        json!({"configuration": hook.configuration, "webhook": hook.name, "patch": patch, "patchType": "JSONPatch"})
            .to_string()
    });
}
