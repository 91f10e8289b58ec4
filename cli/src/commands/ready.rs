//! Whether an object is what its spec asks for. Pure; apply, rollout and wait ask it.

use serde_json::Value;

use super::shared::{at, condition, is_true, number, text};

/// How far an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// As the spec says.
    Done(String),
    /// On the way; what is missing.
    Waiting(String),
    /// It will not get there by waiting; why.
    Failed(String),
}

/// Judges an object of any kind; kinds that nothing has to be done for are done.
pub(crate) fn progress(object: &Value) -> Progress {
    let generation = number(object, &["metadata", "generation"]);
    let kind = text(object, &["kind"]);
    let judged = text(object, &["apiVersion"]).starts_with("berth.dev/");
    if !judged || !matches!(kind, "Service" | "Job" | "JobRun" | "Task") {
        return Progress::Done("nothing to wait for".to_owned());
    }
    let seen = object["status"]["observedGeneration"].as_i64();
    if matches!(kind, "Service" | "Job") && seen.is_none_or(|seen| seen < generation) {
        return Progress::Waiting("the controllers have not taken it up yet".to_owned());
    }
    match kind {
        "Service" => service(object),
        "Job" => job(object),
        "JobRun" => run(object),
        _ => task(object),
    }
}

fn service(object: &Value) -> Progress {
    let status = |field: &str| number(object, &["status", field]);
    let desired = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let (replicas, updated, available) = (status("replicas"), status("updatedReplicas"), status("availableReplicas"));
    let rolling = condition(object, "Progressing");
    let stuck = rolling.filter(|c| c["status"] == "False" && text(c, &["reason"]) == "ProgressDeadlineExceeded");
    if object["spec"]["paused"] == true && updated < desired && available >= desired {
        // Nothing will happen until it is resumed: waiting would be for ever.
        return Progress::Done(format!(
            "{available} of {desired} instances are available, {updated} of the newest revision; the rollout is paused"
        ));
    }
    let message = if updated < desired && replicas > updated {
        format!("{updated} of {desired} instances are of the newest revision")
    } else if replicas > updated {
        {
            let old = replicas - updated;
            format!(
                "{} of the old revision {} still to stop",
                crate::text::count(usize::try_from(old).unwrap_or(0), "instance"),
                if old == 1 { "is" } else { "are" }
            )
        }
    } else if available < updated || updated < desired {
        format!("{available} of {desired} instances are available")
    } else {
        let paused = if object["spec"]["paused"] == true { "; the rollout is paused" } else { "" };
        return Progress::Done(format!("{available} of {desired} instances are available{paused}"));
    };
    if let Some(stuck) = stuck {
        return Progress::Failed(format!("no progress in time: {}", text(stuck, &["message"])));
    }
    if object["spec"]["paused"] == true && updated < desired {
        return Progress::Waiting(format!("{message}; the rollout is paused"));
    }
    Progress::Waiting(message)
}

fn job(object: &Value) -> Progress {
    let message_of =
        |type_: &str| condition(object, type_).map(|c| text(c, &["message"]).to_owned()).unwrap_or_default();
    if is_true(object, "Failed") {
        return Progress::Failed(message_of("Failed"));
    }
    if is_true(object, "Complete") {
        return Progress::Done("completed".to_owned());
    }
    if at(object, &["spec", "schedules"]).as_array().is_some_and(|s| !s.is_empty()) {
        if condition(object, "Ready").is_some_and(|c| c["status"] == "False") {
            return Progress::Failed(message_of("Ready"));
        }
        let next = text(object, &["status", "nextScheduleTime"]);
        return Progress::Done(if next.is_empty() {
            "scheduled".to_owned()
        } else {
            format!("scheduled, next run {next}")
        });
    }
    if object["spec"]["suspend"] == true {
        return Progress::Done("suspended".to_owned());
    }
    let failed = number(object, &["status", "failed"]);
    Progress::Waiting(if failed > 0 {
        format!("it has not completed; {failed} failed")
    } else {
        "it has not completed".to_owned()
    })
}

fn run(object: &Value) -> Progress {
    match text(object, &["status", "phase"]) {
        "Succeeded" => Progress::Done("succeeded".to_owned()),
        "Failed" => Progress::Failed(text(object, &["status", "message"]).to_owned()),
        _ => Progress::Waiting(format!("attempt {} runs", number(object, &["status", "attempts"]))),
    }
}

fn task(object: &Value) -> Progress {
    match text(object, &["status", "phase"]) {
        "Succeeded" => Progress::Done("succeeded".to_owned()),
        "Failed" | "Killed" => Progress::Failed(text(object, &["status", "message"]).to_owned()),
        _ if is_true(object, "Ready") => Progress::Done("ready".to_owned()),
        "" => Progress::Waiting("it is not placed".to_owned()),
        phase => Progress::Waiting(format!("it is {phase} and not ready")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service_with(status: Value) -> Value {
        json!({"apiVersion": "berth.dev/v1", "kind": "Service", "metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status})
    }

    #[test]
    fn a_service_is_done_when_only_new_instances_are_left_and_available() {
        let judge = |seen: i64, replicas: i64, updated: i64, available: i64| {
            progress(&service_with(
                json!({"observedGeneration": seen, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available}),
            ))
        };
        assert_eq!(judge(1, 3, 3, 3), Progress::Waiting("the controllers have not taken it up yet".into()));
        assert_eq!(judge(2, 4, 1, 3), Progress::Waiting("1 of 3 instances are of the newest revision".into()));
        assert_eq!(judge(2, 4, 3, 3), Progress::Waiting("1 instance of the old revision is still to stop".into()));
        assert_eq!(judge(2, 3, 3, 2), Progress::Waiting("2 of 3 instances are available".into()));
        assert_eq!(judge(2, 3, 3, 3), Progress::Done("3 of 3 instances are available".into()));
    }

    #[test]
    fn a_paused_rollout_is_not_waited_for() {
        let mut object =
            service_with(json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 0, "availableReplicas": 3}));
        object["spec"]["paused"] = true.into();
        let done = "3 of 3 instances are available, 0 of the newest revision; the rollout is paused";
        assert_eq!(progress(&object), Progress::Done(done.into()));
    }

    #[test]
    fn a_rollout_over_its_deadline_has_failed() {
        let object = service_with(json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}]}));
        assert_eq!(progress(&object), Progress::Failed("no progress in time: m".into()));
    }

    #[test]
    fn jobs_with_schedules_are_done_when_they_are_scheduled() {
        let job = |spec: Value, status: Value| {
            progress(
                &json!({"apiVersion": "berth.dev/v1", "kind": "Job", "metadata": {"generation": 1}, "spec": spec, "status": status}),
            )
        };
        let scheduled = json!({"schedules": [{"cron": "@daily"}]});
        assert_eq!(job(scheduled, json!({"observedGeneration": 1})), Progress::Done("scheduled".into()));
        assert_eq!(job(json!({}), json!({"observedGeneration": 1})), Progress::Waiting("it has not completed".into()));
        let failed =
            json!({"observedGeneration": 1, "conditions": [{"type": "Failed", "status": "True", "message": "m"}]});
        assert_eq!(job(json!({}), failed), Progress::Failed("m".into()));
    }

    #[test]
    fn other_kinds_are_done_when_stored() {
        assert!(matches!(progress(&json!({"apiVersion": "v1", "kind": "ConfigMap"})), Progress::Done(_)));
    }
}
