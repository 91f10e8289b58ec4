//! Limit ranges: bounds and defaults that must not contradict each other.

use std::collections::{BTreeSet, HashSet};

use berth_schema::FieldError;
use serde_json::Value;

use super::checks::{entries, is_empty, items, text};
use super::quantity::{broken, fill_from, nanos, normalize};
use super::quota::bad_quantity;
use crate::write::meta::bad_qualified_name;

const AMOUNTS: &[&str] = &["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
/// Kubernetes' types without a domain.
const TYPES: &[&str] = &["Pod", "Container", "PersistentVolumeClaim"];
/// Kubernetes' resources without a domain.
const STANDARD: &[&str] = &["cpu", "memory", "ephemeral-storage", "storage", "pods"];

/// Quantities as they are stored; what a container is given is derived from its bounds.
pub(super) fn prepare(object: &mut Value) {
    let limits = object.get_mut("spec").and_then(|spec| spec.get_mut("limits")).and_then(Value::as_array_mut);
    for item in limits.into_iter().flatten().filter_map(Value::as_object_mut) {
        for name in AMOUNTS {
            if let Some(amounts) = item.get_mut(*name) {
                normalize(amounts);
            }
        }
        if item.get("type").is_some_and(|kind| kind == "Container") {
            fill_from(item, "default", "max");
            fill_from(item, "defaultRequest", "default");
            fill_from(item, "defaultRequest", "min");
        }
    }
}

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut types = HashSet::new();
    for (index, item) in items(&new["spec"]["limits"]) {
        let at = format!("spec.limits[{index}]");
        let kind = text(&item["type"]);
        check_type(&format!("{at}.type"), kind, errors);
        if !types.insert(kind) {
            errors.push(FieldError::duplicate(format!("{at}.type"), &kind.into()));
        }
        for name in AMOUNTS {
            if kind == "Pod" && matches!(*name, "default" | "defaultRequest") {
                if !is_empty(&item[*name]) {
                    errors.push(FieldError::forbidden(
                        format!("{at}.{name}"),
                        "may not be specified when `type` is 'Pod'",
                    ));
                }
                continue;
            }
            for (resource, _) in entries(&item[*name]) {
                check_resource(&format!("{at}.{name}[{resource}]"), resource, errors);
            }
            for (resource, amount) in broken(&item[*name]) {
                errors.push(bad_quantity(&format!("{at}.{name}[{resource}]"), amount));
            }
        }
        if kind == "PersistentVolumeClaim" && item["min"]["storage"].is_null() && item["max"]["storage"].is_null() {
            let message = "either minimum or maximum storage value is required, but neither was provided";
            errors.push(FieldError::required(format!("{at}.limits"), message));
        }
        let resources: BTreeSet<&String> =
            AMOUNTS.iter().flat_map(|name| entries(&item[*name])).map(|(name, _)| name).collect();
        for resource in resources {
            check_bounds(&at, item, resource, errors);
        }
    }
}

fn check_type(field: &str, kind: &str, errors: &mut Vec<FieldError>) {
    if let Some(why) = bad_qualified_name(kind) {
        errors.push(FieldError::invalid(field, &kind.into(), &why));
    } else if !kind.contains('/') && !TYPES.contains(&kind) {
        errors.push(FieldError::invalid(field, &kind.into(), "must be a standard limit type or fully qualified"));
    }
}

fn check_resource(field: &str, resource: &str, errors: &mut Vec<FieldError>) {
    if let Some(why) = bad_qualified_name(resource) {
        errors.push(FieldError::invalid(field, &resource.into(), &why));
    } else if !resource.contains('/') && !STANDARD.contains(&resource) && !resource.starts_with("hugepages-") {
        let message = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(field, &resource.into(), message));
    }
}

/// The bounds of one resource against each other.
fn check_bounds(at: &str, item: &Value, resource: &str, errors: &mut Vec<FieldError>) {
    let amount = |name: &str| {
        let given = &item[name][resource];
        Some((nanos(given)?, text(given)))
    };
    let (min, max) = (amount("min"), amount("max"));
    let (default, request) = (amount("default"), amount("defaultRequest"));
    let mut ordered = |low: Option<(i128, &str)>, high: Option<(i128, &str)>, blamed: &str, names: (&str, &str)| {
        if let (Some((low, low_text)), Some((high, high_text))) = (low, high)
            && low > high
        {
            let shown = &item[blamed][resource];
            let message = format!("{} value {low_text} is greater than {} value {high_text}", names.0, names.1);
            errors.push(FieldError::invalid(format!("{at}.{blamed}[{resource}]"), shown, &message));
        }
    };
    ordered(min, max, "min", ("min", "max"));
    ordered(min, request, "defaultRequest", ("min", "default request"));
    ordered(request, max, "defaultRequest", ("default request", "max"));
    ordered(request, default, "defaultRequest", ("default request", "default limit"));
    ordered(min, default, "default", ("min", "default"));
    ordered(default, max, "default", ("default", "max"));
    let Some((ratio, ratio_text)) = amount("maxLimitRequestRatio") else { return };
    let field = format!("{at}.maxLimitRequestRatio[{resource}]");
    let shown = &item["maxLimitRequestRatio"][resource];
    if ratio < 1_000_000_000 {
        errors.push(FieldError::invalid(field.clone(), shown, &format!("ratio {ratio_text} is less than 1")));
    }
    if let (Some((min, _)), Some((max, _))) = (min, max)
        && min > 0
    {
        let limit = max as f64 / min as f64;
        if ratio as f64 / 1e9 > limit {
            let message = format!("ratio {ratio_text} is greater than max/min = {limit:.6}");
            errors.push(FieldError::invalid(field, shown, &message));
        }
    }
}
