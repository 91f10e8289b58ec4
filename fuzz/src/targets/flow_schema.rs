//! Flow schemas and levels: whatever is stored, every request has a place, and the same one each time.

use berth_flow::spec::{FlowSchemaSpec, PriorityLevelSpec};
use berth_flow::{Cost, Fairness, Named, Options, RequestFacts, validate};
use serde_json::Value;

use crate::input;

/// Objects that are looked at.
const OBJECTS_MAX: usize = 50;

pub(crate) fn run(bytes: &[u8]) {
    let Some([schemas, levels, path]) = input::parts::<3>(bytes) else { return };
    let list = |text: &str| match input::json(text) {
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let mut stored = Vec::new();
    for (n, spec) in list(schemas).into_iter().take(OBJECTS_MAX).enumerate() {
        let Ok(spec) = serde_json::from_value::<FlowSchemaSpec>(spec) else { continue };
        let again = serde_json::from_value(serde_json::to_value(&spec).unwrap());
        assert_eq!(again.ok().as_ref(), Some(&spec), "what is read is written");
        let _ = validate::flow_schema("s", &spec);
        stored.push(Named::new(&format!("s{n}"), spec));
    }
    let mut found = Vec::new();
    for (n, spec) in list(levels).into_iter().take(OBJECTS_MAX).enumerate() {
        let Ok(spec) = serde_json::from_value::<PriorityLevelSpec>(spec) else { continue };
        let problems = validate::priority_level("l", &spec);
        // Only what is allowed is ever stored.
        if problems.is_empty() {
            found.push(Named::new(&format!("l{n}"), spec));
        }
    }
    let fairness = Fairness::new(Options { seats: 10, queue_wait: std::time::Duration::from_secs(1) });
    fairness.configure(stored, found);
    fairness.adjust();
    let groups = ["system:authenticated".to_owned(), path.to_owned()];
    for (is_resource, cost) in [(true, Cost::One), (false, Cost::List { objects: u64::MAX })] {
        let facts = RequestFacts {
            user: "system:serviceaccount:ns:sa",
            groups: &groups,
            verb: "get",
            is_resource,
            api_group: "",
            resource: "configmaps",
            subresource: "",
            namespace: "ns",
            path,
            cost,
        };
        let place = fairness.classify(&facts);
        assert!(!place.schema().is_empty() && !place.level().is_empty(), "every request has a place");
        assert_eq!(place.schema(), fairness.classify(&facts).schema());
    }
    assert!(fairness.report().iter().all(|level| level.seats_in_use == 0));
}
