//! Conditions, by Kubernetes' conventions: one entry a type, and a time that moves only with the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Sets one condition, by its type.
///
/// `lastTransitionTime` moves when `status` changes, not when only the reason or message does (Kubernetes API
/// conventions). Returns whether anything but the time changed.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition) -> bool {
    let Some(old) = conditions.iter_mut().find(|c| c.type_ == new.type_) else {
        conditions.push(new);
        return true;
    };
    if old.status == new.status {
        new.last_transition_time = old.last_transition_time.clone();
    }
    let changed = *old != new;
    *old = new;
    changed
}

/// Builds a condition; `status` of `None` is `Unknown`.
pub fn condition(
    type_: &str,
    status: Option<bool>,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: &Time,
) -> Condition {
    let status = match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: now.clone(),
    }
}

/// The condition of that type, if there is one.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition of that type is `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn time_moves_with_the_status_only() {
        let mut all = vec![];
        assert!(set_condition(&mut all, condition("Ready", Some(false), "Starting", "1 of 3", None, &at(1))));
        assert!(set_condition(&mut all, condition("Ready", Some(false), "Starting", "2 of 3", None, &at(2))));
        assert_eq!(all[0].last_transition_time, at(1));
        assert!(set_condition(&mut all, condition("Ready", Some(true), "AllReady", "", None, &at(3))));
        assert_eq!(all[0].last_transition_time, at(3));
        assert!(!set_condition(&mut all, condition("Ready", Some(true), "AllReady", "", None, &at(4))));
        assert_eq!(all.len(), 1);
    }
}
