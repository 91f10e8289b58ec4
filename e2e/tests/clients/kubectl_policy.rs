//! What a current kubectl is told by rules on writes, and how it makes a person known: policies, limits, certificates.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_e2e::{Cluster, until};
use rcgen::{CertificateParams, DnType, KeyPair};

use crate::typed::Typed;

const POLICIES: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: limits, namespace: default}
data: {max: "10"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: small}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
    - {apiGroups: [demo.example.com], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [widgets]}
  variables:
  - {name: most, expression: "int(params.data['max'])"}
  validations:
  - expression: object.spec.size <= variables.most
    messageExpression: "'size ' + string(object.spec.size) + ' is above ' + string(variables.most)"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: small}
spec:
  policyName: small
  validationActions: [Deny]
  paramRef: {name: limits, namespace: default, parameterNotFoundAction: Deny}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: noted}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [demo.example.com], apiVersions: ["*"], operations: [CREATE], resources: [widgets]}
  validations:
  - {expression: has(object.spec.note), message: a note would be nice}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: noted}
spec: {policyName: noted, validationActions: [Warn]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: marked}
spec:
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {apiGroups: [demo.example.com], apiVersions: ["*"], operations: [CREATE], resources: [widgets]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{labels: {"marked-by": request.userInfo.username}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: marked}
spec: {policyName: marked}
"#;

fn widget(name: &str, spec: &str) -> String {
    format!("{{apiVersion: demo.example.com/v1, kind: Widget, metadata: {{name: {name}}}, spec: {spec}}}")
}

#[test]
fn policies_refuse_warn_and_change_what_is_applied() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.with("apply -f -", POLICIES).ok().says("validatingadmissionpolicy.admissionregistration.k8s.io/small created");
    k.ok("explain validatingadmissionpolicy.spec.validations").says("expression\t<string> -required-");

    // A policy is in force soon after it is written.
    until("the policy to be in force", || {
        let tried = k.with("create --dry-run=server -f -", &widget("probe", "{color: red, size: 50}"));
        if tried.code == 1 { Ok(()) } else { Err(tried.to_string()) }
    });
    k.with("apply -f -", &widget("big", "{color: red, size: 50}"))
        .code(1)
        .complains("ValidatingAdmissionPolicy 'small' with binding 'small' denied request: size 50 is above 10");
    k.fails("get wd big").complains("(NotFound)");
    k.with("apply -f -", &widget("gear", "{color: red}")).ok().says("gear created").complains(
        "Warning: Validation failed for ValidatingAdmissionPolicy 'noted' with binding 'noted': a note would be nice",
    );
    assert_eq!(k.text("get wd gear -o jsonpath='{.metadata.labels.marked-by}'"), "admin");
    k.ok("patch configmap limits -p '{\"data\":{\"max\":\"60\"}}'");
    until("the new limit to be in force", || {
        let tried = k.with("apply -f -", &widget("big", "{color: red, size: 50, note: now}"));
        if tried.code == 0 { Ok(()) } else { Err(tried.to_string()) }
    });
    k.with("apply -f -", "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: bad}, spec: {matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']}]}, validations: [{expression: 'object.spec +'}]}}")
        .code(1)
        .complains("spec.validations[0].expression: Invalid value:")
        .complains("compilation failed");
    k.ok("delete validatingadmissionpolicybinding small").says("deleted");
    until("the policy to be out of force", || {
        let tried = k.with("create --dry-run=server -f -", &widget("probe", "{color: red, size: 99}"));
        if tried.code == 0 { Ok(()) } else { Err(tried.to_string()) }
    });
    cluster.purge();
}

#[test]
fn quotas_count_and_a_definition_may_say_its_own_rules() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    k.define_widgets();
    k.ok("create quota few --hard=count/widgets.demo.example.com=2").says("created");
    k.until("describe quota few", |run| {
        run.lines().iter().any(|line| line.split_whitespace().eq(["count/widgets.demo.example.com", "0", "2"]))
    });
    k.with("create -f -", &widget("a", "{color: red, size: 100}")).ok();
    k.with("create -f -", &widget("b", "{color: red}")).ok();
    k.with("create -f -", &widget("c", "{color: red}"))
        .code(1)
        .complains("widgets.demo.example.com \"c\" is forbidden: exceeded quota: few");
    k.ok("delete wd a");
    until("the place to be free", || {
        let tried = k.with("create -f -", &widget("c", "{color: red}"));
        if tried.code == 0 { Ok(()) } else { Err(tried.to_string()) }
    });
    k.ok("get quota").says("few").says("count/widgets.demo.example.com: 2/2");
    k.fails("patch wd b --type=merge -p '{\"spec\":{\"size\":101}}'")
        .complains("The Widget \"b\" is invalid: spec.size: Forbidden: size must be <= 100");
    let bad = berth_e2e::client_text("widgets.yaml").replace("self.size <= 100", "self.sise <= 100");
    k.with("apply -f -", &bad).code(1).complains("undefined field 'sise'");
    k.ok("describe crd widgets.demo.example.com")
        .says("Kind:         CustomResourceDefinition")
        .says("self.size <= 100");
    cluster.purge();
}

#[test]
fn a_signed_certificate_makes_a_person_known() {
    let cluster = Cluster::up();
    let k = Typed::kubectl(&cluster);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "ann");
    params.distinguished_name.push(DnType::OrganizationName, "crew");
    let request = STANDARD.encode(params.serialize_request(&key).unwrap().pem().unwrap());
    let csr = |name: &str| {
        format!(
            "{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: {name}}}, spec: \
             {{signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], expirationSeconds: 3600, request: {request}}}}}"
        )
    };
    k.with("create -f -", &csr("ann")).ok().says("certificatesigningrequest.certificates.k8s.io/ann created");
    k.with("create -f -", &csr("refused")).ok();
    k.ok("get csr").says("REQUESTOR").says("kubernetes.io/kube-apiserver-client").says("Pending");
    k.ok("certificate deny refused").says("refused denied");
    k.ok("certificate approve ann").says("ann approved");
    k.until("get csr ann", |run| run.out.contains("Approved,Issued"));
    k.ok("get csr refused").says("Denied");
    k.ok("describe csr ann").says("Requesting User:").says("Common Name:    ann").says("Organization:   crew");

    let certificate = STANDARD.decode(k.text("get csr ann -o jsonpath={.status.certificate}")).unwrap();
    let (certificate_file, key_file) = (cluster.path("ann.crt"), cluster.path("ann.key"));
    fs::write(&certificate_file, certificate).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let config = cluster.path("ann.kubeconfig");
    fs::copy(cluster.kubeconfig(), &config).unwrap();
    let config = format!("--kubeconfig={}", config.display());
    let credentials = format!(
        "--client-certificate={} --client-key={} --embed-certs",
        certificate_file.display(),
        key_file.display()
    );
    k.ok(&format!("config set-credentials ann {credentials} {config}"));
    k.ok(&format!("config set-context --current --user=ann {config}"));
    k.ok(&format!("auth whoami {config}")).says("ann").says("crew").says("system:authenticated");
    k.fails(&format!("get secrets {config}")).complains("User \"ann\" cannot list resource \"secrets\"");
    cluster.purge();
}
