//! Field ownership: server-side apply and the tracking of plain writes.

mod apply;

pub use apply::{ApplyError, ApplyInput, Conflict, ResetFields, apply, same_but_times, track_update};
