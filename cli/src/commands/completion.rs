//! `berth completion SHELL`: a script for bash, zsh or fish.

use clap_complete::Shell;

use crate::ctx::Ctx;
use crate::failure::{Outcome, exit};

/// Options of `completion`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  source <(berth completion bash)\n  berth completion fish > ~/.config/fish/completions/berth.fish"
)]
pub(crate) struct Args {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Args, ctx: &mut Ctx, mut command: clap::Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "berth", &mut script);
    ctx.term.bytes(&script)?;
    Ok(exit::OK)
}
