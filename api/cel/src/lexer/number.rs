//! Numbers: `12`, `0x1f`, `12u`, `0x1fu`, `1.5`, `.5e3`, `1e-3`.

use super::{Kind, Scan};

/// The longest number at the start of the text, which starts with a digit, or a dot and a digit.
pub(super) fn scan(rest: &[char]) -> Scan {
    if let Some(hex) = hexadecimal(rest) {
        return hex;
    }
    let whole = digits(rest);
    let mut length = whole;
    let mut float = false;
    if rest.get(length) == Some(&'.') {
        let fraction = digits(&rest[length + 1..]);
        // `1.` is the number 1 and a dot: a selection may follow.
        if fraction > 0 {
            length += 1 + fraction;
            float = true;
        }
    }
    let exponent = exponent(&rest[length..]);
    if exponent > 0 {
        return Scan::Token(Kind::Float, length + exponent);
    }
    if float {
        return Scan::Token(Kind::Float, length);
    }
    unsigned(rest, length)
}

fn hexadecimal(rest: &[char]) -> Option<Scan> {
    if !rest.starts_with(&['0', 'x']) {
        return None;
    }
    let digits = rest[2..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
    // `0xg` is the number 0 and the name `xg`.
    (digits > 0).then(|| unsigned(rest, 2 + digits))
}

fn unsigned(rest: &[char], length: usize) -> Scan {
    match rest.get(length) {
        Some('u' | 'U') => Scan::Token(Kind::Uint, length + 1),
        _ => Scan::Token(Kind::Int, length),
    }
}

fn digits(rest: &[char]) -> usize {
    rest.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// Length of `e12`, `E+12`, `e-12`; 0 when there is none.
fn exponent(rest: &[char]) -> usize {
    if !matches!(rest.first(), Some('e' | 'E')) {
        return 0;
    }
    let sign = usize::from(matches!(rest.get(1), Some('+' | '-')));
    match digits(&rest[1 + sign..]) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}
