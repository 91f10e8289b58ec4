//! Groups of the Kubernetes community (`*.k8s.io`, `*.kubernetes.io`): kinds in them say by an annotation who approved
//! them, or that nobody did.

use serde_json::Value;

/// Where the approval stands.
pub(super) const ANNOTATION: &str = "api-approved.kubernetes.io";

const WANTED: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// What the annotation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approval {
    Missing,
    /// Neither a URL nor a word against it.
    Invalid,
    /// The URL of the approval.
    Given,
    /// `unapproved…`: on the author's own responsibility.
    Bypassed,
}

/// Whether a group is the community's.
pub(super) fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|root| group.strip_suffix(root).is_some_and(|p| p.is_empty() || p.ends_with('.')))
}

impl Approval {
    pub(super) fn of(crd: &Value) -> Self {
        match given(crd) {
            "" => Self::Missing,
            text if text.starts_with("unapproved") => Self::Bypassed,
            text => {
                let has_host = text
                    .split_once("://")
                    .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('/'));
                if has_host { Self::Given } else { Self::Invalid }
            }
        }
    }

    /// As errors and the condition tell it.
    pub(super) fn message(self, crd: &Value) -> String {
        match self {
            Self::Missing => format!("protected groups must have approval annotation \"{ANNOTATION}\", {WANTED}"),
            Self::Invalid => format!(
                "protected groups must have approval annotation \"{ANNOTATION}\" with either a URL or a reason starting with \"unapproved\", {WANTED}"
            ),
            Self::Given => format!("approved in {}", given(crd)),
            Self::Bypassed => format!("not approved: {}", Value::from(given(crd))),
        }
    }

    /// Status and reason of the condition `KubernetesAPIApprovalPolicyConformant`.
    pub(super) fn condition(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => ("False", "MissingAnnotation"),
            Self::Invalid => ("False", "InvalidAnnotation"),
            Self::Given => ("True", "ApprovedAnnotation"),
            Self::Bypassed => ("False", "UnapprovedAnnotation"),
        }
    }
}

fn given(crd: &Value) -> &str {
    crd["metadata"]["annotations"][ANNOTATION].as_str().unwrap_or_default()
}
