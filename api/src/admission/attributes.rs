//! What rules are told of a write.

use serde_json::{Value, json};

use super::Operation;
use crate::registry::Resource;
use crate::request::Propagation;
use crate::status::ApiError;
use crate::write::{Current, Write, meta, store_error};

/// Kinds that webhooks and policies never see: whoever breaks one with the other must be able to mend it.
const EXEMPT: &[&str] = &[
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
];
const GROUP: &str = "admissionregistration.k8s.io";

/// The facts of a write, besides its objects.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub operation: Operation,
    /// Empty for the object as a whole.
    pub subresource: String,
    /// Of the object; a Namespace's is its own name. Empty for what lies in none.
    pub namespace: String,
    pub name: String,
    pub is_namespace: bool,
    pub dry_run: bool,
    /// Of the stored object; 0 when there is none.
    pub revision: u64,
}

impl Attributes {
    pub(crate) fn of(w: &Write<'_>, operation: Operation, object: Option<&Value>, old: Option<&Current>) -> Self {
        let name = match w.name() {
            "" => object
                .or_else(|| old.map(|old| &old.object))
                .map(|object| meta::text(object, "name"))
                .unwrap_or_default(),
            name => name,
        };
        let is_namespace = w.resource.group.is_empty() && w.resource.plural == "namespaces";
        let namespace = if is_namespace { name } else { w.namespace().unwrap_or_default() };
        Self {
            operation,
            subresource: w.path.subresource.clone().unwrap_or_default(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            is_namespace,
            dry_run: w.options.dry_run,
            revision: old.map_or(0, |old| old.revision),
        }
    }

    /// Stored objects do not carry their revision; rules are shown it.
    pub(crate) fn add_revision(&self, object: &mut Value) {
        if self.revision > 0 {
            meta::of(object).insert("resourceVersion".into(), self.revision.to_string().into());
        }
    }
}

/// Whether webhooks and policies are kept from this kind.
pub(crate) fn is_exempt(resource: &Resource) -> bool {
    resource.group == GROUP && EXEMPT.contains(&resource.plural.as_str())
}

/// `{group, version, kind}` of an object.
pub(crate) fn kind_of(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    json!({"group": group, "version": version, "kind": object["kind"]})
}

/// The user, as webhooks are told.
pub(crate) fn user_info(w: &Write<'_>) -> Value {
    let mut user = json!({"username": w.user.name, "groups": w.user.groups});
    if !w.user.uid.is_empty() {
        user["uid"] = w.user.uid.as_str().into();
    }
    if !w.user.extra.is_empty() {
        user["extra"] = json!(w.user.extra);
    }
    user
}

/// The options of the request, as webhooks are told.
pub(crate) fn options(w: &Write<'_>, operation: Operation) -> Value {
    let kind = match operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
        Operation::Connect => return Value::Null,
    };
    let mut options = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    if w.options.dry_run {
        options["dryRun"] = json!(["All"]);
    }
    if operation == Operation::Delete {
        add_delete_options(w, &mut options);
        return options;
    }
    if w.options.field_manager_given {
        options["fieldManager"] = w.options.field_manager.as_str().into();
    }
    match w.options.field_validation {
        crate::request::FieldValidation::Strict => options["fieldValidation"] = "Strict".into(),
        crate::request::FieldValidation::Ignore => options["fieldValidation"] = "Ignore".into(),
        crate::request::FieldValidation::Warn => {}
    }
    options
}

fn add_delete_options(w: &Write<'_>, options: &mut Value) {
    let Some(given) = &w.options.delete else { return };
    if let Some(seconds) = given.grace_seconds {
        options["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(policy) = given.propagation {
        options["propagationPolicy"] = match policy {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
        .into();
    }
    for (field, value) in [("uid", &given.preconditions.uid), ("resourceVersion", &given.preconditions.revision)] {
        if let Some(value) = value {
            options["preconditions"][field] = value.as_str().into();
        }
    }
}

/// A Namespace as it is now: from the cache, or from the store where the cache may lag.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn namespace_object(w: &Write<'_>, name: &str) -> Result<Value, ApiError> {
    let missing = || ApiError::not_found(super::NAMESPACES, name);
    let rows = w.server.registry.snapshot();
    let row = rows.find("", "v1", "namespaces").ok_or_else(missing)?;
    let bytes = match row.storage.cache.get("", name) {
        Some(entry) => entry.json(),
        None => w
            .server
            .store
            .get(&row.key(None, name), None)
            .await
            .map_err(store_error)?
            .kv
            .ok_or_else(missing)?
            .value
            .clone(),
    };
    serde_json::from_slice(&bytes).map_err(ApiError::internal)
}
