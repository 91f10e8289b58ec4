//! URLs as Go's `net/url` reads them.

use std::fmt;

/// A parsed URL; the parts are decoded, except `raw_query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    pub scheme: String,
    /// `user:password`, as written.
    user: Option<String>,
    pub host: String,
    path: String,
    /// The path as written, when decoding and encoding it does not give it back.
    raw_path: Option<String>,
    opaque: Option<String>,
    raw_query: Option<String>,
    fragment: Option<String>,
}

/// Where in a URL a character stands: what may stay unescaped depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    Fragment,
    User,
}

impl Url {
    /// An absolute URI or an absolute path (`ParseRequestURI`), then read again with its fragment.
    ///
    /// # Errors
    /// Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fail = |reason: String| format!("parse {}: {reason}", super::go::quote(text));
        Self::read(text, true).map_err(fail)?;
        let (without, fragment) = text.split_once('#').map_or((text, None), |(url, part)| (url, Some(part)));
        let mut url = Self::read(without, false).map_err(fail)?;
        if let Some(fragment) = fragment {
            url.fragment = Some(unescape(fragment, Place::Fragment).map_err(fail)?);
        }
        Ok(url)
    }

    fn read(text: &str, via_request: bool) -> Result<Self, String> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        if text.is_empty() && via_request {
            return Err("empty url".to_owned());
        }
        let (scheme, mut rest) = split_scheme(text)?;
        let mut url = Self { scheme: scheme.to_ascii_lowercase(), ..Self::default() };
        if let Some((before, query)) = rest.split_once('?') {
            url.raw_query = Some(query.to_owned());
            rest = before;
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = Some(rest.to_owned());
                return Ok(url);
            }
            if via_request {
                return Err("invalid URI for request".to_owned());
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if (!url.scheme.is_empty() || (!via_request && !rest.starts_with("///"))) && rest.starts_with("//") {
            let after = &rest[2..];
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            url.read_authority(authority)?;
            rest = path;
        }
        url.path = unescape(rest, Place::Path)?;
        if escape(&url.path, Place::Path) != rest {
            url.raw_path = Some(rest.to_owned());
        }
        Ok(url)
    }

    fn read_authority(&mut self, authority: &str) -> Result<(), String> {
        let host = match authority.rsplit_once('@') {
            None => authority,
            Some((user, host)) => {
                let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
                if !user.chars().all(allowed) {
                    return Err("net/url: invalid userinfo".to_owned());
                }
                unescape(user, Place::User)?;
                self.user = Some(user.to_owned());
                host
            }
        };
        let port = match host.strip_prefix('[') {
            Some(inside) => {
                let Some((_, after)) = inside.rsplit_once(']') else { return Err("missing ']' in host".to_owned()) };
                after
            }
            None => host.find(':').map_or("", |at| &host[at..]),
        };
        let is_port = port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        if !port.is_empty() && !is_port {
            return Err(format!("invalid port {} after host", super::go::quote(port)));
        }
        self.host = unescape(host, Place::Host)?;
        Ok(())
    }

    /// The host without its port and brackets.
    #[must_use]
    pub fn hostname(&self) -> &str {
        let (host, _) = self.split_port();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    #[must_use]
    pub fn port(&self) -> &str {
        self.split_port().1
    }

    fn split_port(&self) -> (&str, &str) {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
            _ => (&self.host, ""),
        }
    }

    #[must_use]
    pub fn escaped_path(&self) -> String {
        match &self.raw_path {
            Some(raw) if raw.chars().all(|c| c == '%' || c == '[' || c == ']' || keeps(c, Place::Path)) => raw.clone(),
            _ if self.path == "*" => "*".to_owned(),
            _ => escape(&self.path, Place::Path),
        }
    }

    /// Names with their values, in the order in which they come; ill-formed pairs are left out.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        let pairs = self.raw_query.iter().flat_map(|query| query.split('&'));
        let decode = |text: &str| unescape(&text.replace('+', " "), Place::Fragment).ok();
        pairs
            .filter(|pair| !pair.is_empty() && !pair.contains(';'))
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect()
    }
}

/// The scheme, and what follows the colon.
fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

/// Decodes `%xx`.
fn unescape(text: &str, place: Place) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let digits = after.get(..2).unwrap_or(after);
                let value = std::str::from_utf8(digits).ok().filter(|hex| hex.len() == 2);
                let value = value.and_then(|hex| u8::from_str_radix(hex.trim_start_matches('+'), 16).ok());
                let bad = || {
                    let shown = String::from_utf8_lossy(digits);
                    format!("invalid URL escape {}", super::go::quote(&format!("%{shown}")))
                };
                let value = value.ok_or_else(bad)?;
                // RFC 6874 allows %25 in a host, for zones; other bytes below 128 must not hide there
                if place == Place::Host && value < 0x80 && digits != b"25" {
                    return Err(bad());
                }
                bytes.push(value);
                rest = &after[2..];
            }
            byte if place == Place::Host && *byte < 0x80 && !is_host_byte(*byte) => {
                let shown = super::go::quote(&(*byte as char).to_string());
                return Err(format!("invalid character {shown} in host name"));
            }
            byte => bytes.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

/// True for characters that need no escape.
fn keeps(c: char, place: Place) -> bool {
    if c.is_ascii_alphanumeric() || "-_.~".contains(c) {
        return true;
    }
    match place {
        Place::Path => "$&+,/:;=@!'()*".contains(c),
        Place::Fragment => "$&+,/:;=?@!()*'".contains(c),
        Place::Host | Place::User => "$&+,;=:[]!'()*<>\"".contains(c),
    }
}

fn escape(text: &str, place: Place) -> String {
    let mut out = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for character in text.chars() {
        // Go leaves these two to the written form of the path
        let keeps = keeps(character, place) && !(place == Place::Path && "!'()*".contains(character));
        if keeps {
            out.push(character);
            continue;
        }
        for byte in character.encode_utf8(&mut buffer).bytes() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if let Some(opaque) = &self.opaque {
            f.write_str(opaque)?;
        } else {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    f.write_str("//")?;
                }
                if let Some(user) = &self.user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&self.host)?;
            }
            f.write_str(&self.escaped_path())?;
        }
        if let Some(query) = &self.raw_query {
            write!(f, "?{query}")?;
        }
        if let Some(fragment) = &self.fragment {
            write!(f, "#{}", escape(fragment, Place::Fragment))?;
        }
        Ok(())
    }
}
