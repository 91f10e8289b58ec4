//! Rows C001 to C018: what is served, and how it is described.

use serde_json::{Value, json};

use super::*;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn the_core_group_has_one_version() {
    let server = server().await;
    let versions = get(&server, "/api").await.expect(200);
    assert_eq!((&versions["kind"], &versions["versions"]), (&json!("APIVersions"), &json!(["v1"])));
    assert!(versions.get("apiVersion").is_none(), "{versions}");
}

#[tokio::test]
async fn every_group_is_listed_with_the_version_to_prefer() {
    let server = toy().await;
    let groups = accepting(&server, "application/json", "/apis").await.expect(200);
    assert_eq!((&groups["kind"], &groups["apiVersion"]), (&json!("APIGroupList"), &json!("v1")));
    let toy = groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "demo.example.com").unwrap();
    let version = json!({"groupVersion": "demo.example.com/v1", "version": "v1"});
    assert_eq!(*toy, json!({"name": "demo.example.com", "versions": [version], "preferredVersion": version}));
    for group in groups["groups"].as_array().unwrap() {
        let path = format!("/apis/{}", group["name"].as_str().unwrap());
        let alone = get(&server, &path).await.expect(200);
        assert_eq!((&alone["kind"], &alone["apiVersion"]), (&json!("APIGroup"), &json!("v1")));
        assert_eq!(alone["preferredVersion"], group["preferredVersion"]);
        assert_eq!(alone["versions"][0], group["preferredVersion"], "{path}");
    }
}

#[tokio::test]
async fn the_aggregated_form_says_its_type_and_is_cached_by_its_tag() {
    let server = toy().await;
    for path in ["/api", "/apis"] {
        let accept = format!("{AGGREGATED},application/json");
        let first = accepting(&server, &accept, path).await;
        assert_eq!(first.headers["content-type"], AGGREGATED);
        assert!(first.headers["vary"].to_str().unwrap().to_ascii_lowercase().contains("accept"));
        assert_eq!(first.headers["cache-control"], "public");
        let tag = first.headers["etag"].to_str().unwrap().to_owned();
        let again = ask(&server, "GET", path).header("accept", &accept).header("if-none-match", &tag).send().await;
        assert_eq!((again.code, again.bytes.len(), again.headers["etag"].to_str().unwrap()), (304, 0, &*tag));
    }
}

#[tokio::test]
async fn an_old_aggregated_form_without_an_alternative_is_406() {
    let server = server().await;
    let old = AGGREGATED.replace("v=v2;", "v=v2beta1;");
    accepting(&server, &old, "/apis").await.expect(406);
    let either = format!("{old},application/json");
    assert_eq!(accepting(&server, &either, "/apis").await.expect(200)["kind"], "APIGroupList");
}

