//! What is special about a kind: a few pure functions over its JSON. The only place where kinds differ in code.

mod account;
mod api_service;
mod checks;
pub(crate) mod config;
mod csr;
mod definition;
mod event;
mod flow;
mod job;
mod lease;
mod limits;
mod matching;
mod namespace;
mod policy;
mod quantity;
mod quota;
mod rbac;
mod service;
mod task;
mod template;
mod webhook;

use berth_schema::FieldError;
use serde_json::Value;

use crate::authn::UserInfo;

pub(crate) use event::to_group as to_group_event;

/// The special rules of a kind. Every function is pure and quick.
#[derive(Debug)]
pub(crate) struct Strategy {
    /// The most characters of a name.
    pub name_chars_max: usize,
    /// Subresources besides status and scale, with their verbs.
    pub subresources: &'static [(&'static str, &'static [&'static str])],
    /// Fills in what a new object must have. Runs before defaults and checks.
    pub prepare_create: fn(&mut Value),
    /// Notes in a new object who made it. Runs after `prepare_create`.
    pub stamp: fn(&mut Value, &UserInfo),
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
    /// The stored path of a field that selectors of this version may use.
    pub stored_field: fn(&str) -> &str,
    /// The stored path of a field that stands in for another one that is empty.
    pub field_instead: fn(&str) -> Option<&'static str>,
    /// Seconds that an object is given to end when it is deleted, unless the request says; `None`: at once.
    pub grace_seconds: fn(&Value) -> Option<i64>,
    /// The version of Kubernetes' kind of this name, when only that can be meant by who lists these labels: there are none.
    pub list_of_namesake: fn(namespace: &str, labels: &str) -> Option<&'static str>,
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
    stamp: |_, _| {},
    prepare_update: |_, _| {},
    validate: |_, _, _| {},
    warnings: |_, _| {},
    forbids_delete: |_| None,
    is_held: |_| false,
    mark_deleted: |_| {},
    shape: None,
    stored_field: |field| field,
    field_instead: |_| None,
    grace_seconds: |_| None,
    list_of_namesake: |_, _| None,
};

static SERVICE: Strategy = Strategy {
    name_chars_max: OWNER_NAME_CHARS_MAX,
    validate: service::validate,
    warnings: |object, out| template::warnings(object, "spec.template.spec", out),
    list_of_namesake: service::list_of_namesake,
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
    validate: namespace::validate,
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

static EVENT: Strategy = Strategy {
    validate: event::validate,
    stored_field: |field| if field == "source" { "source.component" } else { field },
    field_instead: |field| (field == "source").then_some("reportingComponent"),
    ..CUSTOM
};

static GROUP_EVENT: Strategy = Strategy {
    validate: event::validate_group,
    shape: Some(Shape { from_stored: event::to_group, to_stored: event::to_core }),
    stored_field: event::stored_field,
    ..CUSTOM
};

static DEFINITION: Strategy = Strategy {
    prepare_create: super::crd::prepare_create,
    prepare_update: super::crd::prepare_update,
    validate: |new, old, errors| {
        definition::validate(new, errors);
        super::crd::validate(new, old, errors);
    },
    warnings: super::crd::warnings,
    ..CUSTOM
};

static ROLE: Strategy = Strategy {
    validate: rbac::validate_members,
    forbids_delete: |name| (name == berth_types::names::DEFAULT_ROLE).then_some("the default role may not be deleted"),
    ..CUSTOM
};

static SERVICE_ACCOUNT: Strategy = Strategy {
    subresources: &[("token", &["create"])],
    prepare_create: account::prepare,
    prepare_update: |new, _| account::prepare(new),
    ..CUSTOM
};

static RESOURCE_QUOTA: Strategy = Strategy {
    prepare_create: quota::prepare,
    prepare_update: |new, _| quota::prepare(new),
    validate: quota::validate,
    ..CUSTOM
};

static LIMIT_RANGE: Strategy = Strategy {
    prepare_create: limits::prepare,
    prepare_update: |new, _| limits::prepare(new),
    validate: limits::validate,
    ..CUSTOM
};

static LEASE: Strategy = Strategy { validate: lease::validate, ..CUSTOM };

static MUTATING_WEBHOOKS: Strategy = Strategy {
    prepare_create: webhook::prepare_mutating,
    prepare_update: |new, _| webhook::prepare_mutating(new),
    validate: webhook::validate,
    ..CUSTOM
};

static VALIDATING_WEBHOOKS: Strategy = Strategy {
    prepare_create: webhook::prepare_validating,
    prepare_update: |new, _| webhook::prepare_validating(new),
    validate: webhook::validate,
    ..CUSTOM
};

static VALIDATING_POLICY: Strategy = Strategy {
    prepare_create: policy::prepare,
    prepare_update: |new, _| policy::prepare(new),
    validate: policy::validate,
    ..CUSTOM
};

static MUTATING_POLICY: Strategy = Strategy {
    prepare_create: policy::prepare_mutating,
    prepare_update: |new, _| policy::prepare_mutating(new),
    validate: policy::validate_mutating,
    ..CUSTOM
};

static VALIDATING_BINDING: Strategy = Strategy {
    prepare_create: policy::prepare_binding,
    prepare_update: |new, _| policy::prepare_binding(new),
    validate: policy::validate_binding,
    ..CUSTOM
};

static MUTATING_BINDING: Strategy = Strategy {
    prepare_create: policy::prepare_binding,
    prepare_update: |new, _| policy::prepare_binding(new),
    validate: policy::validate_mutating_binding,
    ..CUSTOM
};

static API_SERVICE: Strategy = Strategy {
    prepare_create: api_service::prepare_create,
    prepare_update: |new, _| api_service::prepare(new),
    validate: api_service::validate,
    ..CUSTOM
};

static SIGNING_REQUEST: Strategy = Strategy {
    subresources: &[("approval", &["get", "patch", "update"])],
    stamp: csr::stamp,
    prepare_update: csr::prepare_update,
    validate: csr::validate,
    ..CUSTOM
};

static FLOW_SCHEMA: Strategy = Strategy {
    prepare_create: flow::prepare_schema,
    prepare_update: |new, _| flow::prepare_schema(new),
    validate: flow::validate_schema,
    ..CUSTOM
};

static PRIORITY_LEVEL: Strategy = Strategy {
    prepare_create: flow::prepare_level,
    prepare_update: |new, _| flow::prepare_level(new),
    validate: flow::validate_level,
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
        ("events.k8s.io", "Event") => &GROUP_EVENT,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &DEFINITION,
        (berth_access::GROUP, "Role") => &rbac::ROLE,
        (berth_access::GROUP, "ClusterRole") => &rbac::CLUSTER_ROLE,
        (berth_access::GROUP, "RoleBinding" | "ClusterRoleBinding") => &rbac::BINDING,
        ("", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("", "ResourceQuota") => &RESOURCE_QUOTA,
        ("", "LimitRange") => &LIMIT_RANGE,
        ("coordination.k8s.io", "Lease") => &LEASE,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => &MUTATING_WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => &VALIDATING_WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => &VALIDATING_POLICY,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => &MUTATING_POLICY,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => &VALIDATING_BINDING,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding") => &MUTATING_BINDING,
        ("apiregistration.k8s.io", "APIService") => &API_SERVICE,
        ("certificates.k8s.io", "CertificateSigningRequest") => &SIGNING_REQUEST,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => &PRIORITY_LEVEL,
        _ => &CUSTOM,
    }
}
