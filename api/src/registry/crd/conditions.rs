//! The conditions of a definition, in upstream's words.

use serde_json::{Value, json};

use super::approval::{self, Approval};
use super::names::Settled;
use super::rules::conditions;
use crate::registry::builtin;
use crate::write::meta;

/// The status of a definition whose names are settled.
pub(super) fn settled_status(crd: &Value, settled: &Settled) -> Value {
    let mut status = crd["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    status["acceptedNames"] = settled.accepted.clone();
    if status["storedVersions"].as_array().is_none_or(Vec::is_empty) {
        status["storedVersions"] = json!(builtin::storage_version(crd).into_iter().collect::<Vec<_>>());
    }
    let mut list = match &settled.conflict {
        None => vec![
            condition(crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            condition(crd, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        Some((reason, message)) => {
            // Who was established once is so for good, under the names it had.
            let established = conditions(crd).find(|c| c["type"] == "Established" && c["status"] == "True").cloned();
            let refused = || condition(crd, "Established", "False", "NotAccepted", "not all names are accepted");
            vec![condition(crd, "NamesAccepted", "False", reason, message), established.unwrap_or_else(refused)]
        }
    };
    if approval::is_protected(crd["spec"]["group"].as_str().unwrap_or_default()) {
        let state = Approval::of(crd);
        let (is, reason) = state.condition();
        list.push(condition(crd, "KubernetesAPIApprovalPolicyConformant", is, reason, &state.message(crd)));
    }
    status["conditions"] = with_others(crd, list);
    status
}

/// The status of a definition whose objects are being deleted, or are gone.
pub(super) fn terminating_status(crd: &Value, is: &str, reason: &str, message: &str) -> Value {
    let mut status = crd["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let list: Vec<Value> = conditions(crd).filter(|c| c["type"] != "Terminating").cloned().collect();
    status["conditions"] = Value::Array(list);
    if let Some(list) = status["conditions"].as_array_mut() {
        list.push(condition(crd, "Terminating", is, reason, message));
    }
    status
}

pub(super) fn is_established(crd: &Value) -> bool {
    conditions(crd).any(|c| c["type"] == "Established" && c["status"] == "True")
}

fn with_others(crd: &Value, mut list: Vec<Value>) -> Value {
    let others: Vec<Value> =
        conditions(crd).filter(|c| !list.iter().any(|new| new["type"] == c["type"])).cloned().collect();
    list.extend(others);
    Value::Array(list)
}

/// A condition whose time moves only when its status does.
fn condition(crd: &Value, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let before = conditions(crd).find(|c| c["type"] == kind && c["status"] == status);
    let since = before.and_then(|c| c["lastTransitionTime"].as_str()).map(str::to_owned);
    let since = since.unwrap_or_else(|| meta::timestamp(jiff::Timestamp::now()));
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
}
