//! The libraries, function by function, with what upstream's tests claim of them.

mod eval_support;

use eval_support::check;

#[test]
fn strings_count_characters() {
    check(&[
        ("'tacocat'.charAt(3)", "\"o\""),
        ("'tacocat'.charAt(7)", "\"\""),
        ("'tacocat'.charAt(30)", "error: index out of range: 30"),
        ("'ta©o©αT'.charAt(2) + 'ta©o©αT'.charAt(5)", "\"©α\""),
        ("'tacocat'.indexOf('ac')", "1"),
        ("'tacocat'.indexOf('none')", "-1"),
        ("'tacocat'.indexOf('a', 3)", "5"),
        ("'ta©o©αT'.indexOf('©', 3)", "4"),
        ("'tacocat'.indexOf('a', -1)", "error: index out of range: -1"),
        ("'tacocat'.indexOf('a', 30)", "-1"),
        ("'tacocat'.indexOf('')", "0"),
        ("'tacocat'.lastIndexOf('at')", "5"),
        ("'tacocat'.lastIndexOf('a', 3)", "1"),
        ("'ta©o©αT'.lastIndexOf('©', 3)", "2"),
        ("'tacocat'.lastIndexOf('')", "7"),
        ("'tacocat'.lastIndexOf('none')", "-1"),
        ("'TacoCÆt Xii'.lowerAscii()", "\"tacocÆt xii\""),
        ("'tacoCαt'.upperAscii()", "\"TACOCαT\""),
        ("'hello hello'.replace('he', 'we')", "\"wello wello\""),
        ("'hello hello'.replace('he', 'we', 1)", "\"wello hello\""),
        ("'hello hello'.replace('he', 'we', 0)", "\"hello hello\""),
        ("'hello hello'.replace('', '_')", "\"_h_e_l_l_o_ _h_e_l_l_o_\""),
        ("'hello hello'.replace('h', '')", "\"ello ello\""),
        ("'hello hello hello'.split(' ')", "[\"hello\",\"hello\",\"hello\"]"),
        ("'hello hello hello'.split(' ', 0)", "[]"),
        ("'hello hello hello'.split(' ', 1)", "[\"hello hello hello\"]"),
        ("'hello hello hello'.split(' ', 2)", "[\"hello\",\"hello hello\"]"),
        ("'hé'.split('')", "[\"h\",\"é\"]"),
        ("''.split(',')", "[\"\"]"),
        ("'tacocat'.substring(4)", "\"cat\""),
        ("'tacocat'.substring(0, 4)", "\"taco\""),
        ("'ta©o©αT'.substring(2, 6)", "\"©o©α\""),
        ("'tacocat'.substring(40)", "error: index out of range: 40"),
        ("'tacocat'.substring(3, 2)", "error: invalid substring range. start: 3, end: 2"),
        ("' \\f\\n\\r\\t\\vtext  '.trim()", "\"text\""),
        ("['x', 'y'].join() + ['a', 'b'].join('-') + [].join(',')", "\"xya-b\""),
        ("strings.quote('first\\nsecond \"x\"')", "\"\\\"first\\\\nsecond \\\\\\\"x\\\\\\\"\\\"\""),
        ("'abc'.contains('bc') && 'abc'.startsWith('ab') && 'abc'.endsWith('c')", "true"),
        ("jsonpatch.escapeKey('k8s.io/my~label')", "\"k8s.io~1my~0label\""),
    ]);
}

