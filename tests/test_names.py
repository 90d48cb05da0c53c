"""Every name that a function takes from its module is there.

Linters cannot tell: to them the shapes in annotations are names too, so they are told to look away.
"""

import builtins
import symtable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(p for part in ("medfs", "benchmarks", "tests") for p in (ROOT / part).rglob("*.py"))
OF_EVERY_MODULE = {*vars(builtins), "__file__"}


def missing(source: str, name: str) -> list[str]:
    """Globals that are read somewhere in a module and bound nowhere in it."""
    module = symtable.symtable(source, name, "exec")
    scopes = [module]
    for scope in scopes:
        scopes += scope.get_children()
    bound = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported()}
    bound |= {s.get_name() for scope in scopes for s in scope.get_symbols() if _declared(s)}
    read = {s.get_name() for scope in scopes for s in scope.get_symbols() if _is_read(scope, s)}
    return sorted(read - bound - OF_EVERY_MODULE)


def _declared(symbol: symtable.Symbol) -> bool:
    return symbol.is_declared_global() and symbol.is_assigned()


def _is_read(scope: symtable.SymbolTable, symbol: symtable.Symbol) -> bool:
    return symbol.is_referenced() and (symbol.is_global() or scope.get_type() == "module")


def test_a_name_that_is_nowhere_is_found() -> None:
    source = "import os\ndef f(x):\n    return lambda: g(x, os.sep, len(x), h)\nh = 1\n"
    assert missing(source, "example") == ["g"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_missing(path: Path) -> None:
    assert missing(path.read_text(encoding="utf-8"), str(path)) == []
