//! What must never get in, sent as raw requests: each is refused with the right code, and the server lives on.

use std::process::Stdio;

use berth_e2e::Cluster;

/// Sends a body with curl and the admin's token; gives code and answer.
fn send(cluster: &Cluster, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, String) {
    let config = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let token = config.lines().find_map(|l| l.trim().strip_prefix("token: ")).expect("the kubeconfig has a token");
    let file = cluster.path("body");
    std::fs::write(&file, body).unwrap();
    let url = format!("https://{}{path}", cluster.api_address());
    let out = cluster
        .command(
            "curl".as_ref(),
            &[
                "-sk",
                "-X",
                method,
                "-H",
                &format!("Authorization: Bearer {}", token.trim_matches('"')),
                "-H",
                &format!("Content-Type: {content_type}"),
                "-H",
                "Expect:",
                "--data-binary",
                &format!("@{}", file.display()),
                "-w",
                "\n%{http_code}",
                &url,
            ],
        )
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (answer, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.parse().unwrap_or(0), answer.to_owned())
}

/// What it is, path, content type, body, and the codes that are right.
type Case = (&'static str, &'static str, &'static str, Vec<u8>, &'static [u16]);

#[test]
fn every_kind_of_nonsense_is_refused_with_the_right_code() {
    let cluster = Cluster::up();
    let services = "/apis/berth.dev/v1/namespaces/default/services";
    let json = "application/json";
    let template = r#""template":{"spec":{"containers":[{"name":"a","shell":"true"}]}}"#;
    let ok = format!(
        r#"{{"apiVersion":"berth.dev/v1","kind":"Service","metadata":{{"name":"base"}},"spec":{{"replicas":0,{template}}}}}"#
    );
    assert_eq!(send(&cluster, "POST", services, json, ok.as_bytes()).0, 201);
    assert_eq!(send(&cluster, "POST", services, json, ok.as_bytes()).0, 409, "exists already");

    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let bomb = {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        text
    };
    let named = |name: &str| {
        format!(
            r#"{{"apiVersion":"berth.dev/v1","kind":"Service","metadata":{{"name":"{name}"}},"spec":{{{template}}}}}"#
        )
    };
    let cases: Vec<Case> = vec![
        ("ten MiB", services, json, vec![b' '; 10 << 20], &[413]),
        ("depth 10,000", services, json, deep.into_bytes(), &[400, 422]),
        ("a YAML bomb", services, "application/yaml", bomb.into_bytes(), &[400, 413, 422]),
        ("invalid UTF-8", services, json, b"{\"kind\":\"\xff\xfe\"}".to_vec(), &[400]),
        ("NUL in a name", services, json, named("a\\u0000b").into_bytes(), &[422, 400]),
        ("a path in a name", services, json, named("../etc").into_bytes(), &[422, 400]),
        ("no body", services, json, vec![], &[400]),
        ("an array", services, json, b"[]".to_vec(), &[400]),
        ("another kind", services, json, ok.replace("\"Service\"", "\"Gadget\"").into_bytes(), &[400, 422]),
        ("a content type that nobody speaks", services, "text/plain", ok.clone().into_bytes(), &[415]),
        (
            "replicas of the wrong type",
            services,
            json,
            ok.replace("\"replicas\":0", "\"replicas\":\"x\"").replace("base", "b2").into_bytes(),
            &[422],
        ),
        (
            "an absent namespace",
            "/apis/berth.dev/v1/namespaces/nowhere/services",
            json,
            ok.clone().into_bytes(),
            &[404],
        ),
        ("an unknown group", "/apis/nobody.example.com/v1/things", json, ok.clone().into_bytes(), &[404]),
    ];
    for (what, path, content_type, body, codes) in cases {
        let (code, answer) = send(&cluster, "POST", path, content_type, &body);
        assert!(codes.contains(&code), "{what}: {code} {answer}");
    }

    let strict = format!("{services}?fieldValidation=Strict");
    let (code, answer) = send(
        &cluster,
        "POST",
        &strict,
        json,
        ok.replace("\"replicas\":0", "\"replcas\":0").replace("base", "b3").as_bytes(),
    );
    assert!(code == 400 && answer.contains("unknown field") && answer.contains("spec.replcas"), "{code} {answer}");

    let object = format!("{services}/base");
    let merge = "application/merge-patch+json";
    let (code, answer) =
        send(&cluster, "PATCH", &object, merge, br#"{"metadata":{"resourceVersion":"1"},"spec":{"replicas":1}}"#);
    assert!(code == 409 && answer.contains("Conflict"), "{code} {answer}");
    let (code, _) =
        send(&cluster, "PATCH", &object, "application/json-patch+json", br#"[{"op":"remove","path":"/spec/none"}]"#);
    assert_eq!(code, 422);
    for query in [
        "labelSelector=a%20b",
        "labelSelector=a,,b",
        "fieldSelector=spec.nothing=1",
        "limit=abc",
        "resourceVersion=abc",
    ] {
        let (code, answer) = send(&cluster, "GET", &format!("{services}?{query}"), json, b"");
        assert!(code == 400, "{query}: {code} {answer}");
    }
    assert_eq!(send(&cluster, "GET", "/readyz", json, b"").0, 200, "and the server lives on");
    let left = cluster.berth(&["get", "services", "-o", "name"]).ok();
    assert_eq!(left.lines(), ["service.berth.dev/base"]);
    cluster.purge();
}
