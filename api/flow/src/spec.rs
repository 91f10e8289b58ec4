//! The specs of FlowSchema and PriorityLevelConfiguration (`flowcontrol.apiserver.k8s.io/v1`), with their defaults.

use serde::{Deserialize, Serialize};

/// `FlowSchema.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowSchemaSpec {
    #[serde(default)]
    pub priority_level_configuration: LevelReference,
    /// Lower numbers are asked first; equal ones in the order of their names.
    #[serde(default = "matching_precedence")]
    pub matching_precedence: i32,
    /// Without it all requests of the schema are one flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinguisher_method: Option<DistinguisherMethod>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RulesWithSubjects>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct LevelReference {
    #[serde(default)]
    pub name: String,
}

/// How the flows of a schema are told apart: `ByUser` or `ByNamespace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct DistinguisherMethod {
    #[serde(rename = "type", default)]
    pub method: String,
}

pub const BY_USER: &str = "ByUser";
pub const BY_NAMESPACE: &str = "ByNamespace";

/// Who, and what they ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesWithSubjects {
    #[serde(default)]
    pub subjects: Vec<Subject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_rules: Vec<ResourceRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_resource_rules: Vec<NonResourceRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`.
    #[serde(default)]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SubjectName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<SubjectName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountName>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct SubjectName {
    #[serde(default)]
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ServiceAccountName {
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRule {
    #[serde(default)]
    pub verbs: Vec<String>,
    #[serde(default)]
    pub api_groups: Vec<String>,
    #[serde(default)]
    pub resources: Vec<String>,
    /// Whether requests without a namespace match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cluster_scope: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NonResourceRule {
    #[serde(default)]
    pub verbs: Vec<String>,
    #[serde(rename = "nonResourceURLs", default)]
    pub non_resource_urls: Vec<String>,
}

/// `PriorityLevelConfiguration.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct PriorityLevelSpec {
    /// `Exempt` or `Limited`.
    #[serde(rename = "type", default)]
    pub enablement: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<Limited>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Exempt>,
}

pub const EXEMPT: &str = "Exempt";
pub const LIMITED: &str = "Limited";

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limited {
    #[serde(default = "nominal_concurrency_shares")]
    pub nominal_concurrency_shares: i32,
    #[serde(default)]
    pub limit_response: LimitResponse,
    /// How many of its seats others may borrow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lendable_percent: Option<i32>,
    /// How many seats of others it may borrow, in percent of its own; absent means as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borrowing_limit_percent: Option<i32>,
}

impl Default for Limited {
    fn default() -> Self {
        Self {
            nominal_concurrency_shares: nominal_concurrency_shares(),
            limit_response: LimitResponse::default(),
            lendable_percent: None,
            borrowing_limit_percent: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exempt {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominal_concurrency_shares: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lendable_percent: Option<i32>,
}

/// What becomes of requests that find no seat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct LimitResponse {
    /// `Queue` or `Reject`.
    #[serde(rename = "type", default)]
    pub response: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queuing: Option<Queuing>,
}

pub const QUEUE: &str = "Queue";
pub const REJECT: &str = "Reject";

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queuing {
    #[serde(default = "queues")]
    pub queues: i32,
    /// Of how many queues a flow may use the shortest.
    #[serde(default = "hand_size")]
    pub hand_size: i32,
    #[serde(default = "queue_length_limit")]
    pub queue_length_limit: i32,
}

impl Default for Queuing {
    fn default() -> Self {
        Self { queues: queues(), hand_size: hand_size(), queue_length_limit: queue_length_limit() }
    }
}

fn matching_precedence() -> i32 {
    1000
}

fn nominal_concurrency_shares() -> i32 {
    30
}

fn queues() -> i32 {
    64
}

fn hand_size() -> i32 {
    8
}

fn queue_length_limit() -> i32 {
    50
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_kept() {
        let text = r#"{"priorityLevelConfiguration":{"name":"system"},"matchingPrecedence":500,"distinguisherMethod":{"type":"ByUser"},"rules":[{"subjects":[{"kind":"Group","group":{"name":"system:nodes"}}],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"clusterScope":true,"namespaces":["*"]}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}]}"#;
        let spec: FlowSchemaSpec = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }

    #[test]
    fn what_is_left_out_gets_its_default() {
        let text = r#"{"type":"Limited","limited":{"limitResponse":{"type":"Queue","queuing":{}}}}"#;
        let spec: PriorityLevelSpec = serde_json::from_str(text).unwrap();
        let limited = spec.limited.unwrap();
        assert_eq!(limited.nominal_concurrency_shares, 30);
        assert_eq!(limited.limit_response.queuing, Some(Queuing { queues: 64, hand_size: 8, queue_length_limit: 50 }));
        assert_eq!(serde_json::from_str::<FlowSchemaSpec>("{}").unwrap().matching_precedence, 1000);
    }
}
