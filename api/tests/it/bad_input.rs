//! Input that is meant to hurt: refused with a Status, quickly, and the server goes on.

use std::time::Instant;

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn wrong_bodies_are_refused_with_a_status() {
    let server = server().await;
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "1".to_owned() + &"}".repeat(10_000));
    let arrays = "[".repeat(10_000);
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("cut", b"{\"kind\":".to_vec()),
        ("array", b"[]".to_vec()),
        ("text", b"\"x\"".to_vec()),
        ("null", b"null".to_vec()),
        ("no kind", b"{}".to_vec()),
        ("invalid utf-8", b"{\"kind\":\"\xff\xfe\"}".to_vec()),
        ("nul", b"{\"kind\":\"Service\"}\0".to_vec()),
        ("only nul", vec![0; 100]),
        ("deep maps", deep.clone().into_bytes()),
        ("deep arrays", arrays.clone().into_bytes()),
        ("metadata is a list", b"{\"apiVersion\":\"berth.dev/v1\",\"kind\":\"Service\",\"metadata\":[]}".to_vec()),
        ("kind is a number", b"{\"apiVersion\":\"berth.dev/v1\",\"kind\":7}".to_vec()),
    ];
    for (what, body) in bodies {
        for content_type in ["application/json", "application/yaml"] {
            let answer =
                ask(&server, "POST", SERVICES).header("content-type", content_type).body(body.clone()).send().await;
            assert!(matches!(answer.code, 400 | 422), "{what} as {content_type}: {} {}", answer.code, answer.text());
            assert_eq!(answer.json()["kind"], "Status", "{what}");
        }
    }
    for body in [deep.into_bytes(), arrays.into_bytes(), Vec::new(), vec![0xff; 8]] {
        for kind in ["application/merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml"] {
            let path = format!("{SERVICES}/x?fieldManager=m");
            let answer = ask(&server, "PATCH", &path).header("content-type", kind).body(body.clone()).send().await;
            assert_eq!(answer.code, 400, "{kind}: {}", answer.text());
        }
    }
    get(&server, "/readyz").await;
}

#[tokio::test]
async fn a_nul_in_a_name_or_label_is_refused() {
    let server = server().await;
    let mut object = config_map("x");
    object["metadata"]["name"] = json!("a\0b");
    post(&server, CONFIG_MAPS, &object).await.expect(422);
    let mut object = config_map("x");
    object["metadata"]["labels"] = json!({"a": "b\0"});
    post(&server, CONFIG_MAPS, &object).await.expect(422);
    assert_eq!(get(&server, &format!("{CONFIG_MAPS}/a%00b")).await.code, 400);
    assert_eq!(get(&server, &format!("{CONFIG_MAPS}/..%2f..%2fsecrets")).await.code, 400);
}

#[tokio::test]
async fn large_bodies_are_cut_off() {
    let server = server().await;
    let status = ask(&server, "POST", CONFIG_MAPS).body(vec![b' '; 10 * 1024 * 1024]).send().await.expect(413);
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    let mut large = config_map("big");
    large["data"]["a"] = json!("x".repeat(2_000_000));
    let answer = post(&server, CONFIG_MAPS, &large).await;
    assert!(matches!(answer.code, 413 | 422), "{}", answer.code);
}

#[tokio::test]
async fn a_yaml_bomb_goes_off_in_a_box() {
    let server = server().await;
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..15 {
        let many = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{many}]\n"));
    }
    let started = Instant::now();
    let answer = ask(&server, "POST", CONFIG_MAPS).header("content-type", "application/yaml").body(bomb).send().await;
    answer.expect(400);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[tokio::test]
async fn unknown_kinds_versions_and_formats() {
    let server = server().await;
    let mut other = service("a");
    other["kind"] = json!("Gadget");
    let status = post(&server, SERVICES, &other).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["message"], "Invalid value: \"Gadget\": must be Service");
    let mut other = service("a");
    other["apiVersion"] = json!("berth.dev/v9");
    let status = post(&server, SERVICES, &other).await.expect(400);
    assert_eq!(
        status["message"],
        "the API version in the data (berth.dev/v9) does not match the expected API version (berth.dev/v1)"
    );
    ask(&server, "POST", SERVICES).header("content-type", "text/plain").body("x").send().await.expect(415);
    let protobuf = "application/vnd.kubernetes.protobuf";
    ask(&server, "POST", SERVICES).header("content-type", protobuf).body("k8s\0x").send().await.expect(415);
    ask(&server, "POST", CONFIG_MAPS).header("content-type", protobuf).body("k8s\0\x0a").send().await.expect(400);
    ask(&server, "POST", SERVICES)
        .header("content-type", "application/json; charset=utf-8")
        .body(service("ok").to_string())
        .send()
        .await
        .expect(201);
}

#[tokio::test]
async fn long_managers_and_queries() {
    let server = server().await;
    let path = format!("{SERVICES}?fieldManager={}", "m".repeat(129));
    post(&server, &path, &service("a")).await.expect(422);
    post(&server, &format!("{SERVICES}?fieldManager=a%07b"), &service("a")).await.expect(422);
    let noise: String = (0..200).map(|n| format!("&x{n}=%zz")).collect();
    get(&server, &format!("{SERVICES}?{noise}")).await.expect(200);
}
