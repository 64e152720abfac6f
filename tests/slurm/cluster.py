"""A SLURM of its own: munge, slurmctld and six nodes as root on this machine, without systemd, cgroups or a database.

It lies in a temporary folder, all but /etc/slurm/{slurm,gres}.conf: a job step finds its cluster nowhere else. So there
is one at a time, which all processes of a test run share. A machine that has such files belongs to another cluster
already, and is left alone.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.support.waiting import wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
ETC = Path("/etc/slurm")
STATE = Path(tempfile.gettempdir()) / "wikixlm-test-slurm"
# `one` is for everything; `two` and `three` for jobs of two nodes, `four` and `five` for jobs that are preempted; `six`
# is small and has no GPU.
NODES = ("one", "two", "three", "four", "five", "six")
CORES = 16  # more than there are: SLURM counts them, the kernel shares them
SMALL_CORES = 2
MEMORY = 64000

# The first line of files that a killed test run may have left behind.
MARK = "# of wikixlm's tests"

SLURM_CONF = (
    MARK
    + """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket
CredType=cred/munge
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/%n.log
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
KillWait=10
MinJobAge=1200
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
PartitionName=DEFAULT MaxTime=2-00:00:00 DefaultTime=00:10:00 State=UP
PartitionName=main Nodes=one Default=YES
PartitionName=gpus Nodes=one
PartitionName=pairs Nodes=two,three
PartitionName=spare Nodes=four PriorityTier=1
PartitionName=grace Nodes=five PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=four,five PriorityTier=2
PartitionName=small Nodes=six MaxTime=1-12:00:00 MaxMemPerNode=8000
"""
)
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} RealMemory={memory}{gpus}"
GRES_CONF = (
    MARK
    + """
