"""Prints what trains on a Cloud TPU VM or on Kubernetes, from the same arguments.

    python -m launch.render --for=tpu_vm … -- --config=… --workdir=/runs/…
    python -m launch.render --for=kubernetes … -- --config=… --workdir=/runs/…

The templates are `tpu_vm.sh` and `kubernetes.yaml` beside this file. Both mount a storage
that all hosts share at /runs, since what is written elsewhere goes with the machine.
"""

import dataclasses
import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import yaml
from absl import flags

from launch import cli
from regen_jax.errors import UserError

MOUNT = "/runs"
PORT = 8476

FOR = flags.DEFINE_enum("for", None, ["tpu_vm", "kubernetes"], "what to print")
flags.DEFINE_string("name", "regen-jax", "name of the TPU VM, or of the JobSet")
flags.DEFINE_string("storage", "", "NFS SERVER:/EXPORT, or PersistentVolumeClaim")
flags.DEFINE_string("accelerator", "", "type of TPU, or GKE's name of a GPU or TPU")
flags.DEFINE_integer("restarts", 10, "bound of restarts", lower_bound=0)
flags.DEFINE_bool("spot", False, "machines that may be taken away at any moment")
flags.DEFINE_string("zone", "", "tpu_vm: zone")
flags.DEFINE_string("runtime", "", "tpu_vm: version of the TPU's software")
flags.DEFINE_list("extras", ["digits", "speech"], "tpu_vm: extras of the package")
flags.DEFINE_list("prepare", [], "tpu_vm: data sets that each host prepares")
flags.DEFINE_string("image", "", "kubernetes: container image with the package")
flags.DEFINE_string("topology", "", "kubernetes: of the TPU slice, such as 4x4")
flags.DEFINE_integer("hosts", 1, "kubernetes: pods, one a host", lower_bound=1)
flags.DEFINE_integer("gpus", 0, "kubernetes: GPUs of a host", lower_bound=0)

# The names of pods are longer by what JobSet adds, and have at most 63 characters.
_FORMS = {
    "name": (
        r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?",
        "small letters, digits and -, 40 at most",
    ),
    "zone": (r"[a-z0-9-]+", "a zone, such as us-west4-a"),
    "accelerator": (r"[A-Za-z0-9-]+", "a type, such as v5litepod-16"),
    "runtime": (r"[a-z0-9.-]+", "a version, such as v2-alpha-tpuv5-lite"),
    "image": (r"\S+", "the name of a container image"),
    "topology": (r"\d+(x\d+){1,2}", "a shape, such as 4x4"),
}


@dataclasses.dataclass(frozen=True)
class TpuVm:
    """A script that makes a TPU VM where there is none, and trains on all its hosts.

    `storage` is an NFS export as SERVER:/EXPORT.
    """

    storage: str
    zone: str
    accelerator: str
    runtime: str
    name: str = "regen-jax"
    restarts: int = 10
    spot: bool = False
    extras: Collection[str] = ("digits", "speech")
    prepare: Collection[str] = ()

    def __post_init__(self) -> None:
        _check(self)
        _match(
            "storage", self.storage, r"[^\s:]+:/\S*", "an NFS export, SERVER:/EXPORT"
        )
        for field in ("extras", "prepare"):
            for value in getattr(self, field):
                _match(field, value, r"\w+", "names, separated by commas")

    def render(self, arguments: Sequence[str]) -> str:
        """The script that runs `regen_jax.train` with these arguments."""
        values = {
            "NAME": self.name,
            "ZONE": self.zone,
            "ACCELERATOR": self.accelerator,
            "RUNTIME": self.runtime,
            "STORAGE": self.storage,
            "EXTRAS": ",".join(self.extras),
            "PREPARE": " ".join(self.prepare),
            "RESTARTS": str(self.restarts),
        }
        lists = {"TIER": ["--spot"] if self.spot else [], "ARGUMENTS": arguments}
        return _fill(
            _template("tpu_vm.sh"),
            {key: shlex.quote(value) for key, value in values.items()}
            | {key: "\n  ".join(map(shlex.quote, lists[key])) for key in lists},
        )


