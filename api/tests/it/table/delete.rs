//! Rows C088 to C094: objects that go.

use serde_json::{Value, json};

use super::*;

async fn delete_with(server: &berth_api::ApiServer, path: &str, options: &Value) -> Answer {
    ask(server, "DELETE", path).json(options).send().await
}

#[tokio::test]
async fn who_deletes_is_told_what_went() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("c1")).await.expect(201);
    let details = json!({"name": "c1", "group": "demo.example.com", "kind": "widgets", "uid": made["metadata"]["uid"]});
    assert_eq!(
        delete(&server, &at("c1")).await.expect(200),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
    );
    delete(&server, &at("c1")).await.says(404, "NotFound", "widgets.demo.example.com \"c1\" not found");
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    post(&server, accounts, &json!({"metadata": {"name": "bot"}})).await.expect(201);
    assert_eq!(delete(&server, &format!("{accounts}/bot")).await.expect(200)["kind"], "ServiceAccount");
}

#[tokio::test]
async fn a_finalizer_keeps_an_object_that_is_going() {
    let server = toy().await;
    let mut object = widget("f");
    object["metadata"]["finalizers"] = json!(["ex.com/f"]);
    post(&server, WIDGETS, &object).await.expect(201);
    let going = delete(&server, &at("f")).await.expect(200);
    assert_eq!(
        (&going["metadata"]["deletionGracePeriodSeconds"], &going["metadata"]["generation"]),
        (&json!(0), &json!(2))
    );
    let again = delete(&server, &at("f")).await.expect(200);
    assert_eq!(again["metadata"]["deletionTimestamp"], going["metadata"]["deletionTimestamp"]);
    let more = json!({"metadata": {"finalizers": ["ex.com/f", "ex.com/g"]}});
    patch(&server, "merge", &at("f"), &more).await.hints(
        422,
        "Invalid",
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"ex.com/g\"}",
    );
    patch(&server, "merge", &at("f"), &json!({"metadata": {"labels": {"still": "here"}}})).await.expect(200);
    post(&server, WIDGETS, &widget("f")).await.says(
        409,
        "AlreadyExists",
        "object is being deleted: widgets.demo.example.com \"f\" already exists",
    );
    patch(&server, "merge", &at("f"), &json!({"metadata": {"finalizers": null}})).await.expect(200);
    get(&server, &at("f")).await.expect(404);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_deletes_nothing() {
    let server = toy().await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let words = format!(
        "the UID in the precondition (zzz) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
    );
    delete_with(&server, &at("a"), &json!({"preconditions": {"uid": "zzz"}})).await.hints(409, "Conflict", &words);
    let words = format!(
        "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({}). The object might have been modified",
        revision(&made)
    );
    delete_with(&server, &at("a"), &json!({"preconditions": {"resourceVersion": "1"}}))
        .await
        .hints(409, "Conflict", &words);
    delete_with(&server, &at("a"), &json!({"preconditions": {"uid": uid}})).await.expect(200);
}

#[tokio::test]
async fn a_policy_says_what_becomes_of_dependents() {
    let server = toy().await;
    for name in ["a", "b"] {
        post(&server, WIDGETS, &widget(name)).await.expect(201);
    }
    let bogus = delete(&server, &format!("{}?propagationPolicy=Bogus", at("a"))).await;
    bogus.hints(
        422,
        "Invalid",
        "Unsupported value: \"Bogus\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
    );
    delete_with(&server, &at("a"), &json!({"orphanDependents": true, "propagationPolicy": "Orphan"})).await.expect(422);
    let front = delete(&server, &format!("{}?propagationPolicy=Foreground", at("a"))).await.expect(200);
    assert_eq!(front["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let alone = delete_with(&server, &at("b"), &json!({"propagationPolicy": "Orphan"})).await.expect(200);
    assert_eq!(alone["metadata"]["finalizers"], json!(["orphan"]));
}

#[tokio::test]
async fn options_come_in_every_format_and_a_dry_run_deletes_nothing() {
    let server = toy().await;
    for name in ["a", "b", "c"] {
        post(&server, WIDGETS, &widget(name)).await.expect(201);
    }
    delete(&server, &format!("{}?dryRun=All", at("a"))).await.expect(200);
    delete_with(&server, &at("a"), &json!({"dryRun": ["All"]})).await.expect(200);
    get(&server, &at("a")).await.expect(200);
    delete_with(&server, &at("a"), &json!({})).await.expect(200);
    let yaml = "apiVersion: v1\nkind: DeleteOptions\npropagationPolicy: Background\n";
    let path = at("b");
    ask(&server, "DELETE", &path).header("content-type", "application/yaml").body(yaml).send().await.expect(200);
    let bytes = crate::protobuf_encode::bytes(4, b"Background");
    let body = crate::protobuf_encode::envelope("v1", "DeleteOptions", &bytes);
    let path = at("c");
    let sent = ask(&server, "DELETE", &path).header("content-type", "application/vnd.kubernetes.protobuf").body(body);
    sent.send().await.expect(200);
}

#[tokio::test]
async fn a_part_of_a_collection_goes_at_once() {
    let server = toy().await;
    for (name, on) in [("a", "yes"), ("b", "yes"), ("c", "no")] {
        let mut object = widget(name);
        object["metadata"]["labels"] = json!({"on": on});
        post(&server, WIDGETS, &object).await.expect(201);
    }
    let some = format!("{WIDGETS}?labelSelector=on%3Dyes");
    delete(&server, &format!("{some}&dryRun=All")).await.expect(200);
    assert_eq!(names(&get(&server, WIDGETS).await.expect(200)), ["a", "b", "c"]);
    let gone = delete(&server, &some).await.expect(200);
    assert_eq!((&gone["kind"], names(&gone)), (&json!("WidgetList"), vec!["a", "b"]));
    assert_eq!(names(&get(&server, WIDGETS).await.expect(200)), ["c"]);
    delete(&server, "/api/v1/namespaces").await.expect(405);
}
