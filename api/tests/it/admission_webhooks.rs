//! Webhooks that judge and change writes: what they are asked, and what becomes of their answers.

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::admission_support::*;
use crate::support::*;

#[tokio::test]
async fn a_mutating_webhook_is_told_everything_and_its_patch_is_in_the_answer() {
    let server = server().await;
    let hook = Hook::start(|_, review| {
        let mut response = changes(&json!([{"op": "add", "path": "/data/from-hook", "value": "yes"}]));
        response["warnings"] = json!(["mind the gap"]);
        response["auditAnnotations"] = json!({"seen": review["request"]["name"]});
        Reply::Response(response)
    })
    .await;
    let webhook = webhook("m.example.com", &hook.client_config("/mutate"), "", &["configmaps"]);
    register(&server, MUTATING, "m", &[with(webhook, json!({"timeoutSeconds": 5}))]).await;

    let answer =
        post(&server, &format!("{CONFIG_MAPS}?fieldManager=me&fieldValidation=Strict"), &config_map("a")).await;
    assert_eq!(answer.warnings(), ["299 - \"mind the gap\""]);
    let made = answer.expect(201);
    assert_eq!(made["data"], json!({"a": "1", "from-hook": "yes"}));
    assert_eq!(get(&server, &format!("{CONFIG_MAPS}/a")).await.json()["data"]["from-hook"], "yes");

    let asked = hook.asked().remove(0);
    assert_eq!(asked.path, "/mutate?timeout=5s");
    assert_eq!(asked.headers["user-agent"], "kube-apiserver-admission");
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(
        (&asked.review["kind"], &asked.review["apiVersion"]),
        (&json!("AdmissionReview"), &json!("admission.k8s.io/v1"))
    );
    let request = &asked.review["request"];
    assert_eq!(request["uid"].as_str().unwrap().len(), 36);
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "ConfigMap"}));
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!((&request["requestKind"], &request["requestResource"]), (&request["kind"], &request["resource"]));
    assert_eq!((&request["name"], &request["namespace"]), (&json!("a"), &json!("default")));
    assert_eq!((&request["operation"], &request["dryRun"]), (&json!("CREATE"), &json!(false)));
    assert_eq!(request["userInfo"], json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]}));
    assert_eq!(
        request["options"],
        json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me", "fieldValidation": "Strict"})
    );
    assert_eq!((&request["object"]["data"], &request["oldObject"]), (&json!({"a": "1"}), &Value::Null));
    assert!(request["object"]["metadata"]["uid"].is_string() && request.get("subResource").is_none());
}

#[tokio::test]
async fn updates_and_deletes_show_the_old_object() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let hook = Hook::always(json!({"allowed": true})).await;
    let client = hook.client_config("/");
    register(&server, VALIDATING, "v", &[webhook("v.example.com", &client, "", &["configmaps"])]).await;
    let path = format!("{CONFIG_MAPS}/a");
    patch_ok(&server, &path, &json!({"data": {"a": "2"}})).await;
    let options = json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0});
    ask(&server, "DELETE", &path).json(&options).send().await.expect(200);
    let asked = hook.asked();
    let (update, gone) = (&asked[0].review["request"], &asked[1].review["request"]);
    assert_eq!(hook.brief(), ["UPDATE configmaps a", "DELETE configmaps a"]);
    assert_eq!((&update["oldObject"]["data"]["a"], &update["object"]["data"]["a"]), (&json!("1"), &json!("2")));
    assert_eq!(update["options"]["kind"], "UpdateOptions");
    assert!(update["oldObject"]["metadata"]["resourceVersion"].is_string());
    assert_eq!((&gone["object"], &gone["oldObject"]["data"]["a"]), (&Value::Null, &json!("2")));
    assert_eq!(
        gone["options"],
        json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", "propagationPolicy": "Background", "gracePeriodSeconds": 0})
    );
}

async fn patch_ok(server: &ApiServer, path: &str, body: &Value) -> Value {
    patch_as(server, path, body).await.expect(200)
}

async fn patch_as(server: &ApiServer, path: &str, body: &Value) -> Answer {
    patch(server, "merge", path, body).await
}

