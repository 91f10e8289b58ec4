//! From the name of a function to its code.

use super::{
    arguments, arithmetic, authorizer, conversion, format, formats, lists, net, optional, quantity, regex, semver,
    sets, strings, time, url_functions,
};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::{Opaque, Value};

/// A function: arguments (the receiver first) and the meter of the evaluation.
pub(crate) type Function = for<'a> fn(&[Value<'a>], &mut Meter) -> Result<Value<'a>, EvalError>;

/// Functions that differ by their name only share an implementation that takes the name.
macro_rules! named {
    ($implementation:path, $name:literal) => {{
        fn function<'a>(args: &[Value<'a>], _: &mut Meter) -> Result<Value<'a>, EvalError> {
            $implementation($name, args)
        }
        function as Function
    }};
}

/// The code of `function`; `overload` (empty when several may apply) only decides what arguments cannot: the type of
/// the sum of an empty list.
pub(crate) fn lookup(function: &str, overload: &str) -> Option<Function> {
    standard(function).or_else(|| extension(function, overload)).or_else(|| kubernetes(function))
}

fn standard(function: &str) -> Option<Function> {
    Some(match function {
        "_+_" => arithmetic::add,
        "_-_" => arithmetic::subtract,
        "_*_" => arithmetic::multiply,
        "_/_" => arithmetic::divide,
        "_%_" => arithmetic::modulo,
        "-_" => arithmetic::negate,
        "!_" => arithmetic::not,
        "_<_" => arithmetic::less,
        "_<=_" => arithmetic::less_equals,
        "_>_" => arithmetic::greater,
        "_>=_" => arithmetic::greater_equals,
        "@in" => arithmetic::contained,
        "size" => arithmetic::size,
        "cel.@mapInsert" => arithmetic::map_insert,
        "int" => conversion::int,
        "uint" => conversion::uint,
        "double" => conversion::double,
        "string" => conversion::string,
        "bytes" => conversion::bytes,
        "bool" => conversion::bool,
        "timestamp" => conversion::timestamp,
        "duration" => conversion::duration,
        "dyn" => conversion::dynamic,
        "type" => conversion::type_of,
        "contains" => strings::contains,
        "startsWith" => strings::starts_with,
        "endsWith" => strings::ends_with,
        "matches" => regex::matches,
        "getFullYear" => time::full_year,
        "getMonth" => time::month,
        "getDayOfYear" => time::day_of_year,
        "getDate" => time::date,
        "getDayOfMonth" => time::day_of_month,
        "getDayOfWeek" => time::day_of_week,
        "getHours" => time::hours,
        "getMinutes" => time::minutes,
        "getSeconds" => time::seconds,
        "getMilliseconds" => time::milliseconds,
        _ => return None,
    })
}

fn extension(function: &str, overload: &str) -> Option<Function> {
    Some(match function {
        "charAt" => strings::char_at,
        "lowerAscii" => strings::lower_ascii,
        "upperAscii" => strings::upper_ascii,
        "trim" => strings::trim,
        "replace" => strings::replace,
        "split" => strings::split,
        "substring" => strings::substring,
        "join" => strings::join,
        "strings.quote" => strings::quote,
        "format" => format::format,
        "slice" => lists::slice,
        "flatten" => lists::flatten,
        "reverse" => lists::reverse,
        "distinct" => lists::distinct,
        "sort" => lists::sort,
        "@sortByAssociatedKeys" => lists::sort_by,
        "lists.range" => lists::range,
        "sets.contains" => sets::contains,
        "sets.equivalent" => sets::equivalent,
        "sets.intersects" => sets::intersects,
        "optional.of" => optional::of,
        "optional.none" => optional::none,
        "optional.ofNonZeroValue" => optional::of_non_zero,
        "value" => optional::value,
        "hasValue" => optional::has_value,
        "first" => optional::first,
        "last" => optional::last,
        "optional.unwrap" | "unwrapOpt" => optional::unwrap,
        "isSorted" => lists::is_sorted,
        "sum" => match overload {
            "list_uint_sum_uint" => lists::sum_uint,
            "list_double_sum_double" => lists::sum_double,
            "list_duration_sum_duration" => lists::sum_duration,
            _ => lists::sum_int,
        },
        "min" => lists::min,
        "max" => lists::max,
        "indexOf" => lists::index_of,
        "lastIndexOf" => lists::last_index_of,
        _ => return None,
    })
}