@dataclasses.dataclass(frozen=True)
class Kubernetes:
    """A JobSet that trains on CPUs, on GPUs, or with a `topology` on a slice of TPUs.

    `storage` is the name of a PersistentVolumeClaim that many pods can write to.
    """

    storage: str
    image: str
    name: str = "regen-jax"
    hosts: int = 1
    gpus: int = 0
    accelerator: str = ""
    topology: str = ""
    restarts: int = 10
    spot: bool = False

    def __post_init__(self) -> None:
        _check(self, optional=("accelerator", "topology"))
        _match("storage", self.storage, r"[a-z0-9.-]+", "a PersistentVolumeClaim")
        if self.topology and (self.gpus or not self.accelerator):
            raise ValueError(
                "--topology is of TPUs: --accelerator names them, no --gpus"
            )
        if self.topology and self._chips % self.hosts:
            raise ValueError(
                f"--topology={self.topology} has {self._chips} chips, which are not "
                f"divisible by --hosts={self.hosts}"
            )
        if self.accelerator and not self.topology and not self.gpus:
            raise ValueError("--accelerator needs --gpus, or the --topology of TPUs")

    def render(self, arguments: Sequence[str]) -> str:
        """The JobSet that runs `regen_jax.train` with these arguments."""
        kind = "tpu" if self.topology else "gpu" if self.gpus else "cpu"
        conditions = {
            kind: True,
            "spot": self.spot,
            "model": kind == "gpu" and bool(self.accelerator),
        }
        values = {
            "NAME": self.name,
            "ACCELERATOR": self.accelerator,
            "TOPOLOGY": self.topology,
            "IMAGE": self.image,
            "STORAGE": self.storage,
            "COORDINATOR": f"{self.name}-hosts-0-0.{self.name}:{PORT}",
        }
        numbers = {
            "RESTARTS": self.restarts,
            "HOSTS": self.hosts,
            "DEVICES": self._chips // self.hosts if self.topology else self.gpus,
        }
        # Kubernetes replaces $(NAME) in arguments, and takes $$ for a plain $.
        items = [f"- {_yaml(value.replace('$', '$$'))}" for value in arguments]
        template = _only(
            _template("kubernetes.yaml"), {key for key in conditions if conditions[key]}
        )
        return _fill(
            template,
            {key: _yaml(value) for key, value in values.items()}
            | {key: str(value) for key, value in numbers.items()}
            | {"ARGUMENTS": ("\n" + 20 * " ").join(items)},
        )

    @property
    def _chips(self) -> int:
        return math.prod(map(int, self.topology.split("x")))


def main(arguments: list[str]) -> None:
    """The command."""
    kinds = {"tpu_vm": TpuVm, "kubernetes": Kubernetes}
    if FOR.value is None:
        raise UserError(f"--for is needed: {' or '.join(kinds)}")
    options = {}
    for name in {name for kind in kinds.values() for name in _fields(kind)}:
        if name in _fields(kinds[FOR.value]):
            options[name] = flags.FLAGS[name].value
        elif flags.FLAGS[name].present:
            raise UserError(f"--{name} is not an option of --for={FOR.value}")
    try:
        print(kinds[FOR.value](**options).render(_checked(arguments)), end="")
    except ValueError as error:
        raise UserError(str(error)) from error


def _fields(kind: type[TpuVm] | type[Kubernetes]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _checked(arguments: Sequence[str]) -> Sequence[str]:
    for name in ("config", "workdir"):
        if not any(argument.startswith(f"--{name}=") for argument in arguments):
            raise ValueError(f"--{name}=… of regen_jax.train is needed after --")
    for argument in arguments:
        if argument.startswith("--workdir=") and f"={MOUNT}/" not in argument:
            raise ValueError(
                f"{argument} has to be on the storage that all hosts share, which is "
                f"mounted at {MOUNT}: --workdir={MOUNT}/digits, say"
            )
    cli.workdir_of(arguments)
    return arguments


def _check(options: TpuVm | Kubernetes, optional: Collection[str] = ()) -> None:
    for name, (form, right) in _FORMS.items():
        value = getattr(options, name, None)
        if value is not None and not (value == "" and name in optional):
            _match(name, value, form, right)


def _match(name: str, value: str, form: str, right: str) -> None:
    if not re.fullmatch(form, value):
        raise ValueError(f"--{name}={value} has to be {right}")


def _template(name: str) -> str:
    return (Path(__file__).parent / name).read_text()


def _only(template: str, conditions: Collection[str]) -> str:
    """Without the lines that are for something else, and without saying so."""
    lines = []
    for line in template.splitlines():
        kept, _, only = line.partition("  # only: ")
        if not only or conditions & set(only.split()):
            lines.append(kept)
    return "\n".join(lines) + "\n"


def _fill(template: str, values: Mapping[str, str]) -> str:
    """In one pass: what is filled in is not looked through again."""
    return re.sub(r"__([A-Z]+)__", lambda match: values[match[1]], template)


def _yaml(value: str) -> str:
    return yaml.safe_dump(value, default_style='"', width=math.inf).strip()


if __name__ == "__main__":
    cli.run(main)
