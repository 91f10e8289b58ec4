//! Rows C063 to C071 and C169: merge patches, JSON patches, and which kinds take which.

use serde_json::{Value, json};

use super::*;

/// What an answer to a JSON patch that cannot be done says.
const REFUSED: &str = "the server rejected our request due to an error in our request";

#[tokio::test]
async fn a_merge_takes_away_with_null_and_may_be_empty() {
    let server = toy().await;
    let made =
        post(&server, WIDGETS, &toy_of("a", json!({"color": "red", "params": {"x": "1", "y": "2"}}))).await.expect(201);
    let less = patch(&server, "merge", &at("a"), &json!({"spec": {"params": {"x": null}}})).await.expect(200);
    assert_eq!(less["spec"]["params"], json!({"y": "2"}));
    let same = patch(&server, "merge", &at("a"), &json!({})).await.expect(200);
    assert_eq!(same, less);
    patch(&server, "merge", &format!("{}/status", at("a")), &json!({})).await.expect(200);
    let stale = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"size": 9}});
    patch(&server, "merge", &at("a"), &stale).await.hints(409, "Conflict", "the object has been modified");
    patch(&server, "merge", &at("a"), &json!({"metadata": {"resourceVersion": ""}})).await.expect(422);
}

#[tokio::test]
async fn a_merge_does_not_make_another_object() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    patch(&server, "merge", &at("a"), &json!({"metadata": {"name": "b"}})).await.expect(400);
    patch(&server, "merge", &at("a"), &json!({"metadata": {"namespace": "b"}})).await.expect(400);
    let uid = patch(&server, "merge", &at("a"), &json!({"metadata": {"uid": "b"}})).await;
    assert_eq!(uid.hints(422, "Invalid", "field is immutable")["details"]["causes"][0]["field"], "metadata.uid");
    patch(&server, "merge", &at("a"), &json!({"kind": "Gadget"})).await.hints(422, "Invalid", "must be Widget");
    patch(&server, "merge", &at("absent"), &json!({})).await.expect(404);
    let path = at("a");
    let sent = ask(&server, "PATCH", &path).header("content-type", "application/merge-patch+json").body("{");
    sent.send().await.hints(400, "BadRequest", "error decoding patch");
    patch(&server, "merge", &at("a"), &json!([])).await.hints(
        400,
        "BadRequest",
        "cannot unmarshal array into Go value of type map[string]interface {}",
    );
    patch(&server, "merge", &format!("{path}?force=true"), &json!({})).await.says(
        422,
        "Invalid",
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
    );
}

#[tokio::test]
async fn json_patches_change_several_things_or_nothing() {
    let server = toy().await;
    post(&server, WIDGETS, &toy_of("a", json!({"color": "red", "params": {"x/y": "1"}}))).await.expect(201);
    let body = json!([
        {"op": "test", "path": "/spec/params/x~1y", "value": "1"},
        {"op": "replace", "path": "/spec/params/x~1y", "value": "2"},
        {"op": "add", "path": "/spec/params/n~0m", "value": "3"},
        {"op": "copy", "from": "/spec/color", "path": "/spec/note"},
        {"op": "move", "from": "/spec/params/n~0m", "path": "/spec/params/moved"},
    ]);
    let done = patch(&server, "json", &at("a"), &body).await.expect(200);
    assert_eq!((&done["spec"]["params"], &done["spec"]["note"]), (&json!({"x/y": "2", "moved": "3"}), &json!("red")));
    let half = json!([{"op": "replace", "path": "/spec/color", "value": "blue"}, {"op": "test", "path": "/spec/size", "value": 99}]);
    patch(&server, "json", &at("a"), &half).await.expect(422);
    assert_eq!(get(&server, &at("a")).await.expect(200), done);
}

