//! Placeholder.

/// What the manager runs for this part.
pub fn parts() -> Vec<crate::driver::Part> {
    vec![]
}