#[test]
fn formats_print_values_as_cel_go_does() {
    check(&[
        ("'%s and %d'.format([dyn('a'), 3])", "\"a and 3\""),
        ("'%%'.format([])", "\"%\""),
        ("'%b %b'.format([dyn(-5), true])", "\"-101 1\""),
        ("'%o'.format([11])", "\"13\""),
        ("'%x is %X'.format([dyn(30), 'hi'])", "\"1e is 6869\""),
        ("'%.3f'.format([1.2345])", "\"1.234\""),
        ("'%f'.format([10000.0])", "\"10,000.000000\""),
        ("'%.6e'.format([1052.032911275])", "\"1.052033\\u{202f}×\\u{202f}10⁰³\""),
        ("'%s'.format([[dyn(1), 'a', 2.5, null]])", "\"[1, \\\"a\\\", 2.500000, null]\""),
        ("'%s'.format([{'b': dyn(1), 'a': [true]}])", "\"{\\\"a\\\":[true], \\\"b\\\":1}\""),
        ("'%s'.format([timestamp('2023-02-03T23:31:20+00:00')])", "\"2023-02-03T23:31:20Z\""),
        ("'%s'.format([duration('1h45m47s')])", "\"6347s\""),
        ("'%s'.format([type(1)])", "\"int\""),
        (
            "'%d'.format([dyn('a')])",
            "error: error during formatting: decimal clause can only be used on integers, was given string",
        ),
        ("'%s %s'.format(dyn(['a']))", "error: index 1 out of range"),
        ("('%' + 'z').format(['a'])", "error: could not parse formatting clause: unrecognized formatting clause \"z\""),
        (
            "('%.' + '2').format([dyn(1.0)])",
            "error: could not parse formatting clause: error while parsing precision: \
          could not find end of precision specifier",
        ),
    ]);
}

#[test]
fn lists_sort_sum_and_slice() {
    check(&[
        ("[1, 2, 2].isSorted() && ![2, 1].isSorted() && ['a', 'b'].isSorted()", "true"),
        ("[1, 3].sum() + [4].sum()", "8"),
        ("[1.0, 3.0].sum()", "4"),
        ("[duration('1m'), duration('1s')].sum() == duration('1m1s')", "true"),
        ("[1, 3].min() + [1, 3].max()", "4"),
        ("[1, 2].filter(x, x > 5).min()", "error: min called on empty list"),
        ("[1, 2, 2, 3].indexOf(2) + [1, 2, 2, 3].lastIndexOf(2) + [1].indexOf(5)", "2"),
        ("[1, 2, 3, 4].slice(1, 3)", "[2,3]"),
        ("[1, 2].slice(2, 1)", "error: cannot slice(2, 1), start index must be less than or equal to end index"),
        ("[1, 2].slice(0, 9)", "error: cannot slice(0, 9), list is length 2"),
        ("[1, 2].slice(-1, 9)", "error: cannot slice(-1, 9), negative indexes not supported"),
        ("[[1], [2, 3]].flatten()", "[1,2,3]"),
        ("[dyn(1), [dyn(2), [dyn(3), [4]]]].flatten(2)", "[1,2,3,[4]]"),
        ("dyn([1]).flatten(-1)", "error: level must be non-negative"),
        ("[3, 1, 2].sort()", "[1,2,3]"),
        ("['b', 'a'].sort()", "[\"a\",\"b\"]"),
        ("[{'k': 2}, {'k': 1}].sortBy(e, e.k)", "[{\"k\":1},{\"k\":2}]"),
        ("lists.range(4)", "[0,1,2,3]"),
        ("lists.range(-4)", "[]"),
        ("[1, 2, 3].reverse()", "[3,2,1]"),
        ("[1, 2, 1].distinct()", "[1,2]"),
        ("sets.contains([1, 2], [1]) && !sets.contains([1], [1, 2]) && sets.contains([1], [])", "true"),
        ("sets.equivalent([1, 2, 2], [2, 1]) && !sets.equivalent([1], [2])", "true"),
        ("sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [])", "true"),
    ]);
}

#[test]
fn patterns_have_re2_semantics() {
    check(&[
        ("'abc 123'.matches('[0-9]+')", "true"),
        ("'abc'.matches('^b')", "false"),
        ("'abc 123'.find('[0-9]+')", "\"123\""),
        ("'abc'.find('x')", "\"\""),
        ("'123 abc 456'.findAll('[0-9]+')", "[\"123\",\"456\"]"),
        ("'123 abc 456'.findAll('[0-9]+', 1)", "[\"123\"]"),
        ("'x'.findAll('y')", "[]"),
        ("'a1'.matches('^[a-z][[:digit:]]$') && '٣'.matches('^\\\\D$')", "true"),
        ("'abc'.matches('a' + 'b')", "true"),
        ("'[x]'.matches('^[[x]+[]]$')", "true"),
    ]);
    check(&[
        ("'a'.matches('(' + '')", "error: error parsing regexp: missing closing ): `(`"),
        ("'a'.matches(')' + '')", "error: error parsing regexp: unexpected ): `)`"),
        ("'a'.find('[' + '')", "error: Illegal regex: error parsing regexp: missing closing ]: `[`"),
        (
            "'a'.findAll('*' + '')",
            "error: Illegal regex: error parsing regexp: missing argument to repetition operator: `*`",
        ),
    ]);
    let bomb = eval_support::eval("'a'.matches('((a{1,100}){1,100}){1,100}' + '')");
    assert!(bomb.contains("expression too large"), "{bomb}");
}

