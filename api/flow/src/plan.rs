//! The objects that are in force: schemas in the order they are asked in, each with its level.

use crate::bootstrap;
use crate::matching::{Matcher, RequestFacts};
use crate::queues::Shape;
use crate::spec::{EXEMPT, FlowSchemaSpec, PriorityLevelSpec, QUEUE};

/// An object's name, uid and spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    pub name: String,
    /// Empty for one that is not stored.
    pub uid: String,
    pub spec: T,
}

impl<T> Named<T> {
    pub fn new(name: &str, spec: T) -> Self {
        Self { name: name.to_owned(), uid: String::new(), spec }
    }
}

/// Schemas in the order in which they are asked.
pub(crate) fn ordered(mut schemas: Vec<Named<FlowSchemaSpec>>) -> Vec<Named<FlowSchemaSpec>> {
    schemas
        .sort_by(|a, b| a.spec.matching_precedence.cmp(&b.spec.matching_precedence).then_with(|| a.name.cmp(&b.name)));
    schemas
}

/// Adds the mandatory objects that are not among these: without them a request could match nothing.
pub(crate) fn completed<T>(mut stored: Vec<Named<T>>, defaults: Vec<Named<T>>) -> Vec<Named<T>> {
    for default in defaults {
        if bootstrap::is_mandatory(&default.name) && !stored.iter().any(|object| object.name == default.name) {
            stored.push(default);
        }
    }
    stored
}

pub(crate) fn shape(level: &PriorityLevelSpec) -> Shape {
    if level.enablement == EXEMPT {
        return Shape::Exempt;
    }
    let response = level.limited.as_ref().map(|limited| &limited.limit_response);
    match response.filter(|response| response.response == QUEUE).and_then(|response| response.queuing.as_ref()) {
        None => Shape::Reject,
        Some(queuing) => Shape::Queue {
            queues: u32::try_from(queuing.queues).unwrap_or(1),
            hand: usize::try_from(queuing.hand_size).unwrap_or(1),
            length: usize::try_from(queuing.queue_length_limit).unwrap_or(1),
        },
    }
}

/// Schemas that can be asked, and what the level of each is (`L` is the level's state).
#[derive(Debug)]
pub(crate) struct Plan<L> {
    schemas: Box<[Schema<L>]>,
    catch_all: usize,
}

#[derive(Debug)]
pub(crate) struct Schema<L> {
    pub(crate) name: Box<str>,
    pub(crate) uid: Box<str>,
    matcher: Matcher,
    pub(crate) level: L,
    pub(crate) level_uid: Box<str>,
}

impl<L> Plan<L> {
    /// Compiles the schemas whose level exists.
    pub(crate) fn new<'a>(
        schemas: Vec<Named<FlowSchemaSpec>>,
        mut level: impl FnMut(&str) -> Option<(L, &'a str)>,
    ) -> Self {
        let compiled: Box<[Schema<L>]> = ordered(schemas)
            .into_iter()
            .filter_map(|schema| {
                let (level, level_uid) = level(&schema.spec.priority_level_configuration.name)?;
                let matcher = Matcher::new(&schema.spec);
                let (name, uid) = (schema.name.into(), schema.uid.into());
                Some(Schema { name, uid, matcher, level, level_uid: level_uid.into() })
            })
            .collect();
        let catch_all = compiled.iter().position(|schema| *schema.name == *bootstrap::CATCH_ALL_NAME);
        Self { catch_all: catch_all.unwrap_or_else(|| compiled.len().saturating_sub(1)), schemas: compiled }
    }

    /// The schema of a request: its place, and what tells its flow from others.
    pub(crate) fn classify<'a>(&self, facts: &RequestFacts<'a>) -> (usize, &'a str) {
        let found = self.schemas.iter().position(|schema| schema.matcher.matches(facts));
        let index = found.unwrap_or(self.catch_all);
        (index, self.schemas[index].matcher.flow(facts))
    }

    pub(crate) fn schema(&self, index: usize) -> &Schema<L> {
        &self.schemas[index]
    }
}
