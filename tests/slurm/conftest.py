"""A real SLURM for the tests in this folder, and snakemake on it, through the profile as it is."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, missing, wait_for
from tests.workflow.conftest import ROOT, SNAKEMAKE, Workflow

PROFILE = ROOT / "profiles" / "slurm"
TRAINING = {
    "encoder_layers": 1,
    "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 16,
    "encoder_attention_heads": 2,
    "max_update": 20,
    "max_tokens": 256,
    "tokens_per_sample": 16,
    "lr": 0.001,
    "warmup_updates": 2,
    "device": "cpu",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def cluster():
    """The cluster, up for the whole session."""
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no SLURM to test on: {reason}")
        pytest.skip(f"no SLURM to test on: {reason}")
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class SlurmRun(Workflow):
    """Snakemake through profiles/slurm, in a directory of its own."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        super().__init__(directory)
        self.cluster = cluster
        self.calls = 0

    def small(self, train: dict[str, object] | None = None, **changes: object) -> None:
        """Configure a run of seconds a stage: one language of a few lines of text, on the CPU."""
        text = self.directory / "en.txt"
        if not text.exists():
            words = [f"en{chr(97 + a)}{chr(97 + b)}" for a in range(6) for b in range(6)]
            rows = (" ".join(words[(n * step + n) % 36] for step in range(3, 20)) + f" {n}\n" for n in range(60))
            text.write_text("".join(rows), encoding="utf-8")
        settings: dict[str, object] = {
            "languages": ["en"],
            "corpora": {"local": {"en": [text.name]}},
            "extract": {"shards": 2},
            "split": {"valid": 5, "test": 5},
            "bpe": {"codes": 100, "sample_lines": 1000},
            "binarize": {"workers": 1},
        }
        self.configure(**{**settings, **changes, "train": {**TRAINING, **(train or {})}})

    def start(self, *arguments: str, path: str = "/usr/bin:/bin:/usr/sbin") -> "Call":
        """Call snakemake; a hard limit ends it, whatever happens to this process."""
        self.calls += 1
        command = ["timeout", "-k", "10", "540", str(SNAKEMAKE), "--snakefile", str(ROOT / "Snakefile")]
        command += ["--profile", str(PROFILE), "--directory", str(self.directory), "--configfile", str(self.overlay)]
        # The profile's first look at a job is after 20 seconds; a job of this run takes less than that.
        command += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20", "--max-threads", "1"]
        environment = {"PATH": path, "HOME": str(Path.home()), "OMP_NUM_THREADS": "1"}
        return Call(command + list(arguments), environment, self.directory / f"call{self.calls}.txt", self.cluster)

    def run(self, *arguments: str) -> "Call":
        """Call snakemake, and wait for its end."""
        call = self.start(*arguments)
        call.wait()
        return call


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

    def wait(self, seconds: float = 560) -> int:
        return self.process.wait(seconds)

    def kill(self, number: int) -> None:
        """Signal snakemake itself, the child of `timeout`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(children[0]), number)

    @property
    def run_id(self) -> str:
        """What the plugin names all jobs of this call."""
        wait_for(lambda: "SLURM run ID: " in self.text, 60, "snakemake to start")
        return re.search(r"SLURM run ID: (\S+)", self.text)[1]

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """SLURM's records of this call's jobs, of one rule or group; retries are jobs of their own."""
        return [job for job in self.cluster.jobs_of(self.run_id) if rule in job.get("Comment", "")]

    def wait_for_job(self, rule: str, state: str = "RUNNING", seconds: float = 120) -> dict[str, str]:
        """The first job of a rule that is in a state."""

        def found() -> list[dict[str, str]]:
            assert self.status is None or self.jobs(rule), self.text
            return [job for job in self.jobs(rule) if job["JobState"] == state]

        wait_for(found, seconds, f"{rule} to be {state}")
        return found()[0]


@pytest.fixture
def run(tmp_path, cluster):
    """A run in an empty directory; its jobs are cancelled in the end."""
    yield SlurmRun(tmp_path, cluster)
    cluster.cancel_all()
