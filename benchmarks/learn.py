"""Held-out perplexity against updates: the tutorial's recipe and ours, beside the unigram baseline.

    make demo                                   # makes the data
    python benchmarks/learn.py --updates 3000 --seeds 0 1 2
    python benchmarks/learn.py --variants ours --also 'mask15=--mask-ratio 0.15' 'lr1=--lr 1e-3'

Same model, data, batch size and number of updates for every variant; each run is a process of its own. What is
measured is the same for all, too: the validation text, every block once, 15 % masked, the masks fixed. The tutorial's
rate of 1e-4 is for a model of xlm_base's size and far too low for this one, so its recipe also runs at 1e-3. `--also`
adds variants of ours with other options of fairseq-train, to measure a lever. Writes a table, the curves (JSON) and a
plot. A finished run is kept in --runs and not repeated while its options and our code stay, so a benchmark that was
stopped goes on.

    python benchmarks/learn.py --widths 128 256 512 --depths 2 6 --rates 0.5 1 2 --updates 200 --languages en bg

trains both optimizers at each size at the rule's rates (wikixlm/train/rates.py) times each of --rates.
"""

import argparse
import hashlib
import itertools
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RESULT = "RESULT "
# name -> options of fairseq-train beside the recipe's own
VARIANTS = {"tutorial": "", "tutorial-1e-3": "--lr 1e-3", "ours": ""}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    data = ROOT / "runs" / "demo" / "monolingual_data" / "fairseq_processed"
    parser.add_argument("--data", type=Path, default=data, help="binarized data (default: the demo's)")
    parser.add_argument("--languages", nargs="+", default=["en"], help="mixed in each update; the figures: the first's")
    parser.add_argument("--updates", type=int, default=3_000)
    parser.add_argument("--every", type=int, default=250, help="updates between two measurements")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME=OPTIONS", help="ours with other options")
    parser.add_argument("--widths", type=int, nargs="+", default=[], help="a sweep, over widths,")
    parser.add_argument("--depths", type=int, nargs="+", default=[2], help="numbers of layers,")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 1, 2], help="times the rule's rates,")
    parser.add_argument("--batches", type=int, nargs="+", default=[2_048], help="tokens of an update,")
    parser.add_argument("--optimizers", nargs="+", default=["muon", "adamw"], help="and optimizers")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--tokens-per-sample", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=2_048)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "learn", help="where finished runs are kept")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "learn")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--options", default="", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)


# --- the parent -----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    args = parser.parse_args()
    if args.child:
        print(RESULT + json.dumps(run_child(args)))
        return
    if not (args.data / "dict.txt").exists():
        parser.error(f"{args.data} has no binarized data; run `make demo` first or give --data")
    if args.widths:
        sweep(args)
        return
    recipes = {name: VARIANTS[name] for name in args.variants}
    for also in args.also:
        name, separator, options = also.partition("=")
        if not separator:
            parser.error(f"--also {also!r}: expected NAME=OPTIONS")
        recipes[name] = options
    runs = [{"variant": name, "seed": seed, "options": recipes[name], **run(args, name, recipes[name], seed)}
            for seed in args.seeds for name in recipes]  # fmt: skip
    report(runs, list(recipes), args)


