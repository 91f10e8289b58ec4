//! When a job is due: cron expressions read in a time zone.
//!
//! Where the clock is put forward, a time that does not exist is taken at the next that does (a job for 02:30 runs
//! at 03:00); where it is put back, a fixed time runs once. So says Vixie cron, and so does the library.

use std::str::FromStr;

use berth_types::JobSchedule;
use croner::Cron;
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{Timestamp, Zoned};

/// One schedule, understood.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a schedule. The error says what is wrong, for the job's condition.
    pub fn parse(spec: &JobSchedule) -> Result<Self, String> {
        let cron = Cron::from_str(spec.cron.trim())
            .map_err(|error| format!("the cron expression {:?} is not valid: {error}", spec.cron))?;
        let zone = match spec.time_zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!("the time zone {name:?} is not known; it must be an IANA name like Europe/Berlin")
            })?,
        };
        Ok(Self { cron, zone })
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    /// The first time after `at`. `None` when there will never be one.
    pub fn next(&self, at: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&self.zoned(at), false).ok().map(|zoned| zoned.timestamp())
    }

    /// The last time at or before `at`, if that is after `since`.
    pub fn last(&self, since: Timestamp, at: Timestamp) -> Option<Timestamp> {
        let last = self.cron.find_previous_occurrence(&self.zoned(at), true).ok()?.timestamp();
        (last > since && last <= at).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule::parse(&JobSchedule { cron: cron.to_owned(), time_zone: Some(zone.to_owned()) }).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn all(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
        let mut times = vec![];
        let mut now = at(from);
        while let Some(next) = schedule.next(now).filter(|next| *next <= at(to)) {
            times.push(next.to_string());
            now = next;
        }
        times
    }

    #[test]
    fn a_night_in_berlin_is_not_a_night_in_utc() {
        let nightly = schedule("0 3 * * *", "Europe/Berlin");
        assert_eq!(nightly.next(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T02:00:00Z")));
        assert_eq!(nightly.next(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T01:00:00Z")));
    }

    #[test]
    fn a_time_that_the_clock_skips_still_comes_once() {
        let times = all(&schedule("30 2 * * *", "Europe/Berlin"), "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
        assert_eq!(times.len(), 2, "{times:?}");
    }

    #[test]
    fn a_time_that_the_clock_repeats_comes_once() {
        let times = all(&schedule("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        assert_eq!(times.len(), 2, "{times:?}");
    }

    #[test]
    fn of_many_missed_times_the_last_counts() {
        let minutely = schedule("* * * * *", "UTC");
        let now = at("2026-05-01T10:00:30Z");
        assert_eq!(minutely.last(at("2020-01-01T00:00:00Z"), now), Some(at("2026-05-01T10:00:00Z")));
        assert_eq!(minutely.last(at("2026-05-01T10:00:00Z"), now), None);
    }

    #[test]
    fn nicknames_and_seconds_are_understood_and_nonsense_is_told() {
        assert_eq!(schedule("@hourly", "UTC").next(at("2026-05-01T10:00:30Z")), Some(at("2026-05-01T11:00:00Z")));
        assert_eq!(
            schedule("*/10 * * * * *", "UTC").next(at("2026-05-01T10:00:31Z")),
            Some(at("2026-05-01T10:00:40Z"))
        );
        let bad = |cron: &str, zone: &str| {
            Schedule::parse(&JobSchedule { cron: cron.to_owned(), time_zone: Some(zone.to_owned()) }).unwrap_err()
        };
        assert!(bad("61 * * * *", "UTC").contains("61 * * * *"));
        assert!(bad("* * * * *", "Europe/Atlantis").contains("Europe/Atlantis"));
    }
}
