//! LimitRanges: what containers get that do not say, and what they may ask for at least and at most.

use berth_types::quota::{Amount, Amounts, read_all};
use serde_json::{Map, Value, json};

use super::Operation;
use super::attributes::Attributes;
use crate::registry::Rows;
use crate::status::ApiError;
use crate::write::{Write, meta};

/// Annotation that tells what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

fn is_task(w: &Write<'_>) -> bool {
    w.resource.group == berth_types::GROUP && w.resource.plural == "tasks"
}

fn is_volume(w: &Write<'_>) -> bool {
    w.resource.group == berth_types::GROUP && w.resource.plural == "volumes"
}

/// Whether there may be limits to what a write asks for: a first look that costs nothing where there are none.
pub(crate) fn concern(w: &Write<'_>, operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Update)
        && (is_task(w) || is_volume(w))
        && w.server
            .registry
            .rows()
            .find("", "v1", "limitranges")
            .is_some_and(|row| !row.storage.cache.snapshot().is_empty())
}

/// The LimitRanges of a namespace, by name.
fn ranges(rows: &Rows, namespace: &str) -> Vec<Value> {
    let Some(row) = rows.find("", "v1", "limitranges") else { return Vec::new() };
    let snapshot = row.storage.cache.snapshot();
    let entries = snapshot.after(Some(namespace), None);
    entries.filter_map(|entry| serde_json::from_slice(&entry.kv().value).ok()).collect()
}

/// Fills in what a new Task's containers do not say. Returns whether anything changed.
pub(crate) fn fill(w: &Write<'_>, a: &Attributes, object: &mut Value) -> bool {
    if a.operation != Operation::Create || !a.subresource.is_empty() || !is_task(w) {
        return false;
    }
    let mut changed = false;
    for range in ranges(&w.server.registry.rows(), &a.namespace) {
        changed |= fill_from(&range, object);
    }
    changed
}

fn items<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    range["spec"]["limits"].as_array().into_iter().flatten().filter(move |item| item["type"] == kind)
}

fn fill_from(range: &Value, object: &mut Value) -> bool {
    let gather = |field: &str| -> Map<String, Value> {
        items(range, "Container").flat_map(|item| item[field].as_object().cloned().unwrap_or_default()).collect()
    };
    let defaults = [("requests", "request", gather("defaultRequest")), ("limits", "limit", gather("default"))];
    let mut notes = Vec::new();
    for (kind, of) in [("containers", "container"), ("initContainers", "init container")] {
        for container in object["spec"][kind].as_array_mut().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (field, word, values) in &defaults {
                let mut set = Vec::new();
                for (resource, value) in values {
                    let slot = &mut container["resources"][*field][resource.as_str()];
                    if slot.is_null() {
                        *slot = value.clone();
                        set.push(resource.as_str());
                    }
                }
                if !set.is_empty() {
                    notes.push(format!("{} {word} for {of} {name}", set.join(", ")));
                }
            }
        }
    }
    if notes.is_empty() {
        return false;
    }
    let note = format!("LimitRanger plugin set: {}", notes.join("; "));
    let annotations = meta::of(object).entry("annotations").or_insert_with(|| json!({}));
    annotations[ANNOTATION] = note.into();
    true
}

