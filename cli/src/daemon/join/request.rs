//! One certificate: its request is posted (or found, after a crash), and its end awaited.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_client::session::JSON;
use berth_client::{Change, Session, Watch};
use berth_identity::csr::{self, Issued};
use http::Method;
use serde_json::{Value, json};

use crate::failure::{Failure, exit};

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// A request that rules approve is signed well within this; after it a person is told what to do.
const SOON: Duration = Duration::from_secs(10);
/// A request that was cleared away is posted again; more often than this something else is wrong.
const POSTS_MAX: usize = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) signer: &'a str,
    pub(super) usages: &'a [&'a str],
    pub(super) common_name: &'a str,
    pub(super) organizations: &'a [&'a str],
    pub(super) names: &'a [String],
}

/// No certificate.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) failure: Failure,
    /// Another try with this key would get the same answer.
    pub(super) for_good: bool,
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self { failure: error.into(), for_good: false }
    }
}

fn for_good(failure: Failure) -> Refused {
    Refused { failure, for_good: true }
}

/// Posts the request of a key and waits for its certificate (PEM), for at most `patience`.
pub(super) async fn certificate(
    session: &Session,
    key_pem: &str,
    wanted: &Wanted<'_>,
    patience: Duration,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<String, Refused> {
    let unmade = |error: csr::MakeError| for_good(Failure::new(error.to_string()));
    let pem = csr::make(key_pem, wanted.common_name, wanted.organizations, wanted.names).map_err(unmade)?;
    // Other names are another request, even of the same key.
    let what = format!("{} {}", wanted.signer, wanted.names.join(" "));
    let name = csr::request_name(key_pem, &what).ok_or_else(|| unmade(csr::MakeError::Key))?;
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {"request": STANDARD.encode(pem), "signerName": wanted.signer, "usages": wanted.usages},
    });
    let deadline = tokio::time::Instant::now() + patience;
    for _ in 0..POSTS_MAX {
        match session.write(Method::POST, PATH, JSON, &object).await {
            Ok(_) => {}
            // From a try before this one, with the same key.
            Err(error) if error.code() == 409 => {}
            Err(error) => {
                let is_refusal = matches!(error.code(), 400 | 403 | 422);
                return Err(Refused { failure: error.into(), for_good: is_refusal });
            }
        }
        let waited = tokio::time::timeout_at(deadline, wait(session, &name, say)).await;
        let Ok(ended) = waited else {
            return Err(Refused { failure: pending(&name, patience), for_good: false });
        };
        let Some(certificate) = ended? else { continue };
        let issued = Issued::parse(&certificate);
        return match issued {
            Some(issued) if issued.is_of_key(key_pem) && issued.common_name == wanted.common_name => Ok(certificate),
            _ => Err(for_good(Failure::new(format!("the certificate of request {name} is not what was asked for")))),
        };
    }
    Err(for_good(Failure::new(format!("the request {name} was deleted again and again"))))
}

fn pending(name: &str, patience: Duration) -> Failure {
    let waited = crate::text::age::elapsed(patience);
    Failure::new(format!("nobody approved the request {name} within {waited}"))
        .code(exit::TIMED_OUT)
        .hint(format!("approve it where you administer the cluster: berth certificate approve {name}"))
        .hint("then start this again: it goes on with the same request")
}

/// The certificate of a request; `None` when the request was deleted.
async fn wait(session: &Session, name: &str, say: &mut (dyn FnMut(&str) + Send)) -> Result<Option<String>, Refused> {
    let selector = ("fieldSelector".to_owned(), format!("metadata.name={name}"));
    let mut watch = Watch::new(session.clone(), PATH.to_owned(), vec![selector]);
    let remind = tokio::time::sleep(SOON);
    tokio::pin!(remind);
    let mut reminded = false;
    loop {
        let change = tokio::select! {
            change = watch.next() => change?,
            () = &mut remind, if !reminded => {
                reminded = true;
                say(&format!("  … waiting for an approval: berth certificate approve {name}"));
                continue;
            }
        };
        let request = match change {
            Change::Listed(mut list) => match list["items"].as_array_mut().and_then(Vec::pop) {
                Some(request) => request,
                None => return Ok(None),
            },
            Change::Added(request) | Change::Modified(request) => request,
            Change::Deleted(_) => return Ok(None),
        };
        if let Some(certificate) = outcome(&request)? {
            return Ok(Some(certificate));
        }
    }
}

/// What a request has come to; `None` while nothing is decided.
fn outcome(request: &Value) -> Result<Option<String>, Refused> {
    let name = request["metadata"]["name"].as_str().unwrap_or_default();
    let conditions = request["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ended = conditions.iter().find(|c| matches!(c["type"].as_str(), Some("Denied" | "Failed")));
    if let Some(condition) = ended {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        let message = format!("the request {name} is {}: {}", text("type").to_lowercase(), text("message"));
        return Err(for_good(Failure::new(message).code(exit::DENIED)));
    }
    let Some(data) = request["status"]["certificate"].as_str().filter(|data| !data.is_empty()) else {
        return Ok(None);
    };
    let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(|| for_good(Failure::new(format!("the certificate of request {name} cannot be read"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_is_issued_or_refused() {
        let request = |status: Value| json!({"metadata": {"name": "r"}, "status": status});
        assert!(outcome(&request(json!({}))).unwrap().is_none());
        assert!(outcome(&request(json!({"conditions": [{"type": "Approved"}]}))).unwrap().is_none());
        let issued = request(json!({"conditions": [{"type": "Approved"}], "certificate": "UEVN"}));
        assert_eq!(outcome(&issued).unwrap().as_deref(), Some("PEM"));
        let denied = outcome(&request(json!({"conditions": [{"type": "Denied", "message": "no"}]}))).unwrap_err();
        assert_eq!((denied.failure.message.as_str(), denied.for_good), ("the request r is denied: no", true));
    }
}
