"""A real SLURM for the tests in this folder, and snakemake on it, through the profile as it is.

The tests run beside each other (`make test-slurm`): most of their time is SLURM's. What disturbs the whole cluster is
marked `alone` and waits for the others.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from filelock import FileLock

from tests.slurm.cluster import STATE, Cluster, locked, missing, processes, running_cluster, send
from tests.support import required
from tests.support.waiting import descendants, wait_for
from tests.workflow.conftest import ROOT, SMALL, SNAKEMAKE, Workflow

PROFILE = ROOT / "profiles" / "slurm"
HELD = Path(__file__).with_name("held")  # its sitecustomize.py stops a stage
SECONDS = 840  # a call of snakemake ends by then, whatever happens to the test that made it, and then the test does


def pytest_collection_modifyitems(items):
    """Mark the tests of this folder. The trainings take longest, so they start first; what must be alone comes last."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.slurm)
        item.add_marker(pytest.mark.timeout(SECONDS + 60))
    if len(here) == len(items):
        items.sort(key=lambda item: (item.get_closest_marker("alone") is not None, "training" not in item.path.name))


@pytest.fixture(scope="session")
def cluster():
    """The cluster, which stays up until the last test of all processes has ended."""
    if reason := missing():
        required.lacking(f"no SLURM to test on: {reason}")
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def turn(request, cluster):
    """Beside the other tests, or alone."""
    alone = request.node.get_closest_marker("alone")
    with STATE.with_suffix(".alone").open("w") as stream, locked(stream, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        yield


@pytest.fixture
def run(tmp_path, cluster, turn):
    """A run in an empty directory; its jobs are cancelled in the end."""
    run = SlurmRun(tmp_path, cluster)
    yield run
    run.end()


@pytest.fixture(scope="session")
def data(tmp_path_factory, testrun_uid, cluster):
    """A directory with all the data of a run and no model, made once and without SLURM."""
    directory = tmp_path_factory.getbasetemp().parent / f"slurm-data-{testrun_uid}"
    with FileLock(f"{directory}.lock"):
        if not directory.exists():
            directory.mkdir()
            run = SlurmRun(directory, cluster)
            run.small()
            done = run("data")
            assert done.returncode == 0, done.stdout
    return directory


@pytest.fixture
def prepare(data, tmp_path, cluster, turn):
    """A function that gives runs that lack nothing but the model, with changes of the section `train`."""
    runs = []

    def prepare(name: str, **train: object) -> SlurmRun:
        runs.append(SlurmRun(tmp_path / name, cluster))
        shutil.copytree(data, runs[-1].directory)
        runs[-1].small(train=train)
        return runs[-1]

    yield prepare
    for run in runs:
        run.end()


class SlurmRun(Workflow):
    """Snakemake through profiles/slurm, in a directory of its own."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        super().__init__(directory)
        self.cluster = cluster
        self.calls: list[Call] = []

    def small(self, train: dict[str, object] | None = None, **changes: object) -> None:
        """Configure a run of seconds a stage: one language of a few lines of text, on the CPU."""
        text = self.directory / "en.txt"
        if not text.exists():
            words = [f"en{chr(97 + a)}{chr(97 + b)}" for a in range(6) for b in range(6)]
            rows = (" ".join(words[(n * step + n) % 36] for step in range(3, 20)) + f" {n}\n" for n in range(60))
            text.write_text("".join(rows), encoding="utf-8")
        own = {"languages": ["en"], "corpora": {"local": {"en": [text.name]}}}
        training = {**SMALL["train"], "max_update": 20, "warmup_updates": 2, **(train or {})}
        self.configure(**{**SMALL, **own, **changes, "train": training})

    def start(self, *arguments: str, path: str = "/usr/bin:/bin:/usr/sbin") -> "Call":
        """Call snakemake; a hard limit ends it, whatever happens to this process."""
        command = ["timeout", "-k", "10", str(SECONDS), str(SNAKEMAKE), "--snakefile", str(ROOT / "Snakefile")]
        command += ["--profile", str(PROFILE), "--directory", str(self.directory), "--configfile", str(self.overlay)]
        # The profile's first look at a job is after 20 seconds; a job of this run takes less than that.
        command += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20", "--max-threads", "1"]
        environment = {"PATH": path, "HOME": str(Path.home()), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HELD)}
        output = self.directory / f"call{len(self.calls) + 1}.txt"
        self.calls.append(Call(command + list(arguments), environment, output, self.cluster))
        return self.calls[-1]

    def run(self, *arguments: str) -> "Call":
        """Call snakemake, and wait for its end."""
        call = self.start(*arguments)
        call.wait()
        return call

    def end(self) -> None:
        """End what still runs of it."""
        for call in self.calls:
            if call.status is None:
                send(signal.SIGKILL, [*descendants(call.process.pid), call.process.pid])
                call.process.wait()
            if call.run_id:
                self.cluster.ask("scancel", "--name", call.run_id)

    def stage(self, *words: str, **environment: str) -> list[int]:
        """The processes that run in this directory, of a command line with these words, in such an environment."""
        found = []
        for pid in processes(*words, **environment):
            try:
                if Path(f"/proc/{pid}/cwd").readlink() == self.directory:
                    found.append(pid)
            except OSError:
                continue
        return found

    def trainers(self, **environment: str) -> list[int]:
        """The processes that train, without those that start and watch them."""
        return [pid for pid in self.stage("fairseq-train", **environment) if pid not in self.stage("torchrun")]

    def updates(self) -> int:
        """How far the training is."""
        path = self.directory / "checkpoints" / "mlm" / "metrics.jsonl"
        rows = path.read_text().splitlines() if path.exists() else []
        return max((json.loads(row)["update"] for row in rows if row.endswith("}")), default=0)


class Call:
    """One call of snakemake."""

    def __init__(self, command: list[str], environment: dict[str, str], output: Path, cluster: Cluster) -> None:
        self.output = output
        self.cluster = cluster
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                command, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
            )

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    @property
    def status(self) -> int | None:
        return self.process.poll()

    def wait(self, seconds: float = SECONDS + 20) -> int:
        return self.process.wait(seconds)

    def wait_for_success(self) -> None:
        """Until its end; meanwhile spare requeued jobs the two minutes that SLURM lets them wait."""
        while self.status is None:
            self.start_again_at_once()
            time.sleep(1)
        assert self.status == 0, self.text

    def start_again_at_once(self) -> None:
        for job in self.jobs():
            if job["JobState"] == "PENDING" and job["Reason"] == "BeginTime":
                self.cluster.ask("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")

    def kill(self, number: int) -> None:
        """Signal snakemake itself, the child of `timeout`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(children[0]), number)

    @property
    def run_id(self) -> str:
        """What the plugin names all jobs of this call; empty before it says so."""
        found = re.search(r"SLURM run ID: (\S+)", self.text)
        return found[1] if found else ""

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """SLURM's records of this call's jobs, of one rule or group; retries are jobs of their own."""
        return (
            [job for job in self.cluster.jobs_of(self.run_id) if rule in job.get("Comment", "")] if self.run_id else []
        )

    def states(self) -> list[str]:
        """The states of its jobs, in the order of their sending."""
        return [job["JobState"] for job in self.jobs()]

    def wait_for_job(self, rule: str, state: str = "RUNNING", seconds: float = 180) -> dict[str, str]:
        """The first job of a rule that is in a state."""

        def found() -> list[dict[str, str]]:
            assert self.status is None or self.jobs(rule), self.text
            return [job for job in self.jobs(rule) if job["JobState"] == state]

        return wait_for(found, seconds, f"{rule} to be {state}")[0]
