//! One situation each: what was seen, and the steps that follow.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::*;

const NOW: i64 = 1_000_000;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn wanted(replicas: u32, max_surge: u32, max_unavailable: u32) -> Wanted {
    Wanted {
        replicas,
        strategy: Strategy::Rolling { max_surge, max_unavailable },
        min_ready: SignedDuration::ZERO,
        history: 2,
        backoff: Policy {
            first: SignedDuration::from_secs(1),
            factor_percent: 200,
            max: SignedDuration::from_secs(300),
            reset_after: SignedDuration::from_secs(600),
        },
        paused: false,
    }
}

/// A service whose revisions are these, the last of them wanted.
pub(super) fn observed(wanted: Wanted, revisions: &[&str], tasks: Vec<TaskView>) -> Observed {
    let last = revisions.len().saturating_sub(1);
    let view = |(i, hash): (usize, &&str)| RevisionView {
        hash: (*hash).to_owned(),
        number: i64::try_from(i).unwrap() + 1,
        is_wanted: i == last,
    };
    let revisions = revisions.iter().enumerate().map(view).collect();
    Observed { now: at(NOW), wanted, revisions, fresh_hash: "fresh".to_owned(), tasks, missing: vec![] }
}

fn task(revision: &str, instance: u32, life: Life) -> TaskView {
    TaskView {
        revision: revision.to_owned(),
        instance,
        attempt: 1,
        failures: 0,
        created: at(NOW - 100 + i64::from(instance)),
        bound: true,
        deleting: false,
        life,
    }
}

fn ready(revision: &str, instance: u32) -> TaskView {
    task(revision, instance, Life::Running { ready_since: Some(at(NOW - 50)) })
}

fn starting(revision: &str, instance: u32) -> TaskView {
    task(revision, instance, Life::Pending)
}

fn failed(revision: &str, instance: u32, failures: u32, ago: i64) -> TaskView {
    let life = Life::Ended { failed: true, at: at(NOW - ago), ran: SignedDuration::from_secs(1) };
    TaskView { failures, ..task(revision, instance, life) }
}

fn stopping(task: TaskView) -> TaskView {
    TaskView { deleting: true, ..task }
}

/// The plan in a line: `+a0` makes, `-a1` stops, `x` prunes, `~2` waits.
fn steps(observed: &Observed) -> String {
    let plan = plan(observed);
    let mut words: Vec<String> = plan.create.iter().map(|new| format!("+{}{}", new.revision, new.instance)).collect();
    words.extend(plan.delete.iter().map(|(place, why)| {
        let task = &observed.tasks[*place];
        let sign = if *why == Why::Ended { "x" } else { "-" };
        format!("{sign}{}{}", task.revision, task.instance)
    }));
    words.extend(plan.waiting.iter().map(|waiting| format!("~{}", waiting.instance)));
    words.join(" ")
}

#[test]
fn a_new_service_gets_a_revision_and_all_its_tasks() {
    let seen = observed(wanted(3, 1, 0), &[], vec![]);
    assert_eq!(plan(&seen).revision, RevisionStep::Create { hash: "fresh".to_owned(), number: 1 });
    assert_eq!(steps(&seen), "+fresh0 +fresh1 +fresh2");
}

#[test]
fn nothing_is_started_before_what_it_depends_on_is_ready() {
    let mut seen = observed(wanted(3, 1, 0), &["a"], vec![]);
    seen.missing = vec!["db".to_owned()];
    assert_eq!(steps(&seen), "");
    seen.tasks = vec![ready("a", 0)];
    assert_eq!(steps(&seen), "+a1 +a2");
}

#[test]
fn a_settled_service_needs_nothing() {
    let seen = observed(wanted(2, 1, 0), &["a"], vec![ready("a", 0), ready("a", 1)]);
    assert!(plan(&seen).is_settled());
    assert_eq!(plan(&seen).next, None);
}

