//! What a definition may say, what it may change, and what its status tells.

use berth_api::ApiServer;
use serde_json::{Value, json};

use crate::support::*;

const NAME: &str = "widgets.demo.example.com";

fn definition(edit: impl FnOnce(&mut Value)) -> Value {
    let mut crd = widget_definition();
    edit(&mut crd);
    crd
}

fn causes(status: &Value) -> Vec<String> {
    let list = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    list.iter().map(|c| format!("{}: {}", text(c, "field"), text(c, "message"))).collect()
}

fn condition<'c>(crd: &'c Value, kind: &str) -> Option<(&'c str, &'c str, &'c str)> {
    let found = crd["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)?;
    Some((found["status"].as_str()?, found["reason"].as_str()?, found["message"].as_str()?))
}

/// Watches a definition until it is as wanted.
async fn until(server: &ApiServer, name: &str, is: impl Fn(&Value) -> bool) -> Value {
    let path = format!("{DEFINITIONS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3D{name}");
    let mut lines = Lines::new(ask(server, "GET", &path).response().await);
    loop {
        let event = lines.next().await.expect("it happens in time");
        if is(&event["object"]) {
            return event["object"].clone();
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_where_kubernetes_tells_it() {
    let server = server().await;
    let version = |edit: fn(&mut Value)| definition(move |crd| edit(&mut crd["spec"]["versions"][0]));
    let schema = |edit: fn(&mut Value)| {
        definition(move |crd| edit(&mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    };
    let at = "spec.validation.openAPIV3Schema.properties[spec]";
    for (crd, expected) in [
        (
            definition(|crd| crd["metadata"]["name"] = json!("x.demo.example.com")),
            r#"metadata.name: Invalid value: "x.demo.example.com": must be spec.names.plural+"."+spec.group"#.to_owned(),
        ),
        (
            version(|v| {
                v["schema"] = Value::Null;
                v["selectableFields"] = Value::Null;
            }),
            "spec.versions[0].schema.openAPIV3Schema: Required value".to_owned(),
        ),
        (
            version(|v| v["storage"] = json!(false)),
            r#"spec.versions: Invalid value: ["v1"]: must have exactly one version marked as storage version"#.to_owned(),
        ),
        (
            definition(|crd| {
                let mut twin = crd["spec"]["versions"][0].clone();
                twin["name"] = json!("v2");
                crd["spec"]["versions"].as_array_mut().unwrap().push(twin);
            }),
            r#"spec.versions: Invalid value: ["v1","v2"]: must have exactly one version marked as storage version"#.to_owned(),
        ),
        (
            version(|v| v["selectableFields"] = json!([{"jsonPath": ".spec.tags"}])),
            r#"spec.selectableFields[0].jsonPath: Invalid value: ".spec.tags": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."#.to_owned(),
        ),
        (
            version(|v| v["selectableFields"] = json!([{"jsonPath": ".spec.nope"}])),
            r#"spec.selectableFields[0].jsonPath: Invalid value: ".spec.nope": is an invalid path: does not refer to a valid field"#.to_owned(),
        ),
        (
            version(|v| v["selectableFields"] = json!([{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.color"}])),
            r#"spec.selectableFields[1].jsonPath: Duplicate value: ".spec.color""#.to_owned(),
        ),
        (
            version(|v| v["additionalPrinterColumns"] = json!([{"name": "A", "type": "object", "jsonPath": ".spec"}])),
            r#"spec.additionalPrinterColumns[0].type: Invalid value: "object": must be one of boolean,date,integer,number,string"#.to_owned(),
        ),
        (
            version(|v| v["additionalPrinterColumns"] = json!([{"name": "A", "type": "string", "jsonPath": "spec"}])),
            r#"spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with ."#.to_owned(),
        ),
        (
            version(|v| v["subresources"]["scale"]["specReplicasPath"] = json!(".status.replicas")),
            r#"spec.subresources.scale.specReplicasPath: Invalid value: ".status.replicas": should be a json path under .spec"#.to_owned(),
        ),
        (
            version(|v| v["deprecationWarning"] = json!("old")),
            r#"spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions"#.to_owned(),
        ),
        (schema(|s| s["properties"]["a"] = json!({"$ref": "#/x", "type": "object"})), format!("{at}.properties[a].$ref: Forbidden: $ref is not supported")),
        (
            schema(|s| s["properties"]["a"] = json!({"type": "array", "uniqueItems": true, "items": {"type": "string"}})),
            format!("{at}.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
        ),
        (
            schema(|s| s["properties"]["a"] = json!({"type": "object", "additionalProperties": false})),
            format!("{at}.properties[a].additionalProperties: Forbidden: additionalProperties cannot be set to false"),
        ),
        (
            schema(|s| s["properties"]["size"]["default"] = json!("x")),
            format!(r#"{at}.properties[size].default: Invalid value: "string": in body must be of type integer: "string""#),
        ),
        (
            schema(|s| s["properties"]["ports"]["items"]["required"] = json!([])),
            format!("{at}.properties[ports].items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"),
        ),
        (
            schema(|s| s["properties"]["tags"]["items"] = json!({"type": "object", "properties": {"a": {"type": "string"}}})),
            format!("{at}.properties[tags].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set"),
        ),
        (
            schema(|s| s["default"] = json!({"color": "red", "nope": 1})),
            format!(r#"{at}.default: Invalid value: {{"color":"red","nope":1}}: must not have unknown fields"#),
        ),
        (
            definition(|crd| {
                crd["metadata"]["name"] = json!("widgets.example.k8s.io");
                crd["spec"]["group"] = json!("example.k8s.io");
            }),
            r#"metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111"#.to_owned(),
        ),
    ] {
        let status = post(&server, DEFINITIONS, &crd).await.expect(422);
        assert_eq!(causes(&status), [expected]);
    }
}

#[tokio::test]
async fn the_fields_to_select_by_are_few() {
    let server = server().await;
    let crd = definition(|crd| {
        let version = &mut crd["spec"]["versions"][0];
        let names: Vec<String> = (0..9).map(|i| format!("f{i}")).collect();
        for name in &names {
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][name] = json!({"type": "string"});
        }
        let fields: Vec<Value> = names.iter().map(|name| json!({"jsonPath": format!(".spec.{name}")})).collect();
        version["selectableFields"] = json!(fields);
    });
    let status = post(&server, DEFINITIONS, &crd).await.expect(422);
    assert_eq!(causes(&status), ["spec.selectableFields: Too many: 9: must have at most 8 items"]);
}

#[tokio::test]
async fn what_decides_where_objects_are_stored_stays() {
    let server = server_with_widgets().await;
    let path = format!("{DEFINITIONS}/{NAME}");
    let status = patch(&server, "merge", &path, &json!({"spec": {"scope": "Cluster"}})).await.expect(422);
    assert_eq!(causes(&status), [r#"spec.scope: Invalid value: "Cluster": field is immutable"#]);
    let mut crd = get(&server, &path).await.expect(200);
    crd["spec"]["versions"][0]["name"] = json!("v2");
    let status = put(&server, &path, &crd).await.expect(422);
    assert_eq!(
        causes(&status),
        [
            "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions"
        ]
    );
    // The way out: a new storage version, then no object of the old one, then the old one may go.
    let mut crd = get(&server, &path).await.expect(200);
    let mut v2 = crd["spec"]["versions"][0].clone();
    v2["name"] = json!("v2");
    crd["spec"]["versions"][0]["storage"] = json!(false);
    crd["spec"]["versions"].as_array_mut().unwrap().push(v2);
    let crd = put(&server, &path, &crd).await.expect(200);
    assert_eq!(crd["status"]["storedVersions"], json!(["v1", "v2"]));
    patch(&server, "merge", &format!("{path}/status"), &json!({"status": {"storedVersions": ["v2"]}}))
        .await
        .expect(200);
    let remove = json!([{"op": "remove", "path": "/spec/versions/0"}]);
    patch(&server, "json", &path, &remove).await.expect(200);
    let mut last = 0;
    for _ in 0..200 {
        last = get(&server, WIDGETS).await.code;
        if last == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(last, 404);
    get(&server, "/apis/demo.example.com/v2/widgets").await.expect(200);
}

#[tokio::test]
async fn the_status_says_what_becomes_of_a_definition() {
    let server = server_with_widgets().await;
    let path = format!("{DEFINITIONS}/{NAME}");
    let crd = get(&server, &path).await.expect(200);
    assert_eq!(condition(&crd, "NamesAccepted"), Some(("True", "NoConflicts", "no conflicts found")));
    let words = "the initial names have been accepted";
    assert_eq!(condition(&crd, "Established"), Some(("True", "InitialNamesAccepted", words)));
    assert_eq!(condition(&crd, "KubernetesAPIApprovalPolicyConformant"), None);
    let mut held = widget("a");
    held["metadata"]["finalizers"] = json!(["x.io/f"]);
    post(&server, WIDGETS, &held).await.expect(201);
    patch(
        &server,
        "merge",
        &path,
        &json!({"metadata": {"finalizers": ["customresourcecleanup.apiextensions.k8s.io", "x.io/g"]}}),
    )
    .await
    .expect(200);
    delete(&server, &path).await.expect(200);
    let crd = until(&server, NAME, |crd| condition(crd, "Terminating").is_some()).await;
    let words = "CustomResource deletion is in progress";
    assert_eq!(condition(&crd, "Terminating"), Some(("True", "InstanceDeletionInProgress", words)));
    let status = post(&server, WIDGETS, &widget("b")).await.expect(403);
    let message = status["message"].as_str().unwrap();
    assert!(message.ends_with("create not allowed while custom resource definition is terminating"), "{message}");
    get(&server, &format!("{WIDGETS}/a")).await.expect(200);
    patch(&server, "merge", &format!("{WIDGETS}/a"), &json!({"metadata": {"finalizers": null}})).await.expect(200);
    let gone = |crd: &Value| condition(crd, "Terminating").is_some_and(|c| c.0 == "False");
    let crd = until(&server, NAME, gone).await;
    let words = "removed all instances";
    assert_eq!(condition(&crd, "Terminating"), Some(("False", "InstanceDeletionCompleted", words)));
    assert_eq!(crd["metadata"]["finalizers"], json!(["x.io/g"]));
    patch(&server, "merge", &path, &json!({"metadata": {"finalizers": null}})).await.expect(200);
    get(&server, &path).await.expect(404);
}

#[tokio::test]
async fn a_definition_that_was_never_served_goes_at_once() {
    let server = server_with_widgets().await;
    let rival = definition(|crd| {
        crd["metadata"]["name"] = json!("gadgets.demo.example.com");
        crd["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget", "shortNames": ["wd", "widget"]});
    });
    post(&server, DEFINITIONS, &rival).await.expect(201);
    let crd = until(&server, "gadgets.demo.example.com", |crd| condition(crd, "NamesAccepted").is_some()).await;
    let words = "[\"wd\" is already in use, \"widget\" is already in use]";
    assert_eq!(condition(&crd, "NamesAccepted"), Some(("False", "ShortNamesConflict", words)));
    assert_eq!(condition(&crd, "Established"), Some(("False", "NotAccepted", "not all names are accepted")));
    assert_eq!(crd["status"]["acceptedNames"]["kind"], "Gadget");
    let path = format!("{DEFINITIONS}/gadgets.demo.example.com");
    let watch =
        format!("{DEFINITIONS}?watch=1&timeoutSeconds=20&fieldSelector=metadata.name%3Dgadgets.demo.example.com");
    let mut lines = Lines::new(ask(&server, "GET", &watch).response().await);
    delete(&server, &path).await.expect(200);
    while lines.next().await.unwrap()["type"] != "DELETED" {}
    get(&server, &path).await.expect(404);
}

#[tokio::test]
async fn a_name_that_is_lost_to_a_change_leaves_the_served_ones() {
    let server = server_with_widgets().await;
    let other = definition(|crd| {
        crd["metadata"]["name"] = json!("gadgets.demo.example.com");
        crd["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"]});
    });
    post(&server, DEFINITIONS, &other).await.expect(201);
    established(&server, "gadgets.demo.example.com").await;
    let path = format!("{DEFINITIONS}/gadgets.demo.example.com");
    patch(&server, "merge", &path, &json!({"spec": {"names": {"shortNames": ["wd"]}}})).await.expect(200);
    let is_refused = |crd: &Value| condition(crd, "NamesAccepted").is_some_and(|c| c.0 == "False");
    let crd = until(&server, "gadgets.demo.example.com", is_refused).await;
    assert_eq!(condition(&crd, "Established").map(|c| c.0), Some("True"));
    assert_eq!(crd["status"]["acceptedNames"]["shortNames"], json!(["gd"]));
    get(&server, "/apis/demo.example.com/v1/gadgets").await.expect(200);
    // Whoever has the name may give it up.
    let widgets = format!("{DEFINITIONS}/{NAME}");
    patch(&server, "merge", &widgets, &json!({"spec": {"names": {"shortNames": ["wx"]}}})).await.expect(200);
    let is_accepted = |crd: &Value| crd["status"]["acceptedNames"]["shortNames"] == json!(["wd"]);
    let crd = until(&server, "gadgets.demo.example.com", is_accepted).await;
    assert_eq!(condition(&crd, "NamesAccepted").map(|c| c.0), Some("True"));
}

#[tokio::test]
async fn the_communitys_groups_tell_their_approval() {
    let server = server().await;
    let crd = definition(|crd| {
        crd["metadata"]["name"] = json!("widgets.example.k8s.io");
        crd["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, a test"});
        crd["spec"]["group"] = json!("example.k8s.io");
    });
    post(&server, DEFINITIONS, &crd).await.expect(201);
    let kind = "KubernetesAPIApprovalPolicyConformant";
    let crd = until(&server, "widgets.example.k8s.io", |crd| condition(crd, kind).is_some()).await;
    assert_eq!(condition(&crd, kind), Some(("False", "UnapprovedAnnotation", "not approved: \"unapproved, a test\"")));
}

#[tokio::test]
async fn formats_that_mean_nothing_are_warned_of() {
    let server = server().await;
    let crd = definition(|crd| {
        let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"]["color"]["format"] = json!("rainbow");
    });
    let made = post(&server, DEFINITIONS, &crd).await;
    assert_eq!(made.warnings(), ["299 - \"unrecognized format \\\"rainbow\\\"\""]);
    made.expect(201);
}

#[tokio::test]
async fn embedded_objects_must_say_what_they_are() {
    let server = server().await;
    let crd = definition(|crd| {
        let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"]["pod"] = json!({"type": "object", "x-kubernetes-embedded-resource": true,
            "x-kubernetes-preserve-unknown-fields": true});
    });
    post(&server, DEFINITIONS, &crd).await.expect(201);
    established(&server, NAME).await;
    let with = |pod: Value| {
        let mut object = widget("a");
        object["spec"]["pod"] = pod;
        object
    };
    let bad = json!({"apiVersion": "a/b/c", "kind": "x_y", "metadata": {"name": "a/b", "labels": {"-": "x"}}});
    let status = post(&server, WIDGETS, &with(bad)).await.expect(422);
    let fields: Vec<&str> =
        status["details"]["causes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["spec.pod.apiVersion", "spec.pod.kind", "spec.pod.metadata.name", "spec.pod.metadata.labels"]);
    let good = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"any": 1}});
    post(&server, WIDGETS, &with(good)).await.expect(201);
}

#[tokio::test]
async fn owners_in_a_version_that_is_gone_are_forgotten() {
    let server = server().await;
    let crd = definition(|crd| {
        let mut v0 = crd["spec"]["versions"][0].clone();
        v0["name"] = json!("v0");
        v0["storage"] = json!(false);
        crd["spec"]["versions"].as_array_mut().unwrap().push(v0);
    });
    post(&server, DEFINITIONS, &crd).await.expect(201);
    established(&server, NAME).await;
    let v0 = "/apis/demo.example.com/v0/namespaces/default/widgets/a?fieldManager=old";
    let applied = json!({"apiVersion": "demo.example.com/v0", "kind": "Widget", "spec": {"color": "red"}});
    patch(&server, "apply", v0, &applied).await.expect(201);
    let owners = |object: &Value| -> Vec<String> {
        let list = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|e| format!("{} {}", e["manager"].as_str().unwrap(), e["apiVersion"].as_str().unwrap()))
            .collect()
    };
    let path = format!("{WIDGETS}/a?fieldManager=new");
    let other = json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "spec": {"size": 5}});
    let object = patch(&server, "apply", &path, &other).await.expect(200);
    assert_eq!(owners(&object), ["new demo.example.com/v1", "old demo.example.com/v0"]);
    let conflict = json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "spec": {"color": "blue", "size": 5}});
    let status = patch(&server, "apply", &path, &conflict).await.expect(409);
    assert_eq!(status["details"]["causes"][0]["message"], "conflict with \"old\"");
    let crd_path = format!("{DEFINITIONS}/{NAME}");
    patch(&server, "json", &crd_path, &json!([{"op": "remove", "path": "/spec/versions/1"}])).await.expect(200);
    let mut found = Vec::new();
    for i in 0..200 {
        let change = json!({"metadata": {"labels": {"n": i.to_string()}}});
        found = owners(&patch(&server, "merge", &path, &change).await.expect(200));
        if found.iter().all(|owner| owner.ends_with("/v1")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(found, ["new demo.example.com/v1", "new demo.example.com/v1"]);
    patch(&server, "apply", &path, &conflict).await.expect(200);
}

#[tokio::test]
async fn replicas_fit_into_the_scale() {
    let server = server_with_widgets().await;
    let mut object = widget("a");
    object["spec"]["replicas"] = json!(-1);
    let status = post(&server, WIDGETS, &object).await.expect(422);
    assert_eq!(causes(&status), [".spec.replicas: Invalid value: -1: should be a non-negative integer"]);
}

#[tokio::test]
async fn a_tighter_schema_lets_be_what_does_not_change() {
    let server = server_with_widgets().await;
    let mut object = widget("a");
    object["spec"]["note"] = json!("a long note");
    object["spec"]["ports"] = json!([{"name": "x", "port": 1}, {"name": "y", "port": 2}]);
    let made = post(&server, WIDGETS, &object).await.expect(201);
    let at = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let body = json!([
        {"op": "replace", "path": format!("{at}/note/maxLength"), "value": 3},
        {"op": "add", "path": format!("{at}/ports/items/properties/port/minimum"), "value": 2},
        {"op": "add", "path": format!("{at}/size/default"), "value": 4},
        {"op": "add", "path": format!("{at}/extra"), "value": {"type": "string", "default": "new"}},
    ]);
    patch(&server, "json", &format!("{DEFINITIONS}/{NAME}"), &body).await.expect(200);
    let path = format!("{WIDGETS}/a");
    let mut read = Value::Null;
    for _ in 0..200 {
        read = get(&server, &path).await.expect(200);
        if read["spec"]["extra"] == "new" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(read["spec"]["extra"], "new", "old objects show new defaults");
    assert_eq!(read["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    patch(&server, "merge", &path, &json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    let ports = json!([{"name": "y", "port": 2}, {"name": "z", "port": 3}, {"name": "x", "port": 1}]);
    patch(&server, "merge", &path, &json!({"spec": {"ports": ports}})).await.expect(200);
    let status = patch(&server, "merge", &path, &json!({"spec": {"note": "longer"}})).await.expect(422);
    assert_eq!(causes(&status), ["spec.note: Too long: may not be more than 3 bytes"]);
}