#[tokio::test]
async fn a_refusal_bears_the_webhooks_code_and_words() {
    let server = server().await;
    let hook = Hook::start(|_, review| {
        let name = review["request"]["name"].as_str().unwrap_or_default();
        Reply::Response(match name {
            "teapot" => {
                json!({"allowed": false, "status": {"code": 418, "message": "short and stout", "reason": "Teapot"}})
            }
            "reason" => json!({"allowed": false, "status": {"reason": "Because"}}),
            "silent" => json!({"allowed": false}),
            _ => json!({"allowed": true}),
        })
    })
    .await;
    let client = hook.client_config("/");
    register(&server, VALIDATING, "v", &[webhook("v.example.com", &client, "", &["configmaps"])]).await;
    for (name, code, message) in [
        ("teapot", 418, "admission webhook \"v.example.com\" denied the request: short and stout"),
        ("reason", 400, "admission webhook \"v.example.com\" denied the request: Because"),
        ("silent", 400, "admission webhook \"v.example.com\" denied the request without explanation"),
    ] {
        let status = post(&server, CONFIG_MAPS, &config_map(name)).await.expect(code);
        assert_eq!(status["message"], message);
        get(&server, &format!("{CONFIG_MAPS}/{name}")).await.expect(404);
    }
    post(&server, CONFIG_MAPS, &config_map("fine")).await.expect(201);
}

#[tokio::test]
async fn selectors_pick_objects_and_namespaces() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": false})).await;
    let webhook = webhook("v.example.com", &hook.client_config("/"), "", &["configmaps", "namespaces"]);
    let webhook = with(
        webhook,
        json!({
            "namespaceSelector": {"matchExpressions": [{"key": "watched", "operator": "In", "values": ["yes"]}]},
            "objectSelector": {"matchLabels": {"app": "x"}},
        }),
    );
    register(&server, VALIDATING, "v", &[webhook]).await;
    let labelled = |mut object: Value, labels: Value| {
        object["metadata"]["labels"] = labels;
        object
    };
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    post(&server, "/api/v1/namespaces", &labelled(namespace("free"), json!({"app": "x"}))).await.expect(201);
    post(&server, "/api/v1/namespaces", &labelled(namespace("held"), json!({"watched": "yes"}))).await.expect(201);
    // A new namespace is judged by its own labels.
    let both = labelled(namespace("both"), json!({"watched": "yes", "app": "x"}));
    post(&server, "/api/v1/namespaces", &both).await.expect(400);
    let maps = |ns: &str| format!("/api/v1/namespaces/{ns}/configmaps");
    post(&server, &maps("free"), &labelled(config_map("a"), json!({"app": "x"}))).await.expect(201);
    post(&server, &maps("held"), &labelled(config_map("a"), json!({"app": "y"}))).await.expect(201);
    post(&server, &maps("held"), &labelled(config_map("b"), json!({"app": "x"}))).await.expect(400);
    // The old object counts, too: nobody takes a label off to slip by, or on.
    patch_as(&server, &format!("{}/a", maps("held")), &json!({"metadata": {"labels": {"app": "x"}}})).await.expect(400);
    assert_eq!(hook.brief(), ["CREATE namespaces both", "CREATE configmaps b", "UPDATE configmaps a"]);
    assert_eq!(hook.asked()[0].review["request"]["namespace"], "both");
}

