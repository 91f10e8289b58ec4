//! The queues in a world whose clock is a number.

use super::*;

const MS: u64 = 1_000_000;

/// A level in a simulated world: every request runs for `service` once it has its seats.
struct World {
    set: QueueSet<usize>,
    now: u64,
    service: u64,
    /// Who runs: (when it ends, which flow, its seats).
    runs: Vec<(u64, usize, Run)>,
    /// Requests of each flow that have started.
    served: Vec<u32>,
}

impl World {
    fn new(shape: Shape, seats: u32, flows: usize) -> Self {
        Self { set: QueueSet::new(shape, seats, 0), now: 0, service: 10 * MS, runs: Vec::new(), served: vec![0; flows] }
    }

    /// A flow asks; `false` when it is sent away.
    fn ask(&mut self, flow: usize, width: Width) -> bool {
        let hash = (flow as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let entry = self.set.enter(self.now, hash, width, || flow);
        let asked = match entry {
            Entry::Run(run) => {
                self.served[flow] += 1;
                self.runs.push((self.now + self.service, flow, run));
                true
            }
            Entry::Wait(_) => true,
            Entry::Full => false,
        };
        self.dispatch();
        asked
    }

    fn dispatch(&mut self) {
        let (now, service, runs, served) = (self.now, self.service, &mut self.runs, &mut self.served);
        self.set.dispatch(now, |flow, run| {
            served[flow] += 1;
            runs.push((now + service, flow, run));
        });
    }

    /// Goes on to the next end of a request; says whose.
    fn step(&mut self) -> usize {
        let first = self.runs.iter().enumerate().min_by_key(|(_, (end, ..))| *end).map(|(at, _)| at);
        let (end, flow, run) = self.runs.remove(first.expect("something runs"));
        self.now = end;
        self.set.leave(self.now, run);
        self.dispatch();
        flow
    }
}

const QUEUES: Shape = Shape::Queue { queues: 64, hand: 6, length: 200 };

#[test]
fn a_flow_that_asks_a_thousand_times_waits_for_itself_and_not_others_for_it() {
    let mut world = World::new(QUEUES, 10, 2);
    for _ in 0..1_000 {
        assert!(world.ask(0, Width::ONE), "its hand holds 1,200");
    }
    // The polite one has one request at a time: each is served within two turns of all seats.
    for _ in 0..50 {
        let (before, asked_at) = (world.served[1], world.now);
        world.ask(1, Width::ONE);
        while world.served[1] == before {
            world.step();
        }
        assert!(world.now - asked_at <= 2 * world.service, "waited {} ms", (world.now - asked_at) / MS);
        while world.step() != 1 {}
    }
}

#[test]
fn two_flows_that_both_want_everything_get_the_same() {
    let mut world = World::new(QUEUES, 8, 2);
    for _ in 0..400 {
        world.ask(0, Width::ONE);
    }
    for _ in 0..400 {
        world.ask(1, Width::ONE);
    }
    let before = world.served.clone();
    for _ in 0..400 {
        world.step();
    }
    let (first, second) = (world.served[0] - before[0], world.served[1] - before[1]);
    // Each of the six queues of a hand counts, and all of both are busy.
    assert!(first.abs_diff(second) <= 40, "{first} and {second}");
}

#[test]
fn wide_requests_are_charged_for_their_seats() {
    let mut world = World::new(Shape::Queue { queues: 64, hand: 1, length: 1_000 }, 8, 2);
    let wide = Width { initial: 4, last: 0, extra: 0 };
    for _ in 0..200 {
        world.ask(0, wide);
        world.ask(1, Width::ONE);
    }
    let before = world.served.clone();
    for _ in 0..150 {
        world.step();
    }
    let (wide, narrow) = (world.served[0] - before[0], world.served[1] - before[1]);
    assert!(narrow >= 3 * wide && narrow <= 5 * wide, "{wide} wide, {narrow} narrow");
}

#[test]
fn a_full_queue_sends_away_and_others_go_on() {
    let mut world = World::new(Shape::Queue { queues: 32, hand: 1, length: 5 }, 2, 2);
    let admitted = (0..20).filter(|_| world.ask(0, Width::ONE)).count();
    assert_eq!(admitted, 2 + 5);
    assert!(world.ask(1, Width::ONE));
}

#[test]
fn a_level_without_queues_sends_away_at_once_and_an_exempt_one_never() {
    let mut set = QueueSet::<()>::new(Shape::Reject, 1, 0);
    let Entry::Run(run) = set.enter(0, 0, Width::ONE, || ()) else { panic!("a seat is free") };
    assert_eq!(set.enter(0, 0, Width::ONE, || ()), Entry::Full);
    set.leave(1, run);
    assert!(matches!(set.enter(1, 0, Width::ONE, || ()), Entry::Run(_)));

    let mut set = QueueSet::<()>::new(Shape::Exempt, 0, 0);
    for _ in 0..1_000 {
        assert!(matches!(set.enter(0, 0, Width::ONE, || ()), Entry::Run(_)));
    }
    assert_eq!(set.demand(), 1_000);
}

#[test]
fn who_wants_more_seats_than_there_are_gets_all_of_them() {
    let mut world = World::new(QUEUES, 2, 2);
    assert!(world.ask(0, Width { initial: 5, last: 0, extra: 0 }));
    assert!(world.ask(1, Width::ONE));
    assert_eq!(world.served, [1, 0]);
    world.step();
    assert_eq!(world.served, [1, 1]);
}

#[test]
fn seats_are_held_after_the_answer_for_the_work_of_watches() {
    let mut set = QueueSet::new(QUEUES, 3, 0);
    let width = Width { initial: 1, last: 3, extra: 5 * MS };
    let Entry::Run(run) = set.enter(0, 7, width, || ()) else { panic!("seats are free") };
    let Entry::Wait(_) = set.enter(0, 8, Width::ONE, || ()) else { panic!("no seat is free") };
    set.leave(MS, run);
    let started = |set: &mut QueueSet<()>, now| {
        let mut count = 0;
        set.dispatch(now, |(), _| count += 1);
        count
    };
    assert_eq!(started(&mut set, MS), 0);
    assert_eq!(set.next_release(), Some(6 * MS));
    assert_eq!(started(&mut set, 6 * MS), 1);
    assert_eq!(set.next_release(), None);
}

#[test]
fn who_gives_up_leaves_no_trace() {
    let mut set = QueueSet::new(QUEUES, 1, 0);
    let Entry::Run(run) = set.enter(0, 1, Width::ONE, || ()) else { panic!("a seat is free") };
    let Entry::Wait(ticket) = set.enter(0, 2, Width::ONE, || ()) else { panic!("no seat is free") };
    assert!(set.cancel(1, ticket));
    assert!(!set.cancel(1, ticket), "only once");
    set.leave(2, run);
    assert_eq!((set.waiting(), set.in_use(), set.demand(), set.busy), (0, 0, 0, 0));
}

#[test]
fn a_level_may_change_its_queues_while_requests_wait() {
    let mut world = World::new(QUEUES, 1, 3);
    for flow in [0, 1, 2, 0, 1, 2] {
        world.ask(flow, Width::ONE);
    }
    world.set.reshape(Shape::Queue { queues: 2, hand: 1, length: 1 });
    world.set.reshape(Shape::Reject);
    while !world.runs.is_empty() {
        world.step();
    }
    assert_eq!(world.served, [2, 2, 2]);
    assert_eq!(world.set.queues.len(), 0, "they ended when they were empty");
    world.set.reshape(QUEUES);
    assert!(world.ask(0, Width::ONE));
}

#[test]
fn a_queue_that_slept_does_not_collect_what_it_did_not_use() {
    let mut world = World::new(Shape::Queue { queues: 64, hand: 1, length: 1_000 }, 1, 2);
    for _ in 0..200 {
        world.ask(0, Width::ONE);
    }
    for _ in 0..100 {
        world.step();
    }
    for _ in 0..50 {
        world.ask(1, Width::ONE);
    }
    let before = world.served.clone();
    for _ in 0..40 {
        world.step();
    }
    let late = world.served[1] - before[1];
    assert!((18..=22).contains(&late), "half of 40, not all: {late}");
}
