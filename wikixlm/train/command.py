"""Train the masked language model with fairseq-train, until max_update.

A training that was stopped goes on from its last checkpoint when the command is given again. Where data, vocabulary,
languages or settings have changed since, it starts afresh and the old save directory is kept under another name (and
taken up again when everything is changed back); a larger max_update alone goes on.
"""

import argparse
import logging
import os
import shlex
from pathlib import Path

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.model import device, extend
from wikixlm.train import checkpoints, data_folders, fingerprint, metrics, process, sessions, slurm
from wikixlm.train.fairseq import USER_DIR
from wikixlm.train.fairseq import log as record
from wikixlm.train.recipes import RECIPES, Recipe, TrainSettings, parse_settings, settings_as_dict
from wikixlm.train.stop_request import Stopped, StopRequest

# The weights that `init_from` starts with, in the save directory.
START = "init_from.pt"
LOG_LINES = 100
LARGE_BLOCK = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument(
        "--data",
        type=data_folders.folders,
        required=True,
        help="folder of the binarized data, with dict.txt; several, joined by colons, are read one an epoch, in turn",
    )
    parser.add_argument("--languages", nargs="+", required=True, help="their order gives the languages' ids")
    parser.add_argument("--settings", required=True, help="JSON object: the section train of the configuration")
    parser.add_argument("--save-dir", type=Path, required=True, help="fairseq's checkpoints; kept between calls")
    parser.add_argument("--output", type=Path, required=True, help="the finished model, a fairseq checkpoint")
    parser.add_argument("--dataset-impl", choices=["mmap", "lazy"], default="mmap", help="format of the binarized data")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--gpus", type=int, default=1, help="workers per machine: GPUs, or processes on a CPU")
    parser.add_argument("--nodes", type=int, default=1, help="machines, all those of this SLURM job")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads per machine")
    parser.add_argument(
        "--keep-checkpoints", type=int, default=3, help="interval checkpoints kept besides best and last"
    )
    parser.add_argument(
        "--save-interval-updates", type=int, help="updates between checkpoints, instead of the settings'"
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write TensorBoard's files, in SAVE_DIR/tensorboard (metrics.jsonl is always written)",
    )
    parser.add_argument(
        "--stop-after-minutes",
        type=float,
        help="end by then, with a checkpoint and exit status 75: for jobs with a time limit, which go on in the next. "
        "SIGTERM and SIGUSR1 do the same. Leave room for an update, a validation and writing the checkpoint",
    )


def main(args: argparse.Namespace) -> None:
    """Train, or go on training, and write the model; a SLURM job that is asked to end too early is started again."""
    try:
        train_and_export(args)
    except Stopped as stopped:
        slurm.go_on_later(str(stopped))  # which waits, and no longer holds the lock that the next one needs
        raise


def train_and_export(args: argparse.Namespace) -> None:
    """Train, or go on training, and write the model.

    Raises:
        Stopped: it was asked to end early.
        UserError: an argument does not fit, or the training failed or ended early of itself.
    """
    settings = parse_settings(args.settings)
    launcher = process.launcher(args.gpus, args.nodes, args.threads)
    files = data_folders.files(args.data, args.languages, everywhere=settings.recipe == "tutorial")
    chosen = device.choose(args.device, args.gpus)
    say_device(chosen, args.gpus, args.nodes)
    if settings.recipe == "tutorial" and settings.tokens_per_sample > LARGE_BLOCK:
        console.warn(
            f"train.tokens_per_sample {settings.tokens_per_sample} is above {LARGE_BLOCK}: with the tutorial's recipe "
            "it can run out of memory"
        )
    with process.lock(args.save_dir) as handle, stop_request(args.stop_after_minutes) as stop:
        done = take_up(args.save_dir, files, settings, args.languages)
        if done < settings.max_update:
            precision = device.choose_precision(settings.precision, chosen, resumed_precision(args.save_dir))
            arguments = RECIPES[settings.recipe].arguments(settings, args.languages)
            arguments += running_arguments(args, settings)
            arguments += device_arguments(chosen, precision, args.gpus * args.nodes, RECIPES[settings.recipe])
            arguments += start_arguments(args, settings)
            arguments = [data_folders.joined(args.data), *arguments, *settings.extra_args]
            with sessions.session(args.save_dir, arguments, done, chosen.kind == "cuda") as session:
                train(args, settings, [*launcher, "fairseq-train", *arguments], done, handle, stop, session)
        symbols = extend.dictionary_symbols(args.data[0] / "dict.txt")
        best = checkpoints.export(args.save_dir, args.output, symbols, args.languages)
    console.say(f"{args.output}: the checkpoint of update {best.updates:,}, the best in validation")


