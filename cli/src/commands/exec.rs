//! `berth exec`: a command inside a running container, with a terminal if wanted; its exit code is ours.

use std::io::IsTerminal as _;

use berth_client::resource;
use futures::{SinkExt as _, StreamExt as _};
use rustix::termios::{self, OptionalActions, Termios};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::tungstenite::Message;

use super::shared::{self, Found, is_true, name, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::kinds;

/// Channels of the remote-command protocol: the first byte of each message.
mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const STATUS: u8 = 3;
    pub(super) const RESIZE: u8 = 4;
    /// v5 only: the channel named by the next byte is closed.
    pub(super) const CLOSE: u8 = 255;
}

/// Bytes of standard input that go into one message.
const INPUT_BYTES: usize = 32 * 1024;

/// Options of `exec`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth exec hello-7f9c4-0 -- ls -l\n  berth exec -it service/hello -- sh\n  tar c . | berth exec -i task/hello-7f9c4-0 -- tar x -C /tmp\n\n\
                        Of a service the first ready task is taken."
)]
pub(crate) struct Args {
    /// A task (or a service): NAME, KIND NAME or KIND/NAME
    #[arg(value_name = "WHAT", required = true, num_args = 1..=2)]
    target: Vec<String>,
    /// The command and its arguments, after --
    #[arg(last = true, value_name = "COMMAND", required = true)]
    command: Vec<String>,
    /// Container to run it in; the first unless told
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let task = task(ctx, &args.target).await?;
    let session = ctx.session().await?;
    let input_is_terminal = std::io::stdin().is_terminal();
    let tty = args.tty && input_is_terminal;
    if args.tty && !input_is_terminal {
        ctx.term.say("warning: standard input is no terminal: going on without -t");
    }
    let mut parameters: Vec<(&str, &str)> = args.command.iter().map(|word| ("command", word.as_str())).collect();
    let flag = |on: bool| if on { "true" } else { "false" };
    parameters.extend([("stdin", flag(args.stdin)), ("stdout", "true"), ("stderr", flag(!tty)), ("tty", flag(tty))]);
    if let Some(container) = &args.container {
        parameters.push(("container", container));
    }
    let target = format!("{}/exec{}", task.path(), resource::query(parameters));
    let connection = session.websocket(&target).await?;
    let closes = connection.supports_stream_close();
    let raw = if tty { RawTerminal::enter() } else { None };
    let result = pump(ctx, connection, args.stdin, tty, closes).await;
    drop(raw);
    result
}

/// The task that was meant; of a service one that is ready.
async fn task(ctx: &mut Ctx, target: &[String]) -> Outcome<Found> {
    let words = match target {
        [name] if !name.contains('/') => {
            // A bare name is a task's; if there is none, a service's.
            let session = ctx.session().await?;
            let path = kinds::ours("Task").path(&ctx.namespace().await?, name);
            let absent = session.get(&path).await.is_err_and(|e| e.is_not_found());
            vec![if absent { "service" } else { "task" }.to_owned(), name.clone()]
        }
        words => words.to_vec(),
    };
    let found = shared::one(ctx, &words, "berth exec TASK -- COMMAND").await?;
    if found.resource.group != berth_types::GROUP {
        return Err(Failure::usage(format!("commands run in tasks, not in {}", found.resource.plural)));
    }
    let label = match found.resource.kind.as_str() {
        "Task" => return Ok(found),
        "Service" => berth_types::names::LABEL_SERVICE,
        "Job" => berth_types::names::LABEL_JOB,
        "JobRun" => berth_types::names::LABEL_JOB_RUN,
        _ => return Err(Failure::usage(format!("commands run in tasks, not in {}", found.resource.plural))),
    };
    let session = ctx.session().await?;
    let resource = kinds::ours("Task");
    let parameters = [("labelSelector".to_owned(), format!("{label}={}", found.name))];
    let list =
        shared::list(&session, &resource.list_path(Some(&found.namespace)), &parameters, berth_client::session::JSON)
            .await?;
    let tasks = shared::items(resource, list);
    if tasks.is_empty() {
        // Says so if the owner is not there either.
        super::get::object(&session, &found).await?;
    }
    let best = tasks
        .iter()
        .find(|t| is_true(t, "Ready"))
        .or_else(|| tasks.iter().find(|t| text(t, &["status", "phase"]) == "Running"));
    let Some(best) = best else {
        return Err(Failure::not_found(format!("{} has no running task", found.title()))
            .hint(format!("berth why {}", found.title())));
    };
    Ok(Found { resource: resource.clone(), namespace: found.namespace, name: name(best).to_owned() })
}