#[test]
fn urls_have_parts() {
    check(&[
        ("url('https://example.com:80/').getScheme()", "\"https\""),
        ("url('https://example.com:80/').getHost()", "\"example.com:80\""),
        (
            "url('https://example.com:80/').getHostname() + url('https://example.com:80/').getPort()",
            "\"example.com80\"",
        ),
        ("url('https://[::1]:80/').getHost() + ' ' + url('https://[::1]:80/').getHostname()", "\"[::1]:80 ::1\""),
        ("url('/path').getHost() + url('/path').getPort() + url('/path').getScheme()", "\"\""),
        ("url('https://example.com/path with spaces/').getEscapedPath()", "\"/path%20with%20spaces/\""),
        ("url('https://example.com').getEscapedPath()", "\"\""),
        ("url('https://example.com/path?k1=a&k2=b&k2=c').getQuery()", "{\"k1\":[\"a\"],\"k2\":[\"b\",\"c\"]}"),
        (
            "url('https://example.com/path?key with spaces=value with spaces').getQuery()",
            "{\"key with spaces\":[\"value with spaces\"]}",
        ),
        ("url('https://example.com/path?').getQuery()", "{}"),
        ("url('https://example.com/') == url('https://example.com/')", "true"),
        ("isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path')", "true"),
        ("isURL('https://a:b:c/') || isURL('../relative-path') || isURL('')", "false"),
        (
            "url('../relative-path')",
            "error: URL parse error during conversion from string: parse \"../relative-path\": invalid URI for request",
        ),
        (
            "url('https://a:b:c/')",
            "error: URL parse error during conversion from string: parse \"https://a:b:c/\": \
          invalid port \":b:c\" after host",
        ),
    ]);
}

