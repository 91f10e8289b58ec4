//! Points in time and spans of time, and their functions.
//!
//! A timestamp is any second of the years 1 to 9999 (more than jiff's range, which ends 26 hours earlier); jiff is
//! asked for the offsets of named time zones only.

use std::fmt;

use super::arguments;
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::Value;

const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;
const DAY_SECONDS: i64 = 86_400;

/// Seconds since 1970 and nanoseconds within the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// Nanoseconds: Go's `time.Duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

/// A timestamp in some time zone, taken apart.
struct Civil {
    year: i64,
    /// 1 to 12.
    month: i64,
    day: i64,
    second_of_day: i64,
    /// Days since 1970.
    days: i64,
}

impl Timestamp {
    /// # Errors
    /// `timestamp overflow` outside of the years 1 to 9999.
    pub fn new(seconds: i64, nanos: u32) -> Result<Self, EvalError> {
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
            return Err(EvalError::new("timestamp overflow"));
        }
        Ok(Self { seconds, nanos })
    }

    fn from_nanos(nanos: i128) -> Result<Self, EvalError> {
        let seconds =
            i64::try_from(nanos.div_euclid(1_000_000_000)).map_err(|_| EvalError::new("timestamp overflow"))?;
        Self::new(seconds, u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0))
    }

    fn nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }

    #[must_use]
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// RFC 3339 as Go's `time.Parse` reads it: `2006-01-02T15:04:05.999Z` or with an offset.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once('T')?;
        Self::assemble(date, rest)
    }

    /// The dates of the format `date-time`: also with a small `t`, a space, or no seconds' fraction.
    pub(crate) fn parse_lenient(text: &str) -> Option<Self> {
        let split = text.find(['T', 't', ' '])?;
        Self::assemble(&text[..split], &text[split + 1..])
    }

    /// The format `date`: midnight UTC.
    pub(crate) fn parse_date(text: &str) -> Option<Self> {
        Self::assemble(text, "00:00:00Z")
    }

    fn assemble(date: &str, time: &str) -> Option<Self> {
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let zone_at = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at(zone_at);
        let (clock, fraction) = clock.split_once(['.', ',']).map_or((clock, None), |(clock, part)| (clock, Some(part)));
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let offset = match zone {
            "Z" | "z" => 0,
            _ => {
                let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
                if hours > 24 || minutes > 59 {
                    return None;
                }
                let seconds = hours * 3600 + minutes * 60;
                if zone.starts_with('-') { -seconds } else { seconds }
            }
        };
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let nanos = match fraction {
            None => 0,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{digits:0<9}")[..9].parse().ok()?
            }
            Some(_) => return None,
        };
        let seconds = days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset;
        Some(Self { seconds, nanos })
    }

    /// Go's `time.Parse` and the check of the range, for `timestamp(string)`.
    pub(crate) fn from_text(text: &str) -> Result<Self, EvalError> {
        let parsed = Self::parse(text)
            .ok_or_else(|| EvalError::new("type conversion error from 'string' to 'google.protobuf.Timestamp'"))?;
        Self::new(parsed.seconds, parsed.nanos)
    }

    fn civil(self, offset: i64) -> Civil {
        let local = self.seconds + offset;
        let days = local.div_euclid(DAY_SECONDS);
        let (year, month, day) = civil_from_days(days);
        Civil { year, month, day, second_of_day: local.rem_euclid(DAY_SECONDS), days }
    }
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (place, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *place = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days since 1970 of a date of the Gregorian calendar (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// RFC 3339 with as many digits of the fraction as it takes, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, second_of_day, .. } = self.civil(0);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanos != 0 {
            write!(f, ".{}", format!("{:09}", self.nanos).trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Seconds as Go's `strconv.FormatFloat(seconds, 'f', -1, 64)` prints them.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / 1_000_000_000;
        let seconds = whole as f64 + (self.0 % 1_000_000_000) as f64 / 1e9;
        write!(f, "{seconds}s")
    }
}

impl Duration {
    /// Go's `time.ParseDuration`: `1h30m`, `-1.5s`, `100ms`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        let mut total: i128 = 0;
        while total <= i128::from(i64::MAX) + 1 {
            let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits_end);
            let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_end);
            let unit: i128 = match unit {
                "ns" => 1,
                "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return None,
            };
            total = total.checked_add(scaled(number, unit)?)?;
            if after.is_empty() {
                let signed = if negative { -total } else { total };
                return i64::try_from(signed).ok().map(Self);
            }
            rest = after;
        }
        None
    }

    /// The format `duration`: Go's notation, or words as `3 days` (upstream's `strfmt.ParseDuration`).
    pub(crate) fn parse_strfmt(text: &str) -> Result<Self, String> {
        if let Some(duration) = Self::parse(text) {
            return Ok(duration);
        }
        let failed = || format!("unable to parse {text} as duration");
        let mut total: i128 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(failed());
        }
        while !rest.is_empty() {
            let digits_end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(failed)?;
            let count: i128 = rest[..digits_end].parse().map_err(|_| failed())?;
            let after = rest[digits_end..].trim_start();
            let unit_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let unit: i128 = match &after[..unit_end] {
                "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
                "us" | "\u{b5}s" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
                "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
                "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
                "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
                "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000_000,
                "d" | "day" | "days" => 86_400_000_000_000,
                "w" | "wk" | "wks" | "week" | "weeks" => 604_800_000_000_000,
                _ => return Err(failed()),
            };
            total = count.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(failed)?;
            rest = after[unit_end..].trim_start_matches([' ', ',']);
        }
        i64::try_from(total).map(Self).map_err(|_| failed())
    }
}

