//! What the container sees: the node's files read-only or a root of its own, private /dev, /proc and /tmp, and the
//! sandbox and volumes where they belong.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;

use super::files::{self, Tree, attach_at, clone_tree, new_filesystem};
use crate::cgroup::failed;
use crate::features::Isolation;
use crate::record::LaunchFailure;
use crate::spec::{ContainerSpec, MountKind, Rootfs, User};
use crate::sys::{self, MOUNT_NODEV, MOUNT_NOEXEC, MOUNT_NOSUID, MOUNT_RDONLY};

/// What tells of the whole machine or lets it be changed; the list of Docker.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Doors to the node's own daemons, through which root of a container would be root of the node.
const DAEMONS: [&str; 8] = [
    "/run/containerd",
    "/run/crio",
    "/run/dbus",
    "/run/docker",
    "/run/docker.sock",
    "/run/libvirt",
    "/run/podman",
    "/run/systemd/private",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Character devices of `/dev`.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
/// `/dev/shm`, as Docker's default.
const SHM_SIZE: &str = "67108864";
/// `/dev` holds only nodes.
const DEV_SIZE: &str = "65536";

/// The file systems of a container that are the same for all, attached nowhere yet.
pub(super) struct Ready {
    tmp: OwnedFd,
    dev: OwnedFd,
    pts: OwnedFd,
    shm: OwnedFd,
    /// Bound from the host where they cannot be made.
    nodes: Vec<(&'static str, OwnedFd)>,
}

/// The file systems that every container has of its own, made before the host's are out of reach.
struct Private {
    proc: OwnedFd,
    /// `/dev/mqueue`; kernels may lack it, and few programs use it.
    mqueue: Option<OwnedFd>,
    /// The host's in place of a `/dev/shm` of its own.
    host_shm: Option<OwnedFd>,
    has_devices: bool,
    ready: Ready,
}

/// A volume or the sandbox, ready to be attached.
struct Planned {
    target: PathBuf,
    tree: OwnedFd,
    is_dir: bool,
}

/// Builds the view in the caller's new mount namespace and makes it the root.
///
/// `ready`: what was prepared ahead; made here when it is missing.
pub(super) fn build(
    spec: &ContainerSpec,
    run_dir: &Path,
    isolation: Isolation,
    ready: Option<Ready>,
) -> Result<(), LaunchFailure> {
    make_private()?;
    let planned = plan(spec)?;
    let private = Private::make(spec, isolation, ready)?;
    let mut new_root = None;
    match &spec.rootfs {
        Rootfs::HostReadOnly => {
            if planned.iter().any(|p| !top_exists(&p.target)) {
                files::mirror_root(&mut new_root)?;
            }
        }
        Rootfs::Directory { path } => {
            let tree = clone_tree(path).map_err(|e| failed("bind the root file system", path, e.into()))?;
            let sys_tree = clone_tree(Path::new("/sys")).ok();
            let target = rustix::fs::open(path, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, Mode::empty())
                .map_err(|e| failed("open the root file system", path, e.into()))?;
            attach_at(&tree, &target).map_err(|e| failed("mount the root file system", path, e.into()))?;
            files::enter_root(&tree)?;
            if let Some(tree_of_sys) = sys_tree {
                set(&tree_of_sys, MOUNT_RDONLY | MOUNT_NODEV | MOUNT_NOEXEC, Path::new("/sys"))?;
                Tree::at_root()?.attach(&tree_of_sys, Path::new("/sys"), true)?;
            }
        }
    }
    let mut tree = Tree::at_root()?;
    let host = spec.rootfs == Rootfs::HostReadOnly;
    let nodev = if spec.privileged { 0 } else { MOUNT_NODEV };
    if host {
        // All that came from the node, in one call. The mirror of the root is still made in: not its own mount.
        lock_down(&new_root, nodev)?;
    }
    private.attach(&mut tree)?;
    if !spec.privileged {
        protect(&mut tree)?;
    }
    if host {
        let run_dir = fs::canonicalize(run_dir).unwrap_or_else(|_| run_dir.to_owned());
        for path in spec.masked_paths.iter().chain([&run_dir]) {
            hide(&mut tree, path)?;
        }
        for path in DAEMONS.iter().filter(|_| !spec.privileged) {
            hide(&mut tree, Path::new(path))?;
        }
    }
    for one in planned {
        tree.attach(&one.tree, &one.target, one.is_dir)?;
    }
    tree.seal()?;
    if let Some(root) = new_root.take().or(if spec.read_only_rootfs && !host { open_root() } else { None }) {
        sys::mount_set(root.as_fd(), MOUNT_RDONLY, false)
            .map_err(|e| failed("make the root read-only", Path::new("/"), e))?;
    }
    Ok(())
}

/// Nothing we mount is seen by the host, whatever its propagation.
fn make_private() -> Result<(), LaunchFailure> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|e| failed("make the mounts private", Path::new("/"), e.into()))
}

/// Whether this process may make the mounts a container needs.
pub(super) fn can_mount() -> bool {
    make_private().is_ok() && new_filesystem("proc", &[], 0).is_ok() && new_filesystem("tmpfs", &[], 0).is_ok()
}

