//! Applies that change nothing: answered alike every time, and never longer than they hold.

use serde_json::{Value, json};

use crate::support::*;

fn applied(color: &str) -> Value {
    json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "spec": {"color": color}})
}

#[tokio::test]
async fn the_same_apply_again_answers_the_object_and_writes_nothing() {
    let server = server_with_widgets().await;
    let path = format!("{WIDGETS}/w?fieldManager=flux");
    let made = patch(&server, "apply", &path, &applied("red")).await.expect(201);
    for _ in 0..3 {
        assert_eq!(patch(&server, "apply", &path, &applied("red")).await.expect(200), made);
    }
}

#[tokio::test]
async fn what_others_change_in_between_counts() {
    let server = server_with_widgets().await;
    let (flux, plain) = (format!("{WIDGETS}/w?fieldManager=flux"), format!("{WIDGETS}/w"));
    patch(&server, "apply", &flux, &applied("red")).await.expect(201);
    patch(&server, "apply", &flux, &applied("red")).await.expect(200);
    patch(&server, "merge", &plain, &json!({"spec": {"color": "blue"}})).await.expect(200);
    let status = patch(&server, "apply", &flux, &applied("red")).await.expect(409);
    assert_eq!(status["details"]["causes"][0]["field"], ".spec.color");
    let forced = patch(&server, "apply", &format!("{flux}&force=true"), &applied("red")).await.expect(200);
    assert_eq!(forced["spec"]["color"], "red");
    delete(&server, &plain).await.expect(200);
    patch(&server, "apply", &flux, &applied("red")).await.expect(201);
}

#[tokio::test]
async fn another_manager_a_dry_run_and_strictness_are_other_questions() {
    let server = server_with_widgets().await;
    let path = format!("{WIDGETS}/w?fieldManager=flux");
    patch(&server, "apply", &path, &applied("red")).await.expect(201);
    patch(&server, "apply", &path, &applied("red")).await.expect(200);
    let shared = patch(&server, "apply", &format!("{WIDGETS}/w?fieldManager=argo"), &applied("red")).await.expect(200);
    assert_eq!(shared["metadata"]["managedFields"].as_array().map(Vec::len), Some(2));
    let mut unknown = applied("red");
    unknown["spec"]["bogus"] = json!(1);
    for _ in 0..3 {
        let warned = patch(&server, "apply", &format!("{path}&fieldValidation=Warn"), &unknown).await;
        assert_eq!(warned.warnings().len(), 1, "the warning comes each time: {:?}", warned.warnings());
        warned.expect(200);
    }
}
