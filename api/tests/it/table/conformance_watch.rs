//! Upstream's conformance specs of watches, pages and tables.

use std::time::Duration;

use serde_json::json;

use super::*;

async fn watch(server: &ApiServer, query: &str) -> Lines {
    Lines::new(ask(server, "GET", &format!("{CONFIG_MAPS}?watch=1&{query}")).response().await)
}

fn labelled(name: &str, label: &str) -> Value {
    let mut object = config_map(name);
    object["metadata"]["labels"] = json!({"watch-this-configmap": label});
    object
}

async fn mutate(server: &ApiServer, name: &str, n: u32) -> Value {
    patch(server, "merge", &format!("{CONFIG_MAPS}/{name}"), &json!({"data": {"mutation": n.to_string()}}))
        .await
        .expect(200)
}

#[tokio::test]
async fn watches_of_several_labels_each_see_their_own() {
    let server = server().await;
    let mut a = watch(&server, "labelSelector=watch-this-configmap%3Da").await;
    let mut b = watch(&server, "labelSelector=watch-this-configmap%3Db").await;
    let mut both = watch(&server, "labelSelector=watch-this-configmap+in+(a,b)").await;
    post(&server, CONFIG_MAPS, &labelled("a", "a")).await.expect(201);
    for n in 1..3 {
        mutate(&server, "a", n).await;
    }
    delete(&server, &format!("{CONFIG_MAPS}/a")).await.expect(200);
    post(&server, CONFIG_MAPS, &labelled("b", "b")).await.expect(201);
    delete(&server, &format!("{CONFIG_MAPS}/b")).await.expect(200);
    let of_a = ["ADDED a", "MODIFIED a", "MODIFIED a", "DELETED a"];
    assert_eq!(a.brief(4).await, of_a);
    assert_eq!(both.brief(6).await, [&of_a[..], &["ADDED b", "DELETED b"]].concat());
    assert_eq!(b.brief(2).await, ["ADDED b", "DELETED b"]);
}

#[tokio::test]
async fn a_watch_starts_at_a_revision_and_starts_again_at_the_last_one() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &labelled("c", "c")).await.expect(201);
    let first = mutate(&server, "c", 1).await;
    mutate(&server, "c", 2).await;
    delete(&server, &format!("{CONFIG_MAPS}/c")).await.expect(200);
    let mut lines = watch(&server, &format!("resourceVersion={}", revision(&first))).await;
    assert_eq!(lines.brief(2).await, ["MODIFIED c", "DELETED c"]);
    let mut lines = watch(&server, "labelSelector=watch-this-configmap%3Dd").await;
    post(&server, CONFIG_MAPS, &labelled("d", "d")).await.expect(201);
    mutate(&server, "d", 1).await;
    lines.next().await.unwrap();
    let last = revision(&lines.next().await.unwrap()["object"]);
    drop(lines);
    mutate(&server, "d", 2).await;
    delete(&server, &format!("{CONFIG_MAPS}/d")).await.expect(200);
    let mut lines = watch(&server, &format!("labelSelector=watch-this-configmap%3Dd&resourceVersion={last}")).await;
    let next = lines.next().await.unwrap();
    assert_eq!((&next["type"], &next["object"]["data"]["mutation"]), (&json!("MODIFIED"), &json!("2")));
    assert_eq!(lines.brief(1).await, ["DELETED d"]);
}

#[tokio::test]
async fn an_object_that_leaves_a_selection_is_deleted_for_the_watch_and_added_when_it_comes_back() {
    let server = server().await;
    let mut lines = watch(&server, "labelSelector=watch-this-configmap%3Din").await;
    post(&server, CONFIG_MAPS, &labelled("c", "in")).await.expect(201);
    mutate(&server, "c", 1).await;
    let path = format!("{CONFIG_MAPS}/c");
    let label = |to: &str| json!({"metadata": {"labels": {"watch-this-configmap": to}}});
    patch(&server, "merge", &path, &label("out")).await.expect(200);
    mutate(&server, "c", 2).await;
    patch(&server, "merge", &path, &label("in")).await.expect(200);
    mutate(&server, "c", 3).await;
    delete(&server, &path).await.expect(200);
    let seen = lines.brief(6).await;
    assert_eq!(seen, ["ADDED c", "MODIFIED c", "DELETED c", "ADDED c", "MODIFIED c", "DELETED c"]);
}

