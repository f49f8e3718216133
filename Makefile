PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := align embed flows ingest store training

.PHONY: demo test test-slow check bench clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("sensorloom needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	mkdir -p $(VENV)/typing/sensorloom
	for name in $(PACKAGES) __init__.py py.typed; do ln -sfn ../../../$$name $(VENV)/typing/sensorloom/$$name; done
	touch $@
