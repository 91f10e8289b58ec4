//! What clients in Go send without meaning it: empty answers along with questions, nulls for what they do not have, and a
//! list of Kubernetes' own kind under the name of ours.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_question_may_carry_the_empty_form_of_its_answer() {
    let server = server().await;
    let access = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {"creationTimestamp": null},
        "spec": {"resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": "default"}},
        "status": {"allowed": false},
    });
    assert_eq!(post(&server, access, &question).await.expect(201)["status"]["allowed"], true);
    let rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "metadata": {"creationTimestamp": null},
        "spec": {"namespace": "default"},
        "status": {"resourceRules": null, "nonResourceRules": null, "incomplete": false},
    });
    let answer = post(&server, rules, &question).await.expect(201);
    assert!(!answer["status"]["resourceRules"].as_array().unwrap().is_empty(), "{answer}");
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let question = json!({"metadata": {"creationTimestamp": null}, "status": {"userInfo": {}}});
    assert!(post(&server, whoami, &question).await.expect(201)["status"]["userInfo"]["username"].is_string());
}

#[tokio::test]
async fn null_is_nothing_in_a_standard_kind() {
    let server = server().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let object = json!({"metadata": {"name": "nulls", "creationTimestamp": null, "labels": null}, "data": null});
    let made = post(&server, maps, &object).await.expect(201);
    assert!(made.get("data").is_none(), "{made}");
    assert!(made["metadata"].get("labels").is_none(), "{made}");
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let object = json!({"metadata": {"name": "nulls"}, "secrets": null, "automountServiceAccountToken": null});
    post(&server, accounts, &object).await.expect(201);
}

#[tokio::test]
async fn who_looks_for_the_services_of_the_cluster_is_told_that_there_are_none() {
    let server = server().await;
    let services = "/apis/berth.dev/v1/namespaces/kube-system/services";
    let list =
        get(&server, &format!("{services}?labelSelector=kubernetes.io%2Fcluster-service%3Dtrue")).await.expect(200);
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("ServiceList")), "{list}");
    assert_eq!(list["items"], json!([]));
    for others in [services.to_owned(), format!("{services}?labelSelector=a%3Db")] {
        assert_eq!(get(&server, &others).await.expect(200)["apiVersion"], "berth.dev/v1");
    }
}
