//! Rows C019 to C031: formats that are asked for, and formats that are sent.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn an_object_comes_as_yaml_but_a_watch_does_not() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let yaml = accepting(&server, "application/yaml", &at("a")).await;
    assert_eq!((yaml.code, yaml.headers["content-type"].to_str().unwrap()), (200, "application/yaml"));
    assert!(yaml.text().contains("\nkind: Widget\n"), "{}", yaml.text());
    assert_eq!(accepting(&server, "application/yaml", &format!("{WIDGETS}?watch=1")).await.code, 406);
}

#[tokio::test]
async fn what_cannot_be_answered_is_not_acceptable() {
    let server = toy().await;
    let refused = accepting(&server, "text/html", WIDGETS).await.expect(406);
    assert_eq!((&refused["reason"], &refused["code"]), (&json!("NotAcceptable"), &json!(406)));
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.starts_with("only the following media types are accepted: application/json, application/yaml"),
        "{message}"
    );
}

#[tokio::test]
async fn json_is_what_comes_when_anything_goes() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    for accept in [
        "application/vnd.kubernetes.protobuf,application/json",
        "application/vnd.kubernetes.protobuf, */*",
        "*/*",
        "application/*",
        "",
    ] {
        let answer = accepting(&server, accept, &at("a")).await;
        assert_eq!(answer.headers["content-type"], "application/json", "{accept}");
        assert_eq!(answer.expect(200)["kind"], "Widget");
    }
    assert_eq!(get(&server, &at("a")).await.expect(200)["kind"], "Widget");
}

#[tokio::test]
async fn weights_of_formats_count() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let yaml = accepting(&server, "application/json;q=0.1, application/yaml;q=0.9", &at("a")).await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    let json = accepting(&server, "application/json;q=0.9, application/yaml;q=0.1", &at("a")).await;
    assert_eq!(json.headers["content-type"], "application/json");
}

#[tokio::test]
async fn bodies_are_json_or_yaml_and_json_when_nothing_is_said() {
    let server = toy().await;
    let send = |content: &'static str, name: &str| {
        let asked = ask(&server, "POST", WIDGETS).body(widget(name).to_string());
        if content.is_empty() { asked.send() } else { asked.header("content-type", content).send() }
    };
    let refused = send("text/plain", "t").await;
    refused.hints(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml");
    send("", "a").await.expect(201);
    send("application/json; charset=utf-8", "b").await.expect(201);
    let yaml = "apiVersion: demo.example.com/v1\nkind: Widget\nmetadata: {name: c}\nspec: {color: blue}\n";
    let made = ask(&server, "POST", WIDGETS).header("content-type", "application/yaml").body(yaml).send().await;
    assert_eq!(made.expect(201)["spec"]["color"], "blue");
}

#[tokio::test]
async fn a_table_has_the_columns_of_the_definition() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("n1")).await.expect(201);
    let table = accepting(&server, TABLE, WIDGETS).await;
    assert_eq!(table.headers["content-type"], "application/json");
    let table = table.expect(200);
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert_eq!(columns.len(), 6);
    assert_eq!((&columns[0]["name"], &columns[0]["format"]), (&json!("Name"), &json!("name")));
    assert_eq!(
        columns[1],
        json!({"name": "Color", "type": "string", "format": "", "description": "the colour", "priority": 0})
    );
    assert_eq!(columns[2]["description"], "Custom resource definition column (in JSONPath format): .spec.size");
    assert_eq!((&columns[4]["name"], &columns[4]["priority"]), (&json!("Note"), &json!(1)));
    assert_eq!((&columns[5]["name"], &columns[5]["type"]), (&json!("Age"), &json!("date")));
    let row = &table["rows"][0];
    assert_eq!(row["cells"].as_array().unwrap()[..5], [json!("n1"), json!("red"), json!(3), Value::Null, Value::Null]);
    assert!(row["cells"][5].as_str().unwrap().ends_with('s'), "{row}");
    assert_eq!(
        (&row["object"]["kind"], &row["object"]["apiVersion"]),
        (&json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1"))
    );
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    patch(&server, "merge", &format!("{}/status", at("n1")), &status).await.expect(200);
    assert_eq!(accepting(&server, TABLE, WIDGETS).await.expect(200)["rows"][0]["cells"][3], "True");
}

