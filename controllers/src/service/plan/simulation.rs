//! A world in which plans are carried out one after the other while tasks start, fail and end at random. Whatever
//! happens, the bounds hold after every step of ours, and once nothing fails any more nothing is left to plan.

use k8s_openapi::jiff::SignedDuration;
use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::tests::{at, observed, wanted};
use super::{Life, Observed, Plan, RevisionStep, RevisionView, Strategy, TaskView, Why, plan};

/// Steps within which a world without failures must settle: every task may take a few.
const SETTLE_MAX: usize = 400;

fn any_life() -> impl Generator<Value = Life> {
    prop_oneof![
        3 => Just(Life::Running { ready_since: Some(at(900)) }),
        1 => Just(Life::Running { ready_since: None }),
        2 => Just(Life::Pending),
        1 => Just(Life::Unknown),
        2 => (any::<bool>(), 0_i64..400).prop_map(|(failed, ran)| Life::Ended {
            failed, at: at(990), ran: SignedDuration::from_secs(ran)
        }),
    ]
}

fn any_task() -> impl Generator<Value = TaskView> {
    (0_usize..3, 0_u32..8, 1_u32..4, 0_u32..5, 0_i64..900, any::<bool>(), prop::bool::weighted(0.15), any_life())
        .prop_map(|(revision, instance, attempt, failures, created, bound, deleting, life)| TaskView {
            revision: ["a", "b", "c"][revision].to_owned(),
            instance,
            attempt,
            failures,
            created: at(created),
            bound: bound || !matches!(life, Life::Pending),
            deleting,
            life,
        })
}

fn any_observed() -> impl Generator<Value = Observed> {
    let strategy = prop_oneof![
        4 => (0_u32..3, 0_u32..3).prop_map(|(surge, unavailable)| Strategy::Rolling {
            max_surge: surge,
            max_unavailable: if surge == 0 { unavailable.max(1) } else { unavailable },
        }),
        1 => Just(Strategy::Recreate),
    ];
    let min_ready = prop_oneof![Just(0_i64), Just(3)];
    (0_u32..6, strategy, min_ready, prop::bool::weighted(0.1), 0_usize..3, prop::collection::vec(any_task(), 0..14))
        .prop_map(|(replicas, strategy, min_ready, paused, newest, mut tasks)| {
            // Names are unique.
            tasks.sort_by_key(|task| (task.revision.clone(), task.instance, task.attempt));
            tasks.dedup_by_key(|task| (task.revision.clone(), task.instance, task.attempt));
            let mut asked = wanted(replicas, 1, 0);
            asked.strategy = match strategy {
                Strategy::Rolling { max_surge, max_unavailable } => {
                    Strategy::Rolling { max_surge, max_unavailable: max_unavailable.min(replicas) }
                }
                Strategy::Recreate => Strategy::Recreate,
            };
            asked.min_ready = SignedDuration::from_secs(min_ready);
            asked.paused = paused;
            let mut seen = observed(asked, &["a", "b", "c"], tasks);
            for (i, revision) in seen.revisions.iter_mut().enumerate() {
                revision.is_wanted = i == newest;
            }
            seen.now = at(1000);
            seen
        })
}

/// Carries the plan out, as the API server and we would.
fn carry_out(world: &mut Observed, plan: &Plan) {
    match &plan.revision {
        RevisionStep::Keep { .. } => {}
        RevisionStep::Create { hash, number } => {
            world.revisions.push(RevisionView { hash: hash.clone(), number: *number, is_wanted: true });
        }
        RevisionStep::Renumber { hash, number } => {
            let revision = world.revisions.iter_mut().find(|revision| revision.hash == *hash).unwrap();
            revision.number = *number;
        }
    }
    let mut gone = vec![];
    for (place, _) in &plan.delete {
        let task = &mut world.tasks[*place];
        task.deleting = true;
        if matches!(task.life, Life::Ended { .. }) || !task.bound {
            gone.push(*place);
        }
    }
    gone.sort_unstable();
    gone.into_iter().rev().for_each(|place| drop(world.tasks.remove(place)));
    world.revisions.retain(|revision| !plan.forget.contains(&revision.hash));
    let created = world.now;
    world.tasks.extend(plan.create.iter().map(|new| TaskView {
        revision: new.revision.clone(),
        instance: new.instance,
        attempt: new.attempt,
        failures: new.failures,
        created,
        bound: false,
        deleting: false,
        life: Life::Pending,
    }));
}

