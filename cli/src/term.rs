//! The streams a command writes to: data on one, talk on the other, colours only where a person looks.

use std::io::{self, BufWriter, IsTerminal as _, Write};

/// ANSI colours that are used, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Bad,
    Warn,
    Dim,
    Bold,
    /// One of a wheel of colours, to tell instances apart.
    Wheel(usize),
}

/// Colours that are readable on dark and light backgrounds.
const WHEEL: [&str; 6] = ["36", "33", "35", "32", "34", "31"];

/// Output streams of one command.
pub(crate) struct Term {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Colour on standard output.
    pub(crate) colour_out: bool,
    /// Colour on standard error.
    pub(crate) colour_err: bool,
}

impl Term {
    /// The process's streams.
    pub(crate) fn standard() -> Self {
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0");
        let barred = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let colour = |terminal: bool| !barred && (terminal || forced);
        Self {
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            colour_out: colour(io::stdout().is_terminal()),
            colour_err: colour(io::stderr().is_terminal()),
        }
    }

    /// Data, without a line end of its own.
    pub(crate) fn data(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Data as bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// One line of data.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// One line of talk, on standard error. Data that was written before appears before it.
    pub(crate) fn say(&mut self, text: &str) {
        let _ = self.out.flush();
        // Nobody reads standard error any more: nothing to tell that to.
        let _ = writeln!(self.err, "{text}");
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Paints text for standard output.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        painted(self.colour_out, paint, text)
    }

    /// Paints text for standard error.
    pub(crate) fn paint_err(&self, paint: Paint, text: &str) -> String {
        painted(self.colour_err, paint, text)
    }
}

/// Wraps the text in a colour, or not.
pub(crate) fn painted(colour: bool, paint: Paint, text: &str) -> String {
    if !colour || text.is_empty() {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Good => "32",
        Paint::Bad => "31",
        Paint::Warn => "33",
        Paint::Dim => "2",
        Paint::Bold => "1",
        Paint::Wheel(index) => WHEEL[index % WHEEL.len()],
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Takes out what would steer a terminal: text from the network must not move the cursor.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_when_piped() {
        assert_eq!(painted(false, Paint::Bad, "Failed"), "Failed");
        assert_eq!(painted(true, Paint::Bad, "Failed"), "\x1b[31mFailed\x1b[0m");
    }

    #[test]
    fn escape_sequences_of_others_are_disarmed() {
        assert_eq!(harmless("a\x1b[2Jb\tc"), "a\u{fffd}[2Jb\tc");
    }
}
