//! The default system call filter: what Docker's default profile refuses, as a small BPF program.
//!
//! Written instruction by instruction because it is short: the kernel runs the filter over every call number
//! when it is loaded, so a list of 400 allowed calls costs a tenth of a millisecond at each start.
//! Refused calls get EPERM. Calls newer than this list get ENOSYS, as programs then use an older one.

use std::collections::BTreeMap;

use crate::capability::Set;
use crate::sys::BpfInstruction;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7;

/// The newest call that was looked at (`file_setattr`, Linux 6.17). Numbers are the same on all machines from 424 on.
const NEWEST: u32 = 469;

/// Namespaces: a container must not make user namespaces, in which it would have all capabilities.
const CLONE_NEW: u32 = 0x7E02_0000;
/// Sockets to the hypervisor.
const AF_VSOCK: u32 = 40;

/// Offsets in `struct seccomp_data`.
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;
const DATA_ARG0: u32 = 16;

/// Calls that change the whole machine, whatever the capabilities say.
fn refused_always() -> Vec<i64> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
    let mut calls = vec![
        libc::SYS_add_key,
        libc::SYS_keyctl,
        libc::SYS_request_key,
        libc::SYS_get_mempolicy,
        libc::SYS_set_mempolicy,
        libc::SYS_mbind,
        libc::SYS_move_pages,
        libc::SYS_migrate_pages,
        libc::SYS_userfaultfd,
        libc::SYS_kexec_load,
        libc::SYS_nfsservctl,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_vhangup,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        SET_MEMPOLICY_HOME_NODE,
        libc::SYS_kexec_file_load,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_uselib, libc::SYS_ustat, libc::SYS_sysfs, libc::SYS__sysctl]);
    calls
}

const SET_MEMPOLICY_HOME_NODE: i64 = 450;

/// Calls that come with a capability (Docker gives them back when it is added).
fn refused_without(capabilities: Set) -> Vec<i64> {
    let mut calls = Vec::new();
    let mut unless = |number: u32, of_it: &[i64]| {
        if !capabilities.contains(Set(1 << number)) {
            calls.extend_from_slice(of_it);
        }
    };
    unless(
        21,
        &[
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_fsopen,
            libc::SYS_fsconfig,
            libc::SYS_fsmount,
            libc::SYS_fspick,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_quotactl,
            libc::SYS_quotactl_fd,
            libc::SYS_lookup_dcookie,
            libc::SYS_fanotify_init,
            libc::SYS_setdomainname,
            libc::SYS_sethostname,
            STATMOUNT,
            LISTMOUNT,
            OPEN_TREE_ATTR,
        ],
    );
    // bpf and perf have a capability of their own since 5.8; SYS_ADMIN covers both.
    if !capabilities.contains(Set::SYS_ADMIN) {
        unless(39, &[libc::SYS_bpf]);
        unless(38, &[libc::SYS_perf_event_open]);
    }
    unless(2, &[libc::SYS_open_by_handle_at]);
    unless(16, &[libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module]);
    unless(20, &[libc::SYS_acct]);
    unless(22, &[libc::SYS_reboot]);
    // Not adjtimex: it also reads the clock, and the kernel itself refuses to set it.
    unless(25, &[libc::SYS_settimeofday, libc::SYS_clock_settime]);
    unless(34, &[libc::SYS_syslog]);
    #[cfg(target_arch = "x86_64")]
    unless(17, &[libc::SYS_iopl, libc::SYS_ioperm]);
    calls
}

const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;
const OPEN_TREE_ATTR: i64 = 467;

/// What becomes of a call, or of a run of neighbouring ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Return(u32),
    /// Allowed unless it makes namespaces.
    UnlessNewNamespace,
    /// Allowed unless it speaks to the hypervisor.
    UnlessVsock,
}

impl Verdict {
    fn code(self) -> Vec<BpfInstruction> {
        match self {
            Self::Return(action) => vec![ret(action)],
            Self::UnlessNewNamespace => vec![load(DATA_ARG0), jump_if_any(CLONE_NEW, 0, 1), ret(REFUSE), ret(ALLOW)],
            Self::UnlessVsock => vec![load(DATA_ARG0), jump_if_equal(AF_VSOCK, 0, 1), ret(REFUSE), ret(ALLOW)],
        }
    }
}

/// The filter for a container with these capabilities.
pub(crate) fn program(capabilities: Set) -> Vec<BpfInstruction> {
    let mut code = vec![
        load(DATA_ARCH),
        // Another instruction set (32 bit) has other numbers.
        jump_if_equal(ARCH, 1, 0),
        ret(REFUSE),
        load(DATA_NR),
        // The x32 numbers and calls that did not exist when this was written.
        jump_if_greater(NEWEST, 0, 1),
        ret(UNKNOWN),
    ];
    code.extend(tree(&runs(&special(capabilities))));
    code
}

/// Every call that is not simply allowed.
fn special(capabilities: Set) -> BTreeMap<u32, Verdict> {
    let refused = refused_always().into_iter().chain(refused_without(capabilities));
    let mut special: BTreeMap<u32, Verdict> =
        refused.filter_map(|call| Some((u32::try_from(call).ok()?, Verdict::Return(REFUSE)))).collect();
    if !capabilities.contains(Set::SYS_ADMIN) {
        // Its flags are in memory that a filter cannot see: the C library falls back to clone.
        special.insert(libc::SYS_clone3 as u32, Verdict::Return(UNKNOWN));
        special.insert(libc::SYS_clone as u32, Verdict::UnlessNewNamespace);
    }
    special.insert(libc::SYS_socket as u32, Verdict::UnlessVsock);
    special
}

