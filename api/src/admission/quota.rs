//! Quotas: how much there may be in a namespace. A create is charged to the quotas' status before it is committed,
//! guarded by their revisions, so that many creates at once never exceed them together. What is charged and not
//! created after all is given back when the controller counts anew.

use std::sync::Arc;

use berth_store::{Compare, Kv, Op, Txn};
use berth_types::quota::{Amount, Amounts, Counted, match_all, read_all, to_json, told};
use serde_json::Value;

use super::Operation;
use super::attributes::Attributes;
use crate::registry::Resource;
use crate::status::ApiError;
use crate::write::encode::Encoded;
use crate::write::{Write, store_error};

/// How often a charge is computed anew when others charge the same quotas.
const ATTEMPTS_MAX: usize = 64;

/// A quota as it is stored now.
struct Live {
    key: Arc<str>,
    revision: u64,
    object: Value,
}

/// Whether a write may have to be charged: a first look that costs nothing where there are no quotas.
pub(crate) fn concern(w: &Write<'_>, operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Update)
        && w.namespace().is_some()
        && w.server
            .registry
            .rows()
            .find("", "v1", "resourcequotas")
            .is_some_and(|row| !row.storage.cache.snapshot().is_empty())
}

/// Charges a create (or what an update adds) to the quotas of its namespace.
///
/// # Errors
/// 403 when a quota would be exceeded.
pub(crate) async fn charge(w: &Write<'_>, a: &Attributes, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let counted = Counted { group: &w.resource.group, plural: &w.resource.plural };
    let is_charged = match a.operation {
        Operation::Create => true,
        // Only volumes can grow.
        Operation::Update => old.is_some_and(|old| old["spec"]["size"] != object["spec"]["size"]),
        Operation::Delete | Operation::Connect => false,
    };
    if !is_charged || !a.subresource.is_empty() || a.namespace.is_empty() || a.is_namespace {
        return Ok(());
    }
    let rows = w.server.registry.snapshot();
    let Some(row) = rows.find("", "v1", "resourcequotas") else { return Ok(()) };
    let names = concerned(row, a, counted, object);
    if names.is_empty() {
        return Ok(());
    }
    let mut usage = counted.usage(object);
    if let Some(old) = old {
        let before = counted.usage(old);
        for (name, amount) in &mut usage {
            *amount = amount.minus(before.get(name).copied().unwrap_or_default());
        }
    }
    let mut turn = None;
    for _ in 0..ATTEMPTS_MAX {
        let mut quotas = Vec::with_capacity(names.len());
        for name in &names {
            quotas.extend(live(w, row, &a.namespace, name).await?);
        }
        let Some(txn) = plan(w, a, counted, object, &usage, &mut quotas)? else { return Ok(()) };
        if a.dry_run || w.server.store.txn(txn).await.map_err(store_error)?.succeeded {
            return Ok(());
        }
        // A crowd goes one after the other.
        if turn.is_none() {
            turn = Some(w.server.admission.quota_turns.wait(&a.namespace).await);
        }
    }
    Err(ApiError::stale(w.resource.named(), &a.name))
}

/// Gives back what a create was charged that did not come to be: its name was taken. What cannot be given back now is
/// when the controller counts anew.
pub(crate) async fn refund(w: &Write<'_>, a: &Attributes, object: &Value) -> Result<(), ApiError> {
    let counted = Counted { group: &w.resource.group, plural: &w.resource.plural };
    let rows = w.server.registry.snapshot();
    let Some(row) = rows.find("", "v1", "resourcequotas") else { return Ok(()) };
    let usage = counted.usage(object);
    for name in concerned(row, a, counted, object) {
        for _ in 0..ATTEMPTS_MAX {
            let Some(mut quota) = live(w, row, &a.namespace, &name).await? else { break };
            let hard = read_all(&quota.object["status"]["hard"]);
            let mut used = read_all(&quota.object["status"]["used"]);
            for (resource, amount) in usage.iter().filter(|(resource, _)| hard.contains_key(*resource)) {
                if let Some(all) = used.get_mut(resource) {
                    let left = all.minus(*amount);
                    *all = if left.milli < 0 { Amount::default() } else { left };
                }
            }
            quota.object["status"]["used"] = to_json(&used);
            let txn = Txn::update(Arc::clone(&quota.key), Encoded::new(&quota.object).stored(), quota.revision);
            if w.server.store.txn(txn).await.map_err(store_error)?.succeeded {
                break;
            }
        }
    }
    Ok(())
}

