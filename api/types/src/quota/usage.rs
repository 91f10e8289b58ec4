//! What an object counts for in its namespace's quotas. The controller that recounts uses the same names.

use serde_json::Value;

use super::amounts::{Amount, Amounts, read_all};

/// Resources of containers that a quota may bound without a prefix, which then means requests.
const BARE: &[&str] = &["cpu", "memory", "ephemeral-storage"];
/// Where a quota bounds one of these, every container must say how much of it it wants.
const DEMANDED: &[&str] = &["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
/// Old names for counts of core kinds. Berth's Services and Tasks answer to the names of what they stand for.
const OLD_NAMES: &[(&str, &str, &str)] = &[
    ("", "configmaps", "configmaps"),
    ("", "secrets", "secrets"),
    ("", "resourcequotas", "resourcequotas"),
    ("", "replicationcontrollers", "replicationcontrollers"),
    ("", "services", "services"),
    ("berth.dev", "services", "services"),
    ("berth.dev", "tasks", "pods"),
    ("berth.dev", "volumes", "persistentvolumeclaims"),
];

/// A kind of objects, as quotas tell kinds apart.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    /// The plural name.
    pub plural: &'a str,
}

impl Counted<'_> {
    /// Whether it is what takes resources of nodes.
    pub fn is_task(self) -> bool {
        self.group == crate::GROUP && self.plural == "tasks"
    }

    /// Whether it is storage.
    pub fn is_volume(self) -> bool {
        self.group == crate::GROUP && self.plural == "volumes"
    }

    fn is_ignored(self) -> bool {
        self.plural == "events" && matches!(self.group, "" | "events.k8s.io")
    }

    /// `count/widgets.demo.example.com`, `count/secrets`.
    pub fn count_name(self) -> String {
        if self.group.is_empty() {
            format!("count/{}", self.plural)
        } else {
            format!("count/{}.{}", self.plural, self.group)
        }
    }

    fn old_name(self) -> Option<&'static str> {
        let found = OLD_NAMES.iter().find(|(group, plural, _)| *group == self.group && *plural == self.plural);
        found.map(|(_, _, name)| *name)
    }

    /// Whether a quota's bound speaks of this kind.
    pub fn is_bound_by(self, resource: &str) -> bool {
        if self.is_ignored() {
            return false;
        }
        if resource == self.count_name() || self.old_name() == Some(resource) {
            return true;
        }
        let of_requests = resource.starts_with("requests.") || resource.starts_with("limits.");
        self.is_task() && (BARE.contains(&resource) || of_requests && resource != "requests.storage")
            || self.is_volume() && resource == "requests.storage"
    }

    /// What one object counts for.
    pub fn usage(self, object: &Value) -> Amounts {
        let mut usage = Amounts::new();
        usage.insert(self.count_name(), Amount::count(1));
        if self.is_volume()
            && let Some(size) = Amount::read(&object["spec"]["size"])
        {
            usage.insert("requests.storage".to_owned(), size);
        }
        if self.is_task() {
            // An ended task uses nothing, though it is there.
            if matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Killed")) {
                return usage;
            }
            add_resources(&object["spec"], &mut usage);
        }
        if let Some(name) = self.old_name() {
            usage.insert(name.to_owned(), Amount::count(1));
        }
        usage
    }

    /// What a quota demands that containers say, and they do not: `requests.cpu for: a,b`.
    pub fn missing(self, bound: &[&String], object: &Value) -> Option<String> {
        if !self.is_task() {
            return None;
        }
        let mut parts = Vec::new();
        for resource in bound.iter().filter(|resource| DEMANDED.contains(&resource.as_str())) {
            let mut silent: Vec<&str> =
                containers(&object["spec"]).filter(|c| !says(c, resource)).filter_map(|c| c["name"].as_str()).collect();
            silent.sort_unstable();
            if !silent.is_empty() {
                parts.push(format!("{resource} for: {}", silent.join(",")));
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().flat_map(|kind| spec[kind].as_array().into_iter().flatten())
}

fn says(container: &Value, resource: &str) -> bool {
    let resources = &container["resources"];
    match resource.split_once('.') {
        Some(("limits", name)) => !resources["limits"][name].is_null(),
        Some((_, name)) => !resources["requests"][name].is_null() || !resources["limits"][name].is_null(),
        None => !resources["requests"][resource].is_null() || !resources["limits"][resource].is_null(),
    }
}

/// What the containers of a task ask for together. Init containers run alone, so only the largest of them counts
/// where it is more than the sum of the others; those that go on running count with the others.
fn add_resources(spec: &Value, usage: &mut Amounts) {
    for (prefix, of) in [("requests", requests as fn(&Value) -> Amounts), ("limits", limits)] {
        let mut sum = Amounts::new();
        for container in spec["containers"].as_array().into_iter().flatten() {
            add(&mut sum, &of(container));
        }
        let mut largest = Amounts::new();
        let mut beside = Amounts::new();
        for container in spec["initContainers"].as_array().into_iter().flatten() {
            let amounts = of(container);
            if container["restartPolicy"] == "Always" {
                add(&mut sum, &amounts);
                add(&mut beside, &amounts);
                raise(&mut largest, &beside);
            } else {
                let mut now = beside.clone();
                add(&mut now, &amounts);
                raise(&mut largest, &now);
            }
        }
        raise(&mut sum, &largest);
        for (name, amount) in sum {
            if prefix == "requests" && BARE.contains(&name.as_str()) {
                usage.insert(name.clone(), amount);
            }
            usage.insert(format!("{prefix}.{name}"), amount);
        }
    }
}

/// Where a request is missing, the limit counts: so does placement.
fn requests(container: &Value) -> Amounts {
    let mut amounts = limits(container);
    amounts.extend(read_all(&container["resources"]["requests"]));
    amounts
}

fn limits(container: &Value) -> Amounts {
    read_all(&container["resources"]["limits"])
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let all = sum.entry(name.clone()).or_default();
        *all = all.plus(*amount);
    }
}

fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let now = to.entry(name.clone()).or_default();
        if now.milli < amount.milli {
            *now = *amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::amounts::told;
    use super::*;

    const TASKS: Counted<'static> = Counted { group: "berth.dev", plural: "tasks" };

    #[test]
    fn a_task_counts_for_itself_and_for_what_its_containers_ask_for() {
        let task = json!({"spec": {
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "64Mi"}}},
                {"name": "b", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}}],
            "initContainers": [
                {"name": "i", "resources": {"requests": {"cpu": "2"}}},
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}],
        }});
        assert_eq!(
            told(&TASKS.usage(&task)),
            "count/tasks.berth.dev=1,cpu=2,limits.memory=64Mi,memory=128Mi,pods=1,requests.cpu=2,requests.memory=128Mi"
        );
        let ended = json!({"spec": task["spec"], "status": {"phase": "Failed"}});
        assert_eq!(told(&TASKS.usage(&ended)), "count/tasks.berth.dev=1");
    }

    #[test]
    fn a_quota_on_cpu_demands_that_containers_say_how_much() {
        let task = json!({"spec": {"containers": [{"name": "b"}, {"name": "a"},
            {"name": "c", "resources": {"limits": {"cpu": 1}}}]}});
        let bound = ["limits.cpu".to_owned(), "requests.cpu".to_owned(), "pods".to_owned()];
        let bound: Vec<&String> = bound.iter().collect();
        assert_eq!(TASKS.missing(&bound, &task).as_deref(), Some("limits.cpu for: a,b; requests.cpu for: a,b"));
    }

    #[test]
    fn bounds_speak_of_kinds_by_their_names() {
        let counted = |group, plural| Counted { group, plural };
        assert!(counted("g.io", "widgets").is_bound_by("count/widgets.g.io"));
        assert!(!counted("g.io", "widgets").is_bound_by("count/widgets"));
        assert!(counted("", "secrets").is_bound_by("secrets") && counted("", "secrets").is_bound_by("count/secrets"));
        assert!(TASKS.is_bound_by("requests.example.com/gpu") && !TASKS.is_bound_by("requests.storage"));
        assert!(!counted("", "events").is_bound_by("count/events"));
    }
}
