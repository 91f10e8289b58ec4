//! Quotas: what there is in a namespace is counted, and told beside what there may be.
//!
//! The API server charges a quota when something is created; this controller starts the count, and takes off what is
//! gone, or was charged and never came to be.

mod count;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_types::Task;
use berth_types::quota::{Amounts, read_all, to_json};
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::driver::{Context, Error, Key, Next, Part, Reconciler, Watch};

crate::kind!(ResourceQuota, "", "v1", "ResourceQuota", "resourcequotas", true);

/// A quota that was just charged is left alone for so long: what it was charged for may not be committed yet, and
/// would be missed by a count. A create ends long before.
const SETTLE: Duration = Duration::from_secs(1);
/// Where creates never cease, it is counted after so long all the same: what is gone must be given back.
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// Deletions of kinds that nobody watches for quotas show when it is counted again.
const RECOUNT: Duration = Duration::from_secs(5);
/// Counting again is spread so that many quotas do not ask the API server without pause: for each quota this much.
const RECOUNT_PER_QUOTA: Duration = Duration::from_millis(20);

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![Part::Reconciler(Arc::new(Quotas::default()))]
}

/// When a quota was seen to change.
#[derive(Clone, Debug)]
struct Change {
    version: String,
    /// Since when this version is there.
    since: Timestamp,
    /// Since when it has not been quiet.
    restless_since: Timestamp,
    /// When it was last counted.
    counted: Timestamp,
}

#[derive(Debug, Default)]
struct Quotas {
    changes: Mutex<BTreeMap<Key, Change>>,
}

impl Reconciler for Quotas {
    fn name(&self) -> &'static str {
        "berth-quota-controller"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::itself::<ResourceQuota>(),
            // Tasks come and go most, and free what they held when they end.
            Watch::map::<Task>(|task, ctx| {
                let namespace = task.metadata.namespace.as_deref().unwrap_or_default();
                let quotas = ctx.store::<ResourceQuota>().in_namespace(namespace);
                quotas.iter().map(|quota| Key::of(&quota.metadata)).collect()
            }),
        ]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        self.reconcile(key, ctx).boxed()
    }
}

impl Quotas {
    async fn reconcile(&self, key: &Key, ctx: &Context) -> Result<Next, Error> {
        let Some(quota) = ctx.store::<ResourceQuota>().get(key) else {
            self.changes.lock().remove(key);
            return Ok(Next::Changed);
        };
        if quota.metadata.deletion_timestamp.is_some() {
            return Ok(Next::Changed);
        }
        let object = serde_json::to_value(&*quota)
            .map_err(|source| Error::Decode { what: "a ResourceQuota".to_owned(), source })?;
        let version = quota.metadata.resource_version.clone().unwrap_or_default();
        if is_counted(&object)
            && let Some(wait) = self.restless(key, version, ctx.now())
        {
            return Ok(Next::After(wait));
        }
        let used = count::used(&object, &key.namespace, ctx).await?;
        let status = status(&object, used);
        if object["status"] != status {
            let patch = json!({
                "metadata": {"resourceVersion": quota.metadata.resource_version},
                // What is no longer bounded goes.
                "status": with_removals(&object["status"], &status),
            });
            let written = ctx.patch_status::<ResourceQuota>(key, &patch).await?;
            self.quiet(key, written.metadata.resource_version.clone().unwrap_or_default(), ctx.now());
        }
        let quotas = u32::try_from(ctx.store::<ResourceQuota>().len()).unwrap_or(u32::MAX);
        Ok(Next::After(RECOUNT.max(RECOUNT_PER_QUOTA.saturating_mul(quotas))))
    }

