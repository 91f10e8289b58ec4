//! `berth patch`: changes fields without a file.

use berth_client::resource;
use berth_client::session::{JSON_PATCH, MERGE_PATCH};
use http::Method;

use super::shared;
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::manifest::yaml;
use crate::output::Format;

/// Options of `patch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  berth patch service hello -p '{spec: {replicas: 2}}'\n  \
                        berth patch service hello --type json -p '[{op: remove, path: /metadata/labels/x}]'")]
pub(crate) struct Args {
    /// KIND NAME or KIND/NAME
    #[arg(value_name = "WHAT", required = true)]
    target: Vec<String>,
    /// The patch, JSON or YAML
    #[arg(short, long, value_name = "PATCH", required_unless_present = "patch_file")]
    patch: Option<String>,
    /// File with the patch
    #[arg(long, value_name = "FILE")]
    patch_file: Option<std::path::PathBuf>,
    /// merge, json or strategic (built-in kinds only)
    #[arg(long = "type", value_name = "TYPE", default_value = "merge", value_parser = ["merge", "json", "strategic"])]
    kind: String,
    /// Patch a subresource: status, scale
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
    /// server: let the server check and answer without storing
    #[arg(long, value_name = "WHERE", num_args = 0..=1, default_missing_value = "server", default_value = "none")]
    #[arg(value_parser = ["none", "server"])]
    dry_run: String,
    /// Print the object: yaml, json, name
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let format = Format::parse(args.output.as_deref())?;
    let text = match (&args.patch, &args.patch_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|e| Failure::new(format!("could not read {}: {e}", file.display())))?,
        (None, None) => return Err(Failure::usage("give a patch with -p or --patch-file")),
    };
    let documents =
        yaml::parse(&text).map_err(|e| Failure::usage(format!("the patch, line {}: {}", e.line, e.message)))?;
    let [patch] = documents.as_slice() else { return Err(Failure::usage("the patch must be one document")) };
    let found = shared::one(ctx, &args.target, "berth patch KIND NAME -p PATCH").await?;
    let session = ctx.session().await?;
    let content_type = match args.kind.as_str() {
        "json" => JSON_PATCH,
        "strategic" => "application/strategic-merge-patch+json",
        _ => MERGE_PATCH,
    };
    let mut parameters = vec![("fieldManager", "berth-patch"), ("fieldValidation", "Strict")];
    if args.dry_run == "server" {
        parameters.push(("dryRun", "All"));
    }
    let subresource = args.subresource.map(|s| format!("/{s}")).unwrap_or_default();
    let target = format!("{}{subresource}{}", found.path(), resource::query(parameters));
    let reply = session.write(Method::PATCH, &target, content_type, &patch.to_value()).await?;
    for warning in &reply.warnings {
        ctx.term.say(&format!("warning: {warning}"));
    }
    if format.is_table() {
        ctx.term.line(&format!("{} patched", found.title()))?;
    } else {
        let text = format.object(Some(&found.resource), &reply.body)?;
        ctx.term.data(&text)?;
    }
    Ok(exit::OK)
}
