//! Tests literals that functions will read at run time: durations, timestamps, regular expressions.

/// What Go's `time.ParseDuration` reads: `1h30m`, `-1.5s`, `0`.
pub(super) fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let digits = &rest[..number];
        if digits.matches('.').count() > 1 || !digits.contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
        rest = &rest[number..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        if !matches!(&rest[..unit], "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        rest = &rest[unit..];
    }
    true
}

/// The shape of an RFC 3339 timestamp, its parts in range: `2026-11-22T10:00:00.5+01:00`.
pub(super) fn is_timestamp(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else { return false };
    let offset_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(offset_at);
    let (seconds, fraction) = clock.split_once('.').map_or((clock, None), |(whole, part)| (whole, Some(part)));
    let fraction_is_digits = fraction.is_none_or(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let date_is_valid = match numbers::<3>(date, '-', [4, 2, 2]) {
        Some([year, month, day]) => (1..=12).contains(&month) && (1..=days(year, month)).contains(&day),
        None => false,
    };
    let clock_is_valid = numbers::<3>(seconds, ':', [2, 2, 2]).is_some_and(|[h, m, s]| h < 24 && m < 60 && s < 60);
    let zone_is_valid = zone == "Z"
        || zone
            .strip_prefix(['+', '-'])
            .and_then(|zone| numbers::<2>(zone, ':', [2, 2]))
            .is_some_and(|[hours, minutes]| hours < 24 && minutes < 60);
    date_is_valid && clock_is_valid && fraction_is_digits && zone_is_valid
}

/// Numbers of fixed widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[u32; N]> {
    let mut found = [0; N];
    let mut parts = text.split(separator);
    for (slot, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|b| b.is_ascii_digit()))?;
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether the expression can be compiled, within the size that the library allows at run time.
pub(super) fn is_regex(text: &str) -> bool {
    // The default size limit of the compiled program bounds the work.
    regex::Regex::new(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_timestamps_that_can_be_read_are_told_from_those_that_cannot() {
        for text in ["0", "1s", "-1.5h", "1h30m", "+.5ms", "1µs"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "1", "s", "1 s", "1.2.3s", "1d", "."] {
            assert!(!is_duration(text), "{text}");
        }
        for text in ["2026-11-22T10:00:00Z", "2024-02-29T23:59:59.123456789+01:00"] {
            assert!(is_timestamp(text), "{text}");
        }
        for text in ["", "2026-11-22", "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:00:00", "2026-1-2T0:0:0Z"] {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
