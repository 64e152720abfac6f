"""What SLURM's partitions can run at most, and which jobs of a run ask for more: those would wait in its queue forever.

What sinfo lists is not all of the truth (a site may move jobs to other partitions, or let a QoS exceed a limit), so a
job is refused only where `sbatch --test-only` finds no node for it either; and where SLURM does not answer, nothing is.
"""

import logging
import math
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from snakemake_executor_plugin_slurm.partitions import get_best_partition

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.train import slurm

SINFO = ["sinfo", "--all", "--noheader", "--exact", "--format=%P|%c|%B|%m|%l|%D|%G"]
PROFILE = "profiles/slurm/config.yaml"


@dataclass(frozen=True)
class NodeKind:
    """Nodes of a partition that are alike.

    Attributes:
        is_default: whether the partition takes the jobs that name none.
        memory: MB.
        minutes: the partition's time limit; inf without one.
        count: how many there are.
        gpus: how many of each model; the model is empty where SLURM's configuration names none.
    """

    partition: str
    is_default: bool
    cores: int
    memory: int
    minutes: float
    count: int
    gpus: tuple[tuple[str, int], ...] = ()

    def gpus_of(self, model: str) -> int:
        """How many GPUs of a model it has; of all models together for an empty one."""
        return sum(number for name, number in self.gpus if model.lower() in ("", name.lower()))


@dataclass(frozen=True)
class Request:
    """What a job asks of one node, and how many of these; 0 for what it does not ask for, or is not known yet.

    Attributes:
        name: its rule, or its group of rules.
        partition: one, or several with commas between; empty for the default one.
        memory: MB.
        options: further options of sbatch that decide where it may run.
    """

    name: str
    is_group: bool
    partition: str
    cores: int
    memory: int
    minutes: int
    gpus: int
    gpu_model: str
    nodes: int
    options: tuple[str, ...] = ()

    def fits(self, node: NodeKind) -> bool:
        """Whether such a node can run it."""
        return not any(
            (
                self.cores > node.cores,
                self.memory > node.memory,
                self.minutes > node.minutes,
                self.gpus > node.gpus_of(self.gpu_model),
            )
        )


def request_of(job: Any, partition: str) -> Request:
    """The request of a job or group as Snakemake's SLURM plugin passes it on.

    Args:
        job: Snakemake's, single or group.
        partition: where it will be sent.
    """
    resources = job.resources

    def number(name: str) -> int:
        return value if type(value := resources.get(name)) is int else 0

    # A multi-node training asks for its GPUs by node, as gres.
    gres = re.fullmatch(r"gpu(?::([^:]+))?:(\d+)", str(resources.get("gres") or ""))
    gpus, model = (int(gres[2]), gres[1] or "") if gres else (number("gpu"), str(resources.get("gpu_model") or ""))
    cores = number("cpus_per_task") or number("cpus_per_gpu") * gpus or job.threads
    options = [
        f"--{option}={value}"
        for option, name in (("account", "slurm_account"), ("constraint", "constraint"), ("qos", "qos"))
        if (value := resources.get(name))
    ]
    return Request(
        name=job.groupid if job.is_group() else job.name,
        is_group=job.is_group(),
        partition=partition,
        cores=max(0, cores),
        memory=number("mem_mb") or number("mem_mb_per_cpu") * max(0, cores),
        minutes=number("runtime"),
        gpus=gpus,
        gpu_model=model,
        nodes=number("nodes") or 1,
        options=tuple(options),
    )


def ask_sinfo() -> list[NodeKind]:
    """The kinds of nodes of all partitions; none where SLURM does not answer."""
    # The user's SINFO_… would choose among partitions and nodes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SINFO_")}
    try:
        return parse_sinfo(slurm.query(*SINFO, environment=environment))
    except UserError:
        return []


def parse_sinfo(text: str) -> list[NodeKind]:
    """The nodes in the output of `SINFO`; a line that is not understood is left out."""
    return [kind for line in text.splitlines() if (kind := _parse_kind(line.split("|", 6)))]


