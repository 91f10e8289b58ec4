//! The restricted level: what a hardened task needs not is refused, and what hardens it is demanded.

use std::collections::BTreeSet;

use serde_json::Value;

use super::baseline;
use super::spec::{Setters, Subject, Violation, containers, context, name, plural, quoted};

pub(super) fn privilege_escalation(subject: Subject<'_>) -> Option<Violation> {
    let open = |c: &&Value| *context(c, "/allowPrivilegeEscalation") != Value::Bool(false);
    let bad: Vec<String> = subject.containers().filter(open).map(name).collect();
    (!bad.is_empty()).then(|| {
        let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&bad));
        Violation::new("allowPrivilegeEscalation != false", detail)
    })
}

pub(super) fn capabilities(subject: Subject<'_>) -> Option<Violation> {
    let drops_all = |c: &Value| {
        context(c, "/capabilities/drop").as_array().is_some_and(|dropped| dropped.iter().any(|cap| cap == "ALL"))
    };
    let keeping: Vec<String> = subject.containers().filter(|c| !drops_all(c)).map(name).collect();
    let (adding, names) = baseline::added_capabilities(subject, &["NET_BIND_SERVICE"]);
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !adding.is_empty() {
        let who = containers(&adding);
        details.push(format!("{who} must not include {} in securityContext.capabilities.add", quoted(names)));
    }
    (!details.is_empty()).then(|| Violation::new("unrestricted capabilities", details.join("; ")))
}

/// Volumes that bring nothing of the node's.
const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn volumes(subject: Subject<'_>) -> Option<Violation> {
    let mut bad = Vec::new();
    let mut kinds = BTreeSet::new();
    for volume in subject.spec["volumes"].as_array().into_iter().flatten() {
        if VOLUMES.iter().any(|kind| !volume[kind].is_null()) {
            continue;
        }
        bad.push(name(volume));
        let given =
            volume.as_object().into_iter().flatten().find(|(field, value)| *field != "name" && !value.is_null());
        kinds.insert(given.map_or_else(|| "unknown".to_owned(), |(field, _)| field.clone()));
    }
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} {} {}",
            plural("volume", "volumes", bad.len()),
            quoted(&bad),
            plural("uses", "use", bad.len()),
            plural("restricted volume type", "restricted volume types", kinds.len()),
            quoted(kinds),
        );
        Violation::new("restricted volume types", detail)
    })
}

pub(super) fn non_root(subject: Subject<'_>) -> Option<Violation> {
    const POINTER: &str = "/runAsNonRoot";
    const REASON: &str = "runAsNonRoot != true";
    let found = Setters::find(subject, POINTER, |value| *value == Value::Bool(false));
    if found.any() {
        let setters = found.parts().join(" and ");
        return Some(Violation::new(REASON, format!("{setters} must not set securityContext.runAsNonRoot=false")));
    }
    if *subject.context(POINTER) == Value::Bool(true) {
        return None;
    }
    let silent: Vec<String> = subject.containers().filter(|c| context(c, POINTER).is_null()).map(name).collect();
    (!silent.is_empty()).then(|| {
        let detail = format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&silent));
        Violation::new(REASON, detail)
    })
}

/// With users of its own, root inside is nobody outside.
pub(super) fn non_root_of_others(subject: Subject<'_>) -> Option<Violation> {
    if subject.has_own_users() { None } else { non_root(subject) }
}

pub(super) fn user(subject: Subject<'_>) -> Option<Violation> {
    let found = Setters::find(subject, "/runAsUser", |value| value.as_i64() == Some(0));
    found
        .any()
        .then(|| Violation::new("runAsUser=0", format!("{} must not set runAsUser=0", found.parts().join(" and "))))
}

pub(super) fn user_of_others(subject: Subject<'_>) -> Option<Violation> {
    if subject.has_own_users() { None } else { user(subject) }
}

pub(super) fn seccomp(subject: Subject<'_>) -> Option<Violation> {
    const POINTER: &str = "/seccompProfile/type";
    if let Some(violation) = baseline::seccomp(subject) {
        return Some(violation);
    }
    if !subject.context(POINTER).is_null() {
        return None;
    }
    let silent: Vec<String> = subject.containers().filter(|c| context(c, POINTER).is_null()).map(name).collect();
    (!silent.is_empty()).then(|| {
        let detail = format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            containers(&silent)
        );
        Violation::new("seccompProfile", detail)
    })
}