#[tokio::test]
async fn watches_from_every_revision_see_the_same_order() {
    let server = server().await;
    let from = revision(&get(&server, CONFIG_MAPS).await.expect(200));
    let writer = {
        let server = server.clone();
        tokio::spawn(async move {
            for n in 0..30 {
                let name = format!("c{}", n % 3);
                match n {
                    0..3 => drop(post(&server, CONFIG_MAPS, &config_map(&name)).await.expect(201)),
                    27.. => drop(delete(&server, &format!("{CONFIG_MAPS}/{name}")).await.expect(200)),
                    _ => drop(mutate(&server, &name, n).await),
                }
            }
        })
    };
    let mut all = watch(&server, &format!("resourceVersion={from}")).await;
    let mut order = vec![];
    for _ in 0..30 {
        order.push(revision(&all.next().await.unwrap()["object"]));
    }
    writer.await.unwrap();
    assert!(order.is_sorted());
    for start in (0..29).step_by(4) {
        let mut lines = watch(&server, &format!("resourceVersion={}", order[start])).await;
        for want in &order[start + 1..] {
            assert_eq!(revision(&lines.next().await.unwrap()["object"]), *want);
        }
    }
}

#[tokio::test]
async fn pages_of_objects_and_of_rows_have_all_of_them() {
    let server = server().await;
    for n in 0..40 {
        post(&server, CONFIG_MAPS, &config_map(&format!("template-{n:04}"))).await.expect(201);
    }
    for accept in ["application/json", TABLE] {
        for limit in [1, 7, 16, 39, 40, 41, 0] {
            let (mut token, mut seen, mut state) = (String::new(), vec![], None);
            loop {
                let path = format!("{CONFIG_MAPS}?limit={limit}&continue={token}");
                let page = accepting(&server, accept, &path).await.expect(200);
                let field = if accept == TABLE { "rows" } else { "items" };
                let items = page[field].as_array().unwrap();
                assert!(limit == 0 || items.len() <= limit);
                let name = |item: &Value| {
                    item.pointer("/metadata/name").or_else(|| item.pointer("/object/metadata/name")).cloned().unwrap()
                };
                seen.extend(items.iter().map(name));
                assert_eq!(*state.get_or_insert_with(|| revision(&page)), revision(&page), "one state");
                token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
                if token.is_empty() {
                    break;
                }
                if let Some(left) = page["metadata"]["remainingItemCount"].as_u64() {
                    assert_eq!(left + seen.len() as u64, 40);
                }
            }
            assert_eq!(seen.len(), 40, "{accept} {limit}");
            assert!(seen.is_sorted_by_key(|name| name.to_string()));
        }
    }
}

#[tokio::test]
async fn a_table_of_what_is_everywhere_has_generic_columns_and_metadata() {
    let server = server().await;
    let table = accepting(&server, TABLE, "/api/v1/namespaces").await.expect(200);
    assert!(table["columnDefinitions"].as_array().unwrap().len() >= 2 && !table["rows"].as_array().unwrap().is_empty());
    for row in table["rows"].as_array().unwrap() {
        assert_eq!(row["cells"].as_array().map(Vec::len), table["columnDefinitions"].as_array().map(Vec::len));
        assert_eq!(row["cells"][0], row["object"]["metadata"]["name"]);
        assert!(row["object"]["metadata"]["resourceVersion"].is_string());
    }
    assert!(table["metadata"]["resourceVersion"].is_string());
}

#[tokio::test]
async fn custom_objects_of_the_cluster_are_watched_by_name() {
    let server = server().await;
    let mut definition = widget_definition();
    definition["spec"]["scope"] = "Cluster".into();
    post(&server, DEFINITIONS, &definition).await.expect(201);
    established(&server, "widgets.demo.example.com").await;
    let path = "/apis/demo.example.com/v1/widgets";
    let mut lines = vec![];
    for name in ["a", "b"] {
        let query = format!("{path}?watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds=30");
        lines.push(Lines::new(ask(&server, "GET", &query).response().await));
    }
    for name in ["a", "b"] {
        post(&server, path, &widget(name)).await.expect(201);
    }
    for name in ["a", "b"] {
        patch(&server, "merge", &format!("{path}/{name}"), &json!({"spec": {"size": 5}})).await.expect(200);
        delete(&server, &format!("{path}/{name}")).await.expect(200);
    }
    for (mut lines, name) in lines.into_iter().zip(["a", "b"]) {
        let want = ["ADDED", "MODIFIED", "DELETED"].map(|kind| format!("{kind} {name}"));
        let seen = tokio::time::timeout(Duration::from_secs(20), lines.brief(3)).await.unwrap();
        assert_eq!(seen, want);
    }
}
