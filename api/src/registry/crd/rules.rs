//! What a definition must say, and what it may not change.

use berth_schema::FieldError;
use serde_json::{Value, json};

use super::approval::{self, Approval};
use super::conversion_rules;
use super::versions;
use crate::write::meta::is_dns_subdomain;

/// Characters of a DNS label.
const LABEL_CHARS_MAX: usize = 63;

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
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !is_dns_subdomain(&group) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                       must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                       is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        errors.push(FieldError::invalid("spec.group", &spec["group"], message));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid("spec.group", &spec["group"], "should be a domain with at least one dot"));
    }
    if group == berth_types::GROUP {
        errors.push(FieldError::forbidden("spec.group", "this group is the server's own: choose another"));
    }
    versions::validate(spec, old.map(|old| &old["spec"]), errors);
    validate_names(&spec["names"], errors);
    if spec["preserveUnknownFields"] == true && old.is_none_or(|old| old["spec"]["preserveUnknownFields"] != true) {
        let message =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", &json!(true), message));
    }
    conversion_rules::validate(&spec["conversion"], old.map(|old| &old["spec"]["conversion"]), errors);
    if let Some(old) = old {
        validate_change(new, old, errors);
    }
    validate_stored_versions(new, errors);
    validate_approval(new, old, &group, errors);
}

fn validate_names(names: &Value, errors: &mut Vec<FieldError>) {
    let field = |name: &str| format!("spec.names.{name}");
    let text = |name: &str| names[name].as_str().unwrap_or_default();
    for name in ["plural", "singular", "kind", "listKind"] {
        if text(name).is_empty() {
            errors.push(FieldError::required(field(name), ""));
        }
    }
    for name in ["plural", "singular"] {
        if let Some(why) = label_problem(text(name)).filter(|_| !text(name).is_empty()) {
            errors.push(FieldError::invalid(field(name), &names[name], &why));
        }
    }
    for name in ["kind", "listKind"] {
        if let Some(why) = label_problem(&text(name).to_lowercase()).filter(|_| !text(name).is_empty()) {
            let message = format!("may have mixed case, but should otherwise match: {why}");
            errors.push(FieldError::invalid(field(name), &names[name], &message));
        }
    }
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        let message = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(field("listKind"), &names["listKind"], message));
    }
    for list in ["shortNames", "categories"] {
        for (i, word) in names[list].as_array().into_iter().flatten().enumerate() {
            if let Some(why) = label_problem(word.as_str().unwrap_or_default()) {
                errors.push(FieldError::invalid(format!("spec.names.{list}[{i}]"), word, &why));
            }
        }
    }
}

/// What keeps a text from being a DNS label (RFC 1035), if anything does.
pub(super) fn label_problem(text: &str) -> Option<String> {
    let mut problems = Vec::new();
    if text.len() > LABEL_CHARS_MAX {
        problems.push(format!("must be no more than {LABEL_CHARS_MAX} bytes"));
    }
    let good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !good {
        let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex \
                     used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
        problems.push(words.to_owned());
    }
    (!problems.is_empty()).then(|| problems.join(","))
}

/// What decides where and as what objects are stored stays.
fn validate_change(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let established = conditions(old).any(|c| c["type"] == "Established" && c["status"] == "True");
    for (path, always) in [("scope", false), ("names/kind", false), ("group", true), ("names/plural", true)] {
        let pointer = format!("/spec/{path}");
        let (was, is) = (old.pointer(&pointer), new.pointer(&pointer));
        if was != is && (always || established) {
            let field = format!("spec.{}", path.replace('/', "."));
            errors.push(FieldError::invalid(field, is.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
}

/// No version may go that objects may be stored in.
fn validate_stored_versions(new: &Value, errors: &mut Vec<FieldError>) {
    let field = "status.storedVersions";
    let stored = &new["status"]["storedVersions"];
    let list: Vec<&str> = stored.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let versions = new["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(storage) = crate::registry::builtin::storage_version(new) {
        if list.is_empty() {
            errors.push(FieldError::invalid(field, &json!(list), "must have at least one stored version"));
            return;
        }
        if !list.contains(&storage) {
            let message = format!("must have the storage version {storage}");
            errors.push(FieldError::invalid(field, stored, &message));
        }
    }
    for (index, name) in list.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let message = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.push(FieldError::invalid(format!("{field}[{index}]"), &json!(name), &message));
        }
    }
}

/// The community's groups need its approval, or the word that they do without.
fn validate_approval(new: &Value, old: Option<&Value>, group: &str, errors: &mut Vec<FieldError>) {
    if !approval::is_protected(group) {
        return;
    }
    let state = Approval::of(new);
    if old.is_some_and(|old| Approval::of(old) == state) {
        return;
    }
    let field = format!("metadata.annotations[{}]", approval::ANNOTATION);
    match state {
        Approval::Given | Approval::Bypassed => {}
        Approval::Missing => errors.push(FieldError::required(field, &state.message(new))),
        Approval::Invalid => {
            let given = &new["metadata"]["annotations"][approval::ANNOTATION];
            errors.push(FieldError::invalid(field, given, &state.message(new)));
        }
    }
}

pub(super) fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::prepare_create;
    use super::*;

    pub(crate) fn good() -> Value {
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
        assert_eq!(fields(&crd, None), ["metadata.name", "spec.versions[0].schema.openAPIV3Schema", "spec.versions"]);
        let mut old = good();
        let mut new = good();
        new["spec"]["scope"] = json!("Cluster");
        assert_eq!(fields(&new, Some(&old)), [""; 0], "nothing is stored before it is established");
        old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        assert_eq!(fields(&new, Some(&old)), ["spec.scope"]);
    }
}
