//! Strategic merge patch for the built-in kinds that we serve: a merge patch that knows which lists merge and how,
//! and directives (`$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`).

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{PatchError, TREE_DEPTH_MAX};

const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Comparisons of items that one patch may need. Merging looks at all pairs: no list of a standard kind is so long that
/// it comes near, and a body full of items must not become minutes of work.
const COMPARISONS_MAX: usize = 20_000_000;

/// How the lists of a built-in kind merge; lists that are not named are replaced.
#[derive(Clone, Copy, Debug)]
pub struct BuiltinLists {
    /// By dotted path (list items are stepped through).
    own: &'static [(&'static str, Rule)],
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Items are objects told apart by this member.
    Keyed(&'static str),
    /// Items are scalars; each is there once.
    Set,
}

/// What every object has.
const METADATA: &[(&str, Rule)] =
    &[("metadata.ownerReferences", Rule::Keyed("uid")), ("metadata.finalizers", Rule::Set)];

/// What kinds with conditions have.
const CONDITIONS: &[(&str, Rule)] = &[("status.conditions", Rule::Keyed("type"))];

impl BuiltinLists {
    /// The table of a kind, or `None` for kinds that take no strategic merge patch (answer 415).
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        let own: &'static [(&'static str, Rule)] = match (group, kind) {
            ("", "Namespace") => CONDITIONS,
            ("", "ServiceAccount") => &[("secrets", Rule::Keyed("name")), ("imagePullSecrets", Rule::Keyed("name"))],
            ("", "Secret" | "ConfigMap" | "Event" | "ResourceQuota" | "LimitRange") => &[],
            ("events.k8s.io", "Event") | ("coordination.k8s.io", "Lease") => &[],
            ("rbac.authorization.k8s.io", "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding") => &[],
            ("apiextensions.k8s.io", "CustomResourceDefinition") => &[],
            ("certificates.k8s.io", "CertificateSigningRequest") => &[],
            ("apiregistration.k8s.io", "APIService") => CONDITIONS,
            ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration") => CONDITIONS,
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
                &[("webhooks", Rule::Keyed("name")), ("webhooks.matchConditions", Rule::Keyed("name"))]
            }
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
                &[("spec.matchConditions", Rule::Keyed("name")), ("spec.variables", Rule::Keyed("name"))]
            }
            ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => {
                &[("spec.matchConditions", Rule::Keyed("name"))]
            }
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding") => {
                &[]
            }
            _ => return None,
        };
        Some(Self { own })
    }

    fn rule(self, path: &str) -> Option<Rule> {
        METADATA.iter().chain(self.own).find(|(p, _)| *p == path).map(|(_, rule)| *rule)
    }
}

/// Applies a strategic merge patch.
pub fn strategic_merge_patch(document: &Value, patch: &Value, lists: BuiltinLists) -> Result<Value, PatchError> {
    let Value::Object(members) = patch else {
        let message = "json: cannot unmarshal array into Go value of type map[string]interface {}";
        return Err(PatchError::Malformed(message.to_owned()));
    };
    let empty = Map::new();
    let original = document.as_object().unwrap_or(&empty);
    let merge = Merge { lists, compared: Cell::new(0) };
    Ok(Value::Object(merge_map(original, members, "", &merge, 0)?))
}

type Object = Map<String, Value>;

/// One patch at work.
struct Merge {
    lists: BuiltinLists,
    compared: Cell<usize>,
}

impl Merge {
    /// Counts that all items of one list are compared with all of another, before it is done.
    fn compare(&self, some: usize, others: usize) -> Result<(), PatchError> {
        self.compared.set(self.compared.get().saturating_add(some.saturating_mul(others)));
        if self.compared.get() > COMPARISONS_MAX {
            return Err(PatchError::Rejected("the patch merges lists that are too long".to_owned()));
        }
        Ok(())
    }
}

