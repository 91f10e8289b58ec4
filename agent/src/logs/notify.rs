//! Wakes a follower when a log directory changes: inotify, so that following a silent container costs nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use crate::fd;

/// Changes in one directory.
#[derive(Debug)]
pub struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the directory is missing or the user's inotify instances are used up.
    pub fn watch(dir: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(
            &fd,
            dir,
            WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF,
        )?;
        Ok(Self(fd::readable(fd)?))
    }

    /// Returns after the next change, or at once when there was one since the last call.
    ///
    /// # Errors
    /// As the kernel says.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut buffer = [0; 4096];
            match rustix::io::read(&self.0, &mut buffer) {
                Ok(_) => {
                    // All that is waiting is one change.
                    while rustix::io::read(&self.0, &mut buffer).is_ok_and(|n| n > 0) {}
                    ready.clear_ready();
                    return Ok(());
                }
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