    /// How long to wait before a quota may be counted, when others charge it just now.
    fn restless(&self, key: &Key, version: String, now: Timestamp) -> Option<Duration> {
        let mut changes = self.changes.lock();
        let change = changes.entry(key.clone()).or_insert_with(|| Change {
            version: version.clone(),
            since: now,
            restless_since: now,
            counted: Timestamp::UNIX_EPOCH,
        });
        let passed = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or(SETTLE_MAX);
        if change.version != version {
            if passed(change.since) >= SETTLE {
                change.restless_since = now;
            }
            change.version = version;
            change.since = now;
        }
        let left = |of: Duration, since: Timestamp| of.checked_sub(passed(since)).filter(|left| !left.is_zero());
        // A busy namespace must not have its quotas counted at each change of a task.
        if let Some(wait) = left(SETTLE, change.counted) {
            return Some(wait);
        }
        let quiet =
            left(SETTLE, change.since).and_then(|wait| Some(wait.min(left(SETTLE_MAX, change.restless_since)?)));
        if quiet.is_none() {
            change.counted = now;
        }
        quiet
    }

    /// Our own write is none that a count must wait for.
    fn quiet(&self, key: &Key, version: String, now: Timestamp) {
        let long_ago = now.checked_sub(SETTLE_MAX).unwrap_or(now);
        let change = Change { version, since: long_ago, restless_since: now, counted: now };
        self.changes.lock().insert(key.clone(), change);
    }
}

/// Whether the status speaks of what the spec bounds: until it does, nothing can be created.
fn is_counted(quota: &Value) -> bool {
    let hard = read_all(&quota["spec"]["hard"]);
    let used = read_all(&quota["status"]["used"]);
    read_all(&quota["status"]["hard"]) == hard && hard.keys().all(|name| used.contains_key(name))
}

/// What the status should be: what may be, and of that what is.
fn status(quota: &Value, mut used: Amounts) -> Value {
    let hard = &quota["spec"]["hard"];
    used.retain(|name, _| hard.get(name).is_some());
    for name in hard.as_object().into_iter().flat_map(|hard| hard.keys()) {
        used.entry(name.clone()).or_default();
    }
    json!({"hard": hard, "used": to_json(&used)})
}

/// The new status as a merge patch upon the old one.
fn with_removals(old: &Value, new: &Value) -> Value {
    let mut patch = new.clone();
    for part in ["hard", "used"] {
        for name in old[part].as_object().into_iter().flat_map(|names| names.keys()) {
            if patch[part].get(name).is_none() {
                patch[part][name.as_str()] = Value::Null;
            }
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use berth_types::quota::Amount;

    use super::*;

    #[test]
    fn the_status_tells_of_each_bound_what_is_used() {
        let quota = json!({"spec": {"hard": {"pods": "5", "requests.memory": "1Gi"}},
            "status": {"hard": {"pods": "3", "secrets": "1"}, "used": {"pods": "3", "secrets": "0"}}});
        assert!(!is_counted(&quota));
        let used = Amounts::from([("pods".to_owned(), Amount::count(2)), ("cpu".to_owned(), Amount::count(1))]);
        let new = status(&quota, used);
        assert_eq!(
            new,
            json!({"hard": {"pods": "5", "requests.memory": "1Gi"}, "used": {"pods": "2", "requests.memory": "0"}})
        );
        let patch = with_removals(&quota["status"], &new);
        assert_eq!((&patch["hard"]["secrets"], &patch["used"]["secrets"]), (&Value::Null, &Value::Null));
        assert!(is_counted(&json!({"spec": quota["spec"], "status": new})));
    }

    #[test]
    fn a_quota_is_counted_when_it_is_quiet_or_never_is() {
        let quotas = Quotas::default();
        let key = Key::new("ns", "q");
        let at = |milli: i64| Timestamp::from_millisecond(1_700_000_000_000 + milli).unwrap();
        let waits = |version: &str, milli: i64| quotas.restless(&key, version.to_owned(), at(milli)).is_some();
        assert!(waits("1", 0) && waits("1", 900) && !waits("1", 1000));
        // Charged twice a second from here on.
        let mut counted = Vec::new();
        for step in 0..14 {
            if !waits(&format!("v{step}"), 2000 + step * 500) {
                counted.push(step);
            }
        }
        assert_eq!(counted.first(), Some(&10), "{counted:?}");
    }
}