/// In a new user namespace: one user outside appears as `inside`.
pub(super) fn map_own_user(outside: (u32, u32), inside: (u32, u32)) -> io::Result<()> {
    // The kernel demands it before an unprivileged gid_map.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", inside.0, outside.0))?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", inside.1, outside.1))
}

fn plan(spec: &ContainerSpec) -> Result<Vec<Planned>, LaunchFailure> {
    let bind = |source: &Path, below: Option<&Path>, target: &Path, read_only: bool| {
        let tree =
            files::clone_below(source, below).map_err(|e| failed("open the volume's source", source, e.into()))?;
        let read_only = if read_only { MOUNT_RDONLY } else { 0 };
        set(&tree, MOUNT_NODEV | MOUNT_NOSUID | read_only, source)?;
        let stat = rustix::fs::fstat(&tree).map_err(|e| failed("look at the volume's source", source, e.into()))?;
        let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
        Ok(Planned { target: target.to_owned(), tree, is_dir })
    };
    let mut planned = vec![bind(&spec.sandbox, None, spec.sandbox_in_container(), false)?];
    for mount in &spec.mounts {
        planned.push(match &mount.kind {
            MountKind::Bind { source, sub_path } => bind(source, sub_path.as_deref(), &mount.target, mount.read_only)?,
            MountKind::Tmpfs { size_bytes } => {
                let size = size_bytes.map(|bytes| bytes.to_string());
                let options: Vec<_> =
                    [("mode", "1777")].into_iter().chain(size.as_deref().map(|s| ("size", s))).collect();
                let read_only = if mount.read_only { MOUNT_RDONLY } else { 0 };
                let tree = new_filesystem("tmpfs", &options, MOUNT_NODEV | MOUNT_NOSUID | read_only)
                    .map_err(|e| failed("make the volume in memory", &mount.target, e.into()))?;
                Planned { target: mount.target.clone(), tree, is_dir: true }
            }
        });
    }
    Ok(planned)
}

fn set(tree: &OwnedFd, flags: u64, path: &Path) -> Result<(), LaunchFailure> {
    sys::mount_set(tree.as_fd(), flags, true).map_err(|e| failed("set the mount flags of", path, e))
}

fn top_exists(target: &Path) -> bool {
    match target.components().nth(1) {
        None => true,
        Some(top) => fs::symlink_metadata(Path::new("/").join(top)).is_ok(),
    }
}

fn open_root() -> Option<OwnedFd> {
    rustix::fs::open("/", rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, Mode::empty()).ok()
}

fn lock_down(new_root: &Option<OwnedFd>, nodev: u64) -> Result<(), LaunchFailure> {
    let root = open_root().ok_or_else(|| failed("open", Path::new("/"), Errno::NOENT.into()))?;
    set(&root, MOUNT_RDONLY | nodev, Path::new("/"))?;
    match new_root {
        None => Ok(()),
        Some(memory) => sys::mount_clear(memory.as_fd(), MOUNT_RDONLY)
            .map_err(|e| failed("make room in the root directory", Path::new("/"), e)),
    }
}

impl Private {
    fn make(spec: &ContainerSpec, isolation: Isolation, ready: Option<Ready>) -> Result<Self, LaunchFailure> {
        let no_exec = MOUNT_NODEV | MOUNT_NOSUID | MOUNT_NOEXEC;
        let own_ipc = !spec.namespaces.host_ipc;
        Ok(Self {
            // Before the host's is covered: in a user namespace a new one may show no more than that.
            proc: new_filesystem("proc", &[], no_exec).map_err(made("/proc"))?,
            mqueue: if own_ipc && !spec.privileged { new_filesystem("mqueue", &[], no_exec).ok() } else { None },
            host_shm: if own_ipc || spec.privileged {
                None
            } else {
                Some(clone_tree(Path::new("/dev/shm")).map_err(made("/dev/shm"))?)
            },
            // A privileged one has the host's.
            has_devices: !spec.privileged,
            ready: ready.map_or_else(|| Ready::make_in(isolation), Ok)?,
        })
    }

    fn attach(self, tree: &mut Tree) -> Result<(), LaunchFailure> {
        tree.attach(&self.proc, Path::new("/proc"), true)?;
        tree.attach(&self.ready.tmp, Path::new("/tmp"), true)?;
        if !self.has_devices {
            return Ok(());
        }
        let Ready { dev, pts, shm, nodes, .. } = &self.ready;
        tree.attach(dev, Path::new("/dev"), true)?;
        tree.attach(pts, Path::new("/dev/pts"), true)?;
        tree.attach(self.host_shm.as_ref().unwrap_or(shm), Path::new("/dev/shm"), true)?;
        if let Some(mqueue) = &self.mqueue {
            tree.attach(mqueue, Path::new("/dev/mqueue"), true)?;
        }
        for (name, node) in nodes {
            tree.attach(node, &Path::new("/dev").join(name), false)?;
        }
        Ok(())
    }
}

