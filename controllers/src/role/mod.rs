//! Roles: the default one is always there, and each says what its tasks hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_types::names::DEFAULT_ROLE;
use berth_types::{Quantity, Role, RoleSpec, RoleStatus, Task};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

use crate::driver::{Context, Error, Key, Next, Part, Reconciler, Watch};
use crate::placement::held_by;

/// What a role holds is written at most this often: it is for people to read, nobody decides by it.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(Roles::default()))]
}

#[derive(Debug, Default)]
struct Roles {
    written: Mutex<BTreeMap<Key, Timestamp>>,
}

impl Reconciler for Roles {
    fn name(&self) -> &'static str {
        "berth-role-controller"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::itself::<Role>(),
            Watch::map::<Task>(|task, _| vec![Key::cluster(role_of(task))]),
            // There is always a namespace, so that the default role is looked at in an empty cluster, too.
            Watch::map::<Namespace>(|_, _| vec![Key::cluster(DEFAULT_ROLE)]),
        ]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        self.reconcile(key, ctx).boxed()
    }
}

fn role_of(task: &Task) -> &str {
    task.spec.template.role.as_deref().filter(|role| !role.is_empty()).unwrap_or(DEFAULT_ROLE)
}

impl Roles {
    async fn reconcile(&self, key: &Key, ctx: &Context) -> Result<Next, Error> {
        let Some(role) = ctx.store::<Role>().get(key) else {
            self.written.lock().remove(key);
            if key.name == DEFAULT_ROLE {
                // Tasks need no role to be there; people look for it.
                ctx.create(&default_role()).await?;
            }
            return Ok(Next::Changed);
        };
        if role.metadata.deletion_timestamp.is_some() {
            return Ok(Next::Changed);
        }
        if let Some(wait) = self.wait(key, ctx.now()) {
            return Ok(Next::After(wait));
        }
        let tasks = ctx.store::<Task>().all();
        let status = status(tasks.iter().map(|task| &**task), &key.name);
        if role.status.clone().unwrap_or_default() != status {
            ctx.write_status(&*role, role.status.as_ref(), &status).await?;
            self.written.lock().insert(key.clone(), ctx.now());
        }
        Ok(Next::Changed)
    }

    /// How long to wait before the role's status may be written again.
    fn wait(&self, key: &Key, now: Timestamp) -> Option<Duration> {
        let passed = now.duration_since(*self.written.lock().get(key)?);
        let passed = Duration::try_from(passed).unwrap_or(STATUS_INTERVAL);
        STATUS_INTERVAL.checked_sub(passed).filter(|wait| !wait.is_zero())
    }
}

fn default_role() -> Role {
    let metadata = ObjectMeta { name: Some(DEFAULT_ROLE.to_owned()), ..ObjectMeta::default() };
    let spec = RoleSpec { weight: 1, ..RoleSpec::default() };
    Role { metadata, spec, status: None }
}

/// What the role's bound tasks, and those of its children, hold.
fn status<'a>(tasks: impl Iterator<Item = &'a Task>, role: &str) -> RoleStatus {
    let is_ours = |task: &&Task| {
        let of = role_of(task);
        of == role || of.strip_prefix(role).is_some_and(|rest| rest.starts_with('.'))
    };
    let mut sum: BTreeMap<String, i64> = BTreeMap::new();
    for (name, amount) in tasks.filter(is_ours).filter_map(held_by).flat_map(|held| held.0) {
        let all = sum.entry(name).or_default();
        *all = all.saturating_add(amount.0);
    }
    let shown = sum.into_iter().filter(|(_, milli)| *milli > 0).map(|(name, milli)| {
        let is_bytes = matches!(name.as_str(), "memory" | "disk");
        let quantity = if is_bytes { Quantity::from_bytes(milli / 1000) } else { Quantity::from_milli(milli) };
        (name, quantity)
    });
    RoleStatus { allocated: shown.collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(role: &str, node: Option<&str>, phase: &str) -> Task {
        serde_json::from_value(json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"},
            "spec": {"role": role, "nodeName": node, "containers": [
                {"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "64Mi"}}},
            ]},
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[test]
    fn a_role_holds_what_its_and_its_childrens_live_bound_tasks_hold() {
        let tasks = [
            task("eng", Some("n"), "Running"),
            task("eng.web", Some("n"), "Starting"),
            task("engine", Some("n"), "Running"),
            task("eng", None, "Pending"),
            task("eng", Some("n"), "Failed"),
        ];
        let status = status(tasks.iter(), "eng");
        assert_eq!(status.allocated, BTreeMap::from([("cpu".into(), "1".into()), ("memory".into(), "128Mi".into())]));
    }

    #[test]
    fn a_task_without_role_is_the_default_ones() {
        assert_eq!(role_of(&task("", None, "Pending")), "default");
    }
}