#[test]
fn the_first_failure_is_made_good_at_once_and_the_next_ones_wait() {
    let tasks = |failures, ago| vec![ready("a", 0), failed("a", 1, failures, ago)];
    assert_eq!(steps(&observed(wanted(2, 1, 0), &["a"], tasks(0, 0))), "+a1");
    let second = observed(wanted(2, 1, 0), &["a"], tasks(1, 0));
    assert_eq!(steps(&second), "~1");
    assert_eq!(plan(&second).next, Some(at(NOW + 1)));
    assert_eq!(plan(&observed(wanted(2, 1, 0), &["a"], tasks(4, 0))).next, Some(at(NOW + 8)));
    assert_eq!(plan(&observed(wanted(2, 1, 0), &["a"], tasks(60, 0))).next, Some(at(NOW + 300)));
    let due = plan(&observed(wanted(2, 1, 0), &["a"], tasks(1, 1)));
    assert_eq!(due.create, [NewTask { instance: 1, revision: "a".to_owned(), attempt: 2, failures: 2 }]);
}

#[test]
fn a_task_that_ran_long_wipes_the_failures_before_it() {
    let life = Life::Ended { failed: true, at: at(NOW), ran: SignedDuration::from_secs(600) };
    let old = TaskView { failures: 9, ..task("a", 0, life) };
    assert_eq!(plan(&observed(wanted(1, 1, 0), &["a"], vec![old])).create[0].failures, 1);
}

#[test]
fn a_new_revision_does_not_inherit_the_wait() {
    assert_eq!(steps(&observed(wanted(1, 1, 0), &["a", "b"], vec![failed("a", 0, 7, 0)])), "+b0");
}

#[test]
fn scaling_up_takes_the_lowest_free_indexes() {
    assert_eq!(steps(&observed(wanted(4, 1, 0), &["a"], vec![ready("a", 0), ready("a", 2)])), "+a1 +a3");
}

#[test]
fn surplus_stops_what_is_not_ready_then_the_newest() {
    let tasks = vec![starting("a", 0), ready("a", 1), ready("a", 2), ready("a", 3)];
    assert_eq!(steps(&observed(wanted(2, 1, 0), &["a"], tasks)), "-a0 -a3");
}

#[test]
fn a_rollout_without_slack_makes_one_more_and_then_stops_one() {
    let old = || vec![ready("a", 0), ready("a", 1), ready("a", 2)];
    let and = |more: TaskView| old().into_iter().chain([more]).collect::<Vec<_>>();
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b"], old())), "+b0");
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b"], and(starting("b", 0)))), "");
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b"], and(ready("b", 0)))), "-a0");
}

#[test]
fn a_rollout_without_surge_stops_one_and_waits_for_its_end() {
    let wanted = || wanted(3, 0, 1);
    assert_eq!(steps(&observed(wanted(), &["a", "b"], vec![ready("a", 0), ready("a", 1), ready("a", 2)])), "-a0");
    let one_stops = vec![stopping(ready("a", 0)), ready("a", 1), ready("a", 2)];
    assert_eq!(steps(&observed(wanted(), &["a", "b"], one_stops)), "");
    assert_eq!(steps(&observed(wanted(), &["a", "b"], vec![ready("a", 1), ready("a", 2)])), "+b0");
}

#[test]
fn a_crash_loop_of_the_new_revision_keeps_its_place_and_goes_no_further() {
    let tasks = vec![ready("a", 0), ready("a", 1), ready("a", 2), failed("b", 0, 3, 0)];
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b"], tasks.clone())), "~0");
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b", "c"], tasks)), "+c0");
}

#[test]
fn while_the_new_revision_does_not_work_the_old_one_replaces_its_own() {
    let tasks = vec![ready("a", 0), ready("a", 1), failed("a", 2, 0, 0), failed("b", 0, 3, 0)];
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b"], tasks)), "+a2 ~0");
    let works = vec![ready("b", 0), ready("a", 1), failed("a", 2, 0, 0)];
    assert_eq!(steps(&observed(wanted(3, 1, 0), &["a", "b"], works)), "+b2 +b1");
}

#[test]
fn a_first_version_that_cannot_be_placed_does_not_hold_up_its_mending() {
    let unplaced = |instance| TaskView { bound: false, ..starting("a", instance) };
    let tasks = vec![unplaced(0), unplaced(1)];
    assert_eq!(steps(&observed(wanted(2, 1, 0), &["a", "b"], tasks)), "+b0 -a0 -a1");
}

