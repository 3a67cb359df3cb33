# make demo   sets up, upscales the sample, writes pictures to demo/
# make test   sets up, passes all quick tests and checks
PYTHON ?= python3
# On Linux, pip takes a PyTorch build with CUDA (gigabytes). For the small one, without GPU:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	-c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# Otherwise `import srnet` beside the clone would find the folder of the clone, which is no package.
EDITABLE := --config-settings editable_mode=compat -e

.PHONY: demo test test-slow test-gpu check format bench weights-readme clean

demo: .venv/installed
	@mkdir -p demo
	$(BIN)/srnet upscale docs/sample.jpg -o demo/ours.png --scale 4 --overwrite --residual demo/added
	$(BIN)/srnet upscale docs/sample.jpg -o demo/bicubic.png --scale 4 --overwrite --strength 0 --quiet
	$(BIN)/srnet compare demo/bicubic.png demo/ours.png --beside demo/added/ours.png.residual.png \
		--overwrite -o demo/side-by-side.png
	@echo "Look at demo/side-by-side.png: bicubic, ours, and what was added."

# Otherwise every process that a test starts compiles the package again.
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/tested
	$(MAKE) --no-print-directory check
# A thread for each process, or they take the cores from each other; where tests ask for more, those
# that wait shall not spin. What is run alone has all threads.
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile \
		-m 'not slow and not gpu and not alone'
	$(BIN)/python -m pytest -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests)

check: .venv/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test-slow: .venv/tested
	$(BIN)/python -m pytest -m slow

test-gpu: .venv/tested
	$(BIN)/python -m pytest -m gpu

bench: .venv/tested
	$(BIN)/python -m tests.bench.speed

format: .venv/tested
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

weights-readme: .venv/tested
	$(BIN)/srnet info --markdown > weights/README.md

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) $(EDITABLE) .
	@touch $@

.venv/tested: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) $(EDITABLE) '.[test]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv demo build dist *.egg-info
