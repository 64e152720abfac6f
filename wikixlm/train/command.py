"""Train the masked language model with fairseq-train, until max_update.

A training that was stopped resumes from its last checkpoint when the command is given again. Where data, vocabulary,
languages or settings have changed since, it starts afresh and the old save directory is archived under another name
(and restored when everything is changed back); after a larger max_update alone it resumes.
"""

import argparse
import logging
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from wikixlm import console
from wikixlm.config import parse_train_settings, read_defaults
from wikixlm.config.training import TrainSettings
from wikixlm.errors import UserError
from wikixlm.model import device, extend, xlm
from wikixlm.model.checkpoint import TrainedModel, read_model
from wikixlm.train import batch_layout, checkpoints, data_folders, metrics, process, rates, sessions, slurm
from wikixlm.train.batch_layout import BatchLayout
from wikixlm.train.fairseq import log as trainer_log
from wikixlm.train.recipes import RECIPES, Recipe, layout_arguments
from wikixlm.train.save_dir import Opened, lock, open_save_dir
from wikixlm.train.stop_request import Stopped, StopRequest

# In the save directory: the weights of `init_from`, with the rows of this training's symbols and languages.
INITIAL_WEIGHTS = "init_from.pt"
LOG_LINES = 100
LARGE_BLOCK = 256


@dataclass(frozen=True)
class TrainingRun:
    """One call of `wikixlm train`.

    Attributes:
        data: folders of the binarized data, the first with the held-out text.
        languages: their order gives their ids.
        settings: what shapes the weights, and how far to train.
        save_dir: fairseq's checkpoints.
        output: the finished model.
        dataset_impl: format of the binarized data, `mmap` or `lazy`.
        device: `auto`, `cpu` or `cuda`.
        gpus, nodes: workers per machine, and machines.
        threads: CPU threads per machine.
        keep_checkpoints: interval checkpoints kept besides best and last.
        tensorboard: also write TensorBoard's files.
        stop_after_minutes: when to save and stop; None: at the time limit of a SLURM job.
    """

    data: list[Path]
    languages: list[str]
    settings: TrainSettings
    save_dir: Path
    output: Path
    dataset_impl: str
    device: str
    gpus: int
    nodes: int
    threads: int
    keep_checkpoints: int
    tensorboard: bool
    stop_after_minutes: float | None

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.settings.recipe]

    @property
    def workers(self) -> int:
        """Over all nodes."""
        return self.gpus * self.nodes

    @property
    def metrics_file(self) -> Path:
        return self.save_dir / metrics.METRICS

    def stop_request(self) -> StopRequest:
        """What may end this training early: signals, and the clock."""
        if self.stop_after_minutes is None and (left := slurm.minutes_until_stop()) is not None:
            return StopRequest(left, "the job's time limit")
        return StopRequest(self.stop_after_minutes)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = read_defaults()["train"]
    parser.add_argument(
        "--data",
        type=data_folders.parse_folders,
        required=True,
        help="folder of the binarized data, with dict.txt; several, joined by colons, take turns, an epoch each",
    )
    parser.add_argument("--languages", nargs="+", required=True, help="their order gives the languages' ids")
    parser.add_argument(
        "--settings",
        required=True,
        help="JSON object: keys of the configuration's section train; the others have the defaults of config.yaml",
    )
    parser.add_argument("--save-dir", type=Path, required=True, help="fairseq's checkpoints; kept between calls")
    parser.add_argument("--output", type=Path, required=True, help="the finished model, a fairseq checkpoint")
    parser.add_argument("--dataset-impl", choices=["mmap", "lazy"], default="mmap", help="format of the binarized data")
    parser.add_argument(
        "--device", choices=device.CHOICES, default=defaults["device"], help="auto: a GPU where there is one"
    )
    parser.add_argument(
        "--gpus", type=int, default=defaults["gpus"], help="workers per machine: GPUs, or processes on a CPU"
    )
    parser.add_argument("--nodes", type=int, default=defaults["nodes"], help="machines, all those of this SLURM job")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads per machine")
    parser.add_argument(
        "--keep-checkpoints",
        type=int,
        default=defaults["keep_checkpoints"],
        help="interval checkpoints kept besides best and last",
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
        help="end by then, with a checkpoint and exit status 75: for jobs with a time limit, which resume in the next. "
        "SIGTERM and SIGUSR1 do the same. Leave room for an update, a validation and writing the checkpoint",
    )


def main(args: argparse.Namespace) -> None:
    """Train to the end, or until asked to stop; then a SLURM job is requeued."""
    settings = parse_train_settings(args.settings)
    if args.save_interval_updates:
        settings = settings.model_copy(update={"save_interval_updates": args.save_interval_updates})
    run = TrainingRun(
        data=args.data,
        languages=args.languages,
        settings=settings,
        save_dir=args.save_dir,
        output=args.output,
        dataset_impl=args.dataset_impl,
        device=args.device,
        gpus=args.gpus,
        nodes=args.nodes,
        threads=args.threads,
        keep_checkpoints=args.keep_checkpoints,
        tensorboard=args.tensorboard,
        stop_after_minutes=args.stop_after_minutes,
    )
    try:
        train_and_export(run)
    except Stopped as stopped:
        slurm.requeue_job(str(stopped))  # which waits, and no longer holds the lock that the next one needs
        raise


