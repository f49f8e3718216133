# The interface to this checkout. `make demo` and `make test` make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := align embed flows ingest store training
DEMO := demo
# Two threads' worth of work at most: tests run side by side, each on one core. Bytecode is kept whatever the caller's
# environment says, or every process that a test starts would compile the project again.
TEST_ENV := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 PYTHONDONTWRITEBYTECODE=

PEERS := $(VENV)/peers

PRETRAINED := demo-pretrain

.PHONY: demo demo-pretrain test test-slow check bench peers clean

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("sensorloom needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.11.")'
	@echo "Making the environment in $(VENV): several gigabytes, some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	@# Without what it asks for: old stand-ins for typing and dataclasses that would shadow Python's own.
	$(BIN)/python -m pip install --quiet --no-deps --only-binary :all: 'vrs>=1.2; python_version < "3.13"' || echo "vrs has no wheel for this system: its comparisons are left out."
	@mkdir -p $(VENV)/typing/sensorloom
	@for name in $(PACKAGES) __init__.py py.typed; do ln -sfn ../../../$$name $(VENV)/typing/sensorloom/$$name; done
	@touch $@

demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/sensorloom sample $(DEMO)/raw
	$(BIN)/sensorloom run --raw $(DEMO)/raw --store $(DEMO)/store --set audit.out=$(DEMO)/report
	$(BIN)/sensorloom train standard-pamap2 --store $(DEMO)/store --out $(DEMO)/runs/standard-pamap2
	$(BIN)/sensorloom show --store $(DEMO)/store
	@echo
	@echo "Report:      $(DEMO)/report/index.html"
	@echo "Store:       $(DEMO)/store"
	@echo "Trained run: $(DEMO)/runs/standard-pamap2"
	@echo "Generated raw trees and what was planted in them: $(DEMO)/raw, $(DEMO)/raw/truth.json"

# Larger trees, every recipe, controls that cannot learn; goes on where it was stopped, `make clean` begins anew.
demo-pretrain: $(VENV)/.installed
	$(BIN)/python benchmarks/demo_pretrain.py $(PRETRAINED)

test: $(VENV)/.installed
	$(TEST_ENV) $(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder -q

test-slow: $(VENV)/.installed
	$(TEST_ENV) $(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder -q

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

# What the stream is measured against, in an environment of its own. torch, numpy and pyarrow it takes from the
# project's by a path file; the peers' limits on those are passed over (--no-deps), or there would be two of each.
peers: $(PEERS)/.installed

$(PEERS)/.installed: benchmarks/peers.txt $(VENV)/.installed
	$(BIN)/python -m venv --clear $(PEERS)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_project.pth
	$(PEERS)/bin/python -m pip install --quiet --no-deps -r benchmarks/peers.txt
	@touch $@

bench: $(VENV)/.installed $(PEERS)/.installed
	$(BIN)/sensorloom bench ingest
	$(BIN)/sensorloom bench embed
	$(BIN)/sensorloom bench stream --part epochs --part remote --part trainer
	$(BIN)/sensorloom bench shuffle
	$(BIN)/sensorloom bench audit
	$(BIN)/sensorloom bench query
	$(BIN)/sensorloom bench train

clean:
	rm -rf $(VENV) $(DEMO) $(PRETRAINED) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