/// Refuses a Task or a Volume that is outside the limits of its namespace.
///
/// # Errors
/// 403 with everything that is too little or too much.
pub(crate) fn check(w: &Write<'_>, a: &Attributes, object: &Value) -> Result<(), ApiError> {
    if !a.subresource.is_empty() || !matches!(a.operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    let of_volume = is_volume(w);
    // A task's containers cannot be changed once they are.
    if !of_volume && (!is_task(w) || a.operation != Operation::Create) {
        return Ok(());
    }
    for range in ranges(&w.server.registry.rows(), &a.namespace) {
        let problems = if of_volume { volume_problems(&range, object) } else { task_problems(&range, object) };
        let why = match problems.as_slice() {
            [] => continue,
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        return Err(ApiError::forbidden(w.resource.named(), &a.name, &why));
    }
    Ok(())
}

fn volume_problems(range: &Value, object: &Value) -> Vec<String> {
    let asked: Amounts =
        Amount::read(&object["spec"]["size"]).map(|size| ("storage".to_owned(), size)).into_iter().collect();
    let mut problems = Vec::new();
    for item in items(range, "PersistentVolumeClaim") {
        for (name, least) in read_all(&item["min"]) {
            problems.extend(too_little("PersistentVolumeClaim", &name, least, &asked, &Amounts::new()));
        }
        for (name, most) in read_all(&item["max"]) {
            // What is asked for is all it gets: the request is the limit.
            problems.extend(
                too_much("PersistentVolumeClaim", &name, most, &asked, &asked)
                    .map(|why| why.replace("but limit is", "but request is")),
            );
        }
    }
    problems
}

fn task_problems(range: &Value, object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let of = |kind: &str| -> Vec<(Amounts, Amounts)> {
        let containers = spec[kind].as_array().into_iter().flatten();
        containers.map(|c| (read_all(&c["resources"]["requests"]), read_all(&c["resources"]["limits"]))).collect()
    };
    let (main, init) = (of("containers"), of("initContainers"));
    let mut problems = Vec::new();
    for item in items(range, "Container") {
        for (requests, limits) in main.iter().chain(&init) {
            check_item("Container", item, requests, limits, &mut problems);
        }
    }
    for item in items(range, "Pod") {
        let requests = whole(main.iter().map(|(requests, _)| requests), init.iter().map(|(requests, _)| requests));
        let limits = whole(main.iter().map(|(_, limits)| limits), init.iter().map(|(_, limits)| limits));
        check_item("Pod", item, &requests, &limits, &mut problems);
    }
    problems
}

/// What a task asks for as a whole: of resources that every container names the sum, or what the largest init
/// container asks for.
fn whole<'a>(main: impl Iterator<Item = &'a Amounts> + Clone, init: impl Iterator<Item = &'a Amounts>) -> Amounts {
    let mut sum = Amounts::new();
    for amounts in main.clone() {
        for (name, amount) in amounts {
            let all = sum.entry(name.clone()).or_default();
            *all = all.plus(*amount);
        }
    }
    sum.retain(|name, _| main.clone().all(|amounts| amounts.contains_key(name)));
    for amounts in init {
        for (name, amount) in amounts {
            if let Some(all) = sum.get_mut(name)
                && all.milli < amount.milli
            {
                *all = *amount;
            }
        }
    }
    sum
}

fn check_item(kind: &str, item: &Value, requests: &Amounts, limits: &Amounts, problems: &mut Vec<String>) {
    for (name, least) in read_all(&item["min"]) {
        problems.extend(too_little(kind, &name, least, requests, limits));
    }
    for (name, most) in read_all(&item["max"]) {
        problems.extend(too_much(kind, &name, most, requests, limits));
    }
    for (name, most) in read_all(&item["maxLimitRequestRatio"]) {
        problems.extend(too_uneven(kind, &name, most, requests, limits));
    }
}

fn too_little(kind: &str, name: &str, least: Amount, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let start = format!("minimum {name} usage per {kind} is {least}");
    let Some(request) = requests.get(name) else { return Some(format!("{start}.  No request is specified")) };
    if request.milli < least.milli {
        return Some(format!("{start}, but request is {request}"));
    }
    let limit = limits.get(name).filter(|limit| limit.milli < least.milli)?;
    Some(format!("{start}, but limit is {limit}"))
}

fn too_much(kind: &str, name: &str, most: Amount, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let start = format!("maximum {name} usage per {kind} is {most}");
    let Some(limit) = limits.get(name) else { return Some(format!("{start}.  No limit is specified")) };
    if limit.milli > most.milli {
        return Some(format!("{start}, but limit is {limit}"));
    }
    let request = requests.get(name).filter(|request| request.milli > most.milli)?;
    Some(format!("{start}, but request is {request}"))
}

fn too_uneven(kind: &str, name: &str, most: Amount, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let start = format!("{name} max limit to request ratio per {kind} is {most}");
    let given = |amounts: &Amounts| amounts.get(name).map(|amount| amount.milli).filter(|milli| *milli != 0);
    let Some(request) = given(requests) else {
        return Some(format!("{start}, but no request is specified or request is 0"));
    };
    let Some(limit) = given(limits) else { return Some(format!("{start}, but no limit is specified or limit is 0")) };
    let ratio = limit as f64 / request as f64;
    (ratio * 1000.0 > most.milli as f64).then(|| format!("{start}, but provided ratio is {ratio:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(resources: Value) -> Value {
        json!({"metadata": {"name": "t"}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
    }

    #[test]
    fn what_is_not_said_is_filled_in_and_told() {
        let range = json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"},
            "defaultRequest": {"cpu": "100m"}}]}});
        let mut object = task(json!({"limits": {"memory": "2Gi"}}));
        assert!(fill_from(&range, &mut object));
        assert_eq!(
            object["spec"]["containers"][0]["resources"],
            json!({"limits": {"memory": "2Gi", "cpu": "1"}, "requests": {"cpu": "100m"}})
        );
        assert_eq!(
            object["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        );
        assert!(!fill_from(&range, &mut object));
    }

    #[test]
    fn too_little_too_much_and_too_uneven_are_refused() {
        let range = |item: Value| json!({"spec": {"limits": [item]}});
        let given = task(json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "2"}}));
        for (item, told) in [
            (
                json!({"type": "Container", "min": {"cpu": "200m"}}),
                "minimum cpu usage per Container is 200m, but request is 100m",
            ),
            (json!({"type": "Container", "max": {"cpu": "1"}}), "maximum cpu usage per Container is 1, but limit is 2"),
            (
                json!({"type": "Pod", "max": {"memory": "1Gi"}}),
                "maximum memory usage per Pod is 1Gi.  No limit is specified",
            ),
            (
                json!({"type": "Pod", "min": {"memory": "1Gi"}}),
                "minimum memory usage per Pod is 1Gi.  No request is specified",
            ),
            (
                json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "4"}}),
                "cpu max limit to request ratio per Container is 4, but provided ratio is 20.000000",
            ),
        ] {
            assert_eq!(task_problems(&range(item.clone()), &given), [told], "{item}");
        }
        assert!(
            task_problems(&range(json!({"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "50m"}})), &given)
                .is_empty()
        );
    }

    #[test]
    fn a_volume_keeps_to_its_limits() {
        let range = json!({"spec": {"limits": [{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "4Gi"}}]}});
        let problems = |size: &str| volume_problems(&range, &json!({"spec": {"size": size}}));
        assert_eq!(problems("8Gi"), ["maximum storage usage per PersistentVolumeClaim is 4Gi, but request is 8Gi"]);
        assert_eq!(problems("1Mi"), ["minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"]);
        assert!(problems("2Gi").is_empty());
    }
}
