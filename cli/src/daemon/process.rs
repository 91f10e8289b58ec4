//! What every long-running part does first and last: logs, limits, memory, signals, the runtime.

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Outcome, exit};

/// Threads for work at most: a node's control plane needs few, and each costs memory.
const THREADS_MAX: usize = 4;
/// Documents may be a hundred levels deep, and a debug build's frames are large. Only what is touched costs memory.
const STACK_BYTES: usize = 8 << 20;
/// Threads for blocking work (file reads, store commits) at most.
const BLOCKING_THREADS_MAX: usize = 32;

/// What still runs on blocking threads after a daemon's work is done gets this long.
const LEFTOVERS_END_WITHIN: Duration = Duration::from_secs(2);

/// Options about logs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    log_format: String,
    /// error, warn, info, debug, trace, or a filter such as info,berth_agent=debug [default: $RUST_LOG, else info; up: warn]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl LogArgs {
    /// Starts logging to standard error.
    ///
    /// # Errors
    /// When the filter is none.
    pub(crate) fn start(&self, default: &str) -> Outcome<()> {
        let variable = std::env::var("RUST_LOG").ok().filter(|v| !v.is_empty());
        let text = self.log_level.clone().or(variable).unwrap_or_else(|| default.to_owned());
        let filter = EnvFilter::try_new(&text).map_err(|e| Failure::usage(format!("--log-level {text:?}: {e}")))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // An error means that logs go somewhere already (a test): fine.
        let _ = if self.log_format == "json" {
            builder.json().flatten_event(true).with_current_span(false).try_init()
        } else {
            builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
        };
        Ok(())
    }
}

/// Prepares the process, before any thread is started.
fn prepare() {
    // The allocator asks for huge pages, which cost a quiet server half its memory again and win nothing here.
    // Containers' helpers undo it for what they start.
    // SAFETY: prctl with these arguments only sets a flag of the process.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
    // Watches and logs are connections: as many as we are allowed.
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The runtime of a long-running part.
///
/// # Errors
/// When threads cannot be started.
fn runtime() -> Outcome<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(1, THREADS_MAX))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_stack_size(STACK_BYTES)
        .thread_name("berth")
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// The frame of every daemon: prepares the process, starts the log, and runs `work` to its end.
///
/// # Errors
/// What `work` says, or when threads cannot be started.
pub(crate) fn run(log: &LogArgs, level: &str, work: impl Future<Output = Outcome>) -> Outcome {
    prepare();
    log.start(level)?;
    let runtime = runtime()?;
    let result = runtime.block_on(Box::pin(work));
    runtime.shutdown_timeout(LEFTOVERS_END_WITHIN);
    result
}

/// Waits until somebody wants us to stop; a second wish stops at once.
///
/// # Errors
/// When signals cannot be caught.
pub(crate) async fn stop_wanted() -> Outcome<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // Everything here may be killed at any instruction: state is in the store.
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    Ok(())
}

/// All causes of an error, from the outside in, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

/// The machine's name, as far as it is a valid name of an object.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' }).collect();
    let name = name.trim_matches(['-', '.']).to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