#[tokio::test]
async fn json_patches_have_the_semantics_of_go() {
    let server = toy().await;
    post(&server, WIDGETS, &toy_of("a", json!({"color": "red", "atoms": ["a", "b"]}))).await.expect(201);
    let one = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    for refused in [
        one("test", "/spec/color", json!("blue")),
        one("test", "/spec/note", json!("x")),
        one("test", "/spec/size", json!(3.5)),
        one("add", "/nope/deep", json!(1)),
        one("replace", "/nope/deep", json!(1)),
        one("test", "/nope/deep", Value::Null),
        one("add", "/metadata/annotations/k", json!("v")),
        one("remove", "/spec/zzz", Value::Null),
        one("frobnicate", "/spec", Value::Null),
        one("add", "/spec/atoms/9", json!("x")),
    ] {
        // Here it also says which operation and why.
        let status = patch(&server, "json", &at("a"), &refused).await.hints(422, "Invalid", REFUSED);
        assert_eq!(status["details"], json!({}), "{refused}");
    }
    for (accepted, atoms) in [
        (json!([]), json!(["a", "b"])),
        (one("test", "/spec/note", Value::Null), json!(["a", "b"])),
        (one("replace", "/spec/note", json!("was missing")), json!(["a", "b"])),
        (one("add", "/spec/atoms/-", json!("c")), json!(["a", "b", "c"])),
        (one("replace", "/spec/atoms/-1", json!("d")), json!(["a", "b", "d"])),
        (one("add", "/spec/atoms/0", json!("z")), json!(["z", "a", "b", "d"])),
    ] {
        assert_eq!(patch(&server, "json", &at("a"), &accepted).await.expect(200)["spec"]["atoms"], atoms, "{accepted}");
    }
    patch(&server, "json", &at("a"), &json!({"op": "test"})).await.expect(400);
    let many: Vec<Value> = (0..10_001).map(|_| json!({"op": "test", "path": "/spec/color", "value": "red"})).collect();
    patch(&server, "json", &at("a"), &json!(many)).await.hints(
        413,
        "RequestEntityTooLarge",
        "The allowed maximum operations in a JSON patch is 10000, got 10001",
    );
}

#[tokio::test]
async fn finalizers_are_edited_as_operators_do() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    let krs = json!([{"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["krs.example.com/f"]}]);
    let held = patch(&server, "json", &at("a"), &krs).await.expect(200);
    patch(&server, "json", &at("a"), &krs).await.expect(422);
    let free = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "krs.example.com/f"},
        {"op": "remove", "path": "/metadata/finalizers/0"}]);
    let freed = patch(&server, "json", &at("a"), &free).await.expect(200);
    let kopf = |object: &Value| {
        json!([{"op": "test", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]},
        {"op": "add", "path": "/metadata/finalizers", "value": ["kopf.zalando.org/KopfFinalizerMarker"]}])
    };
    patch(&server, "json", &at("a"), &kopf(&made)).await.expect(422);
    patch(&server, "json", &at("a"), &kopf(&held)).await.expect(422);
    patch(&server, "json", &at("a"), &kopf(&freed)).await.expect(200);
}

#[tokio::test]
async fn each_kind_of_patch_is_for_some_kinds() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    for kind in ["strategic", "application/json", "text/plain"] {
        let part = "accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        patch(&server, kind, &at("a"), &json!({})).await.hints(415, "UnsupportedMediaType", part);
    }
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    patch(&server, "strategic", "/api/v1/namespaces/default", &labels).await.expect(200);
}

#[tokio::test]
async fn counters_by_test_and_replace_lose_nothing() {
    let server = toy().await;
    post(&server, WIDGETS, &toy_of("n", json!({"color": "red", "size": 1}))).await.expect(201);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let server = server.clone();
        writers.spawn(async move {
            let mut done = 0;
            while done < 5 {
                let size = get(&server, &at("n")).await.expect(200)["spec"]["size"].as_u64().unwrap();
                let body = json!([{"op": "test", "path": "/spec/size", "value": size},
                    {"op": "replace", "path": "/spec/size", "value": size + 1}]);
                let answer = patch(&server, "json", &at("n"), &body).await;
                assert!([200, 409, 422].contains(&answer.code), "{}", answer.text());
                done += usize::from(answer.code == 200);
            }
        });
    }
    writers.join_all().await;
    assert_eq!(get(&server, &at("n")).await.expect(200)["spec"]["size"], 41);
}
