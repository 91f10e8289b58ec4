//! Small pure pieces of text: ages, durations, and what somebody may have meant.

pub(crate) mod age;
pub(crate) mod near;

/// `1 task`, `2 tasks`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
