//! The seats and queues of one priority level: fair queueing by virtual time.
//!
//! Each queue has a time at which, in a world where all busy queues are served at once and alike, its next request
//! would start. The queue whose head would end first is served next. A request is charged an estimate when it starts,
//! and the difference when it ends. So a queue that has had much waits, and one that wakes up does not collect what
//! it did not use (KEP-1040, "Fair Queuing for Server Requests").
//!
//! Nothing here waits or looks at a clock: `now` is nanoseconds since any fixed moment, and never goes back.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::shard;
use crate::width::Width;

/// What a request is charged before it is known how long it took.
const ESTIMATED_NANOS: u64 = 3_000_000;
/// More queues than this would only cost memory: hands of 6 hardly ever meet in as many.
pub const QUEUES_MAX: u32 = 4_096;

/// Seats times nanoseconds. A u64 would be full after a year of all seats being busy.
type Work = i128;

/// How the requests of a level that find no seat are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing is limited.
    Exempt,
    /// They are sent away at once.
    Reject,
    Queue {
        queues: u32,
        hand: usize,
        /// Requests that wait in one queue.
        length: usize,
    },
}

/// What became of a request that asked for seats.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// It runs; give this back with [`QueueSet::leave`].
    Run(Run),
    /// It waits; take it back with [`QueueSet::cancel`].
    Wait(Ticket),
    /// Its queue is full, or there are no queues.
    Full,
}

/// The seats of a request that runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    queue: Option<u32>,
    width: Width,
    started: u64,
}

/// The place of a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    queue: u32,
    number: u64,
}

/// The seats and queues of a level. `W` is whatever wakes the request that waits.
#[derive(Debug)]
pub struct QueueSet<W> {
    shape: Shape,
    seats: u32,
    queues: Vec<Queue<W>>,
    /// How far the virtual world has got: work that each busy queue could have had done.
    virtual_now: Work,
    last_now: u64,
    /// Queues with a request that runs or waits.
    busy: u32,
    in_use: u32,
    running: u32,
    waiting: u32,
    waiting_seats: u32,
    /// Seats that are held after the answer: (until when, how many, whose).
    held: BinaryHeap<Reverse<(u64, u32, u32)>>,
    next_number: u64,
    robin: u32,
}

#[derive(Debug)]
struct Queue<W> {
    waiting: VecDeque<Waiting<W>>,
    waiting_work: Work,
    running: u32,
    in_use: u32,
    next_start: Work,
}

#[derive(Debug)]
struct Waiting<W> {
    number: u64,
    width: Width,
    arrived: Work,
    waker: W,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), waiting_work: 0, running: 0, in_use: 0, next_start: 0 }
    }
}

impl<W> Queue<W> {
    fn is_busy(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }

    /// Nothing starts, in the virtual world, before it arrived.
    fn bound(&mut self) {
        if let Some(first) = self.waiting.front() {
            self.next_start = self.next_start.max(first.arrived);
        }
    }
}

fn work_of(width: &Width) -> Work {
    Work::from(width.initial) * Work::from(ESTIMATED_NANOS) + Work::from(width.last) * Work::from(width.extra)
}

impl<W> QueueSet<W> {
    pub fn new(shape: Shape, seats: u32, now: u64) -> Self {
        let mut set = Self {
            shape: Shape::Reject,
            seats,
            queues: Vec::new(),
            virtual_now: 0,
            last_now: now,
            busy: 0,
            in_use: 0,
            running: 0,
            waiting: 0,
            waiting_seats: 0,
            held: BinaryHeap::new(),
            next_number: 0,
            robin: 0,
        };
        set.reshape(shape);
        set
    }

    /// Changes how requests are kept. Those that wait keep their places; queues that are too many end when they are
    /// empty.
    pub fn reshape(&mut self, shape: Shape) {
        self.shape = match shape {
            Shape::Queue { queues, hand, length } => {
                let queues = queues.clamp(1, QUEUES_MAX);
                let hand = hand.clamp(1, shard::HAND_SIZE_MAX).min(queues as usize);
                Shape::Queue { queues, hand, length: length.max(1) }
            }
            other => other,
        };
        let wanted = self.queues_wanted();
        while self.queues.len() < wanted {
            self.queues.push(Queue::default());
        }
        self.shrink();
    }