#[test]
fn recreate_starts_nothing_before_all_old_ones_have_stopped() {
    let wanted = || Wanted { strategy: Strategy::Recreate, ..wanted(2, 0, 0) };
    assert_eq!(steps(&observed(wanted(), &["a", "b"], vec![ready("a", 0), ready("a", 1)])), "-a0 -a1");
    assert_eq!(steps(&observed(wanted(), &["a", "b"], vec![stopping(ready("a", 0))])), "");
    assert_eq!(steps(&observed(wanted(), &["a", "b"], vec![])), "+b0 +b1");
}

#[test]
fn a_paused_service_replaces_but_does_not_roll_out() {
    let paused = || Wanted { paused: true, ..wanted(2, 1, 0) };
    let mut seen = observed(paused(), &["a"], vec![ready("a", 0)]);
    seen.revisions[0].is_wanted = false;
    assert_eq!(plan(&seen).revision, RevisionStep::Keep { hash: "a".to_owned() });
    assert_eq!(steps(&seen), "+a1");
    let half = vec![ready("b", 0), failed("a", 1, 0, 0)];
    assert_eq!(steps(&observed(paused(), &["a", "b"], half)), "+a1");
    assert_eq!(steps(&observed(paused(), &["a", "b"], vec![ready("b", 0), ready("a", 1)])), "");
}

#[test]
fn an_undo_gives_the_old_revision_the_newest_number() {
    let mut seen = observed(wanted(1, 1, 0), &["a", "b"], vec![ready("b", 0)]);
    seen.revisions[0].is_wanted = true;
    seen.revisions[1].is_wanted = false;
    assert_eq!(plan(&seen).revision, RevisionStep::Renumber { hash: "a".to_owned(), number: 3 });
    assert_eq!(steps(&seen), "+a0");
}

#[test]
fn a_task_on_a_silent_node_is_replaced_when_it_is_given_up() {
    let silent = || task("a", 0, Life::Unknown);
    assert_eq!(steps(&observed(wanted(1, 1, 0), &["a"], vec![silent()])), "");
    assert_eq!(steps(&observed(wanted(1, 0, 1), &["a"], vec![stopping(silent())])), "+a0");
}

#[test]
fn of_two_tasks_for_one_instance_the_better_stays() {
    let twin = TaskView { attempt: 2, ..starting("a", 0) };
    let seen = observed(wanted(1, 1, 0), &["a"], vec![twin, ready("a", 0)]);
    assert_eq!(plan(&seen).delete, [(0, Why::Surplus)]);
}

#[test]
fn ended_tasks_are_kept_for_evidence_but_not_all() {
    let ended =
        |attempt: u32| TaskView { attempt, created: at(NOW - 100 + i64::from(attempt)), ..failed("a", 0, attempt, 1) };
    let live = TaskView { attempt: 5, ..ready("a", 0) };
    let seen = observed(wanted(1, 1, 0), &["a"], vec![ended(1), ended(2), ended(3), ended(4), live]);
    assert_eq!(plan(&seen).delete, [(1, Why::Ended), (0, Why::Ended)]);
    let many = (0..30).flat_map(|i| [failed("a", i, 0, 1), ready("a", i)]).collect();
    assert_eq!(plan(&observed(wanted(30, 1, 0), &["a"], many)).delete.len(), 10);
    let gone = observed(wanted(1, 1, 0), &["a"], vec![ready("a", 0), failed("a", 4, 0, 1)]);
    assert_eq!(plan(&gone).delete, [(1, Why::Ended)]);
}

#[test]
fn only_the_newest_unused_revisions_are_kept() {
    let seen = observed(wanted(1, 1, 0), &["a", "b", "c", "d", "e"], vec![ready("e", 0), stopping(ready("b", 0))]);
    assert_eq!(plan(&seen).forget, ["a"]);
}

#[test]
fn available_means_ready_for_long_enough() {
    let slow = || Wanted { min_ready: SignedDuration::from_secs(60), ..wanted(1, 1, 0) };
    let seen = observed(slow(), &["a", "b"], vec![ready("a", 0), ready("b", 0)]);
    assert_eq!(steps(&seen), "");
    assert_eq!(plan(&seen).next, Some(at(NOW + 10)));
}
