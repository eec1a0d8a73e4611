"""The example for Kubernetes, against the published types of JobSet."""

import re
import subprocess
from pathlib import Path

import yaml

EXAMPLE = Path(__file__).parents[2] / "launch/jobset.yaml"


def read(devices):
    """The JobSet by the command that its head gives, without unknown fields."""
    # Here, since they take half a second.
    from kubeflow_trainer_api import models

    commands = re.findall("^#   (.*)$", EXAMPLE.read_text(), re.MULTILINE)
    command = commands[["gpu", "cpu", "tpu"].index(devices)]
    command = command.removesuffix(" | kubectl apply -f -").replace(
        "kubectl apply -f", "cat"
    )
    root = EXAMPLE.parents[1]
    text = subprocess.run(command, shell=True, cwd=root, check=True, stdout=-1).stdout
    parsed = yaml.safe_load(text)
    assert models.JobsetV1alpha2JobSet.from_dict(parsed).to_dict() == parsed
    job = parsed["spec"]["replicatedJobs"][0]["template"]["spec"]
    return parsed, job, job["template"]["spec"]


def container(pod):
    """The only container of a pod, and its environment by name."""
    (train,) = pod["containers"]
    return train, {entry["name"]: entry for entry in train["env"]}


def test_gpu_hosts_join_by_jax_variables():
    parsed, job, pod = read("gpu")
    train, environment = container(pod)

    assert job["parallelism"] == job["completions"] == 2
    # JobSet's names of pods: <JobSet>-<job>-<job index>-<pod index>.<subdomain>
    name, subdomain = parsed["metadata"]["name"], parsed["spec"]["network"]["subdomain"]
    first = f"{name}-{parsed['spec']['replicatedJobs'][0]['name']}-0-0.{subdomain}"
    address, port = environment["JAX_COORDINATOR_ADDRESS"]["value"].split(":")
    assert address == first and port.isdigit()
    assert environment["JAX_NUM_PROCESSES"]["value"] == str(job["completions"])
    assert "completion-index" in str(environment["JAX_PROCESS_ID"]["valueFrom"])
    assert train["resources"] == {"limits": {"nvidia.com/gpu": 8}}
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert "annotations" not in parsed["metadata"]
    assert train["command"] == ["python", "-m", "regen_jax.train"]
    assert "--workdir=/runs/digits" in train["args"]
    assert {mount["mountPath"] for mount in train["volumeMounts"]} >= {"/runs"}


def test_tpu_slice_leaves_joining_to_jax():
    parsed, _, pod = read("tpu")
    train, environment = container(pod)

    assert train["resources"] == {"limits": {"google.com/tpu": 4}}
    assert not any(name.startswith("JAX_") for name in environment)
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "2x4",
    }
    assert len(parsed["metadata"]["annotations"]) == 1


def test_cpu_hosts_request_no_device():
    _, _, pod = read("cpu")
    train, environment = container(pod)
    assert "resources" not in train and "nodeSelector" not in pod
    assert environment["JAX_NUM_PROCESSES"]["value"] == "2"


def test_saved_runs_restart_freely_and_failed_runs_a_few_times():
    parsed, job, pod = read("gpu")
    policy = parsed["spec"]["failurePolicy"]
    codes, disruption = job["podFailurePolicy"]["rules"]

    assert policy["maxRestarts"] == 10 and job["backoffLimit"] == 0
    (rule,) = policy["rules"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    assert codes["action"] == disruption["action"] == "FailJob"
    assert codes["onExitCodes"]["values"] == [75]
    assert codes["onExitCodes"]["containerName"] == container(pod)[0]["name"]
    # Kubernetes refuses a podFailurePolicy with any other.
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60
