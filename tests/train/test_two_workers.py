"""What two workers do together: two processes that talk by gloo."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import contextlib
import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from tests.support.blocks_data import load_recipe
load_recipe()
from wikixlm.train.fairseq.half_precision import HalfPrecision
from wikixlm.train.fairseq.interruption import Vote
from wikixlm.train.fairseq.muon import orthogonalize, orthogonalize_shared

dist.init_process_group("gloo")
rank = dist.get_rank()

for count in (1, 2, 5):
    matrices = torch.randn(count, 8, 12, generator=torch.Generator().manual_seed(count))
    torch.testing.assert_close(orthogonalize_shared(matrices), orthogonalize(matrices))
print("shared")

vote = Vote()
heard = [vote.cast(rank == 1 and number >= 2, torch.device("cpu"), None) for number in range(5)]
assert heard == [False, False, False, True, True], heard
print("voted")

cfg = OmegaConf.create(
    {
        "optimizer": {"_name": "wikixlm_adamw", "lr": [0.1]}, "optimization": {"update_freq": [32]},
        "distributed_training": {"distributed_world_size": 2, "ddp_backend": "pytorch_ddp"},
        "common": {"bf16": True, "fp16_scale_window": 1},
    }
)
torch.manual_seed(0)
layer = torch.nn.Linear(64, 1, bias=False).bfloat16()
network = torch.nn.parallel.DistributedDataParallel(layer)
optimizer = HalfPrecision.build_optimizer(cfg, list(layer.parameters()))
for update in range(2):
    optimizer.zero_grad()
    exact = torch.zeros(1, 64)
    for number in range(32):
        batches = (1 + torch.rand(2, 1, 64)).bfloat16()
        exact += batches.float().mean(0)
        with network.no_sync() if number < 31 else contextlib.nullcontext():
            optimizer.backward(network(batches[rank]).float().sum())
    optimizer.multiply_grads(0.5)
    optimizer.clip_grad_norm(0)
    error = (optimizer.fp32_params[0].grad / exact - 1).abs().max()
    assert error < 2e-4, error  # the last batch's gradients alone are averaged in bf16
print("summed")
"""


def test_workers_share_matrices_vote_and_add_up_gradients_in_fp32(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [done.stdout.count(word) for word in ("shared", "voted", "summed")] == [2, 2, 2]
