# Two commands on a fresh machine: `make demo` and `make test`. Both make the environment in .venv first.
PYTHON ?= python3
# Where plain pip would bring CUDA and a CPU build is wanted, say e.g. make TORCH="torch==2.13.0 --index-url URL" demo
TORCH ?= torch==2.13.0
TORCHVISION ?= torchvision==0.28.0
PY := .venv/bin/python
PIP := .venv/bin/pip --disable-pip-version-check

.PHONY: demo test bench lint clean

demo: .venv/ready
	@mkdir -p out
	$(PY) -m lib_usdu tests/photos/demo.png -o out/demo.png --scale 4 --compare out/demo-before-after.png --overwrite
	@echo "The picture: out/demo.png    before and after: out/demo-before-after.png"

test: .venv/ready lint
	OMP_NUM_THREADS=2 $(PY) -m pytest

bench: .venv/ready
	OMP_NUM_THREADS=2 $(PY) -m bench.speed

lint: .venv/ready
	.venv/bin/ruff check .

clean:
	rm -rf .venv out build *.egg-info .pytest_cache .ruff_cache .hypothesis

# torch first and torchvision without what it would pull in: no CUDA packages on a machine without a GPU.
.venv/ready: pyproject.toml .ci/constraints.txt Makefile
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PIP) install -q $(TORCH)
	$(PIP) install -q --no-deps $(TORCHVISION)
	$(PIP) install -q -c .ci/constraints.txt -e ".[standalone,dev]"
	touch $@
