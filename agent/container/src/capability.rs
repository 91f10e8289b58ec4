//! Linux capabilities as sets of bits, and the default set of a container.

use std::fmt;

use crate::error::LaunchError;
use crate::spec::Capabilities;

/// Names by number, `CAP_` left out (linux/capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Docker's default without MKNOD: there is no device cgroup here, so MKNOD would open the host's disks.
const DEFAULT: [&str; 13] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "AUDIT_WRITE",
    "SETFCAP",
];

/// A set of capabilities; bit N is capability number N.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) u64);

impl Set {
    pub(crate) const ALL: Self = Self((1 << NAMES.len()) - 1);
    pub(crate) const KILL: Self = Self(1 << 5);
    pub(crate) const SYS_ADMIN: Self = Self(1 << 21);

    /// The set that a container starts with.
    pub(crate) fn of(changes: &Capabilities, privileged: bool) -> Self {
        if privileged {
            return Self::ALL;
        }
        let named = |names: &[String]| Self::parse_all(names).unwrap_or(Self(0)).0;
        let default = DEFAULT.iter().filter_map(|name| number(name)).fold(0, |set, n| set | 1 << n);
        Self(default & !named(&changes.drop) | named(&changes.add))
    }

    pub(crate) fn parse_all(names: &[String]) -> Result<Self, LaunchError> {
        let mut set = 0;
        for name in names {
            let upper = name.to_ascii_uppercase();
            let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
            set |= match (short, number(short)) {
                ("ALL", _) => Self::ALL.0,
                (_, Some(n)) => 1 << n,
                (_, None) => {
                    return Err(LaunchError::InvalidSpec { detail: format!("capability {name:?} is not known") });
                }
            };
        }
        Ok(Self(set))
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The numbers that are in the set, up to the highest that any kernel knows.
    pub(crate) fn numbers(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |n| self.0 & (1 << n) != 0)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.numbers().map(|n| NAMES.get(n as usize).unwrap_or(&"?"))).finish()
    }
}

fn number(name: &str) -> Option<u32> {
    NAMES.iter().position(|known| *known == name).and_then(|n| u32::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Set {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Set::of(&Capabilities { add: owned(add), drop: owned(drop) }, false)
    }

    #[test]
    fn the_default_set_has_neither_admin_nor_mknod() {
        let default = set(&[], &[]);
        assert_eq!(default.numbers().count(), 13);
        assert!(!default.contains(Set::SYS_ADMIN) && default.contains(Set::KILL));
        assert_eq!(default.0 & 1 << number("MKNOD").unwrap(), 0);
    }

    #[test]
    fn drop_all_then_add_leaves_only_what_was_added() {
        assert_eq!(
            format!("{:?}", set(&["cap_net_bind_service", "Kill"], &["ALL"])),
            r#"{"KILL", "NET_BIND_SERVICE"}"#
        );
    }
}
