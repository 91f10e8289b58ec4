//! Tokens for service accounts: a POST to the account's `token`.

use berth_identity::service_account::{Bound, BoundKind, EXPIRATION_MIN_SECONDS, Grant};
use berth_schema::FieldError;
use bytes::Bytes;
use serde_json::{Value, json};

use super::accounts;
use crate::admission;
use crate::http::Call;
use crate::http::respond::{self, ApiResponse};
use crate::protobuf;
use crate::request::Verb;
use crate::status::{ApiError, Named};
use crate::write::decode::{Format, decode};
use crate::write::{causes, meta};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";
/// What a request gets that does not say how long.
const EXPIRATION_SECONDS: i64 = 3600;
const ACCOUNTS: (&str, &str) = ("", "serviceaccounts");

/// Answers a request for a token.
///
/// # Errors
/// 404 without the account, 422 when what is asked cannot be, 400 or 409 when it is bound to the wrong object.
pub(crate) async fn token_request(call: &Call<'_>, body: &Bytes) -> Result<ApiResponse, ApiError> {
    let mut request = read(call, body)?;
    let (namespace, name) = (call.namespace().unwrap_or_default(), call.name()?);
    let given = meta::text(&request, "name");
    if !given.is_empty() && given != name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    let given = meta::text(&request, "namespace");
    if !given.is_empty() && given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    crate::authz::may_request_token(call, &request)?;
    let spec = &request["spec"];
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(EXPIRATION_SECONDS);
    let audiences: Vec<String> = match &spec["audiences"] {
        Value::Array(list) => list.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    check(seconds)?;
    request["apiVersion"] = json!(format!("{GROUP}/v1"));
    request["kind"] = json!(KIND);
    let mut w = call.start(Verb::Create)?;
    Box::pin(admission::allow(&mut w, admission::Operation::Create, &request)).await?;
    let account = accounts::find(call.server, ACCOUNTS, namespace, name, None).await?;
    let missing = || ApiError::not_found(Named { group: "", plural: "serviceaccounts" }, name);
    let account = account.ok_or_else(missing)?;
    let (bound, node) = bound_object(call, namespace, name, &request["spec"]["boundObjectRef"]).await?;

    let identity = &call.server.identity;
    let grant = Grant {
        namespace,
        name,
        uid: meta::text(&account, "uid"),
        audiences: &audiences,
        expiration_seconds: seconds,
        bound: bound.as_ref(),
        node: node.as_ref().map(|(name, uid)| (name.as_str(), uid.as_str())),
    };
    let minted = identity.issuer.mint(&identity.keys.load(), &grant, call.now.as_second());
    let minted = minted.map_err(ApiError::internal)?;
    let expires = jiff::Timestamp::from_second(minted.expires_at).unwrap_or(jiff::Timestamp::MAX);
    call.trail.annotate("authentication.kubernetes.io/issued-credential-id", format!("JTI={}", minted.jti));

    request["metadata"] = json!({
        "name": name,
        "namespace": namespace,
        "uid": uuid::Uuid::new_v4().to_string(),
        "creationTimestamp": meta::timestamp(call.now),
    });
    let bound_reference = request["spec"]["boundObjectRef"].take();
    request["spec"] =
        json!({"audiences": minted.audiences, "expirationSeconds": seconds, "boundObjectRef": bound_reference});
    request["status"] = json!({"token": minted.token, "expirationTimestamp": meta::timestamp(expires)});
    let mut response = respond::json(201, request.to_string());
    w.warnings.extend(minted.warning);
    respond::warn(response.headers_mut(), &w.warnings);
    Ok(response)
}

/// The request in a body; an empty one asks for the usual.
fn read(call: &Call<'_>, body: &Bytes) -> Result<Value, ApiError> {
    let content_type = call.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let request = match Format::of(content_type) {
        _ if body.is_empty() => json!({}),
        Some(Format::Protobuf) => protobuf::decode(body, GROUP, KIND)?,
        Some(format) => decode(body, format)?.value,
        None => {
            let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
            return Err(ApiError::unsupported_media(accepted));
        }
    };
    let said = |field: &str| request[field].as_str().unwrap_or_default();
    let (version, kind) = (said("apiVersion"), said("kind"));
    let fits = (version.is_empty() || version == "authentication.k8s.io/v1") && (kind.is_empty() || kind == KIND);
    if !request.is_object() || !fits {
        let message =
            format!("no kind {kind:?} is registered for version {version:?}: expected a {KIND} of {GROUP}/v1");
        return Err(ApiError::bad_request(message));
    }
    let spec = &request["spec"];
    let well_formed = (spec.is_null() || spec.is_object())
        && (spec["expirationSeconds"].is_null() || spec["expirationSeconds"].is_i64())
        && (spec["boundObjectRef"].is_null() || spec["boundObjectRef"].is_object())
        && (spec["audiences"].is_null()
            || spec["audiences"].as_array().is_some_and(|list| list.iter().all(Value::is_string)));
    if well_formed {
        Ok(request)
    } else {
        Err(ApiError::bad_request("the TokenRequest's spec has members of wrong types"))
    }
}

fn check(seconds: i64) -> Result<(), ApiError> {
    let message = if seconds < EXPIRATION_MIN_SECONDS {
        "may not specify a duration less than 10 minutes"
    } else if seconds > 1 << 32 {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(());
    };
    let error = FieldError::invalid("spec.expirationSeconds", &Value::from(seconds), message);
    Err(ApiError::invalid(GROUP, KIND, "", causes(vec![error])))
}

type NodeOfTask = Option<(String, String)>;

/// The object that a token is bound to, and the node where it runs.
async fn bound_object(
    call: &Call<'_>,
    namespace: &str,
    account: &str,
    reference: &Value,
) -> Result<(Option<Bound>, NodeOfTask), ApiError> {
    if reference.is_null() {
        return Ok((None, None));
    }
    let said = |field: &str| reference[field].as_str().unwrap_or_default();
    let (api_version, kind_name, name) = (said("apiVersion"), said("kind"), said("name"));
    let Some(kind) = BoundKind::parse(api_version, kind_name) else {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let message = format!("cannot bind token to object of type {group}/{version}, Kind={kind_name}");
        return Err(ApiError::bad_request(message));
    };
    let (group, plural) = accounts::resource(kind);
    let named = Named { group, plural };
    let found = accounts::find(call.server, (group, plural), namespace, name, None).await?;
    let object = found.ok_or_else(|| ApiError::not_found(named, name))?;
    let uid = meta::text(&object, "uid").to_owned();
    let asked = said("uid");
    if !asked.is_empty() && asked != uid {
        let why = format!(
            "the UID in the bound object reference ({asked}) does not match the UID in record. The object might have \
             been deleted and then recreated"
        );
        return Err(ApiError::conflict(named, name, &why));
    }
    let mut node = None;
    if kind == BoundKind::Task {
        let runs_as = object["spec"]["serviceAccountName"].as_str().filter(|n| !n.is_empty()).unwrap_or("default");
        if runs_as != account {
            let message = format!(
                "cannot bind token for serviceaccount {account:?} to task running with serviceaccount {runs_as:?}"
            );
            return Err(ApiError::bad_request(message));
        }
        if let Some(name) = object["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()) {
            let nodes = accounts::resource(BoundKind::Node);
            let found = accounts::find(call.server, nodes, "", name, None).await?;
            node = found.map(|object| (name.to_owned(), meta::text(&object, "uid").to_owned()));
        }
    }
    Ok((Some(Bound { kind, name: name.to_owned(), uid }), node))
}
