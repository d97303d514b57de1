# Two targets, each of which sets up a fresh machine by itself: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check docs clean

demo: .venv/.core
	$(BIN)/beholder score samples --table
	$(BIN)/beholder score samples -o report.html --restart
	@echo "The report with pictures is report.html."

test: .venv/.test
	scripts/check

check: test

docs: .venv/.test
	$(BIN)/mkdocs build --strict

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.core: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/.test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0 --editable '.[dev]'
	@touch $@ .venv/.core

clean:
	rm -rf .venv build dist site
