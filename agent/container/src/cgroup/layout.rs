//! Where groups can be made on this machine: found by looking at the mounts, proven by making one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::features::CgroupLayout;
use crate::procfs::{self, MountInfo};

/// The controllers whose limits we enforce.
const WANTED: [&str; 3] = ["cpu", "memory", "pids"];
/// Version 1 hierarchies that we use.
const V1_USED: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "freezer"];

/// The parents of all containers' groups.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) kind: CgroupLayout,
    pub(crate) v2_parent: Option<PathBuf>,
    /// Whether version 2 holds the controllers.
    pub(crate) v2_limits: bool,
    pub(crate) v1_parents: Vec<(String, PathBuf)>,
    /// Of the wanted ones, those that work.
    pub(crate) controllers: Vec<String>,
    /// What went wrong, for people.
    pub(crate) notes: Vec<String>,
}

impl Layout {
    /// Finds the trees and makes `parent` in each, below our own group.
    pub(crate) fn detect(parent: &str) -> Self {
        Self::find(parent, Purpose::Make)
    }

    /// The same for parents that are there, without a change to the machine: for an agent that only cleans up.
    pub(crate) fn look(parent: &str) -> Self {
        Self::find(parent, Purpose::Look)
    }

    fn find(parent: &str, purpose: Purpose) -> Self {
        let mut layout = Self {
            kind: CgroupLayout::None,
            v2_parent: None,
            v2_limits: false,
            v1_parents: Vec::new(),
            controllers: Vec::new(),
            notes: Vec::new(),
        };
        let mounts = procfs::mounts().unwrap_or_default();
        let own = procfs::own_cgroups();
        layout.find_v1(&mounts, &own, parent, purpose);
        layout.find_v2(&mounts, &own, parent, purpose);
        layout.kind = match (&layout.v2_parent, layout.v1_parents.is_empty()) {
            (Some(_), true) => CgroupLayout::V2,
            (Some(_), false) => CgroupLayout::Hybrid,
            (None, false) => CgroupLayout::V1,
            (None, true) => CgroupLayout::None,
        };
        layout
    }

    /// Removes the parents; for `purge`. Those that still hold a group stay.
    pub(crate) fn remove_parents(&self) {
        for parent in self.v2_parent.iter().chain(self.v1_parents.iter().map(|(_, path)| path)) {
            let _ = fs::remove_dir(parent);
        }
    }

    fn find_v1(&mut self, mounts: &[MountInfo], own: &[(String, String)], parent: &str, purpose: Purpose) {
        for controller in V1_USED {
            let named = |list: &str| list.split(',').any(|c| c == controller);
            let Some(mount) = mounts.iter().find(|m| m.fs_type == "cgroup" && named(&m.super_options)) else {
                continue;
            };
            let own_path = own.iter().find(|(list, _)| named(list)).map_or("/", |(_, path)| path.as_str());
            let path = below(mount, own_path).join(parent);
            match purpose.prepare(&path) {
                Ok(()) => {
                    if WANTED.contains(&controller) {
                        self.controllers.push(controller.to_owned());
                    }
                    self.v1_parents.push((controller.to_owned(), path));
                }
                Err(error) => self.note(&path, &error),
            }
        }
    }

    fn find_v2(&mut self, mounts: &[MountInfo], own: &[(String, String)], parent: &str, purpose: Purpose) {
        let Some(mount) = mounts.iter().find(|m| m.fs_type == "cgroup2") else { return };
        let own_path = own.iter().find(|(list, _)| list.is_empty()).map_or("/", |(_, path)| path.as_str());
        let own_group = home(below(mount, own_path));
        let path = own_group.join(parent);
        if let Err(error) = purpose.prepare(&path) {
            return self.note(&path, &error);
        }
        if purpose == Purpose::Look {
            self.v2_limits = self.v1_parents.is_empty();
            self.v2_parent = Some(path);
            return;
        }
        let available = fs::read_to_string(own_group.join("cgroup.controllers")).unwrap_or_default();
        let offered: Vec<_> = WANTED
            .into_iter()
            .filter(|w| available.split_whitespace().any(|a| a == *w) && !self.controllers.iter().any(|c| c == w))
            .collect();
        for controller in offered {
            let enabled = enable(&own_group, controller).and_then(|()| enable(&path, controller));
            match enabled {
                Ok(()) => self.controllers.push(controller.to_owned()),
                Err(error) => self.note(&own_group, &error),
            }
        }
        self.v2_limits = self.v1_parents.is_empty();
        self.v2_parent = Some(path);
    }

    fn note(&mut self, path: &Path, error: &io::Error) {
        self.notes.push(format!("{}: {error}", path.display()));
    }
}

/// The directory of group `own` in this mount, which may itself begin at an inner group.
fn below(mount: &MountInfo, own: &str) -> PathBuf {
    let relative = Path::new(own).strip_prefix(&mount.root).unwrap_or_else(|_| Path::new(""));
    mount.point.join(relative)
}

/// What a layout is found for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Make,
    Look,
}

impl Purpose {
    fn prepare(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Make => make_parent(path),
            Self::Look => fs::metadata(path).map(drop),
        }
    }
}

/// Where our own process steps aside, so that controllers can be given to the groups beside it.
const LEAF: &str = "berth-agent";

/// The group that was given to us, also after we stepped into our leaf of it.
fn home(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.ends_with(LEAF) => parent.to_owned(),
        _ => own,
    }
}

/// Makes the directory and shows that we may write there.
fn make_parent(path: &Path) -> io::Result<()> {
    match fs::create_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?;
    Ok(())
}

/// Switches a controller on for the children of `group`.
fn enable(group: &Path, controller: &str) -> io::Result<()> {
    let control = group.join("cgroup.subtree_control");
    let on = || fs::write(&control, format!("+{controller}"));
    match on() {
        // Only a group without processes of its own may give controllers to its children: our process and
        // the helper's step into a leaf. Others that are there are not ours to move.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            let leaf = group.join(LEAF);
            make_parent(&leaf)?;
            for pid in [std::process::id(), std::os::unix::process::parent_id()] {
                fs::write(leaf.join("cgroup.procs"), pid.to_string())?;
            }
            on()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_was_given_is_found_again_from_the_leaf() {
        for own in ["/sys/fs/cgroup/unit", "/sys/fs/cgroup/unit/berth-agent"] {
            assert_eq!(home(own.into()), Path::new("/sys/fs/cgroup/unit"));
        }
    }

    #[test]
    fn looking_makes_nothing() {
        let before = Layout::look("berth-never-made");
        assert!(before.v2_parent.is_none() && before.v1_parents.is_empty());
    }
}