/// The quotas of the namespace that speak of this object, as the cache knows them.
fn concerned(row: &Resource, a: &Attributes, counted: Counted<'_>, object: &Value) -> Vec<String> {
    let snapshot = row.storage.cache.snapshot();
    let quotas = snapshot.after(Some(&a.namespace), None);
    let quotas = quotas.filter_map(|entry| Some((entry, serde_json::from_slice::<Value>(&entry.kv().value).ok()?)));
    quotas
        .filter(|(_, quota)| {
            let hard = [&quota["spec"]["hard"], &quota["status"]["hard"]];
            let mut bounds = hard.iter().flat_map(|hard| hard.as_object().into_iter().flatten());
            bounds.any(|(name, _)| counted.is_bound_by(name)) && match_all(quota, counted, object)
        })
        .map(|(entry, _)| entry.name().to_owned())
        .collect()
}

async fn live(w: &Write<'_>, row: &Resource, namespace: &str, name: &str) -> Result<Option<Live>, ApiError> {
    let key: Arc<str> = row.key(Some(namespace), name).into();
    let found: Option<Kv> = w.server.store.get(&key, None).await.map_err(store_error)?.kv;
    let Some(kv) = found else { return Ok(None) };
    let object = serde_json::from_slice(&kv.value).map_err(ApiError::internal)?;
    Ok(Some(Live { key, revision: kv.mod_revision, object }))
}

/// The write that charges all quotas or none; `None` when there is nothing to charge.
fn plan(
    w: &Write<'_>,
    a: &Attributes,
    counted: Counted<'_>,
    object: &Value,
    usage: &Amounts,
    quotas: &mut [Live],
) -> Result<Option<Txn>, ApiError> {
    let refuse = |why: String| Err(ApiError::forbidden(w.resource.named(), &a.name, &why));
    let negative: Vec<&str> = usage
        .iter()
        .filter(|(_, amount)| amount.milli < 0 && a.operation == Operation::Create)
        .map(|(name, _)| name.as_str())
        .collect();
    if !negative.is_empty() {
        return refuse(format!("quota usage is negative for resource(s): {}", negative.join(",")));
    }
    let mut txn = Txn::new();
    for quota in quotas {
        let name = quota.object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let status = &quota.object["status"];
        let hard = read_all(&status["hard"]);
        let mut used = read_all(&status["used"]);
        let bound: Vec<&String> = hard.keys().filter(|resource| counted.is_bound_by(resource)).collect();
        if let Some(missing) = counted.missing(&bound, object) {
            return refuse(format!("failed quota: {name}: must specify {missing}"));
        }
        let unknown: Vec<&str> = bound.iter().filter(|r| !used.contains_key(**r)).map(|r| r.as_str()).collect();
        if !unknown.is_empty() {
            return refuse(format!("status unknown for quota: {name}, resources: {}", unknown.join(",")));
        }
        let requested: Amounts = usage
            .iter()
            .filter(|(resource, amount)| amount.milli != 0 && hard.contains_key(*resource))
            .map(|(resource, amount)| (resource.clone(), *amount))
            .collect();
        if requested.is_empty() {
            continue;
        }
        let after = |resource: &String, amount: &Amount| used.get(resource).copied().unwrap_or_default().plus(*amount);
        let exceeded: Vec<&String> = requested
            .iter()
            .filter(|(resource, amount)| after(resource, amount).milli > hard[*resource].milli)
            .map(|(resource, _)| resource)
            .collect();
        if !exceeded.is_empty() {
            let only = |amounts: &Amounts| told(amounts.iter().filter(|(resource, _)| exceeded.contains(resource)));
            return refuse(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                only(&requested),
                only(&used),
                only(&hard)
            ));
        }
        for (resource, amount) in &requested {
            let sum = used.get(resource).copied().unwrap_or_default().plus(*amount);
            used.insert(resource.clone(), sum);
        }
        quota.object["status"]["used"] = to_json(&used);
        txn = txn
            .when(Compare::mod_revision(&*quota.key, quota.revision))
            .then(Op::put(Arc::clone(&quota.key), Encoded::new(&quota.object).stored()));
    }
    Ok((!txn.success.is_empty()).then_some(txn))
}
