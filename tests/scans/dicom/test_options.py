"""Rules are read strictly: what is not understood, or cannot be meant, is refused."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medfs.core.errors import ConfigError
from medfs.scans.options import ReadOptions, load_options, parse_options

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6)
MEASURE = st.one_of(st.integers(0, 9999), st.floats(0, 1e6))
RANGES = st.tuples(MEASURE, st.one_of(MEASURE, st.just(float("inf")))).map(
    lambda pair: (min(pair), max(pair))
)
OPTIONS = st.builds(
    ReadOptions,
    modality=st.lists(TEXT).map(tuple),
    description=st.lists(TEXT).map(tuple),
    not_description=st.lists(TEXT).map(tuple),
    image_type=st.lists(TEXT).map(tuple),
    not_image_type=st.lists(TEXT).map(tuple),
    slices=RANGES,
    thickness_mm=RANGES,
    series_number=st.one_of(st.none(), st.integers(-999, 99999).map(str), TEXT),
    component=st.sampled_from([None, "magnitude", "phase", "real", "imaginary"]),
    prefer=st.lists(st.sampled_from(["thinnest", "most-slices", "lowest-number"])).map(tuple),
    volume=st.one_of(st.none(), st.just("first"), st.just("mean"), st.integers(0, 99)),
    tilt=st.sampled_from(["keep", "correct", "refuse"]),
    few_slices=st.sampled_from(["refuse", "keep"]),
    suv=st.booleans(),
)


@given(options=OPTIONS)
def test_rules_survive_being_written(options):
    assert parse_options(options.to_dict()) == options


@given(options=OPTIONS)
def test_rules_survive_a_yaml_file(tmp_path_factory, options):
    path = tmp_path_factory.mktemp("rules") / "r.yaml"
    path.write_text(yaml.safe_dump(options.to_dict()), "utf-8")
    assert load_options(path) == options


def test_the_defaults_say_nothing():
    assert ReadOptions().to_dict() == {}
    assert parse_options({}) == ReadOptions()


WRONG = [
    "colour: blue",
    "1: 2",
    "null: 2",
    "Modality: CT",
    "modality: 3",
    "modality: null",
    "modality: ''",
    "modality: [CT, 3]",
    "modality: {CT: 1}",
    "modality: true",
    "description: [[a]]",
    "volume: true",
    "volume: false",
    "volume: -1",
    "volume: 1.0",
    "volume: last",
    "volume: [0]",
    "slices: 5",
    "slices: {}",
    "slices: [1, 5]",
    "slices: {min: 5, max: 3}",
    "slices: {min: 1, most: 3}",
    "slices: {min: true}",
    "slices: {min: '3'}",
    "slices: {min: -1}",
    "slices: {min: .nan}",
    "slices: {max: .nan}",
    "slices: {min: .inf}",
    "slices: {max: .inf}",
    "slices: {min: -.inf}",
    "slices: {max: null}",
    "thickness_mm: {max: 1" + "0" * 400 + "}",
    "thickness_mm: {min: 2.5, max: 2.4}",
    "series_number: true",
    "series_number: 1.5",
    "series_number: [3]",
    "series_number: {a: 1}",
    "series_number: ''",
    "series_number: 0x" + "f" * 9000,
    "component: Phase",
    "component: true",
    "prefer: thin",
    "prefer: [thinnest, 1]",
    "prefer: {thinnest: 1}",
    "tilt: null",
    "tilt: Keep",
    "tilt: [keep]",
    "few_slices: yes",
    "suv: 1",
    "suv: 'true'",
    "suv: null",
    "- modality: CT",
    "just a text",
    "42",
]
UNREADABLE = [
    "modality: [CT",
    "modality: CT\nmodality: MR",
    "slices: {min: 1, min: 2}",
    "a: &x CT\nmodality: *x",
    "modality: !!python/object/apply:os.system ['true']",
    "modality: !!python/name:os.system",
    "modality: !unknown CT",
    "modality: !!binary 'abc'",
    "slices: {min: 2024-19-45}",
    "slices: {min: !!int abc}",
    "slices: {min: !!float abc}",
    "suv: !!bool perhaps",
    "suv: !!timestamp perhaps",
    "modality: !!set {CT, [MR]}",
    "? [a, b]\n: 1",
    "--- 1\n--- 2",
    "modality: \x07",
    "series_number: " + "9" * 5000,
]


@pytest.mark.parametrize("text", [*WRONG, *UNREADABLE], ids=lambda t: t[:40])
def test_what_is_no_rule_is_refused_by_the_name_of_the_file(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_options(path)
    told = str(caught.value)
    assert told.startswith("rules.yaml: ")
    assert len(told) < 700
    if text in UNREADABLE:
        assert "cannot be read" in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour: blue", "unknown rule.*colour.*Known are component, description"),
        ("slices: {min: 5, max: 3}", "slices leaves nothing: its min is above its max"),
        ("volume: true", "volume cannot be True. Possible are first, mean"),
        ("modality: CT\nmodality: MR", "'modality' is given twice"),
        ("a: &x 1\nslices: {min: *x}", "aliases"),
        ("prefer: thin", "prefer cannot be 'thin'. Possible are thinnest, thickest"),
    ],
)
def test_messages_name_the_rule_and_what_is_possible(tmp_path, text, words):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_options(tmp_path / "r.yaml")


HOSTILE = {
    "nested lists": "modality: " + "[" * 20000,
    "nested maps": "modality: " + "{a: " * 9000,
    "a huge file": "# " + "x" * (1 << 17),
    "many keys": "\n".join(f"k{n}: 1" for n in range(5000)),
    "laughs": "a: &a [x,x,x,x,x,x,x,x]\n"
    + "\n".join(
        f"{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p}]"
        for p, c in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "not UTF-8": b"modality: \xff\xfe",
    "zeros": b"\0" * 1000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_at_once(tmp_path, content):
    path = tmp_path / "r.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    begin = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load_options(path)
    assert time.monotonic() - begin < 10
    assert len(str(caught.value)) < 1000


def test_a_value_that_would_be_gigabytes_in_a_message_is_abridged():
    value: object = "x"
    for _ in range(60):
        value = [value, value]
    for key in ("modality", "volume", "slices", "tilt", "series_number"):
        with pytest.raises(ConfigError) as caught:
            parse_options({key: value})
        assert len(str(caught.value)) < 1000


def test_no_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_options(path)


def test_an_empty_file_is_no_rule(tmp_path):
    (tmp_path / "r.yaml").write_text("# nothing\n")
    assert load_options(tmp_path / "r.yaml") == ReadOptions()


@pytest.mark.parametrize(
    "changed",
    [
        {"tilt": "Correct"},
        {"volume": -1},
        {"volume": "last"},
        {"volume": True},
        {"slices": (5, 3)},
        {"slices": (0, float("nan"))},
        {"slices": (float("inf"), float("inf"))},
        {"slices": (1, 2, 3)},
        {"prefer": ("thin",)},
        {"component": "angle"},
        {"suv": "yes"},
        {"few_slices": True},
    ],
)
def test_rules_made_in_python_are_checked_too(changed):
    with pytest.raises(ConfigError):
        ReadOptions(**changed)


def test_rules_are_written_in_one_way():
    assert ReadOptions(modality="ct") == parse_options({"modality": ["CT"]})
    assert parse_options({"series_number": "007"}).series_number == "7"
    assert parse_options({"series_number": 7}) == parse_options({"series_number": "+7"})
