//! Logging in: a name and a password (or a provider's token) for a session that lasts some hours.
//!
//! A kind of question that everybody may ask. The answer never repeats the password, and there is a brake on guessing.

use std::time::Duration;

use berth_identity::ldap::LdapError;
use berth_identity::oidc::OidcError;
use berth_identity::password::{LoggedIn, LoginError};
use berth_identity::session::{self, Method};
use futures::FutureExt;
use serde_json::{Value, json};

use super::UserInfo;
use super::state::now;
use crate::http::Call;
use crate::registry::ReviewKind;
use crate::request::RequestInfo;
use crate::status::ApiError;

const GROUP: &str = "authentication.berth.dev";
const PLURAL: &str = "loginrequests";
/// How long a login waits for others that are being judged.
const WAIT: Duration = Duration::from_secs(5);

/// The question.
pub(super) const KIND: ReviewKind = ReviewKind {
    group: GROUP,
    version: "v1",
    kind: "LoginRequest",
    plural: PLURAL,
    namespaced: false,
    schema,
    answer: |call, review| log_in(call, review).boxed(),
};

/// Whether a request is a login: whoever has no identity yet must be able to ask for one.
pub(crate) fn is_login(info: &RequestInfo<'_>) -> bool {
    info.verb == "create" && info.group() == GROUP && info.plural() == PLURAL && info.subresource().is_empty()
}

fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "description": "LoginRequest exchanges a proof of who somebody is for a token of some hours.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
            "spec": {
                "description": "Who logs in, and the proof. It is not in the answer.",
                "type": "object",
                "properties": {
                    "username": text("The name of a user of the cluster, or of the directory."),
                    "password": text("The password."),
                    "idToken": text("An ID token of a configured OpenID provider, instead of name and password."),
                    "method": {
                        "type": "string", "enum": ["", "password", "ldap", "oidc"],
                        "description": "Who judges; unset: the cluster's own users, then the directory.",
                    },
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "token": text("A bearer token."),
                    "expirationTimestamp": {"type": "string", "format": "date-time"},
                    "userInfo": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                },
            },
        },
    })
}

async fn log_in(call: &Call<'_>, mut review: Value) -> Result<Value, ApiError> {
    // Taken out at once: whatever goes wrong below, the answer has no password.
    let spec = review["spec"].take();
    let said = |field: &str| spec[field].as_str().unwrap_or_default();
    let (name, password, id_token) = (said("username"), said("password"), said("idToken"));
    let (method, logged_in) = match said("method") {
        "oidc" => (Method::Oidc, by_provider(call, id_token).await?),
        "" if name.is_empty() && !id_token.is_empty() => (Method::Oidc, by_provider(call, id_token).await?),
        _ if name.is_empty() || password.is_empty() => {
            return Err(ApiError::bad_request("spec: give username and password, or idToken"));
        }
        "ldap" => (Method::Ldap, by_directory(call, name, password).await?),
        "password" => (Method::Password, by_password(call, name, password).await?),
        _ => {
            let is_own = call.server.identity.users.load().get(name).is_some();
            if is_own || call.server.identity.directory.is_none() {
                (Method::Password, by_password(call, name, password).await?)
            } else {
                (Method::Ldap, by_directory(call, name, password).await?)
            }
        }
    };
    let identity = &call.server.identity;
    let LoggedIn { subject, generation } = logged_in;
    let begun = session::begin(
        &identity.keys.load(),
        &subject,
        method,
        generation,
        identity.session_seconds,
        call.now.as_second(),
    );
    let (token, ends) = begun.map_err(ApiError::internal)?;
    let ends = jiff::Timestamp::from_second(ends).unwrap_or(jiff::Timestamp::MAX);
    tracing::info!(user = subject.name, ?method, "somebody logged in");
    review["metadata"] = json!({"creationTimestamp": crate::write::meta::timestamp(call.now)});
    review["spec"] = json!({"username": subject.name});
    let user = UserInfo::from(subject);
    review["status"] = json!({
        "token": token,
        "expirationTimestamp": crate::write::meta::timestamp(ends),
        "userInfo": user.to_json(),
    });
    Ok(review)
}

/// 401, with a reason that does not tell whether there is such a user.
fn refused() -> ApiError {
    ApiError::refused(401, "Unauthorized", "wrong user name or password", None)
}

fn too_many(seconds: u64) -> ApiError {
    ApiError::too_many_requests_for(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// A place among those who are judged: hashing takes a core and memory.
async fn place<'a>(call: &Call<'a>) -> Result<tokio::sync::SemaphorePermit<'a>, ApiError> {
    let acquired = tokio::time::timeout(WAIT, call.server.identity.logins.acquire()).await;
    acquired.ok().and_then(Result::ok).ok_or_else(ApiError::too_many_requests)
}

async fn by_password(call: &Call<'_>, name: &str, password: &str) -> Result<LoggedIn, ApiError> {
    let _place = place(call).await?;
    let server = std::sync::Arc::clone(call.server);
    let (name, password) = (name.to_owned(), password.to_owned());
    let judged = tokio::task::spawn_blocking(move || {
        let identity = &server.identity;
        identity.users.load().login(&identity.attempts, &name, &password, now())
    });
    judged.await.map_err(ApiError::internal)?.map_err(|error| match error {
        LoginError::Wrong => refused(),
        LoginError::TooMany { seconds } => too_many(seconds),
    })
}

async fn by_directory(call: &Call<'_>, name: &str, password: &str) -> Result<LoggedIn, ApiError> {
    let identity = &call.server.identity;
    let Some(directory) = &identity.directory else {
        return Err(ApiError::bad_request("this server asks no directory about passwords"));
    };
    // Directories do not tell "Alice" from "alice": neither does the brake.
    let counted = name.to_lowercase();
    if let Some(seconds) = identity.attempts.wait(&counted, now()) {
        return Err(too_many(seconds));
    }
    match directory.login(name, password).await {
        Ok(subject) => {
            identity.attempts.succeeded(&counted);
            Ok(LoggedIn { subject, generation: 0 })
        }
        Err(LdapError::Wrong) => {
            identity.attempts.failed(&counted, now());
            Err(refused())
        }
        Err(error) => {
            tracing::warn!(%error, "a directory could not judge a login");
            Err(ApiError::unavailable("the directory could not be asked: try again later"))
        }
    }
}

async fn by_provider(call: &Call<'_>, token: &str) -> Result<LoggedIn, ApiError> {
    match call.server.identity.oidc.providers().authenticate(token, now()).await {
        Ok(subject) => Ok(LoggedIn { subject, generation: 0 }),
        Err(error @ OidcError::NotInitialized) => {
            tracing::warn!(%error, "an OpenID provider could not be asked");
            Err(ApiError::unavailable("the OpenID provider could not be asked: try again later"))
        }
        Err(error) => {
            tracing::debug!(%error, "a provider's token is not believed");
            Err(ApiError::refused(401, "Unauthorized", "the token is not one of a configured OpenID provider", None))
        }
    }
}