/// `number` (digits with at most one point) times `unit`, cut off at the nanosecond.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 20 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // units are below 10^13: more digits than 20 cannot matter
    let fraction = &fraction[..fraction.len().min(20)];
    let parts: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole.checked_mul(unit)? + parts.checked_mul(unit)? / scale)
}

/// Offset from UTC of the time zone `name` at that moment: `+01:30`, or a name such as `Europe/Berlin`.
fn zone_offset(at: Timestamp, name: &str) -> Result<i64, EvalError> {
    if let Some((hours, minutes)) = name.split_once(':') {
        let number = |text: &str| {
            let parsed = text.parse::<i64>().ok().filter(|number| number.abs() < 1000);
            parsed.ok_or_else(|| EvalError::new(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        if !(0..=59).contains(&minutes) {
            return Err(EvalError::new(format!("timezone offset minutes out of range [0, 59]: {name}")));
        }
        let signed = if name.starts_with('-') { hours * 60 - minutes } else { hours * 60 + minutes };
        return Ok(signed * 60);
    }
    if name.is_empty() || name == "UTC" {
        return Ok(0);
    }
    let unknown = || EvalError::new(format!("unknown time zone {name}"));
    let zone = jiff::tz::TimeZone::get(name).map_err(|_| unknown())?;
    let bounded = at.seconds.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let moment = jiff::Timestamp::from_second(bounded).map_err(|_| unknown())?;
    Ok(i64::from(zone.to_offset(moment).seconds()))
}

/// `getFullYear()` and its like, of timestamps (with a time zone) and durations.
pub(super) fn part<'a>(name: &'static str, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let (at, offset) = match args {
        [Value::Timestamp(at)] => (*at, 0),
        [Value::Timestamp(at), Value::String(zone)] => (*at, zone_offset(*at, zone)?),
        [Value::Duration(Duration(nanos))] => {
            let unit = match name {
                "getHours" => 3_600_000_000_000,
                "getMinutes" => 60_000_000_000,
                "getSeconds" => 1_000_000_000,
                "getMilliseconds" => 1_000_000,
                _ => return Err(arguments(name, args)),
            };
            return Ok(Value::Int(nanos / unit));
        }
        _ => return Err(arguments(name, args)),
    };
    let civil = at.civil(offset);
    Ok(Value::Int(match name {
        "getFullYear" => civil.year,
        "getMonth" => civil.month - 1,
        "getDayOfYear" => civil.days - days_from_civil(civil.year, 1, 1),
        "getDate" => civil.day,
        "getDayOfMonth" => civil.day - 1,
        // 1970 began on a Thursday
        "getDayOfWeek" => (civil.days + 4).rem_euclid(7),
        "getHours" => civil.second_of_day / 3600,
        "getMinutes" => civil.second_of_day / 60 % 60,
        "getSeconds" => civil.second_of_day % 60,
        _ => i64::from(at.nanos / 1_000_000),
    }))
}

pub(super) fn add<'a>(a: &Value<'a>, b: &Value<'a>) -> Option<Result<Value<'a>, EvalError>> {
    Some(match (a, b) {
        (Value::Duration(a), Value::Duration(b)) => duration(a.0.checked_add(b.0)),
        (Value::Timestamp(at), Value::Duration(by)) | (Value::Duration(by), Value::Timestamp(at)) => {
            Timestamp::from_nanos(at.nanos() + i128::from(by.0)).map(Value::Timestamp)
        }
        _ => return None,
    })
}

pub(super) fn subtract<'a>(a: &Value<'a>, b: &Value<'a>) -> Option<Result<Value<'a>, EvalError>> {
    Some(match (a, b) {
        (Value::Duration(a), Value::Duration(b)) => duration(a.0.checked_sub(b.0)),
        (Value::Timestamp(at), Value::Duration(by)) => {
            Timestamp::from_nanos(at.nanos() - i128::from(by.0)).map(Value::Timestamp)
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => duration(i64::try_from(a.nanos() - b.nanos()).ok()),
        _ => return None,
    })
}

pub(super) fn duration<'a>(nanos: Option<i64>) -> Result<Value<'a>, EvalError> {
    nanos.map(|nanos| Value::Duration(Duration(nanos))).ok_or_else(|| EvalError::new("duration overflow"))
}

macro_rules! parts {
    ($($function:ident => $name:literal),* $(,)?) => {
        $(pub(super) fn $function<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
            part($name, args)
        })*
    };
}

parts! {
    full_year => "getFullYear",
    month => "getMonth",
    day_of_year => "getDayOfYear",
    date => "getDate",
    day_of_month => "getDayOfMonth",
    day_of_week => "getDayOfWeek",
    hours => "getHours",
    minutes => "getMinutes",
    seconds => "getSeconds",
    milliseconds => "getMilliseconds",
}
