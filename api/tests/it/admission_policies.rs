//! Policies in CEL: what they refuse, warn of and change; and match conditions of webhooks.

use berth_api::{ApiServer, UserInfo};
use serde_json::{Value, json};

use crate::admission_support::*;
use crate::support::*;

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// Creates objects of these collections, and waits until writes are judged by them.
async fn create(server: &ApiServer, objects: &[(&str, Value)]) {
    for (plural, object) in objects {
        post(server, &format!("{GROUP}/{plural}"), object).await.expect(201);
    }
    for (plural, _) in objects {
        get(server, &format!("{GROUP}/{plural}")).await.expect(200);
    }
}

fn rules(group: &str, resources: &[&str]) -> Value {
    json!({"resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": resources}]})
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A validating policy for config maps, with more fields.
fn policy(name: &str, fields: Value) -> (&'static str, Value) {
    let mut spec = json!({"matchConstraints": rules("", &["configmaps"])});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    ("validatingadmissionpolicies", object("ValidatingAdmissionPolicy", name, spec))
}

fn binding(name: &str, policy: &str, fields: Value) -> (&'static str, Value) {
    let mut spec = json!({"policyName": policy, "validationActions": ["Deny"]});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    ("validatingadmissionpolicybindings", object("ValidatingAdmissionPolicyBinding", name, spec))
}

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

#[tokio::test]
async fn a_policy_refuses_with_its_message_and_the_code_of_its_reason() {
    let server = server().await;
    create(
        &server,
        &[
            policy("vp", json!({
                "variables": [{"name": "size", "expression": "int(object.data.size)"}],
                "validations": [
                    {"expression": "variables.size <= 40", "messageExpression": "'size ' + string(variables.size) + ' too big'"},
                    {"expression": "variables.size != 13", "message": "no luck", "reason": "Forbidden"},
                    {"expression": "object.data.size != '7'"},
                ],
            })),
            binding("vpb", "vp", json!({})),
        ],
    )
    .await;
    for (size, code, reason, told) in [
        ("50", 422, "Invalid", "size 50 too big"),
        ("13", 403, "Forbidden", "no luck"),
        ("7", 422, "Invalid", "failed expression: object.data.size != '7'"),
    ] {
        let status = post(&server, CONFIG_MAPS, &map("a", json!({"size": size}))).await.expect(code);
        let message = format!("ValidatingAdmissionPolicy 'vp' with binding 'vpb' denied request: {told}");
        assert_eq!(status["message"], format!("configmaps \"a\" is forbidden: {message}"));
        assert_eq!((&status["reason"], &status["details"]["causes"]), (&json!(reason), &json!([{"message": message}])));
    }
    let status = post(&server, CONFIG_MAPS, &map("a", json!({}))).await.expect(422);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("expression 'variables.size <= 40' resulted in error: no such key: size"),
        "{status}"
    );
    post(&server, CONFIG_MAPS, &map("a", json!({"size": "1"}))).await.expect(201);
    patch(&server, "merge", &format!("{CONFIG_MAPS}/a"), &json!({"data": {"size": "99"}})).await.expect(422);
}

