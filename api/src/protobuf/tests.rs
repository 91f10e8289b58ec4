//! Golden bytes, written out by hand from the published numbers; every kind there and back; and bytes that are none.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[path = "../../tests/it/protobuf_encode.rs"]
mod protobuf_encode;

use protobuf_encode::{Encoder, bytes, envelope, number};

#[test]
fn a_secret_reads_as_its_json_form() {
    // name = 1, labels = 11 in the metadata; data = 2, type = 3 in the Secret.
    let raw = b"\x0a\x10\x0a\x01s\x5a\x0b\x0a\x03app\x12\x04webs\x12\x09\x0a\x03key\x12\x02\x00\xff\x1a\x06Opaque";
    assert_eq!(
        decode(&envelope("v1", "Secret", raw), "", "Secret").unwrap(),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"app": "webs"}},
               "data": {"key": "AP8="}, "type": "Opaque"})
    );
}

#[test]
fn a_lease_has_micro_times_and_keeps_what_was_set_to_nothing() {
    // holderIdentity = 1 (empty, but set), leaseDurationSeconds = 2, renewTime = 4: 2026-01-01 and 10 ms.
    let raw = b"\x12\x13\x0a\x00\x10\x0f\x22\x0b\x08\x80\xf2\xd6\xca\x06\x10\x80\xad\xe2\x04\x28\x00";
    let lease = decode(&envelope("coordination.k8s.io/v1", "Lease", raw), "coordination.k8s.io", "Lease").unwrap();
    assert_eq!(
        lease["spec"],
        json!({"holderIdentity": "", "leaseDurationSeconds": 15, "leaseTransitions": 0,
               "renewTime": "2026-01-01T00:00:00.010000Z"})
    );
}

#[test]
fn options_of_a_delete_read_as_json() {
    // gracePeriodSeconds = 1, preconditions = 2 (uid = 1), propagationPolicy = 4, dryRun = 5.
    let raw = b"\x08\x00\x12\x03\x0a\x01u\x22\x0aBackground\x2a\x03All";
    let options = decode(&envelope("v1", "DeleteOptions", raw), "meta.k8s.io", "DeleteOptions").unwrap();
    assert_eq!(
        options,
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"},
               "propagationPolicy": "Background", "dryRun": ["All"]})
    );
}

/// What the standard kinds' messages hold, beyond the objects that can be created: reviews, scales, schemas.
fn samples() -> Vec<Value> {
    let review = |kind: &str, spec: Value| {
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": {}, "spec": spec,
               "status": {"allowed": false}})
    };
    vec![
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
               "spec": {"audiences": ["a"], "expirationSeconds": 600, "boundObjectRef": {"kind": "Secret", "name": "s"}},
               "status": {"token": ""}}),
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
               "spec": {"token": "t"}, "status": {"user": {"extra": {"k": ["v", ""]}}}}),
        review(
            "SelfSubjectAccessReview",
            json!({"resourceAttributes": {"verb": "get", "resource": "widgets",
            "labelSelector": {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}}}),
        ),
        review(
            "SubjectAccessReview",
            json!({"user": "u", "extra": {"k": ["v"]}, "nonResourceAttributes": {"path": "/"}}),
        ),
        review("LocalSubjectAccessReview", json!({"groups": ["g"]})),
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"},
               "spec": {"replicas": 3}, "status": {"replicas": 0}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "w.x.y", "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"group": "x.y", "scope": "Cluster", "names": {"plural": "w", "kind": "W"},
                "versions": [{"name": "v1", "served": false, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "maximum": 1.5, "minimum": 2, "default": {"a": [1, null]}, "enum": ["a", 1],
                    "properties": {"p": {"items": {"type": "string"}, "x-kubernetes-preserve-unknown-fields": false},
                        "q": {"additionalProperties": true}, "r": {"additionalProperties": {"type": "integer"}},
                        "s": {"items": [{"type": "string"}]}},
                    "dependencies": {"d": ["e"], "f": {"type": "string"}},
                    "x-kubernetes-validations": [{"rule": "self > 0", "optionalOldSelf": true}]}}}]},
            "status": {"acceptedNames": {"plural": "", "kind": ""}}}),
    ]
}

#[test]
fn every_message_survives_the_way_there_and_back() {
    let encoder = Encoder::new();
    for sample in samples() {
        let version = sample["apiVersion"].as_str().unwrap();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let mut decoded = decode(&encoder.body(&sample), group, sample["kind"].as_str().unwrap()).unwrap();
        drop_empty(&mut decoded);
        let mut wanted = sample.clone();
        drop_empty(&mut wanted);
        assert_eq!(decoded, wanted);
    }
}

/// Members that are empty messages: the encoder writes them for structures that are no pointers.
fn drop_empty(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(drop_empty);
        members.retain(|_, member| *member != json!({}));
    }
}

#[test]
fn what_is_no_message_is_told() {
    let encoder = Encoder::new();
    let good = encoder.body(&samples()[0]);
    let cut = &good[..good.len() - 10];
    for (bytes, why) in [
        (&b"{}"[..], "magic"),
        (cut, "ends in"),
        (b"k8s\0\x13", "unknown kind"),
        (b"k8s\0\x0a", "ends in a number"),
        (b"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "too long"),
    ] {
        let error = decode(bytes, "authentication.k8s.io", "TokenRequest").unwrap_err();
        assert_eq!(error.code(), 400);
        assert!(error.message().contains(why), "{}", error.message());
    }
    assert_eq!(decode(&good, "apps", "Deployment").unwrap_err().code(), 415);
}

#[test]
fn bombs_are_refused() {
    let owners: Vec<u8> = (0..200_000).flat_map(|_| bytes(13, b"")).collect();
    let error = decode(&envelope("v1", "ConfigMap", &bytes(1, &owners)), "", "ConfigMap").unwrap_err();
    assert!(error.message().contains("too many parts"), "{}", error.message());
    // A schema of schemas, three bytes for each level: not = 28.
    let mut schema = number(37, 1);
    for _ in 0..5_000 {
        schema = bytes(28, &schema);
    }
    let crd = bytes(2, &bytes(7, &bytes(4, &bytes(1, &schema))));
    let body = envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", &crd);
    let error = decode(&body, "apiextensions.k8s.io", "CustomResourceDefinition").unwrap_err();
    assert!(error.message().contains("nested too deep"), "{}", error.message());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        for (group, kind) in [("", "Secret"), ("", "Event"), ("apiextensions.k8s.io", "CustomResourceDefinition")] {
            let _ = decode(&[MAGIC, &content].concat(), group, kind);
            let _ = decode(&envelope("v1", kind, &content), group, kind);
        }
    }

    #[test]
    fn changed_messages_are_read_or_refused(
        sample in 0..7usize, at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let sample = &samples()[sample];
        let version = sample["apiVersion"].as_str().unwrap();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let mut body = Encoder::new().body(sample);
        for (index, byte) in at {
            let index = index.index(body.len());
            body[index] = byte;
        }
        if let Ok(read) = decode(&body, group, sample["kind"].as_str().unwrap()) {
            prop_assert!(read.to_string().len() < 64 * body.len());
        }
    }
}
