//! One leader by Lease, the way client-go does it: who renews in time leads; a stale write loses by its version.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::coordination::v1::{Lease as Record, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, PostParams};
use kube::{Client, Error};

const NAME: &str = "greeting-operator";
/// How long a leader that says nothing is believed to lead. Short: a story waits for it.
const DURATION_SECONDS: i32 = 2;
/// How often the leader says that it leads, and another looks; several times within the duration.
const EVERY: Duration = Duration::from_millis(400);

/// The place that one of all candidates has.
pub(crate) struct Lease {
    api: Api<Record>,
    me: String,
}

impl Lease {
    pub(crate) fn new(client: Client, me: &str) -> Self {
        Self { api: Api::default_namespaced(client), me: me.to_owned() }
    }

    /// Waits until this one leads.
    pub(crate) async fn acquire(&self) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            if self.take().await? {
                return Ok(());
            }
        }
    }

    /// Renews for ever; ends when another leads, or when the server cannot be asked.
    pub(crate) async fn keep(&self) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            anyhow::ensure!(self.take().await?, "another took the lease");
        }
    }

    /// Gives the place up, so that another need not wait.
    pub(crate) async fn release(&self) -> anyhow::Result<()> {
        let mut record = self.api.get(NAME).await?;
        let spec = record.spec.as_mut().context("a lease without spec")?;
        spec.holder_identity = Some(String::new());
        self.api.replace(NAME, &PostParams::default(), &record).await?;
        Ok(())
    }

    /// One try: whether the lease is ours afterwards.
    async fn take(&self) -> anyhow::Result<bool> {
        let now = Timestamp::now();
        let written = match self.api.get_opt(NAME).await? {
            None => {
                let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
                let record = Record { metadata, spec: Some(self.held(now, now, 0)) };
                self.api.create(&PostParams::default(), &record).await
            }
            Some(mut record) => {
                let old = record.spec.take().unwrap_or_default();
                let holder = old.holder_identity.as_deref().unwrap_or_default();
                let mine = holder == self.me;
                let ends = old.renew_time.map(|time| time.0 + SignedDuration::from_secs(DURATION_SECONDS.into()));
                if !mine && !holder.is_empty() && ends.is_some_and(|ends| ends > now) {
                    return Ok(false);
                }
                let transitions = old.lease_transitions.unwrap_or_default() + i32::from(!mine);
                let since = old.acquire_time.filter(|_| mine).map_or(now, |time| time.0);
                record.spec = Some(self.held(since, now, transitions));
                self.api.replace(NAME, &PostParams::default(), &record).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            // Another was faster: the next try sees who.
            Err(Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error).context("the lease cannot be written"),
        }
    }

    fn held(&self, since: Timestamp, now: Timestamp, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            acquire_time: Some(MicroTime(since)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}
