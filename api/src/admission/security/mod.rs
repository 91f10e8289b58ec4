//! Security levels for tasks: Kubernetes' Pod Security Standards, by the labels of namespaces.
//!
//! Tasks are refused by the level that their namespace enforces; the templates that tasks are made from are only
//! warned of and noted, so that a template can be written before the namespace is opened for it.

mod baseline;
mod checks;
mod level;
mod restricted;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use self::checks::{details, evaluate, reasons};
use self::level::{Level, LevelVersion, Policy};
use self::spec::Subject;
use super::Operation;
use super::attributes::{Attributes, namespace_object};
use crate::status::ApiError;
use crate::write::{Write, meta};

const PREFIX: &str = "pod-security.kubernetes.io/";
/// Tasks that a change of a namespace's level is checked against, as upstream: more would make the change slow.
const TASKS_CHECKED_MAX: usize = 3000;

/// What a kind is to the standards.
enum Role {
    Namespace,
    Task,
    /// It has a template at `spec.template`.
    Owner,
}

fn role(w: &Write<'_>) -> Option<Role> {
    match (w.resource.group.as_str(), w.resource.plural.as_str()) {
        ("", "namespaces") => Some(Role::Namespace),
        (berth_types::GROUP, "tasks") => Some(Role::Task),
        (berth_types::GROUP, "services" | "jobs" | "jobruns") => Some(Role::Owner),
        _ => None,
    }
}

/// Whether a kind is one that the standards speak of.
pub(crate) fn concerns(w: &Write<'_>) -> bool {
    role(w).is_some()
}

/// Judges a create or an update.
///
/// # Errors
/// 403 for a task that breaks the enforced level, 422 for labels that cannot be read.
pub(crate) async fn check(
    w: &mut Write<'_>,
    a: &Attributes,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    if !a.subresource.is_empty() || !matches!(a.operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    match role(w) {
        None => Ok(()),
        Some(Role::Namespace) => check_namespace(w, a, object, old),
        Some(Role::Task) => {
            if old.is_some_and(|old| !is_significant(object, old)) {
                return Ok(());
            }
            let (policy, unread) = policy_of(w, &a.namespace).await?;
            if policy.is_open() {
                return Ok(());
            }
            let subject = Subject { metadata: &object["metadata"], spec: &object["spec"] };
            judge(w, a, policy, unread, subject, true)
        }
        Some(Role::Owner) => {
            let (policy, unread) = policy_of(w, &a.namespace).await?;
            let template = &object["spec"]["template"];
            if !policy.is_heard() || !template["spec"].is_object() {
                return Ok(());
            }
            let subject = Subject { metadata: &template["metadata"], spec: &template["spec"] };
            judge(w, a, policy, unread, subject, false)
        }
    }
}

/// The policy of a namespace, and why its labels cannot be read, if so. Without labels nothing is copied.
async fn policy_of(w: &Write<'_>, namespace: &str) -> Result<(Policy, Option<String>), ApiError> {
    let cached = {
        let rows = w.server.registry.rows();
        rows.find("", "v1", "namespaces").and_then(|row| row.storage.cache.get("", namespace))
    };
    let labels = match cached {
        Some(entry) if entry.labels().all(|(key, _)| !key.starts_with(PREFIX)) => return Ok((Policy::OPEN, None)),
        Some(entry) => {
            Value::Object(entry.labels().map(|(k, v)| (k.to_owned(), v.into())).collect::<Map<String, Value>>())
        }
        None => namespace_object(w, namespace).await?["metadata"]["labels"].clone(),
    };
    let (policy, errors) = Policy::of(&labels);
    let texts: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.detail)).collect();
    Ok((policy, (!texts.is_empty()).then(|| texts.join(", "))))
}