#[tokio::test]
async fn a_table_carries_as_much_of_the_objects_as_is_wished() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("n1")).await.expect(201);
    let none = accepting(&server, TABLE, &format!("{WIDGETS}?includeObject=None")).await.expect(200);
    assert_eq!(none["rows"][0]["object"], Value::Null);
    let whole = accepting(&server, TABLE, &format!("{WIDGETS}?includeObject=Object")).await.expect(200);
    assert_eq!(
        (&whole["rows"][0]["object"]["kind"], &whole["rows"][0]["object"]["spec"]["size"]),
        (&json!("Widget"), &json!(3))
    );
    accepting(&server, TABLE, &format!("{WIDGETS}?includeObject=Bogus")).await.expect(400);
}

#[tokio::test]
async fn one_object_is_a_table_too_in_either_format() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("n1")).await.expect(201);
    let one = accepting(&server, TABLE, &at("n1")).await.expect(200);
    assert_eq!((&one["kind"], one["rows"].as_array().map(Vec::len)), (&json!("Table"), Some(1)));
    let yaml = accepting(&server, "application/yaml;as=Table;v=v1;g=meta.k8s.io", &at("n1")).await;
    assert!(yaml.code == 200 && yaml.text().contains("kind: Table\n"), "{}", yaml.text());
    let old = accepting(&server, "application/json;as=Table;v=v1beta1;g=meta.k8s.io", &at("n1")).await.expect(200);
    assert_eq!(old["apiVersion"], "meta.k8s.io/v1beta1");
    accepting(&server, "application/json;as=Bogus;v=v1;g=meta.k8s.io", &at("n1")).await.expect(406);
}

#[tokio::test]
async fn metadata_comes_alone() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("n1")).await.expect(201);
    let one = accepting(&server, PARTIAL, &at("n1")).await.expect(200);
    assert_eq!((&one["kind"], &one["apiVersion"]), (&json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1")));
    assert!(one["metadata"]["name"] == "n1" && one.get("spec").is_none(), "{one}");
    let list = accepting(&server, PARTIAL_LIST, WIDGETS).await.expect(200);
    assert_eq!(
        (&list["kind"], &list["items"][0]["kind"]),
        (&json!("PartialObjectMetadataList"), &json!("PartialObjectMetadata"))
    );
    accepting(&server, PARTIAL, WIDGETS).await.hints(
        406,
        "NotAcceptable",
        "you requested PartialObjectMetadata, but the requested object is a list",
    );
}

#[tokio::test]
async fn a_review_is_no_table() {
    let server = server().await;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "widgets", "group": "demo.example.com"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    ask(&server, "POST", path).header("accept", TABLE).json(&review).send().await.expect(406);
}

#[tokio::test]
async fn large_answers_are_compressed_and_streams_never() {
    let server = toy().await;
    let zipped = |path: String| ask(&server, "GET", &path).header("accept-encoding", "gzip").send();
    post(&server, WIDGETS, &widget("small")).await.expect(201);
    assert!(!zipped(at("small")).await.headers.contains_key("content-encoding"));
    post(&server, WIDGETS, &toy_of("large", json!({"color": "red", "free": {"x": "x".repeat(140_000)}})))
        .await
        .expect(201);
    let large = zipped(at("large")).await;
    assert_eq!(large.headers["content-encoding"], "gzip");
    assert!(large.headers["vary"].to_str().unwrap().contains("Accept-Encoding"), "{:?}", large.headers);
    assert!(large.bytes.len() < 100_000);
    let watch = zipped(format!("{WIDGETS}?watch=1&timeoutSeconds=1")).await;
    assert!(watch.bytes.len() > 140_000 && !watch.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn people_get_indented_answers() {
    let server = toy().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    assert!(get(&server, &format!("{}?pretty=true", at("a"))).await.text().contains("\n  \""));
    for agent in ["curl/8.5.0", "Mozilla/5.0 (X11)", "Wget/1.21"] {
        let answer = ask(&server, "GET", &at("a")).header("user-agent", agent).send().await;
        assert!(answer.text().contains("\n  \""), "{agent}");
    }
    assert!(!get(&server, &at("a")).await.text().trim_end().contains('\n'));
}
