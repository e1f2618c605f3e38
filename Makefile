# `make demo` and `make test` do all their own set-up on a fresh Debian 12 or Ubuntu 22.04/24.04, each step once.
#
#   make demo     from nothing to a trained, evaluated and compared LRCN
#   make test     every test, after make lint
#   make test-fast  the tests that need no engine and are over in a moment
#   make mutants  small changes of the code that no test notices; takes long, and has to be read
#   make docs     the pages as a site, build/site/index.html, for a browser, without a network
#   make fuzz     damaged inputs to every reader: CASES=10000 SEED=1 READER=... CASE=...
#   make kills    every command stopped and given again: KILLS=50 SEED=1 COMMAND=...
#   make lint     what ruff, the order of imports and mypy say of the code
#   make system   the system packages (apt, as root or with sudo that asks nothing)
#   make venv     .venv, with this project and its Python packages, each held against its hash in requirements/;
#                 with UNPINNED=1 those that pyproject.toml allows and the index has now
#   make lock     pin what pyproject.toml newly asks for; requirements/lock.sh --upgrade: the newest of all
#   make oldest   the tests that need no engine, with the oldest versions that pyproject.toml allows and that have wheels;
#                 make newest: with the newest. WITH=python3.13 picks a Python (uv asks UV_DEFAULT_INDEX, not pip's index)
#   make engine   Caffe, built into ~/.cache/lrcn
#   make docker   the image lrcn:cpu; make docker-cuda: lrcn:cuda, for NVIDIA's GPUs (docker/build.sh cuda takes options)
#   make docker-test  build lrcn:cpu and train the demo in it; with Buildah (apt, as root) where Docker is not
#   make clean    remove .venv and what Python left about; the cache stays
#
# PYTHON=... picks another interpreter. Caffe's Python side needs the distribution's Boost.Python, which fits the
# distribution's own python3 alone: hence the default.

PYTHON ?= /usr/bin/python3
SHELL := /bin/sh
LRCN := .venv/bin/lrcn
PIP := -m pip install --quiet --disable-pip-version-check
PINNED := --require-hashes --only-binary :all:
DEMO := demo demo-captions demo-video

# Git fetches Caffe's sources; the rest is what docker/caffe/CMakeLists.txt asks for, and the tools that it runs under.
PACKAGES := git ca-certificates cmake ninja-build g++ python3-dev python3-venv protobuf-compiler libprotobuf-dev \
  libboost-system-dev libboost-thread-dev libboost-filesystem-dev libboost-python-dev \
  libgoogle-glog-dev libgflags-dev libhdf5-dev libopenblas-dev libopencv-dev liblmdb-dev libgtest-dev

.PHONY: demo test test-fast docs mutants fuzz kills lint system venv lock oldest newest engine docker docker-cuda docker-test clean

demo: engine
	$(LRCN) prepare demo
	$(MAKE) --no-print-directory --jobs 3 $(DEMO:%=run-%)
	$(LRCN) compare runs/demo/results.json runs/demo-captions/results.json runs/demo-video/results.json
	$(LRCN) report runs/demo runs/demo-captions runs/demo-video --out runs/report.html

# Side by side: what one leaves of the cores, where a net waits for another, the others take. Their lines bear their names;
# Ctrl-C is lrcn's to answer, and sed waits for what it says.
run-%: SHELL := /bin/bash
run-%:
	@set -o pipefail; { $(LRCN) train $* && $(LRCN) evaluate $* >/dev/null; } 2>&1 \
	  | (trap '' INT; exec sed --unbuffered 's/^/$*: /')

# Each core has a share of the files; the nets of most are too small to gain from another.
test: lint engine .venv/docs
	.venv/bin/python -m pytest -m "not engine" -n auto --dist loadfile
	.venv/bin/python -m pytest -m engine -n auto --dist loadfile

test-fast: venv
	.venv/bin/python -m pytest -m "not engine and not slow" -n auto --dist loadfile

docs: .venv/docs
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

.venv/docs: requirements/docs.txt | venv
	.venv/bin/python $(PIP) $(PINNED) -r requirements/run.txt -r requirements/test.txt -r requirements/docs.txt
	@touch .venv/docs

mutants: venv
	.venv/bin/python $(PIP) $(PINNED) -r requirements/run.txt -r requirements/test.txt -r requirements/mutants.txt
	.venv/bin/python benchmarks/mutants.py

