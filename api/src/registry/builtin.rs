//! Rows from CustomResourceDefinitions: our own kinds, which ship with the binary, and those that users post.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::crd::Conversion;
use super::form::Form;
use super::resource::{LazySchema, Life, Resource, Rules, ScalePaths, Storage};
use super::strategy;

/// The rows of a definition (as JSON), one for each served version.
pub(crate) fn rows_of(crd: &Value, storage: &Arc<Storage>, built_in: bool, form: &Form) -> Vec<Resource> {
    let spec = &crd["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let kind = text(&names["kind"]);
    let group = text(&spec["group"]);
    let terminating = crd["metadata"].get("deletionTimestamp").is_some();
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let api_versions: Vec<String> = versions
        .iter()
        .filter_map(|version| Some(super::resource::api_version(&group, version["name"].as_str()?)))
        .collect();
    versions
        .iter()
        .filter(|version| version["served"].as_bool().unwrap_or(false))
        .map(|version| {
            let name = text(&version["name"]);
            let subresources = &version["subresources"];
            let strategy = if built_in { strategy::of(&group, &kind) } else { &strategy::CUSTOM };
            let list_kind = text(&names["listKind"]);
            let singular = text(&names["singular"]);
            Resource {
                list_kind: if list_kind.is_empty() { format!("{kind}List") } else { list_kind },
                singular: if singular.is_empty() { kind.to_lowercase() } else { singular },
                kind: kind.clone(),
                plural: text(&names["plural"]),
                short_names: texts(&names["shortNames"]),
                categories: texts(&names["categories"]),
                namespaced: spec["scope"] == "Namespaced",
                schema: LazySchema::ready(version["schema"]["openAPIV3Schema"].clone()),
                printer_columns: version["additionalPrinterColumns"].clone(),
                has_status: !subresources["status"].is_null(),
                scale: scale_paths(&subresources["scale"]),
                other_subresources: strategy.subresources,
                selectable: version["selectableFields"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|field| field["jsonPath"].as_str())
                    .map(|path| path.trim_start_matches('.').to_owned())
                    .collect(),
                built_in: false,
                rules: Rules { name_chars_max: strategy.name_chars_max, ..Rules::CUSTOM },
                strategy,
                answer: None,
                deprecation: deprecation(version, &group, &name, &kind),
                terminating,
                storage: Arc::clone(storage),
                life: Life {
                    form: form.clone(),
                    conversion: Conversion::of(crd),
                    api_versions: if built_in { Vec::new() } else { api_versions.clone() },
                },
                compiled: OnceLock::new(),
                columns: OnceLock::new(),
                group: group.clone(),
                version: name,
            }
        })
        .collect()
}

/// The version that objects are stored in.
pub(crate) fn storage_version(crd: &Value) -> Option<&str> {
    let versions = crd["spec"]["versions"].as_array()?;
    versions.iter().find(|v| v["storage"] == true)?["name"].as_str()
}

/// The fields that the cache keeps an index of: the selectable ones of all versions.
pub(crate) fn indexed_fields(crd: &Value) -> Vec<String> {
    let mut fields: Vec<String> = crd["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|version| version["selectableFields"].as_array().into_iter().flatten())
        .filter_map(|field| field["jsonPath"].as_str())
        .map(|path| path.trim_start_matches('.').to_owned())
        .collect();
    fields.sort();
    fields.dedup();
    fields
}

fn deprecation(version: &Value, group: &str, name: &str, kind: &str) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let given = version["deprecationWarning"].as_str().map(str::to_owned);
    Some(given.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated")))
}

fn scale_paths(scale: &Value) -> Option<ScalePaths> {
    let pointer = |path: &Value| path.as_str().map(|p| p.replace('.', "/"));
    Some(ScalePaths {
        spec_replicas: pointer(&scale["specReplicasPath"])?,
        status_replicas: pointer(&scale["statusReplicasPath"])?,
        label_selector: pointer(&scale["labelSelectorPath"]),
    })
}