fn kubernetes(function: &str) -> Option<Function> {
    Some(match function {
        "find" => regex::find,
        "findAll" => regex::find_all,
        "url" => url_functions::parse,
        "isURL" => url_functions::is_url,
        "getScheme" => named!(url_functions::part, "getScheme"),
        "getHost" => named!(url_functions::part, "getHost"),
        "getHostname" => named!(url_functions::part, "getHostname"),
        "getPort" => named!(url_functions::part, "getPort"),
        "getEscapedPath" => named!(url_functions::part, "getEscapedPath"),
        "getQuery" => url_functions::query,
        "quantity" => quantity::parse,
        "isQuantity" => quantity::is_quantity,
        "sign" => named!(quantity::unary, "sign"),
        "isInteger" => named!(quantity::unary, "isInteger"),
        "asInteger" => named!(quantity::unary, "asInteger"),
        "asApproximateFloat" => named!(quantity::unary, "asApproximateFloat"),
        "add" => named!(quantity::arithmetic, "add"),
        "sub" => named!(quantity::arithmetic, "sub"),
        "isGreaterThan" => named!(compare, "isGreaterThan"),
        "isLessThan" => named!(compare, "isLessThan"),
        "compareTo" => named!(compare, "compareTo"),
        "ip" => net::ip,
        "isIP" => net::is_ip,
        "ip.isCanonical" => net::is_canonical,
        "family" => named!(net::ip_test, "family"),
        "isUnspecified" => named!(net::ip_test, "isUnspecified"),
        "isLoopback" => named!(net::ip_test, "isLoopback"),
        "isLinkLocalMulticast" => named!(net::ip_test, "isLinkLocalMulticast"),
        "isLinkLocalUnicast" => named!(net::ip_test, "isLinkLocalUnicast"),
        "isGlobalUnicast" => named!(net::ip_test, "isGlobalUnicast"),
        "cidr" => net::cidr,
        "isCIDR" => net::is_cidr,
        "containsIP" => net::contains_ip,
        "containsCIDR" => net::contains_cidr,
        "prefixLength" => net::prefix_length,
        "masked" => net::masked,
        "semver" => semver::parse,
        "isSemver" => semver::is_semver,
        "major" => named!(semver::part, "major"),
        "minor" => named!(semver::part, "minor"),
        "patch" => named!(semver::part, "patch"),
        "format.named" => formats::by_name,
        "validate" => formats::validate,
        "jsonpatch.escapeKey" => strings::escape_key,
        "path" => named!(authorizer::step, "path"),
        "group" => named!(authorizer::step, "group"),
        "resource" => named!(authorizer::step, "resource"),
        "subresource" => named!(authorizer::step, "subresource"),
        "namespace" => named!(authorizer::step, "namespace"),
        "name" => named!(authorizer::step, "name"),
        "fieldSelector" => named!(authorizer::step, "fieldSelector"),
        "labelSelector" => named!(authorizer::step, "labelSelector"),
        "serviceAccount" => authorizer::service_account,
        "check" => authorizer::check,
        "allowed" => named!(authorizer::decision, "allowed"),
        "reason" => named!(authorizer::decision, "reason"),
        "errored" => named!(authorizer::decision, "errored"),
        "error" => named!(authorizer::decision, "error"),
        _ => return None,
    })
}

/// `compareTo`, `isLessThan` and `isGreaterThan` of quantities and versions.
fn compare<'a>(name: &'static str, args: &[Value<'a>]) -> Result<Value<'a>, EvalError> {
    let ordering = match args {
        [Value::Opaque(Opaque::Quantity(a)), Value::Opaque(Opaque::Quantity(b))] => a.compare(b),
        [Value::Opaque(Opaque::Semver(a)), Value::Opaque(Opaque::Semver(b))] => a.compare(b),
        _ => return Err(arguments(name, args)),
    };
    Ok(match name {
        "compareTo" => Value::Int(ordering as i64),
        "isLessThan" => Value::Bool(ordering.is_lt()),
        _ => Value::Bool(ordering.is_gt()),
    })
}
