# make demo: the sample drive through the flow.   make test: the tests.   make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
# Python compiles what is imported; compiling all 25,000 modules would take minutes.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
# Prefect's database of these runs stays here, out of the home folder.
export PREFECT_HOME := $(CURDIR)/.prefect
export PREFECT_LOGGING_LEVEL ?= WARNING

.PHONY: help demo test test-servers test-slow test-gpu torture cases check coverage clip bench safety-bench queries nothing-new memory verify-bench street docs clean attack fuzz
help:
	@echo "make demo       render the sample drive, run the Prefect flow on it, write the overlay video"
	@echo "make test       the tests (slow proofs excepted)"
	@echo "make test-servers  installs the RTSP server and the exiftool that tests start (Debian, as root); without them those are skipped"
	@echo "make test-slow  the slow proofs"
	@echo "make test-gpu   the tests that need a CUDA device"
	@echo "make torture    runs killed at 120 points, 700 hostile files, cameras that die, a day of streaming (at most 20 min)"
	@echo "make attack     every attack that the tests know, and whether it was held (at most 10 min)"
	@echo "make fuzz       made-up input for the parsers of tracks, manifests, masks and addresses, for an hour (SECONDS=N)"
	@echo "make cases      inputs that once came out wrong: each with its right answer and what segpipe gives (CASES=FOLDER)"
	@echo "make check      ruff, formatting, mypy, import-linter, and known vulnerabilities of what is installed"
	@echo "make coverage   lines and branches that the tests reach, and the ten least covered modules (TESTS=FILES)"
	@echo "make bench      pipeline against its limit and a plain script; what time, place and regions add (CLIP=FILE, or CLIPS=FOLDER)"
	@echo "make safety-bench  what crash safety costs, against its limit of 3 % (CLIP=FILE, or CLIPS=FOLDER)"
	@echo "make queries    the cookbook and the layers on ten million rows, each against its limit"
	@echo "make memory     peak memory for 20 s and for 10 min of video, side by side (CLIP=FILE, or CLIPS=FOLDER)"
	@echo "make verify-bench  segpipe verify on a million frames, against its limit of a minute (6 GB of disk for a while)"
	@echo "make street     train builtin:street from CamVid again (CAMVID=FOLDER; an hour on two cores; goes on where it was stopped)"
	@echo "make docs       build the pages of docs/ as a site into site/; a broken link fails"
	@echo "make clean      remove the demo's files and caches"

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing segpipe into .venv (several minutes the first time)"
	$(INSTALL) -e '.[analysis,flows]'
	@touch $@

# Each holds all of the one before: a fresh install is one step.
.venv/test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing segpipe and what its tests need into .venv (several minutes the first time)"
	$(INSTALL) -e '.[all,test]'
	@touch .venv/base $@

.venv/check: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing segpipe and what its checks need into .venv (several minutes the first time)"
	$(INSTALL) -e '.[all,test,check]'
	@touch .venv/base .venv/test $@

demo: .venv/base
	@$(BIN)/python -m scripts.demo

test: .venv/test
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

# GStreamer and the system's Python play the camera (segpipe itself reads streams by PyAV); exiftool reads the telemetry of dashcams.
SERVERS := python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly libimage-exiftool-perl
test-servers:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		dpkg -s $(SERVERS) >/dev/null 2>&1 || { apt-get update -q && apt-get install -qy --no-install-recommends $(SERVERS); }; \
	else echo "not root, or no apt-get: tests with an RTSP server or exiftool may be skipped (they need $(SERVERS))"; fi

test-slow: .venv/test
	$(BIN)/python -m pytest -m slow

test-gpu: .venv/test
	$(BIN)/python -m pytest -m gpu

torture: .venv/test
	$(BIN)/python -m tests.torture

attack: .venv/test
	$(BIN)/python -m pytest -m attack -q -p tests.attacks.table

# What it finds is kept in .hypothesis, and tried first the next time.
SECONDS ?= 3600
fuzz: .venv/test
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# Without CASES the tests' own data: SEGPIPE_TEST_DATA, as tests/conftest.py has it.
cases: .venv/test
	$(BIN)/python -m tests.cases $(CASES)

check: .venv/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.audit

# Lines and branches, those of child processes and of both workers too: [tool.coverage] in pyproject.toml.
TESTS ?= tests
coverage: .venv/test
	rm -f .coverage .coverage.*
	PYTHONPATH=$(CURDIR)/tests/reader_coverage SEGPIPE_READER_SANDBOX=off $(BIN)/python -m pytest $(TESTS) -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=
	$(BIN)/python -m scripts.least_covered

# CLIPS is a folder of real clips. The figures in the README are of solidWhiteRight.mp4 (MIT licence):
# https://github.com/udacity/CarND-LaneLines-P1, folder test_videos.
CLIP ?= $(if $(CLIPS),$(CLIPS)/solidWhiteRight.mp4)
clip:
	@test -f "$(CLIP)" || { echo "no clip at '$(CLIP)': give CLIP=FILE, or CLIPS=FOLDER with solidWhiteRight.mp4" \
		"(https://github.com/udacity/CarND-LaneLines-P1, folder test_videos)" >&2; exit 2; }

bench: clip .venv/base
	$(BIN)/segpipe bench $(CLIP)
	$(BIN)/python tests/benchmarks/against_plain_script.py $(CLIP)
	$(BIN)/python -m tests.benchmarks.added_cost $(CLIP)
	$(BIN)/python -m tests.benchmarks.fingerprints $(CLIP)

safety-bench: clip .venv/base
	$(BIN)/python -m tests.benchmarks.crash_safety $(CLIP)

queries: .venv/base
	$(BIN)/python -m tests.benchmarks.ten_million_rows

nothing-new: .venv/base
	$(BIN)/python -m tests.benchmarks.nothing_new --images 1 --videos 0
	$(BIN)/python -m tests.benchmarks.nothing_new

memory: clip .venv/base
	$(BIN)/python tests/benchmarks/memory.py $(CLIP)

verify-bench: .venv/base
	$(BIN)/python -m tests.benchmarks.verify_million

street: .venv/test
	$(BIN)/segpipe train -c configs/train-street.yaml

.venv/docs: .venv/base
	$(INSTALL) -e '.[flows,docs]'
	@touch $@

docs: .venv/docs
	$(BIN)/mkdocs build --strict

clean:
	rm -rf demo site .prefect .pytest_cache .ruff_cache .mypy_cache build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
