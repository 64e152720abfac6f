"""A single-node SLURM of its own: munge, slurmctld and slurmd as root, without systemd, cgroups or a database.

It lies in a temporary folder, all but /etc/slurm/{slurm,gres}.conf: a job step finds its cluster nowhere else. A
machine that has such files belongs to another cluster already, and is left alone.
"""

import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
ETC = Path("/etc/slurm")
LOCK = Path(tempfile.gettempdir()) / "wikixlm-test-slurm.lock"
CORES = 16  # more than there are: SLURM counts them, the kernel shares them
MEMORY = 64000

# The first line of files that a killed test run may have left behind.
MARK = "# of wikixlm's tests"

SLURM_CONF = (
    MARK
    + """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket
CredType=cred/munge
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/slurmd
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
MpiDefault=none
SwitchType=switch/none
TaskPlugin=task/none
ProctrackType=proctrack/linuxproc
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
# Memory is policed by sampling, once a second: what is above the request is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={state}/completed.txt
KillWait=5
MinJobAge=300
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:fake:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=2-00:00:00 DefaultTime=00:10:00 OverSubscribe=NO State=UP
PartitionName=gpus Nodes={host} Default=NO MaxTime=1-00:00:00 DefaultTime=00:10:00 State=UP
"""
)
GRES_CONF = (
    MARK
    + """
NodeName={host} Name=gpu Type=fake File=/dev/null
NodeName={host} Name=gpu Type=fake File=/dev/zero
"""
)


def missing() -> str:
    """Why no cluster can be started here; nothing if one can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if absent := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        return f"{', '.join(absent)} not found: apt-get install slurmctld slurmd munge slurm-client"
    if os.geteuid() != 0:
        return "slurmctld and slurmd of a test cluster need root"
    for path in (ETC / "slurm.conf", ETC / "gres.conf"):
        if path.exists() and not path.read_text(errors="replace").startswith(MARK):
            return f"{path} is there: this machine belongs to a cluster already"
    return ""


def wait_for(condition, seconds: float, what: str) -> None:
    """Return once `condition()` is true; fail after a time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)


class Cluster:
    """The running cluster; `stop` it."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.host = socket.gethostname().split(".")[0]
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = LOCK.open("w")

    def start(self) -> None:
        """Start the daemons, and wait until the node is idle."""
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ports = [free_port(), free_port()]
        self.state.chmod(0o755)
        for name in ("ctld", "slurmd"):
            (self.state / name).mkdir()
        key = self.state / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        values = {"host": self.host, "state": self.state, "cores": CORES, "memory": MEMORY}
        ETC.mkdir(exist_ok=True)
        (ETC / "slurm.conf").write_text(SLURM_CONF.format(ctld_port=ports[0], slurmd_port=ports[1], **values))
        (ETC / "gres.conf").write_text(GRES_CONF.format(**values))
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        self._spawn(
            "munged", "--foreground", "--force", *(f"--{name}={self.state}/munge.{end}" for name, end in files.items())
        )
        wait_for((self.state / "munge.socket").exists, 10, "munged")
        self.start_controller()
        self._spawn("slurmd", "-D", "-N", self.host)
        wait_for(lambda: self.ask("sinfo", "-h", "-o", "%T").split()[:1] == ["idle"], 40, "an idle node")

    def start_controller(self) -> None:
        self._spawn("slurmctld", "-D")
        wait_for(lambda: "is UP" in self.ask("scontrol", "ping"), 20, "slurmctld")

    def stop_daemon(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self.daemons.pop(name)
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End all jobs and daemons, and leave the machine as it was."""
        try:
            if "slurmctld" in self.daemons:
                self.cancel_all()
            for name in [name for name in ("slurmd", "slurmctld", "munged") if name in self.daemons]:
                self.stop_daemon(name)
        finally:
            for name in ("slurm.conf", "gres.conf"):
                (ETC / name).unlink(missing_ok=True)
            shutil.rmtree(self.state, ignore_errors=True)
            self._lock.close()

    def _spawn(self, program: str, *arguments: str) -> None:
        path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        assert path is not None
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        with (self.state / f"{program}.out").open("ab") as output:
            self.daemons[program] = subprocess.Popen(
                [path, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )

    def ask(self, *command: str) -> str:
        """Standard output of one of SLURM's commands."""
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout

    def cancel_all(self) -> None:
        """Empty the queue."""
        self.ask("scancel", "--user=root")
        wait_for(lambda: not self.ask("squeue", "-h").strip(), 60, "an empty queue")

    def jobs(self) -> list[dict[str, str]]:
        """What the controller knows of every job of the last minutes, an entry a job, in order of their ids."""
        found = []
        for block in self.ask("scontrol", "--details", "show", "job").split("\n\n"):
            fields = dict(re.findall(r"(?m)(?:^\s*|\s)([A-Z]\w*(?:/\w+)?(?::\w+)?)=(\S*)", block))
            if "JobId" in fields:
                found.append(fields)
        return sorted(found, key=lambda job: int(job["JobId"]))

    def jobs_of(self, run: str) -> list[dict[str, str]]:
        """The jobs of one call of snakemake: its run id is their name, the comment names the rule."""
        return [job for job in self.jobs() if job["JobName"] == run]

    def completed(self) -> list[dict[str, str]]:
        """SLURM's own file of completed jobs, an entry a line; a requeued job has an entry a run."""
        path = self.state / "completed.txt"
        return (
            [dict(re.findall(r"(\w+)=(\S*)", line)) for line in path.read_text().splitlines()] if path.exists() else []
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