def _parse_kind(words: list[str]) -> NodeKind | None:
    if len(words) != 7:
        return None
    name, cores, most_cores, memory, limit, count, gres = (word.strip() for word in words)
    minutes, numbers = parse_minutes(limit), [_number(word) for word in (cores, memory, count)]
    if minutes is None or None in numbers:
        return None
    found = [number or 0 for number in numbers]
    if (most := _number(most_cores)) is not None:
        found[0] = min(found[0], most)
    gpus = re.findall(r"(?:^|,)gpu(?::([^:,()]+))??:(\d+)", gres)
    return NodeKind(
        partition=name.removesuffix("*"),
        is_default=name.endswith("*"),
        cores=found[0],
        memory=found[1],
        minutes=minutes,
        count=found[2],
        gpus=tuple((model, int(number)) for model, number in gpus),
    )


def _number(text: str) -> int | None:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else None


def parse_minutes(text: str) -> float | None:
    """A time limit of SLURM's in minutes, as `30`, `30:00`, `4:00:00`, `2-00:00:00` or `infinite`."""
    if text.lower() in ("infinite", "unlimited", "n/a"):
        return math.inf
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not found:
        return None
    days, *rest = (int(part) if part else 0 for part in found.groups())
    if found[1] or found[4]:
        hours, minutes, seconds = rest
        return days * 1440 + hours * 60 + minutes + seconds / 60
    return rest[0] + rest[1] / 60


def what_cannot_start(workflow: Any) -> list[str]:
    """A line for each reason why SLURM could never start some of the jobs that a call is about to send.

    Args:
        workflow: Snakemake's, with its executor for SLURM.
    """
    kinds = ask_sinfo()
    if not kinds:
        return []
    settings = workflow.executor_settings
    common = [f"--{name}={value}" for name in ("qos", "reservation") if (value := getattr(settings, name, None))]
    try:
        requests = list(_requests(workflow))
    # Any, for this reads what plugin and Snakemake keep to themselves; the jobs may well run.
    except Exception as failure:
        console.warn(f"what the jobs ask for was not compared with SLURM's partitions: {failure}")
        return []
    return refusals(requests, kinds, lambda request, own: sbatch_refuses(request, own, *common))


