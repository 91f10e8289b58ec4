"""An operator as anybody writes one with kopf: handlers, a timer, a daemon, events, status, and admission webhooks.

    kopf run widget_operator.py --standalone -n default

The environment names the certificate of the webhook server: WEBHOOK_CERTIFICATE and WEBHOOK_KEY.
"""

import asyncio
import os

import kopf
import kubernetes

WIDGETS = ("demo.example.com", "v1", "widgets")
TICKS_MAX = 3


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_):
    kubernetes.config.load_kube_config()
    settings.watching.server_timeout = 30
    settings.admission.managed = "hooks.demo.example.com"
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1",
        certfile=os.environ["WEBHOOK_CERTIFICATE"],
        pkeyfile=os.environ["WEBHOOK_KEY"],
    )


@kopf.on.validate(*WIDGETS, operations=["CREATE", "UPDATE"])
def judge(spec, warnings, userinfo, **_):
    if spec.get("note") == "forbidden":
        raise kopf.AdmissionError(f"{userinfo['username']} may not note that", code=451)
    if spec.get("note") == "doubtful":
        warnings.append("that note is doubtful")


@kopf.on.mutate(*WIDGETS, operations=["CREATE"])
def mark(spec, patch, **_):
    patch.spec["params"] = {**spec.get("params", {}), "marked": "yes"}


@kopf.on.create(*WIDGETS)
def made(spec, name, namespace, body, patch, retry, **_):
    if retry == 0:
        raise kopf.TemporaryError("not yet", delay=0.1)
    child = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-paint"},
        "data": {"color": spec["color"]},
    }
    kopf.adopt(child)
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, child)
    kopf.info(body, reason="Painted", message=f"painted it {spec['color']}")
    patch.status["phase"] = "Painted"
    return {"child": child["metadata"]["name"], "tries": retry + 1}


@kopf.on.update(*WIDGETS, field="spec.color")
def repainted(old, new, name, namespace, patch, **_):
    body = {"data": {"color": new}}
    kubernetes.client.CoreV1Api().patch_namespaced_config_map(f"{name}-paint", namespace, body)
    patch.status["repainted"] = {"from": old, "to": new}


@kopf.on.resume(*WIDGETS)
def found_again(name, logger, **_):
    logger.info(f"found {name} again")


@kopf.on.delete(*WIDGETS)
def gone(name, namespace, **_):
    body = {"metadata": {"name": f"{name}-was-here"}}
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, body)


@kopf.timer(*WIDGETS, interval=0.2)
def tick(memo, patch, status, **_):
    memo.ticks = memo.get("ticks", 0) + 1
    if status.get("ticks") != TICKS_MAX:
        patch.status["ticks"] = min(memo.ticks, TICKS_MAX)


@kopf.daemon(*WIDGETS, cancellation_timeout=1.0)
async def guard(stopped, name, logger, **_):
    logger.info(f"guard of {name} begins")
    try:
        await stopped.wait()
    except asyncio.CancelledError:
        pass
    logger.info(f"guard of {name} ends")
