//! What a string or bytes literal says, without its quotes and escapes.

/// The value of a string literal, given with its quotes and prefix.
///
/// # Errors
///
/// The reason in cel-go's words, when an escape names no character.
pub(crate) fn string(literal: &[char]) -> Result<String, &'static str> {
    let mut out = String::with_capacity(literal.len());
    let (body, raw) = strip(literal);
    pieces(body, raw, |piece| {
        let code = match piece {
            Piece::Char(c) => {
                out.push(c);
                return Ok(());
            }
            Piece::Byte(byte) => u32::from(byte),
            Piece::Code(code) => code,
        };
        out.push(char::from_u32(code).ok_or("invalid unicode code point")?);
        Ok(())
    })?;
    Ok(out)
}

/// The value of a bytes literal, given with its quotes and prefix: `\xff` and `\377` are single bytes.
///
/// # Errors
///
/// The reason in cel-go's words: `\u` and `\U` have no place in bytes.
pub(crate) fn bytes(literal: &[char]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(literal.len());
    let (body, raw) = strip(literal.get(1..).unwrap_or_default());
    pieces(body, raw, |piece| {
        match piece {
            Piece::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Piece::Byte(byte) => out.push(byte),
            Piece::Code(_) => return Err("unable to unescape string"),
        }
        Ok(())
    })?;
    Ok(out)
}

enum Piece {
    Char(char),
    /// `\x41`, `\101`.
    Byte(u8),
    /// `\u0041`, `\U00000041`.
    Code(u32),
}

/// The body between the quotes, and whether it is raw.
fn strip(literal: &[char]) -> (&[char], bool) {
    let raw = matches!(literal.first(), Some('r' | 'R'));
    let quoted = if raw { &literal[1..] } else { literal };
    let quotes = if quoted.len() >= 6 && quoted[1] == quoted[0] && quoted[2] == quoted[0] { 3 } else { 1 };
    (quoted.get(quotes..quoted.len().saturating_sub(quotes)).unwrap_or_default(), raw)
}

fn pieces(
    body: &[char],
    raw: bool,
    mut emit: impl FnMut(Piece) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let mut at = 0;
    while let Some(&c) = body.get(at) {
        at += 1;
        let piece = match c {
            // Line ends are one character, whatever the file was written with.
            '\r' => {
                at += usize::from(body.get(at) == Some(&'\n'));
                Piece::Char('\n')
            }
            '\\' if !raw => {
                let escape = *body.get(at).ok_or("unable to unescape string, found '\\' as last character")?;
                at += 1;
                escaped(escape, body, &mut at)?
            }
            c => Piece::Char(c),
        };
        emit(piece)?;
    }
    Ok(())
}

fn escaped(escape: char, body: &[char], at: &mut usize) -> Result<Piece, &'static str> {
    let plain = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '\'' | '"' | '`' | '?' => escape,
        'x' | 'X' => return Ok(Piece::Byte(u8::try_from(digits(body, at, 2, 16, 0)?).unwrap_or(u8::MAX))),
        'u' => return digits(body, at, 4, 16, 0).map(Piece::Code),
        'U' => return digits(body, at, 8, 16, 0).map(Piece::Code),
        '0'..='3' => {
            let value = digits(body, at, 2, 8, u32::from(escape) - u32::from('0'))?;
            return Ok(Piece::Byte(u8::try_from(value).unwrap_or(u8::MAX)));
        }
        _ => return Err("unable to unescape string"),
    };
    Ok(Piece::Char(plain))
}

fn digits(body: &[char], at: &mut usize, count: usize, base: u32, start: u32) -> Result<u32, &'static str> {
    let mut value = start;
    for _ in 0..count {
        let digit = body.get(*at).and_then(|c| c.to_digit(base)).ok_or("unable to unescape string")?;
        value = value.wrapping_mul(base) | digit;
        *at += 1;
    }
    Ok(value)
}
