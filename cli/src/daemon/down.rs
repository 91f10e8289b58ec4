//! `berth down`: stops a cluster on this machine; with `--purge` removes all of it and proves it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::lock::{self, Holder};
use super::{left, paths, process};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::term::Paint;
use crate::text::age;

/// A launcher notices at once that its agent is gone; this is for a machine that is very busy.
const LAUNCHERS_END_WITHIN: Duration = Duration::from_secs(10);

/// Options of `down`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  berth down            stop the cluster; tasks keep running until it is started again\n  \
                        berth down --purge    end all tasks and remove everything, data included"
)]
pub(crate) struct Args {
    /// Where the cluster keeps its data [default: /var/lib/berth as root, else ~/.local/state/berth]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// End all tasks and remove processes, mounts, cgroups and files
    #[arg(long)]
    purge: bool,
    /// How long the cluster may take to stop before it is killed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = age::parse_argument)]
    timeout: Duration,
}

pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Outcome {
    let data_dir = args.data_dir.clone().unwrap_or_else(paths::default_data_dir);
    let data_dir = std::path::absolute(&data_dir)?;
    let holder = lock::read(&data_dir);
    if lock::is_held(&data_dir) {
        let Some(holder) = &holder else {
            return Err(Failure::new(format!(
                "{} is in use, but its lock file does not say by whom",
                data_dir.display()
            )));
        };
        stop(ctx, holder.pid, args.timeout)?;
    } else if !args.purge {
        ctx.term.say(&format!("no berth runs on {}", data_dir.display()));
    }
    if !args.purge {
        return Ok(exit::OK);
    }
    let holder = holder.unwrap_or_else(|| Holder {
        pid: 0,
        run_dir: paths::default_run_dir(&data_dir),
        cgroup_parent: paths::cgroup_parent(&data_dir),
    });
    purge(ctx, &data_dir, &holder)
}

fn stop(ctx: &mut Ctx, pid: i32, timeout: Duration) -> Outcome<()> {
    let failed = |e: rustix::io::Errno| Failure::new(format!("could not stop process {pid}: {e}"));
    let Some(process) = Pid::from_raw(pid) else { return Err(Failure::new(format!("{pid} is not a process id"))) };
    let handle = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    kill_process(process, Signal::TERM).map_err(failed)?;
    let ended = |limit: Duration| -> Outcome<bool> {
        let mut fds = [PollFd::new(&handle, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        Ok(poll(&mut fds, Some(&limit)).map_err(failed)? > 0)
    };
    if !ended(timeout)? {
        ctx.term.say(&format!("process {pid} did not stop in {}: killing it", age::elapsed(timeout)));
        kill_process(process, Signal::KILL).map_err(failed)?;
        ended(timeout)?;
    }
    Ok(ctx.term.line(&format!("stopped berth (process {pid})"))?)
}

fn purge(ctx: &mut Ctx, data_dir: &Path, holder: &Holder) -> Outcome {
    if !data_dir.exists() && !holder.run_dir.exists() {
        ctx.term.say(&format!("nothing to remove: there is no {}", data_dir.display()));
        return Ok(exit::OK);
    }
    if data_dir.exists() && !looks_like_ours(data_dir) {
        return Err(Failure::new(format!(
            "{} does not look like a data directory of berth: nothing was removed",
            data_dir.display()
        )));
    }
    let _lock = data_dir.exists().then(|| lock::Lock::take(data_dir, holder)).transpose()?;
    let containers = holder.run_dir.join("containers");
    if containers.exists() {
        let exe = std::env::current_exe()?;
        let config = berth_container::Config {
            run_dir: containers,
            cgroup_parent: holder.cgroup_parent.clone(),
            shim: berth_container::Shim { exe, args: vec!["__shim".to_owned()] },
        };
        let failed =
            |e: &dyn std::error::Error| Failure::new(format!("could not end all containers: {}", process::chain(e)));
        berth_container::Containerizer::new(config).map_err(|e| failed(&e))?.purge().map_err(|e| failed(&e))?;
    }
    left::await_processes(&[data_dir, &holder.run_dir], LAUNCHERS_END_WITHIN);
    left::unmount_below(&[data_dir, &holder.run_dir]);
    for folder in [data_dir, holder.run_dir.as_path()] {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::new(format!("could not remove {}: {error}", folder.display())));
            }
            _ => {}
        }
    }
    let mut code = exit::OK;
    for (what, left) in left::look(data_dir, &holder.run_dir, &holder.cgroup_parent) {
        let line = if left.is_empty() {
            format!("  {} no {what} left", ctx.term.paint(Paint::Good, "✓"))
        } else {
            code = exit::ERROR;
            format!("  {} {what} left: {}", ctx.term.paint(Paint::Bad, "✗"), left.join(", "))
        };
        ctx.term.line(&line)?;
    }
    if code == exit::OK {
        ctx.term.line(&format!("removed {}", data_dir.display()))?;
    }
    Ok(code)
}

/// A mistyped --data-dir must not cost anybody their files.
fn looks_like_ours(data_dir: &Path) -> bool {
    data_dir.join(lock::LOCK_FILE).exists() || std::fs::read_dir(data_dir).is_ok_and(|mut d| d.next().is_none())
}
