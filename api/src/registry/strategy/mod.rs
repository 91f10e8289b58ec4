//! What is special about a kind: a few pure functions over its JSON. The only place where kinds differ in code.

pub(crate) mod config;
mod event;
mod job;
mod namespace;
mod service;
mod task;
mod template;

use berth_schema::FieldError;
use serde_json::Value;

/// The special rules of a kind. Every function is pure and quick.
#[derive(Debug)]
pub(crate) struct Strategy {
    /// The most characters of a name.
    pub name_chars_max: usize,
    /// Subresources besides status and scale, with their verbs.
    pub subresources: &'static [(&'static str, &'static [&'static str])],
    /// Fills in what a new object must have. Runs before defaults and checks.
    pub prepare_create: fn(&mut Value),
    /// Carries over what an update must not change. Runs before defaults and checks.
    pub prepare_update: fn(new: &mut Value, old: &Value),
    /// Finds what the schema cannot say. `old` is there for an update of the main endpoint.
    pub validate: fn(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>),
    /// What a person should know about an object that is accepted.
    pub warnings: fn(&Value, &mut Vec<String>),
    /// Why an object may not be deleted, if so.
    pub forbids_delete: fn(name: &str) -> Option<&'static str>,
    /// Something other than finalizers keeps a deleted object.
    pub is_held: fn(&Value) -> bool,
    /// Changes an object that is marked for deletion.
    pub mark_deleted: fn(&mut Value),
    /// How this version's shape differs from the stored one; `None`: by `apiVersion` only.
    pub shape: Option<Shape>,
    /// Seconds that an object is given to end when it is deleted, unless the request says; `None`: at once.
    pub grace_seconds: fn(&Value) -> Option<i64>,
}

/// A pair of changes between the stored shape of a kind and the shape of one of its versions. Each takes and leaves a
/// whole object; neither fails, and one undoes the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub from_stored: fn(&mut Value),
    pub to_stored: fn(&mut Value),
}

/// Nothing is special.
pub(crate) static CUSTOM: Strategy = Strategy {
    name_chars_max: 253,
    subresources: &[],
    prepare_create: |_| {},
    prepare_update: |_, _| {},
    validate: |_, _, _| {},
    warnings: |_, _| {},
    forbids_delete: |_| None,
    is_held: |_| false,
    mark_deleted: |_| {},
    shape: None,
    grace_seconds: |_| None,
};

static SERVICE: Strategy = Strategy {
    name_chars_max: OWNER_NAME_CHARS_MAX,
    validate: service::validate,
    warnings: |object, out| template::warnings(object, "spec.template.spec", out),
    ..CUSTOM
};

static JOB: Strategy = Strategy {
    name_chars_max: OWNER_NAME_CHARS_MAX,
    validate: job::validate,
    warnings: |object, out| template::warnings(object, "spec.template.spec", out),
    ..CUSTOM
};

static JOB_RUN: Strategy = Strategy {
    validate: |new, _, errors| template::validate(new, "spec.template.spec", errors),
    warnings: |object, out| template::warnings(object, "spec.template.spec", out),
    ..CUSTOM
};

static TASK: Strategy = Strategy {
    subresources: &[("log", &["get"]), ("exec", &["create", "get"])],
    validate: task::validate,
    warnings: |object, out| template::warnings(object, "spec", out),
    grace_seconds: task::grace_seconds,
    ..CUSTOM
};

static REVISION: Strategy = Strategy { validate: service::validate_revision, ..CUSTOM };

static NAMESPACE: Strategy = Strategy {
    name_chars_max: 63,
    subresources: &[("finalize", &["update"])],
    prepare_create: namespace::prepare_create,
    prepare_update: namespace::prepare_update,
    forbids_delete: namespace::forbids_delete,
    is_held: namespace::is_held,
    mark_deleted: namespace::mark_deleted,
    ..CUSTOM
};

static SECRET: Strategy = Strategy {
    prepare_create: config::prepare_secret,
    prepare_update: |new, _| config::prepare_secret(new),
    validate: config::validate_secret,
    ..CUSTOM
};

static CONFIG_MAP: Strategy = Strategy { validate: config::validate_config_map, ..CUSTOM };

static EVENT: Strategy = Strategy { validate: event::validate, ..CUSTOM };

static DEFINITION: Strategy = Strategy {
    prepare_create: super::crd::prepare_create,
    prepare_update: super::crd::prepare_update,
    validate: super::crd::validate,
    warnings: super::crd::warnings,
    ..CUSTOM
};

static ROLE: Strategy = Strategy {
    forbids_delete: |name| (name == berth_types::names::DEFAULT_ROLE).then_some("the default role may not be deleted"),
    ..CUSTOM
};

/// Longest name of a Service or Job: its children's names append a hash, an index and an attempt (at most 13).
const OWNER_NAME_CHARS_MAX: usize = 50;

/// The strategy of a kind that ships with the binary.
pub(crate) fn of(group: &str, kind: &str) -> &'static Strategy {
    match (group, kind) {
        (berth_types::GROUP, "Service") => &SERVICE,
        (berth_types::GROUP, "Job") => &JOB,
        (berth_types::GROUP, "JobRun") => &JOB_RUN,
        (berth_types::GROUP, "Task") => &TASK,
        (berth_types::GROUP, "Revision") => &REVISION,
        (berth_types::GROUP, "Role") => &ROLE,
        ("", "Namespace") => &NAMESPACE,
        ("", "Secret") => &SECRET,
        ("", "ConfigMap") => &CONFIG_MAP,
        ("", "Event") => &EVENT,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &DEFINITION,
        _ => &CUSTOM,
    }
}
