//! `berth auth whoami` and `berth auth can-i`: who the server takes us for, and what we may do.

use berth_client::session::JSON;
use berth_client::{Resource, Session};
use http::Method;
use serde_json::{Value, json};

use super::shared::text;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::output::table::Grid;

/// Options of `auth`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: AuthVerb,
}

#[derive(Debug, clap::Subcommand)]
enum AuthVerb {
    /// Print your user name, groups and more as the server sees them
    Whoami,
    /// Tell whether you may do something; exit code 1 for no
    CanI(CanIArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth auth can-i delete services -n shop\n  berth auth can-i get secrets/db --as ann\n  \
                        berth auth can-i get /metrics\n  berth auth can-i create tasks/exec\n  berth auth can-i --list"
)]
struct CanIArgs {
    /// get, list, watch, create, update, patch, delete, deletecollection, or * for all
    #[arg(value_name = "VERB", required_unless_present = "list")]
    verb: Option<String>,
    /// RESOURCE, RESOURCE/NAME, or a path such as /metrics
    #[arg(value_name = "WHAT", required_unless_present = "list")]
    what: Option<String>,
    /// A subresource, such as log or scale
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// List everything that you may do in the namespace
    #[arg(long, conflicts_with_all = ["verb", "what"])]
    list: bool,
    /// Print nothing: the exit code tells
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    match args.verb {
        AuthVerb::Whoami => whoami(ctx).await,
        AuthVerb::CanI(args) if args.list => list(ctx).await,
        AuthVerb::CanI(args) => can_i(&args, ctx).await,
    }
}

async fn whoami(ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = session.write(Method::POST, path, JSON, &body).await.map_err(|error| match error.code() {
        404 => Failure::not_found("this server does not tell who you are (it serves no SelfSubjectReview)"),
        _ => error.into(),
    })?;
    let info = &review.body["status"]["userInfo"];
    let mut grid = Grid::new(["attribute", "value"]);
    grid.row(vec!["Username".to_owned(), text(info, &["username"]).to_owned()]);
    if !text(info, &["uid"]).is_empty() {
        grid.row(vec!["UID".to_owned(), text(info, &["uid"]).to_owned()]);
    }
    grid.row(vec!["Groups".to_owned(), joined(&info["groups"])]);
    for (key, values) in info["extra"].as_object().into_iter().flatten() {
        grid.row(vec![format!("Extra: {key}"), joined(values)]);
    }
    grid.row(vec!["Server".to_owned(), session.server().to_owned()]);
    ctx.term.data(&grid.render())?;
    Ok(exit::OK)
}

async fn can_i(args: &CanIArgs, ctx: &mut Ctx) -> Outcome {
    let (verb, what) = (args.verb.as_deref().unwrap_or_default(), args.what.as_deref().unwrap_or_default());
    let session = ctx.session().await?;
    let spec = if what.starts_with('/') {
        json!({"nonResourceAttributes": {"verb": verb.to_lowercase(), "path": what}})
    } else {
        let (typed, name) = what.split_once('/').unwrap_or((what, ""));
        let namespace = if args.all_namespaces { String::new() } else { ctx.namespace().await? };
        let resource = resource(ctx, &session, typed).await?;
        // `tasks/log` names a subresource to those who know roles, and `tasks/web-1` an object.
        let (name, subresource) = match (&args.subresource, is_subresource(name)) {
            (Some(subresource), _) => (name, subresource.as_str()),
            (None, true) => ("", name),
            (None, false) => (name, ""),
        };
        let namespace = if resource.namespaced { namespace } else { String::new() };
        json!({"resourceAttributes": {
            "verb": verb.to_lowercase(), "group": resource.group, "version": resource.version,
            "resource": resource.plural, "subresource": subresource, "name": name, "namespace": namespace,
        }})
    };
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let status = session.write(Method::POST, path, JSON, &body).await?.body["status"].take();
    let allowed = status["allowed"] == true;
    if !args.quiet {
        let reason = text(&status, &["reason"]);
        let reason = if allowed || reason.is_empty() { String::new() } else { format!(" - {reason}") };
        ctx.term.line(&format!("{}{}", if allowed { "yes" } else { "no" }, crate::term::harmless(&reason)))?;
    }
    Ok(if allowed { exit::OK } else { exit::ERROR })
}

/// The kind that was meant. One that this server does not know may be asked about all the same.
async fn resource(ctx: &mut Ctx, session: &Session, typed: &str) -> Outcome<Resource> {
    match ctx.kinds.resolve(session, typed).await {
        Ok(resource) => Ok(resource),
        Err(failure) => {
            ctx.term.say(&format!("warning: {}", failure.message));
            let (plural, group) = typed.split_once('.').unwrap_or((typed, ""));
            Ok(Resource {
                group: group.to_owned(),
                version: "*".to_owned(),
                kind: String::new(),
                plural: plural.to_owned(),
                singular: String::new(),
                short_names: Vec::new(),
                categories: Vec::new(),
                namespaced: true,
                verbs: Vec::new(),
            })
        }
    }
}

/// Subresources that a server of ours has; objects of these names are asked about with --subresource "".
fn is_subresource(name: &str) -> bool {
    matches!(name, "status" | "scale" | "log" | "exec" | "token" | "approval" | "finalize" | "*")
}

async fn list(ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let namespace = ctx.namespace().await?;
    let spec = json!({"namespace": namespace});
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": spec});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let status = session.write(Method::POST, path, JSON, &body).await?.body["status"].take();
    let mut grid = Grid::new(["resources", "non-resource urls", "names", "verbs"]);
    for rule in status["resourceRules"].as_array().into_iter().flatten() {
        grid.row(vec![resources(rule), String::new(), joined(&rule["resourceNames"]), joined(&rule["verbs"])]);
    }
    for rule in status["nonResourceRules"].as_array().into_iter().flatten() {
        grid.row(vec![String::new(), joined(&rule["nonResourceURLs"]), String::new(), joined(&rule["verbs"])]);
    }
    ctx.term.data(&grid.render())?;
    if status["incomplete"] == true {
        ctx.term.say("warning: the list may not be complete");
    }
    Ok(exit::OK)
}

/// `services.berth.dev, tasks.berth.dev`.
fn resources(rule: &Value) -> String {
    let texts =
        |field: &str| rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    let (groups, plurals) = (texts("apiGroups"), texts("resources"));
    let full = |group: &str, plural: &str| match group {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    };
    let all = groups.iter().flat_map(|group| plurals.iter().map(|plural| full(group, plural)));
    all.collect::<Vec<_>>().join(", ")
}

fn joined(values: &Value) -> String {
    values.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_their_resources_with_groups() {
        let rule = json!({"apiGroups": ["", "berth.dev"], "resources": ["secrets", "tasks/log"]});
        assert_eq!(resources(&rule), "secrets, tasks/log, secrets.berth.dev, tasks/log.berth.dev");
        assert_eq!(resources(&json!({"apiGroups": ["*"], "resources": ["*"]})), "*.*");
    }
}
