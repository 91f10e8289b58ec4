//! Asking one webhook.

use bytes::Bytes;
use serde_json::Value;

use super::review::{Objects, Verdict, question, verdict};
use super::table::Hook;
use crate::admission::attributes::Attributes;
use crate::admission::expressions::Input;
use crate::admission::matching::Matched;
use crate::admission::versions::Shown;
use crate::status::ApiError;
use crate::webhook::ServiceTasks;
use crate::write::Write;

/// Why a webhook gave no verdict.
#[derive(Debug)]
pub(super) enum Failure {
    /// The failure policy decides: `failed calling webhook "…": …`.
    Call(String),
    /// The write is refused whatever the policy says.
    Refused(ApiError),
}

/// Whether a webhook is to be asked about a write.
///
/// # Errors
/// When that cannot be decided.
pub(super) async fn applies(
    w: &Write<'_>,
    a: &Attributes,
    hook: &Hook,
    objects: Objects<'_>,
) -> Result<Option<Matched>, ApiError> {
    if !hook.matching.has_rules() {
        return Ok(None);
    }
    let Some(matched) = hook.matching.matches(w, a, objects.object, objects.old).await? else { return Ok(None) };
    if hook.conditions.is_empty() {
        return Ok(Some(matched));
    }
    // The namespace is no variable of these conditions' upstream evaluation: it is null there, too.
    let shown = Shown::of(w, a, &matched, objects).await?;
    let input = Input::of(w, a, &matched, objects, shown, Value::Null);
    match hook.conditions.hold(w, &input, None) {
        Ok(holds) => Ok(holds.then_some(matched)),
        Err(why) => {
            tracing::warn!(webhook = %hook.name, why, "match conditions failed, the write is refused");
            Err(ApiError::forbidden(w.resource.named(), &a.name, &why))
        }
    }
}

/// Asks a webhook.
pub(super) async fn ask(
    w: &Write<'_>,
    a: &Attributes,
    hook: &Hook,
    matched: &Matched,
    objects: Objects<'_>,
    mutating: bool,
) -> Result<Verdict, Failure> {
    if a.dry_run && !hook.allows_dry_run {
        let message = format!("admission webhook {:?} does not support dry run", hook.name);
        return Err(Failure::Refused(ApiError::bad_request(message)));
    }
    let failed = |why: String| Failure::Call(format!("failed calling webhook {:?}: {why}", hook.name));
    let version = hook.version.ok_or_else(|| {
        let why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)";
        failed(format!("could not create admission objects: {why}"))
    })?;
    let endpoint = hook.endpoint.as_ref().map_err(|why| failed(format!("could not get REST client: {why}")))?;
    let uid = uuid::Uuid::new_v4().to_string();
    let shown = Shown::of(w, a, matched, objects).await.map_err(Failure::Refused)?;
    let body = Bytes::from(question(w, a, matched, version, &uid, objects, shown).to_string());
    let rows = w.server.registry.snapshot();
    let answer = w
        .server
        .webhooks
        .post(&ServiceTasks(&rows), endpoint, body, hook.timeout)
        .await
        .map_err(|error| failed(format!("failed to call webhook: {error}")))?;
    verdict(&hook.name, version, &uid, mutating, &answer).map_err(failed)
}
