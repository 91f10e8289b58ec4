//! Options of a server that keeps a record of requests, and bounds how many there are at once.

use std::path::PathBuf;

use berth_api::{AuditConfig, AuditLog, AuditWebhook};

use crate::failure::{Failure, Outcome};

/// What `apiserver` and `up` have in common, under the names that kube-apiserver has for it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LimitArgs {
    /// Which requests are recorded, and how much of them [default: all for objects, but no object itself]
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    audit_policy_file: Option<PathBuf>,
    /// Where requests are recorded, a line of JSON each; - is the standard output
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    audit_log_path: Option<PathBuf>,
    /// Days after which a rotated file is removed; 0 keeps it
    #[arg(long, value_name = "DAYS", default_value_t = 30, help_heading = "Audit")]
    audit_log_maxage: u32,
    /// Rotated files that are kept; 0 keeps all
    #[arg(long, value_name = "COUNT", default_value_t = 10, help_heading = "Audit")]
    audit_log_maxbackup: u32,
    /// MiB after which the file is rotated
    #[arg(long, value_name = "MIB", default_value_t = 100, help_heading = "Audit")]
    audit_log_maxsize: u32,
    /// A kubeconfig of the server that events are posted to
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    audit_webhook_config_file: Option<PathBuf>,
    /// Reads that are worked on at the same time; with the writes these are the seats of all priority levels
    #[arg(long, value_name = "COUNT", default_value_t = 400, help_heading = "Limits")]
    max_requests_inflight: u32,
    /// Writes that are worked on at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 200, help_heading = "Limits")]
    max_mutating_requests_inflight: u32,
}

impl LimitArgs {
    /// What is recorded; `None` is nothing.
    ///
    /// # Errors
    /// When there is a policy but nowhere to write to.
    pub(crate) fn audit(&self) -> Outcome<Option<AuditConfig>> {
        let log = self.audit_log_path.as_ref().map(|path| AuditLog {
            max_age_days: self.audit_log_maxage,
            max_backups: self.audit_log_maxbackup,
            max_size_mib: self.audit_log_maxsize,
            ..AuditLog::new(path)
        });
        let webhook = self.audit_webhook_config_file.as_ref().map(AuditWebhook::new);
        if log.is_none() && webhook.is_none() {
            return match &self.audit_policy_file {
                None => Ok(None),
                Some(_) => Err(Failure::usage("--audit-policy-file says what to record, but nothing says where")
                    .hint("add --audit-log-path FILE or --audit-webhook-config-file FILE")),
            };
        }
        Ok(Some(AuditConfig { policy_file: self.audit_policy_file.clone(), log, webhook }))
    }

    /// Requests that are worked on at the same time.
    pub(crate) fn in_flight(&self) -> u32 {
        self.max_requests_inflight.saturating_add(self.max_mutating_requests_inflight)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn parsed(line: &[&str]) -> LimitArgs {
        Line::try_parse_from([&["x"], line].concat()).unwrap().limits
    }

    #[test]
    fn a_record_needs_a_place() {
        assert_eq!(parsed(&[]).audit().unwrap(), None);
        let failure = parsed(&["--audit-policy-file", "p"]).audit().unwrap_err();
        assert!(failure.hints[0].contains("--audit-log-path"));
        let audit = parsed(&["--audit-log-path", "-", "--audit-log-maxsize", "5"]).audit().unwrap().unwrap();
        assert_eq!(audit.log, Some(AuditLog { max_size_mib: 5, ..AuditLog::new("-") }));
    }

    #[test]
    fn reads_and_writes_share_their_seats() {
        assert_eq!(parsed(&[]).in_flight(), 600);
        assert_eq!(parsed(&["--max-requests-inflight", "10", "--max-mutating-requests-inflight=5"]).in_flight(), 15);
    }
}
