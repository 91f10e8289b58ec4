//! Real clients in process: kube-rs's typed API, watcher and Controller.

use std::sync::Arc;
use std::time::Duration;

use berth_api::UserInfo;
use berth_types::Service;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn the_typed_api_does_everything() {
    let server = server().await;
    let api: Api<Service> = Api::default_namespaced(server.client(UserInfo::admin()));
    let service: Service = serde_json::from_value(service("a")).unwrap();
    let made = api.create(&PostParams::default(), &service).await.unwrap();
    assert_eq!(made.spec.replicas, 1);
    let error = api.create(&PostParams::default(), &service).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.is_already_exists()));
    assert!(api.get_opt("absent").await.unwrap().is_none());
    let patch = json!({"apiVersion": "berth.dev/v1", "kind": "Service", "status": {"replicas": 1, "readyReplicas": 1,
        "updatedReplicas": 1, "availableReplicas": 1, "unavailableReplicas": 0}});
    let params = PatchParams::apply("test").force();
    let done = api.patch_status("a", &params, &Patch::Apply(&patch)).await.unwrap();
    assert_eq!(done.status.unwrap().ready_replicas, 1);
    let mut changed = api.get("a").await.unwrap();
    changed.spec.replicas = 3;
    api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(api.get_scale("a").await.unwrap().spec.unwrap().replicas, Some(3));
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
    assert_eq!(api.list_metadata(&ListParams::default()).await.unwrap().items.len(), 1);
    api.delete("a", &DeleteParams::default()).await.unwrap();
    let discovery = kube::discovery::Discovery::new(server.client(UserInfo::admin())).run().await.unwrap();
    assert!(discovery.has_group("berth.dev"));
}

#[tokio::test]
async fn watchers_of_both_kinds_see_the_same() {
    let server = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(server.client(UserInfo::admin()));
    for index in 0..3 {
        post(&server, CONFIG_MAPS, &config_map(&format!("c{index}"))).await.expect(201);
    }
    for config in [watcher::Config::default().page_size(2), watcher::Config::default().streaming_lists()] {
        let mut stream = std::pin::pin!(watcher::watcher(api.clone(), config));
        let mut initial = 0;
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
            match event {
                watcher::Event::InitApply(_) => initial += 1,
                watcher::Event::InitDone => break,
                _ => {}
            }
        }
        assert_eq!(initial, 3);
        patch(&server, "merge", &format!("{CONFIG_MAPS}/c0"), &json!({"data": {"n": rand_text()}})).await.expect(200);
        let event = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
        assert!(matches!(event, watcher::Event::Apply(object) if object.name_any() == "c0"));
    }
}

fn rand_text() -> String {
    format!("{:?}", std::time::Instant::now())
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ReconcileError(String);

/// Puts a finalizer on, makes a ConfigMap, and takes both away again.
async fn reconcile(service: Arc<Service>, client: Arc<Client>) -> Result<Action, ReconcileError> {
    let api: Api<Service> = Api::default_namespaced((*client).clone());
    let maps: Api<ConfigMap> = Api::default_namespaced((*client).clone());
    let failed = |error: kube::Error| ReconcileError(error.to_string());
    finalizer(&api, "test.berth.dev/map", service, |event| async {
        match event {
            Event::Apply(service) => {
                let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": service.name_any()},
                    "data": {"replicas": service.spec.replicas.to_string()}});
                maps.patch(&service.name_any(), &PatchParams::apply("test"), &Patch::Apply(&map))
                    .await
                    .map_err(failed)?;
            }
            Event::Cleanup(service) => {
                maps.delete(&service.name_any(), &DeleteParams::default()).await.map_err(failed)?;
            }
        }
        Ok::<_, ReconcileError>(Action::await_change())
    })
    .await
    .map_err(|error| ReconcileError(error.to_string()))
}

#[tokio::test]
async fn a_controller_with_a_finalizer_runs() {
    let server = server().await;
    let client = server.client(UserInfo::controllers());
    let controller = Controller::new(Api::<Service>::default_namespaced(client.clone()), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(50)), Arc::new(client))
        .for_each(|_| async {});
    let running = tokio::spawn(controller);
    let mut lines = Lines::new(ask(&server, "GET", &format!("{CONFIG_MAPS}?watch=1")).response().await);
    post(&server, SERVICES, &service("a")).await.expect(201);
    assert_eq!(lines.brief(1).await, ["ADDED a"]);
    patch(&server, "merge", &format!("{SERVICES}/a"), &json!({"spec": {"replicas": 5}})).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!(event["object"]["data"]["replicas"], "5");
    let mut services = Lines::new(ask(&server, "GET", &format!("{SERVICES}?watch=1")).response().await);
    delete(&server, &format!("{SERVICES}/a")).await.expect(200);
    assert_eq!(lines.brief(1).await, ["DELETED a"]);
    while services.next().await.unwrap()["type"] != "DELETED" {}
    running.abort();
}