    fn queues_wanted(&self) -> usize {
        if let Shape::Queue { queues, .. } = self.shape { queues as usize } else { 0 }
    }

    fn shrink(&mut self) {
        let wanted = self.queues_wanted();
        while self.queues.len() > wanted && self.queues.last().is_some_and(|last| !last.is_busy() && last.in_use == 0) {
            self.queues.pop();
        }
    }

    /// From now on there are so many seats; follow with [`dispatch`](Self::dispatch).
    pub fn set_seats(&mut self, now: u64, seats: u32) {
        self.advance(now);
        self.seats = seats;
    }

    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// Whether requests may wait.
    pub fn has_queues(&self) -> bool {
        matches!(self.shape, Shape::Queue { .. })
    }

    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    pub fn running(&self) -> u32 {
        self.running
    }

    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Seats in use and waited for.
    pub fn demand(&self) -> u32 {
        self.in_use.saturating_add(self.waiting_seats)
    }

    /// When seats that are held after an answer become free, if any are.
    pub fn next_release(&self) -> Option<u64> {
        self.held.peek().map(|Reverse((until, ..))| *until)
    }

    /// Moves the virtual world on, and frees the seats whose time is over.
    fn advance(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.last_now);
        self.last_now = self.last_now.max(now);
        if self.busy > 0 {
            let served = self.demand().min(self.seats);
            let share = elapsed.saturating_mul(u64::from(served)) / u64::from(self.busy);
            self.virtual_now += Work::from(share);
        }
        while let Some(Reverse((until, seats, queue))) = self.held.peek().copied() {
            if until > now {
                break;
            }
            self.held.pop();
            self.free(seats, Some(queue));
        }
    }

    /// Asks for seats. `waker` is called only if the request must wait; afterwards call
    /// [`dispatch`](Self::dispatch).
    pub fn enter(&mut self, now: u64, hash: u64, width: Width, waker: impl FnOnce() -> W) -> Entry {
        self.advance(now);
        let Shape::Queue { queues, hand, length } = self.shape else {
            if self.shape == Shape::Reject && !self.fits(&width) {
                return Entry::Full;
            }
            return Entry::Run(self.start(now, None, width));
        };
        let index = self.pick(hash, queues, hand);
        let is_free = self.waiting == 0 && self.fits(&width);
        let queue = &mut self.queues[index as usize];
        if !is_free && self.in_use >= self.seats && queue.waiting.len() >= length {
            return Entry::Full;
        }
        if !queue.is_busy() {
            self.busy += 1;
            queue.next_start = self.virtual_now;
        }
        if is_free {
            // As if it had arrived and started at once.
            queue.next_start = queue.next_start.max(self.virtual_now);
            return Entry::Run(self.start(now, Some(index), width));
        }
        let number = self.next_number;
        self.next_number += 1;
        queue.waiting_work += work_of(&width);
        queue.waiting.push_back(Waiting { number, width, arrived: self.virtual_now, waker: waker() });
        queue.bound();
        self.waiting += 1;
        self.waiting_seats += width.seats();
        Entry::Wait(Ticket { queue: index, number })
    }

    /// The queue of the flow's hand in which the least work waits. Where to begin turns with the requests: else
    /// flows with the same first card would meet in it.
    fn pick(&mut self, hash: u64, queues: u32, hand: usize) -> u32 {
        let hand = shard::deal(hash, queues, hand);
        let cards = hand.cards();
        let offset = self.robin as usize;
        self.robin = self.robin.wrapping_add(1);
        let work = |card: u32| self.queues[card as usize].waiting_work;
        let mut best = cards[offset % cards.len()];
        if self.waiting == 0 {
            return best;
        }
        for step in 1..cards.len() {
            let card = cards[(offset + step) % cards.len()];
            if work(card) < work(best) {
                best = card;
            }
        }
        best
    }

    fn fits(&self, width: &Width) -> bool {
        let seats = width.seats();
        // Who wants more than there is gets all of it.
        if seats > self.seats { self.running == 0 } else { self.in_use + seats <= self.seats }
    }

    fn start(&mut self, now: u64, queue: Option<u32>, width: Width) -> Run {
        self.running += 1;
        self.in_use += width.seats();
        if let Some(queue) = queue {
            let queue = &mut self.queues[queue as usize];
            queue.running += 1;
            queue.in_use += width.seats();
            queue.next_start += work_of(&width);
            queue.bound();
        }
        Run { queue, width, started: now }
    }

    /// Starts as many of the waiting as there are seats for, and hands each to `started`.
    pub fn dispatch(&mut self, now: u64, mut started: impl FnMut(W, Run)) {
        self.advance(now);
        while self.waiting > 0 && self.in_use < self.seats {
            let Some(index) = self.next_queue() else { return };
            let Some(first) = self.queues[index].waiting.front() else { return };
            // A wide request at the head is waited for: narrow ones behind it would keep it from ever fitting.
            if !self.fits(&first.width) {
                return;
            }
            let Some(first) = self.queues[index].waiting.pop_front() else { return };
            self.queues[index].waiting_work -= work_of(&first.width);
            self.waiting -= 1;
            self.waiting_seats -= first.width.seats();
            let index = u32::try_from(index).unwrap_or(0);
            let run = self.start(now, Some(index), first.width);
            started(first.waker, run);
        }
    }

    /// The queue whose head would end first; among equals the one after the last served.
    fn next_queue(&mut self) -> Option<usize> {
        let count = self.queues.len();
        let from = self.robin as usize % count.max(1);
        let end = |index: usize| {
            let queue = &self.queues[index];
            queue.waiting.front().map(|first| queue.next_start + work_of(&first.width))
        };
        (1..=count)
            .map(|step| (from + step) % count)
            .filter_map(|index| Some((end(index)?, index)))
            .reduce(|best, next| if next.0 < best.0 { next } else { best })
            .map(|(_, index)| index)
    }

    /// A request has ended. Follow with [`dispatch`](Self::dispatch).
    pub fn leave(&mut self, now: u64, run: Run) {
        self.advance(now);
        let Run { queue, width, started } = run;
        self.running -= 1;
        let Some(index) = queue else {
            self.free(width.seats(), None);
            return;
        };
        let queue = &mut self.queues[index as usize];
        queue.running -= 1;
        let took = Work::from(now.saturating_sub(started)) - Work::from(ESTIMATED_NANOS);
        queue.next_start += Work::from(width.initial) * took;
        queue.bound();
        if !queue.is_busy() {
            self.busy -= 1;
        }
        if width.extra == 0 {
            self.free(width.seats(), Some(index));
        } else {
            self.held.push(Reverse((now.saturating_add(width.extra), width.seats(), index)));
        }
    }

    fn free(&mut self, seats: u32, queue: Option<u32>) {
        self.in_use -= seats;
        if let Some(queue) = queue {
            self.queues[queue as usize].in_use -= seats;
            self.shrink();
        }
    }

    /// Takes a waiting request back. `false`: it has been started meanwhile, and must be given back by
    /// [`leave`](Self::leave).
    pub fn cancel(&mut self, now: u64, ticket: Ticket) -> bool {
        self.advance(now);
        let Some(queue) = self.queues.get_mut(ticket.queue as usize) else { return false };
        // Numbers ascend within a queue.
        let Ok(at) = queue.waiting.binary_search_by_key(&ticket.number, |waiting| waiting.number) else {
            return false;
        };
        let Some(gone) = queue.waiting.remove(at) else { return false };
        queue.waiting_work -= work_of(&gone.width);
        queue.bound();
        self.waiting -= 1;
        self.waiting_seats -= gone.width.seats();
        if !queue.is_busy() {
            self.busy -= 1;
        }
        self.shrink();
        true
    }
}

#[cfg(test)]
mod tests;
