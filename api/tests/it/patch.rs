//! JSON patch, merge patch, strategic merge patch.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_merge_patch_sets_and_removes() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("c")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/c");
    let patched = patch(&server, "merge", &path, &json!({"data": {"a": null, "b": "2"}})).await.expect(200);
    assert_eq!(patched["data"], json!({"b": "2"}));
    patch(&server, "merge", &path, &json!({"metadata": {"resourceVersion": "1"}})).await.expect(409);
    patch(&server, "merge", &path, &json!({"metadata": {"name": "other"}})).await.expect(400);
    patch(&server, "merge", &path, &json!({"metadata": {"uid": "other"}})).await.expect(422);
    patch(&server, "merge", &path, &json!({"kind": "Secret"})).await.expect(422);
    patch(&server, "merge", &path, &json!([])).await.expect(400);
    patch(&server, "merge", &format!("{CONFIG_MAPS}/absent"), &json!({})).await.expect(404);
    patch(&server, "merge", &format!("{path}?force=true"), &json!({})).await.expect(422);
    patch(&server, "application/json", &path, &json!({})).await.expect(415);
}

#[tokio::test]
async fn json_patches_behave_as_go_clients_expect() {
    let server = server().await;
    let made = post(&server, CONFIG_MAPS, &config_map("c")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/c");
    let revision = &made["metadata"]["resourceVersion"];
    for (patch_body, code) in [
        (json!([{"op": "test", "path": "/metadata/finalizers", "value": null}]), 200),
        (json!([{"op": "test", "path": "/metadata/resourceVersion", "value": revision}]), 200),
        (json!([{"op": "test", "path": "/data/a", "value": "other"}]), 422),
        (json!([{"op": "add", "path": "/nope/deep", "value": 1}]), 422),
        (json!([{"op": "remove", "path": "/data/zzz"}]), 422),
        (json!([{"op": "frobnicate", "path": "/data"}]), 422),
        (json!({"op": "add"}), 400),
        (json!(vec![json!({"op": "test", "path": "/data/a", "value": "1"}); 10_001]), 413),
        (json!([{"op": "add", "path": "/data/x~1y", "value": "no"}]), 422),
        (
            json!([{"op": "add", "path": "/data/b", "value": "2"}, {"op": "replace", "path": "/data/a", "value": "9"}]),
            200,
        ),
    ] {
        let answer = patch(&server, "json", &path, &patch_body).await;
        assert_eq!(answer.code, code, "{patch_body}: {}", answer.text());
    }
    assert_eq!(get(&server, &path).await.expect(200)["data"], json!({"a": "9", "b": "2"}));
}

#[tokio::test]
async fn the_finalizer_patches_of_kube_rs_work() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a");
    let add = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["x.io/f"]},
    ]);
    patch(&server, "json", &path, &add).await.expect(200);
    patch(&server, "json", &path, &add).await.expect(422);
    let remove = json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "x.io/f"},
        {"op": "remove", "path": "/metadata/finalizers/0", "path": "/metadata/finalizers/0"},
    ]);
    let left = patch(&server, "json", &path, &remove).await.expect(200);
    assert!(left["metadata"].get("finalizers").is_none());
}

#[tokio::test]
async fn strategic_patches_are_for_kinds_that_kubectl_knows() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    patch(&server, "strategic", &format!("{SERVICES}/a"), &json!({})).await.expect(415);
    let path = "/api/v1/namespaces/default";
    let patched = patch(&server, "strategic", path, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    assert_eq!(patched["metadata"]["labels"]["a"], "b");
    assert_eq!(patched["metadata"]["labels"]["kubernetes.io/metadata.name"], "default");
}

#[tokio::test]
async fn managed_fields_can_be_patched_verbatim() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("c")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/c");
    let entry = json!({"manager": "me", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}});
    let body = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}]);
    let patched = patch(&server, "json", &path, &body).await.expect(200);
    assert_eq!(patched["metadata"]["managedFields"], json!([entry]));
}
