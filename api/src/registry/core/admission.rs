//! What may be written: webhooks and policies.

use berth_schema::table::Cells;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
// Version 1 has the same shape; the library's schemas are one release older.
use k8s_openapi::api::admissionregistration::v1beta1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use serde_json::Value;

use super::columns::{aged, count, name, named, text, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::Rules;

const GROUP: &str = "admissionregistration.k8s.io";

const RULES: Rules = Rules { generation: true, unconditional_update: false, ..Rules::CORE };

const KIND: CoreKind =
    CoreKind { group: GROUP, categories: &["api-extensions"], namespaced: false, rules: RULES, ..BASE };

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            plural: "mutatingadmissionpolicies",
            kind: "MutatingAdmissionPolicy",
            schema: || schema::of::<MutatingAdmissionPolicy>(GROUP, "MutatingAdmissionPolicy"),
            columns: || named(&[("Mutations", "integer", false), text("ParamKind"), text("Age")]),
            cells: |object, now| policy_cells(object, &object["spec"]["mutations"], aged(object, now)),
            ..KIND
        },
        CoreKind {
            plural: "mutatingadmissionpolicybindings",
            kind: "MutatingAdmissionPolicyBinding",
            schema: || schema::of::<MutatingAdmissionPolicyBinding>(GROUP, "MutatingAdmissionPolicyBinding"),
            columns: binding_columns,
            cells: BINDING_CELLS,
            ..KIND
        },
        CoreKind {
            plural: "mutatingwebhookconfigurations",
            kind: "MutatingWebhookConfiguration",
            schema: || schema::of::<MutatingWebhookConfiguration>(GROUP, "MutatingWebhookConfiguration"),
            columns: webhook_columns,
            cells: WEBHOOK_CELLS,
            ..KIND
        },
        CoreKind {
            plural: "validatingadmissionpolicies",
            kind: "ValidatingAdmissionPolicy",
            has_status: true,
            schema: || schema::of::<ValidatingAdmissionPolicy>(GROUP, "ValidatingAdmissionPolicy"),
            columns: || named(&[("Validations", "integer", false), text("ParamKind"), text("Age")]),
            cells: |object, now| policy_cells(object, &object["spec"]["validations"], aged(object, now)),
            ..KIND
        },
        CoreKind {
            plural: "validatingadmissionpolicybindings",
            kind: "ValidatingAdmissionPolicyBinding",
            schema: || schema::of::<ValidatingAdmissionPolicyBinding>(GROUP, "ValidatingAdmissionPolicyBinding"),
            columns: binding_columns,
            cells: BINDING_CELLS,
            ..KIND
        },
        CoreKind {
            plural: "validatingwebhookconfigurations",
            kind: "ValidatingWebhookConfiguration",
            schema: || schema::of::<ValidatingWebhookConfiguration>(GROUP, "ValidatingWebhookConfiguration"),
            columns: webhook_columns,
            cells: WEBHOOK_CELLS,
            ..KIND
        },
    ]
}

fn webhook_columns() -> Value {
    named(&[("Webhooks", "integer", false), text("Age")])
}

const WEBHOOK_CELLS: Cells = |object, now| vec![name(object), count(&object["webhooks"]).into(), aged(object, now)];

fn policy_cells(object: &Value, rules: &Value, age: Value) -> Vec<Value> {
    let params = &object["spec"]["paramKind"];
    let kind = match (word(params, "apiVersion"), word(params, "kind")) {
        _ if !params.is_object() => "<unset>".to_owned(),
        ("", kind) => kind.to_owned(),
        (version, kind) => format!("{version}/{kind}"),
    };
    vec![name(object), count(rules).into(), kind.into(), age]
}

fn binding_columns() -> Value {
    named(&[text("PolicyName"), text("ParamRef"), text("Age")])
}

const BINDING_CELLS: Cells = |object, now| {
    let params = &object["spec"]["paramRef"];
    let reference = match (word(params, "namespace"), word(params, "name")) {
        _ if !params.is_object() => "<unset>".to_owned(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    vec![name(object), object["spec"]["policyName"].clone(), reference.into(), aged(object, now)]
};
