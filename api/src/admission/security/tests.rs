//! Each control of the standards: what it says of a template that breaks it, and in which versions it holds.

use serde_json::{Value, json};

use super::checks::{details, evaluate};
use super::level::Policy;
use super::spec::Subject;

fn judged(level: &str, version: &str, metadata: &Value, spec: &Value) -> String {
    let labels = json!({"pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/enforce-version": version});
    details(&evaluate(Policy::of(&labels).0.enforce, Subject { metadata, spec }))
}

/// One container `a` with this securityContext, hardened otherwise.
fn hardened(patch: Value) -> Value {
    let mut spec = json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "a",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
    });
    merge(&mut spec, patch);
    spec
}

fn merge(to: &mut Value, from: Value) {
    match (to, from) {
        (Value::Object(to), Value::Object(from)) => {
            for (field, value) in from {
                merge(to.entry(field).or_insert(Value::Null), value);
            }
        }
        (Value::Array(to), Value::Array(from)) if !to.is_empty() => {
            for (to, from) in to.iter_mut().zip(from) {
                merge(to, from);
            }
        }
        (to, from) => *to = from,
    }
}

fn container(context: Value) -> Value {
    json!({"containers": [{"securityContext": context}]})
}

#[test]
fn a_hardened_template_keeps_every_level() {
    for (level, version) in
        [("restricted", "latest"), ("baseline", "latest"), ("restricted", "v1.0"), ("restricted", "v1.99")]
    {
        assert_eq!(judged(level, version, &Value::Null, &hardened(json!({}))), "", "{level} {version}");
    }
}

#[test]
fn each_control_of_the_baseline() {
    for (patch, told) in [
        (
            json!({"hostNetwork": true, "hostPID": true, "hostIPC": true}),
            "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
        ),
        (
            container(json!({"privileged": true})),
            r#"privileged (container "a" must not set securityContext.privileged=true)"#,
        ),
        (
            container(json!({"capabilities": {"add": ["NET_RAW", "CHOWN", "SYS_ADMIN"]}})),
            r#"non-default capabilities (container "a" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)"#,
        ),
        (json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), r#"hostPath volumes (volume "v")"#),
        (
            json!({"containers": [{"ports": [{"hostPort": 80}, {"hostPort": 9}, {"hostPort": 0}]}]}),
            r#"hostPort (container "a" uses hostPorts 80, 9)"#,
        ),
        (
            json!({"containers": [{"livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}]}),
            r#"probe or lifecycle host (container "a" uses probe or lifecycle host "10.0.0.1")"#,
        ),
        (
            json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}),
            r#"forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")"#,
        ),
        (
            json!({"securityContext": {"seLinuxOptions": {"type": "x_t", "user": "u"}}}),
            r#"seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "x_t"; user may not be set)"#,
        ),
        (
            container(json!({"procMount": "Unmasked"})),
            r#"procMount (container "a" must not set securityContext.procMount to "Unmasked")"#,
        ),
        (
            container(json!({"seccompProfile": {"type": "Unconfined"}})),
            r#"seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")"#,
        ),
        (
            json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ] {
        assert_eq!(judged("baseline", "latest", &Value::Null, &hardened(patch.clone())), told, "{patch}");
        assert_eq!(judged("privileged", "latest", &Value::Null, &hardened(patch.clone())), "", "{patch}");
        assert!(!judged("restricted", "latest", &Value::Null, &hardened(patch.clone())).is_empty(), "{patch}");
    }
}

#[test]
fn each_control_of_the_restricted_level() {
    for (patch, told) in [
        (
            container(json!({"allowPrivilegeEscalation": null})),
            r#"allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)"#,
        ),
        (
            container(json!({"capabilities": null})),
            r#"unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"])"#,
        ),
        (
            container(json!({"capabilities": {"add": ["NET_BIND_SERVICE", "CHOWN"]}})),
            r#"unrestricted capabilities (container "a" must not include "CHOWN" in securityContext.capabilities.add)"#,
        ),
        (
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "emptyDir": {}}]}),
            r#"restricted volume types (volume "v" uses restricted volume type "hostPath")"#,
        ),
        (
            json!({"securityContext": {"runAsNonRoot": null}}),
            r#"runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)"#,
        ),
        (
            container(json!({"runAsNonRoot": false})),
            r#"runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)"#,
        ),
        (json!({"securityContext": {"runAsUser": 0}}), "runAsUser=0 (pod must not set runAsUser=0)"),
        (
            json!({"securityContext": {"seccompProfile": null}}),
            r#"seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#,
        ),
    ] {
        assert_eq!(judged("restricted", "latest", &Value::Null, &hardened(patch.clone())), told, "{patch}");
    }
}

#[test]
fn old_versions_have_old_rules() {
    let annotated = json!({"annotations": {
        "container.apparmor.security.beta.kubernetes.io/a": "unconfined",
        "seccomp.security.alpha.kubernetes.io/pod": "unconfined"}});
    let bare = json!({"containers": [{"name": "a"}]});
    assert_eq!(
        judged("baseline", "v1.18", &annotated, &bare),
        r#"forbidden AppArmor profile (annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/a="unconfined""), seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")"#
    );
    assert!(!judged("baseline", "v1.19", &annotated, &bare).contains("seccomp"));
    assert!(!judged("restricted", "v1.7", &Value::Null, &bare).contains("allowPrivilegeEscalation"));
    let rmem = json!({"containers": [], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}});
    assert_eq!(judged("baseline", "v1.31", &Value::Null, &rmem), "forbidden sysctls (net.ipv4.tcp_rmem)");
    assert_eq!(judged("baseline", "v1.32", &Value::Null, &rmem), "");
}

#[test]
fn several_containers_are_told_together() {
    let spec = json!({
        "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
        "containers": [{"name": "a", "securityContext": {"privileged": true}}, {"name": "b"}],
    });
    assert_eq!(
        judged("baseline", "latest", &Value::Null, &spec),
        r#"privileged (containers "i", "a" must not set securityContext.privileged=true)"#
    );
}