#[tokio::test]
async fn configurations_cannot_be_guarded_by_webhooks() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": false})).await;
    let all = with(
        webhook("v.example.com", &hook.client_config("/"), "*", &["*/*"]),
        json!({
        "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]}),
    );
    register(&server, VALIDATING, "v", std::slice::from_ref(&all)).await;
    register(&server, MUTATING, "m", &[all]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(400);
    delete(&server, &format!("{VALIDATING}/v")).await.expect(200);
    delete(&server, &format!("{MUTATING}/m")).await.expect(200);
    get(&server, VALIDATING).await.expect(200);
    get(&server, MUTATING).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
}

#[tokio::test]
async fn only_the_operations_and_subresources_of_the_rules_are_asked_about() {
    let server = server_with_widgets().await;
    let hook = Hook::always(json!({"allowed": true})).await;
    let rule = |operations: Value, resources: Value| json!({"operations": operations, "apiGroups": ["demo.example.com"], "apiVersions": ["v1"], "resources": resources});
    let webhook = with(
        webhook("v.example.com", &hook.client_config("/"), "", &[]),
        json!({"rules": [
        rule(json!(["DELETE"]), json!(["widgets"])), rule(json!(["UPDATE"]), json!(["widgets/scale", "widgets/status"]))]}),
    );
    register(&server, VALIDATING, "v", &[webhook]).await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let path = format!("{WIDGETS}/a");
    patch_ok(&server, &path, &json!({"spec": {"size": 4}})).await;
    patch_ok(&server, &format!("{path}/status"), &json!({"status": {"phase": "x"}})).await;
    patch_ok(&server, &format!("{path}/scale"), &json!({"spec": {"replicas": 7}})).await;
    ask(&server, "DELETE", WIDGETS).send().await.expect(200);
    assert_eq!(hook.brief(), ["UPDATE widgets/status a", "UPDATE widgets/scale a", "DELETE widgets a"]);
    let scale = &hook.asked()[1].review["request"];
    assert_eq!(scale["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(scale["resource"]["resource"], "widgets");
    assert_eq!((&scale["object"]["spec"]["replicas"], &scale["oldObject"]["spec"]["replicas"]), (&json!(7), &json!(1)));
}

#[tokio::test]
async fn what_a_webhook_adds_to_a_custom_resource_is_pruned_and_checked() {
    let server = server_with_widgets().await;
    let hook = Hook::start(|_, review| {
        let value = review["request"]["object"]["spec"]["note"].as_str().unwrap_or_default();
        Reply::Response(changes(&match value {
            "bad" => json!([{"op": "add", "path": "/spec/color", "value": "purple"}]),
            "scale" => json!([]),
            _ => json!([{"op": "add", "path": "/spec/unknown", "value": 1}, {"op": "add", "path": "/spec/tags", "value": ["t"]},
                {"op": "replace", "path": "/metadata/name", "value": "other"}]),
        }))
    })
    .await;
    let client = hook.client_config("/");
    register(&server, MUTATING, "m", &[webhook("m.example.com", &client, "demo.example.com", &["widgets"])]).await;
    let made = post(&server, WIDGETS, &widget("a")).await.expect(201);
    assert_eq!(made["spec"], json!({"color": "red", "size": 3, "replicas": 1, "tags": ["t"]}));
    assert_eq!(made["metadata"]["name"], "a");
    let mut bad = widget("b");
    bad["spec"]["note"] = json!("bad");
    let status = post(&server, WIDGETS, &bad).await.expect(422);
    assert!(status["message"].as_str().unwrap().contains("purple"), "{status}");
}

#[tokio::test]
async fn the_scale_of_an_object_can_be_changed_by_a_webhook() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let hook = Hook::always(changes(&json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]))).await;
    let client = hook.client_config("/");
    register(&server, MUTATING, "m", &[webhook("m.example.com", &client, "demo.example.com", &["widgets/scale"])])
        .await;
    let scale = patch_ok(&server, &format!("{WIDGETS}/a/scale"), &json!({"spec": {"replicas": 9}})).await;
    assert_eq!(scale["spec"]["replicas"], 3);
    assert_eq!(get(&server, &format!("{WIDGETS}/a")).await.json()["spec"]["replicas"], 3);
}

#[tokio::test]
async fn webhooks_are_asked_in_order_and_again_where_they_wish() {
    let server = server().await;
    let hook = Hook::start(|path, review| {
        let data = &review["request"]["object"]["data"];
        let step = path.split(['?', '/']).nth(1).unwrap_or_default();
        let wanted = match step {
            // Wishes to be asked again, and adds what it sees.
            "first" if data["second"].is_null() => Some(("first", "alone")),
            "first" => Some(("first", "saw second")),
            "second" => Some(("second", "yes")),
            _ => None,
        };
        Reply::Response(match wanted {
            Some((key, value)) => changes(&json!([{"op": "add", "path": format!("/data/{key}"), "value": value}])),
            None => json!({"allowed": true}),
        })
    })
    .await;
    let of = |step: &str, policy: &str| {
        let webhook =
            webhook(&format!("{step}.example.com"), &hook.client_config(&format!("/{step}")), "", &["configmaps"]);
        with(webhook, json!({"reinvocationPolicy": policy}))
    };
    // By the name of the configuration, whichever was made first.
    register(&server, MUTATING, "b", &[of("second", "Never"), of("third", "IfNeeded")]).await;
    register(&server, MUTATING, "a", &[of("first", "IfNeeded")]).await;
    let made = post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    assert_eq!(made["data"], json!({"a": "1", "first": "saw second", "second": "yes"}));
    let paths: Vec<String> = hook.asked().iter().map(|asked| asked.path.replace("?timeout=10s", "")).collect();
    // The third saw everything in the first round, but the first changed the object behind it.
    assert_eq!(paths, ["/first", "/second", "/third", "/first", "/third"]);
}

#[tokio::test]
async fn a_write_that_is_only_tried_is_told_and_kept_from_webhooks_with_side_effects() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": true})).await;
    let webhook = webhook("v.example.com", &hook.client_config("/"), "", &["configmaps"]);
    register(&server, VALIDATING, "v", &[webhook]).await;
    post(&server, &format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a")).await.expect(201);
    let request = &hook.asked()[0].review["request"];
    assert_eq!((&request["dryRun"], &request["options"]["dryRun"]), (&json!(true), &json!(["All"])));
}

#[tokio::test]
async fn a_patch_of_what_is_deleted_fails() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let hook = Hook::always(changes(&json!([{"op": "add", "path": "/x", "value": 1}]))).await;
    let webhook = webhook("m.example.com", &hook.client_config("/"), "", &["configmaps"]);
    register(&server, MUTATING, "m", &[webhook]).await;
    let status = delete(&server, &format!("{CONFIG_MAPS}/a")).await.expect(500);
    assert_eq!(
        status["message"],
        "Internal error occurred: admission webhook \"m.example.com\" attempted to modify the object, which is not supported for this operation"
    );
}