fn judge(
    w: &mut Write<'_>,
    a: &Attributes,
    policy: Policy,
    unread: Option<String>,
    subject: Subject<'_>,
    enforced: bool,
) -> Result<(), ApiError> {
    if let Some(why) = unread {
        w.trail.annotate(&format!("{PREFIX}error"), format!("Failed to parse policy: {why}"));
    }
    let mut refused = None;
    if enforced {
        w.trail.annotate(&format!("{PREFIX}enforce-policy"), policy.enforce.to_string());
        let found = evaluate(policy.enforce, subject);
        if !found.is_empty() {
            let why = format!("violates PodSecurity \"{}\": {}", policy.enforce, details(&found));
            refused = Some(ApiError::forbidden(w.resource.named(), &a.name, &why));
        }
    }
    let would = |at: LevelVersion| {
        let found = evaluate(at, subject);
        (!found.is_empty()).then(|| format!("would violate PodSecurity \"{at}\": {}", details(&found)))
    };
    if let Some(note) = would(policy.audit) {
        w.trail.annotate(&format!("{PREFIX}audit-violations"), note);
    }
    match refused {
        Some(error) => Err(error),
        None => {
            w.warnings.extend(would(policy.warn));
            Ok(())
        }
    }
}

/// Whether an update of a task changes what the standards look at. Most of a task cannot be changed at all.
fn is_significant(new: &Value, old: &Value) -> bool {
    ["containers", "initContainers"].iter().any(|kind| {
        let images = |object: &Value| -> Vec<Value> {
            object["spec"][*kind].as_array().into_iter().flatten().map(|c| c["image"].clone()).collect()
        };
        images(new) != images(old)
    })
}

fn check_namespace(w: &mut Write<'_>, a: &Attributes, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let (policy, errors) = Policy::of(&object["metadata"]["labels"]);
    let before = old.map(|old| Policy::of(&old["metadata"]["labels"]));
    if !errors.is_empty() && before.as_ref().is_none_or(|(_, known)| *known != errors) {
        return Err(w.invalid(&a.name, errors));
    }
    let Some((before, _)) = before else { return Ok(()) };
    let (enforce, was) = (policy.enforce, before.enforce);
    let is_relaxed = enforce.version == was.version && enforce.level <= was.level;
    if enforce != was && enforce.level != Level::Privileged && !is_relaxed {
        let warnings = existing(w, &a.name, enforce);
        w.warnings.extend(warnings);
    }
    Ok(())
}

/// What a new level finds wrong with the tasks that are there already: they go on, but would not come back.
fn existing(w: &Write<'_>, namespace: &str, enforce: LevelVersion) -> Vec<String> {
    let rows = w.server.registry.snapshot();
    let Some(row) = rows.any_version(berth_types::GROUP, "tasks") else { return Vec::new() };
    let snapshot = row.storage.cache.snapshot();
    let tasks = snapshot.after(Some(namespace), None);
    let tasks: Vec<Value> = tasks.filter_map(|entry| serde_json::from_slice(&entry.kv().value).ok()).collect();
    let total = tasks.len();
    // One task of each owner first: its other tasks are alike.
    let mut owners = HashSet::new();
    let (first, rest): (Vec<&Value>, Vec<&Value>) = tasks.iter().partition(|task| {
        let owner = task["metadata"]["ownerReferences"][0]["uid"].as_str();
        owner.is_none_or(|uid| owners.insert(uid.to_owned()))
    });
    let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for task in first.into_iter().chain(rest).take(TASKS_CHECKED_MAX) {
        let subject = Subject { metadata: &task["metadata"], spec: &task["spec"] };
        let violations = evaluate(enforce, subject);
        if violations.is_empty() {
            continue;
        }
        let name = meta::text(task, "name");
        let entry = found.entry(reasons(&violations)).or_insert_with(|| (name.to_owned(), 0));
        entry.1 += 1;
        if name < entry.0.as_str() {
            name.clone_into(&mut entry.0);
        }
    }
    let mut warnings = Vec::new();
    if total > TASKS_CHECKED_MAX {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {TASKS_CHECKED_MAX} of {total} existing tasks"
        ));
    }
    if !found.is_empty() {
        warnings.push(format!(
            "existing tasks in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{enforce}\""
        ));
    }
    let mut of_tasks: Vec<String> = found
        .into_iter()
        .map(|(why, (name, count))| match count {
            1 => format!("{name}: {why}"),
            2 => format!("{name} (and 1 other task): {why}"),
            more => format!("{name} (and {} other tasks): {why}", more - 1),
        })
        .collect();
    of_tasks.sort();
    warnings.extend(of_tasks);
    warnings
}
