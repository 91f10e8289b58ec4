//! Where a task's files are on the node, made and removed.
//!
//! `<data>/sandboxes/<namespace>/<task>` is the task's sandbox (`MESOS_SANDBOX`); each container's logs are in a
//! directory of its name there. Volumes live in `<data>/volumes/<uid>`, those in memory in `<run>/volumes/<uid>`.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use berth_container::User;
use berth_types::Task;

/// The directories of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The sandbox.
    pub sandbox: PathBuf,
    /// Volumes on disk.
    pub volumes: PathBuf,
    /// Volumes in memory.
    pub memory: PathBuf,
}

impl Directories {
    /// Where they are; nothing is made. Names come from the API server, which allows DNS names only, but a name
    /// that could leave the directory is refused all the same.
    pub fn of(task: &Task, data_dir: &Path, run_dir: &Path) -> Option<Self> {
        let namespace = harmless(task.metadata.namespace.as_deref().unwrap_or("default"))?;
        let name = harmless(task.metadata.name.as_deref()?)?;
        let uid = harmless(task.metadata.uid.as_deref()?)?;
        Some(Self {
            sandbox: sandbox(data_dir, namespace, name),
            volumes: data_dir.join("volumes").join(uid),
            memory: run_dir.join("volumes").join(uid),
        })
    }

    /// Where a container's `stdout` and `stderr` are.
    pub fn logs(&self, container: &str) -> PathBuf {
        self.sandbox.join(container)
    }

    /// Makes the sandbox, owned by the task's user.
    ///
    /// # Errors
    /// As the file system says.
    pub fn make(&self, user: Option<&User>) -> io::Result<()> {
        make_dir(&self.sandbox, 0o755)?;
        if let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) {
            std::os::unix::fs::chown(&self.sandbox, Some(user.uid), Some(user.gid))?;
        }
        Ok(())
    }

    /// Removes all of them. What is gone already is fine.
    ///
    /// # Errors
    /// As the file system says.
    pub fn remove(&self) -> io::Result<()> {
        for dir in [&self.sandbox, &self.volumes, &self.memory] {
            remove_tree(dir)?;
        }
        // The namespace's directory goes with its last task; it is not empty otherwise.
        if let Some(parent) = self.sandbox.parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

/// The sandbox of a task by its names.
pub fn sandbox(data_dir: &Path, namespace: &str, name: &str) -> PathBuf {
    data_dir.join("sandboxes").join(namespace).join(name)
}

/// Makes a directory and those above it, with this mode whatever the umask is.
pub(super) fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// One path component that stays where it is put.
pub fn harmless(name: &str) -> Option<&str> {
    let fine = !name.is_empty() && name.len() <= 253 && !name.starts_with('.') && !name.contains(['/', '\0']);
    fine.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(namespace: &str, name: &str) -> Task {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": name, "namespace": namespace, "uid": "u-1"}, "spec": {"containers": []}
        }))
        .unwrap()
    }

    #[test]
    fn directories_are_made_twice_and_removed_twice() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Directories::of(&task("shop", "web-0"), dir.path(), dir.path()).unwrap();
        assert!(dirs.sandbox.ends_with("sandboxes/shop/web-0"));
        dirs.make(None).unwrap();
        dirs.make(None).unwrap();
        dirs.remove().unwrap();
        dirs.remove().unwrap();
        assert!(!dir.path().join("sandboxes/shop").exists());
    }

    #[test]
    fn names_cannot_leave_the_data_directory() {
        for (namespace, name) in [("..", "a"), ("a", "../b"), ("a", ""), ("a/b", "c")] {
            assert_eq!(Directories::of(&task(namespace, name), Path::new("/d"), Path::new("/r")), None);
        }
    }
}
