//! Every standard kind through its life: made, read in every shape, selected, patched, updated, deleted.

use serde_json::{Value, json};

use crate::kinds_samples::{Sample, samples};
use crate::support::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn name_of(sample: &Sample) -> &str {
    sample.object["metadata"]["name"].as_str().unwrap()
}

#[tokio::test]
async fn every_kind_is_made_patched_updated_and_deleted() {
    let server = server().await;
    for sample in samples() {
        let kind = sample.object["kind"].as_str().unwrap();
        let made = post(&server, sample.path, &sample.object).await.expect(201);
        let meta = &made["metadata"];
        assert!(meta["uid"].is_string() && meta["resourceVersion"].is_string(), "{kind}: {meta}");
        let path = format!("{}/{}", sample.path, name_of(&sample));
        assert_eq!(get(&server, &path).await.expect(200)["metadata"]["uid"], meta["uid"], "{kind}");
        let label = json!({"metadata": {"labels": {"patched": "yes"}}});
        let patched = patch(&server, "strategic", &path, &label).await.expect(200);
        assert_eq!(patched["metadata"]["labels"]["patched"], "yes", "{kind}");
        unchanged(&server, &path).await;
        let list = get(&server, &format!("{}?labelSelector=patched%3Dyes", sample.path)).await.expect(200);
        assert!(!list["items"].as_array().unwrap().is_empty(), "{kind}");
        let mut applied = sample.object.clone();
        applied["metadata"]["annotations"] = json!({"applied": "yes"});
        let apply = format!("{path}?fieldManager=tests&force=true");
        let applied = patch(&server, "apply", &apply, &applied).await.expect(200);
        assert_eq!(applied["metadata"]["annotations"]["applied"], "yes", "{kind}");
        let gone = delete(&server, &path).await.expect(200);
        let returned = matches!(kind, "ServiceAccount" | "ResourceQuota" | "Namespace" | "CustomResourceDefinition");
        assert_eq!(gone["kind"] == kind, returned, "{kind}: {gone}");
    }
}

/// A PUT of what is there writes nothing. The server's own loops may write a status in between: then it is read again.
async fn unchanged(server: &berth_api::ApiServer, path: &str) {
    for _ in 0..20 {
        let there = get(server, path).await.expect(200);
        let answer = put(server, path, &there).await;
        if answer.code != 409 {
            let again = answer.expect(200);
            assert_eq!(again["metadata"]["resourceVersion"], there["metadata"]["resourceVersion"], "{path}: no change");
            return;
        }
    }
    panic!("{path} never comes to rest");
}

#[tokio::test]
async fn only_some_kinds_count_generations() {
    let server = server().await;
    for sample in samples() {
        let made = post(&server, sample.path, &sample.object).await.expect(201);
        let counts = ["admissionregistration", "apiextensions", "flowcontrol"].iter().any(|g| sample.path.contains(g));
        assert_eq!(made["metadata"]["generation"] == 1, counts, "{}: {}", sample.path, made["metadata"]);
    }
}

