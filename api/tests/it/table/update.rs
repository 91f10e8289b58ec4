//! Rows C055 to C062: replacing objects, their status and their scale.

use serde_json::{Value, json};

use super::*;

const STALE: &str = "the object has been modified; please apply your changes to the latest version and try again";

#[tokio::test]
async fn a_custom_object_is_replaced_at_its_revision_only() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let details = put(&server, &at("a"), &widget("a")).await.says(
        422,
        "Invalid",
        "Widget.demo.example.com \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    );
    assert_eq!(details["causes"][0]["field"], "metadata.resourceVersion");
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    put(&server, &format!("{CONFIG_MAPS}/a"), &config_map("a")).await.expect(200);
}

#[tokio::test]
async fn an_old_revision_or_another_uid_is_a_conflict() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    let mut change = made.clone();
    change["spec"]["size"] = 4.into();
    let now = put(&server, &at("a"), &change).await.expect(200);
    let message = format!("Operation cannot be fulfilled on widgets.demo.example.com \"a\": {STALE}");
    put(&server, &at("a"), &change).await.says(409, "Conflict", &message);
    let mut other = now.clone();
    other["metadata"]["uid"] = "other".into();
    let uid = now["metadata"]["uid"].as_str().unwrap();
    let part = format!("Precondition failed: UID in precondition: other, UID in object meta: {uid}");
    put(&server, &at("a"), &other).await.hints(409, "Conflict", &part);
}

#[tokio::test]
async fn the_same_again_writes_nothing() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    let path = format!("{WIDGETS}?watch=1&resourceVersion={}", revision(&made));
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    let same = put(&server, &at("a"), &made).await.expect(200);
    assert_eq!(revision(&same), revision(&made));
    post(&server, WIDGETS, &widget("b")).await.expect(201);
    assert_eq!(lines.brief(1).await, ["ADDED b"], "nothing about a");
}

#[tokio::test]
async fn generations_count_what_is_wished() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    let labelled = patch(&server, "merge", &at("a"), &json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    assert!(revision(&labelled) > revision(&made) && labelled["metadata"]["generation"] == 1);
    let changed = patch(&server, "merge", &at("a"), &json!({"spec": {"size": 4}})).await.expect(200);
    assert_eq!(changed["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_replacement_bears_the_name_of_the_path() {
    let server = toy().await;
    let mut made = post(&server, WIDGETS, &widget("c1")).await.expect(201);
    made["metadata"]["name"] = "zzz".into();
    put(&server, &at("c1"), &made).await.says(
        400,
        "BadRequest",
        "the name of the object (zzz) does not match the name on the URL (c1)",
    );
    let mut absent = widget("absent");
    absent["metadata"]["resourceVersion"] = "1".into();
    put(&server, &at("absent"), &absent).await.expect(404);
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}});
    put(&server, "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", &lease).await.expect(201);
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": []});
    put(&server, "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/r", &role).await.expect(201);
}

#[tokio::test]
async fn the_status_is_written_by_itself() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    let mut change = made.clone();
    change["spec"]["color"] = "blue".into();
    change["metadata"]["labels"] = json!({"a": "b"});
    change["status"] = json!({"phase": "Ready"});
    let status = format!("{}/status?fieldManager=agent", at("a"));
    let done = put(&server, &status, &change).await.expect(200);
    assert_eq!(
        (&done["status"]["phase"], &done["spec"], &done["metadata"]["generation"]),
        (&json!("Ready"), &made["spec"], &json!(1))
    );
    assert!(done["metadata"].get("labels").is_none(), "{done}");
    assert_eq!(entry(&done, "agent")["subresource"], "status");
    assert_eq!(get(&server, &format!("{}/status", at("a"))).await.expect(200), done);
    let mut main = done.clone();
    main["status"]["phase"] = "Mine".into();
    assert_eq!(put(&server, &at("a"), &main).await.expect(200)["status"]["phase"], "Ready");
    put(&server, &status, &change).await.expect(409);
}

#[tokio::test]
async fn a_subresource_has_its_own_methods() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let status = format!("{}/status", at("a"));
    post(&server, &status, &widget("a")).await.expect(405);
    delete(&server, &status).await.expect(405);
    get(&server, &format!("{}/bogus", at("a"))).await.expect(404);
    let method = ask(&server, "POST", &at("a")).json(&widget("a")).send().await.expect(405);
    assert_eq!(method["reason"], "MethodNotAllowed");
}

#[tokio::test]
async fn the_scale_is_read_and_written() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("c1")).await.expect(201);
    let scale = format!("{}/scale", at("c1"));
    let read = get(&server, &scale).await.expect(200);
    let meta = &made["metadata"];
    assert_eq!(
        read,
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {"name": "c1", "namespace": "default", "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"]},
            "spec": {"replicas": 1}, "status": {"replicas": 0}})
    );
    let set = |count: Value| json!({"spec": {"replicas": count}});
    assert_eq!(patch(&server, "merge", &scale, &set(json!(4))).await.expect(200)["spec"]["replicas"], 4);
    assert_eq!(get(&server, &at("c1")).await.expect(200)["spec"]["replicas"], 4);
    patch(&server, "merge", &scale, &set(json!(-1))).await.hints(422, "Invalid", "should be a non-negative integer");
    put(&server, &scale, &read).await.expect(409);
    let mut free = read.clone();
    free["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    free["spec"]["replicas"] = 2.into();
    assert_eq!(put(&server, &scale, &free).await.expect(200)["spec"]["replicas"], 2);
}
