# Two commands for everyone:  make demo   make test
# Each makes .venv when it is missing or stale; nothing else needs the network.
BIN := .venv/bin
export PYTHONUTF8 := 1

.PHONY: help demo test check slow examples bench docs format clean user developer

help:
	@echo "make demo      the whole path on a simulated recording, with a report"
	@echo "make test      the test suite"
	@echo "make check     format, lint, types, import contracts, spelling, dead code"
	@echo "make slow      the tests that take minutes"
	@echo "make examples  every script of examples/, with figures in build/examples"
	@echo "make bench     the quick benchmarks"
	@echo "make docs      regenerate docs/cli.md and build the pages into site/"
	@echo "make format    apply the formatter and the safe fixes"
	@echo "make clean     remove everything that these commands made"

user:
	@tools/bootstrap all

developer:
	@tools/bootstrap all,dev

demo: user
	@$(BIN)/meegic demo

test: developer
	@$(BIN)/python -m pytest -m "not slow and not network"

slow: developer
	@$(BIN)/python -m pytest -m slow

check: developer
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@$(BIN)/codespell

examples: developer
	@for one in examples/*.py; do \
		echo "== $$one"; \
		MPLBACKEND=agg $(BIN)/python -W error "$$one" build/examples || exit 1; \
	done

format: developer
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: developer
	@$(BIN)/python -m benchmarks --quick

docs: developer
	@tools/bootstrap all,dev,docs
	@COLUMNS=80 $(BIN)/typer meegic.cli.main utils docs --name meegic --output docs/cli.md
	@$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv build dist site meegic-demo .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
