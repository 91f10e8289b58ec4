//! Whose a name is: two kinds of a group may not share one.

use std::collections::HashSet;

use serde_json::Value;

use crate::registry::Resource;

/// The names of a definition as far as they are free.
pub(super) struct Settled {
    /// What it may be called: the wanted names, and where those are taken the ones it had.
    pub(super) accepted: Value,
    /// Why not all wanted names were accepted: reason and message.
    pub(super) conflict: Option<(&'static str, String)>,
}

/// Compares what a definition wants with what the other kinds of its group are called. What it was given before it
/// keeps.
pub(super) fn settle<'r>(crd: &Value, others: impl Iterator<Item = &'r Resource>) -> Settled {
    let (mut resources, mut kinds) = (HashSet::new(), HashSet::new());
    for row in others {
        resources.extend([row.plural.as_str(), row.singular.as_str()]);
        resources.extend(row.short_names.iter().map(String::as_str));
        kinds.extend([row.kind.as_str(), row.list_kind.as_str()]);
    }
    let wanted = &crd["spec"]["names"];
    let given = &crd["status"]["acceptedNames"];
    let mut accepted = if given.is_object() { given.clone() } else { serde_json::json!({}) };
    let mut conflict = None;
    let taken = |name: &str| format!("\"{name}\" is already in use");
    // The last reason counts, in this order.
    for (field, reason, used) in [
        ("plural", "PluralConflict", &resources),
        ("singular", "SingularConflict", &resources),
        ("shortNames", "ShortNamesConflict", &resources),
        ("kind", "KindConflict", &kinds),
        ("listKind", "ListKindConflict", &kinds),
    ] {
        let had: HashSet<&str> = words(&given[field]).collect();
        let rivals: Vec<String> =
            words(&wanted[field]).filter(|name| used.contains(name) && !had.contains(name)).map(taken).collect();
        match rivals.as_slice() {
            [] => match &wanted[field] {
                Value::Null => drop(accepted.as_object_mut().and_then(|names| names.remove(field))),
                names => accepted[field] = names.clone(),
            },
            [one] => conflict = Some((reason, one.clone())),
            many => conflict = Some((reason, format!("[{}]", many.join(", ")))),
        }
    }
    match &wanted["categories"] {
        Value::Null => drop(accepted.as_object_mut().and_then(|names| names.remove("categories"))),
        categories => accepted["categories"] = categories.clone(),
    }
    Settled { accepted, conflict }
}

/// The words of a name field, which is one text or a list of them.
fn words(names: &Value) -> impl Iterator<Item = &str> {
    let list = names.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.as_str().filter(|name| !name.is_empty()).into_iter().chain(list)
}
