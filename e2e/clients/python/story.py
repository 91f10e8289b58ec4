"""The Python client from end to end: typed, custom objects, dynamic, watch, server-side apply, leader election.

    story.py

Talks to the cluster of KUBECONFIG. Ends with "the story is told" and exit code 0 when all was as it must be.
"""

import base64
import datetime
import threading
import time

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import exceptions as dynamic_errors
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

NAMESPACE = "story"
GROUP, VERSION, PLURAL = "py.example.com", "v1", "gizmos"
PATIENCE_SECONDS = 30

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gizmos.py.example.com}
spec:
  group: py.example.com
  scope: Namespaced
  names: {plural: gizmos, singular: gizmo, kind: Gizmo, listKind: GizmoList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [color]
            properties:
              color: {type: string, enum: [red, green]}
              replicas: {type: integer, default: 1}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
"""


def gizmo(name, **spec):
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Gizmo",
        "metadata": {"name": name, "labels": {"story": "yes"}},
        "spec": {"color": "red", **spec},
    }


def until(what, look):
    """Looks until the answer is there; it is given back."""
    start = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() - start < PATIENCE_SECONDS, f"waited for {what}, last seen: {found!r}"
        time.sleep(0.02)


def refused(status, call, *args, **kwargs):
    """Insists that the call is refused with this code; gives what the server said."""
    try:
        call(*args, **kwargs)
    except ApiException as error:
        assert error.status == status, f"expected {status}, got {error.status}: {error.body}"
        return error
    raise AssertionError(f"expected {status}, but it was accepted")


def typed_kinds(core):
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    until("the namespace to be active", lambda: core.read_namespace(NAMESPACE).status.phase == "Active")
    until(
        "its account",
        lambda: "default" in [one.metadata.name for one in core.list_namespaced_service_account(NAMESPACE).items],
    )

    made = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name="words", labels={"app": "story"}), data={"a": "b"}))
    assert isinstance(made.metadata.creation_timestamp, datetime.datetime)
    assert made.metadata.managed_fields[0].operation == "Update"
    made.data["c"] = "d"
    replaced = core.replace_namespaced_config_map("words", NAMESPACE, made)
    assert replaced.data == {"a": "b", "c": "d"}
    stale = refused(409, core.replace_namespaced_config_map, "words", NAMESPACE, made)
    assert "the object has been modified" in stale.body, stale.body
    # A dictionary is a strategic patch, a list is a JSON patch.
    assert core.patch_namespaced_config_map("words", NAMESPACE, {"data": {"a": None}}).data == {"c": "d"}
    patched = core.patch_namespaced_config_map("words", NAMESPACE, [{"op": "replace", "path": "/data/c", "value": "e"}])
    assert patched.data == {"c": "e"}
    refused(422, core.create_namespaced_config_map, NAMESPACE, {"metadata": {"name": "Bad_Name"}})
    refused(409, core.create_namespaced_config_map, NAMESPACE, {"metadata": {"name": "words"}})
    refused(404, core.read_namespaced_config_map, "nobody", NAMESPACE)

    secret = core.create_namespaced_secret(NAMESPACE, client.V1Secret(
        metadata=client.V1ObjectMeta(name="key"), string_data={"word": "open"}))
    assert base64.b64decode(secret.data["word"]) == b"open" and secret.type == "Opaque"
    assert core.delete_namespaced_secret("key", NAMESPACE)["status"] == "Success"

    for index in range(5):
        core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": f"page-{index}", "labels": {"page": "x"}}})
    seen, following = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="page=x", limit=2, _continue=following)
        seen += [one.metadata.name for one in page.items]
        following = page.metadata._continue
        if not following:
            break
    assert seen == [f"page-{index}" for index in range(5)], seen
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page=x")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="page=x").items == []
    only = core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=words").items
    assert [one.metadata.name for one in only] == ["words"]

    event = core.create_namespaced_event(NAMESPACE, client.CoreV1Event(
        metadata=client.V1ObjectMeta(name="told.1"), reason="Told", message="once upon a time", type="Normal", count=1,
        involved_object=client.V1ObjectReference(kind="ConfigMap", name="words", namespace=NAMESPACE, api_version="v1"),
        first_timestamp=datetime.datetime.now(datetime.timezone.utc)))
    assert core.patch_namespaced_event("told.1", NAMESPACE, {"count": 2}).count == 2
    found = core.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=words,reason=Told").items
    assert [one.metadata.name for one in found] == ["told.1"]
    assert event.message == "once upon a time"
    # An event of the newer group is the same event in the older.
    client.EventsV1Api().create_namespaced_event(NAMESPACE, client.EventsV1Event(
        metadata=client.V1ObjectMeta(name="told.2"), reason="Told", action="Tell", type="Normal", note="a second time",
        event_time=datetime.datetime.now(datetime.timezone.utc), reporting_controller="story", reporting_instance="one",
        regarding=client.V1ObjectReference(kind="ConfigMap", name="words", namespace=NAMESPACE, api_version="v1")))
    mirrored = core.read_namespaced_event("told.2", NAMESPACE)
    assert mirrored.message == "a second time" and mirrored.involved_object.name == "words", mirrored
    assert mirrored.reporting_component == "story" and mirrored.event_time.microsecond is not None
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    assert any(group.name == "berth.dev" for group in client.ApisApi().get_api_versions().groups)


def rights(core):
    """Who may what, and the tokens of accounts."""
    rbac = client.RbacAuthorizationV1Api()
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "bot"}})
    rbac.create_namespaced_role(NAMESPACE, client.V1Role(
        metadata=client.V1ObjectMeta(name="reader"),
        rules=[client.V1PolicyRule(api_groups=[""], resources=["configmaps"], verbs=["get", "list"])]))
    rbac.create_namespaced_role_binding(NAMESPACE, client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name="readers"),
        role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
        subjects=[client.RbacV1Subject(kind="ServiceAccount", name="bot", namespace=NAMESPACE)]))
    request = core.create_namespaced_service_account_token("bot", NAMESPACE, client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)))
    review = client.AuthenticationV1Api().create_token_review(client.V1TokenReview(
        spec=client.V1TokenReviewSpec(token=request.status.token)))
    assert review.status.authenticated and review.status.user.username == f"system:serviceaccount:{NAMESPACE}:bot"

    mine, settings = client.Configuration.get_default_copy(), client.Configuration()
    settings.host, settings.ssl_ca_cert = mine.host, mine.ssl_ca_cert
    settings.api_key = {"authorization": f"Bearer {request.status.token}"}
    as_bot = client.ApiClient(settings)
    me = client.AuthenticationV1Api(as_bot).create_self_subject_review(client.V1SelfSubjectReview())
    assert me.status.user_info.username == f"system:serviceaccount:{NAMESPACE}:bot", me
    asked = client.AuthorizationV1Api(as_bot)

    def may(verb, resource):
        return asked.create_self_subject_access_review(client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(
                verb=verb, resource=resource, namespace=NAMESPACE)))).status.allowed

    until("the rule to be in force", lambda: may("list", "configmaps"))
    assert not may("list", "secrets")
    names = [one.metadata.name for one in client.CoreV1Api(as_bot).list_namespaced_config_map(NAMESPACE).items]
    assert "words" in names
    said = refused(403, client.CoreV1Api(as_bot).list_namespaced_secret, NAMESPACE)
    assert "cannot list resource" in said.body, said.body
    rules = asked.create_self_subject_rules_review(client.V1SelfSubjectRulesReview(
        spec=client.V1SelfSubjectRulesReviewSpec(namespace=NAMESPACE)))
    assert any(rule.resources == ["configmaps"] for rule in rules.status.resource_rules), rules


def custom_objects():
    extensions = client.ApiextensionsV1Api()
    utils.create_from_dict(client.ApiClient(), yaml.safe_load(DEFINITION))

    def established():
        definition = extensions.read_custom_resource_definition(f"{PLURAL}.{GROUP}")
        conditions = definition.status.conditions or []
        return any(one.type == "Established" and one.status == "True" for one in conditions)

    until("the definition", established)
    custom = client.CustomObjectsApi()
    where = (GROUP, VERSION, NAMESPACE, PLURAL)
    made = custom.create_namespaced_custom_object(*where, gizmo("one", tags=["a"]))
    assert made["spec"]["replicas"] == 1
    said = refused(422, custom.create_namespaced_custom_object, *where, gizmo("two", color="pink"))
    assert 'spec.color: Unsupported value: \\"pink\\"' in said.body, said.body
    assert custom.patch_namespaced_custom_object(*where, "one", {"spec": {"replicas": 2}})["spec"]["replicas"] == 2
    patched = custom.patch_namespaced_custom_object(
        *where, "one", [{"op": "add", "path": "/spec/tags/-", "value": "b"}], _content_type="application/json-patch+json")
    assert patched["spec"]["tags"] == ["a", "b"]
    status = custom.patch_namespaced_custom_object_status(*where, "one", {"status": {"replicas": 2}, "spec": {"color": "green"}})
    assert status["status"] == {"replicas": 2} and status["spec"]["color"] == "red"
    scale = custom.get_namespaced_custom_object_scale(*where, "one")
    assert scale["spec"]["replicas"] == 2 and scale["status"]["replicas"] == 2
    assert custom.patch_namespaced_custom_object_scale(*where, "one", {"spec": {"replicas": 4}})["spec"]["replicas"] == 4
    dry = custom.create_namespaced_custom_object(*where, gizmo("dry"), dry_run="All")
    assert dry["metadata"]["name"] == "dry"
    assert [one["metadata"]["name"] for one in custom.list_namespaced_custom_object(*where)["items"]] == ["one"]
    assert len(custom.list_cluster_custom_object(GROUP, VERSION, PLURAL)["items"]) == 1
    assert custom.delete_namespaced_custom_object(*where, "one")["status"] == "Success"


def watches(core):
    """A watch from the list on, one that is resumed, and one from a version that is too old."""
    before = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "seen"}})
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("seen", NAMESPACE)
    told = []
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, resource_version=before, timeout_seconds=30):
        if event["object"].metadata.name == "seen":
            told.append(event["type"])
        if event["type"] == "DELETED":
            watcher.stop()
    assert told == ["ADDED", "MODIFIED", "DELETED"], told
    # It ends by itself when its time is over.
    started = time.monotonic()
    for _ in watch.Watch().stream(core.list_namespaced_secret, NAMESPACE, timeout_seconds=1):
        pass
    assert time.monotonic() - started < PATIENCE_SECONDS
    # Bookmarks and streaming lists come through as they are.
    initial = []
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, NAMESPACE, timeout_seconds=30, allow_watch_bookmarks=True,
        send_initial_events=True, resource_version_match="NotOlderThan")
    for event in stream:
        if event["type"] == "BOOKMARK":
            notes = event["raw_object"]["metadata"]["annotations"]
            assert notes == {"k8s.io/initial-events-end": "true"}, event
            break
        initial.append(event["object"].metadata.name)
    assert "words" in initial, initial
    try:
        for _ in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="1", timeout_seconds=5):
            break
    except ApiException as error:
        assert error.status == 410, error


def dynamic_objects():
    talk = dynamic.DynamicClient(client.ApiClient())
    gizmos = talk.resources.get(api_version=f"{GROUP}/{VERSION}", kind="Gizmo")
    services = talk.resources.get(api_version="berth.dev/v1", kind="Service")
    assert services.namespaced and gizmos.subresources["status"]
    made = gizmos.create(body=gizmo("dyn"), namespace=NAMESPACE)
    assert made.spec.replicas == 1
    assert gizmos.get(name="dyn", namespace=NAMESPACE).metadata.uid == made.metadata.uid
    assert [one.metadata.name for one in gizmos.get(namespace=NAMESPACE, label_selector="story=yes").items] == ["dyn"]
    body = made.to_dict()
    body["spec"]["replicas"] = 3
    assert gizmos.replace(body=body, namespace=NAMESPACE).spec.replicas == 3
    merged = gizmos.patch(
        body={"metadata": {"name": "dyn"}, "spec": {"replicas": 5}}, namespace=NAMESPACE,
        content_type="application/merge-patch+json")
    assert merged.spec.replicas == 5
    gizmos.status.patch(
        name="dyn", namespace=NAMESPACE, body={"status": {"phase": "Fine"}}, content_type="application/merge-patch+json")
    assert gizmos.status.get(name="dyn", namespace=NAMESPACE).status.phase == "Fine"

    applied = gizmos.server_side_apply(
        body=gizmo("ssa", color="green"), namespace=NAMESPACE, field_manager="one", force_conflicts=False)
    assert applied.metadata.managedFields[0].manager == "one"
    assert applied.metadata.managedFields[0].operation == "Apply"
    try:
        gizmos.server_side_apply(body=gizmo("ssa"), namespace=NAMESPACE, field_manager="two")
        raise AssertionError("a conflict was not told")
    except dynamic_errors.ConflictError as error:
        assert 'conflict with \\"one\\": .spec.color' in error.body, error.body
    taken = gizmos.server_side_apply(body=gizmo("ssa"), namespace=NAMESPACE, field_manager="two", force_conflicts=True)
    assert taken.spec.color == "red"
    told = []
    for event in gizmos.watch(namespace=NAMESPACE, timeout=30):
        told.append((event["type"], event["object"].metadata.name))
        if len(told) == 2:
            break
    assert sorted(told) == [("ADDED", "dyn"), ("ADDED", "ssa")], told
    gizmos.delete(name="dyn", namespace=NAMESPACE)
    gizmos.delete(namespace=NAMESPACE, label_selector="story=yes")
    until("none to be left", lambda: not gizmos.get(namespace=NAMESPACE).items)
    try:
        gizmos.get(name="dyn", namespace=NAMESPACE)
        raise AssertionError("it should be gone")
    except dynamic_errors.NotFoundError:
        pass


def leader_election(coordination):
    """Two candidates for one Lease: one leads; when it gives up, the other does."""
    order, first_may_go = [], threading.Event()

    def candidate(name, lead):
        lock = LeaseLock("story-leader", NAMESPACE, name)
        settings = electionconfig.Config(
            lock, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=lead, onstopped_leading=lambda: None)
        threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True).start()

    def lead_first():
        order.append("first")
        assert first_may_go.wait(PATIENCE_SECONDS)
        raise RuntimeError("the first gives up, on purpose")

    second_leads = threading.Event()

    def lead_second():
        order.append("second")
        second_leads.set()

    candidate("first", lead_first)
    until("the first to lead", lambda: order == ["first"])
    candidate("second", lead_second)
    lease = coordination.read_namespaced_lease("story-leader", NAMESPACE)
    assert lease.spec.holder_identity == "first" and lease.spec.renew_time.microsecond is not None
    first_may_go.set()
    assert second_leads.wait(PATIENCE_SECONDS), order
    assert coordination.read_namespaced_lease("story-leader", NAMESPACE).spec.holder_identity == "second"


def the_end(core):
    core.delete_namespace(NAMESPACE, propagation_policy="Foreground")

    def gone():
        try:
            core.read_namespace(NAMESPACE)
        except ApiException as error:
            return error.status == 404
        return False

    until("the namespace to be gone", gone)
    client.ApiextensionsV1Api().delete_custom_resource_definition(f"{PLURAL}.{GROUP}")


def main():
    config.load_kube_config()
    core = client.CoreV1Api()
    for name, chapter in [
        ("typed kinds", lambda: typed_kinds(core)),
        ("rights", lambda: rights(core)),
        ("custom objects", custom_objects),
        ("watches", lambda: watches(core)),
        ("dynamic objects", dynamic_objects),
        ("leader election", lambda: leader_election(client.CoordinationV1Api())),
        ("the end", lambda: the_end(core)),
    ]:
        print(f"chapter: {name}", flush=True)
        chapter()
    print("the story is told")


main()
