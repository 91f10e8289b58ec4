//! Security contexts: who a container runs as, and what it may do. The container's own wins over the task's.

use berth_client::k8s_openapi::api::core::v1::{PodSecurityContext, SecurityContext};
use berth_container::{Capabilities, ContainerSpec, Seccomp, User};
use berth_types::{Container, Task};

use super::HookError;

const BAD_CONTEXT: &str = "InvalidSecurityContext";

/// Who the container runs as; `None` is the agent's own user.
///
/// # Errors
/// When an id is out of range, or `runAsNonRoot` is set and nobody says who else.
pub fn user(task: &Task, container: &Container, agent_is_root: bool) -> Result<Option<User>, HookError> {
    let own = container.security_context.clone().unwrap_or_default();
    let all = task.spec.template.security_context.clone().unwrap_or_default();
    let SecurityContext { run_as_user, run_as_group, run_as_non_root, .. } = own;
    let uid = run_as_user.or(all.run_as_user).map(|id| number("runAsUser", id)).transpose()?;
    let gid = run_as_group.or(all.run_as_group).map(|id| number("runAsGroup", id)).transpose()?;
    if run_as_non_root.or(all.run_as_non_root) == Some(true) && (uid == Some(0) || uid.is_none() && agent_is_root) {
        return Err(HookError::invalid(
            BAD_CONTEXT,
            "runAsNonRoot is set but the container would run as root: set securityContext.runAsUser",
        ));
    }
    let groups = groups(&all)?;
    if uid.is_none() && gid.is_none() && groups.is_empty() {
        return Ok(None);
    }
    // A user without a group of its own gets the group of the same number, not root's.
    let uid = uid.unwrap_or(0);
    Ok(Some(User { uid, gid: gid.unwrap_or(uid), groups }))
}

/// Copies capabilities, privilege, seccomp and read-only root into the spec.
pub fn restrict(spec: &mut ContainerSpec, task: &Task, container: &Container) {
    let own = container.security_context.clone().unwrap_or_default();
    let all = task.spec.template.security_context.clone().unwrap_or_default();
    let capabilities = own.capabilities.unwrap_or_default();
    spec.capabilities =
        Capabilities { add: capabilities.add.unwrap_or_default(), drop: capabilities.drop.unwrap_or_default() };
    spec.privileged = own.privileged == Some(true);
    // Privileges can be raised only where somebody asked for it.
    spec.no_new_privileges = !(spec.privileged || own.allow_privilege_escalation == Some(true));
    spec.read_only_rootfs = own.read_only_root_filesystem == Some(true);
    let profile = own.seccomp_profile.or(all.seccomp_profile).map(|p| p.type_);
    spec.seccomp = if profile.as_deref() == Some("Unconfined") { Seccomp::Unconfined } else { Seccomp::Default };
}

fn groups(all: &PodSecurityContext) -> Result<Vec<u32>, HookError> {
    let ids = all.supplemental_groups.iter().flatten().chain(&all.fs_group);
    ids.map(|id| number("supplementalGroups", *id)).collect()
}

fn number(field: &str, id: i64) -> Result<u32, HookError> {
    u32::try_from(id)
        .map_err(|_| HookError::invalid(BAD_CONTEXT, format!("{field} {id} must be between 0 and {}", u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(all: serde_json::Value, own: serde_json::Value) -> Task {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"},
            "spec": {"securityContext": all, "containers": [{"name": "c", "securityContext": own}]}
        }))
        .unwrap()
    }

    fn user_of(all: serde_json::Value, own: serde_json::Value) -> Result<Option<User>, HookError> {
        let task = task(all, own);
        user(&task, &task.spec.template.containers[0], true)
    }

    #[test]
    fn the_containers_user_wins_over_the_tasks() {
        let none = serde_json::json!({});
        assert_eq!(user_of(none.clone(), none.clone()), Ok(None));
        let all = serde_json::json!({"runAsUser": 1000, "fsGroup": 50});
        assert_eq!(user_of(all.clone(), none), Ok(Some(User { uid: 1000, gid: 1000, groups: vec![50] })));
        let own = serde_json::json!({"runAsUser": 7, "runAsGroup": 8});
        assert_eq!(user_of(all, own), Ok(Some(User { uid: 7, gid: 8, groups: vec![50] })));
    }

    #[test]
    fn root_is_refused_where_it_was_forbidden() {
        let none = serde_json::json!({});
        assert!(user_of(none.clone(), serde_json::json!({"runAsNonRoot": true})).is_err());
        assert!(user_of(none.clone(), serde_json::json!({"runAsNonRoot": true, "runAsUser": 5})).is_ok());
        assert!(user_of(none, serde_json::json!({"runAsUser": -1})).is_err());
    }

    #[test]
    fn privileges_are_off_unless_asked_for() {
        let task_plain = task(serde_json::json!({}), serde_json::json!({"capabilities": {"drop": ["ALL"]}}));
        let mut spec = ContainerSpec::new("c", vec!["true".into()], "/s");
        restrict(&mut spec, &task_plain, &task_plain.spec.template.containers[0]);
        assert!(spec.no_new_privileges && !spec.privileged);
        assert_eq!(spec.capabilities.drop, ["ALL"]);
    }
}