def stop_request(minutes: float | None) -> StopRequest:
    """What may end this training early: signals, and the clock after `minutes`, else at a SLURM job's time limit."""
    if minutes is None and (left := slurm.minutes_to_work()) is not None:
        return StopRequest(left, "the job's time limit")
    return StopRequest(minutes)


def say_device(chosen: device.Device, workers: int, nodes: int) -> None:
    """Tell the user in the first lines where the training runs."""
    where = "the CPU" if chosen.kind == "cpu" else f"{workers} GPU{'s' if workers > 1 else ''}"
    if nodes > 1:
        where += f" of each of {nodes} nodes"
    console.say(f"training on {where}: {chosen.reason}")


def running_arguments(args: argparse.Namespace, settings: TrainSettings) -> list[str]:
    """fairseq-train's arguments on how far to go, how to read, save and log: none of them changes a weight."""
    interval = args.save_interval_updates or settings.save_interval_updates
    log_interval = max(1, min(LOG_LINES, settings.max_update // LOG_LINES))
    return [
        *["--max-update", str(settings.max_update), "--save-dir", str(args.save_dir)],
        *["--save-interval-updates", str(interval), "--keep-interval-updates", str(args.keep_checkpoints)],
        *["--dataset-impl", args.dataset_impl, "--log-format", "json", "--log-interval", str(log_interval)],
    ]


def device_arguments(chosen: device.Device, precision: str, workers: int, recipe: Recipe) -> list[str]:
    """fairseq-train's arguments on where to compute. Untold, fairseq takes every GPU that it sees."""
    arguments = ["--distributed-world-size", str(workers)]
    if workers > 1:
        # Else the first worker sends the others its configuration, which torch's protection at loading refuses.
        arguments.append("--load-checkpoint-on-all-dp-ranks")
    if chosen.kind == "cpu":
        arguments += ["--cpu", "--distributed-backend", "gloo", *recipe.on_cpu]
    else:
        arguments += recipe.on_gpu
    return arguments if precision == "fp32" else [*arguments, f"--{precision}"]


def start_arguments(args: argparse.Namespace, settings: TrainSettings) -> list[str]:
    """fairseq-train's arguments for `init_from`: a checkpoint with this training's rows, read where there is no other.

    Raises:
        UserError: the model can't be read, or has symbols or languages that are not here.
    """
    if settings.init_from is None:
        return []
    start = args.save_dir / START
    positions = extend.prepare(
        Path(settings.init_from), args.data[0] / "dict.txt", args.languages, start, settings.seed
    )
    return ["--finetune-from-model", str(start), "--max-positions", str(positions)]


def take_up(save_dir: Path, files: dict[str, Path], settings: TrainSettings, languages: list[str]) -> int:
    """Make `save_dir` the one of this training, and give the updates that it has behind it.

    Raises:
        UserError: it is beyond max_update already.
    """
    shape = settings_as_dict(settings)
    if model := shape.pop("init_from"):
        files = {**files, Path(model).name: Path(model)}
    # Where the extension lies changes no weight: a checkout may be moved.
    arguments = [
        USER_DIR.name if word == str(USER_DIR) else word
        for word in RECIPES[settings.recipe].arguments(settings, languages)
    ]
    earlier = fingerprint.read(save_dir)
    now = fingerprint.record(files, shape, arguments, earlier)
    if earlier is not None and fingerprint.differences(earlier, now):
        set_aside(save_dir, earlier, now)
    elif earlier is None and any(save_dir.glob("checkpoint*.pt")):
        set_aside(save_dir, None, now)
    save_dir.mkdir(parents=True, exist_ok=True)
    fingerprint.write(save_dir, now)
    done = checkpoints.prepare_resume(save_dir)
    if done > settings.max_update:
        raise UserError(
            f"{save_dir} is at update {done} already, beyond train.max_update {settings.max_update}: set it to {done} "
            f"or more, or move {save_dir} away to train from the start"
        )
    if done:
        console.say(f"going on from update {done:,} of {settings.max_update:,}")
    return done


def set_aside(save_dir: Path, earlier: fingerprint.Record | None, now: fingerprint.Record) -> None:
    """Rename the save directory of another training, and bring back this one's if it was set aside before."""
    name = fingerprint.digest(earlier) if earlier else "unknown"
    reason = f"changed: {', '.join(fingerprint.differences(earlier, now))}" if earlier else "it has no fingerprint"
    kept = save_dir.with_name(f"{save_dir.name}.{name}")
    number = 1
    while kept.exists():
        number += 1
        kept = save_dir.with_name(f"{save_dir.name}.{name}-{number}")
    save_dir.rename(kept)
    back = save_dir.with_name(f"{save_dir.name}.{fingerprint.digest(now)}")
    if back.is_dir() and back != kept:
        back.rename(save_dir)
        outcome = f"taking up {back}, which is of the present ones"
    else:
        outcome = "training starts from update 0"
    console.warn(f"{save_dir} is of other data or settings ({reason}); kept as {kept}; {outcome}")


def resumed_precision(save_dir: Path) -> str | None:
    """The number format that the last checkpoint was trained in; None without a checkpoint."""
    last = save_dir / checkpoints.LAST
    if not last.exists():
        return None
    common = checkpoints.load(last)["cfg"]["common"]
    return next((name for name in ("fp16", "bf16") if common[name]), "fp32")


def train(
    args: argparse.Namespace,
    settings: TrainSettings,
    command: list[str],
    done: int,
    lock_handle: int,
    stop: StopRequest,
    session: sessions.Session,
) -> None:
    """Run fairseq-train, and make sure that it reached its goal; tell the session how far it came.

    Raises:
        Stopped: it was asked to end early.
        UserError: it failed, or ended early of itself.
    """
    logging.info(shlex.join(command[command.index("fairseq-train") :]))
    threads = max(1, args.threads // args.gpus)
    recipe = RECIPES[settings.recipe]
    path = args.save_dir / metrics.METRICS
    scale = metrics.Scale(recipe.loss_base, recipe.tokens_per_logged, metrics.take_up(path, done))
    log = metrics.Log(scale, readers(args, settings, done))
    outcome = process.run(command, threads, lock_handle, record.environment(path, scale), log, stop)
    reached = session["to_update"] = checkpoints.prepare_resume(args.save_dir)
    if reached >= settings.max_update:
        return
    if outcome.stopped:
        by = stop.reason or "a signal to its processes"
        where = f"training stopped at update {reached} of {settings.max_update} by {by}"
        raise Stopped(f"{where}; checkpoint saved, the same command goes on from there")
    reason = outcome.reason or "the log says why"
    raise UserError(f"training stopped at update {reached} of {settings.max_update}: {reason}")


def readers(args: argparse.Namespace, settings: TrainSettings, done: int) -> list[metrics.Reader]:
    """What fairseq's log is shown on: the terminal, and TensorBoard where asked for.

    Raises:
        UserError: TensorBoard is asked for and not installed.
    """
    found: list[metrics.Reader] = [metrics.Terminal(settings.max_update)]
    if args.tensorboard:
        found.append(metrics.TensorBoard(args.save_dir / "tensorboard", done))
    return found
