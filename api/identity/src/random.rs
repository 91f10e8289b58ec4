//! Random bytes and names from the system's generator.

use std::fmt::Write;

use ring::rand::{SecureRandom, SystemRandom};

/// The system has no random numbers: nothing secret can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random numbers")]
pub struct NoRandom;

/// `N` random bytes.
///
/// # Errors
/// When the system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0u8; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// A random UUID (version 4), the form that `jti` has upstream.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn uuid() -> Result<String, NoRandom> {
    let mut b = bytes::<16>()?;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in b.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `length` random characters of `a-z2-7`: five bits each.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn base32(length: usize) -> Result<String, NoRandom> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in bytes::<32>()? {
            if text.len() < length {
                // 256 is a multiple of 32: every character is as likely as the next.
                text.push(char::from(ALPHABET[usize::from(byte & 31)]));
            }
        }
    }
    Ok(text)
}
