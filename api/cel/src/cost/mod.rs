//! Limits on what expressions may cost, and the estimate of the cost of one.

pub mod limits;
