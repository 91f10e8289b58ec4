//! A CertificateSigningRequest as the controllers read it, and the pure questions about it.

use berth_identity::csr;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The fields that are looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SigningRequest {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Spec,
    #[serde(default)]
    pub(super) status: Status,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) request: ByteString,
    pub(super) signer_name: String,
    pub(super) usages: Vec<String>,
    pub(super) username: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: std::collections::BTreeMap<String, Vec<String>>,
    pub(super) expiration_seconds: Option<i64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) conditions: Vec<Condition>,
    pub(super) certificate: Option<ByteString>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_update_time: Option<Time>,
    pub(super) last_transition_time: Option<Time>,
}

impl SigningRequest {
    pub(super) fn has(&self, condition: &str) -> bool {
        self.status.conditions.iter().any(|c| c.type_ == condition)
    }

    /// When a condition was set last.
    pub(super) fn since(&self, condition: &str) -> Option<&Time> {
        let found = self.status.conditions.iter().find(|c| c.type_ == condition)?;
        found.last_update_time.as_ref().or(found.last_transition_time.as_ref())
    }

    pub(super) fn is_decided(&self) -> bool {
        self.has("Approved") || self.has("Denied")
    }

    pub(super) fn is_issued(&self) -> bool {
        self.status.certificate.as_ref().is_some_and(|certificate| !certificate.0.is_empty())
    }

    /// What it asks for.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(super) fn parse(&self) -> Result<csr::Request, String> {
        let pem = std::str::from_utf8(&self.spec.request.0).map_err(|_| "the request is not text".to_owned())?;
        csr::Request::parse(pem).map_err(|error| error.to_string())
    }

    /// A merge patch of the conditions, guarded by the revision that was looked at.
    pub(super) fn with_condition(&self, type_: &str, reason: &str, message: &str) -> Value {
        let mut conditions: Vec<Value> =
            self.status.conditions.iter().filter_map(|condition| serde_json::to_value(condition).ok()).collect();
        conditions.push(json!({"type": type_, "status": "True", "reason": reason, "message": message}));
        json!({
            "metadata": {"resourceVersion": self.metadata.resource_version},
            "status": {"conditions": conditions},
        })
    }
}
