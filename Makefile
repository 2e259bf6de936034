# make demo   the whole chain on the virtual hospital, then a report to open
# make test   all quick tests (make test-all: the slow ones too)
# make check  lint, types, layering
# Each sets itself up in .venv; nothing but Python >= 3.11, make and git is needed.

PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) -c 'import sys; print("$(name)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
BIN = .venv/bin
TEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test test-all check setup clean
setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "suwen needs Python 3.11 or newer; none was found. Install one, or: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	# what survival is tested against; it asks for pandas below 3, and works with it
	$(BIN)/python -m pip install --quiet --no-deps lifelines==0.30.3 autograd==1.9.1 autograd-gamma==0.5.0 formulaic==1.2.2 interface-meta==2.0.1 wrapt==2.5.2
	@touch $@

demo: setup
	$(BIN)/suwen demo

test: setup
	$(TEST) -m "not slow"

test-all: setup
	$(TEST)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv build src/*.egg-info