#[tokio::test]
async fn another_version_of_a_resource_is_shown_in_the_version_of_the_rule() {
    let server = server().await;
    let mut definition = widget_definition();
    let mut second = definition["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    definition["spec"]["versions"].as_array_mut().unwrap().push(second);
    post(&server, DEFINITIONS, &definition).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    let hook = Hook::always(changes(&json!([{"op": "replace", "path": "/spec/color", "value": "blue"}]))).await;
    let of = |policy: &str, version: &str| {
        let rule = json!({"operations": ["CREATE"], "apiGroups": ["demo.example.com"], "apiVersions": [version],
            "resources": ["widgets"]});
        with(
            webhook("m.example.com", &hook.client_config("/"), "", &[]),
            json!({"matchPolicy": policy, "rules": [rule]}),
        )
    };
    register(&server, MUTATING, "exact", &[of("Exact", "v2")]).await;
    assert_eq!(post(&server, WIDGETS, &widget("a")).await.expect(201)["spec"]["color"], "red");
    register(&server, MUTATING, "equivalent", &[of("Equivalent", "v2")]).await;
    let made = post(&server, WIDGETS, &widget("b")).await.expect(201);
    assert_eq!((&made["spec"]["color"], &made["apiVersion"]), (&json!("blue"), &json!("demo.example.com/v1")));
    let request = &hook.asked()[0].review["request"];
    assert_eq!((&request["kind"]["version"], &request["requestKind"]["version"]), (&json!("v2"), &json!("v1")));
    assert_eq!((&request["resource"]["version"], &request["requestResource"]["version"]), (&json!("v2"), &json!("v1")));
    assert_eq!(request["object"]["apiVersion"], "demo.example.com/v2");
}

#[tokio::test]
async fn a_webhook_may_forbid_to_open_a_stream_into_a_task() {
    let running = crate::tls::running().await;
    let hook = Hook::start(|_, review| {
        let command = &review["request"]["object"]["command"];
        Reply::Response(json!({"allowed": false, "status": {"message": format!("not {command}")}}))
    })
    .await;
    let rule = json!({"operations": ["CONNECT"], "apiGroups": ["berth.dev"], "apiVersions": ["v1"], "resources": ["tasks/exec"]});
    let webhook = with(webhook("c.example.com", &hook.client_config("/"), "", &[]), json!({"rules": [rule]}));
    register(&running.server, VALIDATING, "c", &[webhook]).await;
    post(&running.server, TASKS, &task("t")).await.expect(201);
    let client = running.client(berth_api::kubeconfig::Credentials::Token(&running.token)).await;
    let request = http::Request::get(format!("{TASKS}/t/exec?command=ls&stdout=true")).body(Vec::new()).unwrap();
    let refused = client.connect(request).await.err().expect("the stream is refused");
    assert!(refused.to_string().contains("400"), "{refused}");
    assert_eq!(hook.brief(), ["CONNECT tasks/exec t"]);
    let request = &hook.asked()[0].review["request"];
    assert_eq!(request["kind"], json!({"group": "berth.dev", "version": "v1", "kind": "TaskExecOptions"}));
    assert_eq!((&request["object"]["command"], &request["options"]), (&json!(["ls"]), &Value::Null));
}

#[tokio::test]
async fn configurations_go_as_a_collection() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": false})).await;
    for name in ["a", "b"] {
        let webhook = webhook("v.example.com", &hook.client_config("/"), "", &["configmaps"]);
        let mut configuration = configuration(VALIDATING, name, &[webhook]);
        configuration["metadata"]["labels"] = json!({"mine": "yes"});
        post(&server, VALIDATING, &configuration).await.expect(201);
    }
    get(&server, VALIDATING).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(400);
    ask(&server, "DELETE", &format!("{VALIDATING}?labelSelector=mine%3Dyes")).send().await.expect(200);
    get(&server, VALIDATING).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
}

#[tokio::test]
async fn a_changed_configuration_holds_from_then_on() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": false})).await;
    let client = hook.client_config("/");
    register(&server, VALIDATING, "v", &[webhook("v.example.com", &client, "", &["configmaps"])]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(400);
    let path = format!("{VALIDATING}/v");
    let operations =
        |operations: Value| json!([{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": operations}]);
    patch(&server, "json", &path, &operations(json!(["DELETE"]))).await.expect(200);
    get(&server, VALIDATING).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    patch(&server, "json", &path, &operations(json!(["CREATE"]))).await.expect(200);
    get(&server, VALIDATING).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("b")).await.expect(400);
}
