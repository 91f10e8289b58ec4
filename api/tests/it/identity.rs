//! Who is asking: tokens of every kind, impersonation, logins, and requests for certificates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use berth_api::pki::Pki;
use berth_api::{ApiServer, Config, IdentityConfig, RequestHeaders, UserInfo, kubeconfig};
use berth_identity::jws::{Compact, parse_set};
use berth_identity::password::Users;
use serde_json::{Value, json};

use crate::support::*;
use crate::tls::running_with;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const LOGINS: &str = "/apis/authentication.berth.dev/v1/loginrequests";
const SIGNING: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const ISSUER: &str = "https://kubernetes.default.svc";

async fn account(server: &ApiServer, name: &str) -> Value {
    post(server, ACCOUNTS, &json!({"metadata": {"name": name}})).await.expect(201)
}

/// The answer to a request for a token.
async fn token_for(server: &ApiServer, name: &str, spec: Value) -> Value {
    post(server, &format!("{ACCOUNTS}/{name}/token"), &json!({"spec": spec})).await.expect(201)
}

fn token_in(answer: &Value) -> String {
    answer["status"]["token"].as_str().unwrap().to_owned()
}

/// Who the server takes the bearer of a token for.
async fn who(server: &ApiServer, token: &str) -> Answer {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let asked = ask_as(server, None, "POST", WHO_AM_I).header("authorization", &format!("Bearer {token}"));
    asked.json(&review).send().await
}

async fn review(server: &ApiServer, spec: Value) -> Value {
    post(server, TOKEN_REVIEWS, &json!({"spec": spec})).await.expect(201)["status"].clone()
}

fn claims(token: &str) -> Value {
    Compact::parse(token).unwrap().unverified_claims().unwrap()
}

#[tokio::test]
async fn nobody_in_particular_is_forbidden_and_a_bad_token_is_refused() {
    let server = server().await;
    let answer = ask_as(&server, None, "GET", CONFIG_MAPS).send().await;
    assert_eq!(answer.code, 403);
    let said = "configmaps is forbidden: User \"system:anonymous\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(answer.json()["message"], said);
    for (path, token) in [(CONFIG_MAPS, "nonsense"), ("/version", "nonsense"), ("/livez", "a.b.c")] {
        let asked = ask_as(&server, None, "GET", path).header("authorization", &format!("Bearer {token}"));
        let answer = asked.send().await;
        assert_eq!((answer.code, answer.json()["message"].as_str()), (401, Some("Unauthorized")), "{path}");
        assert_eq!(answer.headers.get("www-authenticate"), None);
    }
}

#[tokio::test]
async fn an_account_gets_a_token_that_says_who_it_is() {
    let server = server().await;
    let uid = account(&server, "bot").await["metadata"]["uid"].clone();
    let answer = token_for(&server, "bot", json!({})).await;
    assert_eq!(answer["kind"], "TokenRequest");
    assert_eq!(answer["metadata"]["name"], "bot");
    assert_eq!(answer["metadata"]["namespace"], "default");
    assert!(answer["metadata"]["uid"].is_string() && answer["metadata"]["creationTimestamp"].is_string());
    assert_eq!(answer["spec"], json!({"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": null}));
    let token = token_in(&answer);
    let said = claims(&token);
    assert_eq!(said["sub"], "system:serviceaccount:default:bot");
    assert_eq!(said["aud"], json!([ISSUER]));
    assert_eq!(said["iss"], ISSUER);
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3600);
    assert_eq!(said["nbf"], said["iat"]);
    assert_eq!(said["kubernetes.io"], json!({"namespace": "default", "serviceaccount": {"name": "bot", "uid": uid}}));
    let user = who(&server, &token).await.expect(201)["status"]["userInfo"].clone();
    assert_eq!(user["username"], "system:serviceaccount:default:bot");
    assert_eq!(user["uid"], uid);
    assert_eq!(
        user["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
    );
    let id = format!("JTI={}", said["jti"].as_str().unwrap());
    assert_eq!(user["extra"], json!({"authentication.kubernetes.io/credential-id": [id]}));
}