def _requests(workflow: Any) -> Iterator[Request]:
    """The requests of the jobs that will be sent, with the partition that the plugin will choose for them."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    tables = getattr(workflow.scheduler._executor, "_partitions", None)
    for job in {workflow.dag.get_job_group(job) or job for job in jobs}:
        # Another cluster's partitions are not among these.
        if not any(job.resources.get(name) for name in ("cluster", "clusters", "slurm_cluster")):
            partition = job.resources.get("slurm_partition")
            if not partition and tables:
                partition = get_best_partition(tables, job, logging.getLogger(__name__))
            yield request_of(job, str(partition or ""))
        # Has Snakemake compute the resources again once the input is there: for now some are unknown.
        job.attempt = job.attempt


def refusals(
    requests: Iterable[Request], kinds: list[NodeKind], refuses: Callable[[Request, list[NodeKind]], bool]
) -> list[str]:
    """A line for each reason why no node can ever run some jobs: rules, what they ask for, what there is, the keys.

    Args:
        refuses: whether SLURM itself finds no node for a request; it is asked only where sinfo lists none.
    """
    found: dict[Obstacle, dict[str, int]] = {}
    for request in sorted(set(requests), key=lambda request: request.name):
        names = request.partition.split(",")
        own = [kind for kind in kinds if (kind.partition in names if request.partition else kind.is_default)]
        # A partition without nodes may get some, and one that sinfo does not list is SLURM's to refuse.
        if not any(kind.count for kind in own) or _fitting(request, own) >= request.nodes or not refuses(request, own):
            continue
        for obstacle, asked in _obstacles(request, own):
            rules = found.setdefault(obstacle, {})
            rules[request.name] = max(asked, rules.get(request.name, 0))
    return [obstacle.line(rules) for obstacle, rules in found.items()]


class Obstacle(NamedTuple):
    """Why jobs can't run.

    Attributes:
        unit: of what they ask for.
        there: how much of it there is.
        keys: what a user can set.
    """

    unit: str
    there: str
    keys: str

    def line(self, rules: dict[str, int]) -> str:
        """For the user, with what each rule asks for."""
        asked = ", ".join(f"{rule} ({number} {self.unit})" for rule, number in rules.items())
        return f"SLURM could never start {asked}: {self.there}; set {self.keys}"


def _fitting(request: Request, kinds: list[NodeKind]) -> int:
    """How many of the nodes can run it."""
    return sum(kind.count for kind in kinds if request.fits(kind))


def _obstacles(request: Request, kinds: list[NodeKind]) -> Iterator[tuple[Obstacle, int]]:
    """Why none of the nodes runs it, and how much it asks for of what there is too little of."""
    where = f"of partition {', '.join(dict.fromkeys(kind.partition for kind in kinds))}"
    group = f"a lower number for {request.name} under group-components in {PROFILE}"
    cores, memory = max(kind.cores for kind in kinds), max(kind.memory for kind in kinds)
    gpus, minutes = max(kind.gpus_of(request.gpu_model) for kind in kinds), max(kind.minutes for kind in kinds)
    if request.cores > cores:
        keys = group if request.is_group else f"max-threads: {cores} in {PROFILE}"
        yield Obstacle("cores", f"the largest node {where} has {cores}", keys), request.cores
    if request.memory > memory:
        keys = group if request.is_group else "set-resources: RULE: mem_mb"
        yield Obstacle("MB", f"the largest node {where} has {memory}", keys), request.memory
    if request.gpus > gpus:
        keys = (
            "set-resources: RULE: slurm_partition, or train.gpus, train.gpu_model or train.device: cpu in config.yaml"
        )
        unit = f"GPU {request.gpu_model}".rstrip()
        yield Obstacle(unit, f"a node {where} has {gpus or 'none'}", keys), request.gpus
    if request.minutes > minutes:
        there = f"the time limit {where} is {math.floor(minutes)}"
        yield (
            Obstacle("minutes", there, "set-resources: RULE: runtime; a training resumes in its next job"),
            request.minutes,
        )
    if request.fits(NodeKind("", False, cores, memory, minutes, 1, ((request.gpu_model, gpus),))):
        there = f"{_fitting(request, kinds)} {where} are large enough for it"
        unit = f"nodes with {request.cores} cores, {request.memory} MB and {request.gpus} GPU together"
        yield (
            Obstacle(unit, there, "train.nodes in config.yaml, or set-resources: RULE: slurm_partition"),
            request.nodes,
        )


def sbatch_refuses(request: Request, kinds: list[NodeKind], *options: str) -> bool:
    """Whether sbatch finds no node for a request.

    It does not look at time limits: where only these are exceeded, that is enough, unless a QoS may allow it.

    Args:
        options: the QoS and reservation of all jobs.
    """
    options = (*request.options, *options)
    if _fitting(replace(request, minutes=0), kinds) >= request.nodes:
        return not any(option.startswith("--qos") for option in options)
    command = ["sbatch", "--test-only", f"--nodes={request.nodes}", "--wrap=true", *options]
    command += [f"--partition={request.partition}"] if request.partition else []
    command += [f"--cpus-per-task={request.cores}"] if request.cores else []
    command += [f"--mem={request.memory}"] if request.memory else []
    gpus = ":".join(filter(None, ["gpu", request.gpu_model, str(request.gpus)]))
    command += [f"--gres={gpus}"] if request.gpus else []
    try:
        done = subprocess.run(command, capture_output=True, timeout=slurm.SECONDS_TO_ANSWER, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode != 0
