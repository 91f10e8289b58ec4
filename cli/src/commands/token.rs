//! `berth token create|list|delete`: tokens by which machines join, kept as Secrets in `kube-system`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_client::k8s_openapi::jiff::{SignedDuration, Timestamp};
use berth_client::session::JSON;
use berth_identity::bootstrap::{ANNOTATION_USED_BY, BootstrapToken, NAMESPACE, SECRET_PREFIX, SECRET_TYPE, ca_hash};
use http::Method;
use serde_json::{Value, json};

use super::shared::{self, at, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::output::table::Grid;
use crate::text::age;

/// On a token's Secret: any number of machines may join with it.
const ANNOTATION_REUSABLE: &str = "berth.dev/bootstrap-token-reusable";

/// Options of `token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: TokenVerb,
}

#[derive(Debug, clap::Subcommand)]
enum TokenVerb {
    /// Make a token by which a machine may join, and print how
    Create(CreateArgs),
    /// List tokens, without their secrets
    List,
    /// Take a token back
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth token create\n  berth token create --ttl 1h --description 'rack 7' --print-join-command\n\n\
                        A token is good for one machine, unless it is --reusable. The join command is printed on standard\n\
                        error, or alone on standard output with --print-join-command."
)]
struct CreateArgs {
    /// How long it is good: 30m, 24h, 7d; 0 for ever
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_ttl)]
    ttl: Duration,
    /// For any number of machines
    #[arg(long)]
    reusable: bool,
    /// What it is for, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Print the command that joins a machine instead of the token
    #[arg(long)]
    print_join_command: bool,
    /// Address by which machines reach the API [default: that of the kubeconfig]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    /// The part before the dot, or whole tokens
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    match args.verb {
        TokenVerb::Create(args) => create(&args, ctx).await,
        TokenVerb::List => list(ctx).await,
        TokenVerb::Delete(args) => delete(&args, ctx).await,
    }
}

fn path() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets")
}

async fn create(args: &CreateArgs, ctx: &mut Ctx) -> Outcome {
    let token = BootstrapToken::generate().map_err(|e| Failure::new(e.to_string()))?;
    let session = ctx.session().await?;
    session.write(Method::POST, &path(), JSON, &secret(args, &token, ctx.now())?).await?;
    let command = join_command(args, ctx, &token).await?;
    if args.print_join_command {
        ctx.term.line(&command)?;
        return Ok(exit::OK);
    }
    ctx.term.line(&token.reveal())?;
    ctx.term.say("");
    ctx.term.say("join a machine with:");
    ctx.term.say(&format!("  {command}"));
    Ok(exit::OK)
}

