//! Lines with their time, and the place in a log to go on from after a break: no line twice, none left out.

use k8s_openapi::jiff::Timestamp;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it was written; `None` sorts first.
    pub(crate) stamp: Option<Timestamp>,
    /// The same as the server wrote it.
    pub(crate) raw_stamp: Option<String>,
    /// Without the time and the line end. May hold any bytes.
    pub(crate) text: Vec<u8>,
}

impl Line {
    /// Takes the time off a line of `timestamps=true`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let space = bytes.iter().position(|b| *b == b' ').unwrap_or(bytes.len());
        let raw = std::str::from_utf8(&bytes[..space]).ok();
        let stamp = raw.and_then(|raw| raw.parse::<Timestamp>().ok());
        match (stamp, raw) {
            (Some(stamp), Some(raw)) => Self {
                stamp: Some(stamp),
                raw_stamp: Some(raw.to_owned()),
                text: bytes.get(space + 1..).unwrap_or_default().to_vec(),
            },
            _ => Self { stamp: None, raw_stamp: None, text: bytes.to_vec() },
        }
    }
}

/// How far a log was read.
///
/// Guarantee: after `resume`, `admit` refuses exactly the lines that were admitted before and are sent again, if the
/// server sends the log from `since` on in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    at: Option<Timestamp>,
    /// Lines admitted with the time `at`: several lines of one write share a time.
    count: u32,
    /// Lines with the time `at` that are still to be skipped.
    skip: u32,
    catching_up: bool,
}

impl Cursor {
    /// From when to ask for the log, to go on.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.at
    }

    /// A new stream starts at `since`.
    pub(crate) fn resume(&mut self) {
        self.catching_up = self.at.is_some();
        self.skip = self.count;
    }

    /// Whether the line is new.
    pub(crate) fn admit(&mut self, line: &Line) -> bool {
        let Some(stamp) = line.stamp else { return true };
        match self.at {
            Some(at) if stamp < at => return !self.catching_up,
            Some(at) if stamp == at => {
                if self.catching_up && self.skip > 0 {
                    self.skip -= 1;
                    return false;
                }
                self.count += 1;
            }
            _ => (self.at, self.count) = (Some(stamp), 1),
        }
        self.catching_up = false;
        true
    }
}

/// Bytes of a stream, cut into lines.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    rest: Vec<u8>,
}

/// Longest line that is kept together; longer ones are cut.
const LINE_BYTES_MAX: usize = 1 << 20;

impl Splitter {
    /// The lines that are complete now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for (at, part) in bytes.split(|b| *b == b'\n').enumerate() {
            if at > 0 {
                lines.push(Line::parse(&std::mem::take(&mut self.rest)));
            }
            self.rest.extend_from_slice(part);
            if self.rest.len() > LINE_BYTES_MAX {
                lines.push(Line::parse(&std::mem::take(&mut self.rest)));
            }
        }
        lines
    }

    /// What came after the last line end, at the clean end of a log.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        (!self.rest.is_empty()).then(|| Line::parse(&std::mem::take(&mut self.rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u8, text: &str) -> Line {
        Line::parse(format!("2026-01-01T00:00:0{second}Z {text}").as_bytes())
    }

    #[test]
    fn times_are_taken_off() {
        let parsed = line(1, "hello world");
        assert_eq!(parsed.text, b"hello world");
        assert_eq!(parsed.raw_stamp.as_deref(), Some("2026-01-01T00:00:01Z"));
        assert_eq!(Line::parse(b"no time\xff").text, b"no time\xff");
        assert_eq!(Line::parse(b"2026-01-01T00:00:01Z").text, b"");
    }

    #[test]
    fn a_resumed_log_has_no_gap_and_no_repeat() {
        let all = [line(1, "a"), line(2, "b"), line(2, "c"), line(2, "d"), line(3, "e")];
        // Broken after every number of lines; the server starts again at the cursor's time.
        for broken in 0..=all.len() {
            let mut cursor = Cursor::default();
            let mut seen: Vec<&Line> = all[..broken].iter().filter(|l| cursor.admit(l)).collect();
            cursor.resume();
            let since = cursor.since();
            let sent = all.iter().filter(|l| since.is_none_or(|s| l.stamp >= Some(s)));
            seen.extend(sent.filter(|l| cursor.admit(l)));
            assert_eq!(seen, all.iter().collect::<Vec<_>>(), "broken after {broken}");
        }
    }

    #[test]
    fn clocks_that_step_back_lose_nothing_in_an_unbroken_stream() {
        let mut cursor = Cursor::default();
        assert!(cursor.admit(&line(5, "a")));
        assert!(cursor.admit(&line(4, "b")));
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.take(b"a\nb"), [Line::parse(b"a")]);
        assert_eq!(splitter.take(b"c\n\nd"), [Line::parse(b"bc"), Line::parse(b"")]);
        assert_eq!(splitter.finish(), Some(Line::parse(b"d")));
        assert_eq!(splitter.finish(), None);
    }
}
