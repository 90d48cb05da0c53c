"""Extension points: what other packages bring is listed, and what is broken breaks nothing."""

import sys

import pytest

from medfs.core.errors import MissingExtraError, PluginError, UsageError
from medfs.core.registry import Registry

BUILTIN = {"own": ("math:sqrt", "square root")}
GROUP = "medfs.of_this_test"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package on the path: its module's text and its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(package: str, version: str, module: str, **points: str) -> None:
        facts = tmp_path / f"{package}-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        lines = [f"{name} = {target}" for name, target in points.items()]
        (facts / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        (tmp_path / f"{package}.py").write_text(module)
        monkeypatch.delitem(sys.modules, package, raising=False)

    return write


@pytest.fixture
def registry():
    return Registry("tool", GROUP, BUILTIN)


def test_a_plugin_is_listed_with_its_version_and_loaded(install, registry):
    install("acme_a", "1.2.3", "class Tool:\n    answer = 42\n", acme="acme_a:Tool.answer")
    entry = registry.entries()["acme"]
    assert (entry.provider, entry.version, entry.origin) == ("acme_a", "1.2.3", "acme_a 1.2.3")
    assert registry.load("acme") == 42
    assert registry.packages(["own", "acme", "absent"]) == {"acme_a": "1.2.3"}


@pytest.mark.parametrize(
    ("module", "target", "said"),
    [
        ("raise RuntimeError('no licence')", "acme_b:Tool", "RuntimeError: no licence"),
        ("1 / 0", "acme_b:Tool", "ZeroDivisionError"),
        ("def (", "acme_b:Tool", "SyntaxError"),
        ("", "acme_b:Tool", "AttributeError"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_nothing_else(install, registry, module, target, said):
    install("acme_b", "0.9", module, acme=target)
    assert set(registry.entries()) == {"own", "acme"}
    assert registry.load("own")(4) == 2
    with pytest.raises(PluginError, match=said) as error:
        registry.load("acme")
    assert "acme_b 0.9" in str(error.value)
    assert "the tool 'acme' cannot be loaded" in str(error.value)


@pytest.mark.parametrize("target", ["acme_missing:Tool", "acme_c:Tool"])
def test_what_needs_another_package_says_so(install, registry, target):
    install("acme_c", "1", "import a_package_that_is_not_here", acme=target)
    with pytest.raises(MissingExtraError, match="acme_c 1 needs a package that is not here"):
        registry.load("acme")


def test_a_name_that_is_taken_stays_with_its_first_owner(install, registry):
    install("acme_d", "1", "Tool = 'd'", own="acme_d:Tool", both="acme_d:Tool")
    install("acme_e", "2", "Tool = 'e'", both="acme_e:Tool")
    assert registry.load("own")(4) == 2
    assert registry.load("both") == "d"
    shadowed = {(e.name, e.origin) for e in registry.shadowed()}
    assert shadowed == {("own", "acme_d 1"), ("both", "acme_e 2")}


def test_without_a_group_only_medfs_brings_such_things(install):
    install("acme_f", "1", "Tool = 1", acme="acme_f:Tool")
    assert set(Registry("tool", None, BUILTIN).entries()) == {"own"}


def test_the_nearest_name_is_offered(registry):
    with pytest.raises(UsageError, match="Did you mean 'own'"):
        registry.check("owm")
