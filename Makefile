# Everything here makes what it needs in .venv and does nothing the second time.
PYTHON ?= python3.11
TORCH_INDEX ?=
WHENCE_DATA ?= ../shared/data
BIN := .venv/bin
export WHENCE_DATA
export HF_HUB_OFFLINE = 1
export TRANSFORMERS_OFFLINE = 1
export HF_DATASETS_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false
export OMP_NUM_THREADS = 1
export OMP_WAIT_POLICY = PASSIVE
DEMO ?= whence-demo
# Not of them: what is thrown at readers, which know no catalogue.
READERS := data/test_bombs.py data/test_fuzz.py serve/test_fuzzed_logs.py
STORED := store lineage govern register data evaluate feedback serve lifecycle

.PHONY: help install demo test lint docs bench clean
help:  ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# torch first and alone: a plain `pip install transformers peft` would pull the CUDA build.
.venv/.torch: constraints.txt
	@$(PYTHON) --version >/dev/null 2>&1 || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import torch' 2>/dev/null || \
	  $(BIN)/python -m pip install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@touch $@

.venv/.installed: .venv/.torch pyproject.toml
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[all]'
	@touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[all,dev]'
	@touch $@

.venv/.bench: .venv/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[all,bench]'
	@touch $@

install: .venv/.installed  ## what users get: core, train, serve, checks

demo: .venv/.installed  ## walk the generated project from rows to a served answer and back
	$(BIN)/whence demo $(DEMO)

test: .venv/.dev  ## every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --postgres -m 'not tiny and not real_data' $(addprefix tests/,$(STORED)) $(addprefix --ignore=tests/,$(READERS))

lint: .venv/.dev  ## ruff, mypy, import contracts
	$(BIN)/ruff format --check src tests bench examples
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: .venv/.dev  ## write the generated pages (CLI reference, project file)
	$(BIN)/python -m docs.generate

bench: .venv/.bench  ## the quick benchmarks, beside their peers, and faults, counted
	$(BIN)/python -m bench.identity --edits 76
	$(BIN)/python -m bench.ingest --rows 10000 100000
	$(BIN)/python -m bench.membership --rows 200000 --runs 1
	$(BIN)/python -m bench.mentions --rows 20000 --old 100000
	$(BIN)/python -m bench.growth --to 100000
	$(BIN)/python -m bench.serve record --rate 100 --seconds 10
	$(BIN)/python -m bench.faults kills --light --total 12
	$(BIN)/python -m bench.fuzz --lines 20000
	$(BIN)/python -m bench.bombs --gib 1 --line-mb 50
	$(BIN)/python -m bench.three_commands --runs 3
	$(BIN)/python -m bench.binding --gib 0.5
	$(BIN)/python -m bench.registry --adapters 1000 10000
	$(BIN)/python -m bench.canaries tolerance cost
	$(BIN)/python -m bench.hook_overhead --pairs 1 --epochs 1 2
	$(BIN)/python -m bench.blast --times 10 --peers 100000
	$(BIN)/python -m bench.mentions --rows 100000
	$(BIN)/python -m bench.revocations --counts 10000
	$(BIN)/python -m bench.erasing --rows 10000 100000
	$(BIN)/python -m bench.near_duplicates --rows 10000
	$(BIN)/python -m bench.overlap --rows 20000 --items 1000 --growth 100000
	$(BIN)/python -m bench.validity --times 100
	$(BIN)/python -m bench.gate --times 200
	$(BIN)/python -m bench.verdicts --items 10000 100000 --resamples 10000 100000

clean:  ## remove .venv and the demo
	rm -rf .venv $(DEMO)
