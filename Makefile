# The README's commands, by name.
.PHONY: demo test lint types imports docs check bench
demo:
	medfs demo
test:
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile
lint:
	ruff check . && ruff format --check .
types:
	mypy
imports:
	lint-imports
docs:
	sphinx-build -W --keep-going -b html docs site
check: lint types imports test
bench:
	python benchmarks/frozen_episodes.py --help && python benchmarks/speed.py --help
