//! The status of every kind that ships with the server, read, patched and replaced as upstream's conformance
//! specs do, in JSON and in protobuf.

use serde_json::{Value, json};

use super::*;
use crate::kinds_samples::samples;
use crate::protobuf_encode::Encoder;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A condition as those specs set it.
fn condition(kind: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": "E2E", "message": "Set by a test"})
}

/// The path of a sample and a server that has all samples.
async fn with_samples() -> ApiServer {
    let server = server().await;
    for sample in samples() {
        post(&server, sample.path, &sample.object).await.expect(201);
    }
    server
}

const CONDITIONED: &[&str] = &[
    "/api/v1/namespaces/sample",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/samples.demo.example.com",
    "/apis/apiregistration.k8s.io/v1/apiservices/v1.other.example.com",
    "/apis/certificates.k8s.io/v1/certificatesigningrequests/sample",
    "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/sample",
    "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/sample",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sample",
];

fn has(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"].as_array().into_iter().flatten().any(|condition| condition["type"] == kind)
}

#[tokio::test]
async fn conditions_are_patched_with_an_annotation_and_replaced() {
    let server = with_samples().await;
    for path in CONDITIONED {
        let status = format!("{path}/status");
        let read = get(&server, &status).await.expect(200);
        assert_eq!(read["metadata"]["uid"], get(&server, path).await.expect(200)["metadata"]["uid"], "{path}");
        let body = json!({"metadata": {"annotations": {"patchedstatus": "true"}},
            "status": {"conditions": [condition("PatchStatus")]}});
        let patched = patch(&server, "merge", &status, &body).await.expect(200);
        let takes_metadata = path.contains("namespaces") || path.contains("certificates.k8s.io");
        let noted = patched["metadata"]["annotations"]["patchedstatus"] == "true";
        assert_eq!(noted, takes_metadata, "{path}: {patched}");
        assert!(has(&patched, "PatchStatus"), "{path}: {patched}");
        assert_eq!(patched["spec"], read["spec"], "{path}");
        // Others write the status too: whoever loses the race reads again, as the specs do.
        for in_protobuf in [false, true] {
            let kind = if in_protobuf { "UpdateStatusInProtobuf" } else { "UpdateStatus" };
            loop {
                let mut object = get(&server, &status).await.expect(200);
                match &mut object["status"]["conditions"] {
                    Value::Array(all) => all.push(condition(kind)),
                    none => *none = json!([condition(kind)]),
                }
                let asked = ask(&server, "PUT", &status);
                let answer = match in_protobuf {
                    true => asked.header("content-type", PROTOBUF).body(Encoder::new().body(&object)).send().await,
                    false => asked.json(&object).send().await,
                };
                if answer.code == 409 {
                    continue;
                }
                let done = answer.expect(200);
                assert!(has(&done, kind) && has(&get(&server, path).await.expect(200), kind), "{path}: {done}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_limits_of_a_quota_are_reported_in_its_status_only() {
    let server = server().await;
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let quota = json!({"metadata": {"name": "q", "labels": {"e2e": "q"}}, "spec": {"hard": {"cpu": "500m", "memory": "500Mi"}}});
    let made = post(&server, quotas, &quota).await.expect(201);
    let status = format!("{quotas}/q/status");
    let mut change = made.clone();
    change["status"] = json!({"hard": {"cpu": "1", "memory": "1Gi"}});
    let done = put(&server, &status, &change).await.expect(200);
    assert_eq!((&done["status"]["hard"]["cpu"], &done["spec"]), (&json!("1"), &made["spec"]));
    let spec = json!({"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}});
    assert_eq!(
        patch(&server, "strategic", &format!("{quotas}/q"), &spec).await.expect(200)["spec"]["hard"]["memory"],
        "1Gi"
    );
    for kind in ["strategic", "merge"] {
        let body = json!({"metadata": {"labels": {"q": "patched"}}, "status": {"hard": {"memory": "750Mi"}}});
        let patched = patch(&server, kind, &status, &body).await.expect(200);
        assert_eq!(patched["status"]["hard"], json!({"cpu": "1", "memory": "750Mi"}), "{kind}");
        assert_eq!(patched["spec"]["hard"]["memory"], "1Gi");
    }
    assert_eq!(get(&server, &status).await.expect(200)["status"]["hard"]["memory"], "750Mi");
}

#[tokio::test]
async fn a_request_for_a_certificate_is_approved_and_answered() {
    let server = server().await;
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let sample = samples().into_iter().find(|sample| sample.path == requests).unwrap().object;
    for n in 0..3 {
        let mut object = sample.clone();
        object["metadata"] = json!({"generateName": "e2e-example-csr-"});
        object["spec"]["signerName"] = "example.com/e2e".into();
        assert_eq!(post(&server, requests, &object).await.expect(201)["spec"]["expirationSeconds"], 3600, "{n}");
    }
    let mine = format!("{requests}?fieldSelector=spec.signerName%3Dexample.com%2Fe2e");
    let list = get(&server, &mine).await.expect(200);
    assert_eq!(names(&list).len(), 3);
    let name = names(&list)[0].to_owned();
    let path = format!("{requests}/{name}");
    let watch = format!("{requests}?watch=1&resourceVersion={}&fieldSelector=metadata.name%3D{name}", revision(&list));
    let mut lines = Lines::new(ask(&server, "GET", &watch).response().await);
    let patched =
        patch(&server, "merge", &path, &json!({"metadata": {"annotations": {"patched": "true"}}})).await.expect(200);
    let mut update = patched.clone();
    update["metadata"]["annotations"]["updated"] = "true".into();
    put(&server, &path, &update).await.expect(200);
    for field in ["patched", "updated"] {
        let event = lines.next().await.unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["annotations"][field]),
            (&json!("MODIFIED"), &json!("true"))
        );
    }
    let approval = format!("{path}/approval");
    assert_eq!(get(&server, &approval).await.expect(200)["metadata"]["uid"], patched["metadata"]["uid"]);
    let body = json!({"metadata": {"annotations": {"patchedapproval": "true"}},
        "status": {"conditions": [{"type": "ApprovalPatch", "status": "True", "reason": "e2e"}]}});
    let mut patched = patch(&server, "merge", &approval, &body).await.expect(200);
    assert_eq!(patched["status"]["conditions"].as_array().map(Vec::len), Some(1));
    assert_eq!(patched["metadata"]["annotations"]["patchedapproval"], "true");
    patched["status"]["conditions"].as_array_mut().unwrap().push(condition("Approved"));
    let approved = put(&server, &approval, &patched).await.expect(200);
    assert_eq!(approved["status"]["conditions"][1]["type"], "Approved");
    let status = format!("{path}/status");
    assert_eq!(get(&server, &status).await.expect(200)["kind"], "CertificateSigningRequest");
    let certificate = certificate();
    let body = json!({"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": certificate}});
    let mut answered = patch(&server, "merge", &status, &body).await.expect(200);
    assert_eq!(
        (&answered["status"]["certificate"], &answered["metadata"]["annotations"]["patchedstatus"]),
        (&json!(certificate), &json!("true"))
    );
    answered["status"]["conditions"].as_array_mut().unwrap().push(condition("StatusUpdate"));
    assert_eq!(put(&server, &status, &answered).await.expect(200)["status"]["conditions"][2]["type"], "StatusUpdate");
    delete(&server, &path).await.expect(200);
    get(&server, &path).await.expect(404);
    assert_eq!(names(&get(&server, &mine).await.expect(200)).len(), 2);
    delete(&server, &mine).await.expect(200);
    assert!(names(&get(&server, &mine).await.expect(200)).is_empty());
}

/// A certificate, as a signer writes it: PEM in base64.
fn certificate() -> String {
    use base64::Engine;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["e2e.example.com".to_owned()]).unwrap();
    base64::engine::general_purpose::STANDARD.encode(params.self_signed(&key).unwrap().pem())
}
