//! `berth`: one binary for the cluster and for those who use it.

mod cli;
mod commands;
mod ctx;
mod daemon;
mod failure;
mod kinds;
mod manifest;
mod output;
mod term;
mod text;

use std::process::ExitCode;

/// A server of many small, short-lived values: glibc's allocator took a fifth of a write's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // The helper process of a container: it must be the only thread and start at once, so it goes before all else.
    if arguments.next().is_some_and(|first| first == "__shim") {
        // A daemon does without huge pages, and hands that down; containers must not inherit it.
        // SAFETY: prctl with these arguments only clears a flag of the process.
        unsafe {
            libc::prctl(libc::PR_SET_THP_DISABLE, 0, 0, 0, 0);
        }
        let code = berth_container::shim_main(arguments);
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    ExitCode::from(cli::main())
}
