# Every target sets up what it needs in .venv; running one twice does nothing twice.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
# Touched when the environment holds what pyproject.toml and constraints.txt ask for.
READY := $(VENV)/.ready

.PHONY: help setup demo test ray compatibility lint typecheck proto proto-check bench soak faults links figures clean

help: ## Print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt CMakeLists.txt $(wildcard codecs/featcodec/_native/*.cpp codecs/featcodec/_native/*.h splitnet/tasks/_native/*.cpp)
	@[ -x $(PYTHON) ] || python3 -m venv $(VENV)
	@echo "setting up $(VENV) (once, about 2 minutes)"
	@# torch first and alone: without the exact version in place, another package's range would bring a CUDA build.
	$(PYTHON) -m pip install -q --disable-pip-version-check torch==2.13.0 -c constraints.txt
	$(PYTHON) -m pip install -q --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

setup: $(READY) ## Make .venv with everything for tests and the demo

demo: $(READY) ## Split inference on real photos, two processes, tables and out/demo/index.html
	$(VENV)/bin/splitnet demo

test: $(READY) ## Run the tests
	$(PYTHON) -m pytest

ray: $(READY) ## Install Ray (80 MB), run the tests and the benchmark that need it (about 10 minutes)
	$(PYTHON) -m pip install -q --disable-pip-version-check -e '.[dev,ray]' -c constraints.txt
	$(PYTHON) -m pytest tests/cloud/test_ray.py
	$(PYTHON) -m benchmarks.ray

compatibility: $(READY) ## Frames and arrays of other compilers, flags and processors, byte by byte (about 10 minutes)
	$(PYTHON) -m tests.compatibility

lint: $(READY) ## Check style
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

typecheck: $(READY) ## Check types, strictly
	$(VENV)/bin/mypy

proto: $(READY) ## Regenerate splitnet/v1 from proto/
	PYTHON=$(PYTHON) proto/generate

proto-check: $(READY) ## Fail when splitnet/v1 is not what proto/ generates
	PYTHON=$(PYTHON) proto/generate --check

bench: $(READY) ## Measure every published figure, full size; DATA=FOLDER: rate and fidelity, by depth too, on your photos
	$(PYTHON) -m pip install -q --disable-pip-version-check -e '.[dev,bench]' -c constraints.txt
	$(PYTHON) -m benchmarks.demo
	$(PYTHON) -m benchmarks.footprint
	$(PYTHON) -m benchmarks.installed
	$(PYTHON) -m benchmarks.rans
	$(PYTHON) -m benchmarks.ctx
	$(PYTHON) -m benchmarks.floats
	$(PYTHON) -m benchmarks.coder_share
	$(PYTHON) -m benchmarks.serve
	$(PYTHON) -m benchmarks.hostile
	$(PYTHON) -m benchmarks.reload
	$(PYTHON) -m benchmarks.edge
	$(PYTHON) -m benchmarks.build
	$(if $(FACES),$(PYTHON) -m benchmarks.faces --faces $(FACES))
	$(PYTHON) -m benchmarks.link
	$(PYTHON) -m benchmarks.precision $(if $(DATA),--data $(DATA))
	$(PYTHON) -m benchmarks.fidelity $(if $(DATA),--data $(DATA)) --cut block4,block7,block10
	$(PYTHON) -m benchmarks.codecs
	$(PYTHON) -m benchmarks.depth $(if $(DATA),--data $(DATA))
	$(if $(DATA),$(PYTHON) -m benchmarks.privacy --data $(DATA))
	$(if $(DATA),$(PYTHON) -m benchmarks.probing --data $(DATA))
	$(if $(DATA),$(PYTHON) -m benchmarks.networks --data $(DATA))

soak: $(READY) ## Twenty minutes of load on the service: memory and errors
	$(PYTHON) -m benchmarks.soak

faults: $(READY) ## Every fault that a device meets, while photos keep coming (root, 15 minutes)
	$(PYTHON) -m benchmarks.faults

links: $(READY) ## The edge daemon on links that change, beside every fixed choice and an oracle, and on steps (root, 25 minutes)
	$(PYTHON) -m benchmarks.links
	$(PYTHON) -m benchmarks.step

figures: $(READY) ## The short version of every benchmark, and one table: figure, value, bar, met or not
	$(PYTHON) -m benchmarks.figures

clean: ## Remove everything that the other targets made
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
