"""What is rendered for Kubernetes, against the published types of JobSet."""

import re

import yaml
from kubeflow_trainer_api.models import JobsetV1alpha2JobSet
from launch.render import Kubernetes


def jobset(arguments=("--config=a", "--workdir=/runs/a"), **options):
    """The JobSet, of nothing but fields that JobSet and Kubernetes know."""
    parsed = yaml.safe_load(
        Kubernetes(image="regen-jax:1", storage="runs", **options).render(arguments)
    )
    assert JobsetV1alpha2JobSet.from_dict(parsed).to_dict() == parsed
    job = parsed["spec"]["replicatedJobs"][0]["template"]["spec"]
    return parsed, job, job["template"]["spec"]


def container(pod):
    """Its only container, and its environment by name."""
    (train,) = pod["containers"]
    return train, {entry["name"]: entry for entry in train["env"]}


def test_jobset_joins_gpu_hosts():
    parsed, job, pod = jobset(hosts=3, gpus=8, accelerator="nvidia-l4", spot=True)
    train, environment = container(pod)

    assert job["parallelism"] == job["completions"] == 3
    # JobSet's names of pods: <JobSet>-<job>-<job index>-<pod index>.<subdomain>
    name, subdomain = parsed["metadata"]["name"], parsed["spec"]["network"]["subdomain"]
    first = f"{name}-{parsed['spec']['replicatedJobs'][0]['name']}-0-0.{subdomain}"
    address, port = environment["JAX_COORDINATOR_ADDRESS"]["value"].split(":")
    assert address == first and port.isdigit()
    assert environment["JAX_NUM_PROCESSES"]["value"] == "3"
    assert "completion-index" in str(environment["JAX_PROCESS_ID"]["valueFrom"])
    assert train["resources"] == {"limits": {"nvidia.com/gpu": 8}}
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-accelerator": "nvidia-l4",
        "cloud.google.com/gke-spot": "true",
    }
    assert "annotations" not in parsed["metadata"]


def test_jobset_of_a_tpu_slice_leaves_the_joining_to_jax():
    tpu = {"accelerator": "tpu-v5-lite-podslice", "topology": "4x4", "hosts": 4}
    parsed, _, pod = jobset(**tpu)
    train, environment = container(pod)

    assert train["resources"] == {"limits": {"google.com/tpu": 4}}
    assert not any(name.startswith("JAX_") for name in environment)
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }
    assert len(parsed["metadata"]["annotations"]) == 1


def test_jobset_of_cpus_asks_for_no_device():
    _, _, pod = jobset(hosts=2)
    train, environment = container(pod)
    assert "resources" not in train and "nodeSelector" not in pod
    assert environment["JAX_NUM_PROCESSES"]["value"] == "2"


def test_jobset_restarts_saved_runs_freely_and_others_a_few_times():
    parsed, job, pod = jobset(restarts=4)
    policy = parsed["spec"]["failurePolicy"]
    codes, disruption = job["podFailurePolicy"]["rules"]

    assert policy["maxRestarts"] == 4 and job["backoffLimit"] == 0
    (rule,) = policy["rules"]
    assert rule["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    assert rule["onJobFailureReasons"] == ["PodFailurePolicy"]
    assert codes["action"] == disruption["action"] == "FailJob"
    assert codes["onExitCodes"]["values"] == [75]
    assert codes["onExitCodes"]["containerName"] == container(pod)[0]["name"]
    # Kubernetes refuses a podFailurePolicy with any other.
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60


def test_arguments_arrive_as_they_are(arguments):
    _, _, pod = jobset(arguments)
    given = container(pod)[0]["args"]

    def expand(argument):  # as Kubernetes does: $(NAME) is a variable, $$ is $
        variable = {"$$": "$", "$(HOME)": "replaced"}
        return re.sub(r"\$\$|\$\(\w+\)", lambda match: variable[match[0]], argument)

    assert [expand(argument) for argument in given] == arguments
