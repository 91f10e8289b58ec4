//! CustomResourceDefinitions: what may be posted ([`rules`]), and how a stored one becomes rows ([`follow`]).

mod approval;
mod clear;
mod conditions;
mod conversion;
mod conversion_rules;
mod follow;
mod judge;
mod names;
mod prepare;
mod rules;
mod versions;
mod warnings;

pub(crate) use conversion::Conversion;
pub(crate) use follow::start;
pub(crate) use judge::{drop_lost_owners, judge};
pub(crate) use prepare::{prepare_create, prepare_update};
pub(crate) use rules::validate;
pub(crate) use warnings::warnings;

/// Keeps a deleted definition until its objects are gone.
pub(crate) const FINALIZER_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";
