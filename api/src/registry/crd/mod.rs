//! CustomResourceDefinitions: what may be posted ([`rules`]), and how a stored one becomes rows ([`follow`]).

mod conversion;
mod follow;
mod rules;

pub(crate) use conversion::Conversion;
pub(crate) use follow::start;
pub(crate) use rules::{prepare_create, prepare_update, validate, warnings};

/// Keeps a deleted definition until its objects are gone.
pub(crate) const FINALIZER_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
