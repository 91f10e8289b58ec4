//! What the schema and the strategies refuse, and what is only warned of.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn every_error_is_told_at_once_with_its_path() {
    let server = server_with_widgets().await;
    let mut bad = widget("w");
    bad["spec"] =
        json!({"color": "pink", "size": 0, "note": "x".repeat(30), "tags": ["a", "a"], "ports": [{"port": 1}]});
    let status = post(&server, WIDGETS, &bad).await.expect(422);
    let fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    for field in ["spec.color", "spec.size", "spec.note", "spec.tags[1]", "spec.ports[0].name"] {
        assert!(fields.contains(&field), "{field} is not in {fields:?}");
    }
    let mut wrong = widget("w");
    wrong["spec"]["size"] = json!("x");
    let status = post(&server, WIDGETS, &wrong).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldValueTypeInvalid");
}

#[tokio::test]
async fn unknown_fields_warn_or_fail_as_asked() {
    let server = server().await;
    let mut sent = service("a");
    sent["spec"]["replcas"] = json!(3);
    let warned = post(&server, SERVICES, &sent).await;
    assert_eq!(warned.warnings(), [r#"299 - "unknown field \"spec.replcas\", did you mean \"replicas\"?""#]);
    warned.expect(201);
    sent["metadata"]["name"] = json!("b");
    let status = post(&server, &format!("{SERVICES}?fieldValidation=Strict"), &sent).await.expect(400);
    assert!(status["message"].as_str().unwrap().starts_with(
        "Service in version \"v1\" cannot be handled as a Service: strict decoding error: unknown field \"spec.replcas\""
    ));
    let ignored = post(&server, &format!("{SERVICES}?fieldValidation=Ignore"), &sent).await;
    assert_eq!(ignored.warnings(), Vec::<String>::new());
    ignored.expect(201);
    post(&server, &format!("{SERVICES}?fieldValidation=Bogus"), &sent).await.expect(422);
    let double = r#"{"apiVersion":"berth.dev/v1","kind":"Service","metadata":{"name":"c"},"spec":{"replicas":1,"replicas":2,"template":{"spec":{"containers":[{"name":"a","shell":"x"}]}}}}"#;
    let path = format!("{SERVICES}?fieldValidation=Strict");
    let status = ask(&server, "POST", &path).body(double).send().await.expect(400);
    assert!(status["message"].as_str().unwrap().contains("duplicate field \"spec.replicas\""));
    let patched =
        patch(&server, "merge", &format!("{SERVICES}/a?fieldValidation=Strict"), &json!({"spec": {"bogus": 1}})).await;
    assert!(patched.expect(422)["message"].as_str().unwrap().contains("unknown field \"spec.bogus\""));
}

#[tokio::test]
async fn a_service_that_cannot_work_is_refused() {
    let server = server().await;
    let mut bad = service("a");
    bad["spec"]["update"] = json!({"maxSurge": 0, "maxUnavailable": 0});
    bad["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "web"}, {"name": "web", "shell": "x", "volumeMounts": [{"name": "nope", "mountPath": "/x"}]}]);
    let status = post(&server, SERVICES, &bad).await.expect(422);
    let fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    for field in [
        "spec.update.maxUnavailable",
        "spec.template.spec.containers[0]",
        "spec.template.spec.containers[1].name",
        "spec.template.spec.containers[1].volumeMounts[0].name",
    ] {
        assert!(fields.contains(&field), "{field} is not in {fields:?}");
    }
    post(&server, SERVICES, &service(&"a".repeat(51))).await.expect(422);
    post(&server, SERVICES, &service(&"a".repeat(50))).await.expect(201);
    let mut quiet = service("q");
    quiet["spec"]["template"]["spec"]["dnsPolicy"] = json!("Default");
    let warned = post(&server, SERVICES, &quiet).await;
    assert_eq!(warned.warnings(), ["299 - \"spec.template.spec.dnsPolicy: has no effect yet\""]);
}

#[tokio::test]
async fn a_deployments_template_pastes_in_unchanged() {
    let server = server().await;
    let mut pasted = service("p");
    pasted["spec"]["template"] = json!({
        "metadata": {"creationTimestamp": null, "labels": {"app": "web"}},
        "spec": {"containers": [{
            "name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": 1, "memory": "128Mi"}, "requests": {"cpu": "500m"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "securityContext": {"runAsUser": 1000},
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}}
        }], "terminationGracePeriodSeconds": 5},
    });
    let answer = post(&server, &format!("{SERVICES}?fieldValidation=Strict"), &pasted).await;
    answer.expect(201);
}

#[tokio::test]
async fn jobs_need_schedules_that_can_be_kept() {
    let server = server().await;
    let jobs = "/apis/berth.dev/v1/namespaces/default/jobs";
    let job = |cron: &str, zone: &str| {
        json!({"apiVersion": "berth.dev/v1", "kind": "Job", "metadata": {"generateName": "j-"}, "spec": {
            "schedules": [{"cron": cron, "timeZone": zone}],
            "template": {"spec": {"containers": [{"name": "a", "shell": "true"}]}}}})
    };
    post(&server, jobs, &job("0 3 * * *", "Europe/Berlin")).await.expect(201);
    post(&server, jobs, &job("61 * * * *", "Europe/Berlin")).await.expect(422);
    post(&server, jobs, &job("0 3 * * *", "Mars/Olympus")).await.expect(422);
}

#[tokio::test]
async fn a_task_is_placed_once() {
    let server = server().await;
    post(&server, TASKS, &task("t")).await.expect(201);
    let path = format!("{TASKS}/t");
    let bind = |node: &str| json!({"metadata": {"finalizers": ["berth.dev/agent"]}, "spec": {"nodeName": node}});
    patch(&server, "merge", &path, &bind("n1")).await.expect(200);
    patch(&server, "merge", &path, &bind("n1")).await.expect(200);
    patch(&server, "merge", &path, &bind("n2")).await.expect(422);
    let shell = json!([{"op": "replace", "path": "/spec/containers/0/shell", "value": "false"}]);
    let status = patch(&server, "json", &path, &shell).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["field"], "spec.containers");
}

#[tokio::test]
async fn metadata_has_rules() {
    let server = server().await;
    let with = |meta: serde_json::Value| {
        let mut object = config_map("m");
        for (key, value) in meta.as_object().unwrap() {
            object["metadata"][key] = value.clone();
        }
        object
    };
    for (meta, code) in [
        (json!({"name": "Bad_Name"}), 422),
        (json!({"name": "a".repeat(254)}), 422),
        (json!({"labels": {"-bad": "x"}}), 422),
        (json!({"labels": {"a": "-bad"}}), 422),
        (json!({"labels": {"a": 1}}), 400),
        (json!({"annotations": {"a": "x".repeat(270_000)}}), 422),
        (json!({"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a"}]}), 422),
        (json!({"finalizers": ["bad name"]}), 422),
        (json!({"finalizers": "x"}), 400),
        (json!({"namespace": 3}), 400),
    ] {
        let answer = post(&server, CONFIG_MAPS, &with(meta.clone())).await;
        assert_eq!(answer.code, code, "{}: {}", meta.to_string().chars().take(80).collect::<String>(), answer.text());
    }
    let warned = post(&server, CONFIG_MAPS, &with(json!({"finalizers": ["foo"]}))).await;
    assert_eq!(warned.warnings().len(), 1);
    warned.expect(201);
}
