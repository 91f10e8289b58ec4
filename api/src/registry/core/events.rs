//! Events: one storage under two groups, each with a shape of its own.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::api::events::v1::Event as GroupEvent;
use serde_json::Value;

use super::columns::{or, since, text, unnamed, wide, word};
use super::{BASE, CoreKind, schema};
use crate::registry::resource::Rules;
use crate::registry::strategy::to_group_event;

/// How long an Event lives after its last write.
const EVENT_TTL: Duration = Duration::from_secs(3600);

const RULES: Rules = Rules { create_on_update: true, ttl: Some(EVENT_TTL), ..Rules::CORE };

pub(super) fn kinds() -> Vec<CoreKind> {
    vec![
        CoreKind {
            plural: "events",
            kind: "Event",
            short_names: &["ev"],
            schema: || schema::of::<Event>("", "Event"),
            columns,
            cells: |object, now| {
                let mut object = object.clone();
                to_group_event(&mut object);
                cells(&object, now)
            },
            selectable: &[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ],
            rules: RULES,
            ..BASE
        },
        CoreKind {
            group: "events.k8s.io",
            plural: "events",
            kind: "Event",
            short_names: &["ev"],
            schema: || schema::of::<GroupEvent>("events.k8s.io", "Event"),
            columns,
            cells,
            selectable: &[
                "regarding.kind",
                "regarding.namespace",
                "regarding.name",
                "regarding.uid",
                "regarding.apiVersion",
                "regarding.resourceVersion",
                "regarding.fieldPath",
                "reason",
                "reportingController",
                "type",
            ],
            rules: RULES,
            shown_from: Some(("", "events")),
            ..BASE
        },
    ]
}

fn columns() -> Value {
    unnamed(&[
        text("Last Seen"),
        text("Type"),
        text("Reason"),
        text("Object"),
        wide("Subobject"),
        wide("Source"),
        text("Message"),
        wide("First Seen"),
        ("Count", "integer", true),
        ("Name", "string", true),
    ])
}

/// The cells of an Event in the shape of `events.k8s.io`.
fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let given = |time: &'static str| Some(&object[time]).filter(|t| !t.is_null());
    let first = since(given("deprecatedFirstTimestamp").unwrap_or_else(|| &object["eventTime"]), now);
    let series = &object["series"];
    let (last, seen) = if series.is_object() {
        (since(&series["lastObservedTime"], now), series["count"].as_i64().unwrap_or(0))
    } else {
        let last = given("deprecatedLastTimestamp").map_or_else(|| first.clone(), |time| since(time, now));
        // An event that happened once has no count in the newer shape.
        (last, object["deprecatedCount"].as_i64().filter(|count| *count != 0).unwrap_or(1))
    };
    let regarding = &object["regarding"];
    let kind = word(regarding, "kind").to_lowercase();
    let target = match word(regarding, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let source = &object["deprecatedSource"];
    let component = or(word(source, "component"), word(object, "reportingController"));
    let source = match or(word(source, "host"), word(object, "reportingInstance")) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    };
    vec![
        last.into(),
        object["type"].clone(),
        object["reason"].clone(),
        target.into(),
        word(regarding, "fieldPath").into(),
        source.into(),
        word(object, "note").trim().into(),
        first.into(),
        seen.into(),
        object["metadata"]["name"].clone(),
    ]
}
