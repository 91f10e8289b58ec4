//! The forms in which objects are printed.

pub(crate) mod columns;
pub(crate) mod format;
pub(crate) mod table;
pub(crate) mod yaml;

pub(crate) use format::Format;
