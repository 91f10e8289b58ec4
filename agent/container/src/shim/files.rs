//! Places to mount on: found without following a link out of the container's root, made when missing.
//!
//! The node's files are read-only, so a missing directory cannot simply be made. Its nearest existing parent is
//! replaced by a small file system in memory in which each old entry is bound again: then there is room.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use crate::cgroup::failed;
use crate::record::LaunchFailure;
use crate::sys;

/// A directory with more entries is not mirrored: it would take longer than a start should.
const MIRROR_ENTRIES_MAX: usize = 4_096;
/// `AT_RECURSIVE`, as `open_tree` takes it.
const RECURSIVE: OpenTreeFlags = OpenTreeFlags::from_bits_retain(libc::AT_RECURSIVE as u32);

/// The file tree of a container while it is built.
pub(super) struct Tree {
    root: OwnedFd,
    /// Made here and writable until [`seal`](Self::seal).
    unsealed: Vec<OwnedFd>,
    mirrored: Vec<PathBuf>,
}

impl Tree {
    /// The tree below the present `/`.
    pub(super) fn at_root() -> Result<Self, LaunchFailure> {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| failed("open the root directory", Path::new("/"), e.into()))?;
        Ok(Self { root, unsealed: Vec::new(), mirrored: Vec::new() })
    }

    /// What `path` means inside the container; `None` when there is nothing.
    pub(super) fn find(&self, path: &Path) -> Result<Option<OwnedFd>, LaunchFailure> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("look up", path, error.into())),
        }
    }

    /// Puts `tree` at `path`, which is made when it is missing.
    pub(super) fn attach(&mut self, tree: &OwnedFd, path: &Path, is_dir: bool) -> Result<(), LaunchFailure> {
        let target = self.find_or_make(path, is_dir)?;
        attach_at(tree, &target).map_err(|e| failed("mount", path, e.into()))
    }

    /// Puts `tree`, writable for now, at `path`.
    pub(super) fn attach_unsealed(&mut self, tree: OwnedFd, path: &Path) -> Result<(), LaunchFailure> {
        self.attach(&tree, path, true)?;
        self.unsealed.push(tree);
        Ok(())
    }

    /// Makes all that was only writable for us read-only.
    pub(super) fn seal(&mut self) -> Result<(), LaunchFailure> {
        self.unsealed.drain(..).try_for_each(|fd| {
            sys::mount_set(fd.as_fd(), sys::MOUNT_RDONLY, false)
                .map_err(|e| failed("make a made directory read-only", Path::new("/"), e))
        })
    }

    fn find_or_make(&mut self, path: &Path, is_dir: bool) -> Result<OwnedFd, LaunchFailure> {
        if let Some(found) = self.find(path)? {
            return Ok(found);
        }
        let mut done = PathBuf::from("/");
        let mut parts =
            path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir)).peekable();
        while let Some(part) = parts.next() {
            let next = done.join(part);
            if self.find(&next)?.is_none() {
                let dir_wanted = is_dir || parts.peek().is_some();
                match self.make(&done, &next, dir_wanted) {
                    Err(Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::OVERFLOW) => {
                        self.mirror(&done)?;
                        self.make(&done, &next, dir_wanted)
                    }
                    other => other,
                }
                .map_err(|e| failed("make the mount point", &next, e.into()))?;
            }
            done = next;
        }
        self.find(path)?.ok_or_else(|| failed("make the mount point", path, Errno::NOENT.into()))
    }

    fn make(&self, parent: &Path, path: &Path, is_dir: bool) -> Result<(), Errno> {
        let parent = self.find(parent).ok().flatten().ok_or(Errno::NOENT)?;
        let name = path.file_name().ok_or(Errno::INVAL)?;
        if is_dir {
            return rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755));
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
    }

    /// Replaces the directory at `path` (not the root) by one in memory with the same entries.
    fn mirror(&mut self, path: &Path) -> Result<(), LaunchFailure> {
        // A second time means that the first did not help.
        if self.mirrored.iter().any(|m| m == path) {
            return Err(failed("make room for a mount point in", path, Errno::ROFS.into()));
        }
        self.mirrored.push(path.to_owned());
        let entries = Entries::take(path)?;
        let memory = new_filesystem("tmpfs", &[("mode", "0755")], sys::MOUNT_NODEV)
            .map_err(|e| failed("make a file system in memory for", path, e.into()))?;
        let target = self.find(path)?.ok_or_else(|| failed("look up", path, Errno::NOENT.into()))?;
        attach_at(&memory, &target).map_err(|e| failed("mount", path, e.into()))?;
        entries.put(&memory, path)?;
        self.unsealed.push(memory);
        Ok(())
    }
}

