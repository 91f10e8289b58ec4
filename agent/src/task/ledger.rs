//! What the agent must not forget between two lives of its own: one small file a task.
//!
//! With it a restarted agent knows its tasks while the API server cannot be reached, never starts a container
//! twice, and still has the exit code of one whose traces are gone. It is renamed into place and not synced:
//! it has to outlive the agent, not the machine, and after a restart of the machine everything is lost anyway.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_types::Task;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hooks::sandbox::harmless;
use super::state::Exit;

/// Largest file that is read back. A Task is at most 1.5 MiB in the store.
const LEDGER_BYTES_MAX: u64 = 8 << 20;

/// What is known of one container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerRecord {
    /// A launch was begun: it may run.
    pub launched: bool,
    /// How it ended.
    pub exit: Option<Exit>,
}

/// One task's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// The machine's boot in which this was written.
    pub boot_id: String,
    /// When the agent took the task up.
    pub taken_up_at: Timestamp,
    /// The task as it was then.
    pub task: Task,
    /// Containers by name.
    #[serde(default)]
    pub containers: BTreeMap<String, ContainerRecord>,
}

impl Ledger {
    /// A new task's ledger; nothing is written yet.
    pub fn new(task: &Task, boot_id: &str, now: Timestamp) -> Self {
        Self { boot_id: boot_id.to_owned(), taken_up_at: now, task: task.clone(), containers: BTreeMap::new() }
    }

    /// Notes that a launch begins, and writes it down before it does.
    ///
    /// # Errors
    /// As the file system says: then the container must not be launched.
    pub fn launching(&mut self, dir: &Path, container: &str) -> io::Result<()> {
        self.containers.entry(container.to_owned()).or_default().launched = true;
        self.save(dir)
    }

    /// Notes how a container ended.
    ///
    /// # Errors
    /// As the file system says: then the runtime's own record must be kept.
    pub fn exited(&mut self, dir: &Path, container: &str, exit: &Exit) -> io::Result<()> {
        self.containers.entry(container.to_owned()).or_default().exit = Some(exit.clone());
        self.save(dir)
    }

    fn save(&self, dir: &Path) -> io::Result<()> {
        let path = self.path(dir).ok_or_else(|| io::Error::other("the task has no usable uid"))?;
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(beside, path)
    }

    fn path(&self, dir: &Path) -> Option<PathBuf> {
        path_of(dir, self.task.metadata.uid.as_deref()?)
    }
}

fn path_of(dir: &Path, uid: &str) -> Option<PathBuf> {
    Some(dir.join(format!("{}.json", harmless(uid)?)))
}

/// Removes a task's file; a missing one is fine.
///
/// # Errors
/// As the file system says.
pub fn remove(dir: &Path, uid: &str) -> io::Result<()> {
    let Some(path) = path_of(dir, uid) else { return Ok(()) };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All ledgers of the directory, which is made when it is missing. A damaged file is put aside, not fatal:
/// the API server knows the task too.
///
/// # Errors
/// When the directory cannot be read.
pub fn load_all(dir: &Path) -> io::Result<Vec<Ledger>> {
    fs::create_dir_all(dir)?;
    // What tasks are told in plain words (variables, arguments) is nobody else's on this machine.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "json") || fs::metadata(&path)?.len() > LEDGER_BYTES_MAX {
            continue;
        }
        match serde_json::from_slice::<Ledger>(&fs::read(&path)?) {
            Ok(ledger) => all.push(ledger),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "ledger is damaged, putting it aside");
                fs::rename(&path, path.with_extension("damaged"))?;
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_damage_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t", "uid": "u1"}, "spec": {"containers": []}
        }))
        .unwrap();
        let mut ledger = Ledger::new(&task, "boot", Timestamp::UNIX_EPOCH);
        ledger.launching(dir.path(), "c").unwrap();
        ledger.exited(dir.path(), "c", &Exit::lost("LauncherLost", "gone")).unwrap();
        fs::write(dir.path().join("bad.json"), b"{").unwrap();
        assert_eq!(load_all(dir.path()).unwrap(), [ledger]);
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(dir.path().join("bad.damaged").exists());
        remove(dir.path(), "u1").unwrap();
        remove(dir.path(), "u1").unwrap();
        assert!(load_all(dir.path()).unwrap().is_empty());
    }
}
