//! The rows that are served, by group, version and plural. Read by every request without a lock;
//! replaced as a whole when a definition comes or goes.

pub(crate) mod builtin;
pub(crate) mod core;
pub(crate) mod crd;
pub(crate) mod form;
pub(crate) mod resource;
pub(crate) mod reviews;
pub(crate) mod strategy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub(crate) use resource::{NameRule, Resource, ScalePaths, Storage};
pub(crate) use reviews::ReviewKind;

/// The rows of one moment.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Counts up with each change: what is derived from the rows is cached under this number.
    pub generation: u64,
    /// group → version → plural → row.
    by_group: HashMap<String, HashMap<String, BTreeMap<String, Arc<Resource>>>>,
    /// Rows in discovery's order.
    pub ordered: Vec<Arc<Resource>>,
}

impl Rows {
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.version(group, version)?.get(plural)
    }

    /// The rows of a group and version.
    pub(crate) fn version(&self, group: &str, version: &str) -> Option<&BTreeMap<String, Arc<Resource>>> {
        self.by_group.get(group)?.get(version)
    }

    /// A row of a kind in whichever version is served.
    pub(crate) fn any_version(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_group.get(group)?.values().find_map(|rows| rows.get(plural))
    }

    /// The versions of every group, the best first, groups in discovery's order.
    pub(crate) fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for row in &self.ordered {
            match groups.iter_mut().find(|(g, _)| *g == row.group) {
                Some((_, versions)) if versions.contains(&row.version) => {}
                Some((_, versions)) => versions.push(row.version.clone()),
                None => groups.push((row.group.clone(), vec![row.version.clone()])),
            }
        }
        for (_, versions) in &mut groups {
            versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
        }
        groups
    }

    fn build(generation: u64, mut rows: Vec<Arc<Resource>>) -> Self {
        rows.sort_by(|a, b| (group_rank(&a.group), &a.group).cmp(&(group_rank(&b.group), &b.group)));
        let mut by_group: HashMap<String, HashMap<String, BTreeMap<String, Arc<Resource>>>> = HashMap::new();
        for row in &rows {
            by_group
                .entry(row.group.clone())
                .or_default()
                .entry(row.version.clone())
                .or_default()
                .insert(row.plural.clone(), Arc::clone(row));
        }
        Self { generation, by_group, ordered: rows }
    }
}

/// Discovery's order of groups: ours first, so that `services` and `jobs` mean ours to kubectl; then Kubernetes'
/// own; then everybody's.
fn group_rank(group: &str) -> std::cmp::Reverse<i64> {
    std::cmp::Reverse(crate::aggregate::priority::of_group(group))
}

/// Kubernetes' order of versions: GA above beta above alpha, higher numbers first, other names last.
pub(crate) fn version_rank(version: &str) -> (u8, u32, u32, std::cmp::Reverse<String>) {
    let other = (0, 0, 0, std::cmp::Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(major) = rest[..digits].parse::<u32>() else { return other };
    let (level, minor) = match &rest[digits..] {
        "" => (3, Ok(0)),
        tail if tail.starts_with("beta") => (2, tail[4..].parse()),
        tail if tail.starts_with("alpha") => (1, tail[5..].parse()),
        _ => return other,
    };
    match minor {
        Ok(minor) => (level, major, minor, std::cmp::Reverse(String::new())),
        Err(_) => other,
    }
}

/// The served rows.
#[derive(Debug)]
pub(crate) struct Registry {
    rows: ArcSwap<Rows>,
    generations: AtomicU64,
    change: Mutex<()>,
    /// The newest generation, for those who wait for one.
    changed: tokio::sync::watch::Sender<u64>,
}

impl Registry {
    pub(crate) fn new(rows: Vec<Resource>) -> Self {
        let rows = rows.into_iter().map(Arc::new).collect();
        Self {
            rows: ArcSwap::from_pointee(Rows::build(1, rows)),
            generations: AtomicU64::new(1),
            change: Mutex::new(()),
            changed: tokio::sync::watch::Sender::new(1),
        }
    }

    /// The rows of this moment.
    pub(crate) fn rows(&self) -> arc_swap::Guard<Arc<Rows>> {
        self.rows.load()
    }

    pub(crate) fn snapshot(&self) -> Arc<Rows> {
        self.rows.load_full()
    }

    /// Tells of each new generation.
    pub(crate) fn follow(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Replaces all rows of a group and plural by these (none: they are gone).
    pub(crate) fn replace(&self, group: &str, plural: &str, new: Vec<Resource>) {
        let _one_at_a_time = self.change.lock();
        let mut rows: Vec<Arc<Resource>> = self
            .rows
            .load()
            .ordered
            .iter()
            .filter(|row| !(row.group == group && row.plural == plural))
            .cloned()
            .collect();
        rows.extend(new.into_iter().map(Arc::new));
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        self.rows.store(Arc::new(Rows::build(generation, rows)));
        self.changed.send_replace(generation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut versions = ["v1beta2", "v1", "v10", "foo1", "v2", "v1alpha1", "v2beta1"];
        versions.sort_by_key(|v| std::cmp::Reverse(version_rank(v)));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo1"]);
    }
}
