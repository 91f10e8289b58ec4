//! Security levels as namespaces name them: `pod-security.kubernetes.io/enforce: restricted` and its kin.

use std::fmt;

use berth_schema::FieldError;
use serde_json::{Value, json};

const PREFIX: &str = "pod-security.kubernetes.io/";
/// The newest version of the standards that has rules of its own; what names a later one means this.
const NEWEST_MINOR: u32 = 35;

/// How much a task may ask of its node, from everything to next to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A version of the standards: those of one Kubernetes release, or the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    Minor(u32),
    Latest,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let digits = text.strip_prefix("v1.")?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        digits.parse().ok().filter(|_| plain).map(Self::Minor)
    }

    /// The release whose rules apply.
    pub(crate) fn minor(self) -> u32 {
        match self {
            Self::Minor(minor) => minor.min(NEWEST_MINOR),
            Self::Latest => NEWEST_MINOR,
        }
    }
}

/// Displayed as `restricted:latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LevelVersion {
    pub level: Level,
    pub version: Version,
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Version::Latest => write!(f, "{}:latest", self.level.as_str()),
            Version::Minor(minor) => write!(f, "{}:v1.{minor}", self.level.as_str()),
        }
    }
}

const OPEN: LevelVersion = LevelVersion { level: Level::Privileged, version: Version::Latest };

/// What a namespace asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub enforce: LevelVersion,
    pub audit: LevelVersion,
    pub warn: LevelVersion,
}

impl Policy {
    /// Nothing is refused, warned of or noted.
    pub(crate) const OPEN: Self = Self { enforce: OPEN, audit: OPEN, warn: OPEN };

    /// Reads the labels of a namespace. Labels that cannot be read enforce the strictest level, and are errors where
    /// they are written.
    pub(crate) fn of(labels: &Value) -> (Self, Vec<FieldError>) {
        let mut policy = Self::OPEN;
        let mut errors = Vec::new();
        let Some(labels) = labels.as_object().filter(|labels| labels.keys().any(|key| key.starts_with(PREFIX))) else {
            return (policy, errors);
        };
        let label = |name: &str| labels.get(&format!("{PREFIX}{name}")).and_then(Value::as_str);
        let mut wrong = |name: &str, value: &str, message: &str| {
            errors.push(FieldError::invalid(format!("metadata.labels[{PREFIX}{name}]"), &json!(value), message));
        };
        let mut level = |name: &str, to: &mut Level, otherwise: Level| {
            let given = label(name)?;
            let parsed = Level::parse(given);
            if parsed.is_none() {
                wrong(name, given, "must be one of privileged, baseline, restricted");
            }
            *to = parsed.unwrap_or(otherwise);
            parsed
        };
        let enforced = level("enforce", &mut policy.enforce.level, Level::Restricted);
        level("audit", &mut policy.audit.level, Level::Privileged);
        level("warn", &mut policy.warn.level, Level::Privileged);
        for (name, to) in [
            ("enforce-version", &mut policy.enforce.version),
            ("audit-version", &mut policy.audit.version),
            ("warn-version", &mut policy.warn.version),
        ] {
            let Some(given) = label(name) else { continue };
            match Version::parse(given) {
                Some(version) => *to = version,
                None => wrong(name, given, "must be \"latest\" or \"v1.x\""),
            }
        }
        // Who enforces a level wants to hear of it where templates are written, too.
        if label("warn").is_none() && enforced.is_some_and(|level| level > policy.warn.level) {
            policy.warn.level = policy.enforce.level;
            if label("warn-version").is_none() {
                policy.warn.version = policy.enforce.version;
            }
        }
        (policy, errors)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.enforce.level == Level::Privileged && !self.is_heard()
    }

    /// Whether violations are warned of or noted.
    pub(crate) fn is_heard(&self) -> bool {
        self.audit.level != Level::Privileged || self.warn.level != Level::Privileged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_make_a_policy() {
        let policy = |labels: Value| Policy::of(&labels).0;
        assert_eq!(policy(json!({"app": "x"})), Policy::OPEN);
        let strict = policy(json!({"pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "v1.24"}));
        assert_eq!(strict.enforce.to_string(), "restricted:v1.24");
        assert_eq!((strict.warn, strict.audit), (strict.enforce, OPEN));
        let quiet = policy(json!({"pod-security.kubernetes.io/enforce": "baseline",
            "pod-security.kubernetes.io/warn": "privileged"}));
        assert_eq!((quiet.enforce.level, quiet.warn.level), (Level::Baseline, Level::Privileged));
    }

    #[test]
    fn labels_that_cannot_be_read_enforce_the_strictest_level() {
        let labels = json!({"pod-security.kubernetes.io/enforce": "strict",
            "pod-security.kubernetes.io/audit": "x", "pod-security.kubernetes.io/warn-version": "v1.07"});
        let (policy, errors) = Policy::of(&labels);
        assert_eq!((policy.enforce.level, policy.audit.level), (Level::Restricted, Level::Privileged));
        let texts: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.detail)).collect();
        assert_eq!(
            texts,
            [
                r#"metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted"#,
                r#"metadata.labels[pod-security.kubernetes.io/audit]: Invalid value: "x": must be one of privileged, baseline, restricted"#,
                r#"metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "v1.07": must be "latest" or "v1.x""#,
            ]
        );
    }
}