async fn pump(ctx: &mut Ctx, connection: kube::client::Connection, stdin: bool, tty: bool, closes: bool) -> Outcome {
    let (mut to, mut from) = connection.into_stream().split();
    let mut resized = signal(SignalKind::window_change())?;
    if tty && let Some(size) = window() {
        let _ = to.send(message(channel::RESIZE, size.as_bytes())).await;
    }
    let mut input = tokio::io::stdin();
    let mut buffer = vec![0; INPUT_BYTES];
    let mut open = stdin;
    let mut code = None;
    loop {
        tokio::select! {
            received = from.next() => {
                let data = match received {
                    Some(Ok(Message::Binary(data))) => data,
                    Some(Ok(Message::Text(text))) => text.as_bytes().to_vec().into(),
                    Some(Ok(Message::Close(_))) | None => break,
                    Some(Ok(_)) => continue,
                    Some(Err(error)) if code.is_none() => return Err(Failure::new(format!("the connection broke: {error}"))),
                    Some(Err(_)) => break,
                };
                let Some((first, rest)) = data.split_first() else { continue };
                match *first {
                    channel::STDOUT => {
                        ctx.term.bytes(rest)?;
                        ctx.term.flush()?;
                    }
                    channel::STDERR => {
                        use std::io::Write as _;
                        std::io::stderr().write_all(rest)?;
                    }
                    channel::STATUS => code = Some(exit_code(rest)),
                    _ => {}
                }
            }
            read = input.read(&mut buffer), if open => {
                let count = read.unwrap_or(0);
                let sent = if count > 0 {
                    to.send(message(channel::STDIN, &buffer[..count])).await
                } else {
                    open = false;
                    if !closes { continue; }
                    to.send(Message::Binary(vec![channel::CLOSE, channel::STDIN].into())).await
                };
                // The other side has ended; what it said last is still to be read.
                open &= sent.is_ok();
            }
            _ = resized.recv(), if tty => {
                if let Some(size) = window() {
                    let _ = to.send(message(channel::RESIZE, size.as_bytes())).await;
                }
            }
        }
    }
    match code {
        Some(result) => result,
        None => Err(Failure::new("the connection ended before the command did")),
    }
}

fn message(channel: u8, data: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(data.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::Binary(bytes.into())
}

/// The status that ends a session: success, the command's code, or why it could not run.
fn exit_code(status: &[u8]) -> Outcome {
    let status: Value = serde_json::from_slice(status).unwrap_or_default();
    if status["status"] == "Success" {
        return Ok(exit::OK);
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code = causes.filter(|c| c["reason"] == "ExitCode").find_map(|c| c["message"].as_str()?.parse::<i64>().ok());
    match code {
        Some(code) => Err(Failure::silent(u8::try_from(code & 0xff).unwrap_or(exit::ERROR))),
        None => Err(Failure::new(text(&status, &["message"]).to_owned())),
    }
}

/// The size of the terminal as the protocol wants it.
fn window() -> Option<String> {
    let size = termios::tcgetwinsize(std::io::stdin()).ok()?;
    Some(format!(r#"{{"Width":{},"Height":{}}}"#, size.ws_col, size.ws_row))
}

/// A terminal that passes every key on; put back as it was when dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Option<Self> {
        let before = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing can be done when the terminal is gone.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_code_is_ours() {
        assert_eq!(exit_code(br#"{"status":"Success"}"#).unwrap(), 0);
        let failed = br#"{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"42"}]}}"#;
        let failure = exit_code(failed).unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (42, ""));
        assert_eq!(
            exit_code(br#"{"status":"Failure","message":"no such container"}"#).unwrap_err().message,
            "no such container"
        );
    }
}
