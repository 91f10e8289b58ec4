//! Common Expression Language with the Kubernetes libraries: parser, type checker, cost estimator, evaluator.

pub mod ast;
pub mod types;
