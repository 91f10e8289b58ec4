//! The command line as a table: one variant a verb, each verb in its own file.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands as c;
use crate::ctx::{Ctx, Globals};
use crate::daemon as d;
use crate::failure::{Failure, Outcome, exit};
use crate::term::{Paint, Term};

const AFTER_HELP: &str = "\
Start:
  berth up                                   run a whole cluster in this terminal
  berth apply -f manifests/examples/hello.yaml
  berth get services
  berth why service hello                    why something is not ready, and what to do

Exit codes: 0 done; 1 error; 2 wrong usage (diff: there are changes); 3 not found; 4 not allowed;
5 timed out waiting; 130 interrupted; exec passes on the command's own.";

/// A data-centre operating system in one binary.
#[derive(Debug, Parser)]
#[command(name = "berth", version, after_help = AFTER_HELP, disable_help_subcommand = false, max_term_width = 100)]
#[command(propagate_version = false, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a whole cluster in this process
    Up(Box<d::up::Args>),
    /// Stop a cluster that runs on this machine; with --purge, remove all of it
    Down(d::down::Args),
    /// Make or change objects as manifests say, and wait until they are ready
    Apply(c::apply::Args),
    /// Show what apply would change
    Diff(c::diff::Args),
    /// List objects, or print some
    Get(c::get::Args),
    /// Show everything about an object: spec, status, tasks, events
    Describe(c::describe::Args),
    /// Print the documentation of a kind's fields
    Explain(c::explain::Args),
    /// Say why something is not ready, and what to do
    Why(c::why::Args),
    /// Print what containers wrote
    Logs(c::logs::Args),
    /// Run a command inside a container
    Exec(c::exec::Args),
    /// Delete objects, and wait until nothing of them is left
    Delete(c::delete::Args),
    /// Change the number of instances
    Scale(c::scale::Args),
    /// Follow, undo, pause or restart rollouts
    Rollout(c::rollout::Args),
    /// Wait for a condition, a value, or the end of an object
    Wait(c::wait::Args),
    /// Show what happened lately
    Events(c::events::Args),
    /// Set or remove labels
    Label(c::meta::Args),
    /// Set or remove annotations
    Annotate(c::meta::Args),
    /// Place nothing new on a node
    Cordon(c::node::CordonArgs),
    /// Place tasks on a node again
    Uncordon(c::node::CordonArgs),
    /// Cordon a node and move its tasks away
    Drain(c::node::DrainArgs),
    /// Make objects that must not be there yet
    Create(c::create::Args),
    /// Change fields of an object by a patch
    Patch(c::patch::Args),
    /// List the kinds that the server knows
    ApiResources(c::api_resources::Args),
    /// Tell who the server takes you for
    Auth(c::auth::Args),
    /// Log in with a password or at a provider
    Login(c::login::Args),
    /// Forget the login
    Logout(c::login::LogoutArgs),
    /// Add, change or remove users with passwords, where the API server runs
    User(c::user::Args),
    /// Make, list or take back tokens by which machines join
    Token(c::token::Args),
    /// Decide requests for certificates
    Certificate(c::certificate::Args),
    /// Print the versions of this binary and of the server
    Version(c::version::Args),
    /// Print a completion script for a shell
    Completion(c::completion::Args),
    /// Run the API server alone
    Apiserver(Box<d::apiserver::Args>),
    /// Run the controllers alone
    Controllers(d::controllers::Args),
    /// Run a node's agent alone
    Agent(Box<d::agent::Args>),
    /// Make kubeconfigs for the parts of a cluster and its users
    Certs(d::certs::Args),
}

/// Parses, runs, prints the error, gives the exit code.
pub(crate) fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way, too; both streams may be gone.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::OK };
        }
    };
    berth_client::install_crypto_provider();
    let mut ctx = Ctx::new(Term::standard(), cli.globals);
    let mut result = run(cli.verb, &mut ctx);
    if let Err(error) = ctx.term.flush()
        && result.is_ok()
    {
        result = Err(error.into());
    }
    match result {
        Ok(code) => code,
        Err(failure) => {
            report(&mut ctx.term, &failure);
            failure.code
        }
    }
}

