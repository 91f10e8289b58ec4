//! The long-running parts: wiring only. What they do is in their own crates.

pub(crate) mod agent;
pub(crate) mod apiserver;
pub(crate) mod certs;
pub(crate) mod controllers;
pub(crate) mod down;
pub(crate) mod paths;
pub(crate) mod up;
