#!/usr/bin/env bash
# Written by `make pins`.
set -euo pipefail
pip install --no-deps fairseq==0.12.2 hydra-core==1.3.8 omegaconf==2.3.1
