//! The rank of groups and versions among all that are served: upstream's numbers, ours before them.

/// Group, version, `groupPriorityMinimum` and `versionPriority` of what ships with this server. These are always served
/// here: no APIService takes them away.
const OWN: &[(&str, &str, i64, i64)] = &[
    (berth_types::GROUP, berth_types::VERSION, 19_900, 100),
    ("", "v1", 18_000, 1),
    ("events.k8s.io", "v1", 17_750, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    (GROUP, "v1", 16_650, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
    ("authentication.berth.dev", "v1", 16_000, 15),
];

/// The group that says who serves what. Nobody serves it for us, so no APIService speaks of it, as upstream has it.
pub(crate) const GROUP: &str = "apiregistration.k8s.io";

/// The priorities of what definitions bring.
const DEFINED: (i64, i64) = (1000, 100);

/// Whether this ships with the server.
pub(crate) fn is_own(group: &str, version: &str) -> bool {
    OWN.iter().any(|(g, v, ..)| *g == group && *v == version)
}

/// The priorities of a group and version that is served here: of the group, and of the version in it.
pub(crate) fn of(group: &str, version: &str) -> (i64, i64) {
    let own = OWN.iter().find(|(g, v, ..)| *g == group && *v == version);
    own.map_or(DEFINED, |(_, _, group, version)| (*group, *version))
}

/// The priority of a group that is served here.
pub(crate) fn of_group(group: &str) -> i64 {
    OWN.iter().filter(|(g, ..)| *g == group).map(|(.., priority, _)| *priority).max().unwrap_or(DEFINED.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_ships_with_the_server_has_a_rank() {
        for kind in crate::registry::core::kinds() {
            assert!(is_own(kind.group, "v1"), "{}", kind.group);
        }
        for kind in crate::registry::reviews::kinds() {
            assert!(is_own(kind.group, kind.version), "{}", kind.group);
        }
        for crd in berth_types::crds::all() {
            assert!(crd.spec.versions.iter().all(|version| is_own(&crd.spec.group, &version.name)));
        }
    }

    #[test]
    fn ours_come_before_kubernetes_and_those_before_definitions() {
        assert!(of_group(berth_types::GROUP) > of_group(""));
        assert!(of_group("flowcontrol.apiserver.k8s.io") > of_group("demo.example.com"));
        assert_eq!(of("demo.example.com", "v2"), (1000, 100));
    }
}
