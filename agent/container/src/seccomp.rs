//! The default system call filter: what Docker's default profile refuses, as a small BPF program.
//!
//! Written instruction by instruction because it is short: the kernel runs the filter over every call number
//! when it is loaded, so a list of 400 allowed calls costs a tenth of a millisecond at each start.
//! Refused calls get EPERM. Calls newer than this list get ENOSYS, as programs then use an older one.

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

/// The filter for a container with these capabilities.
pub(crate) fn program(capabilities: Set) -> Vec<BpfInstruction> {
    let may_unshare = capabilities.contains(Set::SYS_ADMIN);
    let mut refused: Vec<u32> = refused_always()
        .into_iter()
        .chain(refused_without(capabilities))
        .filter_map(|call| u32::try_from(call).ok())
        .collect();
    refused.sort_unstable();
    refused.dedup();

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
    if !may_unshare {
        // Its flags are in memory that a filter cannot see: the C library falls back to clone.
        code.extend([jump_if_equal(libc::SYS_clone3 as u32, 0, 1), ret(UNKNOWN)]);
        code.extend([
            jump_if_equal(libc::SYS_clone as u32, 0, 4),
            load(DATA_ARG0),
            jump_if_any(CLONE_NEW, 0, 1),
            ret(REFUSE),
            ret(ALLOW),
        ]);
    }
    code.extend([
        jump_if_equal(libc::SYS_socket as u32, 0, 4),
        load(DATA_ARG0),
        jump_if_equal(AF_VSOCK, 0, 1),
        ret(REFUSE),
        ret(ALLOW),
    ]);
    for call in refused {
        code.extend([jump_if_equal(call, 0, 1), ret(REFUSE)]);
    }
    code.push(ret(ALLOW));
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
    fn a_capability_brings_its_calls_back() {
        let program = program(Set::SYS_ADMIN);
        let ask = |nr: i64| verdict(&program, ARCH, nr as u32, libc::CLONE_NEWNS as u32);
        assert_eq!([ask(libc::SYS_mount), ask(libc::SYS_clone), ask(libc::SYS_bpf)], [ALLOW; 3]);
        assert_eq!(ask(libc::SYS_keyctl), REFUSE);
    }
}
