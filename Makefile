# make demo: the sample drive through the flow.   make test: the tests.   make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Prefect's database of these runs stays here, out of the home folder.
export PREFECT_HOME := $(CURDIR)/.prefect
export PREFECT_LOGGING_LEVEL ?= WARNING

.PHONY: help demo test test-servers test-slow test-gpu torture check bench safety-bench queries memory verify-bench street clean
help:
	@echo "make demo       render the sample drive, run the Prefect flow on it, write the overlay video"
	@echo "make test       the tests (slow proofs excepted)"
	@echo "make test-servers  installs the RTSP server that tests of streams start (Debian, as root); without it they are skipped"
	@echo "make test-slow  the slow proofs"
	@echo "make test-gpu   the tests that need a CUDA device"
	@echo "make torture    runs killed at 120 points, 700 hostile files, cameras that die, a day of streaming (at most 20 min)"
	@echo "make check      ruff, the format of the code, mypy, and known vulnerabilities of what is installed"
	@echo "make bench      pipeline against its limit and a plain script; what time, place and regions add (CLIP=file)"
	@echo "make safety-bench  what crash safety costs, against its limit of 3 % (CLIP=file)"
	@echo "make queries    the cookbook and the layers on ten million rows, each against its limit"
	@echo "make memory     peak memory for 20 s and for 10 min of video, side by side"
	@echo "make verify-bench  segpipe verify on a million frames, against its limit of a minute (6 GB of disk for a while)"
	@echo "make street     train builtin:street from CamVid again (an hour on two cores; goes on where it was stopped)"
	@echo "make clean      remove the demo's files and caches"

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing segpipe into .venv (several minutes the first time)"
	$(INSTALL) -e '.[flows]'
	@touch $@

.venv/test: .venv/base
	$(INSTALL) -e '.[flows,hf,train,export,s3,test]'
	@touch $@

.venv/check: .venv/test
	$(INSTALL) -e '.[flows,hf,train,export,s3,test,check]'
	@touch $@

demo: .venv/base
	@$(BIN)/python -m scripts.demo

test: .venv/test
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# GStreamer and the system's Python play the camera. Not part of segpipe: streams are read by PyAV.
GSTREAMER := python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
test-servers:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		dpkg -s $(GSTREAMER) >/dev/null 2>&1 || { apt-get update -q && apt-get install -qy --no-install-recommends $(GSTREAMER); }; \
	else echo "not root, or no apt-get: tests with an RTSP server may be skipped (they need $(GSTREAMER))"; fi

test-slow: .venv/test
	$(BIN)/python -m pytest -m slow

test-gpu: .venv/test
	$(BIN)/python -m pytest -m gpu

torture: .venv/test
	$(BIN)/python -m tests.torture

check: .venv/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.audit

CLIP ?= ../shared/data/clips/solidWhiteRight.mp4
bench: .venv/base
	$(BIN)/segpipe bench $(CLIP)
	$(BIN)/python tests/benchmarks/against_plain_script.py $(CLIP)
	$(BIN)/python -m tests.benchmarks.added_cost $(CLIP)

safety-bench: .venv/base
	$(BIN)/python -m tests.benchmarks.crash_safety $(CLIP)

queries: .venv/base
	$(BIN)/python -m tests.benchmarks.ten_million_rows

memory: .venv/base
	$(BIN)/python tests/benchmarks/memory.py $(CLIP)

verify-bench: .venv/base
	$(BIN)/python -m tests.benchmarks.verify_million

street: .venv/test
	$(BIN)/segpipe train -c configs/train-street.yaml

clean:
	rm -rf demo .prefect .pytest_cache .ruff_cache .mypy_cache build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
