//! JSON bodies: what is read is what serde_json reads, and is read again from what is stored and answered.

use berth_api::fuzzing::{body, encoded};
use serde_json::Value;

use crate::shape::depth;

/// The server's limit.
const DEPTH_MAX: usize = 100;

pub(crate) fn run(bytes: &[u8]) {
    let plain = serde_json::from_slice::<Value>(bytes);
    match body(bytes, false) {
        Ok((value, duplicates)) => {
            assert!(depth(&value) <= DEPTH_MAX);
            assert_eq!(plain.ok().as_ref(), Some(&value), "serde_json reads the same");
            assert!(duplicates.len() <= 64);
            let again = body(value.to_string().as_bytes(), false).unwrap();
            assert_eq!(again, (value.clone(), Vec::new()));
            if value.get("metadata").is_some_and(Value::is_object) {
                stored(&value);
            }
        }
        Err((code, why)) => {
            assert_eq!(code, 400);
            assert!(why.len() <= 2 * bytes.len() + 256);
            assert!(plain.map_or(true, |value| depth(&value) > DEPTH_MAX), "a good body was refused: {why}");
        }
    }
}

fn stored(object: &Value) {
    let mut object = object.clone();
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let (bytes, answered) = encoded(&object, 42);
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), object);
    object["metadata"]["resourceVersion"] = "42".into();
    assert_eq!(serde_json::from_slice::<Value>(&answered).unwrap(), object);
}
