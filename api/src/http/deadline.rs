//! How long a request that is no stream may take: what it asks for by `?timeout=32s`, up to the server's bound.

use std::time::Duration;

use crate::request::Query;
use crate::status::ApiError;

/// How long a request that is not a stream may take, from its headers to its answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The time that a request has.
///
/// # Errors
/// 400 for what is no duration, in the words of Go.
pub(super) fn allowed(query: &Query) -> Result<Duration, ApiError> {
    let Some(text) = query.get("timeout").filter(|text| !text.is_empty()) else { return Ok(REQUEST_TIMEOUT) };
    let asked = duration(text).ok_or_else(|| {
        ApiError::bad_request(format!("invalid timeout specified in the request URL - time: invalid duration {text:?}"))
    })?;
    // None at all means as long as the server allows.
    Ok(if asked.is_zero() { REQUEST_TIMEOUT } else { asked.min(REQUEST_TIMEOUT) })
}

/// Reads a duration as Go writes it: `1h2m3.5s`, `300ms`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0_f64;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Duration, u16> {
        allowed(&Query::parse(Some(query))).map_err(|error| error.code())
    }

    #[test]
    fn a_request_may_ask_for_less_time_but_not_for_more() {
        assert_eq!(of("timeout=32s"), Ok(Duration::from_secs(32)));
        assert_eq!(of("timeout=1m1.5s"), Ok(REQUEST_TIMEOUT));
        assert_eq!(of("timeout=1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(of("timeout=0"), Ok(REQUEST_TIMEOUT));
        assert_eq!(of("timeout=0s"), Ok(REQUEST_TIMEOUT));
        assert_eq!(of("timeout="), Ok(REQUEST_TIMEOUT));
        assert_eq!(of("x=1"), Ok(REQUEST_TIMEOUT));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["32", "s", "-5s", "5parsecs", "5s5", ".s", "1e400s", "99999999999999999999999h1x"] {
            assert_eq!(of(&format!("timeout={bad}")), Err(400), "{bad}");
        }
        let error = allowed(&Query::parse(Some("timeout=32"))).unwrap_err();
        assert_eq!(error.message(), "invalid timeout specified in the request URL - time: invalid duration \"32\"");
    }
}
