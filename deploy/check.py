#!/usr/bin/env python3
"""Holds the manifests against the schemas of Kubernetes and of the Prometheus Operator, and against each other.

Run by check.sh. Then spoils the manifests in a number of ways and sees whether each is noticed.
"""
import copy
import json
import pathlib
import shutil
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
OLDEST = "1.27"  # unhealthyPodEvictionPolicy is on by default from here on
VERSIONS = [OLDEST, kubernetes_validate.latest_version()]
SERVICE_MONITOR = json.loads((HERE / "schemas/servicemonitor.json").read_text())
KINDS = {"StatefulSet", "Service", "ServiceAccount", "PodDisruptionBudget"}
PORT = 9464


def read(path):
    return [doc for doc in yaml.safe_load_all(path.read_text()) if doc]


def flat_files():
    """The manifests as they stand; what is patched or generated is only seen when rendered."""
    files = [*(HERE / "base").glob("*.yaml"), HERE / "servicemonitor/servicemonitor.yaml", HERE / "example/namespace.yaml"]
    return [doc for file in sorted(files) if file.name != "kustomization.yaml" for doc in read(file)]


def rendered(folder):
    """What `kubectl apply -k` would send, or None where nothing can render it."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            out = subprocess.run([*command, folder], capture_output=True, text=True)
            if out.returncode != 0:
                sys.exit(f"{folder} cannot be rendered: {out.stderr}")
            return [doc for doc in yaml.safe_load_all(out.stdout) if doc]
    return None


def name(doc):
    return f"{doc.get('kind')}/{doc.get('metadata', {}).get('name')}"


def against_schema(doc):
    if doc.get("kind") == "ServiceMonitor":
        for error in jsonschema.Draft7Validator(SERVICE_MONITOR).iter_errors(doc):
            yield f"{name(doc)}: {'.'.join(map(str, error.path))}: {error.message}"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(doc, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name(doc)}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"
        except Exception as error:  # a kind or version without a schema is a flaw of the manifest too
            yield f"{name(doc)}: Kubernetes {version}: {getattr(error, 'message', error)}"


def against_each_other(docs):
    by_kind = {}
    for doc in docs:
        by_kind.setdefault(doc.get("kind"), []).append(doc)
    if missing := KINDS - by_kind.keys():
        yield f"no {', '.join(sorted(missing))}"
        return
    (app,), (service,), (budget,) = (by_kind[kind] for kind in ("StatefulSet", "Service", "PodDisruptionBudget"))
    spec, template = app["spec"], app["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    (container,) = pod["containers"]

    def unless(holds, flaw):
        if not holds:
            yield flaw

    def selects(selector, target):
        return bool(selector) and selector.items() <= target.items()

    yield from unless(selects(spec["selector"].get("matchLabels"), labels), "the StatefulSet does not select its pods")
    yield from unless(selects(service["spec"].get("selector"), labels), "the Service does not select the pods")
    yield from unless(selects(budget["spec"]["selector"].get("matchLabels"), labels), "the budget does not select the pods")
    for spread in pod.get("topologySpreadConstraints", []):
        yield from unless(selects(spread["labelSelector"].get("matchLabels"), labels), "a spread does not count the pods")
    yield from unless(pod.get("topologySpreadConstraints"), "nothing spreads the pods")
    for monitor in by_kind.get("ServiceMonitor", []):
        wanted = monitor["spec"]["selector"].get("matchLabels")
        yield from unless(selects(wanted, service["metadata"]["labels"]), "the ServiceMonitor does not select the Service")
        ports = {port["name"] for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            yield from unless(endpoint.get("port") in ports, "the ServiceMonitor names a port that the Service has not")
            yield from unless(endpoint.get("honorLabels"), "the ServiceMonitor overwrites riacho's own label instance")

    policy = spec.get("podManagementPolicy")
    yield from unless(policy == "Parallel", f"pods do not start together, but {policy}")
    yield from unless(spec["serviceName"] == service["metadata"]["name"], "the StatefulSet has another Service")
    yield from unless(service["spec"].get("clusterIP") == "None", "the Service is not headless: pods have no names")
    accounts = {account["metadata"]["name"] for account in by_kind["ServiceAccount"]}
    yield from unless(pod.get("serviceAccountName") in accounts, "there is no such ServiceAccount")

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    yield from unless(ports.get("http") == PORT, f"the port http is not {PORT}")
    for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")):
        get = container.get(probe, {}).get("httpGet", {})
        yield from unless(get.get("path") == path and get.get("port") in ports, f"{probe} does not ask {path}")
    env = {variable["name"]: variable for variable in container["env"]}
    for variable in ("RIACHO_GROUP_INSTANCE_ID", "RIACHO_CLIENT_ID"):
        field = env.get(variable, {}).get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        yield from unless(field == "metadata.name", f"{variable} is not the pod's name")
    listens = env.get("RIACHO_HTTP_ADDRESS", {}).get("value")
    yield from unless(listens == f"0.0.0.0:{PORT}", "riacho does not listen where it is asked")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"] for volume in pod["volumes"]}
    claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
    for mount in mounts:
        yield from unless(mount in volumes | claims, f"there is no volume {mount}")
    state = env.get("RIACHO_STATE_DIR", {}).get("value")
    yield from unless(any(mounts.get(claim) == state for claim in claims), "the state is not on a volume of its own")
    settings = env.get("RIACHO_CONFIG", {}).get("value", "")
    yield from unless(any(settings.startswith(f"{path}/") for path in mounts.values()), "the settings are not mounted")
    for variable in env.values():
        is_secret = "PASSWORD" in variable["name"] or "SECRET" in variable["name"]
        yield from unless(not is_secret or variable["name"].endswith("_FILE"), f"{variable['name']} is a secret in a variable")
        if variable["name"].endswith("_FILE"):
            in_mount = any(variable["value"].startswith(f"{path}/") for path in mounts.values())
            yield from unless(in_mount, f"{variable['name']} names a file that is not mounted")

    rights = container.get("securityContext", {})
    yield from unless(rights.get("readOnlyRootFilesystem") is True, "the root file system can be written")
    yield from unless(rights.get("allowPrivilegeEscalation") is False, "privileges can be gained")
    yield from unless("ALL" in rights.get("capabilities", {}).get("drop", []), "capabilities are kept")
    whole = pod.get("securityContext", {})
    yield from unless(whole.get("runAsNonRoot") is True and whole.get("runAsUser") == whole.get("fsGroup") == 10001,
                      "the pod does not run as the image's user 10001, or the volume is not its")
    yield from unless(whole.get("seccompProfile", {}).get("type") == "RuntimeDefault", "system calls are not filtered")
    yield from unless(pod.get("automountServiceAccountToken") is False, "the pod has a token it does not need")
    yield from unless(pod.get("enableServiceLinks") is False, "Services are put into the environment as settings")
    yield from unless(pod.get("terminationGracePeriodSeconds", 30) > 30, "the pod is killed before it has committed")
    yield from unless({"memory"} <= container["resources"]["limits"].keys(), "no memory limit")
    yield from unless({"cpu", "memory"} <= container["resources"]["requests"].keys(), "no requests")
    yield from unless(budget["spec"].get("maxUnavailable") == 1, "more than one pod may be taken away at once")


def related(docs):
    try:
        yield from against_each_other(docs)
    except (KeyError, TypeError, ValueError) as error:
        yield f"a part is missing or of another shape: {error!r}"


def flaws(docs):
    for doc in docs:
        yield from against_schema(doc)
    yield from related(docs)


def notices(docs, kind, path, value):
    """Whether there is a flaw in a copy of the sound `docs` in which one field of one manifest is another, or gone."""
    docs = copy.deepcopy(docs)
    spoilt = here = next(doc for doc in docs if doc["kind"] == kind)
    *way, last = path
    for step in way:
        here = here[step]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return any(against_schema(spoilt)) or any(related(docs))


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
SPOILERS = [
    ("StatefulSet", ("spec", "podManagementPolicy"), "AllAtOnce"),
    ("StatefulSet", ("spec", "replicas"), "three"),
    ("StatefulSet", ("spec", "volumeClaimTemplate"), []),
    ("StatefulSet", ("spec", "serviceName"), "other"),
    ("StatefulSet", ("spec", "selector", "matchLabels"), {"app": "other"}),
    ("StatefulSet", (*POD, "serviceAccountName"), "other"),
    ("StatefulSet", (*POD, "terminationGracePeriodSeconds"), 5),
    ("StatefulSet", (*POD, "enableServiceLinks"), True),
    ("StatefulSet", (*POD, "securityContext", "runAsNonRoot"), False),
    ("StatefulSet", (*POD, "topologySpreadConstraints", 0, "labelSelector"), {}),
    ("StatefulSet", (*CONTAINER, "readinessProbe", "httpGet", "path"), "/health"),
    ("StatefulSet", (*CONTAINER, "livenessProbe"), None),
    ("StatefulSet", (*CONTAINER, "resources", "limits"), {}),
    ("StatefulSet", (*CONTAINER, "securityContext", "readOnlyRootFilesystem"), False),
    ("StatefulSet", (*CONTAINER, "volumeMounts", 0, "name"), "other"),
    ("StatefulSet", (*CONTAINER, "env", 3, "valueFrom"), {"fieldRef": {"fieldPath": "metadata.uid"}}),
    ("StatefulSet", (*CONTAINER, "env", 0), {"name": "RIACHO_SASL_PASSWORD", "value": "secret"}),
    ("StatefulSet", (*CONTAINER, "env", 0), {"name": "RIACHO_SASL_PASSWORD_FILE", "value": "/nowhere/password"}),
    ("StatefulSet", (*CONTAINER, "imagePullPolicies"), "Always"),
    ("Service", ("spec", "clusterIP"), None),
    ("Service", ("spec", "ports", 0, "port"), "http"),
    ("PodDisruptionBudget", ("spec", "selector", "matchLabels"), {"app": "other"}),
    ("PodDisruptionBudget", ("apiVersion",), "policy/v1beta1"),
    ("ServiceMonitor", ("spec", "endpoints", 0, "port"), "metrics"),
    ("ServiceMonitor", ("spec", "endpoints", 0, "intervall"), "10s"),
    ("ServiceMonitor", ("spec", "endpoints", 0, "interval"), "often"),
    ("ServiceMonitor", ("spec", "selector", "matchLabels"), {"app": "other"}),
]


def main():
    sets = {"the files": flat_files()}
    for folder in ("base", "example"):
        docs = rendered(HERE / folder)
        if docs is None:
            print(f"deploy/{folder}: neither kubectl nor kustomize is here: not rendered")
        else:
            sets[f"deploy/{folder}, rendered"] = docs
    found = [f"{where}: {flaw}" for where, docs in sets.items() for flaw in flaws(docs)]
    for flaw in found:
        print(flaw)
    unnoticed = 0
    if not found:
        for kind, path, value in SPOILERS:
            if not notices(sets["the files"], kind, path, value):
                unnoticed += 1
                print(f"this check does not notice {kind} {'.'.join(map(str, path))} = {value!r}")
        count = sum(map(len, sets.values()))
        print(f"{count} manifests hold for Kubernetes {' and '.join(VERSIONS)}; {len(SPOILERS) - unnoticed} of "
              f"{len(SPOILERS)} ways to spoil them are noticed")
    return 1 if found or unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
