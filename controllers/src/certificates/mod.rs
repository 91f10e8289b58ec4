//! Certificates: requests of agents are approved by rules, approved ones are signed, what is done is cleared away; and
//! the bootstrap tokens by which machines join.
//!
//! The same work as Kubernetes' csrapproving, csrsigning, csrcleaner, bootstrapsigner and tokencleaner.

mod approve;
mod clean;
mod cluster_info;
mod request;
mod sign;
mod tokens;

use std::sync::Arc;

use crate::driver::Part;
use crate::kind;

kind!(
    request::SigningRequest,
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    false
);

/// What the manager runs for this part.
pub fn parts() -> Vec<Part> {
    vec![
        Part::Reconciler(Arc::new(approve::Approver)),
        Part::Reconciler(Arc::new(sign::Signer)),
        Part::Reconciler(Arc::new(clean::Cleaner)),
        Part::Reconciler(Arc::new(tokens::Tokens)),
        Part::Reconciler(Arc::new(cluster_info::ClusterInfo)),
    ]
}
