//! Bodies in protobuf, as kubectl, Helm and client-go send them, make the same objects as their JSON.

use serde_json::{Value, json};

use crate::kinds_samples::samples;
use crate::protobuf_encode::{Encoder, bytes, envelope};
use crate::support::*;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What every object gets anew.
fn without_identity(mut object: Value) -> Value {
    let meta = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "creationTimestamp", "resourceVersion", "managedFields"] {
        meta.remove(field);
    }
    object
}

#[tokio::test]
async fn every_kind_is_the_same_in_protobuf() {
    let (in_json, in_protobuf) = (server().await, server().await);
    let encoder = Encoder::new();
    for sample in samples() {
        let want = post(&in_json, sample.path, &sample.object).await.expect(201);
        let body = encoder.body(&sample.object);
        let path = format!("{}?fieldValidation=Strict", sample.path);
        let got = ask(&in_protobuf, "POST", &path).header("content-type", PROTOBUF).body(body).send().await.expect(201);
        let (mut got, mut want) = (without_identity(got), without_identity(want));
        for object in [&mut got, &mut want] {
            drop_empty(object);
        }
        assert_eq!(got, want, "{}", sample.path);
    }
}

/// Empty structures and texts: clients' encoders write them where JSON leaves them out.
fn drop_empty(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(drop_empty);
        members.retain(|_, member| *member != json!({}) && *member != "");
    }
}

#[tokio::test]
async fn updates_and_deletes_take_protobuf() {
    let server = server().await;
    let made = post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let mut changed = made.clone();
    changed["data"]["a"] = "2".into();
    let path = format!("{CONFIG_MAPS}/a");
    let body = Encoder::new().body(&changed);
    let put = ask(&server, "PUT", &path).header("content-type", PROTOBUF).body(body).send().await.expect(200);
    assert_eq!(put["data"]["a"], "2");
    // A precondition that fails shows that the options were read: preconditions = 2, uid = 1.
    let options = envelope("v1", "DeleteOptions", &bytes(2, &bytes(1, b"other")));
    let refused = ask(&server, "DELETE", &path).header("content-type", PROTOBUF).body(options).send().await;
    assert_eq!(refused.code, 409, "{}", refused.text());
    let options = envelope("v1", "DeleteOptions", &bytes(4, b"Background"));
    ask(&server, "DELETE", &path).header("content-type", PROTOBUF).body(options).send().await.expect(200);
}

#[tokio::test]
async fn reviews_take_protobuf() {
    let server = server().await;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
        "spec": {"resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": "default"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let body = Encoder::new().body(&review);
    let answer = ask(&server, "POST", path).header("content-type", PROTOBUF).body(body).send().await.expect(201);
    assert_eq!(answer["status"]["allowed"], true);
}

#[tokio::test]
async fn a_scale_takes_protobuf() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &widget("w")).await.expect(201);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "w", "namespace": "default"}, "spec": {"replicas": 4}, "status": {"replicas": 0}});
    let path = format!("{WIDGETS}/w/scale");
    let body = Encoder::new().body(&scale);
    let scaled = ask(&server, "PUT", &path).header("content-type", PROTOBUF).body(body).send().await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 4);
}

#[tokio::test]
async fn broken_protobuf_is_a_bad_request_and_other_kinds_take_none() {
    let server = server_with_widgets().await;
    for body in [b"{}".to_vec(), b"k8s\0\xff".to_vec(), b"k8s\0\x12\x7f\x00".to_vec()] {
        ask(&server, "POST", CONFIG_MAPS).header("content-type", PROTOBUF).body(body).send().await.expect(400);
    }
    let body = envelope("demo.example.com/v1", "Widget", b"");
    ask(&server, "POST", WIDGETS).header("content-type", PROTOBUF).body(body).send().await.expect(415);
}
