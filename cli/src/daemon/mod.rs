//! The long-running parts: wiring only. What they do is in their own crates.

pub(crate) mod agent;
pub(crate) mod apiserver;
pub(crate) mod certs;
mod checklist;
pub(crate) mod controllers;
pub(crate) mod down;
mod health;
mod join;
mod left;
mod limits;
mod lock;
mod means;
mod node;
pub(crate) mod paths;
mod plane;
mod process;
mod reload;
mod renew;
mod signing;
pub(crate) mod up;

pub(crate) use process::chain;
