# make run                        the program, on a sample model
# make run ARGS=path/to/file.py   ... on a model of yours, or with any other arguments
# make test                       all tests, two files at once (WORKERS=0: one after the other)
# make check                      style, types, and the walls between the packages
# make bench                      speed and memory, as ratios to what torch itself needs
# make fuzz                      20,000 mutations of checkpoints, none of which may run code
# make soak                       100,000 watched training steps: does memory stay what it was?
# make clean                      what the others left behind, but for the installed packages
#
# The first call sets everything up in .venv; see .ci/setup.

SHELL := /bin/bash
PYTHON_IN_VENV := .venv/bin/python
ARGS ?= sample:resnet
TESTS ?= tests
WORKERS ?= 2
SCREENSHOT ?= model-inspector.png

.PHONY: run test check bench fuzz soak clean
.DEFAULT_GOAL := run

run:
	@.ci/setup run
ifneq ($(filter summary export verify state script factories attach --help --version,$(firstword $(ARGS))),)
	@.venv/bin/inspector-app $(ARGS)
else
	@if .ci/setup screen; then \
		exec .venv/bin/inspector-app $(ARGS); \
	else \
		echo "Doing the main job off screen instead, with a screenshot at its end."; \
		QT_QPA_PLATFORM=offscreen exec .venv/bin/inspector-app --tour $(SCREENSHOT) $(ARGS); \
	fi
endif

test:
	@.ci/setup test
	@$(PYTHON_IN_VENV) -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

check:
	@.ci/setup test
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	.venv/bin/lint-imports --no-cache

bench:
	@.ci/setup test
	@for script in tests/benchmarks/bench_*.py; do \
		echo "== $$script"; PYTHONPATH=. $(PYTHON_IN_VENV) $$script || exit 1; \
	done

fuzz:
	@.ci/setup test
	@FUZZ=20000 $(PYTHON_IN_VENV) -m pytest tests/backend/test_torch_fuzz.py --timeout 3600

soak:
	@.ci/setup test
	@PYTHONPATH=. $(PYTHON_IN_VENV) -m tests.benchmarks.soak

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f $(SCREENSHOT)
	find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
