//! Kubernetes' own libraries: lists, regular expressions, formats, addresses, quantities, versions, authorization.

pub(super) const TABLES: [&str; 5] = [LISTS, TEXT, NETWORK, NUMBERS, AUTHORIZATION];

/// Order, sums and positions.
const LISTS: &str = r"
    list_int_is_sorted_bool: .isSorted(list(int)) -> bool
    list_uint_is_sorted_bool: .isSorted(list(uint)) -> bool
    list_double_is_sorted_bool: .isSorted(list(double)) -> bool
    list_bool_is_sorted_bool: .isSorted(list(bool)) -> bool
    list_duration_is_sorted_bool: .isSorted(list(duration)) -> bool
    list_timestamp_is_sorted_bool: .isSorted(list(timestamp)) -> bool
    list_string_is_sorted_bool: .isSorted(list(string)) -> bool
    list_bytes_is_sorted_bool: .isSorted(list(bytes)) -> bool
    list_int_sum_int: .sum(list(int)) -> int
    list_uint_sum_uint: .sum(list(uint)) -> uint
    list_double_sum_double: .sum(list(double)) -> double
    list_duration_sum_duration: .sum(list(duration)) -> duration
    list_int_max_int: .max(list(int)) -> int
    list_uint_max_uint: .max(list(uint)) -> uint
    list_double_max_double: .max(list(double)) -> double
    list_bool_max_bool: .max(list(bool)) -> bool
    list_duration_max_duration: .max(list(duration)) -> duration
    list_timestamp_max_timestamp: .max(list(timestamp)) -> timestamp
    list_string_max_string: .max(list(string)) -> string
    list_bytes_max_bytes: .max(list(bytes)) -> bytes
    list_int_min_int: .min(list(int)) -> int
    list_uint_min_uint: .min(list(uint)) -> uint
    list_double_min_double: .min(list(double)) -> double
    list_bool_min_bool: .min(list(bool)) -> bool
    list_duration_min_duration: .min(list(duration)) -> duration
    list_timestamp_min_timestamp: .min(list(timestamp)) -> timestamp
    list_string_min_string: .min(list(string)) -> string
    list_bytes_min_bytes: .min(list(bytes)) -> bytes
    list_a_index_of_int: .indexOf(list(A), A) -> int
    list_a_last_index_of_int: .lastIndexOf(list(A), A) -> int
";

/// Regular expressions, escapes of JSON pointers, named formats.
const TEXT: &str = r"
    string_find_string: .find(string, string) -> string
    string_find_all_string: .findAll(string, string) -> list(string)
    string_find_all_string_int: .findAll(string, string, int) -> list(string)
    string_jsonpatch_escapeKey_string: jsonpatch.escapeKey(string) -> string
    
    format-validate: .validate(format, string) -> optional(list(string))
    format-named: format.named(string) -> optional(format)
    format.dns1123Label: format.dns1123Label() -> format
    format.dns1123Subdomain: format.dns1123Subdomain() -> format
    format.dns1035Label: format.dns1035Label() -> format
    format.qualifiedName: format.qualifiedName() -> format
    format.dns1123LabelPrefix: format.dns1123LabelPrefix() -> format
    format.dns1123SubdomainPrefix: format.dns1123SubdomainPrefix() -> format
    format.dns1035LabelPrefix: format.dns1035LabelPrefix() -> format
    format.labelValue: format.labelValue() -> format
    format.uri: format.uri() -> format
    format.uuid: format.uuid() -> format
    format.byte: format.byte() -> format
    format.date: format.date() -> format
    format.datetime: format.datetime() -> format
";

