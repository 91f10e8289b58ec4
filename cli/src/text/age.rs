//! Ages and durations as kubectl prints them.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// `12s`, `5m3s`, `3h12m`, `2d4h`, `45d`, `2y10d`: two units where the second still matters.
pub(crate) fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => pair(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => pair(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// Age of an RFC 3339 time, or `<unknown>`.
pub(crate) fn since(time: &str, now: Timestamp) -> String {
    time.parse::<Timestamp>().map_or_else(|_| "<unknown>".to_owned(), |t| human(now.duration_since(t)))
}

/// Seconds with two decimals below ten: `0.12s`, `9.87s`, `12s`; minutes above two of them.
pub(crate) fn elapsed(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        return format!("{seconds:.2}s");
    }
    human(SignedDuration::from_secs(duration.as_secs().min(i64::MAX as u64) as i64))
}

/// `30s`, `5m`, `1h30m`, `500ms`, or plain seconds. `None` when it is none of these.
pub(crate) fn parse(text: &str) -> Option<std::time::Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(std::time::Duration::from_secs(seconds));
    }
    let mut total = std::time::Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..unit_end] {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            "d" => number * 86_400.0,
            _ => return None,
        };
        total = total.checked_add(std::time::Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

/// For clap: a duration such as `30s`.
pub(crate) fn parse_argument(text: &str) -> Result<std::time::Duration, String> {
    parse(text).ok_or_else(|| format!("{text:?} is not a duration such as 30s, 5m or 1h30m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (303, "5m3s"),
            (600, "10m"),
            (10_740, "179m"),
            (11_520, "3h12m"),
            (86_400, "24h"),
            (187_200, "2d4h"),
            (45 * 86_400, "45d"),
            (740 * 86_400, "2y10d"),
            (-100, "<invalid>"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("90"), Some(Duration::from_secs(90)));
        for bad in ["", "x", "5x", "m", "-1s", "1..2s"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn short_waits_show_hundredths() {
        assert_eq!(elapsed(Duration::from_millis(123)), "0.12s");
        assert_eq!(elapsed(Duration::from_secs(75)), "75s");
    }
}