def train_and_export(run: TrainingRun) -> None:
    """Train, or resume training, and write the model.

    Raises:
        Stopped: it was asked to end early.
        UserError: an argument does not fit, or the training failed or ended early of itself.
    """
    settings = run.settings
    launcher = process.launcher(run.gpus, run.nodes, run.threads)
    files = data_folders.files(run.data, run.languages, everywhere=settings.recipe == "tutorial")
    chosen = device.choose(run.device, run.gpus)
    report_device(chosen, run.gpus, run.nodes)
    if settings.recipe == "tutorial" and settings.tokens_per_sample > LARGE_BLOCK:
        console.warn(
            f"train.tokens_per_sample {settings.tokens_per_sample} is above {LARGE_BLOCK}: with the tutorial's recipe "
            "it can run out of memory"
        )
    with lock(run.save_dir) as handle, run.stop_request() as stop:
        symbols = extend.dictionary_symbols(run.data[0] / "dict.txt")
        opened = open_save_dir(run.save_dir, files, settings, run.languages, run.workers)
        if opened.done < settings.max_update:
            fitting = batch_layout.tokens_that_fit(settings, len(symbols), chosen)
            layout = batch_layout.layout(settings, opened.tokens_per_update, run.workers, fitting)
            report_batch(run, opened.tokens_per_update, layout)
            report_rates(settings, opened)
            arguments = fairseq_arguments(run, chosen, layout, opened)
            with sessions.record_session(run.save_dir, arguments, opened.done, chosen, run.gpus, run.nodes) as session:
                train(run, [*launcher, "fairseq-train", *arguments], opened.done, handle, stop, session)
        best = checkpoints.export_model(run.save_dir, run.output, symbols, run.languages)
    console.say(f"{run.output}: the checkpoint of update {best.updates:,}, the best in validation")


def report_device(chosen: device.Device, gpus: int, nodes: int) -> None:
    """Report in the first lines where the training runs."""
    where = "the CPU" if chosen.kind == "cpu" else f"{gpus} GPU{'s' if gpus > 1 else ''}"
    if nodes > 1:
        where += f" of each of {nodes} nodes"
    console.say(f"training on {where}: {chosen.reason}")


def report_batch(run: TrainingRun, tokens_per_update: int, layout: BatchLayout) -> None:
    """Log the layout of an update; report it where it is not the one of the settings."""
    line = f"an update is {tokens_per_update:,} tokens: {layout.update_freq} x {layout.max_tokens:,} on each of "
    line += f"{run.workers} workers"
    if tokens_per_update != run.settings.tokens_per_update(run.workers):
        console.say(f"{line}; the batch stays as it was when this training began")
    else:
        logging.info(line)


def report_rates(settings: TrainSettings, opened: Opened) -> None:
    """Warn of a rate that was likely meant for the other optimizer."""
    rule = rates.far_off(settings, opened.tokens_per_update)
    if rule is not None:
        console.warn(
            f"train.lr {settings.lr} is far from the {rule:.2g} that suits train.optimizer: {settings.optimizer} here; "
            "lr: auto takes that, and AdamW's rates are much lower than Muon's"
        )


def fairseq_arguments(run: TrainingRun, chosen: device.Device, layout: BatchLayout, opened: Opened) -> list[str]:
    """fairseq-train's whole command line; `extra_args` are last, so they win.

    Raises:
        UserError: `init_from` or the precision does not fit.
    """
    precision = device.choose_precision(run.settings.precision, chosen, resumed_precision(run.save_dir))
    return [
        data_folders.joined(run.data),
        *run.recipe.arguments(run.settings, run.languages),
        *layout_arguments(run.settings, layout, opened.warmup_updates, opened.rates),
        *running_arguments(run),
        *device_arguments(chosen, precision, run.workers, run.recipe),
        *init_arguments(run),
        *run.settings.extra_args,
    ]


