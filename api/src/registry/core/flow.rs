//! Whose requests wait when there are too many.

use berth_schema::table::Cells;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use serde_json::Value;

use super::columns::{aged, condition, name, named, or, text, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::Rules;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

const KIND: CoreKind = CoreKind {
    group: GROUP,
    namespaced: false,
    has_status: true,
    rules: Rules { generation: true, ..Rules::CORE },
    ..BASE
};

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            plural: "flowschemas",
            kind: "FlowSchema",
            schema: || schema::of::<FlowSchema>(GROUP, "FlowSchema"),
            columns: || {
                named(&[
                    text("PriorityLevel"),
                    text("MatchingPrecedence"),
                    text("DistinguisherMethod"),
                    text("Age"),
                    text("MissingPL"),
                ])
            },
            cells: |object, now| {
                let spec = &object["spec"];
                let missing = condition(object, "Dangling").map_or("?", |condition| word(condition, "status"));
                vec![
                    name(object),
                    word(&spec["priorityLevelConfiguration"], "name").into(),
                    spec["matchingPrecedence"].clone(),
                    or(word(&spec["distinguisherMethod"], "type"), "<none>").into(),
                    aged(object, now),
                    missing.into(),
                ]
            },
            ..KIND
        },
        CoreKind {
            plural: "prioritylevelconfigurations",
            kind: "PriorityLevelConfiguration",
            schema: || schema::of::<PriorityLevelConfiguration>(GROUP, "PriorityLevelConfiguration"),
            columns: || {
                named(&[
                    text("Type"),
                    text("NominalConcurrencyShares"),
                    text("Queues"),
                    text("HandSize"),
                    text("QueueLengthLimit"),
                    text("Age"),
                ])
            },
            cells: LEVEL_CELLS,
            ..KIND
        },
    ]
}

const LEVEL_CELLS: Cells = |object, now| {
    let spec = &object["spec"];
    let shown = |value: &Value| if value.is_null() { Value::from("<none>") } else { value.clone() };
    let part = if spec["limited"].is_object() { &spec["limited"] } else { &spec["exempt"] };
    let queuing = &part["limitResponse"]["queuing"];
    vec![
        name(object),
        spec["type"].clone(),
        shown(&part["nominalConcurrencyShares"]),
        shown(&queuing["queues"]),
        shown(&queuing["handSize"]),
        shown(&queuing["queueLengthLimit"]),
        aged(object, now),
    ]
};
