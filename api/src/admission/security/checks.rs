//! Which checks make up a level, in which version of the standards. The order is that of upstream's messages.

use super::level::{Level, LevelVersion};
use super::spec::{Subject, Violation};
use super::{baseline, restricted};

type CheckFn = fn(Subject<'_>) -> Option<Violation>;

/// One control of the standards.
struct Check {
    level: Level,
    id: &'static str,
    /// From which minor release on which form holds, ascending.
    versions: &'static [(u32, CheckFn)],
    /// The check of the baseline that this one of the restricted level stands in for.
    instead_of: Option<&'static str>,
}

const fn base(id: &'static str, versions: &'static [(u32, CheckFn)]) -> Check {
    Check { level: Level::Baseline, id, versions, instead_of: None }
}

const fn strict(id: &'static str, versions: &'static [(u32, CheckFn)], instead_of: Option<&'static str>) -> Check {
    Check { level: Level::Restricted, id, versions, instead_of }
}

/// Baseline first, each level by id.
const CHECKS: &[Check] = &[
    base("appArmorProfile", &[(0, baseline::app_armor)]),
    base("capabilities_baseline", &[(0, baseline::capabilities)]),
    base("hostNamespaces", &[(0, baseline::host_namespaces)]),
    base("hostPathVolumes", &[(0, baseline::host_path_volumes)]),
    base("hostPorts", &[(0, baseline::host_ports)]),
    base("hostProbesAndHostLifecycle", &[(34, baseline::host_probes)]),
    base("privileged", &[(0, baseline::privileged)]),
    base("procMount", &[(0, baseline::proc_mount), (35, baseline::proc_mount_of_others)]),
    base("seLinuxOptions", &[(0, baseline::se_linux), (31, baseline::se_linux_with_engine)]),
    base("seccompProfile_baseline", &[(0, baseline::seccomp_annotations), (19, baseline::seccomp)]),
    base(
        "sysctls",
        &[(0, baseline::sysctls_0), (27, baseline::sysctls_27), (29, baseline::sysctls_29), (32, baseline::sysctls_32)],
    ),
    base("windowsHostProcess", &[(0, baseline::windows_host_process)]),
    strict("allowPrivilegeEscalation", &[(8, restricted::privilege_escalation)], None),
    strict("capabilities_restricted", &[(22, restricted::capabilities)], Some("capabilities_baseline")),
    strict("procMount_restricted", &[(35, baseline::proc_mount)], Some("procMount")),
    strict("restrictedVolumes", &[(0, restricted::volumes)], Some("hostPathVolumes")),
    strict("runAsNonRoot", &[(0, restricted::non_root), (35, restricted::non_root_of_others)], None),
    strict("runAsUser", &[(23, restricted::user), (35, restricted::user_of_others)], None),
    strict("seccompProfile_restricted", &[(19, restricted::seccomp)], Some("seccompProfile_baseline")),
];

impl Check {
    /// The form that holds in a release, if there is one yet.
    fn at(&self, minor: u32) -> Option<CheckFn> {
        self.versions.iter().rev().find(|(since, _)| *since <= minor).map(|(_, check)| *check)
    }
}

/// Every rule of the level that the template breaks.
pub(crate) fn evaluate(wanted: LevelVersion, subject: Subject<'_>) -> Vec<Violation> {
    if wanted.level == Level::Privileged {
        return Vec::new();
    }
    let minor = wanted.version.minor();
    let is_replaced = |id: &str| {
        wanted.level == Level::Restricted
            && CHECKS.iter().any(|other| other.instead_of == Some(id) && other.at(minor).is_some())
    };
    CHECKS
        .iter()
        .filter(|check| check.level <= wanted.level && !is_replaced(check.id))
        .filter_map(|check| check.at(minor)?(subject))
        .collect()
}

/// `hostPort (container "a" uses hostPort 80), privileged (…)`.
pub(crate) fn details(violations: &[Violation]) -> String {
    let text = |v: &Violation| {
        if v.detail.is_empty() { v.reason.clone() } else { format!("{} ({})", v.reason, v.detail) }
    };
    violations.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The same without what is particular to one template.
pub(crate) fn reasons(violations: &[Violation]) -> String {
    violations.iter().map(|v| v.reason.as_str()).collect::<Vec<_>>().join(", ")
}
