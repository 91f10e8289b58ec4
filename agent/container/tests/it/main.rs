//! The containerizer on a real kernel. One executable is the test runner, the helper (`__shim …`) and, for the
//! recovery tests, the agent that dies (`__agent …`); so the harness is our own, in `harness.rs`.

// In tests a failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]
// This executable is its own test runner: what it finds goes to standard output.
#![allow(clippy::print_stdout)]

mod cases;
mod harness;

fn main() {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("__shim") => std::process::exit(berth_container::shim_main(args)),
        Some("__agent") => cases::recovery::dying_agent(args),
        Some("__bench") => cases::bench(),
        _ => std::process::exit(harness::run(std::env::args().skip(1).collect(), &cases::all())),
    }
}
