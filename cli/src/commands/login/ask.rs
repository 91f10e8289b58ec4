//! Names and passwords from the terminal: a password is not shown, and the terminal is as before afterwards.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::failure::{Failure, Outcome, exit};

/// Longest line that is read: the server looks at no longer password.
const BYTES_MAX: u64 = 4096;
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];
const CLEAR: u8 = 21;

/// Asks for a line.
///
/// # Errors
/// Without a terminal.
pub(super) fn line(prompt: &str) -> Outcome<String> {
    let mut terminal = terminal()?;
    write!(terminal, "{prompt}")?;
    let mut line = String::new();
    BufReader::new(terminal.take(BYTES_MAX)).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a line that is not shown.
///
/// # Errors
/// Without a terminal, or when the person gives up.
pub(super) fn password(prompt: &str) -> Outcome<String> {
    let mut terminal = terminal()?;
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let quiet = Quiet::new(&terminal)?;
    let mut typed = Vec::new();
    let ended = loop {
        let mut byte = [0u8];
        if (&terminal).read(&mut byte)? == 0 {
            break true;
        }
        match byte[0] {
            b'\r' | b'\n' | END => break true,
            INTERRUPT => break false,
            CLEAR => typed.clear(),
            byte if BACKSPACE.contains(&byte) => back(&mut typed),
            byte if (typed.len() as u64) < BYTES_MAX => typed.push(byte),
            _ => {}
        }
    };
    drop(quiet);
    writeln!(terminal)?;
    if !ended {
        return Err(Failure::silent(exit::INTERRUPTED));
    }
    String::from_utf8(typed).map_err(|_| Failure::usage("the password is not valid UTF-8"))
}

/// Asks for a new password until both times agree, or reads it from standard input.
///
/// # Errors
/// As [`password`].
pub(crate) fn password_twice(from_stdin: bool) -> Outcome<String> {
    if from_stdin {
        return standard_input();
    }
    let first = password("new password: ")?;
    if password("again: ")? == first { Ok(first) } else { Err(Failure::new("the two are not the same")) }
}

/// Standard input as a password: one line end at its end does not count.
///
/// # Errors
/// When it cannot be read.
pub(super) fn standard_input() -> Outcome<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn terminal() -> Outcome<File> {
    File::options().read(true).write(true).open("/dev/tty").map_err(|_| {
        Failure::usage("there is no terminal to ask for a password")
            .hint("give the name with --user NAME and the password on standard input: --password-stdin")
    })
}

/// Takes the last character back, however many bytes it has.
fn back(typed: &mut Vec<u8>) {
    while let Some(byte) = typed.pop() {
        if byte & 0xc0 != 0x80 {
            return;
        }
    }
}

/// A terminal that shows nothing and hands on every key, until dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> Outcome<Self> {
        let before = tcgetattr(terminal).map_err(std::io::Error::from)?;
        let mut modes = before.clone();
        // Ctrl-C comes as a key: a signal would leave a terminal that shows nothing.
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &modes).map_err(std::io::Error::from)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_taken_back_whole() {
        let mut typed = "aä".as_bytes().to_vec();
        back(&mut typed);
        assert_eq!(typed, b"a");
        back(&mut typed);
        back(&mut typed);
        assert!(typed.is_empty());
    }
}
