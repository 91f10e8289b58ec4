//! What objects count for in the quotas of their namespace: one reckoning for the API server, which charges what is
//! created, and the controller, which counts what is there.

mod amounts;
mod scopes;
mod usage;

pub use amounts::{Amount, Amounts, read_all, to_json, told};
pub use scopes::match_all;
pub use usage::Counted;
