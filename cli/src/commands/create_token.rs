//! `berth create token ACCOUNT`: a token for a service account, for some time.

use std::time::Duration;

use berth_client::session::JSON;
use http::Method;
use serde_json::json;

use super::shared::text;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::text::age;

/// Options about the token.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tokens")]
pub(crate) struct TokenOptions {
    /// How long the token is good, 10m or more; the server may shorten it [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = age::parse_argument)]
    duration: Option<Duration>,
    /// Whom the token is for [default: the API]; may be repeated
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// Good as long as this object is there: Task, Secret or Node, with --bound-object-name
    #[arg(long, value_name = "KIND", requires = "bound_object_name")]
    bound_object_kind: Option<String>,
    /// See --bound-object-kind
    #[arg(long, value_name = "NAME", requires = "bound_object_kind")]
    bound_object_name: Option<String>,
}

/// Makes a token and prints it, and nothing else on standard output.
///
/// # Errors
/// When there is no such account, or the server gives no such token.
pub(crate) async fn run(account: &str, options: &TokenOptions, ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let namespace = ctx.namespace().await?;
    let mut spec = json!({"audiences": options.audience});
    if let Some(duration) = options.duration {
        spec["expirationSeconds"] = json!(duration.as_secs());
    }
    if let (Some(kind), Some(name)) = (&options.bound_object_kind, &options.bound_object_name) {
        let version = match kind.to_lowercase().as_str() {
            "secret" => "v1",
            "task" | "node" => "berth.dev/v1",
            _ => return Err(Failure::usage("--bound-object-kind is Task, Secret or Node")),
        };
        let (first, rest) = kind.split_at(kind.chars().next().map_or(0, char::len_utf8));
        let kind = format!("{}{}", first.to_uppercase(), rest.to_lowercase());
        spec["boundObjectRef"] = json!({"apiVersion": version, "kind": kind, "name": name});
    }
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if account.is_empty() || !plain(account) || !plain(&namespace) {
        return Err(Failure::usage(format!("{account:?} in namespace {namespace:?} is no name of a service account")));
    }
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}");
    let reply = session.write(Method::POST, &format!("{path}/token"), JSON, &body).await;
    let reply = reply.map_err(|error| match error.code() {
        404 => Failure::not_found(format!("there is no service account {account:?} in namespace {namespace}"))
            .hint(format!("list them: berth get serviceaccounts -n {namespace}")),
        _ => error.into(),
    })?;
    for warning in &reply.warnings {
        ctx.term.say(&format!("warning: {}", crate::term::harmless(warning)));
    }
    ctx.term.line(text(&reply.body, &["status", "token"]))?;
    Ok(exit::OK)
}
