//! What a definition must say of the conversion between its versions. Paths are those of kube-apiserver's internal
//! form, which is flatter than what is posted.

use std::collections::HashSet;

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::rules::label_problem;
use crate::webhook::Endpoint;

/// Versions of ConversionReview that a webhook may speak; we speak the first.
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn validate(conversion: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if old == Some(conversion) {
        return;
    }
    let (config_field, versions_field) =
        ("spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions");
    let (config, versions) =
        (&conversion["webhook"]["clientConfig"], &conversion["webhook"]["conversionReviewVersions"]);
    match conversion["strategy"].as_str().unwrap_or_default() {
        "None" => {
            let message = "should not be set when strategy is not set to Webhook";
            if !config.is_null() {
                errors.push(FieldError::forbidden(config_field, message));
            }
            if versions.as_array().is_some_and(|list| !list.is_empty()) {
                errors.push(FieldError::forbidden(versions_field, message));
            }
        }
        "Webhook" => {
            if config.is_null() {
                errors.push(FieldError::required(config_field, "required when strategy is set to Webhook"));
            } else if config["url"].is_null() == config["service"].is_null() {
                errors.push(FieldError::required(config_field, "exactly one of url or service is required"));
            } else if let Err(why) = Endpoint::of_client_config(config) {
                errors.push(FieldError::invalid(format!("{config_field}.url"), &config["url"], &why));
            }
            validate_review_versions(versions, versions_field, errors);
        }
        "" => errors.push(FieldError::required("spec.conversion.strategy", "")),
        other => {
            let known = [json!("None"), json!("Webhook")];
            errors.push(FieldError::not_supported("spec.conversion.strategy", &json!(other), &known));
        }
    }
}

fn validate_review_versions(versions: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let list = versions.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        errors.push(FieldError::required(field, ""));
        return;
    }
    let mut seen = HashSet::new();
    for (i, version) in list.iter().enumerate() {
        let name = version.as_str().unwrap_or_default();
        if !seen.insert(name) {
            errors.push(FieldError::invalid(format!("{field}[{i}]"), version, "duplicate version"));
        } else if let Some(why) = label_problem(name) {
            errors.push(FieldError::invalid(format!("{field}[{i}]"), version, &why));
        }
    }
    if !REVIEW_VERSIONS.iter().any(|known| seen.contains(known)) {
        let message = format!("must include at least one of {}", REVIEW_VERSIONS.join(", "));
        errors.push(FieldError::invalid(field, versions, &message));
    } else if !seen.contains(REVIEW_VERSIONS[0]) {
        // Upstream speaks the older one, too; accepted here, every conversion would fail.
        errors.push(FieldError::invalid(field, versions, "must include v1: no other version is spoken here"));
    }
}