/// All numbers from 0 up, as runs that share a verdict: where each begins.
fn runs(special: &BTreeMap<u32, Verdict>) -> Vec<(u32, Verdict)> {
    let mut runs = vec![(0, Verdict::Return(ALLOW))];
    for (call, verdict) in special {
        // What follows is allowed again, unless the next one says otherwise.
        for (begin, verdict) in [(*call, *verdict), (call + 1, Verdict::Return(ALLOW))] {
            runs.retain(|(known, _)| *known < begin);
            if runs.last().is_none_or(|(_, last)| *last != verdict) {
                runs.push((begin, verdict));
            }
        }
    }
    runs
}

/// A binary search: the kernel runs the filter over every number when it loads it.
fn tree(runs: &[(u32, Verdict)]) -> Vec<BpfInstruction> {
    let (below, above) = match runs {
        [] => return vec![ret(ALLOW)],
        [(_, verdict)] => return verdict.code(),
        _ => runs.split_at(runs.len() / 2),
    };
    let (lower, upper) = (tree(below), tree(above));
    let begin = above[0].0;
    let mut code = match u8::try_from(lower.len()) {
        Ok(over) => vec![jump_if_at_least(begin, over, 0)],
        // Only the unconditional jump reaches so far.
        Err(_) => vec![jump_if_at_least(begin, 0, 1), jump(lower.len() as u32)],
    };
    code.extend(lower);
    code.extend(upper);
    code
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> BpfInstruction {
    BpfInstruction { code: code as u16, jt, jf, k }
}

/// Loads a 32-bit word of `seccomp_data`.
fn load(offset: u32) -> BpfInstruction {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn ret(action: u32) -> BpfInstruction {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

/// Skips `yes` or `no` instructions.
fn jump_if_equal(k: u32, yes: u8, no: u8) -> BpfInstruction {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, yes, no)
}

fn jump_if_greater(k: u32, yes: u8, no: u8) -> BpfInstruction {
    instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, k, yes, no)
}

fn jump_if_at_least(k: u32, yes: u8, no: u8) -> BpfInstruction {
    instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, k, yes, no)
}

fn jump(over: u32) -> BpfInstruction {
    instruction(libc::BPF_JMP | libc::BPF_JA, over, 0, 0)
}

fn jump_if_any(k: u32, yes: u8, no: u8) -> BpfInstruction {
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, k, yes, no)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel would.
    fn verdict(program: &[BpfInstruction], arch: u32, nr: u32, arg0: u32) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            match u32::from(step.code) {
                code if code == libc::BPF_RET | libc::BPF_K => return step.k,
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    word = match step.k {
                        DATA_ARCH => arch,
                        DATA_NR => nr,
                        _ => arg0,
                    }
                }
                code if code == libc::BPF_JMP | libc::BPF_JA => at += step.k as usize,
                code if code & 0xf0 == libc::BPF_JGE => at += jump(word >= step.k),
                code if code & 0xf0 == libc::BPF_JEQ => at += jump(word == step.k),
                code if code & 0xf0 == libc::BPF_JGT => at += jump(word > step.k),
                code if code & 0xf0 == libc::BPF_JSET => at += jump(word & step.k != 0),
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn ordinary_calls_pass_and_dangerous_ones_do_not() {
        let program = program(Set(0));
        let ask = |nr: i64, arg0| verdict(&program, ARCH, nr as u32, arg0);
        for nr in [libc::SYS_read, libc::SYS_execve, libc::SYS_ptrace, libc::SYS_futex, libc::SYS_openat2] {
            assert_eq!(ask(nr, 0), ALLOW, "{nr}");
        }
        for nr in [libc::SYS_mount, libc::SYS_bpf, libc::SYS_keyctl, libc::SYS_reboot, libc::SYS_unshare] {
            assert_eq!(ask(nr, 0), REFUSE, "{nr}");
        }
        assert_eq!(ask(libc::SYS_clone, libc::SIGCHLD as u32), ALLOW);
        assert_eq!(ask(libc::SYS_clone, libc::CLONE_NEWUSER as u32), REFUSE);
        assert_eq!(ask(libc::SYS_clone3, 0), UNKNOWN);
        assert_eq!((ask(libc::SYS_socket, 2), ask(libc::SYS_socket, AF_VSOCK)), (ALLOW, REFUSE));
        assert_eq!(ask(5_000, 0), UNKNOWN);
        assert_eq!(verdict(&program, ARCH, 0x4000_0000, 0), UNKNOWN);
        assert_eq!(verdict(&program, 0x4000_0003, 0, 0), REFUSE);
    }

    #[test]
    fn the_search_finds_what_the_list_says_for_every_number() {
        for capabilities in [Set(0), Set::SYS_ADMIN] {
            let (program, special) = (program(capabilities), special(capabilities));
            for nr in 0..=NEWEST {
                let expected = match special.get(&nr) {
                    Some(Verdict::Return(action)) => *action,
                    _ => ALLOW,
                };
                assert_eq!(verdict(&program, ARCH, nr, 0), expected, "{nr}");
            }
        }
    }

    #[test]
    fn a_capability_brings_its_calls_back() {
        let program = program(Set::SYS_ADMIN);
        let ask = |nr: i64| verdict(&program, ARCH, nr as u32, libc::CLONE_NEWNS as u32);
        assert_eq!([ask(libc::SYS_mount), ask(libc::SYS_clone), ask(libc::SYS_bpf)], [ALLOW; 3]);
        assert_eq!(ask(libc::SYS_keyctl), REFUSE);
    }
}
