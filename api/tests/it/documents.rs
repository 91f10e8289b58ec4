//! Discovery, OpenAPI, Tables, formats, health and metrics.

use serde_json::json;

use crate::support::*;

const TABLE: &str =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

#[tokio::test]
async fn our_group_comes_first() {
    let server = server().await;
    assert_eq!(get(&server, "/api").await.expect(200)["versions"], json!(["v1"]));
    let groups = get(&server, "/apis").await.expect(200);
    assert_eq!(groups["kind"], "APIGroupList");
    assert_eq!(groups["groups"][0]["name"], "berth.dev");
    let resources = get(&server, "/apis/berth.dev/v1/").await.expect(200);
    let find = |name: &str| resources["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).cloned();
    assert_eq!(find("services").unwrap()["shortNames"], json!(["svc"]));
    assert_eq!(find("services/scale").unwrap()["kind"], "Scale");
    assert_eq!(find("tasks/log").unwrap()["verbs"], json!(["get"]));
    assert_eq!(find("nodes").unwrap()["namespaced"], false);
    let core = get(&server, "/api/v1").await.expect(200);
    assert_eq!(core["groupVersion"], "v1");
}

#[tokio::test]
async fn aggregated_discovery_has_an_etag() {
    let server = server().await;
    let first = ask(&server, "GET", "/apis").header("accept", AGGREGATED).send().await;
    assert_eq!(first.headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let body = first.expect(200);
    assert_eq!(body["items"][0]["metadata"]["name"], "berth.dev");
    let again = ask(&server, "GET", "/apis").header("accept", AGGREGATED).header("if-none-match", &etag).send().await;
    assert_eq!((again.code, again.bytes.len()), (304, 0));
    let core = ask(&server, "GET", "/api").header("accept", AGGREGATED).send().await.expect(200);
    assert_eq!(core["items"][0]["metadata"], json!({}));
    let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    ask(&server, "GET", "/apis").header("accept", old).send().await.expect(406);
}

#[tokio::test]
async fn openapi_v3_is_found_by_its_hash() {
    let server = server().await;
    let root = get(&server, "/openapi/v3").await.expect(200);
    let url = root["paths"]["apis/berth.dev/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = get(&server, &url).await;
    assert!(document.headers["cache-control"].to_str().unwrap().contains("immutable"));
    let document = document.expect(200);
    let service = &document["components"]["schemas"]["dev.berth.v1.Service"];
    assert_eq!(service["x-kubernetes-group-version-kind"][0]["kind"], "Service");
    assert_eq!(get(&server, "/openapi/v3/apis/berth.dev/v1?hash=wrong").await.code, 301);
    assert_eq!(get(&server, "/openapi/v3/apis/nope/v1").await.code, 404);
    for name in ["api/v1", "apis/coordination.k8s.io/v1", "apis/apiextensions.k8s.io/v1"] {
        get(&server, &format!("/openapi/v3/{name}")).await.expect(200);
    }
}

#[tokio::test]
async fn openapi_v2_is_json_or_protobuf() {
    let server = server().await;
    let json = get(&server, "/openapi/v2").await.expect(200);
    assert_eq!(json["swagger"], "2.0");
    assert!(json["definitions"]["dev.berth.v1.Service"].is_object());
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let protobuf = ask(&server, "GET", "/openapi/v2").header("accept", accept).send().await;
    assert_eq!(protobuf.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert!(protobuf.bytes.len() > 10_000);
    let zipped = ask(&server, "GET", "/openapi/v2").header("accept-encoding", "gzip").send().await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn tables_have_columns_and_rows() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    let table = ask(&server, "GET", SERVICES).header("accept", TABLE).send().await.expect(200);
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(columns[..3], ["Name", "Desired", "Ready"]);
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let one = ask(&server, "GET", &format!("{SERVICES}/a?includeObject=None"))
        .header("accept", TABLE)
        .send()
        .await
        .expect(200);
    assert!(one["rows"][0]["object"].is_null());
    ask(&server, "GET", &format!("{SERVICES}?includeObject=Bogus")).header("accept", TABLE).send().await.expect(400);
    let list = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = ask(&server, "GET", SERVICES).header("accept", list).send().await.expect(200);
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert!(partial["items"][0].get("spec").is_none());
    let single = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    ask(&server, "GET", SERVICES).header("accept", single).send().await.expect(406);
}

#[tokio::test]
async fn every_builtin_kind_prints_and_documents_itself() {
    let server = server().await;
    for path in ["/api/v1", "/apis/berth.dev/v1", "/apis/coordination.k8s.io/v1", "/apis/apiextensions.k8s.io/v1"] {
        let resources = get(&server, path).await.expect(200);
        for resource in resources["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap();
            if !name.contains('/') {
                let table =
                    ask(&server, "GET", &format!("{path}/{name}")).header("accept", TABLE).send().await.expect(200);
                // Events are told apart by when they happened.
                let first = if name == "events" { "Last Seen" } else { "Name" };
                assert_eq!(table["columnDefinitions"][0]["name"], first, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn formats_are_negotiated() {
    let server = server().await;
    post(&server, SERVICES, &service("a")).await.expect(201);
    let path = format!("{SERVICES}/a");
    let yaml = ask(&server, "GET", &path).header("accept", "application/yaml").send().await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text().contains("kind: Service"));
    ask(&server, "GET", &path).header("accept", "text/html").send().await.expect(406);
    let pretty = get(&server, &format!("{path}?pretty=true")).await;
    assert!(pretty.text().contains("\n  \"apiVersion\""));
    let curl = ask(&server, "GET", &path).header("user-agent", "curl/8").send().await;
    assert!(curl.text().contains('\n'));
    let sent = ask(&server, "POST", SERVICES).header("content-type", "application/yaml").body(
        "apiVersion: berth.dev/v1\nkind: Service\nmetadata: {name: b}\nspec: {template: {spec: {containers: [{name: a, shell: 'true'}]}}}\n",
    );
    sent.send().await.expect(201);
    let head = ask(&server, "HEAD", &path).send().await;
    assert_eq!((head.code, head.bytes.len()), (200, 0));
}

#[tokio::test]
async fn large_answers_are_compressed_when_asked() {
    let server = server().await;
    for index in 0..20 {
        let mut object = config_map(&format!("c{index}"));
        object["data"]["big"] = json!("x".repeat(10_000));
        post(&server, CONFIG_MAPS, &object).await.expect(201);
    }
    let zipped = ask(&server, "GET", CONFIG_MAPS).header("accept-encoding", "gzip").send().await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert!(zipped.bytes.len() < 100_000);
    let plain = ask(&server, "GET", CONFIG_MAPS).send().await;
    assert!(plain.headers.get("content-encoding").is_none());
}

#[tokio::test]
async fn health_version_and_metrics() {
    let server = server().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = ask_as(&server, None, "GET", path).send().await;
        assert_eq!((answer.code, &*answer.text()), (200, "ok"));
    }
    let verbose = get(&server, "/readyz?verbose").await.text();
    assert!(verbose.contains("[+]store ok") && verbose.ends_with("readyz check passed\n"), "{verbose}");
    assert_eq!(get(&server, "/readyz/store").await.code, 200);
    assert_eq!(get(&server, "/readyz/bogus").await.code, 404);
    let version = ask_as(&server, None, "GET", "/version/").send().await.expect(200);
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.35.0+berth."), "{version}");
    post(&server, SERVICES, &service("a")).await.expect(201);
    let metrics = get(&server, "/metrics").await.text();
    assert!(
        metrics
            .contains(r#"apiserver_request_total{code="201",group="berth.dev",resource="services",verb="create"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("berth_store{what=\"revision\"}"));
}

#[tokio::test]
async fn unknown_paths_are_plain_404() {
    let server = server().await;
    for path in ["/nope", "/apis/nope/v1", "/apis/nope/v1/things", "/api/v2/secrets", "//api"] {
        let answer = get(&server, path).await;
        assert_eq!((answer.code, &*answer.text()), (404, "404 page not found\n"), "{path}");
    }
    let status = get(&server, "/api/v1/nopes").await.expect(404);
    assert_eq!(status["message"], "the server could not find the requested resource");
    let answer = get(&server, &format!("{SERVICES}/zzz")).await;
    assert!(answer.headers.contains_key("audit-id"));
    assert_eq!(answer.headers["cache-control"], "no-cache, private");
    answer.expect(404);
    ask(&server, "OPTIONS", SERVICES).send().await.expect(405);
}
