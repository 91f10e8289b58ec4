//! The audit log: lines of JSON in a file that is rotated, written by a thread of its own.
//!
//! A request only adds its line to a buffer. When the disk cannot keep up, lines are dropped and counted: no request
//! waits for the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Condvar, Mutex};

/// Where the log goes, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLog {
    /// `-` is the standard output.
    pub path: PathBuf,
    /// Rotated files older than this many days go; 0 keeps them.
    pub max_age_days: u32,
    /// Rotated files beyond this many go, the oldest first; 0 keeps all.
    pub max_backups: u32,
    /// The file is rotated before it grows beyond this many MiB; 0 means 100.
    pub max_size_mib: u32,
}

impl AuditLog {
    /// As large and as many as upstream's manual advises: at most 1.1 GiB.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_age_days: 30, max_backups: 10, max_size_mib: 100 }
    }
}

const SIZE_MIB_DEFAULT: u32 = 100;
/// Lines that wait for the disk: about 20,000 of them, more than a second of what the server can do.
const BUFFER_BYTES_MAX: usize = 16 << 20;
/// Lines are collected for so long before they are written: the thread wakes up twenty times a second at most.
const LINGER: Duration = Duration::from_millis(50);
/// Rotated files bear this time in their names.
const BACKUP_TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";

/// What became of the lines.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) written: AtomicU64,
    /// The buffer was full.
    pub(crate) dropped: AtomicU64,
    /// The sink refused them.
    pub(crate) failed: AtomicU64,
}

impl Tally {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The file's writer. Dropping it writes what is left.
#[derive(Debug)]
pub(super) struct LogSink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something is to be written.
    filled: Condvar,
    /// Do not wait for more.
    hurry: Condvar,
    /// Everything is written.
    idle: Condvar,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    lines: usize,
    is_writing: bool,
    is_hurried: bool,
    is_closed: bool,
}

impl LogSink {
    /// Opens the file and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened for writing.
    pub(super) fn open(config: &AuditLog, tally: Arc<Tally>) -> io::Result<Self> {
        let mut output: Box<dyn Output> =
            if config.path.as_os_str() == "-" { Box::new(io::stdout()) } else { Box::new(Rotating::open(config)?) };
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            hurry: Condvar::new(),
            idle: Condvar::new(),
            tally,
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit-log".to_owned()).spawn(move || own.run(&mut *output))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Adds a line, which ends with a line break. Never waits.
    pub(super) fn record(&self, line: &[u8]) {
        let mut state = self.shared.state.lock();
        if state.buffer.len() + line.len() > BUFFER_BYTES_MAX {
            Tally::add(&self.shared.tally.dropped, 1);
            return;
        }
        let was_empty = state.buffer.is_empty();
        state.buffer.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        // While the thread collects lines nobody need wake it.
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Waits until all that was recorded before is written.
    pub(super) fn flush(&self) {
        let mut state = self.shared.state.lock();
        state.is_hurried = true;
        self.shared.hurry.notify_all();
        while !state.buffer.is_empty() || state.is_writing {
            self.shared.idle.wait(&mut state);
        }
        state.is_hurried = false;
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.filled.notify_all();
        self.shared.hurry.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, output: &mut dyn Output) {
        let mut spare = Vec::new();
        loop {
            let mut state = self.state.lock();
            while state.buffer.is_empty() && !state.is_closed {
                self.filled.wait(&mut state);
            }
            if state.buffer.is_empty() {
                return;
            }
            if !state.is_closed && !state.is_hurried {
                self.hurry.wait_for(&mut state, LINGER);
            }
            std::mem::swap(&mut state.buffer, &mut spare);
            let lines = std::mem::take(&mut state.lines);
            state.is_writing = true;
            drop(state);
            match output.put(&spare) {
                Ok(()) => Tally::add(&self.tally.written, lines),
                Err(error) => {
                    Tally::add(&self.tally.failed, lines);
                    tracing::warn!(%error, lines, "the audit log could not be written");
                }
            }
            spare.clear();
            self.state.lock().is_writing = false;
            self.idle.notify_all();
        }
    }
}

/// Takes whole lines.
trait Output: Send {
    fn put(&mut self, lines: &[u8]) -> io::Result<()>;
}

impl Output for io::Stdout {
    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut out = self.lock();
        out.write_all(lines)?;
        out.flush()
    }
}

/// A file that gives way to a new one when it is full.
#[derive(Debug)]
struct Rotating {
    config: AuditLog,
    size_max: u64,
    file: File,
    size: u64,
}

impl Rotating {
    fn open(config: &AuditLog) -> io::Result<Self> {
        if let Some(folder) = config.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let file = open(&config.path)?;
        let size = file.metadata()?.len();
        let mib = if config.max_size_mib == 0 { SIZE_MIB_DEFAULT } else { config.max_size_mib };
        Ok(Self { config: config.clone(), size_max: u64::from(mib) << 20, file, size })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        // Two within a millisecond are two files.
        let mut time = now;
        while backup_path(&self.config.path, time).exists() {
            time += SignedDuration::from_millis(1);
        }
        std::fs::rename(&self.config.path, backup_path(&self.config.path, time))?;
        self.file = open(&self.config.path)?;
        self.size = 0;
        self.clean(now)
    }