fn merge_map(original: &Object, patch: &Object, path: &str, merge: &Merge, depth: usize) -> Result<Object, PatchError> {
    if depth > TREE_DEPTH_MAX {
        return Err(PatchError::Malformed(format!("nested more than {TREE_DEPTH_MAX} levels deep")));
    }
    let mut out = original.clone();
    match patch.get("$patch").map(|d| d.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => out.clear(),
        Some("delete") => return Ok(Object::new()),
        Some(other) => return Err(unknown_directive(other)),
    }
    if let Some(kept) = patch.get("$retainKeys") {
        let kept = kept.as_array().ok_or_else(|| malformed("$retainKeys must be a list"))?;
        merge.compare(out.len(), kept.len())?;
        out.retain(|name, _| kept.iter().any(|k| k == name));
    }
    for (name, value) in patch {
        if name.starts_with('$') {
            check_directive(name)?;
            continue;
        }
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (value, out.get(name)) {
            (Value::Null, _) => {
                out.remove(name);
            }
            (Value::Object(members), old) => {
                let empty = Object::new();
                let old = old.and_then(Value::as_object).unwrap_or(&empty);
                let merged = merge_map(old, members, &here, merge, depth + 1)?;
                out.insert(name.clone(), Value::Object(merged));
            }
            (Value::Array(items), old) => {
                let old = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let merged = match merge.lists.rule(&here) {
                    None => items.clone(),
                    Some(Rule::Set) => {
                        merge.compare(old.len() + items.len(), items.len())?;
                        merge_set(old, items)
                    }
                    Some(Rule::Keyed(key)) => merge_keyed(old, items, key, &here, merge, depth)?,
                };
                out.insert(name.clone(), Value::Array(merged));
            }
            (scalar, _) => {
                out.insert(name.clone(), scalar.clone());
            }
        }
    }
    for (name, value) in patch {
        if let Some(field) = name.strip_prefix(DELETE)
            && let (Some(Value::Array(list)), Some(gone)) = (out.get_mut(field), value.as_array())
        {
            merge.compare(list.len(), gone.len())?;
            list.retain(|item| !gone.contains(item));
        }
    }
    for (name, value) in patch {
        if let Some(field) = name.strip_prefix(ORDER) {
            let here = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
            let order = value.as_array().ok_or_else(|| malformed("$setElementOrder must be a list"))?;
            let before = original.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if let Some(Value::Array(list)) = out.get_mut(field) {
                // Each item is looked for in both, more than once.
                merge.compare(list.len(), 3 * (order.len() + before.len()))?;
                *list = reorder(std::mem::take(list), before, order, merge.lists.rule(&here));
            }
        }
    }
    Ok(out)
}

fn check_directive(name: &str) -> Result<(), PatchError> {
    let known = matches!(name, "$patch" | "$retainKeys") || name.starts_with(ORDER) || name.starts_with(DELETE);
    if known { Ok(()) } else { Err(unknown_directive(name)) }
}

fn malformed(message: &str) -> PatchError {
    PatchError::Malformed(message.to_owned())
}

fn unknown_directive(name: &str) -> PatchError {
    PatchError::Malformed(format!("unknown patch directive {name:?}"))
}

fn merge_set(old: &[Value], items: &[Value]) -> Vec<Value> {
    let mut merged = old.to_vec();
    for item in items {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    merged
}

fn merge_keyed(
    old: &[Value],
    items: &[Value],
    key: &str,
    path: &str,
    merge: &Merge,
    depth: usize,
) -> Result<Vec<Value>, PatchError> {
    // Each item is looked for, and may be taken out.
    merge.compare(old.len() + items.len(), 2 * items.len())?;
    let replaces = items.iter().any(|item| item.get("$patch").is_some_and(|d| d == "replace"));
    let mut merged = if replaces { Vec::new() } else { old.to_vec() };
    for item in items {
        let Value::Object(members) = item else { return Err(malformed("items of a keyed list must be objects")) };
        let directive = members.get("$patch").and_then(Value::as_str);
        if directive == Some("replace") {
            continue;
        }
        let Some(id) = members.get(key) else {
            let message = format!("map: {item} does not contain declared merge key: {key}");
            return Err(malformed(&message));
        };
        let at = merged.iter().position(|other| other.get(key) == Some(id));
        if directive == Some("delete") {
            merged.retain(|other| other.get(key) != Some(id));
            continue;
        }
        let empty = Object::new();
        let before = at.and_then(|at| merged[at].as_object()).unwrap_or(&empty);
        let item = Value::Object(merge_map(before, members, path, merge, depth + 1)?);
        match at {
            Some(at) => merged[at] = item,
            None => merged.push(item),
        }
    }
    Ok(merged)
}

/// Puts the items that `order` names in its order; the others keep their place relative to what was there before.
fn reorder(list: Vec<Value>, before: &[Value], order: &[Value], rule: Option<Rule>) -> Vec<Value> {
    let same = |a: &Value, b: &Value| match rule {
        Some(Rule::Keyed(key)) => a.get(key).is_some() && a.get(key) == b.get(key),
        _ => a == b,
    };
    let rank = |item: &Value, list: &[Value]| list.iter().position(|other| same(other, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) = list.into_iter().partition(|i| rank(i, order).is_some());
    named.sort_by_cached_key(|item| rank(item, order));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let mine = rank(&item, before);
        while let (Some(other), Some(mine)) = (others.peek(), mine) {
            if rank(other, before).is_some_and(|theirs| theirs < mine) {
                out.extend(others.next());
            } else {
                break;
            }
        }
        out.push(item);
    }
    out.extend(others);
    out
}