#[tokio::test]
async fn a_token_lives_within_bounds() {
    let server = server().await;
    account(&server, "bot").await;
    let path = format!("{ACCOUNTS}/bot/token");
    let answer = post(&server, &path, &json!({"spec": {"expirationSeconds": 60}})).await;
    assert_eq!(
        answer.expect(422)["message"],
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"
    );
    let long = post(&server, &path, &json!({"spec": {"expirationSeconds": 1_000_000}})).await;
    assert!(long.warnings()[0].contains("requested expiration of 1000000 seconds shortened to 86400 seconds"));
    long.expect(201);
    let missing = post(&server, &format!("{ACCOUNTS}/none/token"), &json!({"spec": {}})).await.expect(404);
    assert_eq!(missing["message"], "serviceaccounts \"none\" not found");
    assert_eq!(ask(&server, "GET", &path).send().await.code, 405);
}

/// kubectl sends its wish as protobuf, and reads the answer as JSON.
#[tokio::test]
async fn a_wish_in_protobuf_is_read() {
    let server = server().await;
    account(&server, "bot").await;
    let bytes = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    // 900 seconds as a varint.
    let spec = [bytes(1, b"vault"), vec![4 << 3, 0x84, 0x07]].concat();
    let kind = [bytes(1, b"authentication.k8s.io/v1"), bytes(2, b"TokenRequest")].concat();
    let body = [b"k8s\0".to_vec(), bytes(1, &kind), bytes(2, &bytes(2, &spec))].concat();
    let asked = ask(&server, "POST", &format!("{ACCOUNTS}/bot/token"))
        .header("content-type", "application/vnd.kubernetes.protobuf")
        .header("accept", "application/vnd.kubernetes.protobuf,application/json");
    let answer = asked.body(body).send().await.expect(201);
    assert_eq!(answer["spec"]["audiences"], json!(["vault"]));
    assert_eq!(answer["spec"]["expirationSeconds"], 900);
    assert_eq!(claims(&token_in(&answer))["aud"], json!(["vault"]));
}

#[tokio::test]
async fn a_token_for_somebody_else_is_not_for_this_api() {
    let server = server().await;
    account(&server, "bot").await;
    let token = token_in(&token_for(&server, "bot", json!({"audiences": ["vault"]})).await);
    assert_eq!(who(&server, &token).await.code, 401);
    let status = review(&server, json!({"token": token, "audiences": ["vault", "x"]})).await;
    assert_eq!((&status["authenticated"], &status["audiences"]), (&json!(true), &json!(["vault"])));
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:bot");
    let status = review(&server, json!({"token": token})).await;
    assert_eq!(status["authenticated"], Value::Null);
    assert_eq!(status["user"], json!({}));
    let said = format!(
        "[invalid bearer token, token audiences [\"vault\"] is invalid for the target audiences [\"{ISSUER}\"]]"
    );
    assert_eq!(status["error"], said);
    assert_eq!(
        review(&server, json!({"token": "nonsense"})).await,
        json!({"user": {}, "error": "invalid bearer token"})
    );
    let own = token_in(&token_for(&server, "bot", json!({})).await);
    assert_eq!(review(&server, json!({"token": own})).await["audiences"], json!([ISSUER]));
    assert_eq!(post(&server, TOKEN_REVIEWS, &json!({"spec": {}})).await.code, 400);
}