CASES ?= 10000
KILLS ?= 50
SEED ?= 1

fuzz: venv
	.venv/bin/python -m tests.faults.fuzz $(READER) --cases $(CASES) --seed $(SEED) $(CASE:%=--case %)

kills: engine
	.venv/bin/python -m tests.faults.kills $(if $(COMMAND),"$(COMMAND)") --kills $(KILLS) --seed $(SEED)

lint: venv
	.venv/bin/ruff format --check --quiet
	.venv/bin/ruff check --quiet
	@.venv/bin/lint-imports --no-cache >/dev/null || .venv/bin/lint-imports --no-cache
	@.venv/bin/mypy --no-error-summary

engine: venv
	$(LRCN) caffe build

# One dpkg-query finds what is missing; nothing is asked of apt, or of the user, where all is there.
system:
	@if ! command -v dpkg-query >/dev/null; then \
	  echo "lrcn: no apt here; Caffe needs what Debian calls: $(PACKAGES)"; exit 0; fi; \
	missing=$$(for p in $(PACKAGES); do \
	  case "$$(dpkg-query -W -f='$${Status}' $$p 2>/dev/null)" in *" installed") ;; *) echo $$p;; esac; done); \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo="sudo -n"; \
	else echo "lrcn: system packages are missing: sudo apt-get install" $$missing >&2; exit 2; fi; \
	echo "lrcn: installing" $$missing; \
	$$sudo dpkg --configure -a && $$sudo apt-get update -q \
	&& $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

venv: .venv/ready

# `ready` comes last, so an environment that was cut off in the making is made anew.
.venv/ready: pyproject.toml requirements/run.txt requirements/test.txt | system
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "lrcn: $(PYTHON) is not Python 3.10 to 3.13: give another with PYTHON=..." >&2; exit 2; }
	@minor=$$($(PYTHON) -c 'import sys; print("%d%d" % sys.version_info[:2])'); \
	  /sbin/ldconfig -p | grep -q "libboost_python$$minor\.so" || \
	  { echo "lrcn: no Boost.Python for $(PYTHON) here: give the distribution's own python3 with PYTHON=..." >&2; exit 2; }
	@if [ ! -e .venv/ready ]; then rm -rf .venv; $(PYTHON) -m venv .venv; fi
ifdef UNPINNED
	.venv/bin/python $(PIP) -e '.[test]'
else
	@.venv/bin/python $(PIP) $(PINNED) -r requirements/run.txt -r requirements/test.txt 2>.venv/said \
	  || { cat .venv/said >&2; if grep -q "DO NOT MATCH THE HASHES" .venv/said; then \
	  echo "lrcn: the index has another file than the one that requirements/ pins, which was not installed; see whose it is" >&2; \
	  else echo "lrcn: not every pinned package is to be had here; make venv UNPINNED=1 takes what pyproject.toml allows" >&2; \
	  fi; exit 2; }
	.venv/bin/python $(PIP) --no-deps --no-build-isolation -e .
endif
	@touch .venv/ready

lock: uv
	requirements/lock.sh

.PHONY: uv
uv: venv
	@.venv/bin/python $(PIP) $(PINNED) -r requirements/lock.txt

WITH ?= $(PYTHON)
oldest: ORDER := lowest-direct
newest: ORDER := highest
oldest newest: uv
	rm -rf build/$@
	$(WITH) -m venv build/$@
	UV_PYTHON_DOWNLOADS=never .venv/bin/uv pip compile --quiet --resolution $(ORDER) --only-binary :all: \
	  --python build/$@/bin/python --extra test pyproject.toml -o build/$@/packages.txt
	build/$@/bin/python $(PIP) --only-binary :all: -r build/$@/packages.txt
	build/$@/bin/python $(PIP) --no-deps --no-build-isolation -e .
	build/$@/bin/python -m pytest -m "not engine" -n auto --dist loadfile

docker:
	docker/build.sh cpu

docker-cuda:
	docker/build.sh cuda

docker-test: engine
	@docker version >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || { command -v buildah && command -v debootstrap; } >/dev/null \
	  || { apt-get update -q && apt-get install -q -y --no-install-recommends buildah debootstrap; }
	.venv/bin/python -m pytest -rs tests/docker

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
