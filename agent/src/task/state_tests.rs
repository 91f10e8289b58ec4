//! The machine's stories, and what holds for every order of events.

use proptest::prelude::*;

use super::*;

fn at() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn container(name: &str, role: Role) -> ContainerPlan {
    ContainerPlan {
        name: name.to_owned(),
        role,
        has_startup_probe: false,
        has_readiness_probe: false,
        has_post_start: false,
        has_pre_stop: false,
    }
}

fn machine(roles: &[Role]) -> Machine {
    let containers = roles.iter().enumerate().map(|(i, role)| container(&format!("c{i}"), *role)).collect();
    Machine::new(Plan { containers, grace: Duration::from_secs(30) })
}

fn exit(code: i32) -> Exit {
    Exit { code, signal: None, reason: None, message: None, started_at: None, finished_at: None }
}

fn started(container: usize) -> Event {
    Event::Started { container, pid: 7, at: at(), adopted: None }
}

fn exited(container: usize, code: i32) -> Event {
    Event::Exited { container, exit: exit(code) }
}

#[test]
fn main_containers_start_side_by_side_and_all_must_run() {
    let mut m = machine(&[Role::Main, Role::Main]);
    assert_eq!(m.apply(Event::TakenUp), [Action::Start(0), Action::Start(1)]);
    m.apply(started(0));
    assert_eq!(m.stage(), &Stage::Starting);
    assert_eq!(m.apply(started(1)), [Action::Probe(1)]);
    assert_eq!(m.stage(), &Stage::Running);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let mut m = machine(&[Role::Init, Role::Init, Role::Main]);
    assert_eq!(m.apply(Event::TakenUp), [Action::Start(0)]);
    m.apply(started(0));
    assert_eq!(m.apply(exited(0, 0)), [Action::StopProbes(0), Action::Start(1)]);
    m.apply(started(1));
    assert_eq!(m.apply(exited(1, 0)), [Action::StopProbes(1), Action::Start(2)]);
}

#[test]
fn a_failed_init_container_ends_the_task() {
    let mut m = machine(&[Role::Init, Role::Main]);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    m.apply(exited(0, 3));
    assert!(
        matches!(m.stage(), Stage::Ended(Cause::Failed { container: 0, message, .. }) if message.contains("code 3"))
    );
    assert_eq!(m.containers()[1], ContainerStage::Skipped);
}

#[test]
fn a_side_car_is_stopped_when_the_main_containers_are_done() {
    let mut m = machine(&[Role::Sidecar, Role::Main]);
    assert_eq!(m.apply(Event::TakenUp), [Action::Start(0)]);
    assert_eq!(m.apply(started(0)), [Action::Probe(0), Action::Start(1)]);
    m.apply(started(1));
    assert_eq!(
        m.apply(exited(1, 0)),
        [Action::StopProbes(1), Action::ArmGrace(Duration::from_secs(30)), Action::StopProbes(0), Action::Terminate(0)]
    );
    m.apply(exited(0, 143));
    assert_eq!(m.stage(), &Stage::Ended(Cause::Completed));
}

#[test]
fn one_failure_stops_the_others() {
    let mut m = machine(&[Role::Main, Role::Main]);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    m.apply(started(1));
    let todo = m.apply(exited(0, 1));
    assert!(todo.contains(&Action::Terminate(1)));
    m.apply(exited(1, 143));
    assert!(matches!(m.stage(), Stage::Ended(Cause::Failed { container: 0, .. })));
    assert!(matches!(&m.containers()[1], ContainerStage::Ended(e) if e.reason.as_deref() == Some("Killed")));
}

#[test]
fn deletion_terminates_then_kills_then_cleans_up_then_releases() {
    let mut m = machine(&[Role::Main]);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    let grace = Duration::from_secs(5);
    let todo = m.apply(Event::DeletionRequested { grace });
    assert_eq!(todo, [Action::StopProbes(0), Action::Terminate(0), Action::ArmGrace(grace)]);
    assert_eq!(m.apply(Event::GraceOver), [Action::StopProbes(0), Action::Kill(0)]);
    assert_eq!(m.apply(exited(0, 137)), [Action::StopProbes(0), Action::CleanUp]);
    assert_eq!(m.stage(), &Stage::Ended(Cause::Deleted));
    assert_eq!(m.apply(Event::CleanedUp), [Action::Release]);
    assert!(m.is_released());
}

