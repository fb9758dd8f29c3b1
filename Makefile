# Everything here sets itself up: `make` and a Python >= 3.11 are all that has to be there.
# What is installed lies in .venv, in the versions, and with the hashes, of requirements/.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
STATE := .rehearsal
# Most tests wait for something, so more of them run than there are processors.
WORKERS ?= $(shell $(PY) -c 'import os; print(min(8, 2 * (os.cpu_count() or 1)))')
ARGS ?=
# Somebody who waits for the whole suite has one case of each test, and a tenth of those that start whole programs, others each
# time; CI, and whoever names some, has all.
CASES ?= $(if $(ARGS)$(filter thorough,$(HYPOTHESIS_PROFILE)),,--cases 1 --programs 0.1)
SECONDS ?= 60

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# Containers often forbid it; then each of a test run's hundreds of processes compiles everything anew.
export PYTHONDONTWRITEBYTECODE :=

# The first of these that is new enough makes the environment; `make PYTHON=/path/to/python …` chooses another.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do "$$p" -c '$(ENOUGH)' 2>/dev/null && { echo "$$p"; break; }; done)

# A copied or moved checkout must not run the code of the place it came from: its environment is made anew.
ifneq ($(shell $(PY) -c '$(ENOUGH)' 2>/dev/null && cat $(VENV)/home 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/home
endif

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS="$$(printf '\t')" read -r target what; do \
	  printf '  make %-10s %s\n' "$$target" "$$what"; done

# --- the program -----------------------------------------------------------------------------------------------------

# One of the example's migrations fails on purpose: any other end than that is told as what it is.
define REHEARSED
	@touch $(VENV)/rehearsal
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/atlas-cutover run workflows/example.yaml --rehearse $(1) --state-dir $(STATE) $(ARGS); \
	code=$$?; echo; \
	report=$$(find $(STATE)/runs -name report.json -newer $(VENV)/rehearsal 2>/dev/null | tail -n 1); \
	case $$code$${report:+-reported} in \
	  1-reported) \
	     echo "Exit code 1: the run is over and at least one migration failed. So it should be: one of the example's"; \
	     echo "migrations fails on purpose. The reports are in $${report%/*}/.";; \
	  1) echo "Exit code 1 was expected, but there is no report of a run." >&2; exit 1;; \
	  0*) echo "Exit code 0: every migration succeeded, but one of the example's is meant to fail." >&2; exit 1;; \
	  *) echo "Exit code $$code, where 1 was expected; the README says what each code means." >&2; exit $$code;; \
	esac
endef

.PHONY: rehearse
rehearse: $(VENV)/runtime ## run workflows/example.yaml against the built-in simulator: no keys, no network
	$(call REHEARSED,--engine local)

.PHONY: temporal
temporal: $(VENV)/dev ## the same on Temporal: its development server and two workers, begun and ended by the rehearsal
	$(call REHEARSED,--engine temporal --workers 2)

# --- the checks ------------------------------------------------------------------------------------------------------

.PHONY: check
check: $(VENV)/dev ## linters and types: ruff, mypy --strict, import-linter
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy orchestrator tests benchmarks
	$(VENV)/bin/lint-imports

.PHONY: format
format: $(VENV)/dev ## put the code in shape
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: test
test: $(VENV)/dev ## the tests (ARGS='-k window' for some of them, CASES= for all, as in CI, WORKERS=0 for one process)
	$(PY) -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal -m "not chaos" $(CASES) $(ARGS)

.PHONY: unit
unit: WORKERS := auto # they wait for nothing, and each more worker loads everything again
unit: $(VENV)/dev ## the tests of what is pure, and of files: no sockets, no processes
	$(PY) -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal -m "not chaos" $(CASES) tests/core tests/text tests/files $(ARGS)

.PHONY: chaos
chaos: $(VENV)/dev ## the long chaos suite: processes killed, connections broken, the simulator's record compared
	HYPOTHESIS_PROFILE=thorough $(PY) -m pytest -m chaos --timeout 0 -o faulthandler_timeout=0 $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/dev ## give each reader of files and answers odd inputs (SECONDS=600 for each)
	@rm -f fuzz.log
	FUZZ_SECONDS=$(SECONDS) $(PY) -m pytest -n $(WORKERS) --maxprocesses 8 --timeout 0 -o faulthandler_timeout=0 tests/fuzz $(ARGS)
	@cat fuzz.log

