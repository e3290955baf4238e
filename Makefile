# Two commands on a fresh machine: `make demo` and `make test`. Both make the environments they need first.
PYTHON ?= python3
# Where plain pip would bring CUDA and a CPU build is wanted, say e.g. make TORCH="torch==2.13.0 --index-url URL" demo
TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
# The versions of AUTOMATIC1111 v1.10.1, torch 2.1.2 among them, run on Python 3.10 or 3.11: the first of these that works.
WEBUI_PYTHON ?= $(shell for p in .venv-webui/bin/python $(PYTHON) python3.11 python3.10; do \
	"$$p" -c "import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))" 2>/dev/null && echo "$$p" && break; done)
# PyPI's build for x86_64 brings CUDA, 1.9 GB to download. Who reaches an index of CPU builds says for instance
# make TORCH21="torch==2.1.2 torchvision==0.16.2 --index-url URL" test
TORCH21 ?= -r tests/webui/requirements-torch21.txt
PY := .venv/bin/python
PIP := .venv/bin/pip --disable-pip-version-check

.PHONY: gpu docs demo test test-current test-webui environments no-webui-python bench quality embedded reliability fuzz lint clean browser

demo: .venv/ready
	@mkdir -p out
	$(PY) -m lib_usdu tests/photos/demo.png -o out/demo.png --scale 4 --compare out/demo-before-after.png --overwrite
	$(PY) -m lib_usdu tests/photos/demo.jpg -o out/demo.jpg --scale 4 --compare out/demo-jpeg-before-after.png --overwrite
	@echo "A clean picture: out/demo.png    before and after: out/demo-before-after.png"
	@echo "A JPEG:          out/demo.jpg    before and after: out/demo-jpeg-before-after.png"

# Everything in .venv with the panel on both gradios, then what a webui runs under AUTOMATIC1111's own versions. Each
# shape of the stand-in webui runs once: A1111's there, Forge's and Neo's in .venv. WORKERS
# processes share the tests, each with one thread: more threads than cores make torch crawl.
WORKERS ?= 3
PYTEST := -m pytest -n $(WORKERS) --dist worksteal
ENVIRONMENTS := .venv/compiled .venv-gradio4/ready $(if $(WEBUI_PYTHON),.venv-webui/ready)
ifneq ($(WEBUI_PYTHON),)
test: environments browser lint
	@$(MAKE) --no-print-directory test-current
	@$(MAKE) --no-print-directory test-webui
else
test: no-webui-python environments browser lint
	OMP_NUM_THREADS=1 $(PY) $(PYTEST) --without-gradio3
	@echo "Not run: the tests under a webui's own versions (torch 2.1.2, gradio 3.41.2), for want of Python 3.10 or 3.11; WEBUI_PYTHON=PATH names one."
endif

test-current:
	OMP_NUM_THREADS=1 $(PY) $(PYTEST) --a1111-elsewhere --durations=20

test-webui:
	OMP_NUM_THREADS=1 .venv-webui/bin/python $(PYTEST) -p no:cacheprovider --webui-versions

# At once: each waits for its downloads most of the time.
environments:
	+@$(MAKE) --no-print-directory -j3 $(ENVIRONMENTS)

# In CI nothing may be left out.
no-webui-python:
	@test "$(CI)" != true || { echo "No Python 3.10 or 3.11 for the tests under a webui's own versions; WEBUI_PYTHON=PATH names one."; exit 1; }

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

# What is injected and what survives: 50 kills, faults and switched models at every tile, failing saves at every
# picture, failing streams at every write, and make fuzz.
reliability: .venv/ready
	rm -f out/reliability.json
	OMP_NUM_THREADS=2 USDU_COUNTS="$(CURDIR)/out/reliability.json" USDU_KILLS=50 USDU_SECONDS=3600 USDU_FAULT_STEP=1 USDU_FUZZ=20000 \
		$(PY) -m pytest tests/reliability tests/webui/test_reliability.py tests/webui/test_wrong_picture.py \
		tests/webui/test_lost_work.py tests/webui/test_page.py
	$(PY) -m bench.reliability out/reliability.json

# Every picture and every page that is made from the code.
docs: .venv/ready .venv-webui/ready browser
	$(PY) -m tools.option_docs
	$(PY) -m tools.figures
	$(PY) -m tools.curves
	$(PY) -m tools.paces_chart
	$(PY) -m tools.panel_pictures
	$(MAKE) --no-print-directory demo
	for name in demo demo-jpeg; do $(PY) -c "from PIL import Image; \
		Image.open('out/$$name-before-after.png').convert('RGB').save('docs/figures/$$name-before-after.jpg', quality=90)"; done
	$(PY) -m tools.made_from

# On a machine with an accelerator; under six minutes. Writes gpu.json and gpu.md.
gpu: .venv/ready
	$(PY) -m bench.gpu --out out/gpu

fuzz: .venv/ready
	OMP_NUM_THREADS=2 USDU_FUZZ=20000 $(PY) -m pytest tests/reliability tests/webui/test_reliability.py -k fuzz

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/basedpyright

clean:
	rm -rf .venv .venv-webui .venv-gradio4 out build *.egg-info .pytest_cache .ruff_cache .hypothesis

# torch first and torchvision without what it would pull in: no CUDA packages on a machine without a GPU.
# Python compiles what is imported; compiling all of torch first took half a minute.
.venv/ready: pyproject.toml .ci/constraints.txt Makefile
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PIP) install -q --no-compile $(TORCH)
	$(PIP) install -q --no-compile --no-deps $(TORCHVISION)
	$(PIP) install -q --no-compile -c .ci/constraints.txt -e ".[standalone,dev]"
	touch $@

# For tests, which start many processes, all of it at once.
.venv/compiled: .venv/ready
	$(PY) -m compileall -q -j 0 .venv/lib > /dev/null || true
	touch $@

# The panel is tested in a real browser on both gradio versions that webuis use: 3.41.2 in .venv-webui, 4.40 here.
.venv-gradio4/ready: tests/panel/requirements-gradio4.txt
	test -x .venv-gradio4/bin/python || $(PYTHON) -m venv .venv-gradio4
	.venv-gradio4/bin/pip --disable-pip-version-check install -q -r $<
	touch $@

# What AUTOMATIC1111 v1.10.1 installs. torch comes without what only a GPU needs; cuDNN's own libraries, 1.1 GB, are
# loaded when a GPU is used, and no sooner.
.venv-webui/ready: tests/webui/requirements-torch21.txt tests/webui/requirements-a1111.txt
	test -x .venv-webui/bin/python || $(WEBUI_PYTHON) -m venv .venv-webui
	.venv-webui/bin/pip --disable-pip-version-check install -q --no-deps $(TORCH21)
	rm -f .venv-webui/lib/python3*/site-packages/nvidia/cudnn/lib/libcudnn_*
	.venv-webui/bin/pip --disable-pip-version-check install -q --no-deps -r tests/webui/requirements-a1111.txt
	touch $@

browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
		echo "The panel tests need Chromium and its driver; installing the packages chromium and chromium-driver."; \
		apt-get update -q && apt-get install -y -q chromium chromium-driver; }
