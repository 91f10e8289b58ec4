//! The baseline level: what lets a task take over its node, or others on it, is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use super::spec::{Setters, Subject, Violation, containers, context, name, plural, quoted};

const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_ANNOTATION_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";

const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) fn app_armor(subject: Subject<'_>) -> Option<Violation> {
    let is_bad = |value: &Value| !matches!(value.as_str(), Some("RuntimeDefault" | "Localhost"));
    let found = Setters::find(subject, "/appArmorProfile/type", is_bad);
    let annotations: BTreeSet<String> = subject
        .annotations()
        .filter(|(key, value)| {
            key.starts_with(APP_ARMOR_ANNOTATION)
                && !(value.is_empty() || *value == "runtime/default" || value.starts_with("localhost/"))
        })
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    let mut setters = found.parts();
    if !annotations.is_empty() {
        setters.push(plural("annotation", "annotations", annotations.len()).to_owned());
    }
    if setters.is_empty() {
        return None;
    }
    let values: Vec<&String> = found.values.iter().chain(&annotations).collect();
    Some(Violation::new(
        plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len()),
        format!("{} must not set AppArmor profile type to {}", setters.join(" and "), quoted(values)),
    ))
}

/// The capabilities in `add` that are not allowed, with the containers that ask for them.
pub(super) fn added_capabilities(subject: Subject<'_>, allowed: &[&str]) -> (Vec<String>, BTreeSet<String>) {
    let mut bad = (Vec::new(), BTreeSet::new());
    for container in subject.containers() {
        let added = context(container, "/capabilities/add").as_array().into_iter().flatten().filter_map(Value::as_str);
        let before = bad.0.len();
        for capability in added.filter(|capability| !allowed.contains(capability)) {
            if bad.0.len() == before {
                bad.0.push(name(container));
            }
            bad.1.insert(capability.to_owned());
        }
    }
    bad
}

pub(super) fn capabilities(subject: Subject<'_>) -> Option<Violation> {
    let (bad, names) = added_capabilities(subject, CAPABILITIES);
    (!bad.is_empty()).then(|| {
        let detail =
            format!("{} must not include {} in securityContext.capabilities.add", containers(&bad), quoted(names));
        Violation::new("non-default capabilities", detail)
    })
}

pub(super) fn host_namespaces(subject: Subject<'_>) -> Option<Violation> {
    let shared: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| subject.spec[field] == Value::Bool(true))
        .map(|field| format!("{field}=true"))
        .collect();
    (!shared.is_empty()).then(|| Violation::new("host namespaces", shared.join(", ")))
}

pub(super) fn host_path_volumes(subject: Subject<'_>) -> Option<Violation> {
    let volumes = subject.spec["volumes"].as_array().into_iter().flatten();
    let bad: Vec<String> = volumes.filter(|volume| !volume["hostPath"].is_null()).map(name).collect();
    (!bad.is_empty()).then(|| {
        Violation::new("hostPath volumes", format!("{} {}", plural("volume", "volumes", bad.len()), quoted(&bad)))
    })
}

pub(super) fn host_ports(subject: Subject<'_>) -> Option<Violation> {
    let mut bad = Vec::new();
    // Sorted as texts, as upstream does.
    let mut ports = BTreeSet::new();
    for container in subject.containers() {
        let taken = container["ports"].as_array().into_iter().flatten().filter_map(|port| port["hostPort"].as_i64());
        let taken: Vec<String> = taken.filter(|port| *port != 0).map(|port| port.to_string()).collect();
        if !taken.is_empty() {
            bad.push(name(container));
            ports.extend(taken);
        }
    }
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} {}",
            containers(&bad),
            plural("uses", "use", bad.len()),
            plural("hostPort", "hostPorts", ports.len()),
            ports.into_iter().collect::<Vec<_>>().join(", "),
        );
        Violation::new("hostPort", detail)
    })
}

pub(super) fn host_probes(subject: Subject<'_>) -> Option<Violation> {
    let mut bad = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    for container in subject.containers() {
        let lifecycle = &container["lifecycle"];
        let handlers = [
            &container["livenessProbe"],
            &container["readinessProbe"],
            &container["startupProbe"],
            &lifecycle["postStart"],
            &lifecycle["preStop"],
        ];
        for handler in handlers {
            for action in ["httpGet", "tcpSocket"] {
                if let Some(host) = handler[action]["host"].as_str().filter(|host| !host.is_empty()) {
                    bad.insert(name(container));
                    hosts.insert(host.to_owned());
                }
            }
        }
    }
    (!bad.is_empty()).then(|| {
        let bad: Vec<String> = bad.into_iter().collect();
        let detail = format!(
            "{} {} {} {}",
            containers(&bad),
            plural("uses", "use", bad.len()),
            plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len()),
            quoted(hosts),
        );
        Violation::new("probe or lifecycle host", detail)
    })
}

pub(super) fn privileged(subject: Subject<'_>) -> Option<Violation> {
    let bad: Vec<String> =
        subject.containers().filter(|c| *context(c, "/privileged") == Value::Bool(true)).map(name).collect();
    (!bad.is_empty()).then(|| {
        Violation::new("privileged", format!("{} must not set securityContext.privileged=true", containers(&bad)))
    })
}

