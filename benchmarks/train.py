"""Time training: the tutorial's recipe, ours, and transformers' BertForMaskedLM, side by side.

    python benchmarks/train.py --dims xlm_base --updates 6
    python benchmarks/train.py --dims small --updates 60 --variants stock ours
    python benchmarks/train.py --dims xlm_base --max-tokens 32768 --warmup 10 --variants stock ours ours-compiled hf

Every variant is a fresh process on the same machine, the same synthetic text (Zipf-distributed ids), the same batches'
size and dropout. The first `--warmup` updates are not timed. Columns: all tokens per second (not only masked ones);
peak memory (of the GPU, or the process's resident set on a CPU); model FLOPs utilisation where the device's peak is
known, counting the work the loss needs: of the masked tokens only the last layer's states and the logits, whoever
computes more.
"""

import argparse
import json
import platform
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from wikixlm.config.dimensions import XLM_BASE  # noqa: E402

# width, feed-forward width, heads, layers; symbols
DIMS = {
    "tiny": (64, 128, 2, 2),
    "small": (128, 512, 4, 2),
    "xlm_base": tuple(XLM_BASE),
    "xlm15": (1024, 4096, 8, 12),
    "xlm17": (1280, 5120, 16, 16),
}
VOCABULARIES = {"xlm_base": 60_000, "xlm15": 95_000, "xlm17": 200_000}
# dense bf16 FLOP/s, from the vendors' data sheets
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
VARIANTS = {
    "stock": "fairseq 0.12.2, the tutorial's recipe",
    "ours": "fairseq 0.12.2, the wikixlm recipe",
    "hf": "transformers BertForMaskedLM",
    "ours512": "ours, twice the tokens per sample",
    "ours-compiled": "ours, train.compile: true",
    "hf-compiled": "transformers BertForMaskedLM, compiled",
}
USUAL = ["stock", "ours", "hf", "ours512"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dims", choices=DIMS, default="small")
    parser.add_argument("--vocabulary", type=int, help="symbols (default: the dimensions', else 2000)")
    parser.add_argument("--tokens-per-sample", type=int, default=256)
    parser.add_argument("--max-tokens", type=int, default=2048, help="tokens of a batch")
    parser.add_argument("--mask-ratio", type=float, default=0.15, help="the tutorial's can't be changed: 0.15")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--updates", type=int, default=20, help="timed updates")
    parser.add_argument("--warmup", type=int, default=3, help="updates before the clock starts")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=USUAL)
    parser.add_argument("--output", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)