#[tokio::test]
async fn a_token_ends_with_its_account_and_with_what_it_is_bound_to() {
    let server = server().await;
    account(&server, "bot").await;
    let secret = json!({"metadata": {"name": "tie"}, "stringData": {"a": "b"}});
    post(&server, SECRETS, &secret).await.expect(201);
    let reference = json!({"kind": "Secret", "apiVersion": "v1", "name": "tie"});
    let free = token_in(&token_for(&server, "bot", json!({})).await);
    let bound = token_in(&token_for(&server, "bot", json!({"boundObjectRef": reference})).await);
    assert_eq!(claims(&bound)["kubernetes.io"]["secret"]["name"], "tie");
    who(&server, &bound).await.expect(201);
    delete(&server, &format!("{SECRETS}/tie")).await.expect(200);
    assert_eq!(who_until(&server, &bound, 401).await, 401);
    who(&server, &free).await.expect(201);
    delete(&server, &format!("{ACCOUNTS}/bot")).await.expect(200);
    assert_eq!(who_until(&server, &free, 401).await, 401);
    account(&server, "bot").await;
    assert_eq!(who(&server, &free).await.code, 401, "an account of the same name is another one");
    let new = token_in(&token_for(&server, "bot", json!({})).await);
    who(&server, &new).await.expect(201);
}

/// Asks until a cache that is a moment behind has caught up; the last code.
async fn who_until(server: &ApiServer, token: &str, code: u16) -> u16 {
    for _ in 0..100 {
        if who(server, token).await.code == code {
            return code;
        }
        tokio::task::yield_now().await;
    }
    who(server, token).await.code
}

#[tokio::test]
async fn a_token_is_bound_to_what_there_is() {
    let server = server().await;
    account(&server, "bot").await;
    let ask = |reference: Value| {
        let server = &server;
        async move { post(server, &format!("{ACCOUNTS}/bot/token"), &json!({"spec": {"boundObjectRef": reference}})).await }
    };
    let pod = ask(json!({"kind": "Pod", "apiVersion": "v1", "name": "p"})).await.expect(400);
    assert_eq!(pod["message"], "cannot bind token to object of type /v1, Kind=Pod");
    let missing = ask(json!({"kind": "Secret", "apiVersion": "v1", "name": "none"})).await.expect(404);
    assert_eq!(missing["message"], "secrets \"none\" not found");
    post(&server, SECRETS, &json!({"metadata": {"name": "tie"}})).await.expect(201);
    let other = ask(json!({"kind": "Secret", "apiVersion": "v1", "name": "tie", "uid": "other"})).await.expect(409);
    assert!(other["message"].as_str().unwrap().contains("the UID in the bound object reference (other)"));
    let mut task = task("t");
    task["spec"]["serviceAccountName"] = json!("bot");
    let made = post(&server, TASKS, &task).await;
    if made.code == 201 {
        let reference = json!({"kind": "Task", "apiVersion": "berth.dev/v1", "name": "t"});
        let token = token_in(&ask(reference).await.expect(201));
        let user = who(&server, &token).await.expect(201)["status"]["userInfo"].clone();
        assert_eq!(user["extra"]["authentication.berth.dev/task-name"], json!(["t"]));
    }
}

#[tokio::test]
async fn others_verify_a_token_with_the_published_keys() {
    let server = server().await;
    account(&server, "bot").await;
    let token = token_in(&token_for(&server, "bot", json!({})).await);
    let found = get(&server, "/.well-known/openid-configuration").await;
    assert_eq!(found.headers["cache-control"], "public, max-age=3600");
    let document = found.expect(200);
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["jwks_uri"], format!("{ISSUER}/openid/v1/jwks"));
    assert_eq!(document["response_types_supported"], json!(["id_token"]));
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let keys = get(&server, "/openid/v1/jwks").await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    let keys = parse_set(&keys.bytes).unwrap();
    let payload = Compact::parse(&token).unwrap().verify(&keys).map(<[u8]>::to_vec).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["sub"], "system:serviceaccount:default:bot");
    let picky = ask(&server, "GET", "/openid/v1/jwks").header("accept", "application/json").send().await;
    assert_eq!(picky.code, 406);
}