pub(super) fn proc_mount(subject: Subject<'_>) -> Option<Violation> {
    let mut bad = Vec::new();
    let mut kinds = BTreeSet::new();
    for container in subject.containers() {
        if let Some(kind) = context(container, "/procMount").as_str().filter(|kind| *kind != "Default") {
            bad.push(name(container));
            kinds.insert(kind.to_owned());
        }
    }
    (!bad.is_empty()).then(|| {
        let detail = format!("{} must not set securityContext.procMount to {}", containers(&bad), quoted(kinds));
        Violation::new("procMount", detail)
    })
}

/// A task with users of its own may see all of /proc.
pub(super) fn proc_mount_of_others(subject: Subject<'_>) -> Option<Violation> {
    if subject.has_own_users() { None } else { proc_mount(subject) }
}

pub(super) fn se_linux(subject: Subject<'_>) -> Option<Violation> {
    se_linux_types(subject, &["", "container_t", "container_init_t", "container_kvm_t"])
}

pub(super) fn se_linux_with_engine(subject: Subject<'_>) -> Option<Violation> {
    se_linux_types(subject, &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"])
}

fn se_linux_types(subject: Subject<'_>, allowed: &[&str]) -> Option<Violation> {
    let text = |options: &Value, field: &str| options[field].as_str().unwrap_or_default().to_owned();
    let bad_type = |options: &Value| !allowed.contains(&text(options, "type").as_str());
    let is_bad =
        |options: &Value| bad_type(options) || ["user", "role"].iter().any(|field| !text(options, field).is_empty());
    let found = Setters::find(subject, "/seLinuxOptions", is_bad);
    if !found.any() {
        return None;
    }
    let given: Vec<&Value> = std::iter::once(subject.context("/seLinuxOptions"))
        .chain(subject.containers().map(|container| context(container, "/seLinuxOptions")))
        .filter(|options| options.is_object())
        .collect();
    let types: BTreeSet<String> = given.iter().filter(|o| bad_type(o)).map(|o| text(o, "type")).collect();
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(format!("{} {}", plural("type", "types", types.len()), quoted(types)));
    }
    for field in ["user", "role"] {
        if given.iter().any(|options| !text(options, field).is_empty()) {
            data.push(format!("{field} may not be set"));
        }
    }
    let setters = found.parts().join(" and ");
    let detail = format!("{setters} set forbidden securityContext.seLinuxOptions: {}", data.join("; "));
    Some(Violation::new("seLinuxOptions", detail))
}

/// Before Kubernetes 1.19 profiles were annotations.
pub(super) fn seccomp_annotations(subject: Subject<'_>) -> Option<Violation> {
    let is_good =
        |value: &str| matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
    let names: Vec<String> = subject.containers().map(|c| format!("{SECCOMP_ANNOTATION}{}", name(c))).collect();
    let bad: BTreeSet<String> = subject
        .annotations()
        .filter(|(key, value)| (*key == SECCOMP_ANNOTATION_POD || names.contains(key)) && !is_good(value))
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    (!bad.is_empty()).then(|| {
        let what = plural("annotation", "annotations", bad.len());
        Violation::new("seccompProfile", format!("forbidden {what} {}", bad.into_iter().collect::<Vec<_>>().join(", ")))
    })
}

/// The profiles that somebody set and that are not allowed.
pub(super) fn seccomp(subject: Subject<'_>) -> Option<Violation> {
    let is_bad = |value: &Value| !matches!(value.as_str(), Some("RuntimeDefault" | "Localhost"));
    let found = Setters::find(subject, "/seccompProfile/type", is_bad);
    found.any().then(|| {
        let setters = found.parts().join(" and ");
        let detail = format!("{setters} must not set securityContext.seccompProfile.type to {}", quoted(&found.values));
        Violation::new("seccompProfile", detail)
    })
}

/// The sysctls that a task may set, with the release that allowed them.
const SYSCTLS: &[(u32, &str)] = &[
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
];

fn sysctls(subject: Subject<'_>, minor: u32) -> Option<Violation> {
    let set = subject.context("/sysctls").as_array().into_iter().flatten().filter_map(|sysctl| sysctl["name"].as_str());
    let bad: Vec<&str> =
        set.filter(|name| !SYSCTLS.iter().any(|(since, known)| *since <= minor && known == name)).collect();
    (!bad.is_empty()).then(|| Violation::new("forbidden sysctls", bad.join(", ")))
}

pub(super) fn sysctls_0(subject: Subject<'_>) -> Option<Violation> {
    sysctls(subject, 0)
}

pub(super) fn sysctls_27(subject: Subject<'_>) -> Option<Violation> {
    sysctls(subject, 27)
}

pub(super) fn sysctls_29(subject: Subject<'_>) -> Option<Violation> {
    sysctls(subject, 29)
}

pub(super) fn sysctls_32(subject: Subject<'_>) -> Option<Violation> {
    sysctls(subject, 32)
}

pub(super) fn windows_host_process(subject: Subject<'_>) -> Option<Violation> {
    let found = Setters::find(subject, "/windowsOptions/hostProcess", |value| *value == Value::Bool(true));
    found.any().then(|| {
        let setters = found.parts().join(" and ");
        Violation::new("hostProcess", format!("{setters} must not set securityContext.windowsOptions.hostProcess=true"))
    })
}