#[tokio::test]
async fn parameters_tell_a_policy_how_strict_to_be() {
    let server = server().await;
    post(&server, CONFIG_MAPS, &map("limits", json!({"max": "5"}))).await.expect(201);
    let of = |max: &str| {
        let mut object = map(&format!("limit-{max}"), json!({"max": max}));
        object["metadata"]["labels"] = json!({"limits": "yes"});
        object
    };
    for max in ["8", "9"] {
        post(&server, CONFIG_MAPS, &of(max)).await.expect(201);
    }
    let rule = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": rules("", &["secrets"]),
        "validations": [{"expression": "object.metadata.name.size() <= int(params.data.max)",
            "messageExpression": "'longer than ' + params.data.max"}],
    });
    let named = json!({"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}});
    create(&server, &[policy("p", rule.clone()), binding("b", "p", named)]).await;
    get(&server, CONFIG_MAPS).await.expect(200);
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    post(&server, secrets, &secret("short")).await.expect(201);
    let status = post(&server, secrets, &secret("longer")).await.expect(422);
    assert!(status["message"].as_str().unwrap().ends_with("longer than 5"), "{status}");
    delete(&server, &format!("{CONFIG_MAPS}/limits")).await.expect(200);
    get(&server, CONFIG_MAPS).await.expect(200);
    let status = post(&server, secrets, &secret("s")).await.expect(422);
    assert_eq!(
        status["message"],
        "secrets \"s\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    );
    delete(&server, &format!("{GROUP}/validatingadmissionpolicybindings/b")).await.expect(200);
    let selected =
        json!({"paramRef": {"selector": {"matchLabels": {"limits": "yes"}}, "parameterNotFoundAction": "Allow"}});
    create(&server, &[binding("c", "p", selected)]).await;
    // Every parameter counts: the strictest decides.
    post(&server, secrets, &secret("12345678")).await.expect(201);
    let status = post(&server, secrets, &secret("123456789")).await.expect(422);
    assert!(status["message"].as_str().unwrap().ends_with("longer than 8"), "{status}");
}

#[tokio::test]
async fn a_binding_may_warn_instead_of_refusing() {
    let server = server().await;
    let rule = json!({"validations": [{"expression": "false", "message": "no"}]});
    create(&server, &[policy("p", rule), binding("b", "p", json!({"validationActions": ["Warn", "Audit"]}))]).await;
    let answer = post(&server, CONFIG_MAPS, &config_map("a")).await;
    assert_eq!(
        answer.warnings(),
        ["299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no\""]
    );
    answer.expect(201);
}

#[tokio::test]
async fn bindings_and_conditions_narrow_a_policy_down() {
    let server = server().await;
    let rule = json!({
        "matchConditions": [{"name": "not-admin", "expression": "request.userInfo.username != 'boss'"}],
        "validations": [{"expression": "false"}],
    });
    let selector = json!({"matchResources": {"namespaceSelector": {"matchLabels": {"strict": "yes"}}}});
    create(&server, &[policy("p", rule), binding("b", "p", selector)]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let label = json!({"metadata": {"labels": {"strict": "yes"}}});
    patch(&server, "merge", "/api/v1/namespaces/default", &label).await.expect(200);
    get(&server, "/api/v1/namespaces").await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("b")).await.expect(422);
    let boss = UserInfo::new("boss", &["system:masters"]);
    ask_as(&server, Some(boss), "POST", CONFIG_MAPS).json(&config_map("b")).send().await.expect(201);
}

#[tokio::test]
async fn expressions_see_the_namespace_the_old_object_and_what_the_user_may() {
    let server = server().await;
    let rule = json!({"validations": [
        {"expression": "namespaceObject.metadata.name == 'default' && namespaceObject.metadata.creationTimestamp < timestamp('2100-01-01T00:00:00Z')"},
        {"expression": "request.operation == 'CREATE' ? oldObject == null : oldObject.data.a == '1'"},
        {"expression": "authorizer.requestResource.check('delete').allowed()"},
        {"expression": "!authorizer.serviceAccount('default', 'nobody').group('').resource('secrets').check('get').allowed()"},
        {"expression": "request.resource.resource == 'configmaps' && request.name == object.metadata.name && !request.dryRun"},
    ]});
    create(&server, &[policy("p", rule), binding("b", "p", json!({}))]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    patch(&server, "merge", &format!("{CONFIG_MAPS}/a"), &json!({"data": {"b": "2"}})).await.expect(200);
}

#[tokio::test]
async fn policies_that_cannot_be_evaluated_refuse_or_let_pass_as_they_say() {
    let server = server().await;
    let rule = |policy: &str| {
        json!({"failurePolicy": policy, "paramKind": {"apiVersion": "no.example.com/v1", "kind": "Absent"},
        "validations": [{"expression": "true"}]})
    };
    create(
        &server,
        &[
            policy("p", rule("Ignore")),
            binding("b", "p", json!({"paramRef": {"name": "x", "parameterNotFoundAction": "Deny"}})),
        ],
    )
    .await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    create(
        &server,
        &[
            policy("q", rule("Fail")),
            binding("c", "q", json!({"paramRef": {"name": "x", "parameterNotFoundAction": "Deny"}})),
        ],
    )
    .await;
    let status = post(&server, CONFIG_MAPS, &config_map("b")).await.expect(422);
    assert_eq!(
        status["message"],
        "configmaps \"b\" is forbidden: ValidatingAdmissionPolicy 'q' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'no.example.com/v1, Kind=Absent'"
    );
}

#[tokio::test]
async fn expressions_that_do_not_compile_are_refused_when_they_are_written() {
    let server = server().await;
    let (plural, bad) = policy("p", json!({"validations": [{"expression": "object.metadata.name =="}]}));
    let status = post(&server, &format!("{GROUP}/{plural}"), &bad).await.expect(422);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("spec.validations[0].expression: Invalid value: \"object.metadata.name ==\": compilation failed: ERROR: <input>:1:"), "{message}");
    let hook = webhook("v.example.com", &json!({"url": "https://127.0.0.1:1/"}), "", &["configmaps"]);
    let bad = with(hook, json!({"matchConditions": [{"name": "a", "expression": "object.x +"}]}));
    let status = post(&server, VALIDATING, &configuration(VALIDATING, "v", &[bad])).await.expect(422);
    assert!(status["message"].as_str().unwrap().contains("webhooks[0].matchConditions[0].expression"), "{status}");
}

#[tokio::test]
async fn match_conditions_decide_whether_a_webhook_is_asked() {
    let server = server().await;
    let hook = Hook::always(json!({"allowed": false})).await;
    let of = |expression: &str, policy: &str| {
        let webhook = webhook("v.example.com", &hook.client_config("/"), "", &["configmaps"]);
        with(
            webhook,
            json!({"failurePolicy": policy, "matchConditions": [
            {"name": "ours", "expression": "!request.userInfo.groups.exists(g, g == 'system:nodes')"},
            {"name": "other", "expression": expression}]}),
        )
    };
    for (name, expression, policy, code) in [
        ("yes", "object.metadata.name.startsWith('y')", "Fail", 400),
        ("no", "object.metadata.name.startsWith('y')", "Fail", 201),
        ("broken", "object.data.absent == 'x'", "Fail", 403),
        ("ignored", "object.data.absent == 'x'", "Ignore", 201),
        ("allowed", "authorizer.requestResource.check('create').allowed()", "Fail", 400),
    ] {
        create(
            &server,
            &[("validatingwebhookconfigurations", configuration(VALIDATING, name, &[of(expression, policy)]))],
        )
        .await;
        post(&server, CONFIG_MAPS, &config_map(name)).await.expect(code);
        delete(&server, &format!("{VALIDATING}/{name}")).await.expect(200);
    }
    assert_eq!(hook.brief(), ["CREATE configmaps yes", "CREATE configmaps allowed"]);
}

fn mutating(name: &str, group: &str, plural: &str, fields: Value) -> [(&'static str, Value); 2] {
    let mut spec =
        json!({"matchConstraints": rules(group, &[plural]), "reinvocationPolicy": "Never", "failurePolicy": "Fail"});
    for (field, value) in fields.as_object().unwrap() {
        spec[field] = value.clone();
    }
    [
        ("mutatingadmissionpolicies", object("MutatingAdmissionPolicy", name, spec)),
        (
            "mutatingadmissionpolicybindings",
            object("MutatingAdmissionPolicyBinding", name, json!({"policyName": name})),
        ),
    ]
}

#[tokio::test]
async fn a_policy_merges_fields_and_applies_patches() {
    let server = server_with_widgets().await;
    let apply = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
        "Object{metadata: Object.metadata{labels: {'by': 'policy'}}, spec: Object.spec{note: 'x' + variables.n, ports: [Object.spec.ports{name: 'extra', port: 9}]}}"}});
    let patched = json!({"patchType": "JSONPatch", "jsonPatch": {"expression":
        "has(object.spec.tags) ? [JSONPatch{op: 'add', path: '/spec/tags/-', value: object.spec.note}] : [JSONPatch{op: 'add', path: '/spec/tags', value: ['first']}, JSONPatch{op: 'add', path: '/metadata/annotations', value: {'a/' + jsonpatch.escapeKey('b'): 'c'}}]"}});
    let fields =
        json!({"variables": [{"name": "n", "expression": "string(object.spec.size)"}], "mutations": [apply, patched]});
    create(&server, &mutating("m", "demo.example.com", "widgets", fields)).await;
    let mut object = widget("a");
    object["spec"]["ports"] = json!([{"name": "http", "port": 80}]);
    let made = post(&server, WIDGETS, &object).await.expect(201);
    assert_eq!((&made["spec"]["note"], &made["spec"]["tags"]), (&json!("x3"), &json!(["first"])));
    let ports = json!([{"name": "http", "port": 80, "proto": "TCP"}, {"name": "extra", "port": 9, "proto": "TCP"}]);
    assert_eq!(made["spec"]["ports"], ports);
    assert_eq!(
        (&made["metadata"]["labels"]["by"], &made["metadata"]["annotations"]["a/b"]),
        (&json!("policy"), &json!("c"))
    );
    let managers: Vec<&Value> =
        made["metadata"]["managedFields"].as_array().unwrap().iter().map(|m| &m["manager"]).collect();
    assert_eq!(managers, ["unknown"]);
    let changed = patch(&server, "merge", &format!("{WIDGETS}/a"), &json!({"spec": {"size": 4}})).await.expect(200);
    assert_eq!((&changed["spec"]["note"], &changed["spec"]["tags"]), (&json!("x4"), &json!(["first", "x4"])));
}

