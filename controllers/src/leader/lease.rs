//! Reading, taking and renewing the Lease: one guarded write each.

use std::sync::Arc;
use std::time::Duration;

use berth_types::names::SYSTEM_NAMESPACE;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;

use super::{LEASE, RETRY};
use crate::driver::Clock;

/// Name of the Lease.
const NAME: &str = "berth-controllers";
/// A request to the Lease that takes longer has failed: it must leave time for another one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Who wants the Lease.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) client: Client,
    pub(super) identity: String,
    pub(super) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Held").field(&self.0.metadata.resource_version).finish()
    }
}

/// The Lease as we last wrote it.
pub(super) struct Held(Lease);

impl Held {
    pub(super) fn transitions(&self) -> i32 {
        self.0.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0)
    }
}

/// What was seen of another's Lease, and since when it is the same.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(String, Instant)>);

/// Why the Lease was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    #[error("somebody else wrote the lease")]
    Lost,
    #[error("no answer within {} ms", REQUEST_TIMEOUT.as_millis())]
    TimedOut,
    #[error("the request failed")]
    Request(#[source] Box<kube::Error>),
}

impl From<kube::Error> for LeaseError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 409 || status.code == 404 => Self::Lost,
            other => Self::Request(Box::new(other)),
        }
    }
}

impl Claim {
    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), SYSTEM_NAMESPACE)
    }

    /// Takes the Lease if it is free, ours, or was not renewed for its whole time; `None` when another holds it.
    pub(super) async fn take(&self, seen: &mut Seen, now: Instant) -> Result<Option<Held>, LeaseError> {
        let Some(lease) = within(self.leases().get_opt(NAME)).await? else {
            return self.create().await.map(Some);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if !holder.is_empty() && holder != self.identity && !seen.has_run_out(&lease, &spec, now) {
            return Ok(None);
        }
        let changed = i32::from(holder != self.identity);
        let taken = LeaseSpec {
            acquire_time: Some(self.now()),
            lease_transitions: Some(spec.lease_transitions.unwrap_or(0).saturating_add(changed)),
            ..spec
        };
        self.write(lease, taken).await.map(Some)
    }

    /// Says that we are still there.
    pub(super) async fn renew(&self, held: &Held) -> Result<Held, LeaseError> {
        let spec = held.0.spec.clone().unwrap_or_default();
        self.write(held.0.clone(), spec).await
    }

    /// Whether we hold it, after a write whose end is not known; with the newest version of it.
    pub(super) async fn look(&self) -> Result<Option<Held>, LeaseError> {
        let lease = within(self.leases().get_opt(NAME)).await?;
        let is_ours = |lease: &Lease| {
            lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(self.identity.as_str())
        };
        Ok(lease.filter(is_ours).map(Held))
    }

    /// Gives it back: the next one need not wait.
    pub(super) async fn give_back(&self, held: Held) -> Result<(), LeaseError> {
        let mut lease = held.0;
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(self.now());
        within(self.leases().replace(NAME, &PostParams::default(), &lease)).await.map(drop)
    }

    async fn create(&self) -> Result<Held, LeaseError> {
        let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
        let spec = self.ours(LeaseSpec { acquire_time: Some(self.now()), ..LeaseSpec::default() });
        let lease = Lease { metadata, spec: Some(spec) };
        match within(self.leases().create(&PostParams::default(), &lease)).await {
            // Its namespace is not there yet, or another one was faster: the next try finds either.
            Err(LeaseError::Lost) => {
                let metadata = ObjectMeta { name: Some(SYSTEM_NAMESPACE.to_owned()), ..ObjectMeta::default() };
                let namespace = Namespace { metadata, ..Namespace::default() };
                let _ = within(Api::all(self.client.clone()).create(&PostParams::default(), &namespace)).await;
                within(self.leases().create(&PostParams::default(), &lease)).await.map(Held)
            }
            other => other.map(Held),
        }
    }

    /// The version in `lease` guards the write: whoever wrote since makes it fail.
    async fn write(&self, mut lease: Lease, spec: LeaseSpec) -> Result<Held, LeaseError> {
        lease.spec = Some(self.ours(spec));
        lease.metadata.managed_fields = None;
        within(self.leases().replace(NAME, &PostParams::default(), &lease)).await.map(Held)
    }

    fn ours(&self, spec: LeaseSpec) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            lease_transitions: Some(spec.lease_transitions.unwrap_or(0)),
            renew_time: Some(self.now()),
            ..spec
        }
    }

    /// Microseconds, as the wire has them: what is read back equals what was written.
    fn now(&self) -> MicroTime {
        let now = self.clock.now();
        MicroTime(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
    }
}

impl Seen {
    /// Whether the Lease was seen unchanged for its whole time, and a little more.
    fn has_run_out(&mut self, lease: &Lease, spec: &LeaseSpec, now: Instant) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        let lasts = Duration::from_secs(lasts).max(RETRY);
        match &self.0 {
            Some((known, since)) if *known == version => now.duration_since(*since) > lasts,
            _ => {
                self.0 = Some((version, now));
                false
            }
        }
    }
}

async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(LeaseError::from),
        Err(_) => Err(LeaseError::TimedOut),
    }
}