/// Addresses, networks, URLs.
const NETWORK: &str = r"
    string_to_ip: ip(string) -> ip
    ip_family: .family(ip) -> int
    ip_is_canonical: ip.isCanonical(string) -> bool
    ip_is_unspecified: .isUnspecified(ip) -> bool
    ip_is_loopback: .isLoopback(ip) -> bool
    ip_is_link_local_multicast: .isLinkLocalMulticast(ip) -> bool
    ip_is_link_local_unicast: .isLinkLocalUnicast(ip) -> bool
    ip_is_global_unicast: .isGlobalUnicast(ip) -> bool
    is_ip: isIP(string) -> bool
    ip_to_string: string(ip) -> string
    
    string_to_cidr: cidr(string) -> cidr
    cidr_contains_ip_string: .containsIP(cidr, string) -> bool
    cidr_contains_ip_ip: .containsIP(cidr, ip) -> bool
    cidr_contains_cidr_string: .containsCIDR(cidr, string) -> bool
    cidr_contains_cidr: .containsCIDR(cidr, cidr) -> bool
    cidr_ip: .ip(cidr) -> ip
    cidr_prefix_length: .prefixLength(cidr) -> int
    cidr_masked: .masked(cidr) -> cidr
    is_cidr: isCIDR(string) -> bool
    cidr_to_string: string(cidr) -> string
    
    string_to_url: url(string) -> url
    url_get_scheme: .getScheme(url) -> string
    url_get_host: .getHost(url) -> string
    url_get_hostname: .getHostname(url) -> string
    url_get_port: .getPort(url) -> string
    url_get_escaped_path: .getEscapedPath(url) -> string
    url_get_query: .getQuery(url) -> map(string, list(string))
    is_url_string: isURL(string) -> bool
";

/// Quantities and semantic versions.
const NUMBERS: &str = r"
    string_to_quantity: quantity(string) -> quantity
    is_quantity_string: isQuantity(string) -> bool
    quantity_sign: sign(quantity) -> int
    quantity_sign_member: .sign(quantity) -> int
    quantity_is_greater_than: .isGreaterThan(quantity, quantity) -> bool
    quantity_is_less_than: .isLessThan(quantity, quantity) -> bool
    quantity_compare_to: .compareTo(quantity, quantity) -> int
    quantity_get_float: .asApproximateFloat(quantity) -> double
    quantity_get_int: .asInteger(quantity) -> int
    quantity_is_integer: .isInteger(quantity) -> bool
    quantity_add: .add(quantity, quantity) -> quantity
    quantity_add_int: .add(quantity, int) -> quantity
    quantity_sub: .sub(quantity, quantity) -> quantity
    quantity_sub_int: .sub(quantity, int) -> quantity
    
    string_to_semver: semver(string) -> semver
    string_bool_to_semver: semver(string, bool) -> semver
    is_semver_string: isSemver(string) -> bool
    is_semver_string_bool: isSemver(string, bool) -> bool
    semver_is_greater_than: .isGreaterThan(semver, semver) -> bool
    semver_is_less_than: .isLessThan(semver, semver) -> bool
    semver_compare_to: .compareTo(semver, semver) -> int
    semver_major: .major(semver) -> int
    semver_minor: .minor(semver) -> int
    semver_patch: .patch(semver) -> int
";

/// What a user may do.
const AUTHORIZATION: &str = r"
    authorizer_path: .path(authorizer, string) -> path_check
    authorizer_group: .group(authorizer, string) -> group_check
    authorizer_serviceaccount: .serviceAccount(authorizer, string, string) -> authorizer
    groupcheck_resource: .resource(group_check, string) -> resource_check
    resourcecheck_subresource: .subresource(resource_check, string) -> resource_check
    resourcecheck_namespace: .namespace(resource_check, string) -> resource_check
    resourcecheck_name: .name(resource_check, string) -> resource_check
    authorizer_fieldselector: .fieldSelector(resource_check, string) -> resource_check
    authorizer_labelselector: .labelSelector(resource_check, string) -> resource_check
    pathcheck_check: .check(path_check, string) -> decision
    resourcecheck_check: .check(resource_check, string) -> decision
    decision_errored: .errored(decision) -> bool
    decision_error: .error(decision) -> string
    decision_allowed: .allowed(decision) -> bool
    decision_reason: .reason(decision) -> string
";
