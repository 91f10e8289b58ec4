//! For any sequence of writes: a list and the events after it are the next list, through any
//! filter, and any past revision is what the events say it was.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put { namespace: u8, name: u8, app: u8, node: u8 },
    Delete { namespace: u8, name: u8 },
    Elsewhere,
}

fn any_step() -> impl Strategy<Value = Step> {
    let id = || (0_u8..2, 0_u8..6);
    prop_oneof![
        5 => (id(), 0_u8..2, 0_u8..3)
            .prop_map(|((namespace, name), app, node)| Step::Put { namespace, name, app, node }),
        2 => id().prop_map(|(namespace, name)| Step::Delete { namespace, name }),
        1 => Just(Step::Elsewhere),
    ]
}

type Listed = BTreeMap<(String, String), Revision>;

fn listed(snapshot: &Snapshot, filter: &Filter) -> Listed {
    let matching = snapshot.iter().filter(|entry| filter.matches(entry));
    matching.map(|entry| ((entry.namespace().to_owned(), entry.name().to_owned()), entry.revision())).collect()
}

fn replay(state: &mut Listed, items: &[WatchItem]) {
    for item in items {
        let entry = item.entry();
        let key = (entry.namespace().to_owned(), entry.name().to_owned());
        let known = state.contains_key(&key);
        match item.kind {
            EventType::Added => assert!(!known, "added twice: {}", brief(item)),
            EventType::Modified | EventType::Deleted => assert!(known, "never added: {}", brief(item)),
        }
        match item.kind {
            EventType::Deleted => state.remove(&key),
            EventType::Added | EventType::Modified => state.insert(key, item.revision()),
        };
    }
}

fn filters() -> Vec<Filter> {
    let both = Filter { namespace: Some("ns1".to_owned()), ..app("app1") };
    let name = Filter { name: Some("n3".to_owned()), ..Filter::default() };
    vec![Filter::default(), on_node("node1"), app("app0"), both, name]
}

async fn check(steps: Vec<Step>) {
    let store = store();
    let cache = cache(&store).await;
    let start = cache.revision();
    let mut states = BTreeMap::from([(start, listed(&cache.snapshot(), &Filter::default()))]);
    let mut joined: Vec<(Listed, Watcher)> = Vec::new();
    for (i, step) in steps.into_iter().enumerate() {
        if i % 7 == 0 {
            for filter in filters() {
                let (snapshot, watcher) = cache.snapshot_and_watch(filter.clone()).unwrap();
                joined.push((listed(&snapshot, &filter), watcher));
            }
        }
        match step {
            Step::Put { namespace, name, app, node } => {
                put(&store, &format!("ns{namespace}/n{name}"), &format!("app{app}"), &format!("node{node}")).await
            }
            Step::Delete { namespace, name } => delete(&store, &format!("ns{namespace}/n{name}")).await,
            Step::Elsewhere => put_elsewhere(&store).await,
        };
        // Only now and then, so that batches of several events come up, too.
        if i % 3 == 0 {
            let at = catch_up(&store, &cache).await;
            states.insert(at, listed(&cache.snapshot(), &Filter::default()));
        }
    }
    catch_up(&store, &cache).await;
    let end = cache.snapshot();
    for (mut state, mut watcher) in joined {
        replay(&mut state, &watcher.try_next_batch().unwrap());
        assert!(watcher.try_next_batch().unwrap().is_empty());
        assert_eq!(state, listed(&end, watcher.filter()), "{:?}", watcher.filter());
        assert_eq!(watcher.bookmark().unwrap(), Some(end.revision()));
    }
    for (at, state) in states {
        assert_eq!(listed(&cache.snapshot_at(at).unwrap(), &Filter::default()), state, "at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_list_and_its_events_are_the_next_list(steps in prop::collection::vec(any_step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps));
    }
}
