//! Process 1 of a container: reaps whatever is orphaned, hands signals on, and tells how the task ended.
//!
//! A program that is not written to be process 1 does not die of SIGTERM there (the kernel drops signals that an
//! init does not handle) and lets zombies pile up; so the task is a child of this.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::capability::Set;
use crate::sys;

/// Minds `main` until it ends; its raw wait status goes into `status`. The kernel then kills all others.
pub(super) fn run(main: i32, status: OwnedFd) -> ! {
    sys::set_process_name("berth-init");
    // SAFETY: this function never returns and uses no other descriptor.
    unsafe { sys::close_from_except(3, status.as_raw_fd() as u32) };
    // Signals go to processes of other users too.
    let _ = sys::set_capabilities(Set::KILL.0 & sys::permitted_capabilities());
    loop {
        match sys::next_signal() {
            libc::SIGCHLD => {}
            signal if signal > 0 => {
                let _ = sys::kill(main, signal);
                continue;
            }
            _ => {}
        }
        // Several may have ended: signals of one kind are not counted.
        while let Some(ended) = sys::reap(-1, false) {
            if ended.pid == main {
                let _ = std::fs::File::from(status).write_all(&ended.status.to_ne_bytes());
                sys::exit_now(sys::decode_status(ended.status).0.unwrap_or(255));
            }
        }
    }
}