# --- the parent: data, one process a variant, the table -------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    args = parser.parse_args()
    args.vocabulary = args.vocabulary or VOCABULARIES.get(args.dims, 2_000)
    if args.child:
        print("RESULT " + json.dumps(run_child(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {variant: measure(variant, args, Path(folder)) for variant in args.variants}
    report(results, args)


def write_data(folder: Path, vocabulary: int, tokens: int) -> None:
    """Synthetic binarized text of one language, in lines of 64 tokens."""
    import numpy as np

    from wikixlm.binarize.indexed_format import IndexedWriter, split_prefix

    symbols = vocabulary - 5
    folder.mkdir()
    (folder / "dict.txt").write_text("".join(f"w{number} {symbols - number}\n" for number in range(symbols)))
    rng = np.random.default_rng(0)
    for split, size in (("train", tokens), ("valid", 4_096)):
        with IndexedWriter(split_prefix(folder, split, "en")) as writer:
            for start in range(0, size, 64):
                line = 5 + np.minimum(rng.zipf(1.2, min(64, size - start)), symbols) - 1
                line[-1] = 2
                writer.write(line)


def measure(variant: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one variant in a process of its own, on text that fills all of our batches.

    A GPU's kernels are chosen, or compiled, anew for a batch of another size, which would fall to one variant or other.
    """
    width = args.tokens_per_sample * (2 if variant == "ours512" else 1)
    data = folder / str(width)
    if not data.exists():
        batch = args.max_tokens // width * (width - 1)
        write_data(data, args.vocabulary, (args.updates + args.warmup + 2) * 2 * batch)
    command = [sys.executable, __file__, "--child", variant, "--data", str(data)]
    command += ["--tokens-per-sample", str(width)]
    for name in (
        "dims",
        "vocabulary",
        "max_tokens",
        "mask_ratio",
        "dropout",
        "updates",
        "warmup",
        "precision",
        "device",
    ):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    print(f"running {variant}: {VARIANTS[variant]} …", file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
        return {"error": (done.stderr.strip().splitlines() or ["no result"])[-1]}
    result: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    return result


def report(results: dict[str, dict[str, Any]], args: argparse.Namespace) -> None:
    device = next((result["device"] for result in results.values() if "device" in result), "?")
    print(f"\ndevice: {device}; command: {' '.join(['python', *sys.argv])}")
    print("| variant | tokens/s | ms/update | peak memory, GB | MFU | tokens/s, relative to stock |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    base = results.get("stock", {}).get("tokens_per_second")
    for variant, result in results.items():
        if "error" in result:
            print(f"| {variant} | {result['error']} | | | | |")
            continue
        mfu = f"{100 * result['mfu']:.1f} %" if result["mfu"] else "-"
        ratio = f"{result['tokens_per_second'] / base:.2f}" if base else "-"
        print(
            f"| {variant} | {result['tokens_per_second']:,.0f} | {1000 * result['seconds_per_update']:,.0f} "
            f"| {result['memory_gb']:.2f} | {mfu} | {ratio} |"
        )
    ours, peer = results.get("ours", {}), results.get("hf", {})
    if "error" not in {**ours, **peer} and ours and peer:
        print(f"\nours / hf: {ours['tokens_per_second'] / peer['tokens_per_second']:.2f}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        settings = {key: str(value) for key, value in vars(args).items() if key not in ("data", "child", "output")}
        command = " ".join(["python", *sys.argv])
        record = {"command": command, "device": device, "settings": settings, "results": results}
        args.output.write_text(json.dumps(record, indent=2) + "\n")


# --- a child: one variant -------------------------------------------------------------------------------------------


class Clock:
    """Counts updates and tokens; starts after the warm-up, waits for the device only at both ends."""

    def __init__(self, warmup: int, updates: int, cuda: bool) -> None:
        self.warmup, self.last, self.cuda = warmup, warmup + updates, cuda
        self.updates = self.tokens = 0
        self.seconds = 0.0

    def tick(self, tokens: int) -> None:
        import torch

        self.updates += 1
        if self.warmup < self.updates <= self.last:
            self.tokens += tokens
        if self.updates in (self.warmup, self.last):
            if self.cuda:
                torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.seconds  # start at one end, duration at the other


def run_child(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    cuda = args.device == "cuda" or (args.device == "auto" and torch.cuda.is_available())
    if args.precision == "auto":
        args.precision = "bf16" if cuda and torch.cuda.is_bf16_supported() else "fp32"
    clock = Clock(args.warmup, args.updates, cuda)
    (run_hf if args.child.startswith("hf") else run_fairseq)(args, clock, cuda)
    if clock.updates < clock.last:
        raise SystemExit(f"only {clock.updates} of {clock.last} updates were made")
    name = (
        torch.cuda.get_device_name() if cuda else f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} threads"
    )
    memory = torch.cuda.max_memory_allocated() if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = clock.tokens / clock.seconds
    peak = next((peak for key, peak in PEAKS.items() if key in name), None) if args.precision != "fp32" else None
    return {
        "device": f"{name}, {args.precision}",
        "tokens_per_second": rate,
        "seconds_per_update": clock.seconds / args.updates,
        "memory_gb": memory / 1e9,
        "mfu": rate * flops_per_token(args) / peak if peak else None,
    }


def flops_per_token(args: argparse.Namespace) -> float:
    """Forward and backward, 6 FLOPs a weight and token (Kaplan et al. 2020), attention, and the masked tokens' head."""
    width, inner, _, layers = DIMS[args.dims]
    attended = 6 * 2 * width**2  # keys and values, of every token
    own = 6 * (2 * width**2 + 2 * width * inner) + 12 * args.tokens_per_sample * width
    head = 6 * (width**2 + width * args.vocabulary)
    # the last layer owes its states to the masked tokens alone
    return layers * attended + (layers - 1 + args.mask_ratio) * own + args.mask_ratio * head


def fairseq_arguments(args: argparse.Namespace, folder: str, cuda: bool) -> list[str]:
    width, inner, heads, layers = DIMS[args.dims]
    common = f"""
        --monolingual-langs en --tokens-per-sample {args.tokens_per_sample} --max-tokens {args.max_tokens}
        --encoder-embed-dim {width} --encoder-ffn-embed-dim {inner} --encoder-attention-heads {heads}
        --encoder-layers {layers} --dropout {args.dropout} --attention-dropout {args.dropout}
        --max-update {args.warmup + args.updates} --lr 1e-4 --clip-norm 5 --log-format none --seed 0
        --disable-validation --no-save --save-dir {folder} {"" if cuda else "--cpu"}
        {"" if args.precision == "fp32" else f"--{args.precision}"}
    """.split()
    if args.child == "stock":
        recipe = shlex.split("""
            --task cross_lingual_lm --arch xlm_base --num-segment 1 --criterion legacy_masked_lm_loss --masked-lm-only
            --optimizer adam --lr-scheduler reduce_lr_on_plateau --ddp-backend legacy_ddp --dataset-impl mmap
        """)
    else:
        from wikixlm.train.fairseq import USER_DIR
        from wikixlm.train.recipes import RECIPES

        recipe = ["--user-dir", str(USER_DIR), "--mask-ratio", str(args.mask_ratio)]
        recipe += RECIPES["wikixlm"].on_gpu if cuda else RECIPES["wikixlm"].on_cpu
        recipe += shlex.split("--task wikixlm_mlm --arch wikixlm_base --criterion wikixlm_masked_lm")
        recipe += shlex.split("--optimizer wikixlm_adamw --lr-scheduler wikixlm_warmup")
        recipe += ["--compile-layers"] if args.child == "ours-compiled" else []
    return ["fairseq-train", str(args.data), *common, *recipe]


def run_fairseq(args: argparse.Namespace, clock: Clock, cuda: bool) -> None:
    from wikixlm.train.fairseq import compat

    compat.apply()
    import torch
    from fairseq.trainer import Trainer
    from fairseq_cli import train

    step = Trainer.train_step

    def timed(self: Any, samples: list[Any], raise_oom: bool = False) -> Any:
        outcome = step(self, samples, raise_oom)
        clock.tick(sum(sample["ntokens"] for sample in samples))
        return outcome

    Trainer.train_step = timed
    torch.cuda.reset_peak_memory_stats = lambda *_: None  # the trainer resets it in every update
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = fairseq_arguments(args, folder, cuda)
        train.cli_main()


def run_hf(args: argparse.Namespace, clock: Clock, cuda: bool) -> None:
    """The loop of transformers' Trainer: AdamW (fused), clipping, linear schedule, autocast for bf16 and fp16."""
    import numpy as np
    import torch
    from transformers import BertConfig, BertForMaskedLM, get_linear_schedule_with_warmup

    from wikixlm.binarize.indexed_format import split_prefix
    from wikixlm.model.batches import Symbols, held_out_batch
    from wikixlm.model.blocks import Blocks
    from wikixlm.model.masking import Masking

    width, inner, heads, layers = DIMS[args.dims]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=args.vocabulary, hidden_size=width, intermediate_size=inner, num_attention_heads=heads,
        num_hidden_layers=layers, max_position_embeddings=args.tokens_per_sample, type_vocab_size=1, pad_token_id=1,
        hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout,
    )  # fmt: skip
    device = torch.device("cuda" if cuda else "cpu")
    model = BertForMaskedLM(config).to(device).train()
    network = torch.compile(model) if args.child == "hf-compiled" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, args.warmup + args.updates)
    scaler = torch.amp.GradScaler(device.type, enabled=args.precision == "fp16")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(args.precision, torch.float32)
    blocks = Blocks(split_prefix(args.data, "train", "en"), args.tokens_per_sample - 1)
    masking = Masking(4, 5, args.vocabulary, args.mask_ratio)
    size = args.max_tokens // args.tokens_per_sample
    for update in range(args.warmup + args.updates):
        numbers = np.arange(update * size, (update + 1) * size)
        batch = held_out_batch(blocks, numbers, 0, masking, 0, Symbols(1, 2))
        source, masked = batch["net_input"]["src_tokens"], batch["net_input"]["masked_tokens"]
        labels = torch.full_like(source, -100)
        labels[masked] = batch["target"]
        with torch.autocast(device.type, dtype=dtype, enabled=args.precision != "fp32"):
            loss = network(input_ids=source.to(device), labels=labels.to(device)).loss
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad()
        clock.tick(source.numel())


if __name__ == "__main__":
    main()
