"""What Debian's python3-kubernetes sees of a cluster: run by python.test.ts, one line for each check passed.

Arguments: the kubeconfig, a file with one JSON object of every kind, a namespace.
"""

import json
import sys
import threading
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import ConflictError, DynamicApiError, NotFoundError

kubeconfig, samples, namespace = sys.argv[1:]
config.load_kube_config(kubeconfig)
api = client.ApiClient()
core = client.CoreV1Api(api)
apps = client.AppsV1Api(api)


def passed(what):
    print(f"ok {what}", flush=True)


def eventually(check, seconds=15):
    """Calls `check` until it returns something true."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def missing(call, *args, **kwargs):
    """Whether a call finds nothing."""
    try:
        call(*args, **kwargs)
    except (ApiException, DynamicApiError) as error:
        assert error.status == 404, error
        return True
    return False


def refused(status, call, *args, **kwargs):
    """The body of a refusal with this status."""
    try:
        call(*args, **kwargs)
    except (ApiException, DynamicApiError) as error:
        assert error.status == status, error
        return json.loads(error.body)
    raise AssertionError(f"{status} was due")


def config_maps():
    made = core.create_namespaced_config_map(
        namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="typed", labels={"by": "python"}), data={"a": "b"})
    )
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo, made
    again = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="typed"))
    assert refused(409, core.create_namespaced_config_map, namespace, again)["reason"] == "AlreadyExists"
    read = core.read_namespaced_config_map("typed", namespace)
    assert read.data == {"a": "b"} and read.metadata.resource_version == made.metadata.resource_version
    merged = core.patch_namespaced_config_map("typed", namespace, {"data": {"c": "d"}})
    assert merged.data == {"a": "b", "c": "d"}
    # The client turns a list into a JSON patch.
    replaced = core.patch_namespaced_config_map("typed", namespace, [{"op": "replace", "path": "/data/a", "value": "x"}])
    assert replaced.data["a"] == "x"
    read.data = {"stale": "yes"}
    assert refused(409, core.replace_namespaced_config_map, "typed", namespace, read)["reason"] == "Conflict"
    assert core.list_namespaced_config_map(namespace, label_selector="by in (python, nobody)").items[0].metadata.name == "typed"
    assert core.list_namespaced_config_map(namespace, field_selector="metadata.name=typed").items[0].data["a"] == "x"
    status = core.delete_namespaced_config_map("typed", namespace)
    assert status.status == "Success", status
    assert missing(core.read_namespaced_config_map, "typed", namespace)
    passed("typed objects")


def paging():
    for i in range(10):
        core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"page-{i}", labels={"paged": "yes"})))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(namespace, label_selector="paged", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{i}" for i in range(10)], names
    listed = core.delete_collection_namespaced_config_map(namespace, label_selector="paged")
    assert listed is not None
    assert core.list_namespaced_config_map(namespace, label_selector="paged").items == []
    passed("pages and deletion of a collection")


def watching():
    version = core.list_namespaced_secret(namespace).metadata.resource_version
    seen = []

    def follow():
        for event in watch.Watch().stream(core.list_namespaced_secret, namespace, resource_version=version, timeout_seconds=20):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    core.create_namespaced_secret(namespace, client.V1Secret(metadata=client.V1ObjectMeta(name="watched"), string_data={"a": "b"}))
    assert core.read_namespaced_secret("watched", namespace).data == {"a": "Yg=="}
    core.patch_namespaced_secret("watched", namespace, {"metadata": {"labels": {"x": "y"}}})
    core.delete_namespaced_secret("watched", namespace)
    follower.join(20)
    assert seen == [(kind, "watched") for kind in ("ADDED", "MODIFIED", "DELETED")], seen
    short = list(watch.Watch().stream(core.list_namespaced_secret, namespace, timeout_seconds=1))
    assert all(event["type"] == "ADDED" for event in short)
    passed("a watch, and one that ends in time")


def deployments():
    labels = {"app": "python"}
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels),
        spec=client.V1PodSpec(containers=[client.V1Container(name="main", image="busybox:1", ports=[client.V1ContainerPort(container_port=80)])]),
    )
    spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template)
    made = apps.create_namespaced_deployment(namespace, client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec))
    assert made.spec.strategy.type == "RollingUpdate" and made.metadata.generation == 1
    # The client's patch of an object is a strategic merge: containers are merged by name.
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "1"}]}]}}}}
    container = apps.patch_namespaced_deployment("web", namespace, patch).spec.template.spec.containers[0]
    assert container.image == "busybox:1" and container.env[0].value == "1" and container.ports[0].protocol == "TCP"
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    assert scale.spec.replicas == 2 and scale.status.selector == "app=python"
    scale.spec.replicas = 3
    scale.metadata.resource_version = None  # the controller is writing, too
    assert apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 3
    eventually(lambda: apps.read_namespaced_deployment_status("web", namespace).status.observed_generation)
    eventually(lambda: len(core.list_namespaced_pod(namespace, label_selector="app=python").items) >= 3)
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    eventually(lambda: missing(apps.read_namespaced_deployment, "web", namespace))
    eventually(lambda: not core.list_namespaced_pod(namespace, label_selector="app=python").items)
    passed("deployments: patch, scale, status, deletion with everything below")


def reviews():
    authorization = client.AuthorizationV1Api(api)
    attributes = client.V1ResourceAttributes(namespace=namespace, verb="get", resource="pods")
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    assert authorization.create_self_subject_access_review(review).status.allowed
    spec = client.V1SubjectAccessReviewSpec(user="nobody", resource_attributes=attributes)
    assert not authorization.create_subject_access_review(client.V1SubjectAccessReview(spec=spec)).status.allowed
    core.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="caller")))
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("caller", namespace, request).status.token
    tokens = client.AuthenticationV1Api(api)
    status = tokens.create_token_review(client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token))).status
    assert status.authenticated and status.user.username == f"system:serviceaccount:{namespace}:caller", status
    assert client.VersionApi(api).get_code().major == "1"
    assert any(group.name == "apps" for group in client.ApisApi(api).get_api_versions().groups)
    passed("reviews, tokens, versions")


def from_yaml():
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "yaml"}, "data": {"a": "b"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "yaml"}, "spec": {"ports": [{"port": 80}]}},
    ]
    for each in objects:
        utils.create_from_dict(api, each, namespace=namespace)
    assert core.read_namespaced_service("yaml", namespace).spec.cluster_ip
    passed("utils.create_from_dict")


def kinds():
    """Every kind through the dynamic client, verb by verb."""
    discovered = dynamic.DynamicClient(api)
    with open(samples, encoding="utf-8") as file:
        objects = json.load(file)
    for sample in objects:
        resource = discovered.resources.get(api_version=sample["apiVersion"], kind=sample["kind"])
        name = sample["metadata"]["name"]
        place = {"namespace": namespace} if resource.namespaced else {}
        label = f"{sample['apiVersion']} {sample['kind']}"
        made = resource.create(body=sample, **place)
        assert made.metadata.uid, label
        assert resource.get(name=name, **place).metadata.uid == made.metadata.uid, label
        assert name in [item.metadata.name for item in resource.get(**place).items], label
        body = {"apiVersion": sample["apiVersion"], "kind": sample["kind"], "metadata": {"name": name, "labels": {"patched": "yes"}}}
        patched = resource.patch(body=body, content_type="application/merge-patch+json", **place)
        assert patched.metadata.labels.patched == "yes", label
        body["metadata"]["labels"] = {"applied": "yes"}
        applied = resource.server_side_apply(body=json.dumps(body), name=name, field_manager="python", **place)
        assert applied.metadata.labels.applied == "yes" and applied.metadata.labels.patched == "yes", label
        try:
            resource.replace(body=made.to_dict(), **place)
            raise AssertionError(f"{label}: a stale version was taken")
        except ConflictError:
            pass
        fresh = eventually(lambda: replaced(resource, name, place))
        assert fresh.metadata.annotations.replaced == "yes", label
        for event in resource.watch(timeout=5, field_selector=f"metadata.name={name}", **place):
            assert (event["type"], event["object"].metadata.name) == ("ADDED", name), label
            break
        resource.delete(name=name, **place)
        eventually(lambda: missing(resource.get, name=name, **place))
    passed(f"{len(objects)} kinds, verb by verb")


def replaced(resource, name, place):
    """The object with an annotation more; None if somebody else was faster."""
    fresh = resource.get(name=name, **place).to_dict()
    fresh["metadata"].setdefault("annotations", {})["replaced"] = "yes"
    try:
        return resource.replace(body=fresh, **place)
    except (ConflictError, NotFoundError):
        return None


core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
eventually(lambda: not missing(core.read_namespaced_service_account, "default", namespace))
config_maps()
paging()
watching()
deployments()
reviews()
from_yaml()
kinds()
core.delete_namespace(namespace)
eventually(lambda: missing(core.read_namespace, namespace), seconds=30)
passed("the end of a namespace")
