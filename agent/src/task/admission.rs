//! The last guard of the node's resources: a task that does not fit beside the others is not started.
//!
//! Placement decides by the same sums and should never send one. But it may be wrong (a node that came back smaller,
//! a task that was bound by hand), and a node that runs out of memory kills whom the kernel likes.

use std::collections::BTreeMap;

use berth_types::{Container, Quantity, ResourceList, Task};

/// Why a task was refused.
pub(super) const OUT_OF_RESOURCES: &str = "OutOfResources";

type Amounts = BTreeMap<String, i64>;

/// Why `task` does not fit beside the `others` on a node that has `allocatable`; `None`: it does, or the amounts
/// are not known.
pub(super) fn refuse<'a>(
    task: &Task,
    others: impl IntoIterator<Item = &'a Task>,
    allocatable: &ResourceList,
) -> Option<String> {
    let mut used = Amounts::new();
    let mut count = 0;
    for other in others {
        count += 1;
        for (name, milli) in requests(other) {
            let sum = used.entry(name).or_default();
            *sum = sum.saturating_add(milli);
        }
    }
    let asked = requests(task);
    let have = amounts(allocatable);
    let short = asked.iter().find(|(name, milli)| {
        let room = have.get(*name).copied().unwrap_or(0).saturating_sub(used.get(*name).copied().unwrap_or(0));
        !have.is_empty() && **milli > 0 && **milli > room
    });
    short.map(|(name, milli)| {
        let all = have.get(name).copied().unwrap_or(0);
        let left = all.saturating_sub(used.get(name).copied().unwrap_or(0)).max(0);
        let (asks, left, all) = (words(name, *milli), words(name, left), words(name, all));
        format!(
            "it asks for {name} {asks}, and of the node's {all} only {left} are left beside the other {count} tasks"
        )
    })
}

/// What a task holds, in thousandths: side by side the sum, one after the other the largest; side-cars run beside both.
fn requests(task: &Task) -> Amounts {
    let spec = &task.spec.template;
    let is_side_car = |c: &&Container| c.restart_policy.as_deref() == Some("Always");
    let mut sum = Amounts::new();
    for container in spec.containers.iter().chain(spec.init_containers.iter().filter(is_side_car)) {
        for (name, milli) in of(container) {
            let all = sum.entry(name).or_default();
            *all = all.saturating_add(milli);
        }
    }
    for container in spec.init_containers.iter().filter(|c| !is_side_car(c)) {
        for (name, milli) in of(container) {
            let most = sum.entry(name).or_default();
            *most = milli.max(*most);
        }
    }
    sum
}

fn of(container: &Container) -> Amounts {
    let mut asked = container.resources.limits.clone();
    // A bound on processes keeps none of them free for others: only a request for pids is counted.
    asked.remove("pids");
    asked.extend(container.resources.requests.clone());
    amounts(&asked)
}

fn amounts(list: &ResourceList) -> Amounts {
    let one = |(name, quantity): (&String, &Quantity)| {
        let name = if name == "ephemeral-storage" { "disk" } else { name };
        Some((name.to_owned(), quantity.milli().ok()?))
    };
    list.iter().filter_map(one).collect()
}

fn words(name: &str, milli: i64) -> String {
    match name {
        "memory" | "disk" => Quantity::from_bytes(milli / 1_000).0,
        _ => Quantity::from_milli(milli).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(spec: serde_json::Value) -> Task {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": spec
        }))
        .unwrap()
    }

    fn asks(requests: serde_json::Value) -> Task {
        task(serde_json::json!({"containers": [{"name": "c", "resources": {"requests": requests}}]}))
    }

    fn node() -> ResourceList {
        [("cpu", "2"), ("memory", "1Gi")].map(|(name, amount)| (name.to_owned(), Quantity::from(amount))).into()
    }

    #[test]
    fn what_fits_exactly_is_taken_and_one_more_is_refused_in_words() {
        let half = asks(serde_json::json!({"cpu": "1", "memory": "512Mi"}));
        assert_eq!(refuse(&half, [&half], &node()), None);
        let said = refuse(&half, [&half, &half], &node()).unwrap();
        assert_eq!(said, "it asks for cpu 1, and of the node's 2 only 0 are left beside the other 2 tasks");
        let large = asks(serde_json::json!({"memory": "2Gi"}));
        assert!(refuse(&large, [], &node()).unwrap().contains("memory 2Gi, and of the node's 1Gi only 1Gi are left"));
    }

    #[test]
    fn what_the_node_does_not_have_is_refused_unless_none_is_asked() {
        assert!(refuse(&asks(serde_json::json!({"gpu": 1})), [], &node()).is_some());
        assert_eq!(refuse(&asks(serde_json::json!({"gpu": 0})), [], &node()), None);
        assert_eq!(refuse(&asks(serde_json::json!({"gpu": 1})), [], &ResourceList::new()), None);
    }

    #[test]
    fn init_containers_count_by_the_largest_and_side_cars_beside_all() {
        let with = |extra: serde_json::Value| {
            let cpu = |cpu: &str| serde_json::json!({"requests": {"cpu": cpu}});
            let mut side = serde_json::json!({"name": "side", "restartPolicy": "Always", "resources": cpu("500m")});
            side.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            task(serde_json::json!({
                "initContainers": [{"name": "init", "resources": cpu("1500m")}, side],
                "containers": [{"name": "c", "resources": cpu("1")}]
            }))
        };
        assert_eq!(requests(&with(serde_json::json!({})))["cpu"], 1_500);
        assert_eq!(
            requests(&with(serde_json::json!({"resources": {"limits": {"cpu": "1", "pids": 9}}})))["cpu"],
            2_000
        );
    }
}
