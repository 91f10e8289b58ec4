//! Mutations of an input: the same seed gives the same bytes, on every machine.

/// Inputs grow no larger by mutation: what is slow by size alone is found by seeds made for it.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Bytes that decoders treat specially.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e308",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"\"\"",
    b"{}",
    b"[]",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\n---\n",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"\xf0\x9f\x98\x80",
    b"%2f",
    b"%",
    b"..",
    b"/",
    b"//",
    b"~1",
    b"*",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!binary ",
    b"|\n",
    b"- ",
    b"? ",
    b"(",
    b")",
    b"in",
    b"!",
    b"=",
    b"!=",
    b"k:{\"name\":\"a\"}",
    b"f:",
    b"v:1",
    b".",
    b"$patch",
    b"replace",
    b"k8s\0",
    b"\x0a\x80\x80\x80\x80\x08",
    b"\x80",
    b"\x84\xff\xff\xff\xff",
    b"\x30\x80",
    b"m",
    b"Ki",
    b"e9",
    b"self",
    b".map(x, x + x)",
    b"' '",
    b"[0]",
    b"?",
    b"&&",
];

/// A small generator of numbers (xorshift64*): enough for picking places.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a text and a number, so that each file and each round has its own.
    pub fn new(text: &str, round: u64) -> Self {
        // FNV-1a.
        let start = 0xcbf2_9ce4_8422_2325 ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 16) as usize % end }
    }
}

/// Changes an input in one to four places; `others` are inputs to take pieces from.
pub fn mutate(input: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..=random.below(4) {
        once(&mut out, others, random);
    }
    out.truncate(INPUT_BYTES_MAX.max(input.len()));
    out
}

fn once(out: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let at = random.below(out.len() + 1);
    let end = at + random.below((out.len() - at).min(64) + 1);
    match random.below(9) {
        0 if at < out.len() => out[at] ^= 1 << random.below(8),
        1 if at < out.len() => out[at] = random.below(256) as u8,
        2 => drop(out.drain(at..end)),
        // The same piece again, up to sixteen times: what grows too fast shows.
        3 => {
            let piece = out[at..end].repeat(1 << random.below(5));
            out.splice(at..at, piece);
        }
        4 | 5 => drop(out.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
        6 => drop(out.splice(at..end, WORDS[random.below(WORDS.len())].iter().copied())),
        // A number that is next to what was there.
        7 if at < out.len() && out[at].is_ascii_digit() => out[at] = b'0' + random.below(10) as u8,
        _ => {
            let Some(other) = others.get(random.below(others.len())) else { return };
            let from = random.below(other.len() + 1);
            let to = from + random.below((other.len() - from).min(256) + 1);
            out.splice(at..end, other[from..to].iter().copied());
        }
    }
}
