//! What a namespace says while it cannot go: Kubernetes' conditions, word for word. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::NamespaceCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::content::Remains;

/// The conditions after what is left was counted; times move with the status only.
pub(super) fn conditions(old: &[NamespaceCondition], remains: &Remains, now: &Time) -> Vec<NamespaceCondition> {
    let Remains { discovery, failures, objects, finalizers } = remains;
    let objects_left = counted(objects, |name, count| format!("{name} has {count} resource instances"));
    let finalizers_left = counted(finalizers, |name, count| format!("{name} in {count} resource instances"));
    let failed =
        (!failures.is_empty()).then(|| format!("Failed to delete all resource types: {}", failures.join("; ")));
    [
        (
            "NamespaceDeletionDiscoveryFailure",
            discovery.as_ref().map(|why| ("DiscoveryFailed", format!("Discovery failed for some groups: {why}"))),
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        (
            "NamespaceDeletionContentFailure",
            failed.map(|text| ("ContentDeletionFailed", text)),
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        (
            "NamespaceContentRemaining",
            objects_left.map(|text| ("SomeResourcesRemain", format!("Some resources are remaining: {text}"))),
            ("ContentRemoved", "All content successfully removed"),
        ),
        (
            "NamespaceFinalizersRemaining",
            finalizers_left.map(|text| {
                ("SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {text}"))
            }),
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ]
    .into_iter()
    .map(|(type_, trouble, (good, good_text))| {
        let (status, reason, message) = match trouble {
            Some((reason, message)) => ("True", reason, message),
            None => ("False", good, good_text.to_owned()),
        };
        let before = old.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        NamespaceCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: before
                .map_or_else(|| Some(now.clone()), |before| before.last_transition_time.clone()),
        }
    })
    .collect()
}

fn counted(counts: &BTreeMap<String, usize>, show: fn(&str, usize) -> String) -> Option<String> {
    let parts: Vec<String> = counts.iter().map(|(name, count)| show(name, *count)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    #[test]
    fn what_is_left_is_said_in_kubernetes_words_and_times_stay() {
        let at = |second| Time(Timestamp::from_second(second).unwrap());
        let remains = Remains {
            objects: BTreeMap::from([("widgets.demo.example.com".to_owned(), 1)]),
            finalizers: BTreeMap::from([("ex.com/h".to_owned(), 1)]),
            ..Remains::default()
        };
        let first = conditions(&[], &remains, &at(1));
        let said: Vec<_> = first.iter().filter(|c| c.status == "True").map(|c| c.message.clone().unwrap()).collect();
        assert_eq!(
            said,
            [
                "Some resources are remaining: widgets.demo.example.com has 1 resource instances",
                "Some content in the namespace has finalizers remaining: ex.com/h in 1 resource instances",
            ]
        );
        assert_eq!(conditions(&first, &remains, &at(2)), first);
        let done = conditions(&first, &Remains::default(), &at(3));
        assert!(done.iter().all(|condition| condition.status == "False"));
    }
}