fn report(term: &mut Term, failure: &Failure) {
    if !failure.message.is_empty() {
        let text = format!("{} {}", term.paint_err(Paint::Bad, "error:"), failure.message);
        term.say(&text);
    }
    for hint in &failure.hints {
        let text = format!("{} {hint}", term.paint_err(Paint::Dim, " hint:"));
        term.say(&text);
    }
}

fn run(verb: Verb, ctx: &mut Ctx) -> Outcome {
    match verb {
        // The long-running parts build their own runtime.
        Verb::Up(args) => d::up::run(*args, ctx),
        Verb::Apiserver(args) => d::apiserver::run(*args, ctx),
        Verb::Controllers(args) => d::controllers::run(args, ctx),
        Verb::Agent(args) => d::agent::run(*args, ctx),
        Verb::Down(args) => d::down::run(&args, ctx),
        Verb::Certs(args) => d::certs::run(&args, ctx),
        Verb::Logout(args) => c::login::logout(&args, ctx),
        Verb::User(args) => c::user::run(args, ctx),
        Verb::Completion(args) => c::completion::run(&args, ctx, Cli::command()),
        verb => {
            // One request after the other: a single thread starts fastest.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let result = runtime.block_on(Box::pin(client(verb, ctx)));
            // A blocked read of standard input must not keep the process.
            runtime.shutdown_background();
            result
        }
    }
}

async fn client(verb: Verb, ctx: &mut Ctx) -> Outcome {
    match verb {
        Verb::Apply(args) => Box::pin(c::apply::run(args, ctx)).await,
        Verb::Diff(args) => c::diff::run(args, ctx).await,
        Verb::Get(args) => Box::pin(c::get::run(args, ctx)).await,
        Verb::Describe(args) => c::describe::run(args, ctx).await,
        Verb::Explain(args) => c::explain::run(args, ctx).await,
        Verb::Why(args) => c::why::run(args, ctx).await,
        Verb::Logs(args) => Box::pin(c::logs::run(args, ctx)).await,
        Verb::Exec(args) => c::exec::run(args, ctx).await,
        Verb::Delete(args) => Box::pin(c::delete::run(args, ctx)).await,
        Verb::Scale(args) => c::scale::run(args, ctx).await,
        Verb::Rollout(args) => Box::pin(c::rollout::run(args, ctx)).await,
        Verb::Wait(args) => c::wait::run(args, ctx).await,
        Verb::Events(args) => c::events::run(args, ctx).await,
        Verb::Label(args) => c::meta::run(args, ctx, c::meta::Field::Labels).await,
        Verb::Annotate(args) => c::meta::run(args, ctx, c::meta::Field::Annotations).await,
        Verb::Cordon(args) => c::node::cordon(args, ctx, true).await,
        Verb::Uncordon(args) => c::node::cordon(args, ctx, false).await,
        Verb::Drain(args) => c::node::drain(args, ctx).await,
        Verb::Create(args) => c::create::run(args, ctx).await,
        Verb::Patch(args) => c::patch::run(args, ctx).await,
        Verb::ApiResources(args) => c::api_resources::run(args, ctx).await,
        Verb::Auth(args) => c::auth::run(args, ctx).await,
        Verb::Login(args) => c::login::run(args, ctx).await,
        Verb::Token(args) => c::token::run(args, ctx).await,
        Verb::Certificate(args) => c::certificate::run(args, ctx).await,
        Verb::Version(args) => c::version::run(args, ctx).await,
        Verb::Up(_)
        | Verb::Down(_)
        | Verb::Apiserver(_)
        | Verb::Controllers(_)
        | Verb::Agent(_)
        | Verb::Certs(_)
        | Verb::Logout(_)
        | Verb::User(_)
        | Verb::Completion(_) => Ok(exit::OK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_anywhere() {
        for line in ["berth -n x get svc", "berth get svc -n x", "berth get -n x svc", "berth get svc --namespace=x"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.globals.namespace.as_deref(), Some("x"), "{line}");
        }
    }
}
