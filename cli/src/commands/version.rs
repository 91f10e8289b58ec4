//! `berth version`: this binary's version and the server's.

use serde_json::json;

use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::output::Format;

/// Options of `version`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the server
    #[arg(long)]
    client: bool,
    /// yaml or json
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let format = Format::parse(args.output.as_deref())?;
    let mut versions = json!({"clientVersion": {"gitVersion": concat!("v", env!("CARGO_PKG_VERSION"))}});
    let mut failure = None;
    if !args.client {
        let answer = match ctx.session().await {
            Ok(session) => session.get("/version").await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(version) => versions["serverVersion"] = version,
            Err(error) => failure = Some(error),
        }
    }
    if format.is_table() {
        ctx.term.line(&format!("berth  {}", env!("CARGO_PKG_VERSION")))?;
        if let Some(server) = versions["serverVersion"]["gitVersion"].as_str() {
            ctx.term.line(&format!("server {server}"))?;
        }
    } else {
        let text = format.object(None, &versions)?;
        ctx.term.data(&text)?;
    }
    failure.map_or(Ok(exit::OK), Err)
}