#[tokio::test]
async fn a_mutation_that_fails_refuses_the_write() {
    let server = server_with_widgets().await;
    let apply = |expression: &str| json!({"mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]});
    create(&server, &mutating("m", "demo.example.com", "widgets", apply("Object{spec: Object.wrong{note: 'x'}}")))
        .await;
    let status = post(&server, WIDGETS, &widget("a")).await.expect(403);
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "policy 'm' with binding 'm' denied request: type mismatch: unexpected type name \"Object.wrong\""
        ),
        "{message}"
    );
    assert_eq!(status["reason"], "Invalid");
}

#[tokio::test]
async fn policies_and_webhooks_change_one_object_in_turn() {
    let server = server().await;
    let fields = json!({"reinvocationPolicy": "IfNeeded", "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression":
        "has(object.data.hook) ? [JSONPatch{op: 'add', path: '/data/policy', value: 'saw hook'}] : [JSONPatch{op: 'add', path: '/data/policy', value: 'alone'}]"}}]});
    create(&server, &mutating("m", "", "configmaps", fields)).await;
    let hook = Hook::start(|_, review| {
        Reply::Response(match review["request"]["object"]["data"]["hook"].is_null() {
            true => changes(&json!([{"op": "add", "path": "/data/hook", "value": "yes"}])),
            false => json!({"allowed": true}),
        })
    })
    .await;
    let webhook = webhook("m.example.com", &hook.client_config("/"), "", &["configmaps"]);
    create(&server, &[("mutatingwebhookconfigurations", configuration(MUTATING, "w", &[webhook]))]).await;
    let made = post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    assert_eq!(made["data"], json!({"a": "1", "hook": "yes", "policy": "saw hook"}));
    assert_eq!(hook.asked().len(), 1);
}