/// One thing happens to one task: `luck` says how it fares.
fn happen(world: &mut Observed, pick: usize, luck: u8) {
    world.now += SignedDuration::from_secs(1);
    if world.tasks.is_empty() {
        return;
    }
    let place = pick % world.tasks.len();
    let now = world.now;
    let task = &mut world.tasks[place];
    let ended = Life::Ended { failed: true, at: now, ran: now.duration_since(task.created) };
    if task.deleting {
        // The agent is done with it; a given-up one's node is gone for good.
        world.tasks.remove(place);
        return;
    }
    task.life = match (task.life, luck) {
        (Life::Pending, _) if !task.bound => {
            task.bound = true;
            Life::Pending
        }
        (Life::Pending | Life::Running { .. }, 0) => ended,
        (Life::Running { .. }, 1) => Life::Running { ready_since: None },
        (Life::Running { .. }, 2) => Life::Unknown,
        (Life::Pending, _) => Life::Running { ready_since: None },
        (Life::Running { ready_since: None }, _) => Life::Running { ready_since: Some(now) },
        (Life::Unknown, 0..4) => Life::Running { ready_since: Some(now) },
        (Life::Unknown, _) => {
            // The node controller's patience ends.
            task.deleting = true;
            Life::Unknown
        }
        (life, _) => life,
    };
}

fn available(world: &Observed) -> u32 {
    u32::try_from(world.tasks.iter().filter(|task| task.is_available(world)).count()).unwrap()
}

fn processes(world: &Observed) -> usize {
    world.tasks.iter().filter(|task| task.is_live() || task.is_stopping()).count()
}

/// Plans, checks the bounds, and carries out.
fn step(world: &mut Observed) -> Plan {
    let plan = plan(world);
    let before = (available(world), processes(world));
    let most = world.wanted.most() as usize;
    let least = world.wanted.least_available();
    carry_out(world, &plan);
    let after = (available(world), processes(world));
    assert!(after.0 >= before.0.min(least), "available fell from {} to {}, least is {least}", before.0, after.0);
    let stopped = plan.delete.iter().filter(|(_, why)| *why != Why::Ended).count();
    assert!(after.1 <= most.max(before.1), "tasks rose from {} to {}, most is {most}", before.1, after.1);
    assert!(plan.create.is_empty() || before.1 + plan.create.len() <= most, "made tasks above the most");
    let twice = plan.delete.iter().map(|(place, _)| place).collect::<std::collections::HashSet<_>>().len();
    assert_eq!(twice, plan.delete.len(), "a task is deleted twice ({stopped} stopped)");
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn plans_applied_leave_nothing_to_plan(mut world in any_observed()) {
        // A second one may follow, because what has no node goes at once and leaves room; never a third.
        step(&mut world);
        step(&mut world);
        let again = plan(&world);
        prop_assert!(again.is_settled(), "left over: {again:?}");
    }

    #[test]
    fn bounds_hold_whatever_happens_and_all_is_well_in_the_end(
        mut world in any_observed(),
        fate in prop::collection::vec((any::<usize>(), 0_u8..12), 0..60),
    ) {
        for (pick, luck) in fate {
            step(&mut world);
            happen(&mut world, pick, luck);
        }
        // From now on nothing fails any more.
        let mut settled = false;
        for round in 0..SETTLE_MAX {
            let waits = !step(&mut world).waiting.is_empty();
            happen(&mut world, round, 9);
            let all_up = world.tasks.iter().all(|task| {
                !task.deleting && (!task.is_live() || task.is_available(&world))
            });
            // A paused rollout may have stopped with two tasks for an instance: they stay, and hold its surge.
            let is_held = world.wanted.paused && available(&world) >= world.wanted.replicas;
            settled = (all_up || is_held) && !waits && plan(&world).is_settled();
            if settled {
                break;
            }
        }
        prop_assert!(settled, "did not settle: {world:#?} {:#?}", plan(&world));
        let counts = plan(&world).counts;
        if world.wanted.paused {
            prop_assert!(counts.available >= world.wanted.replicas);
            return Ok(());
        }
        prop_assert_eq!(counts.available, world.wanted.replicas);
        prop_assert_eq!(counts.outdated, 0);
        let instances: std::collections::BTreeSet<u32> =
            world.tasks.iter().filter(|task| task.is_live()).map(|task| task.instance).collect();
        prop_assert_eq!(instances.len(), world.wanted.replicas as usize, "an instance is doubled");
    }
}