#[test]
fn deletion_of_an_ended_task_only_cleans_up() {
    let mut m = machine(&[Role::Main]);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    m.apply(exited(0, 0));
    assert_eq!(m.stage(), &Stage::Ended(Cause::Completed));
    assert_eq!(m.apply(Event::DeletionRequested { grace: Duration::ZERO }), [Action::CleanUp]);
    assert_eq!(m.stage(), &Stage::Ended(Cause::Completed));
}

#[test]
fn pre_stop_comes_before_the_signal() {
    let mut plan = machine(&[Role::Main]).plan;
    plan.containers[0].has_pre_stop = true;
    let mut m = Machine::new(plan);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    let todo = m.apply(Event::DeletionRequested { grace: Duration::from_secs(9) });
    assert!(todo.contains(&Action::PreStop(0)) && !todo.contains(&Action::Terminate(0)));
    assert_eq!(m.apply(Event::PreStopDone { container: 0 }), [Action::Terminate(0)]);
    assert_eq!(m.apply(Event::PreStopDone { container: 0 }), []);
}

#[test]
fn liveness_failure_names_itself() {
    let mut m = machine(&[Role::Main]);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    let reason = "LivenessProbeFailed".to_owned();
    m.apply(Event::Condemned { container: 0, reason, message: "3 in a row".to_owned() });
    m.apply(exited(0, 143));
    assert!(matches!(m.stage(), Stage::Ended(Cause::Failed { reason, .. }) if reason == "LivenessProbeFailed"));
    assert!(
        matches!(&m.containers()[0], ContainerStage::Ended(e) if e.reason.as_deref() == Some("LivenessProbeFailed"))
    );
}

#[test]
fn a_start_that_finishes_after_the_order_to_stop_is_terminated() {
    let mut m = machine(&[Role::Main]);
    m.apply(Event::TakenUp);
    let todo = m.apply(Event::DeletionRequested { grace: Duration::from_secs(1) });
    assert!(todo.contains(&Action::Abandon(0)));
    assert!(m.apply(started(0)).contains(&Action::Terminate(0)));
    m.apply(Event::GraceOver);
    assert!(m.apply(exited(0, 137)).contains(&Action::CleanUp));
}

#[test]
fn an_adopted_container_does_not_get_its_hook_again() {
    let mut plan = machine(&[Role::Main]).plan;
    plan.containers[0].has_post_start = true;
    let mut m = Machine::new(plan.clone());
    m.apply(Event::TakenUp);
    assert!(m.apply(started(0)).contains(&Action::PostStart(0)));
    let mut m = Machine::new(plan);
    m.apply(Event::TakenUp);
    let adopted = Event::Started { container: 0, pid: 7, at: at(), adopted: Some(Adopted::default()) };
    assert_eq!(m.apply(adopted), [Action::Probe(0)]);
}

#[test]
fn an_adopted_container_stays_ready_until_a_probe_says_otherwise() {
    let mut plan = machine(&[Role::Main]).plan;
    plan.containers[0].has_startup_probe = true;
    plan.containers[0].has_readiness_probe = true;
    let mut m = Machine::new(plan);
    m.apply(Event::TakenUp);
    let adopted = Some(Adopted { started: true, ready: true });
    m.apply(Event::Started { container: 0, pid: 7, at: at(), adopted });
    assert!(matches!(m.containers()[0], ContainerStage::Running { started: true, ready: true, .. }));
    m.apply(Event::Readiness { container: 0, ready: false });
    assert!(matches!(m.containers()[0], ContainerStage::Running { ready: false, .. }));
}

#[test]
fn readiness_waits_for_the_start_up_probe() {
    let mut plan = machine(&[Role::Main]).plan;
    plan.containers[0].has_startup_probe = true;
    plan.containers[0].has_readiness_probe = true;
    let mut m = Machine::new(plan);
    m.apply(Event::TakenUp);
    m.apply(started(0));
    let ready = |m: &Machine| matches!(m.containers()[0], ContainerStage::Running { ready: true, .. });
    m.apply(Event::Readiness { container: 0, ready: true });
    assert!(!ready(&m));
    m.apply(Event::StartupPassed { container: 0 });
    assert!(!ready(&m));
    m.apply(Event::Readiness { container: 0, ready: true });
    assert!(ready(&m));
}

