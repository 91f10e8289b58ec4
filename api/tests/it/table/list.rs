//! Rows C097 to C105: pages, revisions and selectors.

use std::time::{Duration, Instant};

use berth_api::ApiServer;
use serde_json::{Value, json};

use super::*;

async fn with_ten() -> ApiServer {
    let server = toy().await;
    for n in 0..10 {
        let mut object = toy_of(&format!("w{n}"), json!({"color": if n < 4 { "blue" } else { "red" }}));
        object["metadata"]["labels"] = json!({"n": n.to_string(), "parity": if n % 2 == 0 { "even" } else { "odd" }});
        if n == 0 {
            object["metadata"]["labels"]["empty"] = "".into();
        }
        post(&server, WIDGETS, &object).await.expect(201);
    }
    server
}

async fn page(server: &ApiServer, query: &str) -> Answer {
    get(server, &format!("{WIDGETS}?{query}")).await
}

#[tokio::test]
async fn pages_are_of_one_state() {
    let server = with_ten().await;
    let first = page(&server, "limit=3").await.expect(200);
    assert_eq!((&first["kind"], &first["apiVersion"]), (&json!("WidgetList"), &json!("demo.example.com/v1")));
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["w0", "w1", "w2"], &json!(7)));
    let mut object = widget("w3z");
    object["spec"]["color"] = "green".into();
    post(&server, WIDGETS, &object).await.expect(201);
    let (mut seen, mut token) = (3, first["metadata"]["continue"].as_str().unwrap().to_owned());
    while !token.is_empty() {
        let next = page(&server, &format!("limit=3&continue={token}")).await.expect(200);
        assert_eq!(next["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        assert!(!names(&next).contains(&"w3z"));
        seen += names(&next).len();
        token = next["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(seen, 10);
}

#[tokio::test]
async fn wrong_pages_are_refused() {
    let server = with_ten().await;
    let token = page(&server, "limit=3").await.expect(200)["metadata"]["continue"].as_str().unwrap().to_owned();
    let both = page(&server, &format!("limit=3&continue={token}&resourceVersion=5")).await;
    both.hints(400, "BadRequest", "specifying resource version is not allowed when using continue");
    page(&server, &format!("limit=3&continue={token}&resourceVersion=0")).await.expect(200);
    page(&server, "continue=garbage").await.hints(400, "BadRequest", "continue key is not valid");
    page(&server, "limit=abc").await.hints(400, "BadRequest", "strconv.ParseInt: parsing \"abc\": invalid syntax");
    for all in ["limit=-1", "limit=0", ""] {
        assert_eq!(names(&page(&server, all).await.expect(200)).len(), 10, "{all}");
    }
}

#[tokio::test]
async fn a_selection_does_not_say_how_many_remain() {
    let server = with_ten().await;
    let some = page(&server, "limit=2&labelSelector=parity%3Dodd").await.expect(200);
    assert_eq!(names(&some), ["w1", "w3"]);
    assert!(some["metadata"].get("remainingItemCount").is_none() && some["metadata"]["continue"] != "", "{some}");
}

#[tokio::test]
async fn a_revision_means_what_the_table_of_revisions_says() {
    let server = with_ten().await;
    let then = revision(&get(&server, &at("w4")).await.expect(200));
    let now = revision(&page(&server, "").await.expect(200));
    for (query, code, count) in [
        (String::new(), 200, 10),
        ("resourceVersion=0".to_owned(), 200, 10),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan".to_owned(), 200, 10),
        (format!("resourceVersion={then}"), 200, 10),
        (format!("resourceVersion={then}&resourceVersionMatch=NotOlderThan"), 200, 10),
        (format!("resourceVersion={then}&resourceVersionMatch=NotOlderThan&limit=3"), 200, 3),
        (format!("resourceVersion={then}&limit=9"), 200, 5),
        (format!("resourceVersion={then}&resourceVersionMatch=Exact"), 200, 5),
        (format!("resourceVersion={then}&resourceVersionMatch=Exact&limit=2"), 200, 2),
        (format!("resourceVersion={now}&resourceVersionMatch=Exact"), 200, 10),
        ("resourceVersionMatch=Exact".to_owned(), 422, 0),
        ("resourceVersionMatch=NotOlderThan".to_owned(), 422, 0),
        ("resourceVersion=0&resourceVersionMatch=Exact".to_owned(), 422, 0),
        (format!("resourceVersion={now}&resourceVersionMatch=Bogus"), 422, 0),
        ("sendInitialEvents=true".to_owned(), 422, 0),
        ("resourceVersion=abc".to_owned(), 400, 0),
    ] {
        let answer = page(&server, &query).await;
        assert_eq!(answer.code, code, "{query}: {}", answer.text());
        if code == 200 {
            let list = answer.json();
            assert_eq!(names(&list).len(), count, "{query}");
            if query.contains("Exact") {
                assert!(
                    query.contains(&format!("resourceVersion={}", revision(&list))),
                    "{query}: {}",
                    list["metadata"]
                );
            }
        }
    }
    page(&server, "resourceVersionMatch=Exact").await.hints(
        422,
        "Invalid",
        "resourceVersionMatch is forbidden unless resourceVersion is provided",
    );
    page(&server, "resourceVersion=abc").await.hints(400, "BadRequest", "invalid resource version");
    let token = page(&server, "limit=3").await.expect(200)["metadata"]["continue"].as_str().unwrap().to_owned();
    page(&server, &format!("continue={token}&resourceVersionMatch=Exact&resourceVersion=0")).await.expect(422);
    for query in ["", "?resourceVersion=0", &format!("?resourceVersion={then}")] {
        get(&server, &format!("{}{query}", at("w9"))).await.expect(200);
    }
}

#[tokio::test]
async fn a_revision_of_tomorrow_is_waited_for_in_vain() {
    let server = with_ten().await;
    let started = Instant::now();
    let late = page(&server, "resourceVersion=99999999").await;
    assert!(started.elapsed() >= Duration::from_millis(2_500) && started.elapsed() < Duration::from_secs(10));
    assert_eq!(late.headers["retry-after"], "1");
    let status = late.hints(504, "Timeout", "Timeout: Too large resource version: 99999999, current: ");
    assert_eq!(
        status["details"],
        json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1})
    );
}

#[tokio::test]
async fn labels_select() {
    let server = with_ten().await;
    for (selector, count) in [
        ("parity=even", 5),
        ("parity==even", 5),
        ("parity!=even", 5),
        ("absent!=x", 10),
        ("n in (1,2)", 2),
        ("n in ( 1 , 2 )", 2),
        ("n notin (1,2)", 8),
        ("absent notin (a)", 10),
        ("n", 10),
        ("!n", 0),
        ("!absent", 10),
        ("n>7", 2),
        ("n<2", 2),
        ("parity=even,n>5", 2),
        ("empty=", 1),
        ("empty in ()", 1),
    ] {
        let query = format!("labelSelector={}", encode(selector));
        assert_eq!(names(&page(&server, &query).await.expect(200)).len(), count, "{selector}");
    }
    for (selector, part) in [
        ("a b c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        ("a in (", ""),
        ("a in b", ""),
        ("a>x", ""),
        ("-a-=b", ""),
    ] {
        let answer = page(&server, &format!("labelSelector={}", encode(selector))).await;
        answer.hints(400, "BadRequest", part);
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[tokio::test]
async fn fields_select() {
    let server = with_ten().await;
    for (selector, count) in [
        ("metadata.name=w3", 1),
        ("metadata.name==w3", 1),
        ("metadata.name!=w3", 9),
        ("metadata.namespace=default", 10),
        ("metadata.namespace=other", 0),
        ("spec.color=blue", 4),
        ("spec.color==blue", 4),
        ("spec.color!=blue", 6),
        ("spec.color=blue,metadata.name=w1", 1),
        ("spec.color=blue,spec.color=red", 0),
    ] {
        let list = page(&server, &format!("fieldSelector={}", encode(selector))).await.expect(200);
        assert_eq!(names(&list).len(), count, "{selector}");
        assert!(list["items"].is_array());
    }
    page(&server, "fieldSelector=spec.size%3D3").await.hints(400, "BadRequest", "field label not supported: spec.size");
    let builtin = get(&server, &format!("{CONFIG_MAPS}?fieldSelector=data.x%3D3")).await;
    builtin.hints(
        400,
        "BadRequest",
        "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
    );
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_empty() {
    let server = toy().await;
    let none = get(&server, "/apis/demo.example.com/v1/namespaces/nowhere/widgets").await.expect(200);
    assert_eq!((&none["kind"], &none["items"]), (&json!("WidgetList"), &Value::Array(vec![])));
}
