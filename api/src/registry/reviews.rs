//! Kinds that are asked and answered and never stored: a POST is a question, its answer the object with a status.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use serde_json::Value;

use super::resource::{LazySchema, Life, Resource, Rules, Storage};
use super::strategy;
use crate::http::Call;
use crate::status::ApiError;

/// Answers a question: gets the object as it was sent, checked against the schema, and gives it back with its status.
pub(crate) type Answer = for<'a> fn(&'a Call<'a>, Value) -> BoxFuture<'a, Result<Value, ApiError>>;

/// A kind of question.
pub(crate) struct ReviewKind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
    pub schema: fn() -> Value,
    pub answer: Answer,
}

/// Every kind of question.
pub(crate) fn kinds() -> impl Iterator<Item = &'static ReviewKind> {
    crate::authn::REVIEWS.iter().chain(crate::authz::REVIEWS)
}

/// The plural under whose prefix nothing is ever stored: no plural name can be this.
pub(crate) const PREFIX: &str = "-";

impl ReviewKind {
    /// The row. `storage` is that of [`PREFIX`], shared by all reviews.
    pub(crate) fn row(&'static self, storage: &Arc<Storage>) -> Resource {
        Resource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: self.namespaced,
            schema: LazySchema::later(self.schema),
            printer_columns: Value::Null,
            has_status: false,
            scale: None,
            other_subresources: &[],
            selectable: Vec::new(),
            built_in: true,
            rules: Rules { create_only: true, ..Rules::CORE },
            strategy: &strategy::CUSTOM,
            answer: Some(self.answer),
            deprecation: None,
            terminating: false,
            storage: Arc::clone(storage),
            life: Life::default(),
            compiled: OnceLock::new(),
            columns: OnceLock::new(),
        }
    }
}