impl Ready {
    /// With root's rights, before the container is known. They belong to no mount namespace until they are attached.
    pub(super) fn make() -> Result<Self, LaunchFailure> {
        Self::make_in(Isolation::Root)
    }

    fn make_in(isolation: Isolation) -> Result<Self, LaunchFailure> {
        let no_exec = MOUNT_NODEV | MOUNT_NOSUID | MOUNT_NOEXEC;
        let tmp = new_filesystem("tmpfs", &[("mode", "1777")], MOUNT_NODEV | MOUNT_NOSUID).map_err(made("/tmp"))?;
        let dev = new_filesystem("tmpfs", &[("mode", "0755"), ("size", DEV_SIZE)], MOUNT_NOSUID | MOUNT_NOEXEC)
            .map_err(made("/dev"))?;
        let mut nodes = Vec::new();
        for (name, major, minor) in DEVICES {
            let path = Path::new("/dev").join(name);
            if isolation == Isolation::Root {
                let mode = Mode::from_raw_mode(0o666);
                rustix::fs::mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor))
                    .and_then(|()| rustix::fs::chmodat(&dev, name, mode, rustix::fs::AtFlags::empty()))
                    .map_err(|e| failed("make the device", &path, e.into()))?;
            } else {
                // Devices cannot be made in a user namespace.
                let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
                rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666))
                    .map_err(|e| failed("make the device", &path, e.into()))?;
                nodes.push((name, clone_tree(&path).map_err(|e| failed("bind the device", &path, e.into()))?));
            }
        }
        for (name, to) in DEVICE_LINKS {
            rustix::fs::symlinkat(to, &dev, name).map_err(made("/dev/*"))?;
        }
        for name in ["pts", "shm", "mqueue"] {
            rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755)).map_err(made("/dev/*"))?;
        }
        // Group 5 is tty on all distributions; it is not mapped in a user namespace.
        let group: &[_] = if isolation == Isolation::Root { &[("gid", "5")] } else { &[] };
        let options: Vec<_> = [("ptmxmode", "0666"), ("mode", "0620")].iter().chain(group).copied().collect();
        Ok(Self {
            tmp,
            dev,
            pts: new_filesystem("devpts", &options, MOUNT_NOSUID | MOUNT_NOEXEC).map_err(made("/dev/pts"))?,
            shm: new_filesystem("tmpfs", &[("mode", "1777"), ("size", SHM_SIZE)], no_exec).map_err(made("/dev/shm"))?,
            nodes,
        })
    }
}

fn made(what: &'static str) -> impl Fn(Errno) -> LaunchFailure {
    move |e| failed("make a file system for", Path::new(what), e.into())
}

/// Masks and write-protects the kernel's knobs.
fn protect(tree: &mut Tree) -> Result<(), LaunchFailure> {
    let mut empty: Option<&str> = None;
    for path in MASKED {
        let Some(target) = tree.find(Path::new(path))? else { continue };
        let is_dir = rustix::fs::fstat(&target).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir());
        let cover = match (is_dir, empty) {
            (false, _) => clone_tree(Path::new("/dev/null")),
            // One empty directory for all.
            (true, Some(first)) => clone_tree(Path::new(first)),
            (true, None) => new_filesystem("tmpfs", &[("mode", "0555")], MOUNT_RDONLY | MOUNT_NODEV),
        };
        if is_dir && empty.is_none() {
            empty = Some(path);
        }
        cover.and_then(|cover| attach_at(&cover, &target)).map_err(|e| failed("hide", Path::new(path), e.into()))?;
    }
    for path in READ_ONLY.map(Path::new) {
        let Some(target) = tree.find(path)? else { continue };
        let copy = clone_tree(path).map_err(|e| failed("write-protect", path, e.into()))?;
        set(&copy, MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, path)?;
        attach_at(&copy, &target).map_err(|e| failed("write-protect", path, e.into()))?;
    }
    Ok(())
}

/// Covers a path of the node, in which the sandbox or a volume may still get its place.
fn hide(tree: &mut Tree, path: &Path) -> Result<(), LaunchFailure> {
    let Some(target) = tree.find(path)? else { return Ok(()) };
    let is_dir = rustix::fs::fstat(&target).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir());
    if is_dir {
        let empty = new_filesystem("tmpfs", &[("mode", "0755")], MOUNT_NODEV | MOUNT_NOSUID)
            .map_err(|e| failed("hide", path, e.into()))?;
        return tree.attach_unsealed(empty, path);
    }
    let null = clone_tree(Path::new("/dev/null")).map_err(|e| failed("hide", path, e.into()))?;
    attach_at(&null, &target).map_err(|e| failed("hide", path, e.into()))
}

/// A terminal from the container's own `/dev/pts`: master and slave. The slave belongs to the user.
pub(super) fn open_terminal(user: Option<&User>) -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::fs::OFlags;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::openat(CWD, "/dev/ptmx", flags, Mode::empty())?;
    let slave = sys::terminal_peer(master.as_fd())?;
    if let Some(user) = user {
        // Refused where the user is not ours to give to; it is then our own.
        let _ = std::os::unix::fs::fchown(&slave, Some(user.uid), None);
    }
    Ok((master, slave))
}