def sweep(args: argparse.Namespace) -> None:
    """Our recipe at each size, batch, optimizer and rate; the results so far are written after each run."""
    runs: list[dict[str, Any]] = []
    sizes = [(width, depth, batch) for width in args.widths for depth in args.depths for batch in args.batches]
    for width, depth, batch in sizes:
        heads = max(args.heads, width // 64)
        changes = {"width": width, "layers": depth, "heads": heads, "max_tokens": batch}
        size = argparse.Namespace(**{**vars(args), **changes})
        for optimizer, rate, seed in itertools.product(args.optimizers, args.rates, args.seeds):
            options = rule_options(optimizer, width, batch, rate)
            name = f"{optimizer} x{rate:g}, {width} x {depth}, {batch}"
            measured = run(size, name.replace(" ", "_"), options, seed)
            runs.append({"variant": name, "optimizer": optimizer, "rate": rate, "seed": seed, **changes, **measured})
            args.output.with_suffix(".json").write_text(
                json.dumps({"unigram": measured["unigram"], "runs": runs}, indent=1)
            )
    report_sweep(runs, args)


def rule_options(optimizer: str, width: int, batch: int, rate: float) -> str:
    """Options of fairseq-train for an optimizer at the rule's rates times `rate`."""
    from wikixlm.config import parse_train_settings
    from wikixlm.train.rates import peak_rates

    settings = parse_train_settings(json.dumps({"optimizer": optimizer, "lr": "auto", "encoder_embed_dim": width}))
    lr, embedding_lr = (rate * (one or 0) for one in peak_rates(settings, batch))
    return f"--optimizer wikixlm_{optimizer} --lr {lr:.6g} --embedding-lr {embedding_lr:.6g} --hidden-gain 0.2263"


def write_runs(runs: list[dict[str, Any]], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".json").write_text(json.dumps({"unigram": runs[0]["unigram"], "runs": runs}, indent=1))


def report_sweep(runs: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """A table with a row for each size and a column for each optimizer and rate, and a plot."""
    columns = list(dict.fromkeys((one["optimizer"], one["rate"]) for one in runs))
    print(f"\ncommand: {' '.join(['python', *sys.argv])}\nunigram baseline: {runs[0]['unigram']:.1f}\n")
    print("| width | layers | tokens | updates | " + " | ".join(f"{name} x{rate:g}" for name, rate in columns) + " |")
    print("| ---: " * (4 + len(columns)) + "|")
    for size in dict.fromkeys((one["width"], one["layers"], one["max_tokens"]) for one in runs):
        of_size = [one for one in runs if (one["width"], one["layers"], one["max_tokens"]) == size]
        for place, (update, _) in enumerate(of_size[0]["curve"]):
            values = [[one["curve"][place][1] for one in of_size if (one["optimizer"], one["rate"]) == column]
                      for column in columns]  # fmt: skip
            cells = [*map(str, (*size, update)), *(f"{mean(each):.0f}" if each else "" for each in values)]
            print(f"| {' | '.join(cells)} |")
    curves = {one["variant"]: [other for other in runs if other["variant"] == one["variant"]] for one in runs}
    plot(curves, runs[0]["unigram"], args.output.with_suffix(".png"))


def run(args: argparse.Namespace, variant: str, options: str, seed: int) -> dict[str, Any]:
    kept = ("data", "updates", "every", "width", "layers", "heads", "tokens_per_sample", "max_tokens",
            "dropout", "device", "precision")  # fmt: skip
    recipe = "tutorial" if variant.startswith("tutorial") else "ours"
    settings = ["--child", recipe, f"--options={options}", "--seed", str(seed), "--languages", *args.languages]
    for name in kept:
        settings += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    # our recipe changes with its code, the tutorial's only with its options
    identity = " ".join([*settings, *(code() if recipe == "ours" else [])])
    path = args.runs / f"{variant}-{seed}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.json"
    if path.exists():
        earlier: dict[str, Any] = json.loads(path.read_text())
        return earlier
    command = [sys.executable, __file__, *settings]
    print(f"running {variant}, seed {seed} …", file=sys.stderr, flush=True)
    environment = {**os.environ, "LOGLEVEL": "WARNING", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if done.returncode or not lines:
        sys.exit(done.stdout[-2000:] + f"\n{variant}, seed {seed} failed")
    result: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    args.runs.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return result


def code() -> list[str]:
    """Every module of our recipe."""
    return [
        path.read_text()
        for path in sorted(path for room in ("model", "train") for path in (ROOT / "wikixlm" / room).rglob("*.py"))
    ]


def report(runs: list[dict[str, Any]], variants: list[str], args: argparse.Namespace) -> None:
    unigram = runs[0]["unigram"]
    print(f"\ncommand: {' '.join(['python', *sys.argv])}\nunigram baseline: {unigram:.1f}; means over the seeds\n")
    curves = {variant: [one for one in runs if one["variant"] == variant] for variant in variants}
    print("| updates | " + " | ".join(variants) + " |\n| ---: |" + " ---: |" * len(variants))
    for place, (update, _) in enumerate(runs[0]["curve"]):
        cells = [f"{mean([one['curve'][place][1] for one in curves[variant]]):.1f}" for variant in variants]
        print(f"| {update} | " + " | ".join(cells) + " |")
    for share in (0.7, 0.5, 1 / 3):
        cells = [
            ", ".join(str(first_below(one["curve"], share * unigram) or "never") for one in curves[variant])
            for variant in variants
        ]
        print(f"| first below {share:.2f} x unigram | " + " | ".join(cells) + " |")
    seconds = [f"{mean([one['seconds'] for one in curves[variant]]):.0f}" for variant in variants]
    print("| CPU seconds of training | " + " | ".join(seconds) + " |")
    write_runs(runs, args.output)
    plot(curves, unigram, args.output.with_suffix(".png"))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def first_below(curve: list[tuple[int, float]], limit: float) -> int | None:
    return next((update for update, value in curve if value < limit), None)


def plot(curves: dict[str, list[dict[str, Any]]], unigram: float, path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed", file=sys.stderr)
        return
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, (variant, runs) in enumerate(curves.items()):
        for seed, one in enumerate(runs):
            updates, values = zip(*one["curve"], strict=True)
            axes.plot(updates, values, color=f"C{number}", alpha=0.8, label=variant if seed == 0 else None)
    axes.axhline(unigram, color="black", linestyle="--", label="unigram")
    axes.set(xlabel="updates", ylabel="held-out perplexity", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=150)
    print(f"\nplot: {path}")


# --- a child: one run -----------------------------------------------------------------------------------------------


def fairseq_arguments(args: argparse.Namespace, folder: str, cuda: bool) -> list[str]:
    common = f"""
        --monolingual-langs {",".join(args.languages)} --tokens-per-sample {args.tokens_per_sample}
        --max-tokens {args.max_tokens} --encoder-embed-dim {args.width} --encoder-ffn-embed-dim {4 * args.width}
        --encoder-layers {args.layers} --encoder-attention-heads {args.heads} --encoder-normalize-before
        --dropout {args.dropout} --attention-dropout {args.dropout} --max-update {args.updates} --seed {args.seed}
        --log-format none --no-save --save-dir {folder} {"" if cuda else "--cpu"}
        {"" if args.precision == "fp32" else f"--{args.precision}"}
    """.split()
    if args.child == "tutorial":
        recipe = shlex.split(f"""
            --task cross_lingual_lm --arch xlm_base --num-segment {len(args.languages)} --masked-lm-only
            --criterion legacy_masked_lm_loss --optimizer adam --lr-scheduler reduce_lr_on_plateau --lr-shrink 0.5
            --lr 0.0001 --stop-min-lr 1e-09 --ddp-backend legacy_ddp
        """)
    else:
        from wikixlm.config import read_defaults
        from wikixlm.train.fairseq import USER_DIR

        recipe = ["--user-dir", str(USER_DIR)]
        for key in ("position_scale", "attention_gain", "neighbour_logit"):
            recipe += [f"--{key.replace('_', '-')}", str(read_defaults()["train"][key])]
        recipe += f"""
            --task wikixlm_mlm --arch wikixlm_base --criterion wikixlm_masked_lm --disable-validation --num-workers 0
            --optimizer wikixlm_adamw --lr-scheduler wikixlm_warmup --warmup-updates {min(500, args.updates // 10)}
            --lr 2e-3 --clip-norm 1
        """.split()
    # a lever's option comes last and so wins
    return ["fairseq-train", str(args.data), *common, *recipe, *shlex.split(args.options)]


def run_child(args: argparse.Namespace) -> dict[str, Any]:
    from wikixlm.train.fairseq import compat

    compat.apply()
    import torch
    from fairseq.trainer import Trainer
    from fairseq_cli import train

    cuda = args.device == "cuda" or (args.device == "auto" and torch.cuda.is_available())
    held_out = HeldOut(args)
    curve: list[tuple[int, float]] = []
    measuring = 0.0
    step = Trainer.train_step

    def measured(self: Any, samples: list[Any], raise_oom: bool = False) -> Any:
        nonlocal measuring
        outcome = step(self, samples, raise_oom)
        update = self.get_num_updates()
        if update % args.every == 0 or update == args.updates:
            start = time.process_time()
            curve.append((update, held_out.perplexity(self.get_model(), self.device)))
            print(f"update {update}: {curve[-1][1]:.1f}", file=sys.stderr, flush=True)
            measuring += time.process_time() - start
        return outcome

    Trainer.train_step = measured
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = fairseq_arguments(args, folder, cuda)
        train.cli_main()
    if not curve or curve[-1][0] != args.updates:
        raise SystemExit(f"the training stopped after {curve[-1][0] if curve else 0} of {args.updates} updates")
    return {"curve": curve, "unigram": held_out.unigram(), "seconds": time.process_time() - start - measuring}


class HeldOut:
    """The language's validation text, masked once and for all."""

    def __init__(self, args: argparse.Namespace) -> None:
        import numpy as np

        from wikixlm.binarize.indexed_format import split_prefix
        from wikixlm.model.batches import Symbols, held_out_batch
        from wikixlm.model.blocks import Blocks
        from wikixlm.model.extend import dictionary_symbols
        from wikixlm.model.masking import Masking

        self.vocabulary = len(dictionary_symbols(args.data / "dict.txt"))
        length = args.tokens_per_sample - 1
        self.train = Blocks(split_prefix(args.data, "train", args.languages[0]), length)
        blocks = Blocks(split_prefix(args.data, "valid", args.languages[0]), length)
        masking = Masking(mask_id=4, first_id=5, last_id=self.vocabulary)
        parts = np.array_split(np.arange(len(blocks)), -(-len(blocks) // 32))
        self.batches = [held_out_batch(blocks, part, 0, masking, 0, Symbols(pad=1, eos=2)) for part in parts]

    def perplexity(self, model: Any, device: Any) -> float:
        import torch
        from fairseq import utils
        from torch.nn import functional

        loss = tokens = 0.0
        model.eval()
        with torch.no_grad():
            for batch in self.batches:
                moved = utils.move_to_cuda(batch, device) if device.type == "cuda" else batch
                logits, _ = model(**moved["net_input"])
                loss += functional.cross_entropy(logits.float(), moved["target"], reduction="sum").item()
                tokens += batch["ntargets"]
        model.train()
        return math.exp(loss / tokens)

    def unigram(self) -> float:
        """Perplexity of the training text's unigrams, add-one smoothed, on the same masked tokens."""
        import numpy as np

        counts = np.ones(self.vocabulary)
        for start in range(0, len(self.train), 1_000):
            tokens, _ = self.train.read(np.arange(start, min(start + 1_000, len(self.train))), pad=1)
            counts += np.bincount(tokens[tokens != 1], minlength=self.vocabulary)
        target = np.concatenate([batch["target"].numpy() for batch in self.batches])
        return float(np.exp(-np.log(counts[target] / counts.sum()).mean()))


if __name__ == "__main__":
    main()
