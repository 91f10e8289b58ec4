//! Parts of the API that other servers serve behind this one, as APIServices say.
pub(crate) mod priority;
