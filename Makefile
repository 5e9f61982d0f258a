# Everything sets itself up: only Python >= 3.11 and make are needed (and the openssl command as the witness).
PYTHON ?= python3
WORKERS ?= 4
ANSWERS ?= 1000000
SEED    ?= $(shell date +%s)
VENV   ?= .venv
BIN    := $(VENV)/bin
# Tests wait much, for processes and sockets: twice as many workers as cores of a small computer. One test at a time to
# each, the slow ones first (tests/conftest.py), so that all end together.
PARALLEL := -n $(WORKERS) --dist load --maxschedchunk 1

.PHONY: help demo test fuzz check pages format torture bench lock clean

help:
	@echo "make demo    a virtual site, a CA, HTTPS on cameras, verified by openssl; the rest is yours in the browser"
	@echo "make test    all tests"
	@echo "make fuzz    a million mutated answers, from a seed of its own: SEED=N repeats one"
	@echo "make check   format, lint, types, architecture"
	@echo "make pages   types of the web application's scripts (needs Node)"
	@echo "make torture 90 nights with 500 virtual devices that fail, and a manager that dies (hours)"
	@echo "make bench   ratios of speed, as JSON lines"
	@echo "make lock    write requirements.lock and requirements-dev.lock anew (needs uv)"

$(VENV)/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/fleetseal demo

# The processes of the tests find what the first one has compiled, whatever this computer thinks of such files.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL)

fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL) --timeout 900 tests/fuzz --fuzz-answers $(ANSWERS) --fuzz-seed $(SEED)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src tests benchmarks
	$(BIN)/python -m pytest -q tests/test_architecture.py

pages: node_modules/.package-lock.json
	node_modules/.bin/tsc

node_modules/.package-lock.json: package-lock.json
	npm ci --silent
	@touch $@

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

torture: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL) --every-kill tests/e2e/test_crash.py
	$(BIN)/python -m tests.torture

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  pyproject.toml --extra build -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  pyproject.toml --extra build --extra dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache build dist
