"""cluster.yaml and docs/kuberay.yaml, as far as no cloud is needed: Ray's own schema and
preparation, and what the commands name and do.
"""

import copy
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from test_docs import documented, parse

ROOT = Path(__file__).resolve().parents[1]
CLUSTER, RAYJOB = ROOT / "cluster.yaml", ROOT / "docs" / "kuberay.yaml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
# of KubeRay's v1 API: the fields of its Go types RayJobSpec, RayClusterSpec (with those of 1.6) and
# the two groups; those of GROUP must all be there
JOB = {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"}
JOB |= {"rayClusterSpec", "submissionMode", "runtimeEnvYAML", "activeDeadlineSeconds", "metadata"}
CLUSTER_SPEC = {"headGroupSpec", "workerGroupSpecs", "rayVersion", "enableInTreeAutoscaling"}
CLUSTER_SPEC |= {"autoscalerOptions", "authOptions", "headServiceAnnotations", "suspend"}
HEAD_GROUP = {"rayStartParams", "template"}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", *HEAD_GROUP}


def variant(name: str) -> dict[str, Any]:
    """cluster.yaml as it stands (aws), or with the halves exchanged as its head says (local)."""
    text = CLUSTER.read_text()
    if name == "local":
        text, aws = re.subn(r"^# >>> aws\n.*?^# <<< aws\n", "", text, flags=re.M | re.S)
        text, local = re.subn(
            r"^# >>> local\n(.*?)^# <<< local\n",
            lambda found: re.sub(r"^# ?", "", found[1], flags=re.M),
            text,
            flags=re.M | re.S,
        )
        assert (aws, local) == (1, 1), "each half has one pair of markers"
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` makes of it before it talks to anybody."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    found: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(found)
    return found


def commands(config: dict[str, Any]) -> list[str]:
    return [command for kind in COMMANDS for command in config[kind]]


def rayjob() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(RAYJOB.read_text())
    return loaded


@pytest.fixture(params=["aws", "local"])
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return variant(request.param)


def test_ray_takes_it(config: dict[str, Any]):
    ready = prepared(config)
    assert ready["provider"]["type"] in ("aws", "local")
    assert ready["auth"]["ssh_user"]
    assert ready["head_node_type"] in ready["available_node_types"]
    assert 5 <= ready["idle_timeout_minutes"] <= 30
    assert ready["head_setup_commands"][: len(config["setup_commands"])] == config["setup_commands"]


def test_a_misspelt_key_is_not_taken(config: dict[str, Any]):
    """Ray's schema does refuse: what passes above has been looked at."""
    import jsonschema

    with pytest.raises(jsonschema.ValidationError, match="idle_timeout_minuets"):
        prepared(config | {"idle_timeout_minuets": 10})


def test_workers_come_and_go_and_the_head_runs_no_trial():
    ready = prepared(variant("aws"))
    kinds = ready["available_node_types"]
    head = kinds.pop(ready["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert head["max_workers"] == 0
    assert "InstanceMarketOptions" not in head["node_config"], "with the head goes the sweep"
    assert {name: kind["resources"] for name, kind in kinds.items()} == {
        "gpu": {"CPU": 8, "GPU": 1},
        "cpu": {"CPU": 16},
    }
    for kind in kinds.values():
        assert kind["min_workers"] == 0
        assert 0 < kind["max_workers"] <= ready["max_workers"]
        assert kind["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert kind["node_config"]["IamInstanceProfile"], "Ray gives workers no role of its own"
    images = {kind["node_config"]["ImageId"] for kind in (head, *kinds.values())}
    assert len(images) == 1, "one image, so that Python is the same on all nodes"


def test_on_the_premises_all_machines_stay():
    ready = prepared(variant("local"))
    (kind,) = ready["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(ready["provider"]["worker_ips"])


def test_mounts_are_what_the_project_installs_from(config: dict[str, Any]):
    mounts = config["file_mounts"]
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = {"pyproject.toml", ".git", "requirements"}
    names |= {pattern.rstrip("*") for pattern in setuptools["packages"]["find"]["include"]}
    assert mounts == {f"~/overhear/{name}": name for name in names}
    assert all((ROOT / name).exists() for name in names - {".git"})


def test_commands_name_only_what_is_there(config: dict[str, Any]):
    """Paths below ~/overhear are mounted; no address, nothing from this machine, no secret."""
    for command in commands(config):
        ended = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
        assert not ended.returncode, f"{command}: {ended.stderr}"
        for path in re.findall(r"~/overhear/[^\s/]+", command):
            assert path in config["file_mounts"]
    for path in (CLUSTER, RAYJOB, ROOT / "docs" / "cluster.md"):
        text = path.read_text()
        assert not re.search(r"https?://|AKIA|BEGIN .*KEY|\b\d{12}\b|pypi|docker\.io", text)
        buckets = set(re.findall(r"s3://([\w.-]+)", text))
        assert len(buckets) == 1, "one bucket for data and results"  # a user writes their own
        assert buckets == {"YOUR-BUCKET"} or path.suffix == ".yaml"


def test_every_node_installs_what_is_locked(config: dict[str, Any]):
    """The same command on head and workers, from hashes; nothing else comes from the index."""
    installs = [c for c in commands(config) if "pip install" in c]
    assert [c for c in installs if c in config["setup_commands"]] == installs
    locked, ours = installs
    assert "--require-hashes --requirement ~/overhear/requirements/cluster.lock" in locked
    assert "--no-deps --no-build-isolation --editable ~/overhear" in ours
    assert "~/.ray/auth_token" in config["cluster_synced_files"]
    page = (ROOT / "docs" / "cluster.md").read_text()
    for line in re.findall(r"pip install.*", page):
        assert "--require-hashes" in line or "--no-deps" in line


def test_one_version_of_ray_in_all_files():
    lock = (ROOT / "requirements" / "cluster.lock").read_text()
    text = RAYJOB.read_text() + (ROOT / "docs" / "cluster.md").read_text() + lock
    text += (ROOT / "Dockerfile").read_text()
    found = re.findall(r"^ray==([\d.]+)|ray:?(\d[\d.]+\d)-|rayVersion: \"(.*)\"", text, flags=re.M)
    versions = {version for groups in found for version in groups if version}
    assert len(found) >= 6
    (version,) = versions
    (ray,) = (r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "ray")
    assert version in ray.specifier, "pyproject.toml does not allow it"
    installed = importlib.metadata.version("ray")
    if version != installed:
        pytest.skip(f"checked with Ray {installed}: write it for {version} in cluster.yaml, docs/")


def test_nobody_else_gets_in():
    """SSH from one address, which a person writes; without a group of ours Ray admits all."""
    for kind in variant("aws")["available_node_types"].values():
        node = kind["node_config"]
        (group,) = node["SecurityGroupIds"]
        assert group == "sg-YOUR-GROUP" or re.fullmatch(r"sg-[0-9a-f]{8,17}", group)
        assert node["MetadataOptions"]["HttpTokens"] == "required", "IMDSv2"
        assert node["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        (disk,) = node["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True
        assert disk["Ebs"]["DeleteOnTermination"] is True
        assert re.fullmatch(r"ami-(YOUR-IMAGE|[0-9a-f]{8,17})", node["ImageId"]), "by its id"
    assert "security_group" not in variant("aws")["provider"], "Ray would add SSH from everywhere"
    page = (ROOT / "docs" / "cluster.md").read_text()
    assert "0.0.0.0" not in page + CLUSTER.read_text()
    admitted = re.findall(r"authorize-security-group-ingress .*", page)
    assert [line.split("--port 22 ")[-1] for line in admitted if "--port" in line] == [
        "--cidr YOUR-ADDRESS/32"
    ]
    assert [line for line in admitted if "--port" not in line] == [
        "authorize-security-group-ingress --group-id $group --protocol -1 --source-group $group"
    ]


def policies() -> dict[str, Any]:
    """The policies of docs/cluster.md, as a shell would write them."""
    page = (ROOT / "docs" / "cluster.md").read_text()
    found = re.findall(r"^(\w+)='(\{.*?\]\})'$", page, flags=re.M | re.S)
    given = {"BUCKET": "b", "account": "1", "image": "ami-1", "group": "sg-1"}
    return {
        name: json.loads(re.sub(r"'\$(\w+)'", lambda word: given[word[1]], text))
        for name, text in found
    }


def test_roles_have_the_least_rights():
    found = policies()
    assert found.keys() == {"trust", "bucket", "launch"}
    for name in ("bucket", "launch"):
        for statement in found[name]["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            actions = [actions] if isinstance(actions, str) else actions
            assert not any("*" in action for action in actions)
            if resources == "*":
                assert all(action.startswith("ec2:Describe") for action in actions)
            if {"ec2:TerminateInstances"} & {*actions}:
                tag = {"aws:ResourceTag/ray-cluster-name": variant("aws")["cluster_name"]}
                assert statement["Condition"]["StringEquals"] == tag
    launch = json.dumps(found["launch"])
    assert '"iam:PassRole", "Resource": "arn:aws:iam::1:role/overhear-worker"' in launch
    assert "FullAccess" not in (ROOT / "docs" / "cluster.md").read_text()


def test_images_are_named_by_version_or_digest():
    bases = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), flags=re.M)
    job = rayjob()["spec"]["rayClusterSpec"]
    pods = [job["headGroupSpec"], *job["workerGroupSpecs"]]
    containers = [c for pod in pods for c in pod["template"]["spec"]["containers"]]
    assert all(re.search(r":\d[\w.-]+$", image) for image in bases)
    assert bases
    for container in containers:
        assert re.search(r"@sha256:(YOUR-DIGEST|[0-9a-f]{64})$", container["image"])
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    for path in (CLUSTER, RAYJOB):
        assert ":latest" not in path.read_text()


def test_nodes_of_a_cluster_know_the_token(config: dict[str, Any]):
    """Ray's processes start in the environment that the set-up wrote, at the head's address."""
    (head,) = (c for c in config["head_start_ray_commands"] if "ray start" in c)
    (worker,) = (c for c in config["worker_start_ray_commands"] if "ray start" in c)
    for command in (head, worker):
        assert command.startswith(". ~/overhear.env;")
        words = shlex.split(command[command.index("ray start") :])
        parse(words)
    assert "--head --port=6379" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker


def test_the_setup_may_run_again(tmp_path: Path, config: dict[str, Any]):
    """The environment is written once and no more; files that are not mounted come from .git."""
    if not (ROOT / ".git").is_dir() or not shutil.which("git"):
        pytest.skip("needs git, and the checkout whose .git cluster.yaml mounts")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    tree = tmp_path / "overhear"
    shutil.copytree(ROOT / ".git", tree / ".git")
    (tree / "pyproject.toml").write_text("changed here")
    shell = [c for c in config["setup_commands"] if not re.search("venv ~|pip install", c)]
    assert len(shell) == len(config["setup_commands"]) - 3
    for _ in range(2):
        for command in shell:
            subprocess.run(["bash", "-c", command], env=environment, check=True)
    assert (tmp_path / ".bashrc").read_text() == ". ~/overhear.env\n"
    names = ("OVERHEAR_DATA", "OVERHEAR_CACHE", "RAY_AUTH_MODE", "RAY_memory_monitor_refresh_ms")
    said = subprocess.run(
        ["bash", "-c", f". ~/overhear.env; printenv {' '.join(names)}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == [f"{tmp_path}/overhear-data", f"{tmp_path}/overhear-cache", "token", "0"]
    assert (tree / "README.md").exists()
    assert (tree / "pyproject.toml").read_text() == "changed here"


def test_the_rayjob_has_the_fields_of_its_kind():
    job = rayjob()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?", job["metadata"]["name"])
    spec = job["spec"]
    assert set(spec) <= JOB
    assert {"entrypoint", "rayClusterSpec"} <= set(spec)
    cluster = spec["rayClusterSpec"]
    assert set(cluster) <= CLUSTER_SPEC
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert set(cluster["headGroupSpec"]) == HEAD_GROUP
    (workers,) = cluster["workerGroupSpecs"]
    assert set(workers) == GROUP
    assert workers["minReplicas"] == workers["replicas"] == 0 < workers["maxReplicas"]
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {"name", "image", "resources", "env"} <= set(container)
        assert f"ray{cluster['rayVersion']}-" in container["image"], "the image has this Ray"
        assert all(isinstance(entry["value"], str) for entry in container["env"])
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_the_command_of_the_rayjob_parses():
    parse(shlex.split(rayjob()["spec"]["entrypoint"]))


def test_the_five_commands_are_documented():
    starts = ("ray up", "ray exec", "overhear status s3", "overhear analyze s3", "ray down")
    lines = documented([ROOT / "docs" / "cluster.md"])
    places = [next(i for i, line in enumerate(lines) if line.startswith(s)) for s in starts]
    assert places == list(range(places[0], places[0] + 5))
    assert "ray job submit" in lines[places[1]]
