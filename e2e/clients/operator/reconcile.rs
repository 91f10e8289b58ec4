//! What the operator does with a Greeting: a ConfigMap with the words, the status, an event, and a farewell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::watcher;
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::json;

use crate::kind::Greeting;

const MANAGER: &str = "greeting-operator";
/// Between two tries of what failed.
const RETRY: Duration = Duration::from_millis(500);

type Failed = kube::runtime::finalizer::Error<kube::Error>;

struct Context {
    client: Client,
    recorder: Recorder,
    me: String,
}

/// Runs the controller for ever.
pub(crate) async fn run(client: Client, me: &str) {
    let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(me.to_owned()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Context { client: client.clone(), recorder, me: me.to_owned() });
    let greetings: Api<Greeting> = Api::default_namespaced(client.clone());
    let children: Api<ConfigMap> = Api::default_namespaced(client);
    Controller::new(greetings, watcher::Config::default().streaming_lists())
        .owns(children, watcher::Config::default())
        .run(reconcile, again, context)
        .for_each(|done| async move {
            match done {
                // A child that goes after its Greeting asks for it once more: nothing is left to do.
                Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
                Err(error) => println!("failed: {error}"),
            }
        })
        .await;
}

fn again(_: Arc<Greeting>, _: &Failed, _: Arc<Context>) -> Action {
    Action::requeue(RETRY)
}

async fn reconcile(greeting: Arc<Greeting>, context: Arc<Context>) -> Result<Action, Failed> {
    let api: Api<Greeting> = Api::default_namespaced(context.client.clone());
    finalizer(&api, "krs.example.com/farewell", greeting, |event| async {
        match event {
            Finalizer::Apply(greeting) => greet(&greeting, &context).await,
            Finalizer::Cleanup(greeting) => farewell(&greeting, &context).await,
        }
    })
    .await
}

async fn greet(greeting: &Greeting, context: &Context) -> Result<Action, kube::Error> {
    let name = greeting.name_any();
    let words = vec![format!("hello {}", greeting.spec.who); greeting.spec.times as usize].join(", ");
    let children: Api<ConfigMap> = Api::default_namespaced(context.client.clone());
    let child = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(BTreeMap::from([("app".to_owned(), MANAGER.to_owned())])),
            owner_references: Some(greeting.controller_owner_ref(&()).into_iter().collect()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("words".to_owned(), words.clone())])),
        ..ConfigMap::default()
    };
    let params = PatchParams::apply(MANAGER).force();
    children.patch(&name, &params, &Patch::Apply(&child)).await?;

    let said = greeting.status.as_ref().and_then(|status| status.said.as_deref());
    let api: Api<Greeting> = Api::default_namespaced(context.client.clone());
    let status = json!({
        "apiVersion": Greeting::api_version(&()),
        "kind": Greeting::kind(&()),
        "status": {"said": words, "observedGeneration": greeting.metadata.generation},
    });
    api.patch_status(&name, &params, &Patch::Apply(&status)).await?;
    if said != Some(words.as_str()) {
        let event = Event {
            type_: EventType::Normal,
            reason: "Greeted".to_owned(),
            note: Some(words.clone()),
            action: "Greet".to_owned(),
            secondary: None,
        };
        context.recorder.publish(&event, &greeting.object_ref(&())).await?;
        println!("{}: said {words}", context.me);
    }
    Ok(Action::await_change())
}

/// Leaves a note that outlives the Greeting.
async fn farewell(greeting: &Greeting, context: &Context) -> Result<Action, kube::Error> {
    let notes: Api<ConfigMap> = Api::default_namespaced(context.client.clone());
    let note = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "farewells"},
        "data": {greeting.name_any(): format!("goodbye {}", greeting.spec.who)},
    });
    let manager = format!("farewell-of-{}", greeting.name_any());
    notes.patch("farewells", &PatchParams::apply(&manager), &Patch::Apply(&note)).await?;
    println!("{}: goodbye {}", context.me, greeting.spec.who);
    Ok(Action::await_change())
}
