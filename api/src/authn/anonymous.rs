//! Whether those who say nothing are heard.

use berth_identity::oidc::Anonymous as Configured;

/// Where they are heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Anonymous {
    /// Everywhere: what they may do is for the roles to say.
    #[default]
    Everywhere,
    /// At these paths.
    At(Vec<String>),
    Nowhere,
}

impl Anonymous {
    /// What a configuration says; `otherwise` when it says nothing.
    pub(super) fn of(configured: Option<&Configured>, otherwise: Self) -> Self {
        match configured {
            None => otherwise,
            Some(Configured { enabled: false, .. }) => Self::Nowhere,
            Some(Configured { conditions, .. }) if conditions.is_empty() => Self::Everywhere,
            Some(Configured { conditions, .. }) => Self::At(conditions.iter().map(|c| c.path.clone()).collect()),
        }
    }
}

/// The rule of now: the file that says it can change.
#[derive(Debug, Default)]
pub(crate) struct Rule(arc_swap::ArcSwap<Anonymous>);

impl Rule {
    pub(super) fn set(&self, rule: Anonymous) {
        self.0.store(std::sync::Arc::new(rule));
    }

    pub(super) fn may_ask(&self, path: &str) -> bool {
        match &**self.0.load() {
            Anonymous::Everywhere => true,
            Anonymous::Nowhere => false,
            Anonymous::At(paths) => paths.iter().any(|allowed| allowed == path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_identity::oidc::AnonymousCondition;

    #[test]
    fn a_configuration_says_where_nobody_in_particular_is_heard() {
        let rule = Rule::default();
        let heard = |enabled: bool, paths: &[&str]| {
            let conditions = paths.iter().map(|path| AnonymousCondition { path: (*path).to_owned() }).collect();
            rule.set(Anonymous::of(Some(&Configured { enabled, conditions }), Anonymous::Everywhere));
            (rule.may_ask("/livez"), rule.may_ask("/api"))
        };
        assert_eq!(heard(true, &[]), (true, true));
        assert_eq!(heard(true, &["/livez"]), (true, false));
        assert_eq!(heard(false, &[]), (false, false));
        rule.set(Anonymous::of(None, Anonymous::Everywhere));
        assert!(rule.may_ask("/api"));
    }
}