fn secret(args: &CreateArgs, token: &BootstrapToken, now: Timestamp) -> Outcome<Value> {
    let mut data = json!({
        "token-id": token.id, "token-secret": token.reveal_secret(),
        "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
    });
    if !args.ttl.is_zero() {
        let ttl = SignedDuration::try_from(args.ttl).ok();
        let ends = ttl.and_then(|ttl| now.checked_add(ttl).ok()).ok_or_else(|| Failure::usage("--ttl is too long"))?;
        data["expiration"] = json!(ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    if let Some(description) = &args.description {
        data["description"] = json!(description);
    }
    let mut metadata = json!({"name": token.secret_name()});
    if args.reusable {
        metadata["annotations"] = json!({ANNOTATION_REUSABLE: "true"});
    }
    Ok(json!({"apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE, "metadata": metadata, "stringData": data}))
}

async fn join_command(args: &CreateArgs, ctx: &mut Ctx, token: &BootstrapToken) -> Outcome<String> {
    let target = ctx.location().load().await.map_err(berth_client::ClientError::from)?;
    let server = args.server.clone().unwrap_or_else(|| target.server.clone());
    let host = server.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    if host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()) {
        ctx.term.say(&format!("note: {server} reaches this machine only"));
        ctx.term.say(
            " hint: let the API listen for others (berth up --listen 0.0.0.0:7443), and name it here with --server",
        );
    }
    let hashes = target.config.root_cert.unwrap_or_default();
    let mut command = format!("berth agent --join {server} --token {}", token.reveal());
    for hash in hashes.iter().filter_map(|certificate| ca_hash(certificate)) {
        command.push_str(&format!(" --ca-hash {hash}"));
    }
    Ok(command)
}

async fn list(ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let selector = vec![("fieldSelector".to_owned(), format!("type={SECRET_TYPE}"))];
    let listed = shared::list(&session, &path(), &selector, JSON).await?;
    let mut grid = Grid::new(["id", "ttl", "use", "description"]);
    for secret in listed["items"].as_array().into_iter().flatten() {
        grid.row(row(secret, ctx.now()));
    }
    if grid.is_empty() {
        ctx.term.say("no tokens; make one: berth token create");
        return Ok(exit::OK);
    }
    ctx.term.data(&grid.render())?;
    Ok(exit::OK)
}

fn row(secret: &Value, now: Timestamp) -> Vec<String> {
    let data = |key: &str| {
        let bytes = secret["data"][key].as_str().and_then(|data| STANDARD.decode(data).ok()).unwrap_or_default();
        crate::term::harmless(&String::from_utf8_lossy(&bytes))
    };
    let ttl = match data("expiration").parse::<Timestamp>() {
        Ok(ends) if ends > now => age::human(ends.duration_since(now)),
        Ok(_) => "over".to_owned(),
        Err(_) => "for ever".to_owned(),
    };
    let annotations = at(secret, &["metadata", "annotations"]);
    let used = match (text(annotations, &[ANNOTATION_USED_BY]), text(annotations, &[ANNOTATION_REUSABLE])) {
        ("", "true") => "reusable".to_owned(),
        ("", _) => "unused".to_owned(),
        (node, _) => format!("used by {node}"),
    };
    vec![data("token-id"), ttl, used, data("description")]
}

async fn delete(args: &DeleteArgs, ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    for id in &args.ids {
        let id = id.split('.').next().unwrap_or_default();
        let id = id.strip_prefix(SECRET_PREFIX).unwrap_or(id);
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !plain {
            return Err(Failure::usage(format!("{id:?} is no id of a token")).hint("list them: berth token list"));
        }
        let target = format!("{}/{SECRET_PREFIX}{id}", path());
        session.write(Method::DELETE, &target, JSON, &json!({})).await.map_err(|error| match error.code() {
            404 => Failure::not_found(format!("there is no token {id}")).hint("list them: berth token list"),
            _ => error.into(),
        })?;
        ctx.term.line(&format!("token {id} deleted"))?;
    }
    Ok(exit::OK)
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { age::parse_argument(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(ttl: &str, reusable: bool) -> CreateArgs {
        CreateArgs {
            ttl: parse_ttl(ttl).unwrap(),
            reusable,
            description: Some("rack 7".to_owned()),
            print_join_command: false,
            server: None,
        }
    }

    #[test]
    fn a_token_is_a_secret_that_the_server_believes() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let token = BootstrapToken::parse("abcdef.0123456789abcdef").unwrap();
        let made = secret(&args("24h", true), &token, now).unwrap();
        assert_eq!(made["metadata"]["name"], "bootstrap-token-abcdef");
        assert_eq!(made["stringData"]["expiration"], "2026-01-02T00:00:00Z");
        assert_eq!(made["metadata"]["annotations"][ANNOTATION_REUSABLE], "true");
        assert!(secret(&args("0", false), &token, now).unwrap()["stringData"]["expiration"].is_null());
    }

    #[test]
    fn a_list_tells_what_a_token_was_used_for_but_not_its_secret() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let data = |text: &str| STANDARD.encode(text);
        let mut secret = json!({
            "metadata": {"annotations": {ANNOTATION_USED_BY: "n1"}},
            "data": {"token-id": data("abcdef"), "token-secret": data("hidden"), "expiration": data("2026-01-01T05:00:00Z")},
        });
        assert_eq!(row(&secret, now), ["abcdef", "5h", "used by n1", ""]);
        secret["metadata"] = json!({});
        secret["data"]["expiration"] = json!(data("2025-01-01T02:00:00Z"));
        assert_eq!(row(&secret, now), ["abcdef", "over", "unused", ""]);
    }
}
