# make train ENV=Ant-v4     imitate a task's demonstrations; further flags: ARGS="--seed 1 --n-demos 10"
# make test                 lint, types and all tests; further flags for pytest: ARGS="-k venv"
# make test-modern          the fast tests on the newest gymnasium and Stable-Baselines3
# make test-lowest          the fast tests on the oldest versions that pyproject.toml allows; needs Python 3.11
# make docs                 the site of docs/ into site/
# make bench                every kind of benchmark once, small: runs/smoke/ and a report of it, in under ten minutes
# make bench-throughput     throughput beside its limit and its peers; wants the machine for itself
# make report               all results as one page, runs/report/report.html
# make clean                remove what make and the tests left behind (not runs/)

ENV = Ant-v4
ARGS =
PYTHON = $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; \
	done)
SOURCES = generative_core gail_suite envs benchmarks tests
# What imitation's data and algorithm modules import beyond our own dependencies; the rest of its list is for its scripts.
IMITATION_NEEDS = datasets jsonpickle tqdm

.PHONY: help train test test-modern test-lowest docs bench bench-throughput report clean

help:
	@sed -n 's/^# make/make/p' Makefile

train: .venv/installed
	.venv/bin/python -m gail_suite.train --env $(ENV) $(ARGS)

test: .venv/installed-test
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/mypy
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 $(ARGS)

# -m "not slow" first, so that a -m of yours in ARGS wins
test-modern: .venv-modern/installed
	OMP_NUM_THREADS=1 .venv-modern/bin/python -m pytest -n 2 -m "not slow" $(ARGS)

# warnings of old libraries about themselves are no concern of ours
test-lowest: .venv-lowest/installed
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n 2 -m "not slow" $(ARGS)

docs: .venv/installed-docs
	.venv/bin/python -m mkdocs build --strict

bench: .venv/installed-bench
	.venv/bin/python -m benchmarks.imitation --preset smoke $(ARGS)
	.venv/bin/python -m benchmarks.images --preset smoke
	.venv/bin/python -m benchmarks.report

bench-throughput: .venv/installed-bench
	.venv/bin/python -m benchmarks.throughput envs --json benchmarks/results/throughput-envs.json $(ARGS)
	.venv/bin/python -m benchmarks.throughput gail --json benchmarks/results/throughput-gail.json
	.venv/bin/python -m benchmarks.throughput core --json benchmarks/results/throughput-core.json
	.venv/bin/python -m benchmarks.throughput scaling --json benchmarks/results/throughput-scaling.json

report: .venv/installed-report
	.venv/bin/python -m benchmarks.report $(ARGS)

clean:
	rm -rf .venv .venv-modern .venv-lowest build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis MUJOCO_LOG.TXT
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# -- environments ------------------------------------------------------------------------------------------------------

# $(call venv,folder): make it unless a working one is there
define venv
	@"$(1)/bin/python" -c "import pip" 2>/dev/null || { \
		test -n "$(PYTHON)" || { \
			echo "error: no Python 3.11 or newer with its venv module was found; install one (Debian and Ubuntu:" \
				"apt-get install python3 python3-venv) or name one: make PYTHON=/path/to/python3 ..." >&2; \
			exit 1; \
		}; \
		"$(PYTHON)" -m venv --clear $(1); \
	}
endef

# $(call pip,folder,arguments): quiet; the log only where it fails
define pip
	@echo "into $(1), which takes some minutes the first time: pip install $(2)"
	@$(1)/bin/python -m pip install --disable-pip-version-check --no-input $(2) > $(1)/install.log 2>&1 || { \
		cat $(1)/install.log >&2; \
		exit 1; \
	}
endef

.venv/installed: pyproject.toml constraints.txt
	$(call venv,.venv)
	$(call pip,.venv,-c constraints.txt -e .)
	@touch $@

.venv/installed-%: .venv/installed
	$(call pip,.venv,-c constraints.txt -e .[$*])
	@touch $@

.venv-lowest/installed: pyproject.toml constraints-lowest.txt
	$(call venv,.venv-lowest)
	$(call pip,.venv-lowest,-c constraints-lowest.txt -e .[test])
	@touch $@

# imitation pins Stable-Baselines3 2.2 and gymnasium 0.29, so it and this package come without their lists, which is
# installed by itself.
.venv-modern/installed: pyproject.toml constraints-modern.txt
	$(call venv,.venv-modern)
	@.venv-modern/bin/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	needs = project["dependencies"] + project["optional-dependencies"]["test"]; \
	print(*(need for need in needs if not need.startswith("imitation")), sep="\n")' > .venv-modern/requirements.txt
	$(call pip,.venv-modern,-c constraints-modern.txt -r .venv-modern/requirements.txt $(IMITATION_NEEDS))
	$(call pip,.venv-modern,-c constraints-modern.txt --no-deps imitation -e .)
	@touch $@
