# `make check` is the whole gate. On a bare machine (Python 3.11+ with pip) it first makes .venv and fills it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: check lint types contracts test mutants format clean

check: lint types contracts test

# A Python without ensurepip (Debian's, without python3-venv) still has pip: then pip fills the environment from outside.
$(STAMP): pyproject.toml .ci/constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $(BIN)/python -m pip install -q --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'; \
	else \
	  $(PYTHON) -m pip --python $(BIN)/python install -q --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'; \
	fi
	@touch $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports --no-cache

# In virtual time and in memory two at a time; so what has sockets and processes of its own, a file's tests in one lane.
# What is held to seconds of the wall clock has the machine to itself. PYTEST="tests/tariff -k money" runs just that.
OWN := sockets or kill
ALONE := browser or alone

test: $(STAMP)
ifeq ($(strip $(PYTEST)),)
	$(BIN)/python -m pytest -rs -n 2 --dist loadscope --no-loadscope-reorder -m "not ($(OWN) or $(ALONE))"
	$(BIN)/python -m pytest -rs -n 2 --dist loadfile -m "($(OWN)) and not ($(ALONE))"
	$(BIN)/python -m pytest -rs -m "$(ALONE)"
else
	$(BIN)/python -m pytest -rs $(PYTEST)
endif

# Hours: each place of tariff/ that is drawn is broken, and the tests that should notice are run.
mutants: $(STAMP)
	nice -n 19 $(BIN)/python -m tests.mutants

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .hypothesis