#[tokio::test]
async fn who_may_acts_as_another() {
    let server = server().await;
    let as_bob = |headers: Vec<(&'static str, &'static str)>| {
        let server = &server;
        async move {
            let mut asked = ask(server, "POST", WHO_AM_I).json(&json!({}));
            for (name, value) in headers {
                asked = asked.header(name, value);
            }
            asked.send().await
        }
    };
    let headers = vec![
        ("impersonate-user", "bob"),
        ("impersonate-group", "devs"),
        ("impersonate-uid", "u-1"),
        ("impersonate-extra-example.com%2fscopes", "view"),
    ];
    let user = as_bob(headers).await.expect(201)["status"]["userInfo"].clone();
    assert_eq!(
        user,
        json!({"username": "bob", "uid": "u-1", "groups": ["devs", "system:authenticated"],
            "extra": {"example.com/scopes": ["view"]}})
    );
    let account = as_bob(vec![("impersonate-user", "system:serviceaccount:shop:web")]).await.expect(201);
    assert_eq!(
        account["status"]["userInfo"]["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"])
    );
    let nobody = as_bob(vec![("impersonate-user", "system:anonymous")]).await.expect(403);
    assert!(nobody["message"].as_str().unwrap().contains("User \"system:anonymous\" cannot create"));
    let refused = as_bob(vec![("impersonate-group", "devs")]).await.expect(400);
    assert!(refused["message"].as_str().unwrap().ends_with("without impersonating a user name"));
    let asked = ask(&server, "GET", CONFIG_MAPS).header("impersonate-user", "bob").send().await.expect(403);
    assert!(asked["message"].as_str().unwrap().contains("User \"bob\" cannot list resource \"configmaps\""));
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let server = server().await;
    let alice = UserInfo::new("alice", &[]);
    let asked = ask_as(&server, Some(alice.clone()), "GET", CONFIG_MAPS).header("impersonate-user", "bob");
    assert_eq!(
        asked.send().await.expect(403)["message"],
        "configmaps is forbidden: User \"alice\" cannot impersonate-on:user-info:list resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    let rules =
        json!([{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["bob"]}]);
    grant(&server, "wide", "alice", rules).await;
    let who = |name: &'static str| {
        let asked = ask_as(&server, Some(alice.clone()), "POST", WHO_AM_I).header("impersonate-user", name);
        asked.json(&json!({})).send()
    };
    assert_eq!(who("bob").await.expect(201)["status"]["userInfo"]["username"], "bob");
    assert_eq!(who("eve").await.code, 403);
    let masters = ask_as(&server, Some(alice.clone()), "POST", WHO_AM_I)
        .header("impersonate-user", "bob")
        .header("impersonate-group", "system:masters");
    assert_eq!(masters.json(&json!({})).send().await.code, 403);
}

/// Gives a user a role with these rules everywhere.
async fn grant(server: &ApiServer, name: &str, user: &str, rules: Value) {
    let base = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": name}, "rules": rules});
    post(server, &format!("{base}/clusterroles"), &role).await.expect(201);
    let binding = json!({
        "metadata": {"name": name},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
    });
    post(server, &format!("{base}/clusterrolebindings"), &binding).await.expect(201);
}

#[tokio::test]
async fn a_bootstrap_token_is_its_secret() {
    let server = server().await;
    let secret = json!({
        "metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token",
        "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true", "auth-extra-groups": "system:bootstrappers:berth:agents"},
    });
    post(&server, "/api/v1/namespaces/kube-system/secrets", &secret).await.expect(201);
    let user = who(&server, "abcdef.0123456789abcdef").await.expect(201)["status"]["userInfo"].clone();
    assert_eq!(user["username"], "system:bootstrap:abcdef");
    assert_eq!(
        user["groups"],
        json!(["system:bootstrappers", "system:bootstrappers:berth:agents", "system:authenticated"])
    );
    assert_eq!(who(&server, "abcdef.0123456789abcdee").await.code, 401);
    assert_eq!(who(&server, "fedcba.0123456789abcdef").await.code, 401);
}