    /// Removes what is too old or too much.
    fn clean(&self, now: Timestamp) -> io::Result<()> {
        let mut backups = backups(&self.config.path)?;
        backups.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let AuditLog { max_age_days, max_backups, .. } = self.config;
        for (index, (time, path)) in backups.into_iter().enumerate() {
            let age = now.duration_since(time);
            let is_old = max_age_days > 0 && age > SignedDuration::from_hours(24 * i64::from(max_age_days));
            if is_old || max_backups > 0 && index >= max_backups as usize {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Output for Rotating {
    fn put(&mut self, mut lines: &[u8]) -> io::Result<()> {
        // Files end between lines, so that each can be read alone; but a batch that fits is one write.
        while !lines.is_empty() {
            let room = usize::try_from(self.size_max.saturating_sub(self.size)).unwrap_or(usize::MAX);
            let end = |line: usize| line + 1;
            let fits = if lines.len() <= room {
                Some(lines.len())
            } else {
                lines[..room].iter().rposition(|byte| *byte == b'\n').map(end)
            };
            let count = match fits {
                Some(count) => count,
                None if self.size > 0 => {
                    self.rotate()?;
                    continue;
                }
                // A line that is longer than a file may be has one of its own.
                None => lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), end),
            };
            let (now, later) = lines.split_at(count);
            self.file.write_all(now)?;
            self.size += count as u64;
            lines = later;
        }
        Ok(())
    }
}

/// For its owner only: events tell who did what.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// `audit.log` becomes `audit-2026-11-22T18-13-50.448.log`.
fn backup_path(path: &Path, time: Timestamp) -> PathBuf {
    let (stem, extension) = name_parts(path);
    path.with_file_name(format!("{stem}-{}{extension}", time.strftime(BACKUP_TIME)))
}

fn name_parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    (stem, extension)
}

/// The rotated files, with the times in their names.
fn backups(path: &Path) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let (stem, extension) = name_parts(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let time = name.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix(&extension));
        if let Some(time) = time.and_then(parse_backup_time) {
            found.push((time, entry.path()));
        }
    }
    Ok(found)
}

fn parse_backup_time(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    format!("{date}T{}Z", time.replace('-', ":")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_order_and_the_rest_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/audit.log");
        let tally = Arc::new(Tally::default());
        let sink = LogSink::open(&AuditLog::new(&path), Arc::clone(&tally)).unwrap();
        for index in 0..100 {
            sink.record(format!("{index}\n").as_bytes());
        }
        sink.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
        sink.record(b"last\n");
        drop(sink);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("0\n1\n") && text.ends_with("99\nlast\n"));
        assert_eq!(tally.written.load(Ordering::Relaxed), 101);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_file_gives_way_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let config = AuditLog { max_backups: 2, ..AuditLog::new(&path) };
        let mut file = Rotating::open(&config).unwrap();
        file.size_max = 10;
        // Older than any that is made here.
        let old = backup_path(&path, "2020-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(old.file_name().unwrap(), "audit-2020-01-01T00-00-00.000.log");
        std::fs::write(&old, "old\n").unwrap();
        std::fs::write(folder.path().join("audit-of-another.log"), "").unwrap();
        file.put(b"12345678\n").unwrap();
        file.put(b"1\n2\n345678901234\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "345678901234\n", "a long line has a file of its own");
        let kept = backups(&path).unwrap();
        assert!(kept.len() <= 2 && !old.exists(), "{kept:?}");
        assert!(folder.path().join("audit-of-another.log").exists());
    }

    #[test]
    fn old_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let file = Rotating::open(&AuditLog { max_age_days: 2, ..AuditLog::new(&path) }).unwrap();
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for time in ["2026-11-21T12:00:00.25Z", "2026-11-20T11:59:59Z"] {
            std::fs::write(backup_path(&path, time.parse().unwrap()), "").unwrap();
        }
        file.clean(now).unwrap();
        let left: Vec<_> = backups(&path).unwrap().into_iter().map(|(time, _)| time.to_string()).collect();
        assert_eq!(left, ["2026-11-21T12:00:00.25Z"]);
    }
}
