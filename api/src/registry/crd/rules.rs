//! What a definition must say, and what it may not change.

use std::collections::HashSet;

use berth_schema::table::Columns;
use berth_schema::{FieldError, Structural};
use serde_json::{Value, json};

use super::FINALIZER_CLEANUP;
use crate::webhook::Endpoint;
use crate::write::meta::{is_dns_label, is_dns_subdomain};

/// Fills in the names that can be derived, the conversion, and the finalizer that waits for the objects.
pub(crate) fn prepare_create(object: &mut Value) {
    default_names(object);
    let versions: Vec<Value> = storage_version(object).into_iter().map(Value::from).collect();
    let root = &mut *object;
    root["status"] = json!({"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": versions});
    let finalizers = &mut root["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|f| f == FINALIZER_CLEANUP) => {}
        Some(list) => list.push(json!(FINALIZER_CLEANUP)),
        None => *finalizers = json!([FINALIZER_CLEANUP]),
    }
}

/// Fills in the names again, and notes a new storage version.
pub(crate) fn prepare_update(new: &mut Value, _old: &Value) {
    default_names(new);
    if let Some(version) = storage_version(new)
        && let Some(stored) = new["status"]["storedVersions"].as_array_mut()
        && !stored.iter().any(|v| *v == version)
    {
        stored.push(version.into());
    }
}

fn default_names(object: &mut Value) {
    let kind = object["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if !kind.is_empty() && object["spec"]["names"].is_object() {
        let names = &mut object["spec"]["names"];
        if names["singular"].as_str().unwrap_or_default().is_empty() {
            names["singular"] = kind.to_lowercase().into();
        }
        if names["listKind"].as_str().unwrap_or_default().is_empty() {
            names["listKind"] = format!("{kind}List").into();
        }
    }
    if object["spec"].is_object() && object["spec"]["conversion"].is_null() {
        object["spec"]["conversion"] = json!({"strategy": "None"});
    }
}

fn storage_version(object: &Value) -> Option<String> {
    crate::registry::builtin::storage_version(object).map(str::to_owned)
}

/// Finds everything that is wrong with a definition.
pub(crate) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &new["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let name = &new["metadata"]["name"];
    if *name != format!("{plural}.{group}") {
        let message = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", name, message));
    }
    if !is_dns_subdomain(&group) || !group.contains('.') {
        let message = "should be a domain with at least one dot";
        errors.push(FieldError::invalid("spec.group", &spec["group"], message));
    }
    let ours = group == berth_types::GROUP;
    let protected = group.ends_with(".k8s.io") || group.ends_with(".kubernetes.io");
    let approved = !new["metadata"]["annotations"]["api-approved.kubernetes.io"].is_null();
    if protected && !approved {
        let field = "metadata.annotations[api-approved.kubernetes.io]";
        errors.push(FieldError::required(field, "protected groups must have approval annotation"));
    }
    if ours {
        errors.push(FieldError::forbidden("spec.group", "this group is the server's own: choose another"));
    }
    for field in ["plural", "singular"] {
        if !is_dns_label(&text(&spec["names"][field])) {
            let message = "a lowercase RFC 1123 label is expected";
            errors.push(FieldError::invalid(format!("spec.names.{field}"), &spec["names"][field], message));
        }
    }
    for field in ["kind", "listKind"] {
        if !is_dns_label(&text(&spec["names"][field]).to_lowercase()) {
            let message = "may have mixed case, but should otherwise match: a DNS label";
            errors.push(FieldError::invalid(format!("spec.names.{field}"), &spec["names"][field], message));
        }
    }
    validate_conversion(&spec["conversion"], errors);
    validate_versions(spec, errors);
    if let Some(old) = old {
        validate_change(new, old, errors);
    }
}

