//! Rows of the standard Kubernetes kinds: everything that upstream's control plane serves when it runs no pods. They
//! are not described by stored definitions; what is special about one is data here and pure functions in
//! [`strategy`](super::strategy).

mod access;
mod admission;
mod columns;
mod events;
mod extension;
mod flow;
mod main;
mod schema;
mod signing;
mod stub;

use std::sync::{Arc, OnceLock};

use berth_schema::table::{Cells, Columns};
use serde_json::Value;

use super::resource::{LazySchema, Life, Resource, Rules, Storage};
use super::strategy;

pub(crate) use schema::plain as schema_of;
pub(crate) use stub::{hidden_services, is_hidden};

/// What sets one standard kind apart.
#[derive(Debug)]
pub(crate) struct CoreKind {
    /// Empty for the core group.
    pub group: &'static str,
    pub plural: &'static str,
    kind: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    has_status: bool,
    schema: fn() -> Value,
    /// All `columnDefinitions` of a Table, and the cells of a row.
    columns: fn() -> Value,
    cells: Cells,
    /// Dotted paths for field selectors.
    selectable: &'static [&'static str],
    rules: Rules,
    /// Group and plural of the kind whose objects these are, in another shape.
    pub shown_from: Option<(&'static str, &'static str)>,
}

/// A namespaced kind without anything special. Every row replaces the empty names and the schema.
const BASE: CoreKind = CoreKind {
    group: "",
    plural: "",
    kind: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
    schema: || Value::Null,
    columns: || columns::named(&[("Created At", "date", false)]),
    cells: columns::plain,
    selectable: &[],
    rules: Rules::CORE,
    shown_from: None,
};

/// The standard kinds.
pub(crate) fn kinds() -> Vec<CoreKind> {
    [
        main::kinds(),
        events::kinds(),
        access::kinds(),
        admission::kinds(),
        extension::kinds(),
        signing::kinds(),
        flow::kinds(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl CoreKind {
    /// The stored paths of the fields that selectors may use: the cache keeps an index of them.
    pub(crate) fn indexed_fields(&self) -> Vec<String> {
        let stored = strategy::of(self.group, self.kind).stored_field;
        self.selectable.iter().map(|field| stored(field).to_owned()).collect()
    }

    /// The row.
    pub(crate) fn row(&self, storage: &Arc<Storage>) -> Resource {
        let strategy = strategy::of(self.group, self.kind);
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Resource {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: self.namespaced,
            schema: LazySchema::later(self.schema),
            printer_columns: Value::Null,
            has_status: self.has_status,
            scale: None,
            other_subresources: strategy.subresources,
            selectable: owned(self.selectable),
            built_in: true,
            rules: self.rules,
            strategy,
            answer: None,
            deprecation: None,
            terminating: false,
            storage: Arc::clone(storage),
            life: Life::default(),
            compiled: OnceLock::new(),
            columns: OnceLock::from(Columns::computed((self.columns)(), self.cells)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_schema_and_as_many_cells_as_columns() {
        let mut seen = HashSet::new();
        for kind in kinds() {
            let name = format!("{}.{}", kind.plural, kind.group);
            let schema = (kind.schema)();
            assert!(schema["properties"]["metadata"].is_object(), "{name}: {schema}");
            let object = serde_json::json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}});
            let cells = (kind.cells)(&object, jiff::Timestamp::now());
            assert_eq!(cells.len(), (kind.columns)().as_array().map_or(0, Vec::len), "{name}");
            assert!(crate::protobuf::message_of(kind.group, kind.kind).is_some(), "{name} has no message");
            assert!(berth_schema::patch::BuiltinLists::of(kind.group, kind.kind).is_some(), "{name} takes no patch");
            assert!(seen.insert(name));
        }
        assert_eq!(seen.len(), 24);
    }

    #[test]
    fn schemas_say_how_lists_merge() {
        let webhooks = kinds().into_iter().find(|k| k.plural == "validatingwebhookconfigurations").unwrap();
        let webhooks = &(webhooks.schema)()["properties"]["webhooks"];
        assert_eq!(webhooks["x-kubernetes-list-map-keys"], serde_json::json!(["name"]));
        let rules = &webhooks["items"]["properties"]["rules"];
        assert_eq!(rules["x-kubernetes-list-type"], "atomic");
        assert_eq!(rules["items"]["properties"]["resources"]["x-kubernetes-list-type"], "atomic");
        let selector = &webhooks["items"]["properties"]["objectSelector"];
        assert_eq!(selector["x-kubernetes-map-type"], "atomic");
    }
}