#[tokio::test]
async fn a_user_logs_in_with_a_password_until_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.yaml");
    let mut users = Users::default();
    users.add("alice", "correct horse", &["devs".to_owned()]).unwrap();
    users.save(&path).unwrap();
    let identity = IdentityConfig { users_file: Some(path), ..IdentityConfig::default() };
    let server = ApiServer::open(Config { identity, ..Config::default() }).await.unwrap();
    let log_in = |password: &'static str| {
        let body = json!({"spec": {"username": "alice", "password": password}});
        let server = &server;
        async move { ask_as(server, None, "POST", LOGINS).json(&body).send().await }
    };
    let answer = log_in("correct horse").await;
    assert!(!answer.text().contains("correct horse"));
    let answer = answer.expect(201);
    assert_eq!(answer["spec"], json!({"username": "alice"}));
    let user = who(&server, &token_in(&answer)).await.expect(201)["status"]["userInfo"].clone();
    assert_eq!((&user["username"], &user["groups"]), (&json!("alice"), &json!(["devs", "system:authenticated"])));
    let wrong = log_in("wrong horse").await;
    assert_eq!((wrong.code, wrong.json()["message"].as_str()), (401, Some("wrong user name or password")));
    for _ in 0..4 {
        log_in("wrong horse").await;
    }
    let slowed = log_in("correct horse").await;
    assert_eq!(slowed.code, 429);
    assert!(slowed.headers.contains_key("retry-after"));
}

fn signing_request(name: &str, cn: &str, org: &str, signer: &str) -> Value {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, org);
    params.distinguished_name.push(rcgen::DnType::CommonName, cn);
    let pem = params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    json!({
        "metadata": {"name": name},
        "spec": {"request": STANDARD.encode(pem), "signerName": signer, "usages": ["digital signature", "client auth"]},
    })
}

#[tokio::test]
async fn a_request_for_a_certificate_is_decided_by_those_who_may() {
    let server = server().await;
    let signer = "kubernetes.io/kube-apiserver-client";
    let made = post(&server, SIGNING, &signing_request("a", "bob", "devs", signer)).await.expect(201);
    assert_eq!(made["spec"]["username"], "admin");
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "Test", "message": ""});
    let approval = format!("{SIGNING}/a/approval");
    let decide = |conditions: Value| {
        let mut object = made.clone();
        object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        object["spec"]["username"] = json!("mallory");
        object["status"] = json!({"conditions": conditions, "certificate": "YQ=="});
        object
    };
    let approver = UserInfo::new("alice", &[]);
    let rules = json!([{"apiGroups": ["certificates.k8s.io"],
        "resources": ["certificatesigningrequests/approval", "certificatesigningrequests/status"],
        "verbs": ["update"]}]);
    grant(&server, "approve", "alice", rules).await;
    let asked = ask_as(&server, Some(approver.clone()), "PUT", &approval).json(&decide(json!([condition("Approved")])));
    assert_eq!(
        asked.send().await.expect(403)["message"],
        format!(
            "certificatesigningrequests.certificates.k8s.io \"a\" is forbidden: user not permitted to approve requests with signerName \"{signer}\""
        )
    );
    let both = put(&server, &approval, &decide(json!([condition("Approved"), condition("Denied")]))).await.expect(422);
    assert!(both["message"].as_str().unwrap().contains("Approved and Denied conditions are mutually exclusive"));
    let approved = put(&server, &approval, &decide(json!([condition("Approved")]))).await.expect(200);
    assert_eq!(approved["spec"]["username"], "admin", "what was asked does not change");
    assert_eq!(approved["status"]["certificate"], Value::Null, "nor does the approval sign");
    assert!(approved["status"]["conditions"][0]["lastUpdateTime"].is_string());
    let removed = put(&server, &approval, &decide(json!([]))).await.expect(422);
    let said = removed["message"].as_str().unwrap();
    assert!(said.contains("updates may not remove a condition of type \"Approved\""), "{said}");
}