/// What a PUT does where nothing is, and without a revision.
#[tokio::test]
async fn updates_without_an_object_or_a_revision() {
    let server = server().await;
    let by_kind = |kind: &str| {
        let creates = matches!(
            kind,
            "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" | "Lease" | "Event" | "LimitRange"
        );
        let needs_revision = kind.contains("Webhook")
            || kind.contains("Policy")
            || matches!(kind, "Lease" | "CustomResourceDefinition" | "APIService");
        (creates, needs_revision)
    };
    for sample in samples() {
        let kind = sample.object["kind"].as_str().unwrap();
        let path = format!("{}/{}", sample.path, name_of(&sample));
        let (creates, needs_revision) = by_kind(kind);
        let answer = put(&server, &path, &sample.object).await;
        assert_eq!(answer.code, if creates { 201 } else { 404 }, "{kind}: {}", answer.text());
        if !creates {
            post(&server, sample.path, &sample.object).await.expect(201);
        }
        let mut changed = sample.object.clone();
        changed["metadata"]["labels"] = json!({"changed": "yes"});
        let answer = put(&server, &path, &changed).await;
        assert_eq!(answer.code, if needs_revision { 422 } else { 200 }, "{kind}: {}", answer.text());
        if needs_revision {
            assert!(answer.text().contains("must be specified for an update"), "{kind}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn tables_look_as_upstreams() {
    let server = server().await;
    for sample in samples() {
        post(&server, sample.path, &sample.object).await.expect(201);
    }
    for (path, heads, cells) in [
        ("/api/v1/namespaces/sample", "Name,Status,Age", json!(["sample", "Active", "0s"])),
        ("/api/v1/namespaces/default/secrets/sample", "Name,Type,Data,Age", json!(["sample", "Opaque", 2, "0s"])),
        ("/api/v1/namespaces/default/configmaps/sample", "Name,Data,Age", json!(["sample", 3, "0s"])),
        ("/api/v1/namespaces/default/serviceaccounts/sample", "Name,Secrets,Age", json!(["sample", 1, "0s"])),
        ("/api/v1/namespaces/default/resourcequotas/sample", "Name,Request,Limit,Age", json!(["sample", "", "", "0s"])),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases/sample",
            "Name,Holder,Age",
            json!(["sample", "", "0s"]),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/sample",
            "Name,Role,Age,Users,Groups,ServiceAccounts",
            json!(["sample", "Role/sample:with:colons", "0s", "ann", "", "default/sample"]),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sample",
            "Name,Webhooks,Age",
            json!(["sample", 1, "0s"]),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sample",
            "Name,Validations,ParamKind,Age",
            json!(["sample", 1, "<unset>", "0s"]),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/sample",
            "Name,PolicyName,ParamRef,Age",
            json!(["sample", "sample", "default/p", "0s"]),
        ),
        (
            "/apis/apiregistration.k8s.io/v1/apiservices/v1.other.example.com",
            "Name,Service,Available,Age",
            json!(["v1.other.example.com", "default/other", Value::Null, "0s"]),
        ),
        (
            "/apis/certificates.k8s.io/v1/certificatesigningrequests/sample",
            "Name,Age,SignerName,Requestor,RequestedDuration,Condition",
            json!(["sample", "0s", "example.com/tests", Value::Null, "60m", "Pending"]),
        ),
        (
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/sample",
            "Name,PriorityLevel,MatchingPrecedence,DistinguisherMethod,Age,MissingPL",
            json!(["sample", "sample", 500, "ByUser", "0s", Value::Null]),
        ),
        (
            "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/sample",
            "Name,Type,NominalConcurrencyShares,Queues,HandSize,QueueLengthLimit,Age",
            json!(["sample", "Limited", 5, 64, 6, 50, "0s"]),
        ),
    ] {
        let table = ask(&server, "GET", path).header("accept", TABLE).send().await.expect(200);
        let definitions = table["columnDefinitions"].as_array().unwrap();
        let names: Vec<&str> = definitions.iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(","), heads, "{path}");
        let shown = table["rows"][0]["cells"].as_array().unwrap();
        for (cell, wanted) in shown.iter().zip(cells.as_array().unwrap()).filter(|(_, wanted)| !wanted.is_null()) {
            // The object is young, but a slow machine may make it a second or two.
            let young = |c: &Value| c.as_str().is_some_and(|c| c.len() == 2 && c.ends_with('s') && wanted == "0s");
            assert!(cell == wanted || young(cell), "{path}: {shown:?}");
        }
    }
}

#[tokio::test]
async fn an_event_is_one_object_in_two_shapes() {
    let server = server().await;
    let all = samples();
    let core = all.iter().find(|s| s.path == "/api/v1/namespaces/default/events").unwrap();
    let group = all.iter().find(|s| s.path.starts_with("/apis/events.k8s.io")).unwrap();
    let made = post(&server, core.path, &core.object).await.expect(201);
    let shown = get(&server, &format!("{}/sample", group.path)).await.expect(200);
    assert_eq!(shown["apiVersion"], "events.k8s.io/v1");
    assert_eq!((&shown["note"], &shown["deprecatedCount"]), (&json!("it was"), &json!(1)));
    assert_eq!(shown["regarding"], made["involvedObject"]);
    assert!(shown.get("message").is_none() && shown.get("source").is_none(), "{shown}");

    post(&server, group.path, &group.object).await.expect(201);
    let shown = get(&server, &format!("{}/sample-2", core.path)).await.expect(200);
    assert_eq!((&shown["message"], &shown["reportingComponent"]), (&json!("it was"), &json!("example.com/tests")));
    assert_eq!(shown["eventTime"], "2026-01-01T00:00:00.123456Z");

    // The recorder of client-go counts up by strategic patches.
    let count = json!({"count": 2, "lastTimestamp": "2026-01-01T00:00:09Z", "message": "again"});
    let patched = patch(&server, "strategic", &format!("{}/sample", core.path), &count).await.expect(200);
    assert_eq!((&patched["count"], &patched["message"]), (&json!(2), &json!("again")));

    for (path, selector, found) in [
        (core.path, "involvedObject.name%3Dsample,involvedObject.kind%3DConfigMap", 2),
        (core.path, "type%3DWarning", 1),
        (core.path, "source%3Dtests", 1),
        (core.path, "reportingComponent%3Dexample.com/tests", 1),
        (group.path, "regarding.name%3Dsample", 2),
        (group.path, "reportingController%3Dexample.com/tests", 1),
        (group.path, "reason%3DNone", 0),
    ] {
        let list = get(&server, &format!("{path}?fieldSelector={selector}")).await.expect(200);
        assert_eq!(list["items"].as_array().map(Vec::len), Some(found), "{selector}: {list}");
    }
    get(&server, &format!("{}?fieldSelector=regarding.name%3Da", core.path)).await.expect(400);

    let mut lines = Lines::new(
        ask(&server, "GET", &format!("{}?watch=1&resourceVersion=0&timeoutSeconds=5", group.path)).response().await,
    );
    let event = lines.next().await.unwrap();
    assert_eq!(
        (&event["object"]["apiVersion"], &event["object"]["note"]),
        (&json!("events.k8s.io/v1"), &json!("again"))
    );
    let list = get(&server, group.path).await.expect(200);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("EventList"), &json!("events.k8s.io/v1")));
    assert!(list["items"][0]["note"].is_string(), "{list}");

    let row = ask(&server, "GET", &format!("{}/sample", core.path)).header("accept", TABLE).send().await.expect(200);
    let heads: Vec<&str> =
        row["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(heads.join(","), "Last Seen,Type,Reason,Object,Subobject,Source,Message,First Seen,Count,Name");
    let cells = &row["rows"][0]["cells"];
    assert_eq!((&cells[3], &cells[5], &cells[8]), (&json!("configmap/sample"), &json!("tests"), &json!(2)));
}

