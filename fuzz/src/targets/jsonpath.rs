//! JSONPath templates: what they print is bounded, and the same each time.

use berth_schema::jsonpath::Template;
use berth_schema::table::Columns;
use serde_json::json;

use crate::input;

/// What a template of a few KiB may print of the small object below.
const PRINTED_BYTES_MAX: usize = 32 << 20;

pub(crate) fn run(bytes: &[u8]) {
    let Some([text, data]) = input::parts::<2>(bytes) else { return };
    let data = input::json(data).unwrap_or_else(|| {
        json!({"kind": "List", "items": [
            {"metadata": {"name": "a", "labels": {"x.io/y": "z"}}, "spec": {"ports": [80, 443], "replicas": 1.5}},
            {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}, null, []]})
    });
    for parse in [Template::parse, Template::parse_relaxed] {
        match parse(text) {
            Ok(template) => {
                let printed = template.render(&data);
                assert!(printed.as_ref().map_or(0, String::len) <= PRINTED_BYTES_MAX);
                assert_eq!(template.find(&data), template.find(&data));
                let _ = template.allow_missing(false).find(&data).len();
            }
            Err(why) => assert!(why.0.len() <= 4 * text.len() + 256),
        }
    }
    let column =
        json!([{"name": "C", "type": "date", "jsonPath": text}, {"name": "I", "type": "integer", "jsonPath": text}]);
    if let Ok(columns) = Columns::compile(&column) {
        let cells = columns.cells(&data, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(cells.as_array().map(Vec::len), columns.definitions().as_array().map(Vec::len));
    }
}
