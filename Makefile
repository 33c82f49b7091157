# Every target does its own set-up: .venv is made on first use and brought up to date when the dependencies change.
#
#   PYTHON  the Python that makes .venv              (default: a suitable one that is found)
#   HOST, PORT  where the app listens                (default: 127.0.0.1, 7860)
#   DATA    folder with annotation.json and images   (app, bench: none; train, evaluate: data/iu_xray)
#   MODEL   the model to train or to evaluate        (train: r2gen_cmn; evaluate: all with weights)
#   BACKBONE  safetensors file of ImageNet weights for the image encoder (train; default: none)
#   SECOND, PICTURES  chests of a second hospital, and pictures without chests (quality; default: none)
#   SPLIT, OUT, FORCE  which studies `make evaluate` takes, the folder it writes, and 1 to ignore cached results

MODEL ?= r2gen_cmn
SPLIT ?= val
OUT ?= out
# Without a MODEL from the command line or the environment all are evaluated.
EVALUATED := $(if $(filter file,$(origin MODEL)),all,$(MODEL))
STUDIES = $(or $(DATA),data/iu_xray)

# What training an architecture needs, and the option that names it.
BEFORE_xpronet := runs/prototypes.safetensors
TRAIN_xpronet = --prototypes $(BEFORE_xpronet)
BEFORE_csr_lmca := runs/sdam.safetensors
TRAIN_csr_lmca = --sdam $(BEFORE_csr_lmca)

BIN := .venv/bin
WORKERS ?= 2
# A worker each for the tests, a thread each for torch: more threads than cores slow every worker down.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# The Python of the GPU machine, which has its own torch, and how `make gpu` trains there.
GPU_PYTHON ?= python3
GPU_SIZES := 256 256 256 256 256 256 256 256 256 256 256 256 384 384 384 384 384 384
GPU_OPTIONS ?= --seeds 3 --jobs 4 --encoder-arguments="--frozen-stages 0 --precision bf16 --workers 12 --sizes $(GPU_SIZES)"

# The first Python found that the dependencies have wheels for.
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && break; done)
SETUP = @test -n "$(PYTHON)" || { echo 'rrg needs Python 3.11, 3.12 or 3.13; install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)'; exit 1; }; \
	"$(PYTHON)" scripts/setup.py

.DEFAULT_GOAL := help
.PHONY: help app test check fast lint fix train evaluate quality statistics gpu bench screenshots space-check

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

app: .venv/app.stamp ## open the app at http://127.0.0.1:7860 (HOST, PORT, DATA)
	@$(BIN)/python app.py $(if $(DATA),--data "$(DATA)")

test: .venv/dev.stamp lint ## everything: lint, types, import rules, all tests with a real browser
	@$(BIN)/python scripts/setup.py browser
	@$(PYTEST)

check: .venv/dev.stamp ## the quick gate before a commit: lint, types, import rules, fast tests
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint fast

fast: .venv/dev.stamp
	@$(PYTEST) -m "not slow and not ui"

lint: .venv/dev.stamp
	@$(BIN)/ruff format --check --quiet . || { echo 'Formatting differs: run "make fix".'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright
	@PYTHONPATH=train $(BIN)/lint-imports --no-cache

fix: .venv/dev.stamp ## format, and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

train: .venv/app.stamp runs/encoder/image_encoder.safetensors $(BEFORE_$(MODEL)) ## train MODEL from DATA (default data/iu_xray) into runs/MODEL
	$(BIN)/python train/train.py $(MODEL) --data "$(STUDIES)" --encoder runs/encoder/image_encoder.safetensors --out runs/$(MODEL) $(TRAIN_$(MODEL))

runs/encoder/image_encoder.safetensors: | .venv/app.stamp
	$(BIN)/python train/pretrain_encoder.py --data "$(STUDIES)" --out runs/encoder $(if $(BACKBONE),--backbone-weights "$(BACKBONE)")

runs/prototypes.safetensors: runs/encoder/image_encoder.safetensors
	$(BIN)/python train/prototypes.py --data "$(STUDIES)" --encoder $< --out $@

runs/sdam.safetensors: runs/encoder/image_encoder.safetensors
	$(BIN)/python train/sdam.py --data "$(STUDIES)" --encoder $< --out $@

gpu: ## train the encoder and all models with three seeds on a GPU, from DATA, SECOND and BACKBONE (scripts/gpu.md)
	@test ! -d wheels || $(GPU_PYTHON) -m pip install --quiet --no-index --no-deps wheels/*.whl
	PYTHONPATH=. $(GPU_PYTHON) train/train_all.py --data "$(STUDIES)" $(if $(SECOND),--second "$(SECOND)") \
		$(if $(BACKBONE),--backbone-weights "$(BACKBONE)") --out runs/gpu/weights --work runs/gpu --pack $(GPU_OPTIONS)

evaluate: .venv/app.stamp ## evaluate all models or MODEL on a split of DATA; write README, docs/results.md and the cards
	$(BIN)/python -m rrg evaluate --data "$(STUDIES)" --split $(SPLIT) --model $(EVALUATED) --out "$(OUT)" $(if $(FORCE),--force)
	$(BIN)/python train/publish.py --split $(SPLIT) --out "$(OUT)"

quality: .venv/app.stamp ## train and measure the checks of images on DATA (SECOND, PICTURES)
	$(BIN)/python train/quality.py --data "$(STUDIES)" $(if $(SECOND),--second "$(SECOND)") $(if $(PICTURES),--pictures "$(PICTURES)")

space-check: .venv/app.stamp ## check that the repository is a Hugging Face Space that starts without network
	@$(BIN)/python scripts/space_check.py

statistics: .venv/app.stamp ## compute what the badges know of the train split of DATA; after a change of weights
	$(BIN)/python train/training_statistics.py --data "$(STUDIES)"

bench: .venv/dev.stamp ## speed of the models and of the app on this machine; on DATA if given, else on synthetic studies
	@$(BIN)/python scripts/setup.py browser
	@$(BIN)/python scripts/bench.py $(if $(DATA),--data "$(DATA)")
	@$(BIN)/python scripts/bench_app.py $(if $(DATA),--data "$(DATA)")

screenshots: .venv/dev.stamp ## pictures of every tab, light and dark, into docs/; needs a browser
	@$(BIN)/python scripts/setup.py browser
	@$(BIN)/python scripts/screenshots.py

.venv/app.stamp: requirements.txt pyproject.toml
	$(SETUP) app
	@touch $@

.venv/dev.stamp: requirements.txt pyproject.toml
	$(SETUP) dev
	@touch $@ .venv/app.stamp
