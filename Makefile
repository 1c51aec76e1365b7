# Two commands on a fresh machine with Python 3.11 or 3.12:
#   make demo    serve the app on http://localhost:7860 (environment: .venv-serve, no torch)
#   make test    lint, then run every test (environment: .venv, with torch)
#
#   make space OUT=dir [SPACE=owner/name]    assemble the folder of a Hugging Face Space

PYTHON := $(shell for p in python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
	&& echo $$p && break; done)

# Only the package index counts: wheels that happen to lie on a machine (torch "+cpu") break the set.
UV := env -u UV_FIND_LINKS -u UV_EXTRA_INDEX_URL UV_NO_CONFIG=1

.DEFAULT_GOAL := help
.PHONY: help demo env test lint format space clean

help:
	@sed -n 's/^#   //p' Makefile

demo: .venv-serve/.ready
	.venv-serve/bin/python app.py

env: .venv/.ready

test: lint
	.venv/bin/python -m pytest $(PYTEST_ARGS)

lint: .venv/.ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/.ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

space:
	@test -n "$(OUT)" || { echo "make: name a new folder: make space OUT=dir" >&2; exit 1; }
	$(PYTHON) scripts/space.py "$(OUT)" $(if $(SPACE),--id "$(SPACE)")

clean:
	rm -rf .venv .venv-serve .pytest_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv-serve/.ready: requirements.txt pyproject.toml
	$(call environment,.venv-serve,-r requirements.txt -e .)

.venv/.ready: requirements.txt pyproject.toml
	$(call environment,.venv,-c requirements.txt -e .[dev])

# $(1): folder, $(2): what to install
define environment
@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or 3.12 on PATH: install one and try again" >&2; exit 1; }
test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
$(1)/bin/python -m pip install --quiet uv
$(UV) $(1)/bin/uv pip install --python $(1)/bin/python $(2)
touch $@
endef
