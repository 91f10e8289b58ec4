//! The story that upstream's conformance specs tell of each kind that they cover: found in discovery, created
//! thrice, read, listed, watched, patched, updated, deleted, and deleted as a collection; in JSON and protobuf.

use serde_json::{Value, json};

use super::*;
use crate::kinds_samples::{Sample, samples};
use crate::protobuf_encode::Encoder;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Sends an object as one of the two kinds of clients does.
async fn send(server: &ApiServer, method: &str, path: &str, object: &Value, in_protobuf: bool) -> Answer {
    let asked = ask(server, method, path);
    match in_protobuf {
        true => asked.header("content-type", PROTOBUF).body(Encoder::new().body(object)).send().await,
        false => asked.json(object).send().await,
    }
}

/// Three objects of a sample, told apart by name and found by a label.
fn three(sample: &Sample) -> Vec<Value> {
    let one = |n: usize| {
        let mut object = sample.object.clone();
        let name = sample.object["metadata"]["name"].as_str().unwrap();
        object["metadata"]["name"] = match object["kind"].as_str().unwrap() {
            "CustomResourceDefinition" => format!("x{n}{name}"),
            "APIService" => format!("v1.x{n}.example.com"),
            _ => format!("e2e-{n}"),
        }
        .into();
        object["metadata"]["labels"] = json!({"e2e": "yes"});
        match object["kind"].as_str().unwrap() {
            "CustomResourceDefinition" => {
                let names = &mut object["spec"]["names"];
                for field in ["plural", "singular", "kind", "listKind"] {
                    let old = names[field].as_str().unwrap();
                    let new = if field.ends_with("ind") { format!("X{n}{old}") } else { format!("x{n}{old}") };
                    names[field] = new.into();
                }
            }
            "APIService" => object["spec"]["group"] = format!("x{n}.example.com").into(),
            _ => {}
        }
        object
    };
    (0..3).map(one).collect()
}

async fn story(server: &ApiServer, sample: &Sample, in_protobuf: bool) {
    let path = sample.path;
    let (version, plural) = (sample.object["apiVersion"].as_str().unwrap(), path.rsplit('/').next().unwrap());
    let root = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    let found = get(server, &root).await.expect(200);
    assert!(found["resources"].as_array().unwrap().iter().any(|r| r["name"] == plural), "{path}");
    let objects = three(sample);
    for object in &objects {
        send(server, "POST", path, object, in_protobuf).await.expect(201);
    }
    let mine = format!("{path}?labelSelector=e2e%3Dyes");
    let list = get(server, &mine).await.expect(200);
    assert_eq!(names(&list).len(), 3, "{path}");
    let everywhere = path.replace("/namespaces/default", "");
    assert_eq!(names(&get(server, &format!("{everywhere}?labelSelector=e2e%3Dyes")).await.expect(200)).len(), 3);
    let name = objects[0]["metadata"]["name"].as_str().unwrap();
    let one = format!("{path}/{name}");
    let read = get(server, &one).await.expect(200);
    let watch = format!(
        "{path}?watch=1&labelSelector=e2e%3Dyes&fieldSelector=metadata.name%3D{name}&resourceVersion={}",
        revision(&list)
    );
    let mut lines = Lines::new(ask(server, "GET", &watch).response().await);
    let patched =
        patch(server, "merge", &one, &json!({"metadata": {"annotations": {"patched": "true"}}})).await.expect(200);
    assert_eq!(patched["metadata"]["annotations"]["patched"], "true");
    let strategic = json!({"metadata": {"labels": {"strategic": "true"}}});
    let mut update = patch(server, "strategic", &one, &strategic).await.expect(200);
    loop {
        update["metadata"]["annotations"]["updated"] = "true".into();
        let answer = send(server, "PUT", &one, &update, in_protobuf).await;
        if answer.code != 409 {
            assert_eq!(answer.expect(200)["metadata"]["annotations"]["updated"], "true", "{path}");
            break;
        }
        update = get(server, &one).await.expect(200);
    }
    assert_eq!(update["metadata"]["uid"], read["metadata"]["uid"]);
    loop {
        let event = lines.next().await.unwrap();
        assert_eq!(event["type"], "MODIFIED", "{path}");
        if event["object"]["metadata"]["annotations"]["updated"] == "true" {
            break;
        }
    }
    delete(server, &one).await.expect(200);
    if sample.object["kind"] == "Namespace" {
        return;
    }
    loop {
        let event = lines.next().await.unwrap();
        if event["type"] == "DELETED" {
            break;
        }
    }
    get(server, &one).await.expect(404);
    assert_eq!(names(&get(server, &mine).await.expect(200)).len(), 2, "{path}");
    delete(server, &mine).await.expect(200);
    for object in &objects[1..] {
        gone(server, path, object["metadata"]["name"].as_str().unwrap()).await;
    }
    assert!(names(&get(server, &mine).await.expect(200)).is_empty(), "{path}");
}

/// Waits until an object is gone: a definition takes a moment to take its objects along.
async fn gone(server: &ApiServer, path: &str, name: &str) {
    let list = get(server, &format!("{path}?fieldSelector=metadata.name%3D{name}")).await.expect(200);
    if names(&list).is_empty() {
        return;
    }
    let watch = format!("{path}?watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={}", revision(&list));
    let mut lines = Lines::new(ask(server, "GET", &watch).response().await);
    while lines.next().await.expect("it goes in time")["type"] != "DELETED" {}
}

#[tokio::test]
async fn every_kind_lives_its_life_in_json() {
    let server = server().await;
    for sample in samples() {
        story(&server, &sample, false).await;
    }
}

#[tokio::test]
async fn every_kind_lives_its_life_in_protobuf() {
    let server = server().await;
    for sample in samples() {
        story(&server, &sample, true).await;
    }
}

#[tokio::test]
async fn a_request_for_a_review_is_answered_to_users_and_accounts() {
    let server = server().await;
    post(&server, "/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "e2e"}}))
        .await
        .expect(201);
    let attributes = json!({"namespace": "default", "verb": "list", "resource": "configmaps", "version": "v1"});
    let who = json!({"user": "system:serviceaccount:default:e2e", "resourceAttributes": attributes});
    let root = "/apis/authorization.k8s.io/v1";
    let review = post(&server, &format!("{root}/subjectaccessreviews"), &json!({"spec": who})).await.expect(201);
    assert_eq!(review["status"]["allowed"], false);
    let local = format!("{root}/namespaces/default/localsubjectaccessreviews");
    let body = json!({"metadata": {"namespace": "default"}, "spec": who});
    let review = post(&server, &local, &body).await.expect(201);
    assert_eq!((&review["status"]["allowed"], &review["kind"]), (&json!(false), &json!("LocalSubjectAccessReview")));
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let info = send(&server, "POST", me, &body, true).await.expect(201)["status"]["userInfo"].clone();
    assert!(
        info["username"].is_string() && info["groups"].as_array().unwrap().iter().any(|g| g == "system:authenticated"),
        "{info}"
    );
    let other = ask(&server, "POST", me)
        .header("impersonate-user", "jane-doe")
        .header("impersonate-uid", "uniq-id")
        .header("impersonate-group", "system:authenticated")
        .header("impersonate-extra-known-languages", "python");
    let info = other.json(&body).send().await.expect(201)["status"]["userInfo"].clone();
    assert_eq!(
        info,
        json!({"username": "jane-doe", "uid": "uniq-id", "groups": ["system:authenticated"],
            "extra": {"known-languages": ["python"]}})
    );
}
