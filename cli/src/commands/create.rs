//! `berth create -f`: for objects that must not be there yet, and for generated names.

use berth_client::resource;
use berth_client::session::JSON;
use http::Method;

use super::apply::problem;
use super::create_token;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;
use crate::manifest::Files;
use crate::output::Format;
use crate::term::Paint;

/// Options of `create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth create -f run.yaml\n  berth create -f - < run.yaml\n  berth create token bot -n shop --duration 2h\n\n`berth apply` is the better choice for files that you keep."
)]
pub(crate) struct Args {
    /// token NAME, for a token of a service account
    #[arg(value_name = "WHAT", num_args = 0..=2, conflicts_with = "files")]
    what: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    token: create_token::TokenOptions,
    /// server: let the server check and answer without storing
    #[arg(long, value_name = "WHERE", num_args = 0..=1, default_missing_value = "server", default_value = "none")]
    #[arg(value_parser = ["none", "server"])]
    dry_run: String,
    /// Print the objects: yaml, json, name
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    match args.what.as_slice() {
        [] => {}
        [what, account] if what == "token" => return create_token::run(account, &args.token, ctx).await,
        _ => {
            return Err(Failure::usage("berth create takes files (-f FILE), or: berth create token ACCOUNT"));
        }
    }
    let format = Format::parse(args.output.as_deref())?;
    let documents = args.files.load(&mut ctx.term)?;
    let session = ctx.session().await?;
    let mut code = exit::OK;
    for document in documents {
        let resource = ctx.kinds.of_manifest(&session, document.api_version(), document.kind()).await?;
        let namespace = match document.namespace() {
            Some(own) => own.to_owned(),
            None => ctx.namespace().await?,
        };
        let mut parameters = vec![("fieldManager", "berth-create"), ("fieldValidation", "Strict")];
        if args.dry_run == "server" {
            parameters.push(("dryRun", "All"));
        }
        let target = format!("{}{}", resource.list_path(Some(&namespace)), resource::query(parameters));
        match session.write(Method::POST, &target, JSON, &document.object).await {
            Ok(reply) if format.is_table() => {
                let name = super::shared::name(&reply.body);
                let remark = if args.dry_run == "server" { " (server dry run)" } else { "" };
                ctx.term.line(&format!("{} created{remark}", kinds::title(&resource, name)))?;
            }
            Ok(reply) => {
                let text = format.object(Some(&resource), &reply.body)?;
                ctx.term.data(&text)?;
            }
            Err(error) if error.status().is_some() && !matches!(error.code(), 401 | 403) => {
                code = exit::ERROR;
                for problem in problem::of(&document, &error) {
                    ctx.term.say(&format!("{} {problem}", ctx.term.paint_err(Paint::Bad, "error:")));
                }
            }
            Err(error) => return Err(Failure::from(error)),
        }
    }
    Ok(code)
}
