# Every target sets up what it needs, on a machine that has only python3 and make.

# uv: the one on the PATH if it starts (a shim may not), else one of our own in .uv/.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
RUN := $(UV) run --frozen --no-sync
TINY := examples/tiny_lm

.PHONY: help setup demo test lint format mutation
help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/'

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/python -m pip install --quiet uv
	echo '*' > .uv/.gitignore

setup: $(filter .uv/bin/uv,$(UV))  ## install the locked environment into .venv
	$(UV) sync --frozen

demo: setup  ## compile the shipped model, let it write, audit it
	mkdir -p build
	$(RUN) las-compile $(TINY)/model.safetensors -o build/tiny_lm.h5 --calibrate $(TINY)/calibration.txt
	$(RUN) las-run build/tiny_lm.h5 --prompt "The statement is used to" --max-new-tokens 48 --reference $(TINY)
	$(RUN) las-audit build/tiny_lm.h5 --text $(TINY)/heldout.txt --max-tokens 512 -o build/tiny_lm.html
	@echo "open build/tiny_lm.html"

# Two processes: one test more at a time costs 1 GB.
test: setup  ## all tests but the slow ones; pass more options in ARGS
	$(RUN) pytest -n 2 --dist worksteal -m "not slow" $(ARGS)

lint: setup  ## format, rules, types
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy

format: setup  ## let ruff rewrite what it can
	$(RUN) ruff format
	$(RUN) ruff check --fix

mutation:  ## mutation tests of netlists and engines, hours (docs/mutation.md); names in ARGS
	$(UV) sync --frozen --group mutation
	$(RUN) mutmut run $(ARGS)
