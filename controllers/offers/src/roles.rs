//! Roles: who holds how much, what is their fair share, and where their limits are.
//!
//! A role `eng.web` is a child of `eng`: what it holds counts against the limits of both. Shares are dominant
//! resource fairness: the largest part of any one resource that a role holds, divided by its weight.

use std::collections::BTreeMap;

use crate::resources::{Resources, show};

/// The role that everyone may use without asking, and that need not be declared.
pub(crate) const DEFAULT_ROLE: &str = "default";

/// What is declared of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Size of the fair share against others'; below 1 counts as 1.
    pub weight: i64,
    /// The most that its tasks may hold together. A resource that is missing has no limit.
    pub limits: Resources,
}

impl Default for Role {
    fn default() -> Self {
        Self { weight: 1, limits: Resources::default() }
    }
}

/// A share in billionths of the whole cluster, divided by the weight.
pub(crate) type Share = u128;
const SHARE_WHOLE: u128 = 1_000_000_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct RoleBook {
    declared: BTreeMap<String, Role>,
    /// Thousandths held, by role (children included) and resource. 128 bits: sums of 64-bit amounts stay exact.
    held: BTreeMap<String, BTreeMap<String, i128>>,
}

/// `eng.web.blue`, then `eng.web`, then `eng`.
fn lineage(role: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(role), |name| name.rsplit_once('.').map(|(parent, _)| parent))
}

impl RoleBook {
    pub(crate) fn declare(&mut self, name: String, role: Role) {
        self.declared.insert(name, role);
    }

    pub(crate) fn withdraw(&mut self, name: &str) {
        self.declared.remove(name);
    }

    pub(crate) fn charge(&mut self, role: &str, requests: &Resources, sign: i128) {
        for name in lineage(role) {
            if !self.held.contains_key(name) {
                self.held.insert(name.to_owned(), BTreeMap::new());
            }
            let held = self.held.get_mut(name).expect("inserted above if it was missing");
            for (resource, amount) in &requests.0 {
                match held.get_mut(resource) {
                    Some(sum) => *sum += sign * i128::from(amount.0.max(0)),
                    None => {
                        held.insert(resource.clone(), sign * i128::from(amount.0.max(0)));
                    }
                }
            }
        }
    }

    /// Thousandths held by a role and its children; resources with nothing held are left out.
    pub(crate) fn held(&self, role: &str) -> BTreeMap<String, i128> {
        let held = self.held.get(role).into_iter().flatten();
        held.filter(|(_, milli)| **milli != 0).map(|(name, milli)| (name.clone(), *milli)).collect()
    }

    /// What stands against charging this to the role, or `None`.
    pub(crate) fn obstacle(&self, role: &str, requests: &Resources) -> Option<String> {
        if role != DEFAULT_ROLE && !self.declared.contains_key(role) {
            return Some(format!("role {role:?} does not exist: create it, or name another one in spec.role"));
        }
        for name in lineage(role) {
            let Some(limits) = self.declared.get(name).map(|declared| &declared.limits) else { continue };
            for (resource, limit) in &limits.0 {
                let asked = i128::from(requests.amount(resource).0);
                let held = self.held.get(name).and_then(|held| held.get(resource)).copied().unwrap_or(0);
                if asked > 0 && held + asked > i128::from(limit.0) {
                    return Some(format!(
                        "role {name:?} would go over its limit of {resource}: {} held, {} asked, limit {}",
                        show(resource, held),
                        show(resource, asked),
                        show(resource, i128::from(limit.0)),
                    ));
                }
            }
        }
        None
    }

    /// Over which limits roles are, by name and resource. Only lowered limits and foreign bindings lead here.
    pub(crate) fn over_limit(&self) -> Vec<(String, String)> {
        let mut over = Vec::new();
        for (name, role) in &self.declared {
            for (resource, limit) in &role.limits.0 {
                let held = self.held.get(name).and_then(|held| held.get(resource)).copied().unwrap_or(0);
                if held > i128::from(limit.0) {
                    over.push((name.clone(), resource.clone()));
                }
            }
        }
        over
    }

    /// The weighted dominant share of a role, of the cluster's `totals` in thousandths.
    pub(crate) fn share(&self, role: &str, totals: &BTreeMap<String, i128>) -> Share {
        let weight = self.declared.get(role).map_or(1, |declared| declared.weight.max(1)).unsigned_abs();
        let Some(held) = self.held.get(role) else { return 0 };
        let part = |(resource, held): (&String, &i128)| {
            let total = totals.get(resource).copied().unwrap_or(0).max(0).unsigned_abs();
            let held = (*held).max(0).unsigned_abs();
            held.saturating_mul(SHARE_WHOLE).checked_div(total).unwrap_or(0)
        };
        held.iter().map(part).max().unwrap_or(0) / u128::from(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_tasks_count_against_its_parents_limit() {
        let mut roles = RoleBook::default();
        roles.declare("eng".into(), Role { weight: 1, limits: Resources::from_milli([("cpu", 1000)]) });
        roles.declare("eng.web".into(), Role::default());
        let half = Resources::from_milli([("cpu", 600)]);
        assert_eq!(roles.obstacle("eng.web", &half), None);
        roles.charge("eng.web", &half, 1);
        assert_eq!(
            roles.obstacle("eng.web", &half).unwrap(),
            "role \"eng\" would go over its limit of cpu: 600m held, 600m asked, limit 1"
        );
        roles.charge("eng.web", &half, -1);
        assert_eq!(roles.obstacle("eng.web", &half), None);
    }

    #[test]
    fn an_unknown_role_is_told_and_the_default_one_always_there() {
        let roles = RoleBook::default();
        assert!(roles.obstacle("eng", &Resources::default()).unwrap().contains("does not exist"));
        assert_eq!(roles.obstacle(DEFAULT_ROLE, &Resources::default()), None);
    }

    #[test]
    fn shares_are_dominant_and_weighted() {
        let mut roles = RoleBook::default();
        roles.declare("a".into(), Role { weight: 2, limits: Resources::default() });
        let totals = BTreeMap::from([("cpu".to_owned(), 10_000i128), ("memory".to_owned(), 100_000)]);
        roles.charge("a", &Resources::from_milli([("cpu", 4_000), ("memory", 10_000)]), 1);
        assert_eq!(roles.share("a", &totals), SHARE_WHOLE * 4 / 10 / 2);
        assert_eq!(roles.share("b", &totals), 0);
    }
}
