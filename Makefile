# Everything a clone needs; `make help` lists it. The environment lives in .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 7860
GRPC_PORT ?= 8500
REST_PORT ?= 8501
# Dataset sources for `make train`, for example SCANS="~/scans/hospital ~/scans/web".
SCANS ?=
# A source with outlines of tumours, to check evidence maps with.
OUTLINES ?=
# A TensorFlow Serving server, gRPC, to measure beside the local one.
TFS ?=
# Executions of each fuzz target, those of earlier runs of the same code counted.
RUNS ?= 100000
# Of mixed load: kills, swaps and bad clients among good ones.
MINUTES ?= 30
# SMOKE=1 goes the whole way on the samples; nothing of it is worth using.
SMOKE ?=
DATASET ?= $(if $(SMOKE),runs/smoke/prepared,prepared)
RUN ?= $(if $(SMOKE),runs/smoke/run,runs/latest)

# Containers on an NVIDIA GPU; versions by label; monitoring, proxy, training.
GPU ?=
LABELS ?=
PROFILES ?=

BIN := .venv/bin
MODELS := models/brain_tumor
COMPOSE = docker compose --file docker/compose.yaml $(if $(GPU),--file docker/compose.gpu.yaml) \
  $(if $(LABELS),--file docker/compose.labels.yaml) $(PROFILES:%=--profile %)
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command "make lock"
# A package whose bytes are not those that were locked is refused.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# TensorFlow's C++ start-up notes say nothing to a user.
export TF_CPP_MIN_LOG_LEVEL ?= 2

# `wait -n` ends the demo when either process ends.
SHELL := bash

.DEFAULT_GOAL := help
.PHONY: help demo test looks faults fuzz lint bench soak train docker-up docker-down docker-check lock sbom audit

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PORT=$(PORT) GRPC_PORT=$(GRPC_PORT) REST_PORT=$(REST_PORT) move the demo, for example:"
	@echo "  make demo PORT=8080"

demo: $(BIN)/.installed ## model server and page on http://127.0.0.1:7860; Ctrl-C ends both
	@$(BIN)/python -m serving run --model-base-path $(MODELS) \
	  --port $(GRPC_PORT) --rest-api-port $(REST_PORT) & server=$$!; \
	$(BIN)/python -m ui --server 127.0.0.1:$(GRPC_PORT) --port $(PORT) \
	  --model-directory $(MODELS) & page=$$!; \
	trap 'kill $$server $$page 2>/dev/null; wait' EXIT; trap 'exit 0' INT TERM; \
	wait -n $$server $$page

test: $(BIN)/.installed-dev ## all tests but those of docker-check
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore=tests/docker

looks: $(BIN)/.installed-dev ## every flow of the page on a phone and in the dark; ten minutes
	for look in 1440-dark 390-light 390-dark; do \
	  BROWSER_LOOK=$$look $(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/browser || exit; \
	done

faults: $(BIN)/.installed-dev ## what must survive, line by line, with faults from outside; five minutes
	FAULTS_UPLOADS=3000 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/faults \
	  $$(grep -o 'tests/[a-z_/]*\.py::[a-z0-9_]*' tests/faults/README.md | sort -u)

lint: $(BIN)/.installed-dev ## ruff and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BIN)/.installed ## ratios of throughput and cost in one run, four minutes; TFS=HOST:PORT joins a server
	$(BIN)/python -m serving bench --model-base-path $(MODELS) $(if $(TFS),--tfs $(TFS))
	$(BIN)/python -m training bench --model-base-path $(MODELS) \
	  $(if $(wildcard $(DATASET)/manifest.csv),--data $(DATASET))

soak: runs/soak/swaps runs/soak/mixed runs/soak/uploads ## swaps, MINUTES=30 of mixed load, bad uploads; three quarters of an hour, goes on where it was
	rm -r runs/soak

runs/soak:
	mkdir -p $@

runs/soak/swaps: | $(BIN)/.installed-dev runs/soak
	$(BIN)/python -m serving soak --model-base-path $(MODELS)
	@touch $@

runs/soak/mixed: | runs/soak/swaps
	$(BIN)/python -m tests.faults.mixed --minutes $(MINUTES) --state runs/soak/mixed.json
	@touch $@

runs/soak/uploads: | runs/soak/mixed
	$(BIN)/python -m tests.faults.mutations --uploads 10000
	@touch $@

fuzz: $(BIN)/.installed-dev ## RUNS=100000 of each parser, twenty minutes; goes on where it was
	$(BIN)/python -m tests.fuzz --runs $(RUNS)

train: $(BIN)/.installed ## SCANS="FOLDER…": prepare, audit, train, export the next version; SMOKE=1: a try
	@test -n "$(SCANS)" || { echo 'make train needs SCANS="FOLDER…", folders with yes/ and no/'; exit 2; }
	$(BIN)/python -m data prepare $(SCANS) --out $(DATASET)
	$(BIN)/python -m training audit --data $(DATASET)
	$(BIN)/python -m training train --data $(DATASET) --run $(RUN) $(TRAIN_OPTIONS)
	$(BIN)/python -m training export --run $(RUN) --data $(DATASET) --models $(MODELS) \
	  $(if $(OUTLINES),--outlines $(OUTLINES)) $(EXPORT_OPTIONS)

ifneq ($(SMOKE),)
train: SCANS = data/samples
train: TRAIN_OPTIONS = --head-epochs 1 --epochs 1 --full-size-epochs 1 --image-size 96 --views-per-epoch 64
train: EXPORT_OPTIONS = --unfamiliar-views 2 --allow-worthless
train: MODELS = runs/smoke/models/brain_tumor
endif

docker-up: ## page and TensorFlow Serving in containers; GPU=1, LABELS=1, PROFILES="monitoring proxy"
	$(COMPOSE) up --build --detach --wait

docker-down: ## end them; the same variables
	$(COMPOSE) down

docker-check: $(BIN)/.installed-dev ## check docker/ by all means that need no Docker engine
	$(BIN)/python -m pytest tests/docker
	@if [ "$$(id -u)" = 0 ] && command -v buildah debootstrap bwrap >/dev/null; then \
	  docker/build_without_engine.sh; \
	else \
	  echo "The Dockerfiles' steps were not executed: that takes root, buildah, debootstrap and bubblewrap."; \
	fi

lock: $(BIN)/.installed-dev ## resolve pyproject.toml into requirements*.txt, with digests
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) -c requirements.txt --group dev -o requirements-dev.txt
	$(COMPILE) -c requirements.txt --group page -o docker/requirements-ui.txt
	$(COMPILE) -c requirements.txt pyproject.toml --extra cuda -o docker/requirements-cuda.txt

sbom: $(BIN)/.installed-dev ## bill of materials, CycloneDX: reports/sbom.json
	@mkdir -p reports
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --validate --output-file reports/sbom.json requirements.txt

audit: $(BIN)/.installed-dev ## secrets in files, known holes in locked packages; the latter needs the network
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline
	@$(BIN)/python .ci/audit.py requirements.txt requirements-dev.txt docker/requirements-cuda.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Python 3.11 is needed; PYTHON=/path/to/python3.11 names one."; exit 1; }
	$(PYTHON) -m venv .venv

$(BIN)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing into .venv: a minute or two, once"
	@$(INSTALL) -r requirements.txt
	@touch $@

$(BIN)/.installed-dev: requirements-dev.txt $(BIN)/.installed
	@$(INSTALL) -r requirements-dev.txt
	@touch $@