#[tokio::test]
async fn an_expression_that_costs_too_much_is_ended() {
    let server = server().await;
    let bomb = "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != 'x'))))";
    create(&server, &[policy("p", json!({"validations": [{"expression": bomb}]})), binding("b", "p", json!({}))]).await;
    let data: serde_json::Map<String, Value> = (0..80).map(|i| (format!("k{i}"), json!("v"))).collect();
    let status = post(&server, CONFIG_MAPS, &map("a", Value::Object(data))).await.expect(422);
    assert!(status["message"].as_str().unwrap().contains("cost limit exceeded"), "{status}");
}

#[tokio::test]
async fn a_misspelt_field_is_told_in_the_status_of_the_policy() {
    let server = server_with_widgets().await;
    let rule = |expression: &str| json!({"matchConstraints": rules("demo.example.com", &["widgets"]), "validations": [{"expression": expression}]});
    create(&server, &[policy("good", rule("object.spec.size < 5 && has(object.metadata.labels)"))]).await;
    create(&server, &[policy("bad", rule("object.spec.sise < 5"))]).await;
    let path = format!("{GROUP}/validatingadmissionpolicies?watch=1&resourceVersion=0&timeoutSeconds=20");
    let mut lines = Lines::new(ask(&server, "GET", &path).response().await);
    let mut statuses = std::collections::BTreeMap::new();
    while statuses.len() < 2 {
        let event = lines.next().await.expect("the statuses are written in time");
        if event["object"]["status"]["observedGeneration"] == 1 {
            let name = event["object"]["metadata"]["name"].as_str().unwrap().to_owned();
            statuses.insert(name, event["object"]["status"]["typeChecking"].clone());
        }
    }
    assert_eq!(statuses["good"], json!({}));
    let warning = &statuses["bad"]["expressionWarnings"][0];
    assert_eq!(warning["fieldRef"], "spec.validations[0].expression");
    let text = warning["warning"].as_str().unwrap();
    assert!(
        text.starts_with(
            "demo.example.com/v1, Kind=Widget: compilation failed: ERROR: <input>:1:12: undefined field 'sise'"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn rules_speak_of_the_version_that_they_name() {
    let server = server_with_widgets().await;
    let exact = |resources: Value| {
        json!({"matchConstraints": {"matchPolicy": "Exact", "resourceRules": [{"apiGroups": ["demo.example.com"],
            "apiVersions": ["v9"], "operations": ["*"], "resources": resources}]}, "validations": [{"expression": "false"}]})
    };
    create(&server, &[policy("p", exact(json!(["widgets"]))), binding("b", "p", json!({}))]).await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let named = json!({"matchConstraints": {"resourceRules": [{"apiGroups": ["demo.example.com"], "apiVersions": ["v1"],
        "operations": ["CREATE"], "resources": ["widgets"], "resourceNames": ["secret"]}],
        "excludeResourceRules": [{"apiGroups": ["demo.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
        "resources": ["widgets"], "resourceNames": ["excluded"]}]}, "validations": [{"expression": "false"}]});
    create(&server, &[policy("q", named), binding("c", "q", json!({}))]).await;
    post(&server, WIDGETS, &widget("b")).await.expect(201);
    post(&server, WIDGETS, &widget("secret")).await.expect(422);
}

#[tokio::test]
async fn a_policy_may_rule_how_far_an_object_is_scaled() {
    let server = server_with_widgets().await;
    post(&server, WIDGETS, &widget("a")).await.expect(201);
    let of_scale = json!({"matchConstraints": rules("demo.example.com", &["widgets/scale"]),
        "validations": [{"expression": "object.spec.replicas <= oldObject.spec.replicas + 2", "message": "too fast"}]});
    create(&server, &[policy("p", of_scale), binding("b", "p", json!({}))]).await;
    let scale = format!("{WIDGETS}/a/scale");
    patch(&server, "merge", &scale, &json!({"spec": {"replicas": 9}})).await.expect(422);
    patch(&server, "merge", &scale, &json!({"spec": {"replicas": 3}})).await.expect(200);
}

#[tokio::test]
async fn policies_do_not_rule_what_rules() {
    let server = server().await;
    let all =
        json!({"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]});
    let rule = json!({"matchConstraints": all, "validations": [{"expression": "false"}]});
    create(&server, &[policy("p", rule), binding("b", "p", json!({}))]).await;
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(422);
    delete(&server, &format!("{GROUP}/validatingadmissionpolicies/p")).await.expect(200);
    get(&server, &format!("{GROUP}/validatingadmissionpolicies")).await.expect(200);
    post(&server, CONFIG_MAPS, &config_map("a")).await.expect(201);
}