#[test]
fn quantities_calculate() {
    check(&[
        (
            "isQuantity('1.3Gi') && isQuantity('1.3G') && isQuantity('200K') == false && isQuantity('x') == false",
            "true",
        ),
        ("quantity('200M').isInteger() && quantity('50k').asInteger() == 50000", "true"),
        ("quantity('0.5').isInteger()", "false"),
        ("quantity('9999999999999999999999999999999999999G').isInteger()", "false"),
        ("quantity('9999999999999999999999999999999999999G').asInteger()", "error: cannot convert value to integer"),
        ("quantity('150Mi').isGreaterThan(quantity('100Mi')) && quantity('50M').isLessThan(quantity('50Mi'))", "true"),
        ("quantity('200M').compareTo(quantity('0.2G'))", "0"),
        ("quantity('200M') == quantity('0.2G')", "true"),
        ("quantity('50k').add(quantity('20')) == quantity('50020')", "true"),
        ("quantity('50k').add(20).sub(quantity('50k')).asInteger()", "20"),
        ("quantity('50k').sub(20) == quantity('49980')", "true"),
        ("sign(quantity('-50k'))", "-1"),
        ("quantity('50.5').asApproximateFloat()", "50.5"),
        ("quantity('1Ki') == quantity('1024') && quantity('1e3') == quantity('1k')", "true"),
        (
            "quantity('10Mo')",
            "error: quantities must match the regular expression \
          '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("quantity('10MM')", "error: unable to parse quantity's suffix"),
    ]);
}

#[test]
fn addresses_and_networks() {
    check(&[
        ("ip('192.168.0.1').family() + ip('2001:db8::68').family()", "10"),
        ("string(ip('2001:0db8:0::68'))", "\"2001:db8::68\""),
        ("ip.isCanonical('127.0.0.1') && !ip.isCanonical('2001:DB8::68')", "true"),
        ("isIP('1.2.3.4') && !isIP('1.2.3.4.5') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%en0')", "true"),
        (
            "ip('192.168.0.1.0')",
            "error: IP Address \"192.168.0.1.0\" parse error during conversion from string: \
          ParseAddr(\"192.168.0.1.0\"): IPv4 address too long",
        ),
        ("ip('fe80::1%en0')", "error: IP address \"fe80::1%en0\" with zone value is not allowed"),
        ("ip('::ffff:1.2.3.4')", "error: IPv4-mapped IPv6 address \"::ffff:1.2.3.4\" is not allowed"),
        (
            "ip('0.0.0.0').isUnspecified() && ip('127.0.0.1').isLoopback() && ip('169.254.1.1').isLinkLocalUnicast()",
            "true",
        ),
        ("ip('224.0.0.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()", "true"),
        ("ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()", "true"),
        ("ip('127.0.0.1') == ip('127.0.0.1') && ip('127.0.0.1') != ip('10.0.0.1')", "true"),
        (
            "cidr('192.168.0.0/24').containsIP('192.168.0.1') && cidr('192.168.0.0/24').containsIP(ip('192.168.0.1'))",
            "true",
        ),
        ("cidr('192.168.0.0/24').containsIP(ip('192.168.1.1'))", "false"),
        (
            "cidr('192.168.0.0/24').containsCIDR('192.168.0.0/25') && !cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/23'))",
            "true",
        ),
        ("cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')", "true"),
        (
            "string(cidr('192.168.0.1/24')) + ' ' + string(cidr('192.168.0.1/24').ip())",
            "\"192.168.0.1/24 192.168.0.1\"",
        ),
        ("cidr('::1/128').prefixLength()", "128"),
        ("isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0/08')", "true"),
        ("cidr('0.0.0.0/0').containsIP('8.8.8.8') && cidr('::/0').containsIP('::1')", "true"),
    ]);
}

#[test]
fn named_formats_validate() {
    check(&[
        ("format.dns1123Label().validate('my-label-name')", "none"),
        ("format.dns1123Label().validate('contains a space').hasValue()", "true"),
        ("format.dns1123Subdomain().validate('apiextensions.k8s.io')", "none"),
        ("format.qualifiedName().validate('apiextensions.k8s.io/v1beta1')", "none"),
        ("format.qualifiedName().validate('contains a space').hasValue()", "true"),
        ("format.dns1123LabelPrefix().validate('my-label-name-')", "none"),
        ("format.dns1123LabelPrefix().validate('contains a space-').hasValue()", "true"),
        ("format.labelValue().validate('my-cool-label-Value')", "none"),
        ("format.uri().validate('http://example.com')", "none"),
        ("format.uri().validate('not a url').value()", "[\"parse \\\"not a url\\\": invalid URI for request\"]"),
        ("format.uuid().validate('123e4567-e89b-12d3-a456-426614174000')", "none"),
        ("format.uuid().validate('not-a-uuid').value()", "[\"does not match the UUID format\"]"),
        ("format.byte().validate('aGVsbG8=')", "none"),
        ("format.byte().validate('not base64').value()", "[\"invalid base64\"]"),
        ("format.date().validate('2021-01-01')", "none"),
        ("format.date().validate('not a date').value()", "[\"invalid date\"]"),
        ("format.datetime().validate('2021-01-01T00:00:00Z')", "none"),
        ("format.named('dns1123Label').value().validate('a')", "none"),
        ("format.named('unknown')", "none"),
        ("format.dns1123Label() == format.named('dns1123Label').value()", "true"),
        ("format.dns1035Label().validate('1a').value()[0].startsWith('a DNS-1035 label must consist of')", "true"),
    ]);
}

#[test]
fn versions_compare_by_precedence() {
    check(&[
        ("semver('1.2.3').major() + semver('1.2.3').minor() + semver('1.2.3').patch()", "6"),
        ("semver('1.2.3').isLessThan(semver('1.2.4')) && semver('1.10.0').isGreaterThan(semver('1.9.0'))", "true"),
        (
            "semver('1.0.0-alpha').isLessThan(semver('1.0.0')) && semver('1.0.0-alpha.1').compareTo(semver('1.0.0-alpha.beta')) == -1",
            "true",
        ),
        ("semver('1.0.0+a') == semver('1.0.0+b')", "true"),
        ("isSemver('1.0.0') && !isSemver('hello') && !isSemver('v1.0') && isSemver('v1.0', true)", "true"),
        ("semver('v01.01', true) == semver('1.1.0')", "true"),
        ("semver('hello')", "error: No Major.Minor.Patch elements found"),
        ("semver('01.0.0')", "error: Major number must not contain leading zeroes \"01\""),
    ]);
}