#[tokio::test]
async fn nobody_asks_for_a_certificate_of_the_masters() {
    let server = server().await;
    let signer = "kubernetes.io/kube-apiserver-client";
    let refused = post(&server, SIGNING, &signing_request("m", "bob", "system:masters", signer)).await.expect(403);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .ends_with("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")
    );
    let mut broken = signing_request("b", "bob", "devs", "nonsense");
    broken["spec"]["request"] = json!(STANDARD.encode("no PEM"));
    let refused = post(&server, SIGNING, &broken).await.expect(422);
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("PEM block type must be CERTIFICATE REQUEST") && said.contains("example.com/signer-name"));
}

#[tokio::test]
async fn a_rotated_key_goes_on_verifying() {
    let dir = tempfile::tempdir().unwrap();
    let identity = IdentityConfig { token_keys: Some(dir.path().to_owned()), ..IdentityConfig::default() };
    let config = || Config { identity: identity.clone(), ..Config::default() };
    let first = ApiServer::open(config()).await.unwrap();
    account(&first, "bot").await;
    let token = token_in(&token_for(&first, "bot", json!({})).await);
    berth_identity::service_account::KeySet::rotate(dir.path(), 1).unwrap();
    let store = std::sync::Arc::clone(first.store());
    let config = Config { store: berth_api::StoreConfig::Open(store), ..config() };
    let second = ApiServer::open(config).await.unwrap();
    who(&second, &token).await.expect(201);
    let new = token_in(&token_for(&second, "bot", json!({})).await);
    let kid = |token: &str| Compact::parse(token).unwrap().kid;
    assert_ne!(kid(&new), kid(&token));
}

/// Who a server on a socket takes the bearer of a certificate for, with these headers.
async fn who_by_certificate(client: &kube::Client, headers: &[(&str, &str)]) -> Result<Value, kube::Error> {
    let mut request = http::Request::post(WHO_AM_I).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer: Value = client.request(request.body(b"{}".to_vec()).unwrap()).await?;
    Ok(answer["status"]["userInfo"].clone())
}

#[tokio::test]
async fn a_certificate_names_its_user_and_itself() {
    let running = running_with(IdentityConfig::default(), "").await;
    let alice = running.pki.client("alice", "alice", &["devs"]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&alice)).await;
    let user = who_by_certificate(&client, &[("x-remote-user", "root")]).await.unwrap();
    assert_eq!((&user["username"], &user["groups"]), (&json!("alice"), &json!(["devs", "system:authenticated"])));
    let id = user["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
    assert!(id.starts_with("X509SHA256=") && id.len() == "X509SHA256=".len() + 64, "{id}");
}

#[tokio::test]
async fn a_front_proxy_vouches_for_users_and_is_none_itself() {
    let dir = tempfile::tempdir().unwrap();
    let proxies = Pki::open(dir.path()).unwrap();
    let headers = RequestHeaders { allowed_names: vec!["proxy".to_owned()], ..RequestHeaders::usual(proxies.ca_pem()) };
    let identity = IdentityConfig { request_headers: Some(headers), ..IdentityConfig::default() };
    let running = running_with(identity, proxies.ca_pem()).await;
    let proxy = proxies.client("proxy", "proxy", &["system:masters"]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&proxy)).await;
    let said = [("x-remote-user", "alice"), ("x-remote-group", "devs"), ("x-remote-extra-example.com%2fa", "b")];
    let user = who_by_certificate(&client, &said).await.unwrap();
    assert_eq!(
        user,
        json!({"username": "alice", "groups": ["devs", "system:authenticated"], "extra": {"example.com/a": ["b"]}})
    );
    let code = |result: Result<Value, kube::Error>| match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(who_by_certificate(&client, &[]).await), 403, "its authority names no users");
    let other = proxies.client("other", "other", &["system:masters"]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&other)).await;
    assert_eq!(code(who_by_certificate(&client, &said).await), 403, "not every certificate is a proxy's");
    let own = running.pki.client("bob", "bob", &[]).unwrap();
    let client = running.client(kubeconfig::Credentials::Certificate(&own)).await;
    assert_eq!(who_by_certificate(&client, &said).await.unwrap()["username"], "bob");
}