fn any_event() -> impl Strategy<Value = Event> {
    let c = 0..4usize;
    prop_oneof![
        Just(Event::TakenUp),
        (c.clone(), any::<Option<bool>>()).prop_map(|(container, adopted)| {
            let adopted = adopted.map(|ready| Adopted { started: ready, ready });
            Event::Started { container, pid: 1, at: at(), adopted }
        }),
        c.clone().prop_map(|container| Event::Blocked { container, reason: "R".into(), message: "m".into() }),
        c.clone().prop_map(|container| Event::StartFailed { container, reason: "R".into(), message: "m".into() }),
        (c.clone(), 0..3i32).prop_map(|(container, code)| exited(container, code)),
        c.clone().prop_map(|container| Event::StartupPassed { container }),
        (c.clone(), any::<bool>()).prop_map(|(container, ready)| Event::Readiness { container, ready }),
        c.clone().prop_map(|container| Event::Condemned { container, reason: "R".into(), message: "m".into() }),
        c.prop_map(|container| Event::PreStopDone { container }),
        (0..60u64).prop_map(|s| Event::DeletionRequested { grace: Duration::from_secs(s) }),
        Just(Event::GraceOver),
        Just(Event::DeadlinePassed),
        Just(Event::CleanedUp),
    ]
}

fn any_machine() -> impl Strategy<Value = Machine> {
    let role = prop_oneof![Just(Role::Init), Just(Role::Sidecar)];
    let flags = proptest::collection::vec(any::<bool>(), 16);
    (proptest::collection::vec(role, 0..3), 1..3usize, flags).prop_map(|(mut roles, mains, flags)| {
        roles.extend(vec![Role::Main; mains]);
        let mut plan = machine(&roles).plan;
        for (container, flags) in plan.containers.iter_mut().zip(flags.chunks(4)) {
            container.has_startup_probe = flags.first() == Some(&true);
            container.has_readiness_probe = flags.get(1) == Some(&true);
            container.has_post_start = flags.get(2) == Some(&true);
            container.has_pre_stop = flags.get(3) == Some(&true);
        }
        Machine::new(plan)
    })
}

proptest! {
    #[test]
    fn what_has_ended_stays_ended_and_starts_nothing(mut m in any_machine(), events in proptest::collection::vec(any_event(), 0..60)) {
        let mut end = None;
        for event in events {
            let todo = m.apply(event);
            if let Some(end) = &end {
                prop_assert_eq!(m.stage(), end);
                prop_assert!(!todo.iter().any(|a| matches!(a, Action::Start(_) | Action::Probe(_) | Action::PostStart(_))));
            }
            if m.is_ended() {
                end = Some(m.stage().clone());
                prop_assert!(m.containers().iter().all(ContainerStage::is_over));
            }
        }
    }

    #[test]
    fn a_kill_always_ends(mut m in any_machine(), events in proptest::collection::vec(any_event(), 0..40)) {
        for event in events {
            m.apply(event);
        }
        m.apply(Event::TakenUp);
        m.apply(Event::DeletionRequested { grace: Duration::ZERO });
        m.apply(Event::GraceOver);
        for container in 0..m.containers().len() {
            m.apply(Event::StartFailed { container, reason: "Killed".into(), message: String::new() });
            m.apply(exited(container, 137));
        }
        m.apply(Event::CleanedUp);
        prop_assert!(m.is_ended() && m.is_released(), "{:?}", m);
    }

    #[test]
    fn no_container_is_told_to_start_twice(mut m in any_machine(), events in proptest::collection::vec(any_event(), 0..60)) {
        let mut starts = std::collections::BTreeSet::new();
        let mut releases = 0;
        for event in events {
            for action in m.apply(event) {
                match action {
                    Action::Start(index) => prop_assert!(starts.insert(index)),
                    Action::Release => releases += 1,
                    _ => {}
                }
            }
        }
        prop_assert!(releases <= 1);
    }

    #[test]
    fn a_repeated_event_orders_nothing_new_but_signals(mut m in any_machine(), events in proptest::collection::vec(any_event(), 0..40)) {
        for event in events {
            m.apply(event.clone());
            for action in m.apply(event) {
                let harmless = matches!(action, Action::Kill(_) | Action::StopProbes(_) | Action::ArmGrace(_) | Action::Abandon(_));
                // A second exit or start of the same container may let the next stage follow; it never repeats one.
                prop_assert!(harmless, "{:?}", action);
            }
        }
    }
}