fn validate_conversion(conversion: &Value, errors: &mut Vec<FieldError>) {
    let field = "spec.conversion";
    let webhook = &conversion["webhook"];
    match conversion["strategy"].as_str().unwrap_or_default() {
        "None" if webhook.is_null() => {}
        "None" => {
            let message = "should not be set when strategy is not set to Webhook";
            errors.push(FieldError::forbidden(format!("{field}.webhook"), message));
        }
        "Webhook" => {
            let config = &webhook["clientConfig"];
            if config.is_null() {
                let message = "required when strategy is set to Webhook";
                errors.push(FieldError::required(format!("{field}.webhook.clientConfig"), message));
            } else {
                let field = format!("{field}.webhook.clientConfig");
                if config["url"].is_null() == config["service"].is_null() {
                    errors.push(FieldError::required(field, "exactly one of url or service is required"));
                } else if let Err(why) = Endpoint::of_client_config(config) {
                    errors.push(FieldError::invalid(field, &config["url"], &why));
                }
            }
            let versions = webhook["conversionReviewVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let field = format!("{field}.webhook.conversionReviewVersions");
            if versions.is_empty() {
                errors.push(FieldError::required(field, "must specify at least one version"));
            } else if !versions.iter().any(|version| version == "v1") {
                let message = "must include at least one of v1";
                errors.push(FieldError::invalid(field, &webhook["conversionReviewVersions"], message));
            }
        }
        other => {
            let known = [json!("None"), json!("Webhook")];
            let error = FieldError::not_supported(format!("{field}.strategy"), &json!(other), &known);
            errors.push(error);
        }
    }
}

/// What is let be, but cannot be meant.
pub(crate) fn warnings(_object: &Value, _out: &mut Vec<String>) {}

fn validate_versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.is_empty() {
        errors.push(FieldError::required("spec.versions", "must have at least one version"));
        return;
    }
    let storage = versions.iter().filter(|v| v["storage"] == true).count();
    if storage != 1 {
        let message = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", &json!(storage), message));
    }
    if spec["preserveUnknownFields"] == true {
        let message = "must be false: use x-kubernetes-preserve-unknown-fields in the schema";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", &json!(true), message));
    }
    let mut names = HashSet::new();
    for (index, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{index}]");
        let name = version["name"].as_str().unwrap_or_default();
        if !is_dns_label(name) {
            let message = "a lowercase RFC 1123 label is expected";
            errors.push(FieldError::invalid(format!("{field}.name"), &version["name"], message));
        }
        if !names.insert(name) {
            errors.push(FieldError::duplicate(format!("{field}.name"), &version["name"]));
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        if schema.is_null() {
            errors.push(FieldError::required(format!("{field}.schema.openAPIV3Schema"), "schemas are required"));
        } else {
            let prefix = if versions.len() == 1 { "spec.validation".to_owned() } else { format!("{field}.schema") };
            errors.extend(Structural::check_definition(schema, &format!("{prefix}.openAPIV3Schema"), false));
        }
        if let Err(why) = Columns::compile(&version["additionalPrinterColumns"]) {
            let columns = &version["additionalPrinterColumns"];
            errors.push(FieldError::invalid(format!("{field}.additionalPrinterColumns"), columns, &why));
        }
        let scale = &version["subresources"]["scale"];
        if !scale.is_null() {
            for (name, root) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
                let path = scale[name].as_str().unwrap_or_default();
                if !path.starts_with(root) || path.contains('[') {
                    let message = format!("should be a json path under {root}, without arrays");
                    errors.push(FieldError::invalid(
                        format!("{field}.subresources.scale.{name}"),
                        &scale[name],
                        &message,
                    ));
                }
            }
        }
    }
}

fn validate_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let established = conditions(old).any(|c| c["type"] == "Established" && c["status"] == "True");
    for (path, always) in [("group", true), ("scope", true), ("names/plural", false), ("names/kind", false)] {
        let pointer = format!("/spec/{path}");
        let (was, is) = (old.pointer(&pointer), new.pointer(&pointer));
        if was != is && (always || established) {
            let field = format!("spec.{}", path.replace('/', "."));
            errors.push(FieldError::invalid(field, is.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
    let versions: HashSet<&str> =
        new["spec"]["versions"].as_array().into_iter().flatten().filter_map(|v| v["name"].as_str()).collect();
    for (index, stored) in new["status"]["storedVersions"].as_array().into_iter().flatten().enumerate() {
        let name = stored.as_str().unwrap_or_default();
        if !versions.contains(name) {
            let message = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.push(FieldError::invalid(format!("status.storedVersions[{index}]"), stored, &message));
        }
    }
}

pub(super) fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        let mut crd = json!({
            "metadata": {"name": "widgets.demo.example.com"},
            "spec": {
                "group": "demo.example.com", "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        });
        prepare_create(&mut crd);
        crd
    }

    fn fields(crd: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = Vec::new();
        validate(crd, old, &mut errors);
        errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn names_are_filled_in() {
        let crd = good();
        assert_eq!(crd["spec"]["names"]["listKind"], "WidgetList");
        assert_eq!(crd["spec"]["names"]["singular"], "widget");
        assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
        assert_eq!(fields(&crd, None), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let mut crd = good();
        crd["metadata"]["name"] = json!("x.demo.example.com");
        crd["spec"]["versions"][0]["storage"] = json!(false);
        crd["spec"]["versions"][0]["schema"] = Value::Null;
        assert_eq!(fields(&crd, None), ["metadata.name", "spec.versions", "spec.versions[0].schema.openAPIV3Schema"]);
        let old = good();
        let mut new = good();
        new["spec"]["scope"] = json!("Cluster");
        assert_eq!(fields(&new, Some(&old)), ["spec.scope"]);
    }
}
