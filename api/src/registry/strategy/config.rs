//! Secrets and ConfigMaps: keys, sizes, `stringData`, and what `immutable` freezes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_schema::FieldError;
use serde_json::{Map, Value, json};

/// Whether a JSON patch would carry a value of a Secret to another field, from where it shows up in error messages,
/// selectors and logs.
pub(crate) fn carries_secret(patch: &Value) -> bool {
    let text = |operation: &Value, field: &str| operation[field].as_str().unwrap_or_default().to_owned();
    let in_data =
        |pointer: &str| matches!(pointer.trim_start_matches('/').split('/').next(), Some("data" | "stringData"));
    patch.as_array().into_iter().flatten().any(|operation| {
        matches!(text(operation, "op").as_str(), "move" | "copy")
            && (in_data(&text(operation, "from")) || text(operation, "from").trim_matches('/').is_empty())
            && !in_data(&text(operation, "path"))
    })
}

/// Bytes of all values together, as Kubernetes limits them.
const DATA_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn prepare_secret(object: &mut Value) {
    let Some(root) = object.as_object_mut() else { return };
    if root.get("type").is_none_or(|t| t.is_null() || t == "") {
        root.insert("type".into(), json!("Opaque"));
    }
    // Of a wrong type it stays, and is blamed by the schema: dropping it would lose what was to be kept.
    let is_texts =
        |texts: &Value| texts.as_object().is_some_and(|texts| texts.values().all(|v| v.is_string() || v.is_null()));
    if root.get("stringData").is_none_or(|texts| !texts.is_null() && !is_texts(texts)) {
        return;
    }
    if let Some(Value::Object(texts)) = root.remove("stringData") {
        let data = root.entry("data").or_insert_with(|| Value::Object(Map::new()));
        if data.is_null() {
            *data = Value::Object(Map::new());
        }
        if let Some(data) = data.as_object_mut() {
            for (key, text) in texts {
                if let Value::String(text) = text {
                    data.insert(key, Value::String(STANDARD.encode(text)));
                }
            }
        }
    }
}

pub(super) fn validate_secret(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut bytes = 0;
    for (key, value) in entries(new, "data") {
        check_key(&format!("data[{key}]"), key, errors);
        let text = value.as_str().unwrap_or_default();
        match STANDARD.decode(text) {
            Ok(decoded) => bytes += decoded.len(),
            Err(error) => errors.push(FieldError::invalid(
                format!("data[{key}]"),
                // Never the value itself: it may be a secret in the wrong place.
                &json!("<not shown>"),
                &format!("must be base64: {error}; use stringData for plain text"),
            )),
        }
    }
    if bytes > DATA_BYTES_MAX {
        errors.push(FieldError::too_long("data", DATA_BYTES_MAX as u64));
    }
    check_type(new, errors);
    let Some(old) = old else { return };
    if old["type"] != new["type"] {
        // Only a text is shown: anything else is data that strayed here.
        let shown = new["type"].as_str().map_or_else(|| json!("<not shown>"), Value::from);
        errors.push(FieldError::invalid("type", &shown, "field is immutable"));
    }
    check_frozen(new, old, &["data"], errors);
}

/// What the types that Kubernetes knows must hold.
fn check_type(secret: &Value, errors: &mut Vec<FieldError>) {
    let given = |key: &str| secret["data"].get(key).and_then(Value::as_str);
    let mut require = |key: &str| errors.push(FieldError::required(format!("data[{key}]"), ""));
    match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => {
            ["tls.crt", "tls.key"].into_iter().filter(|key| given(key).is_none()).for_each(require);
        }
        "kubernetes.io/ssh-auth" if given("ssh-privatekey").unwrap_or_default().is_empty() => require("ssh-privatekey"),
        "kubernetes.io/basic-auth" if given("username").is_none() && given("password").is_none() => {
            ["username", "password"].into_iter().for_each(require);
        }
        kind @ ("kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson") => {
            let key = if kind == "kubernetes.io/dockercfg" { ".dockercfg" } else { ".dockerconfigjson" };
            match given(key) {
                None => require(key),
                Some(text) => {
                    let is_json = STANDARD
                        .decode(text)
                        .is_ok_and(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok());
                    if !is_json {
                        let shown = json!("<secret contents redacted>");
                        errors.push(FieldError::invalid(format!("data[{key}]"), &shown, "must be a JSON object"));
                    }
                }
            }
        }
        "kubernetes.io/service-account-token" => {
            let account = &secret["metadata"]["annotations"][SERVICE_ACCOUNT_NAME];
            if account.as_str().unwrap_or_default().is_empty() {
                let field = format!("metadata.annotations[{SERVICE_ACCOUNT_NAME}]");
                errors.push(FieldError::required(field, ""));
            }
        }
        _ => {}
    }
}

/// Names the account that a Secret with a token belongs to.
const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

pub(super) fn validate_config_map(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut bytes = 0;
    for (key, value) in entries(new, "data") {
        check_key(&format!("data[{key}]"), key, errors);
        bytes += value.as_str().map_or(0, str::len);
    }
    for (key, value) in entries(new, "binaryData") {
        let field = format!("binaryData[{key}]");
        check_key(&field, key, errors);
        if new["data"].get(key).is_some() {
            errors.push(FieldError::invalid(field.clone(), &json!(key), "duplicate of key present in data"));
        }
        match STANDARD.decode(value.as_str().unwrap_or_default()) {
            Ok(decoded) => bytes += decoded.len(),
            Err(error) => {
                errors.push(FieldError::invalid(field, &json!("<not shown>"), &format!("must be base64: {error}")))
            }
        }
    }
    if bytes > DATA_BYTES_MAX {
        errors.push(FieldError::too_long("", DATA_BYTES_MAX as u64));
    }
    if let Some(old) = old {
        check_frozen(new, old, &["data", "binaryData"], errors);
    }
}

fn check_frozen(new: &Value, old: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in fields {
        if old.get(field) != new.get(field) {
            errors.push(FieldError::forbidden(*field, "field is immutable when `immutable` is set"));
        }
    }
}

fn entries<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(field).and_then(Value::as_object).into_iter().flatten()
}

fn check_key(field: &str, key: &str, errors: &mut Vec<FieldError>) {
    let legal = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if key.is_empty() || key.len() > 253 || !legal || key == "." || key == ".." {
        errors.push(FieldError::invalid(
            field,
            &json!(key),
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.', at most 253 of them",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_data_wins_and_vanishes() {
        let mut secret = json!({"data": {"a": "b2xk"}, "stringData": {"a": "new"}});
        prepare_secret(&mut secret);
        assert_eq!(secret, json!({"data": {"a": "bmV3"}, "type": "Opaque"}));
    }

    #[test]
    fn broken_base64_is_told_without_the_value() {
        let mut errors = Vec::new();
        validate_secret(&json!({"type": "Opaque", "data": {"pw": "hunter2!"}}), None, &mut errors);
        assert_eq!(errors.len(), 1);
        assert!(!errors[0].to_string().contains("hunter2"));
    }
}
