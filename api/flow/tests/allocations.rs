//! The uncontended path takes no memory, and waiting works as it should: on the public face of the crate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use berth_flow::{Cost, Fairness, Options, RejectReason, RequestFacts};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const USER: &str = "ann";

fn facts(groups: &[String]) -> RequestFacts<'_> {
    RequestFacts {
        user: USER,
        groups,
        verb: "create",
        is_resource: true,
        api_group: "berth.dev",
        resource: "tasks",
        namespace: "shop",
        cost: Cost::Write { watches: 2 },
        ..RequestFacts::default()
    }
}

fn groups() -> Vec<String> {
    vec!["dev".to_owned(), "system:authenticated".to_owned()]
}

#[test]
fn the_uncontended_path_takes_no_memory() {
    let (fairness, groups) = (Fairness::new(Options::default()), groups());
    let once = || {
        let seat = futures::executor::block_on(fairness.enter(&facts(&groups))).expect("a seat is free");
        assert_eq!((seat.schema(), seat.level()), ("global-default", "global-default"));
    };
    once();
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..1_000 {
        once();
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
}

/// Prints how long the uncontended path takes: `cargo test -p berth-flow --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn how_long_the_uncontended_path_takes() {
    const TIMES: u32 = 1_000_000;
    let (fairness, groups) = (Fairness::new(Options::default()), groups());
    let started = Instant::now();
    for _ in 0..TIMES {
        drop(futures::executor::block_on(fairness.enter(&facts(&groups))));
    }
    eprintln!("{} ns a request", (started.elapsed() / TIMES).as_nanos());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_sent_away_and_the_place_is_free_again() {
    let (fairness, groups) = (Fairness::new(Options::default()), groups());
    let mut seats = Vec::new();
    let level = || fairness.report().into_iter().find(|level| level.name == "global-default").unwrap();
    for _ in 0..level().seats {
        seats.push(fairness.enter(&facts(&groups)).await.expect("a seat is free"));
    }
    let rejected = fairness.enter(&facts(&groups)).await.expect_err("none is free for 15 s");
    assert_eq!((rejected.reason, rejected.retry_after_seconds), (RejectReason::TimeOut, 1));
    assert_eq!((level().waiting, level().running as usize), (0, seats.len()));
    drop(seats);
    assert_eq!((level().running, level().seats_in_use), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_comes_free_goes_to_who_waits_and_one_who_left_does_not_keep_it() {
    let (fairness, groups) = (Fairness::new(Options::default()), groups());
    let level = || fairness.report().into_iter().find(|level| level.name == "global-default").unwrap();
    let mut seats = Vec::new();
    for _ in 0..level().seats {
        seats.push(fairness.enter(&facts(&groups)).await.expect("a seat is free"));
    }
    let gone = tokio::spawn(fairness.enter(&facts(&groups)));
    let patient = tokio::spawn(fairness.enter(&facts(&groups)));
    tokio::task::yield_now().await;
    assert_eq!(level().waiting, 2);
    gone.abort();
    assert!(gone.await.is_err());
    assert_eq!(level().waiting, 1);
    seats.pop();
    let seat = patient.await.unwrap().expect("it is its turn");
    drop((seat, seats));
    assert_eq!((level().running, level().waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn seats_held_for_watches_come_free_without_another_request() {
    let (fairness, groups) = (Fairness::new(Options { seats: 1, ..Options::default() }), groups());
    let wide = RequestFacts { cost: Cost::Write { watches: 100 }, ..facts(&groups) };
    drop(fairness.enter(&wide).await.expect("a seat is free"));
    let waited = tokio::time::timeout(Duration::from_secs(1), fairness.enter(&facts(&groups)));
    drop(waited.await.expect("a task looks after held seats").expect("it has its turn"));
}
