//! Clears requests away when they are of no more use.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::request::SigningRequest;
use crate::driver::{Context, Error, Key, Next, Reconciler, Watch};

/// Kubernetes' times: what was decided is kept for an hour, what nobody decided for a day.
const DECIDED: Duration = Duration::from_secs(3600);
const PENDING: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Cleaner;

impl Reconciler for Cleaner {
    fn name(&self) -> &'static str {
        "berth-certificate-cleaner"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::itself::<SigningRequest>()]
    }

    fn reconcile<'a>(&'a self, key: &'a Key, ctx: &'a Context) -> BoxFuture<'a, Result<Next, Error>> {
        reconcile(key, ctx).boxed()
    }
}

async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, Error> {
    let Some(request) = ctx.store::<SigningRequest>().get(key) else { return Ok(Next::Changed) };
    let Some(end) = end(&request) else { return Ok(Next::Changed) };
    if ctx.now() < end {
        return Ok(Next::At(end));
    }
    ctx.delete(&*request).await?;
    Ok(Next::Changed)
}

/// When a request has served its time.
fn end(request: &SigningRequest) -> Option<Timestamp> {
    let made = request.metadata.creation_timestamp.as_ref()?.0;
    let decided = ["Denied", "Failed"].into_iter().find_map(|condition| request.since(condition));
    let issued = request.is_issued().then(|| request.since("Approved")).flatten();
    let (since, life) = match decided.or(issued) {
        Some(since) => (since.0, DECIDED),
        None => (made, PENDING),
    };
    since.checked_add(SignedDuration::try_from(life).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(conditions: serde_json::Value, certificate: &str) -> SigningRequest {
        serde_json::from_value(json!({
            "metadata": {"name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": conditions, "certificate": certificate},
        }))
        .unwrap()
    }

    #[test]
    fn decided_requests_stay_an_hour_and_pending_ones_a_day() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(end(&request(json!([]), "")), at("2026-01-02T00:00:00Z"));
        let denied = json!([{"type": "Denied", "status": "True", "lastUpdateTime": "2026-01-01T05:00:00Z"}]);
        assert_eq!(end(&request(denied, "")), at("2026-01-01T06:00:00Z"));
        let approved = json!([{"type": "Approved", "status": "True", "lastUpdateTime": "2026-01-01T05:00:00Z"}]);
        assert_eq!(end(&request(approved.clone(), "YQ==")), at("2026-01-01T06:00:00Z"));
        assert_eq!(end(&request(approved, "")), at("2026-01-02T00:00:00Z"), "approved, and not signed yet");
    }
}