def running_arguments(run: TrainingRun) -> list[str]:
    """fairseq-train's arguments on how far to train, how to read, save and log: none of them changes a weight."""
    settings = run.settings
    log_interval = max(1, min(LOG_LINES, settings.max_update // LOG_LINES))
    return [
        *["--max-update", str(settings.max_update), "--save-dir", str(run.save_dir)],
        *["--save-interval-updates", str(settings.save_interval_updates)],
        *["--keep-interval-updates", str(run.keep_checkpoints)],
        *["--dataset-impl", run.dataset_impl, "--log-format", "json", "--log-interval", str(log_interval)],
    ]


def device_arguments(chosen: device.Device, precision: str, workers: int, recipe: Recipe) -> list[str]:
    """fairseq-train's arguments on where to compute. By default fairseq uses every GPU that it sees."""
    arguments = ["--distributed-world-size", str(workers)]
    if workers > 1:
        # Else the first worker sends the others its configuration, which torch's protection at loading refuses.
        arguments.append("--load-checkpoint-on-all-dp-ranks")
    if chosen.kind == "cpu":
        arguments += ["--cpu", "--distributed-backend", "gloo", *recipe.on_cpu]
    else:
        arguments += recipe.on_gpu
    return arguments if precision == "fp32" else [*arguments, f"--{precision}"]


def init_arguments(run: TrainingRun) -> list[str]:
    """fairseq-train's arguments for `init_from`: a checkpoint with this training's rows, read where there is no other.

    Raises:
        UserError: the model can't be read, or has symbols or languages that are not here.
    """
    settings = run.settings
    if settings.init_from is None:
        return []
    path, weights = Path(settings.init_from), run.save_dir / INITIAL_WEIGHTS
    model = xlm.read(path)
    if model is None:
        model = read_model(path)
    else:
        difference = xlm.head_difference(model)
        console.say(f"{path} is XLM's; its states pass BERT's transform with a relative difference of {difference:.2%}")
    refuse_other_dimensions(model, settings)
    extend.write_start_checkpoint(model, run.data[0] / "dict.txt", run.languages, weights, settings.seed)
    arguments = ["--finetune-from-model", str(weights), "--max-positions", str(model.config.max_positions)]
    # fairseq's own class has no such option, and fairseq's eps always
    return arguments if settings.recipe == "tutorial" else [*arguments, "--norm-eps", str(model.config.norm_eps)]


def refuse_other_dimensions(model: TrainedModel, settings: TrainSettings) -> None:
    """Raise a UserError, with the keys to set, where a model to start from has another size than the settings say."""
    config, size = model.config, settings.dimensions
    pairs = {
        "encoder_layers": (config.num_layers, size.num_layers),
        "encoder_embed_dim": (config.embed_dim, size.embed_dim),
        "encoder_ffn_embed_dim": (config.ffn_dim, size.ffn_dim),
        "encoder_attention_heads": (config.num_heads or size.num_heads, size.num_heads),
        "encoder_normalize_before": (config.embedding_norm, settings.fits_transformers()),
    }
    if differing := {key: str(its).lower() for key, (its, ours) in pairs.items() if its != ours}:
        keys = ", ".join(f"{key}: {value}" for key, value in differing.items())
        raise UserError(f"train.init_from: {model.path} has another size; set train: {{{keys}}}")


def resumed_precision(save_dir: Path) -> str | None:
    """The number format that the last checkpoint was trained in; None without a checkpoint."""
    last = save_dir / checkpoints.LAST
    if not last.exists():
        return None
    from wikixlm.model.checkpoint import options

    common = options(checkpoints.load(last), "common")
    return next((name for name in ("fp16", "bf16") if common.get(name) is True), "fp32")


def train(
    run: TrainingRun, command: list[str], done: int, lock_handle: int, stop: StopRequest, session: sessions.Session
) -> None:
    """Run fairseq-train, and make sure that it reached its goal.

    Args:
        run: the call.
        command: fairseq-train's command line, with what launches it.
        done: updates made before.
        lock_handle: what `lock` gave.
        stop: what may ask it to end early.
        session: gets `to_update`, the updates made by the end.

    Raises:
        Stopped: it was asked to end early.
        UserError: it failed, or ended early of itself.
    """
    logging.info(shlex.join(command[command.index("fairseq-train") :]))
    goal = run.settings.max_update
    seconds_before = metrics.drop_rows_after(run.metrics_file, done)
    scale = metrics.LogScale(run.recipe.loss_base, run.recipe.tokens_per_logged, seconds_before)
    outcome = process.run(
        command,
        threads=max(1, run.threads // run.gpus),
        lock_handle=lock_handle,
        variables=trainer_log.environment(run.metrics_file, scale),
        log=metrics.LogParser(scale, sinks(run, done)),
        stop=stop,
    )
    reached = session["to_update"] = checkpoints.prepare_resume(run.save_dir)
    if reached >= goal:
        return
    if outcome.stopped:
        by = stop.reason or "a signal to its processes"
        where = f"training stopped at update {reached} of {goal} by {by}"
        raise Stopped(f"{where}; checkpoint saved, the same command resumes from there")
    reason = outcome.reason or "the log says why"
    raise UserError(f"training stopped at update {reached} of {goal}: {reason}")


def sinks(run: TrainingRun, done: int) -> list[metrics.Sink]:
    """Where the rows of fairseq's log go: the terminal, and TensorBoard where asked for.

    Raises:
        UserError: TensorBoard is asked for and not installed.
    """
    found: list[metrics.Sink] = [metrics.Terminal(run.settings.max_update)]
    if run.tensorboard:
        found.append(metrics.TensorBoard(run.save_dir / "tensorboard", done))
    return found
