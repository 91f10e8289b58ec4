//! cel-go's extensions, in the versions that Kubernetes 1.36 turns on: strings, lists, sets, optional values.
//!
//! Its math extension is not among them.

/// Strings, lists, sets, optional values.
pub(super) const TABLE: &str = r"
    string_char_at_int: .charAt(string, int) -> string
    string_index_of_string: .indexOf(string, string) -> int
    string_index_of_string_int: .indexOf(string, string, int) -> int
    string_last_index_of_string: .lastIndexOf(string, string) -> int
    string_last_index_of_string_int: .lastIndexOf(string, string, int) -> int
    string_lower_ascii: .lowerAscii(string) -> string
    string_replace_string_string: .replace(string, string, string) -> string
    string_replace_string_string_int: .replace(string, string, string, int) -> string
    string_split_string: .split(string, string) -> list(string)
    string_split_string_int: .split(string, string, int) -> list(string)
    string_substring_int: .substring(string, int) -> string
    string_substring_int_int: .substring(string, int, int) -> string
    string_trim: .trim(string) -> string
    string_upper_ascii: .upperAscii(string) -> string
    string_reverse: .reverse(string) -> string
    string_format: .format(string, list(dyn)) -> string
    strings_quote: strings.quote(string) -> string
    list_join: .join(list(string)) -> string
    list_join_string: .join(list(string), string) -> string
    
    list_slice: .slice(list(T), int, int) -> list(T)
    list_flatten: .flatten(list(list(T))) -> list(T)
    list_flatten_int: .flatten(list(dyn), int) -> list(dyn)
    lists_range: lists.range(int) -> list(int)
    list_reverse: .reverse(list(T)) -> list(T)
    list_distinct: .distinct(list(T)) -> list(T)
    
    list_int_sort: .sort(list(int)) -> list(int)
    list_uint_sort: .sort(list(uint)) -> list(uint)
    list_double_sort: .sort(list(double)) -> list(double)
    list_bool_sort: .sort(list(bool)) -> list(bool)
    list_duration_sort: .sort(list(duration)) -> list(duration)
    list_timestamp_sort: .sort(list(timestamp)) -> list(timestamp)
    list_string_sort: .sort(list(string)) -> list(string)
    list_bytes_sort: .sort(list(bytes)) -> list(bytes)
    list_int_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(int)) -> list(T)
    list_uint_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(uint)) -> list(T)
    list_double_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(double)) -> list(T)
    list_bool_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(bool)) -> list(T)
    list_duration_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(duration)) -> list(T)
    list_timestamp_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(timestamp)) -> list(T)
    list_string_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(string)) -> list(T)
    list_bytes_sortByAssociatedKeys: .@sortByAssociatedKeys(list(T), list(bytes)) -> list(T)
    
    list_sets_contains_list: sets.contains(list(T), list(T)) -> bool
    list_sets_equivalent_list: sets.equivalent(list(T), list(T)) -> bool
    list_sets_intersects_list: sets.intersects(list(T), list(T)) -> bool
    
    optional_of: optional.of(V) -> optional(V)
    optional_ofNonZeroValue: optional.ofNonZeroValue(V) -> optional(V)
    optional_none: optional.none() -> optional(V)
    optional_value: .value(optional(V)) -> V
    optional_hasValue: .hasValue(optional(V)) -> bool
    optional_or_optional: .or(optional(V), optional(V)) -> optional(V)
    optional_orValue_value: .orValue(optional(V), V) -> V
    select_optional_field: _?._(dyn, string) -> optional(V)
    list_first: .first(list(V)) -> optional(V)
    list_last: .last(list(V)) -> optional(V)
    optional_unwrap: optional.unwrap(list(optional(V))) -> list(V)
    optional_unwrapOpt: .unwrapOpt(list(optional(V))) -> list(V)
";
