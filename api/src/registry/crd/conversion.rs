//! Conversion between the versions of a definition by its webhook (`apiextensions.k8s.io/v1` ConversionReview).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::inner::Inner;
use crate::status::ApiError;
use crate::webhook::{Endpoint, ServiceTasks};
use crate::write::meta;

/// How long a webhook may take to convert; upstream's limit.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of objects in one question. Answers are bounded, and may be larger than what was asked: a long list is
/// converted in several questions.
const QUESTION_BYTES_MAX: usize = 1 << 20;

/// The webhook that a definition names.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    /// Where it listens; else what is wrong with `spec.conversion.webhook.clientConfig`.
    endpoint: Result<Endpoint, String>,
    kind: String,
}

impl Conversion {
    /// The webhook of a definition; `None` when its versions differ by `apiVersion` only.
    pub(crate) fn of(crd: &Value) -> Option<Self> {
        let conversion = &crd["spec"]["conversion"];
        (conversion["strategy"] == "Webhook").then(|| Self {
            endpoint: Endpoint::of_client_config(&conversion["webhook"]["clientConfig"]),
            kind: crd["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Converts those objects that are of another version than the wanted one, as many in one question as it may hold.
    ///
    /// # Errors
    /// 500 when the webhook fails or answers what cannot be; the objects are then as they were.
    pub(crate) async fn convert(&self, server: &Inner, wanted: &str, objects: &mut [Value]) -> Result<(), ApiError> {
        let others: Vec<usize> = (0..objects.len()).filter(|index| objects[*index]["apiVersion"] != wanted).collect();
        let Some(first) = others.first() else { return Ok(()) };
        let from = objects[*first]["apiVersion"].as_str().unwrap_or_default().to_owned();
        let failed =
            |why: &str| ApiError::internal(format!("conversion webhook for {from}, Kind={} failed: {why}", self.kind));
        let mut converted = Vec::with_capacity(others.len());
        let mut texts: Vec<String> = Vec::new();
        let mut bytes = 0;
        for (nth, index) in others.iter().enumerate() {
            let text = objects[*index].to_string();
            bytes += text.len();
            texts.push(text);
            let next = others.get(nth + 1);
            if next.is_none() || bytes >= QUESTION_BYTES_MAX {
                converted.extend(self.question(server, wanted, &texts).await.map_err(|why| failed(&why))?);
                texts.clear();
                bytes = 0;
            }
        }
        let checked: Result<Vec<Value>, String> =
            others.iter().zip(&converted).map(|(index, new)| self.checked(wanted, &objects[*index], new)).collect();
        for (index, new) in others.iter().zip(checked.map_err(|why| failed(&why))?) {
            objects[*index] = new;
        }
        Ok(())
    }

    /// Asks the webhook for the objects with these texts in another version.
    async fn question(&self, server: &Inner, wanted: &str, texts: &[String]) -> Result<Vec<Value>, String> {
        let uid = uuid::Uuid::new_v4().to_string();
        // The parts that are not objects; an empty answer goes along, as Go's form of a question has one.
        let body = format!(
            r#"{{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1","request":{{"uid":"{uid}","desiredAPIVersion":{},"objects":[{}]}},"response":{{"uid":"","convertedObjects":null,"result":{{"metadata":{{}}}}}}}}"#,
            Value::from(wanted),
            texts.join(","),
        );
        let mut answer = self.ask(server, body).await?;
        let response = &mut answer["response"];
        if response["uid"] != uid.as_str() {
            return Err(format!("expected response.uid={uid:?}, got {}", response["uid"]));
        }
        if response["result"]["status"] != "Success" {
            return Err(response["result"]["message"].as_str().unwrap_or("the webhook gave no reason").to_owned());
        }
        let Value::Array(converted) = response["convertedObjects"].take() else {
            return Err(format!("expected {} converted objects, got none", texts.len()));
        };
        if converted.len() != texts.len() {
            return Err(format!("expected {} converted objects, got {}", texts.len(), converted.len()));
        }
        Ok(converted)
    }

    /// A converted object, of which the webhook decides all but the identity: of the metadata only labels and
    /// annotations are its own.
    fn checked(&self, wanted: &str, old: &Value, new: &Value) -> Result<Value, String> {
        if new["apiVersion"] != wanted || new["kind"] != self.kind.as_str() {
            return Err(format!(
                "invalid converted object: expected {wanted}, Kind={}, got {}, Kind={}",
                self.kind, new["apiVersion"], new["kind"]
            ));
        }
        let mut result = new.clone();
        let mut metadata = old["metadata"].as_object().cloned().unwrap_or_default();
        for field in ["labels", "annotations"] {
            let given: Option<&Map<String, Value>> = new["metadata"][field].as_object();
            match given.filter(|map| !map.is_empty()) {
                Some(map) if map.values().all(Value::is_string) => {
                    metadata.insert(field.to_owned(), Value::Object(map.clone()));
                }
                Some(_) => return Err(format!("invalid converted metadata.{field}: must be a map of strings")),
                None => {
                    metadata.remove(field);
                }
            }
        }
        *meta::of(&mut result) = metadata;
        Ok(result)
    }

    async fn ask(&self, server: &Inner, review: String) -> Result<Value, String> {
        let endpoint = self.endpoint.as_ref().map_err(Clone::clone)?;
        let rows = server.registry.snapshot();
        let answer = server.webhooks.post(&ServiceTasks(&rows), endpoint, review.into(), TIMEOUT).await;
        let answer = answer.map_err(|error| error.to_string())?;
        serde_json::from_slice(&answer).map_err(|error| format!("the answer is not JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_webhook_decides_labels_but_not_who_an_object_is() {
        let crd = json!({"spec": {"names": {"kind": "Cv"}, "conversion": {"strategy": "Webhook",
            "webhook": {"clientConfig": {"url": "https://127.0.0.1:1/"}}}}});
        let conversion = Conversion::of(&crd).unwrap();
        let old = json!({"apiVersion": "t.example.com/v1", "kind": "Cv",
            "metadata": {"name": "a", "uid": "u", "labels": {"x": "1"}}, "spec": {"a": 1}});
        let new = json!({"apiVersion": "t.example.com/v2", "kind": "Cv",
            "metadata": {"name": "evil", "uid": "other", "labels": {"y": "2"}}, "spec": {"b": 1}});
        let checked = conversion.checked("t.example.com/v2", &old, &new).unwrap();
        assert_eq!(checked["metadata"], json!({"name": "a", "uid": "u", "labels": {"y": "2"}}));
        assert_eq!(checked["spec"], json!({"b": 1}));
        assert!(conversion.checked("t.example.com/v3", &old, &new).is_err());
    }

    #[test]
    fn without_a_webhook_there_is_nothing_to_call() {
        assert!(Conversion::of(&json!({"spec": {"conversion": {"strategy": "None"}}})).is_none());
    }
}