NodeName={names} Name=gpu Type=fake File=/dev/null
NodeName={names} Name=gpu Type=fake File=/dev/zero
"""
)


def missing() -> str:
    """Why no cluster can be started here; nothing if one can."""
    if absent := [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]:
        return f"{', '.join(absent)} not found: apt-get install slurmctld slurmd munge slurm-client"
    if os.geteuid() != 0:
        return "slurmctld and slurmd of a test cluster need root"
    for path in (ETC / "slurm.conf", ETC / "gres.conf"):
        if path.exists() and not path.read_text(errors="replace").startswith(MARK):
            return f"{path} is there: this machine belongs to a cluster already"
    return ""


@contextlib.contextmanager
def running_cluster() -> Iterator["Cluster"]:
    """The cluster, which the first process to come starts and the last to leave stops.

    What a killed test run has left behind, its daemons too, is cleared away by the next one.
    """
    cluster = Cluster()
    names = (STATE.with_suffix(f".{what}") for what in ("turn", "users"))
    turn, users = (name.open("w") for name in names)
    with turn, users:
        with locked(turn):
            if lock_at_once(users):
                cluster.stop()
                cluster.start()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield cluster
        finally:
            with locked(turn):
                if lock_at_once(users):
                    cluster.stop()
                fcntl.flock(users, fcntl.LOCK_UN)


@contextlib.contextmanager
def locked(stream, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    fcntl.flock(stream, how)
    try:
        yield
    finally:
        fcntl.flock(stream, fcntl.LOCK_UN)


def lock_at_once(stream) -> bool:
    """Lock an open file for this process alone; whether nobody else held it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Cluster:
    """The daemons, by what lies in their folder."""

    def start(self) -> None:
        """Start the daemons, and wait until the nodes are idle."""
        for name in ("ctld", *NODES):
            (STATE / name).mkdir(parents=True)
        STATE.chmod(0o755)
        key = STATE / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        ports = free_ports(1 + len(NODES))
        host = socket.gethostname().split(".")[0]
        sizes = {name: {"cores": CORES, "gpus": " Gres=gpu:fake:2"} for name in NODES}
        sizes["six"] = {"cores": SMALL_CORES, "gpus": ""}
        nodes = "\n".join(
            NODE.format(name=name, port=port, host=host, memory=MEMORY, **sizes[name])
            for name, port in zip(NODES, ports[1:], strict=True)
        )
        ETC.mkdir(exist_ok=True)
        (ETC / "slurm.conf").write_text(SLURM_CONF.format(state=STATE, ports=ports, nodes=nodes, host=host))
        (ETC / "gres.conf").write_text(GRES_CONF.format(names=",".join(NODES[:-1])))
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        run_daemon("munged", "--force", *(f"--{name}={STATE}/munge.{end}" for name, end in files.items()))
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: self.node_states() == {"idle"}, 60, f"idle nodes: {self.ask('sinfo', '-N')}")

    def start_controller(self) -> None:
        run_daemon("slurmctld")
        wait_for(lambda: "is UP" in self.ask("scontrol", "ping"), 20, "slurmctld")

    def start_node(self, name: str) -> None:
        run_daemon("slurmd", "-N", name)

    def stop_daemon(self, name: str) -> None:
        """End `munge`, `slurmctld` or a node's slurmd."""
        try:
            pid = int((STATE / f"{name}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            return
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 30, f"{name} to end")

    def crash(self, node: str) -> None:
        """End a node at once, with all that runs on it, and have the controller notice.

        It falls silent first: tasks that end on a node that is up, or are seen to end by its slurmstepd, are a failure
        of the job's own.
        """
        tasks = processes(SLURMD_NODENAME=node)
        pids = [int((STATE / f"{node}.pid").read_text()), *parents(tasks, "slurmstepd"), *tasks]
        send(signal.SIGSTOP, pids)
        self.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        send(signal.SIGKILL, pids)

    def repair(self, node: str) -> None:
        """Bring a node back after its crash."""
        self.start_node(node)
        self.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        wait_for(lambda: self.node_states(node) == {"idle"}, 30, f"{node} to be idle")

    def stop(self) -> None:
        """End all jobs and daemons, and leave the machine as it was."""
        try:
            if STATE.exists() and "is UP" in self.ask("scontrol", "ping"):
                self.ask("scancel", "--user=root")
                wait_for(lambda: not self.ask("squeue", "-h").strip(), 60, "an empty queue")
            for name in (*NODES, "slurmctld", "munge"):
                self.stop_daemon(name)
        finally:
            if (ETC / "slurm.conf").exists() and not missing():
                for name in ("slurm.conf", "gres.conf"):
                    (ETC / name).unlink(missing_ok=True)
            shutil.rmtree(STATE, ignore_errors=True)

    def ask(self, *command: str) -> str:
        """Standard output of one of SLURM's commands."""
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    def node_states(self, *names: str) -> set[str]:
        """As sinfo calls them, of all nodes or some; an asterisk marks those that do not answer."""
        return set(self.ask("sinfo", "-h", "-N", "-n", ",".join(names or NODES), "-o", "%T").split())

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
        path = STATE / "completed.txt"
        return (
            [dict(re.findall(r"(\w+)=(\S*)", line)) for line in path.read_text().splitlines()] if path.exists() else []
        )


def run_daemon(program: str, *arguments: str) -> None:
    """Start a program that puts itself into the background."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")} | {"PATH": PATH}
    with (STATE / f"{program}.out").open("ab") as output:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
        )
    assert done.returncode == 0, (STATE / f"{program}.out").read_text()


def processes(*words: str, **environment: str) -> list[int]:
    """The processes with these words in their command line and these variables in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_text().split("\0")
            variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if set(words) <= set(command) and {f"{name}={value}" for name, value in environment.items()} <= set(variables):
            found.append(int(entry.name))
    return found


def parents(pids: list[int], name: str) -> set[int]:
    """Those of the processes' parents that run a program of this name."""
    found = set()
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid).parent()
            if parent and parent.name() == name:
                found.add(parent.pid)
    return found


def send(number: int, pids: list[int]) -> None:
    """Signal processes; some may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens at."""
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]