.PHONY: coverage
coverage: $(VENV)/dev ## the tests again, with the lines that none of them reaches
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -m "not chaos" $(ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

.PHONY: bench
bench: $(VENV)/bench ## measure speed side by side with other ways; writes benchmarks/results.md
	$(PY) -m benchmarks $(ARGS)

.PHONY: docs
docs: $(VENV)/dev ## make the generated pages of docs/ again
	$(PY) docs/generate.py $(ARGS)

# --- the environment -------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/dev ## install everything that the other targets need
	@echo "Ready: . $(VENV)/bin/activate, or make help."

$(VENV)/home:
	@"$(PYTHON)" -c '$(ENOUGH)' 2>/dev/null || { \
	  echo "No Python 3.11 or newer was found (tried: $(if $(PYTHON),$(PYTHON),$(CANDIDATES)))." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" -c 'import sys; print("Python", sys.version.split()[0], "at", sys.executable)')"
	@test ! -e $(VENV) || test -e $(VENV)/pyvenv.cfg || { \
	  echo "$(VENV) is there and is no virtual environment: move it away first." >&2; exit 1; }
	@rm -rf $(VENV)
	@if "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
	  "$(PYTHON)" -m venv $(VENV); \
	elif "$(PYTHON)" -c 'import venv' 2>/dev/null && "$(PYTHON)" -m pip --version >/dev/null 2>&1; then \
	  "$(PYTHON)" -m venv --without-pip $(VENV) && "$(PYTHON)" -m pip --python $(PY) install --quiet pip; \
	else \
	  echo "This Python has neither ensurepip nor pip, so no virtual environment can be made with it." >&2; \
	  echo "Debian and Ubuntu keep them apart: apt-get install python3-venv" >&2; \
	  echo "Or name another Python: make PYTHON=/path/to/python3 ..." >&2; exit 1; \
	fi || { rm -rf $(VENV); exit 1; }
	@printf '%s\n' "$(CURDIR)" >$@

# What is installed is what requirements/ has hashes of; of the checkout itself nothing is fetched, its build requirements included.
INSTALL = $(PY) -m pip install --quiet
LOCKED = $(INSTALL) --require-hashes --requirement

$(VENV)/runtime: pyproject.toml requirements/runtime.txt $(VENV)/home
	$(LOCKED) requirements/runtime.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: pyproject.toml requirements/dev.txt $(VENV)/home
	$(LOCKED) requirements/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/runtime

$(VENV)/bench: $(VENV)/dev requirements/bench.txt
	@$(LOCKED) requirements/bench.txt || \
	  echo "Ansible does not install here: it is left out of the comparison."
	@touch $@

$(VENV)/tools: requirements/tools.txt $(VENV)/home
	@rm -rf $@
	@$(PY) -m venv --without-pip $@
	$(PY) -m pip --python $@/bin/python install --quiet --require-hashes --requirement requirements/tools.txt

# Versions that are locked stay, unless something newer is needed or asked for: make lock NEWEST=1
COMPILE = $(VENV)/tools/bin/uv pip compile --quiet $(if $(NEWEST),--upgrade) --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --native-tls

.PHONY: lock
lock: $(VENV)/tools ## write the versions and hashes of what is installed to requirements/ (NEWEST=1: the newest allowed ones)
	$(COMPILE) pyproject.toml requirements/build.in --extra dev --extra bench --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml requirements/build.in --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra all --extra temporal --constraint requirements/dev.txt \
	  --output-file requirements/all.txt
	$(COMPILE) pyproject.toml requirements/build.in requirements/bench.in --extra dev --extra bench \
	  --constraint requirements/dev.txt --output-file requirements/bench.txt
	$(COMPILE) requirements/tools.in --output-file requirements/tools.txt
	@for file in runtime all dev bench tools; do \
	  sed -i.before '1i\
# The versions and hashes that pip checks; `make lock` writes this file.' requirements/$$file.txt; done
	@rm -f requirements/*.before

# --- what is given to others -----------------------------------------------------------------------------------------

.PHONY: dist
dist: $(VENV)/runtime ## wheel and sdist in dist/: the same bytes each time, of the time of the last commit
	@rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1577836800) $(PY) -m hatchling build -d dist
	@cd dist && sha256sum -- *.whl *.tar.gz >SHA256SUMS && cat SHA256SUMS

.PHONY: sbom
sbom: $(VENV)/tools ## a software bill of materials (CycloneDX) of what the program needs: dist/sbom.json
	@mkdir -p dist
	$(VENV)/tools/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml \
	  --output-file dist/sbom.json requirements/all.txt

.PHONY: audit
audit: $(VENV)/tools ## look for known vulnerabilities in what is installed; skipped where their database is out of reach
	@$(PY) requirements/audit.py $(VENV)/tools/bin/pip-audit requirements/dev.txt

.PHONY: clean
clean: ## remove what was made here: environment, rehearsals, caches
	rm -rf $(VENV) $(STATE) dist fuzz.log htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	  .import_linter_cache
	find orchestrator tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +
