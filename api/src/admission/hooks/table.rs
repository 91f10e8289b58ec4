//! The webhooks of all configurations, ready to be asked.

use std::time::Duration;

use berth_store::cache::Snapshot;
use serde_json::Value;

use crate::admission::conditions::Conditions;
use crate::admission::matching::Matching;
use crate::derived::Sources;
use crate::webhook::Endpoint;

/// The kinds that the table is made from.
pub(crate) const SOURCES: Sources = &[
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
];

/// How long a webhook may take unless it says, in seconds.
const TIMEOUT_SECONDS: u64 = 10;
/// The longest that one may ask for, in seconds.
const TIMEOUT_SECONDS_MAX: u64 = 30;

/// A form of the question that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReviewVersion {
    V1,
    V1beta1,
}

impl ReviewVersion {
    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

/// One webhook of a configuration.
#[derive(Debug)]
pub(crate) struct Hook {
    /// `h.example.com`.
    pub name: String,
    /// The configuration's name.
    pub configuration: String,
    /// Its place in the configuration: two webhooks may bear one name.
    pub index: usize,
    pub matching: Matching,
    pub conditions: Conditions,
    /// A call that fails refuses the write.
    pub fails_closed: bool,
    pub timeout: Duration,
    /// Asked again when a later rule changed the object.
    pub reinvoked: bool,
    /// It may be asked about writes that are only tried.
    pub allows_dry_run: bool,
    /// The first form in its list that we speak.
    pub version: Option<ReviewVersion>,
    pub endpoint: Result<Endpoint, String>,
}

/// All webhooks, in the order in which they are asked: by configuration's name, then as they stand in it.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    pub mutating: Vec<Hook>,
    pub validating: Vec<Hook>,
}

impl Hooks {
    /// Reads all configurations: those that change objects, and those that judge them.
    pub(crate) fn compute(snapshots: &[Snapshot]) -> Self {
        let of = |index: usize| snapshots.get(index).map(read).unwrap_or_default();
        Self { mutating: of(0), validating: of(1) }
    }
}

fn read(snapshot: &Snapshot) -> Vec<Hook> {
    // A snapshot is in the order of names.
    let configurations = snapshot.iter().filter_map(|entry| {
        let object = serde_json::from_slice::<Value>(&entry.kv().value).ok()?;
        // One that is being deleted no longer counts once it is gone, not before: as upstream.
        Some((entry.name().to_owned(), object))
    });
    configurations
        .flat_map(|(configuration, object)| {
            let webhooks = object["webhooks"].as_array().cloned().unwrap_or_default();
            webhooks.into_iter().enumerate().map(move |(index, webhook)| hook(&configuration, index, &webhook))
        })
        .collect()
}

fn hook(configuration: &str, index: usize, webhook: &Value) -> Hook {
    let name = webhook["name"].as_str().unwrap_or_default();
    let fails_closed = webhook["failurePolicy"] != "Ignore";
    let versions = webhook["admissionReviewVersions"].as_array().into_iter().flatten();
    Hook {
        name: name.to_owned(),
        configuration: configuration.to_owned(),
        index,
        matching: Matching::of_webhook(webhook),
        conditions: Conditions::of(&webhook["matchConditions"], fails_closed, false),
        fails_closed,
        timeout: Duration::from_secs(
            webhook["timeoutSeconds"].as_u64().unwrap_or(TIMEOUT_SECONDS).clamp(1, TIMEOUT_SECONDS_MAX),
        ),
        reinvoked: webhook["reinvocationPolicy"] == "IfNeeded",
        allows_dry_run: matches!(webhook["sideEffects"].as_str(), Some("None" | "NoneOnDryRun")),
        version: versions.filter_map(Value::as_str).find_map(|version| match version {
            "v1" => Some(ReviewVersion::V1),
            "v1beta1" => Some(ReviewVersion::V1beta1),
            _ => None,
        }),
        endpoint: Endpoint::of_client_config(&webhook["clientConfig"]),
    }
}
