//! Owners and what they own: background, foreground, orphans, circles, and references that mean nothing.

use berth_controllers::garbage::parts;
use serde_json::{Value, json};

use crate::harness::{Cluster, EVENTS};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn owned(name: &str, owners: &[(&Value, bool)]) -> Value {
    let owners: Vec<_> = owners
        .iter()
        .map(|(owner, blocks)| {
            json!({
                "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
            })
        })
        .collect();
    let mut object = map(name);
    object["metadata"]["ownerReferences"] = json!(owners);
    object
}

fn at(name: &str) -> String {
    format!("{MAPS}/{name}")
}

#[tokio::test]
async fn in_the_background_what_has_no_owner_left_goes_and_the_rest_only_loses_the_reference() {
    let cluster = Cluster::start(parts).await;
    let (a, b) = (cluster.create(MAPS, map("a")).await, cluster.create(MAPS, map("b")).await);
    let child = cluster.create(MAPS, owned("child", &[(&a, true)])).await;
    cluster.create(MAPS, owned("grandchild", &[(&child, true)])).await;
    cluster.create(MAPS, owned("shared", &[(&a, true), (&b, true)])).await;
    cluster.delete(&at("a"), "Background").await;
    cluster.until_gone(&at("child")).await;
    cluster.until_gone(&at("grandchild")).await;
    let shared = cluster
        .until(&at("shared"), "trimmed", |map| {
            map["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.len() == 1)
        })
        .await;
    assert_eq!(shared["metadata"]["ownerReferences"][0]["name"], "b");
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_after_those_that_block_it() {
    let cluster = Cluster::start(parts).await;
    let owner = cluster.create(MAPS, map("owner")).await;
    let mut held = owned("held", &[(&owner, true)]);
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.create(MAPS, held).await;
    cluster.create(MAPS, owned("free", &[(&owner, false)])).await;
    cluster.delete(&at("owner"), "Foreground").await;
    cluster.until_gone(&at("free")).await;
    cluster.until(&at("held"), "being deleted", |map| map["metadata"]["deletionTimestamp"].is_string()).await;
    let owner = cluster.get(&at("owner")).await.expect("the owner waits for the one that is held");
    assert_eq!(owner["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    cluster.patch(&at("held"), json!({"metadata": {"finalizers": null}})).await;
    cluster.until_gone(&at("held")).await;
    cluster.until_gone(&at("owner")).await;
}

#[tokio::test]
async fn a_circle_in_the_foreground_ends() {
    let cluster = Cluster::start(parts).await;
    let a = cluster.create(MAPS, map("a")).await;
    let b = cluster.create(MAPS, owned("b", &[(&a, true)])).await;
    let c = cluster.create(MAPS, owned("c", &[(&b, true)])).await;
    let back = owned("a", &[(&c, true)]);
    cluster.patch(&at("a"), json!({"metadata": {"ownerReferences": back["metadata"]["ownerReferences"]}})).await;
    cluster.delete(&at("a"), "Foreground").await;
    for name in ["a", "b", "c"] {
        cluster.until_gone(&at(name)).await;
    }
}

#[tokio::test]
async fn orphans_are_let_go_of() {
    let cluster = Cluster::start(parts).await;
    let owner = cluster.create(MAPS, map("owner")).await;
    cluster.create(MAPS, owned("child", &[(&owner, true)])).await;
    cluster.delete(&at("owner"), "Orphan").await;
    cluster.until_gone(&at("owner")).await;
    let child = cluster.get(&at("child")).await.expect("the child stays");
    assert!(child["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty), "{child:#}");
}

#[tokio::test]
async fn an_owner_of_another_namespace_or_uid_is_no_owner() {
    let cluster = Cluster::start(parts).await;
    cluster
        .create("/api/v1/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}))
        .await;
    let far = cluster.create("/api/v1/namespaces/other/configmaps", map("far")).await;
    cluster.create(MAPS, owned("a", &[(&far, true)])).await;
    cluster.until_gone(&at("a")).await;
    cluster
        .until(EVENTS, "recorded", |events| events.to_string().contains("does not exist in namespace \\\"default\\\""))
        .await;
    let mut near = cluster.create(MAPS, map("near")).await;
    near["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    cluster.create(MAPS, owned("b", &[(&near, true)])).await;
    cluster.until_gone(&at("b")).await;
    assert!(cluster.get(&at("near")).await.is_some());
}

#[tokio::test]
async fn kinds_that_appear_later_are_owners_and_an_unknown_kind_of_owner_deletes_nothing() {
    let cluster = Cluster::start(parts).await;
    let stranger = json!({
        "apiVersion": "demo.example.com/v1", "kind": "Stranger",
        "metadata": {"name": "s", "uid": "11111111-2222-3333-4444-555555555555"},
    });
    cluster.create(MAPS, owned("kept", &[(&stranger, true)])).await;
    cluster
        .create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "widgets.demo.example.com"},
                "spec": {
                    "group": "demo.example.com", "scope": "Namespaced",
                    "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    }}}],
                },
            }),
        )
        .await;
    let widgets = "/apis/demo.example.com/v1/namespaces/default/widgets";
    cluster.until("/apis/demo.example.com/v1", "served", |_| true).await;
    let widget = json!({"apiVersion": "demo.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    let widget = cluster.create(widgets, widget).await;
    cluster.create(MAPS, owned("child", &[(&widget, true)])).await;
    cluster.delete(&format!("{widgets}/w"), "Background").await;
    cluster.until_gone(&at("child")).await;
    assert!(cluster.get(&at("kept")).await.is_some());
}
