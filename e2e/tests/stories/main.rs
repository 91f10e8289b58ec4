//! User stories with real processes: each file is one of them, told by what is typed and what is seen.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod apart;
mod bad_input;
mod broken_manifest;
mod chaos;
mod crash;
mod delete;
mod examples;
mod faults;
mod first_run;
mod heal;
mod hello;
mod join;
mod kubectl;
mod login;
mod rollout;
mod rootless;
mod stranger;
