//! Placeholder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_args: &Args, _ctx: &mut crate::ctx::Ctx) -> crate::failure::Outcome { Ok(0) }
