# Two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python pipeline.py
PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt
DEMO = data/demo

.PHONY: demo table test test-all check bench clean

$(VENV)/installed: setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): some minutes the first time"
	$(PIP) -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -e '.[test,bench,video,augment,hf,search,print,map,tensorboard]'
	touch $@

# A corpus spoken by a synthesiser, a small untrained encoder, four heads, one page.
# Nothing is downloaded but the libraries; cache and runs are its own.
demo: $(VENV)/installed
	$(RUN) speak --root $(DEMO)/audio
	$(RUN) extract --corpus demo --root $(DEMO)/audio --encoder demo --cache $(DEMO)/cache
	$(RUN) inspect --corpus demo --cache $(DEMO)/cache --runs $(DEMO)/runs
	$(RUN) fit --model random_forest xgb --cache $(DEMO)/cache --runs $(DEMO)/runs
	$(RUN) fit --model vgg fusion --set vgg.max_epochs=2 fusion.max_epochs=4 lr=1e-3 --cache $(DEMO)/cache --runs $(DEMO)/runs
	$(RUN) report --runs $(DEMO)/runs --out $(DEMO)/report.html

# Every head under one honest protocol, three seeds: for a machine with a GPU. RAVDESS lies
# in data/audio/ravdess; README's table is written again from the runs.
ENCODER ?= facebook/wav2vec2-base
HEADS = $$($(VENV)/bin/python -c 'from contracts.plugins import names; print(*names("models"))')
ASKED = --corpus ravdess --protocol ravdess-luna5 --labels ravdess8 --seeds 0-2
table: $(VENV)/installed
	$(RUN) extract --corpus ravdess --encoder $(ENCODER) --feature wav2vec2 egemaps mfcc compare16 logmel egemaps_lld_20ms
	$(RUN) fit $(ASKED) --encoder $(ENCODER) --model $(HEADS)
	$(RUN) fit $(ASKED) --model decision_tree random_forest xgb --feature mfcc:mean
	$(RUN) fit $(ASKED) --model logistic_regression svm random_forest --feature compare16
	$(RUN) fit $(ASKED) --model logistic_regression --feature mfcc
	$(RUN) fit $(ASKED) --model random_forest --set n_estimators=500
	$(RUN) fit $(ASKED) --encoder $(ENCODER) --model vgg --set normalise=global
	$(RUN) fit $(ASKED) --encoder $(ENCODER) --model pepino --set normalise=speaker
	$(RUN) report
	$(RUN) heads --write README.md --force

# files side by side; what takes minutes is marked slow and left to test-all
test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

test-all: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest -q -m ''

check: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/installed-test
	$(VENV)/bin/python -m bench

clean:
	rm -rf $(VENV) $(DEMO)