#[tokio::test]
async fn documents_say_how_the_lists_of_kinds_merge() {
    let server = server().await;
    let document = get(&server, "/openapi/v3/api/v1").await.expect(200);
    let account = &document["components"]["schemas"]["io.k8s.api.core.v1.ServiceAccount"]["properties"]["secrets"];
    assert_eq!(account["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(account["x-kubernetes-list-map-keys"], json!(["name"]));
    let event = &document["components"]["schemas"]["io.k8s.api.core.v1.Event"];
    assert_eq!(event["properties"]["involvedObject"]["x-kubernetes-map-type"], "atomic");
    assert!(event["required"].as_array().is_some_and(|names| names.contains(&json!("involvedObject"))), "{event}");
    for (path, schema) in [
        (
            "apis/apiextensions.k8s.io/v1",
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        ),
        ("apis/apiregistration.k8s.io/v1", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService"),
        ("apis/flowcontrol.apiserver.k8s.io/v1", "io.k8s.api.flowcontrol.v1.FlowSchema"),
        ("apis/admissionregistration.k8s.io/v1", "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy"),
    ] {
        let document = get(&server, &format!("/openapi/v3/{path}")).await.expect(200);
        let found = &document["components"]["schemas"][schema];
        assert!(found["properties"]["spec"]["description"].is_string(), "{schema}: {found}");
    }
    get(&server, "/openapi/v2").await.expect(200);
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let server = server().await;
    for sample in samples() {
        post(&server, sample.path, &sample.object).await.expect(201);
        let listed = get(&server, sample.path).await.expect(200);
        let before = listed["items"].as_array().unwrap().len();
        let field = format!("{}?fieldSelector=metadata.name%3D{}", sample.path, name_of(&sample).replace(':', "%3A"));
        let answer = delete(&server, &field).await;
        if sample.object["kind"] == "Namespace" {
            assert_eq!(answer.code, 405, "{}", answer.text());
            continue;
        }
        assert_eq!(answer.expect(200)["items"].as_array().map(Vec::len), Some(1), "{}", sample.path);
        if sample.object["kind"] != "CustomResourceDefinition" {
            let after = get(&server, sample.path).await.expect(200)["items"].as_array().unwrap().len();
            assert_eq!(after, before - 1, "{}", sample.path);
        }
    }
}

#[tokio::test]
async fn discovery_lists_every_kind_and_hides_the_stub() {
    let server = server().await;
    for sample in samples() {
        let version = sample.object["apiVersion"].as_str().unwrap();
        let base = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
        let list = get(&server, &base).await.expect(200);
        let plural = sample.path.rsplit('/').next().unwrap();
        let found = list["resources"].as_array().unwrap().iter().find(|r| r["name"] == plural).cloned();
        let found = found.unwrap_or_else(|| panic!("{plural} is not in {list}"));
        assert_eq!(found["kind"], sample.object["kind"]);
        assert!(list.to_string().matches("\"services\"").count() == 0, "{list}");
    }
    let core = get(&server, "/api/v1").await.expect(200);
    let short = |plural: &str| {
        let found = core["resources"].as_array().unwrap().iter().find(|r| r["name"] == plural).cloned().unwrap();
        found["shortNames"].clone()
    };
    assert_eq!((short("resourcequotas"), short("limitranges")), (json!(["quota"]), json!(["limits"])));
    assert!(core.to_string().contains("serviceaccounts/token"), "{core}");

    let service = get(&server, "/api/v1/namespaces/default/services/kubernetes").await.expect(200);
    assert!(service["spec"]["clusterIP"].is_string() && service["spec"]["ports"][0]["port"] == 443, "{service}");
    let path = "/api/v1/namespaces/kube-system/services?labelSelector=kubernetes.io/cluster-service%3Dtrue";
    assert_eq!(get(&server, path).await.expect(200)["items"], json!([]));
    get(&server, "/api/v1/namespaces/default/services/other").await.expect(404);
    post(&server, "/api/v1/namespaces/default/services", &json!({})).await.expect(405);
}
