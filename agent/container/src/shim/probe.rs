//! Tries what the kernel lets us do, in a child that ends at once: settings and versions lie, trying does not.

use rustix::fs::{Access, access};

use super::mounts;
use crate::cgroup::Layout;
use crate::features::{CgroupLayout, Features, Isolation};
use crate::sys::{self, Forked};

const NAMESPACES: u64 = (libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC) as u64;

pub(super) fn features(layout: &Layout) -> Features {
    let isolation = if works(NAMESPACES) {
        Isolation::Root
    } else if works(NAMESPACES | libc::CLONE_NEWUSER as u64) {
        Isolation::UserNamespace
    } else {
        Isolation::Plain
    };
    let seccomp = access("/proc/sys/kernel/seccomp/actions_avail", Access::READ_OK).is_ok();
    let mut features = Features {
        isolation,
        cgroups: layout.kind,
        controllers: layout.controllers.clone(),
        seccomp,
        limitations: Vec::new(),
    };
    features.limitations = limitations(&features, layout);
    features
}

fn works(namespaces: u64) -> bool {
    let id = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // SAFETY: the helper has one thread.
    match unsafe { sys::clone3(namespaces, None) } {
        Err(_) => false,
        Ok(Forked::Child) => {
            let mapped = namespaces & libc::CLONE_NEWUSER as u64 == 0 || mounts::map_own_user(id, id).is_ok();
            sys::exit_now(i32::from(!(mapped && mounts::can_mount())));
        }
        Ok(Forked::Parent { pid, .. }) => sys::reap(pid, true).is_some_and(|ended| ended.status == 0),
    }
}

fn limitations(features: &Features, layout: &Layout) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut say = |text: &str| words.push(text.to_owned());
    match features.isolation {
        Isolation::Root => {}
        Isolation::UserNamespace => {
            say("not root: containers run in a user namespace as the agent's own user; other users are refused");
        }
        Isolation::Plain => {
            say("no namespaces (not root, and the kernel refuses user namespaces): tasks see the node's \
                 processes and files, and volumes cannot be mounted");
        }
    }
    // One is enough to see why: the others fail for the same reason.
    let why = layout.notes.first().map(|note| format!(" ({note})")).unwrap_or_default();
    if features.cgroups == CgroupLayout::None {
        say(&format!(
            "no cgroup can be made{why}: limits of cpu, memory and processes are not enforced, and usage is not measured"
        ));
    } else {
        let lacking = |controller: &&str| !features.controllers.iter().any(|c| c == controller);
        let lacking: Vec<&str> = ["cpu", "memory", "pids"].into_iter().filter(lacking).collect();
        if let Some((last, others)) = lacking.split_last() {
            let names =
                if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
            say(&format!("no cgroup for {names} can be made{why}: limits of {names} are not enforced"));
        }
    }
    if !features.seccomp {
        say("the kernel has no seccomp: dangerous system calls are not refused");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_is_said_once_however_many_trees_show_it() {
        let notes = ["memory", "cpu", "pids"].map(|c| format!("/sys/fs/cgroup/{c}/berth: Permission denied"));
        let layout = Layout {
            kind: CgroupLayout::None,
            v2_parent: None,
            v2_limits: false,
            v1_parents: Vec::new(),
            controllers: Vec::new(),
            notes: notes.to_vec(),
        };
        let features = Features {
            isolation: Isolation::UserNamespace,
            cgroups: CgroupLayout::None,
            controllers: Vec::new(),
            seccomp: true,
            limitations: Vec::new(),
        };
        let said = limitations(&features, &layout);
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(said[1].contains("cgroup") && said[1].contains("memory/berth: Permission denied"), "{said:#?}");
    }
}
