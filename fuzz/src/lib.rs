//! Every decoder of input as a function of bytes, that panics when a promise is broken.
//!
//! The promises are more than "no panic": what is written is read again, a second time changes nothing, what comes
//! out is bounded by what went in. `tests/replay.rs` runs each target over its kept corpus and over mutations of it;
//! `libfuzzer/` runs the same functions under cargo-fuzz; `examples/hunt.rs` is the long run without tools.
//!
//! A target with several inputs takes them from one text, parted by lines of `---`.

// A panic is how a target speaks.
#![allow(clippy::unwrap_used)]

mod input;
pub mod mutate;
mod shape;
mod targets;

/// What reads one kind of input.
pub type Target = fn(&[u8]);

/// All of them, by the name of their corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("admission_answer", targets::admission_answer::run),
    ("apply", targets::apply::run),
    ("audit_policy", targets::audit_policy::run),
    ("bootstrap_token", targets::bootstrap_token::run),
    ("cel", targets::cel::run),
    ("continue_token", targets::continue_token::run),
    ("csr", targets::csr::run),
    ("der", targets::der::run),
    ("field_selector", targets::field_selector::run),
    ("fields_v1", targets::fields_v1::run),
    ("flow_schema", targets::flow_schema::run),
    ("identity_config", targets::identity_config::run),
    ("json_body", targets::json_body::run),
    ("json_patch", targets::json_patch::run),
    ("jsonpath", targets::jsonpath::run),
    ("jws", targets::jws::run),
    ("kubeconfig", targets::kubeconfig::run),
    ("label_selector", targets::label_selector::run),
    ("ldap", targets::ldap::run),
    ("merge_patch", targets::merge_patch::run),
    ("openapi", targets::openapi::run),
    ("path", targets::path::run),
    ("protobuf_body", targets::protobuf_body::run),
    ("quantity", targets::quantity::run),
    ("query", targets::query::run),
    ("schema", targets::schema::run),
    ("strategic_patch", targets::strategic_patch::run),
    ("yaml_body", targets::yaml_body::run),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
