//! Kubernetes' libraries of IP addresses and networks (CIDRs), as Go's `netip` reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{arguments, go};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Opaque, Prefix, Value};

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

/// An address without a zone and not an IPv4 address in IPv6 clothes.
fn read_ip(text: &str) -> std::result::Result<IpAddr, String> {
    let quoted = go::quote(text);
    if let Some((address, zone)) = text.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
        && !zone.is_empty()
    {
        return Err(format!("IP address {quoted} with zone value is not allowed"));
    }
    let address: IpAddr = text.parse().map_err(|_| {
        let reason = parse_error(text);
        format!("IP Address {quoted} parse error during conversion from string: ParseAddr({quoted}): {reason}")
    })?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"))
        }
        other => Ok(other),
    }
}

/// What `netip.ParseAddr` says about text that is no address.
fn parse_error(text: &str) -> String {
    let Some(first) = text.chars().find(|c| matches!(c, '.' | ':' | '%')) else {
        return "unable to parse IP".to_owned();
    };
    if first == '%' {
        return "missing IPv6 address".to_owned();
    }
    if first == ':' {
        return match text.split(':').find(|field| field.len() > 4 && !field.contains('.')) {
            Some(_) => format!("each group must have 4 or fewer digits (at {})", go::quote(text)),
            None => "invalid IPv6 address".to_owned(),
        };
    }
    let fields: Vec<&str> = text.split('.').collect();
    for field in &fields {
        if field.is_empty() {
            return format!("IPv4 field must have at least one digit (at {})", go::quote(text));
        }
        if !field.bytes().all(|byte| byte.is_ascii_digit()) {
            return format!("unexpected character (at {})", go::quote(field));
        }
        if field.len() > 1 && field.starts_with('0') {
            return "IPv4 field has octet with leading zero".to_owned();
        }
        if field.parse::<u8>().is_err() {
            return "IPv4 field has value >255".to_owned();
        }
    }
    if fields.len() > 4 { "IPv4 address too long" } else { "IPv4 address too short" }.to_owned()
}

fn read_cidr(text: &str) -> std::result::Result<Prefix, String> {
    let quoted = go::quote(text);
    let fail = |reason: String| {
        format!("network address parse error during conversion from string: netip.ParsePrefix({quoted}): {reason}")
    };
    let Some((address, bits)) = text.rsplit_once('/') else { return Err(fail("no '/'".to_owned())) };
    let ip: IpAddr =
        address.parse().map_err(|_| fail(format!("ParseAddr({}): {}", go::quote(address), parse_error(address))))?;
    let canonical = bits == "0" || (bits.bytes().all(|byte| byte.is_ascii_digit()) && !bits.starts_with('0'));
    let bad_bits = || fail(format!("bad bits after slash: {}", go::quote(bits)));
    if bits.is_empty() || !canonical {
        return Err(bad_bits());
    }
    let bits: u8 = bits.parse().map_err(|_| bad_bits())?;
    if bits > if ip.is_ipv4() { 32 } else { 128 } {
        return Err(fail("prefix length out of range".to_owned()));
    }
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(format!("IPv4-mapped IPv6 address {quoted} is not allowed"))
        }
        address => Ok(Prefix { address, bits }),
    }
}

impl Prefix {
    /// The network's first address.
    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        };
        Self { address, bits: self.bits }
    }

    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, bits: self.bits }.masked().address == self.masked().address
    }
}

fn ip_value<'a>(address: IpAddr) -> Value<'a> {
    Value::Opaque(Opaque::Ip(Arc::new(address)))
}

/// `ip(text)` and `cidr.ip()`.
pub(super) fn ip<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    match args {
        [Value::String(text)] => read_ip(text).map(ip_value).map_err(EvalError::new),
        [Value::Opaque(Opaque::Cidr(prefix))] => Ok(ip_value(prefix.address)),
        _ => Err(arguments("ip", args)),
    }
}

pub(super) fn is_ip<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("isIP", args)) };
    Ok(Value::Bool(read_ip(text).is_ok()))
}

pub(super) fn is_canonical<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("ip.isCanonical", args)) };
    let address = read_ip(text).map_err(EvalError::new)?;
    Ok(Value::Bool(address.to_string() == **text))
}

/// The tests of an address.
pub(super) fn ip_test<'a>(name: &'static str, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Opaque(Opaque::Ip(address))] = args else { return Err(arguments(name, args)) };
    let link_local_multicast = match **address {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    };
    let link_local_unicast = match **address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    };
    Ok(match name {
        "family" => Value::Int(if address.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Value::Bool(address.is_unspecified()),
        "isLoopback" => Value::Bool(address.is_loopback()),
        "isLinkLocalMulticast" => Value::Bool(link_local_multicast),
        "isLinkLocalUnicast" => Value::Bool(link_local_unicast),
        _ => Value::Bool(
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && !link_local_unicast
                && **address != IpAddr::V4(Ipv4Addr::BROADCAST),
        ),
    })
}

pub(super) fn cidr<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("cidr", args)) };
    cidr_of(text).map(|prefix| Value::Opaque(Opaque::Cidr(Arc::new(prefix))))
}

fn cidr_of(text: &str) -> std::result::Result<Prefix, EvalError> {
    // upstream says it twice
    read_cidr(text)
        .map_err(|error| EvalError::new(format!("network address parse error during conversion from string: {error}")))
}

pub(super) fn is_cidr<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::String(text)] = args else { return Err(arguments("isCIDR", args)) };
    Ok(Value::Bool(read_cidr(text).is_ok()))
}

pub(super) fn contains_ip<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let (prefix, address) = match args {
        [Value::Opaque(Opaque::Cidr(prefix)), Value::Opaque(Opaque::Ip(address))] => (prefix, **address),
        [Value::Opaque(Opaque::Cidr(prefix)), Value::String(text)] => (prefix, read_ip(text).map_err(EvalError::new)?),
        _ => return Err(arguments("containsIP", args)),
    };
    Ok(Value::Bool(prefix.contains(address)))
}

pub(super) fn contains_cidr<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let (prefix, other) = match args {
        [Value::Opaque(Opaque::Cidr(prefix)), Value::Opaque(Opaque::Cidr(other))] => (prefix, **other),
        [Value::Opaque(Opaque::Cidr(prefix)), Value::String(text)] => (prefix, cidr_of(text)?),
        _ => return Err(arguments("containsCIDR", args)),
    };
    Ok(Value::Bool(prefix.bits <= other.bits && prefix.contains(other.address)))
}

pub(super) fn prefix_length<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::Opaque(Opaque::Cidr(prefix))] = args else { return Err(arguments("prefixLength", args)) };
    Ok(Value::Int(i64::from(prefix.bits)))
}

pub(super) fn masked<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<'a> {
    let [Value::Opaque(Opaque::Cidr(prefix))] = args else { return Err(arguments("masked", args)) };
    Ok(Value::Opaque(Opaque::Cidr(Arc::new(prefix.masked()))))
}