/// Gives the present mount namespace a new root in memory with the entries of the old one, in which names can be
/// made. The returned descriptor is to be sealed by the caller.
pub(super) fn mirror_root(tree: &mut Option<OwnedFd>) -> Result<(), LaunchFailure> {
    let root = Path::new("/");
    let entries = Entries::take(root)?;
    let memory = new_filesystem("tmpfs", &[("mode", "0755")], sys::MOUNT_NODEV)
        .map_err(|e| failed("make a file system in memory for", root, e.into()))?;
    // Anywhere will do: it becomes the root at once.
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failed("open", Path::new("/proc"), e.into()))?;
    attach_at(&memory, &proc).map_err(|e| failed("mount the new root at", Path::new("/proc"), e.into()))?;
    entries.put(&memory, root)?;
    enter_root(&memory)?;
    *tree = Some(memory);
    Ok(())
}

/// Makes the mounted tree the root of this mount namespace and drops the old one.
pub(super) fn enter_root(tree: &OwnedFd) -> Result<(), LaunchFailure> {
    let change = || {
        rustix::process::fchdir(tree)?;
        rustix::process::pivot_root(".", ".")?;
        rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH)?;
        rustix::process::chdir("/")
    };
    change().map_err(|e: Errno| failed("change the root directory", Path::new("/"), e.into()))
}

/// The content of a directory, bound again or remembered.
struct Entries(Vec<(std::ffi::OsString, Entry)>);

enum Entry {
    Tree { tree: OwnedFd, is_dir: bool },
    Link { to: PathBuf },
}

impl Entries {
    fn take(path: &Path) -> Result<Self, LaunchFailure> {
        let listing = fs::read_dir(path).map_err(|e| failed("list", path, e))?;
        let mut entries = Vec::new();
        for entry in listing {
            let entry = entry.map_err(|e| failed("list", path, e))?;
            if entries.len() == MIRROR_ENTRIES_MAX {
                return Err(failed("make room for a mount point (too many entries) in", path, Errno::TOOBIG.into()));
            }
            let kind = entry.file_type().map_err(|e| failed("look at", &entry.path(), e))?;
            let taken = if kind.is_symlink() {
                Entry::Link { to: fs::read_link(entry.path()).map_err(|e| failed("read the link", &entry.path(), e))? }
            } else {
                let tree = clone_tree(&entry.path()).map_err(|e| failed("bind", &entry.path(), e.into()))?;
                Entry::Tree { tree, is_dir: kind.is_dir() }
            };
            entries.push((entry.file_name(), taken));
        }
        Ok(Self(entries))
    }

    fn put(self, into: &OwnedFd, path: &Path) -> Result<(), LaunchFailure> {
        for (name, entry) in self.0 {
            let put = || match &entry {
                Entry::Link { to } => rustix::fs::symlinkat(to.as_os_str().as_bytes(), into, &name),
                Entry::Tree { tree, is_dir } => {
                    if *is_dir {
                        rustix::fs::mkdirat(into, &name, Mode::from_raw_mode(0o755))?;
                    } else {
                        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
                        drop(rustix::fs::openat(into, &name, flags, Mode::from_raw_mode(0o644))?);
                    }
                    rustix::mount::move_mount(tree, "", into, &name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                }
            };
            put().map_err(|e| failed("bind again", &path.join(&name), e.into()))?;
        }
        Ok(())
    }
}

/// A copy of the mounts at and below a host path, attached nowhere yet.
pub(super) fn clone_tree(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags)
}

/// The same for what is at `below` in `source`, on a way without symbolic links.
pub(super) fn clone_below(source: &Path, below: Option<&Path>) -> Result<OwnedFd, Errno> {
    let Some(below) = below else { return clone_tree(source) };
    let source = rustix::fs::open(source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&source, below, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(&found, "", flags | RECURSIVE)
}

/// A new file system, attached nowhere yet.
pub(super) fn new_filesystem(kind: &str, options: &[(&str, &str)], flags: u64) -> Result<OwnedFd, Errno> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    let flags = MountAttrFlags::from_bits_retain(flags as u32);
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

pub(super) fn attach_at(tree: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags)
}
