# Two commands on a fresh machine: `make demo` and `make test`. Both make the environment in .venv first.
PYTHON ?= python3
# Where plain pip would bring CUDA and a CPU build is wanted, say e.g. make TORCH="torch==2.13.0 --index-url URL" demo
TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
PY := .venv/bin/python
PIP := .venv/bin/pip --disable-pip-version-check

.PHONY: gpu demo test bench quality embedded reliability fuzz lint clean browser

demo: .venv/ready
	@mkdir -p out
	$(PY) -m lib_usdu tests/photos/demo.png -o out/demo.png --scale 4 --compare out/demo-before-after.png --overwrite
	@echo "The picture: out/demo.png    before and after: out/demo-before-after.png"

test: .venv/ready .venv-gradio3/ready .venv-gradio4/ready browser lint
	OMP_NUM_THREADS=2 $(PY) -m pytest

bench: .venv/ready
	OMP_NUM_THREADS=2 $(PY) -m bench.speed

# Tiles against one un-tiled pass: table and contact sheet.
PHOTOS ?= tests/photos/chelsea.jpg tests/photos/grass.jpg tests/photos/astronaut.jpg tests/photos/brick.jpg
quality: .venv/ready
	@mkdir -p out
	OMP_NUM_THREADS=2 $(PY) -m bench.quality $(PHOTOS) --json out/quality.json --markdown out/quality.md --sheet out/quality.png

# The embedded default against plain Lanczos: PHOTOS are made small and enlarged again.
embedded: .venv/ready
	OMP_NUM_THREADS=2 $(PY) -m bench.embedded $(PHOTOS)

# What is injected and what survives: 50 kills, faults at every tile, and make fuzz.
reliability: .venv/ready
	rm -f out/reliability.json
	OMP_NUM_THREADS=2 USDU_COUNTS=out/reliability.json USDU_KILLS=50 USDU_SECONDS=3600 USDU_FAULT_STEP=1 USDU_FUZZ=20000 \
		$(PY) -m pytest tests/reliability tests/webui/test_reliability.py
	$(PY) -m bench.reliability out/reliability.json

# On a machine with an accelerator; under six minutes. Writes gpu.json and gpu.md.
gpu: .venv/ready
	$(PY) -m bench.gpu --out out/gpu

fuzz: .venv/ready
	OMP_NUM_THREADS=2 USDU_FUZZ=20000 $(PY) -m pytest tests/reliability tests/webui/test_reliability.py -k fuzz

lint: .venv/ready
	.venv/bin/ruff check .

clean:
	rm -rf .venv .venv-gradio3 .venv-gradio4 out build *.egg-info .pytest_cache .ruff_cache .hypothesis

# torch first and torchvision without what it would pull in: no CUDA packages on a machine without a GPU.
.venv/ready: pyproject.toml .ci/constraints.txt Makefile
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PIP) install -q $(TORCH)
	$(PIP) install -q --no-deps $(TORCHVISION)
	$(PIP) install -q -c .ci/constraints.txt -e ".[standalone,dev]"
	touch $@

# The panel is tested in a real browser on both gradio versions that webuis use.
.venv-gradio%/ready: tests/panel/requirements-gradio%.txt
	test -x .venv-gradio$*/bin/python || $(PYTHON) -m venv .venv-gradio$*
	.venv-gradio$*/bin/pip --disable-pip-version-check install -q -r $<
	touch $@

browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
		echo "The panel tests need Chromium and its driver; installing the packages chromium and chromium-driver."; \
		apt-get update -q && apt-get install -y -q chromium chromium-driver; }
