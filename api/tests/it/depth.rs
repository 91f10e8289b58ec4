//! Objects as deep as any may be go the whole way, on a stack as small as a thread has.

use serde_json::{Value, json};

use crate::support::*;

/// Levels of a body: the most that is read.
const DEPTH_MAX: usize = 100;

/// A widget of so many levels in all, of objects or of lists.
fn deep(name: &str, levels: usize, lists: bool) -> Value {
    let mut inner = json!("end");
    // The object, its spec and what is free are levels too.
    for _ in 3..levels {
        inner = if lists { json!([inner]) } else { json!({"n": inner}) };
    }
    let mut object = widget(name);
    object["spec"]["free"] = json!({"d": inner});
    object
}

#[tokio::test]
async fn objects_of_a_hundred_levels_go_the_whole_way() {
    let server = server_with_widgets().await;
    for (name, lists) in [("maps", false), ("lists", true)] {
        let path = format!("{WIDGETS}/{name}");
        let object = deep(name, DEPTH_MAX, lists);
        let made = post(&server, WIDGETS, &object).await.expect(201);
        assert_eq!(made["spec"]["free"], object["spec"]["free"], "{name}");
        let mut changed = made.clone();
        changed["metadata"].as_object_mut().unwrap().remove("managedFields");
        changed["spec"]["color"] = json!("blue");
        ask(&server, "PUT", &path).json(&changed).send().await.expect(200);
        let mut merge = deep(name, DEPTH_MAX, lists);
        merge["spec"]["color"] = json!("green");
        patch(&server, "merge", &path, &merge).await.expect(200);
        let replaced = json!([{"op": "replace", "path": "/spec/size", "value": 5},
            {"op": "test", "path": "/spec/free", "value": object["spec"]["free"]}]);
        patch(&server, "json", &path, &replaced).await.expect(200);
        let applied = format!("{path}?fieldManager=m&force=true");
        patch(&server, "apply", &applied, &object).await.expect(200);
        patch(&server, "apply", &applied, &object).await.expect(200);
        patch(&server, "apply", &applied, &widget(name)).await.expect(200);
        let found = get(&server, &path).await.expect(200);
        assert_eq!(found["spec"]["color"], "red");
        get(&server, &format!("{WIDGETS}?limit=1")).await.expect(200);
        assert_eq!(ask(&server, "DELETE", &path).send().await.code, 200);
    }
}

#[tokio::test]
async fn no_patch_makes_an_object_too_deep_to_be_read() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &deep("a", 90, false)).await.expect(201);
    let nest = json!([{"op": "move", "from": "/spec/free/d", "path": "/spec/free/x"},
        {"op": "add", "path": "/spec/free/d", "value": deep("a", 60, false)["spec"]["free"]},
        {"op": "copy", "from": "/spec/free/x", "path": format!("/spec/free/d/d{}/y", "/n".repeat(56))}]);
    let answer = patch(&server, "json", &format!("{WIDGETS}/a"), &nest).await;
    assert!(answer.code < 500, "{} {}", answer.code, answer.text());
    let found = get(&server, &format!("{WIDGETS}/a")).await.expect(200);
    // Who reads it must be able to write it back.
    assert!(ask(&server, "PUT", &format!("{WIDGETS}/a")).json(&found).send().await.code < 300);
}
