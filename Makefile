# make demo and make test need nothing but Python 3.11 to 3.13, a C++ compiler and make.
PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
STAMP := .venv/.complete
RUN := runs/demo
SNAKEMAKE := $(BIN)/snakemake --configfile config/demo.yaml --directory $(RUN) --cores $(CORES) --quiet all
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

UNINSTALLED = echo "error: the packages can't be installed (pip says why, above): is the network up, the package index reachable, the disk not full? Then give the same command again: it resumes" >&2
# Counts the packages as pip collects them, shows pip's own errors, and ends with pip's status.
PROGRESS = awk -v total=$$(grep -c '^[a-zA-Z0-9].*==' requirements.txt) '/^pip-status/ {status = $$2} \
	/^(Collecting|Requirement already)/ && ++n % 20 == 0 {print "  " n " of " total " packages"; fflush()} \
	/^ERROR/ {print} END {exit status}'

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-slurm test-browser test-all lint format bench docs pins clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("error: Python %d.%d found as $(PYTHON); wikixlm needs 3.11 to 3.13: make PYTHON=python3.12 …" % v)'
	@command -v c++ > /dev/null || { echo "error: no C++ compiler (c++) found; fairseq is built from source: install g++ or clang" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "error: $(PYTHON) can't make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv), or make PYTHON=python3.12 …" >&2; exit 1; }
	@echo 'Setting up .venv with the package list of requirements.txt: 2.6 GB, once, in 3 to 10 minutes'
	@$(PYTHON) -m venv .venv || { echo "error: .venv can't be made; if an earlier try left it half-made: rm -rf .venv, then make again" >&2; exit 1; }
	@echo '  torch (the largest)'
	@$(BIN)/python -m pip install --quiet $$(grep -o 'torch==[0-9.]*' pyproject.toml) || { $(UNINSTALLED); exit 1; }
	@{ $(BIN)/python -m pip install --no-deps --require-hashes -r requirements.txt 2>&1; echo "pip-status $$?"; } | $(PROGRESS) || { $(UNINSTALLED); exit 1; }
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $(STAMP)

demo: $(STAMP) ## train and export a small model on two real dumps, in runs/demo (minutes, on a CPU)
	@mkdir -p $(RUN)
	@$(SNAKEMAKE)
	@$(BIN)/wikixlm summary --directory $(RUN) --next '$(BIN)/wikixlm plan --configfile config/small.yaml   # dumps.contact in config.yaml first; then snakemake with the same file'

test: $(STAMP) ## run the tests (under 15 minutes on 2 cores)
	@$(PYTEST) -m "not slow and not slurm and not browser"

test-long: $(STAMP) ## run the tests that take longer: kill and resume
	@$(PYTEST) -m "slow and not slurm and not browser"

test-slurm: $(STAMP) ## run the tests on a real SLURM (needs slurmctld, slurmd, munge; as root)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/slurm -n 8  # most of their time is SLURM's

test-browser: $(STAMP) ## look at the report in a real browser, headless (needs chromium)
	@$(BIN)/python -m pytest -m browser

test-all: test test-long test-slurm test-browser ## run every test

lint: $(STAMP) ## check style, types and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint --configfile config/demo.yaml

format: $(STAMP) ## format Python and Snakemake files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

bench: $(STAMP) ## time the pipeline beside its peers
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(STAMP) ## write the configuration reference and the table of attacks, draw the DAG, build the site in build/docs (needs graphviz)
	$(BIN)/python -m wikixlm.config.reference
	$(BIN)/python -m tests.security.page
	@command -v dot > /dev/null || { echo "error: dot not found; install graphviz to draw the DAG" >&2; exit 1; }
	$(BIN)/snakemake --rulegraph --config dumps='{contact: you@example.org}' 2> /dev/null | tred | dot -Granksep=0.2 -Gnodesep=0.15 -Nheight=0.3 -Nfontsize=13 -Tsvg > docs/dag.svg
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/docs
	@grep -ohE "https?://[^] )>\`'\"]+" README.md profiles/README.md docs/*.md | sort -u > build/docs/external-links.txt
	@echo 'the site: build/docs/index.html; links on the web, not fetched: build/docs/external-links.txt'

pins: $(STAMP) ## compile requirements.txt and envs/ anew (needs uv)
	@PATH="$(BIN):$$PATH" $(BIN)/python tools/pins.py

clean: ## remove the demo run and the virtual environment
	rm -rf .venv runs/demo