#[tokio::test]
async fn the_aggregated_form_has_subresources_and_their_kinds() {
    let server = toy().await;
    let all = accepting(&server, AGGREGATED, "/apis").await.expect(200);
    let group = all["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "demo.example.com");
    let version = &group.unwrap()["versions"][0];
    assert_eq!((&version["version"], &version["freshness"]), (&json!("v1"), &json!("Current")));
    let widgets = &version["resources"][0];
    assert_eq!(widgets["responseKind"], json!({"group": "demo.example.com", "version": "v1", "kind": "Widget"}));
    assert_eq!((&widgets["scope"], &widgets["singularResource"]), (&json!("Namespaced"), &json!("widget")));
    let sub = |name: &str| -> Value {
        widgets["subresources"].as_array().unwrap().iter().find(|sub| sub["subresource"] == name).cloned().unwrap()
    };
    assert_eq!(sub("scale")["responseKind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(sub("status")["verbs"], json!(["get", "patch", "update"]));
}

#[tokio::test]
async fn a_resource_says_its_verbs_names_and_categories() {
    let server = toy().await;
    let list = get(&server, "/apis/demo.example.com/v1").await.expect(200);
    assert_eq!((&list["kind"], &list["groupVersion"]), (&json!("APIResourceList"), &json!("demo.example.com/v1")));
    let find = |name: &str| list["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).cloned().unwrap();
    let widgets = find("widgets");
    let mut verbs: Vec<&str> = widgets["verbs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    verbs.sort_unstable();
    assert_eq!(verbs, ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
    assert_eq!((&widgets["shortNames"], &widgets["categories"]), (&json!(["wd"]), &json!(["all", "demo"])));
    assert_eq!(widgets["singularName"], "widget");
    assert!(widgets["storageVersionHash"].is_string(), "{widgets}");
    assert_eq!(find("widgets/status")["verbs"], json!(["get", "patch", "update"]));
    assert_eq!(
        (&find("widgets/scale")["group"], &find("widgets/scale")["kind"]),
        (&json!("autoscaling"), &json!("Scale"))
    );
}

#[tokio::test]
async fn what_is_not_served_is_a_plain_404() {
    let server = toy().await;
    for path in [
        "/apis/nope.example.com",
        "/apis/nope.example.com/v1",
        "/apis/demo.example.com/v2",
        "/apis/demo.example.com/v1/gadgets",
        "/apis/demo.example.com/v1/namespaces/default/gadgets",
        "/apis/demo.example.com/v1/namespaces/default/gadgets/a",
        "/nope",
        "//api",
    ] {
        let answer = get(&server, path).await;
        assert_eq!((answer.code, &*answer.text()), (404, "404 page not found\n"), "{path}");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let known = get(&server, "/apis/coordination.k8s.io/v1/nopes").await;
    let details = known.says(404, "NotFound", "the server could not find the requested resource");
    assert_eq!(details, json!({}));
    let all = post(&server, "/apis/demo.example.com/v1/widgets", &widget("a")).await;
    assert_eq!((all.code, &*all.text()), (404, "404 page not found\n"));
}

#[tokio::test]
async fn whoever_asks_learns_the_version_and_the_health() {
    let server = server().await;
    for path in ["/version", "/version/"] {
        let version = ask_as(&server, None, "GET", path).send().await.expect(200);
        let text = version["gitVersion"].as_str().unwrap();
        let numbers: Vec<&str> = text.strip_prefix('v').unwrap().split(['.', '+']).take(3).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u32>().is_ok()), "{text}");
        assert_eq!((&version["major"], version["minor"].as_str().unwrap()), (&json!("1"), numbers[1]));
    }
    for path in ["/livez", "/readyz", "/healthz"] {
        for method in ["GET", "HEAD"] {
            let answer = ask_as(&server, None, method, path).send().await;
            assert_eq!(answer.code, 200);
            assert_eq!(answer.text(), if method == "GET" { "ok" } else { "" });
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        }
        let checks = get(&server, &format!("{path}?verbose")).await.text();
        let last = format!("{} check passed\n", &path[1..]);
        assert!(checks.starts_with("[+]ping ok\n") && checks.ends_with(&last), "{checks}");
        let fewer = get(&server, &format!("{path}?verbose&exclude=ping")).await.text();
        assert!(!fewer.contains("[+]ping ok"), "{fewer}");
        assert_eq!(get(&server, &format!("{path}/ping")).await.code, 200);
        assert_eq!(get(&server, &format!("{path}/bogus")).await.code, 404);
    }
}

#[tokio::test]
async fn nobody_in_particular_may_not_discover() {
    let server = server().await;
    for path in ["/api", "/apis", "/openapi/v3"] {
        let refused = ask_as(&server, None, "GET", path).send().await;
        let message = format!("forbidden: User \"system:anonymous\" cannot get path \"{path}\"");
        assert_eq!(refused.says(403, "Forbidden", &message), json!({}));
    }
}

#[tokio::test]
async fn a_schema_is_found_by_its_hash_and_kept_for_ever() {
    let server = toy().await;
    let root = get(&server, "/openapi/v3").await.expect(200);
    let url = root["paths"]["apis/demo.example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let (path, hash) = url.split_once("?hash=").unwrap();
    assert_eq!(path, "/openapi/v3/apis/demo.example.com/v1");
    let document = get(&server, &url).await;
    assert_eq!(document.headers["cache-control"], "public, immutable");
    assert_eq!(document.headers["etag"], format!("\"{hash}\""));
    let same = ask(&server, "GET", &url).header("if-none-match", &format!("\"{hash}\"")).send().await;
    assert_eq!(same.code, 304);
    let wrong = get(&server, &format!("{path}?hash=00")).await;
    assert_eq!((wrong.code, wrong.headers["location"].to_str().unwrap()), (301, &*url));
    let without = get(&server, path).await;
    assert_eq!((without.code, without.headers["cache-control"].to_str().unwrap()), (200, "no-cache, private"));
}

#[tokio::test]
async fn a_schema_says_how_to_patch_and_what_the_fields_mean() {
    let server = toy().await;
    let document = get(&server, "/openapi/v3/apis/demo.example.com/v1").await.expect(200);
    let patch = &document["paths"]["/apis/demo.example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"];
    let kind = json!({"group": "demo.example.com", "version": "v1", "kind": "Widget"});
    assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|p| p["name"] == "fieldValidation" && p["in"] == "query"), "{patch}");
    let mut media: Vec<&String> = patch["requestBody"]["content"].as_object().unwrap().keys().collect();
    media.sort_unstable();
    let patches = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
    assert_eq!(media.iter().filter(|m| !m.contains("cbor")).collect::<Vec<_>>(), patches.iter().collect::<Vec<_>>());
    let schema = &document["components"]["schemas"]["com.example.demo.v1.Widget"];
    assert_eq!(schema["x-kubernetes-group-version-kind"], json!([kind]));
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["x-kubernetes-validations"][0]["rule"], "self.size <= 100");
    let spec = &spec["properties"];
    assert_eq!((&spec["size"]["default"], &spec["note"]["nullable"]), (&json!(3), &json!(true)));
    assert_eq!(spec["color"]["enum"], json!(["red", "green", "blue", "locked"]));
    assert_eq!(spec["ports"]["x-kubernetes-list-type"], "map");
    assert_eq!(spec["ports"]["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(spec["port"]["x-kubernetes-int-or-string"], true);
}

#[tokio::test]
async fn the_old_schema_comes_in_protobuf() {
    let server = toy().await;
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let answer = accepting(&server, accept, "/openapi/v2").await;
    assert_eq!(answer.code, 200);
    assert_eq!(answer.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    let wanted = b"com.example.demo.v1.Widget";
    assert!(answer.bytes.windows(wanted.len()).any(|window| window == wanted));
}
