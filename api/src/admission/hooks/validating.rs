//! Webhooks that judge a write: asked all at once, for none sees what another says.

use super::call::{Failure, applies, ask};
use super::review::{Objects, Verdict};
use super::table::{Hook, Hooks};
use crate::admission::attributes::Attributes;
use crate::admission::matching::Matched;
use crate::status::ApiError;
use crate::write::Write;

const FAILED_OPEN: &str = "failed-open.validating.webhook.admission.k8s.io/";

/// Asks every validating webhook that the write concerns.
///
/// # Errors
/// The first refusal, in the order of the webhooks.
pub(crate) async fn validate(
    w: &mut Write<'_>,
    a: &Attributes,
    hooks: &Hooks,
    objects: Objects<'_>,
) -> Result<(), ApiError> {
    let mut relevant: Vec<(usize, &Hook, Matched)> = Vec::new();
    for (index, hook) in hooks.validating.iter().enumerate() {
        if let Some(matched) = applies(w, a, hook, objects).await? {
            relevant.push((index, hook, matched));
        }
    }
    if relevant.is_empty() {
        return Ok(());
    }
    let shared: &Write<'_> = w;
    let asked = relevant.iter().map(|(_, hook, matched)| ask(shared, a, hook, matched, objects, false));
    let answers: Vec<Result<Verdict, Failure>> = futures::future::join_all(asked).await;
    let mut refused = None;
    for ((index, hook, _), answer) in relevant.iter().zip(answers) {
        let error = match answer {
            Ok(verdict) => {
                w.warnings.extend(verdict.warnings);
                for (key, value) in verdict.annotations {
                    w.trail.annotate(&key, value);
                }
                verdict.refused
            }
            Err(Failure::Refused(error)) => Some(error),
            Err(Failure::Call(why)) if hook.fails_closed => {
                tracing::warn!(webhook = %hook.name, why, "a webhook failed, the write is refused");
                Some(ApiError::internal(why))
            }
            Err(Failure::Call(why)) => {
                tracing::warn!(webhook = %hook.name, why, "a webhook failed, the write goes on");
                w.trail.annotate(&format!("{FAILED_OPEN}round_0_index_{index}"), hook.name.clone());
                None
            }
        };
        refused = refused.or(error);
    }
    refused.map_or(Ok(()), Err)
}
