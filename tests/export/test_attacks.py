"""Model folders that were damaged or made up are refused in words, never by another exception."""

import hashlib
import json
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medfs.core.errors import ConfigError, IntegrityError
from medfs.export.model_folder import ModelContent, read_model
from medfs.preprocess.presets import parse_preset
from medfs.storage.tensors import tensors_from_bytes, tensors_to_bytes

SUMMED = ("model.json", "report.json", "weights.safetensors")
# `read_model` leaves these to whoever uses the model.
# Every example writes into the same folder, after putting the file back.
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(model, name, content):
    """Replace a file and make the sums fit."""
    (model / name).write_bytes(content)
    sums = [f"{hashlib.sha256((model / n).read_bytes()).hexdigest()}  {n}\n" for n in SUMMED]
    (model / "SHA256SUMS").write_text("".join(sums))


def edit(model, change):
    description = json.loads((model / "model.json").read_text())
    change(description)
    put(model, "model.json", json.dumps(description).encode())


@pytest.mark.parametrize("name", SUMMED)
def test_a_changed_byte_anywhere_is_noticed(model, name):
    whole = (model / name).read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        changed = bytearray(whole)
        changed[at] ^= 1
        (model / name).write_bytes(changed)
        with pytest.raises(IntegrityError):
            read_model(model)


@pytest.mark.parametrize("name", [*SUMMED, "SHA256SUMS"])
@pytest.mark.parametrize("how", ["missing", "empty", "shorter", "longer", "folder"])
def test_a_file_that_is_missing_or_of_another_length_is_noticed(model, name, how):
    path = model / name
    whole = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes({"empty": b"", "shorter": whole[:-2], "longer": whole + b"\n\n"}[how])
    with pytest.raises(IntegrityError):
        read_model(model)


@pytest.mark.parametrize(
    "line",
    [
        "{digest}  ../secret.txt",
        "{digest}  /etc/hostname",
        "{digest}  local/cases.csv",
        "{digest}  extra.bin",
        "{digest} *model.json",
        "{digest}",
        "",
        "\\{digest}  model.json",
    ],
)
def test_sums_that_list_anything_else_are_refused_before_it_is_read(model, line):
    (model.parent / "secret.txt").write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    with (model / "SHA256SUMS").open("a") as file:
        file.write(line.format(digest=digest) + "\n")
    with pytest.raises(IntegrityError):
        read_model(model)


def test_a_name_listed_twice_with_two_sums_is_refused(model):
    sums = (model / "SHA256SUMS").read_text()
    (model / "SHA256SUMS").write_text(sums + f"{'0' * 64}  model.json\n")
    with pytest.raises(IntegrityError):
        read_model(model)


def test_every_change_of_a_sum_is_noticed(model):
    whole = (model / "SHA256SUMS").read_bytes()
    for at, byte in enumerate(whole):
        if byte != 0x0A:
            (model / "SHA256SUMS").write_bytes(whole[:at] + bytes([byte ^ 1]) + whole[at + 1 :])
            with pytest.raises(IntegrityError):
                read_model(model)


def test_sums_in_another_encoding_are_refused(model):
    (model / "SHA256SUMS").write_bytes((model / "SHA256SUMS").read_bytes() + "ä".encode())
    with pytest.raises(IntegrityError):
        read_model(model)


BAD_JSON = [
    b"",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b"1" * 10_000,
    b"NaN",
    b"{}",
    b'{"schema_version": NaN}',
]


@pytest.mark.parametrize("text", BAD_JSON, ids=range(len(BAD_JSON)))
@pytest.mark.parametrize("name", ["model.json", "report.json"])
def test_json_that_is_not_what_medfs_writes_is_refused(model, name, text):
    put(model, name, text)
    if name == "report.json" and text.startswith(b"{}"):
        read_model(model)  # a report may be empty
        return
    with pytest.raises(IntegrityError):
        read_model(model)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000])
def test_numbers_that_json_does_not_have_are_refused(model, value):
    text = (model / "model.json").read_text().replace('"margin_mm": 5.0', f'"margin_mm": {value}')
    put(model, "model.json", text.encode())
    with pytest.raises((IntegrityError, ConfigError)):
        parse_preset(read_model(model).preset)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 99, "1", None, True, 1.5, [1]])
def test_another_schema_version_is_refused(model, version):
    edit(model, lambda d: d.update(schema_version=version))
    with pytest.raises(IntegrityError):
        read_model(model)


@pytest.mark.parametrize(
    "names",
    [[], ["a"], ["a", "b"], ["a", "b", "c", "d"], ["a", "a", "b"], [1, 2, 3], "abc", None, {}],
)
def test_class_names_that_do_not_fit_the_head_are_refused(model, names):
    edit(model, lambda d: d.update(class_names=names))
    with pytest.raises(IntegrityError):
        read_model(model)


@pytest.mark.parametrize("encoders", [[], None, "ab", [1], [{"name": "radiomics"}], {"a": 1}, [[]]])
def test_encoders_that_are_no_list_of_names_and_identities_are_refused(model, encoders):
    edit(model, lambda d: d.update(encoders=encoders))
    with pytest.raises(IntegrityError):
        read_model(model)


THETA = ("steps.0.mean", "steps.0.scale", "steps.0.limit")
THETA += ("head.weight", "head.bias")
THETA += ("calibration.temperature", "calibration.weight", "calibration.bias")
GUARD = ("ranges.low", "near.middle", "near.rate", "near.within", "near.centres")
GUARD += ("near.directions", "near.variances", "near.rest", "near.limit")


def _retensor(model, change):
    tensors = tensors_from_bytes((model / "weights.safetensors").read_bytes(), "x")
    change(tensors)
    put(model, "weights.safetensors", tensors_to_bytes(tensors))


@pytest.mark.parametrize("name", [*THETA, *(f"guard.{name}" for name in GUARD)])
@pytest.mark.parametrize(
    "how", ["missing", "longer", "scalar or row", "integer", "nan", "infinite"]
)
def test_tensors_that_are_not_those_of_a_classifier_are_refused(model, name, how):
    def change(tensors):
        tensor = tensors.pop(name)
        if how == "missing":
            return
        tensors[name] = {
            "longer": lambda: torch.cat([tensor.reshape(-1)] * 2),
            "scalar or row": lambda: tensor.reshape(-1) if tensor.dim() == 0 else tensor.sum(),
            "integer": lambda: tensor.long(),
            "nan": lambda: tensor * torch.nan,
            "infinite": lambda: tensor + torch.inf,
        }[how]()

    _retensor(model, change)
    with pytest.raises(IntegrityError):
        read_model(model)


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize(
    "name",
    [
        *("calibration.temperature", "steps.0.limit", "steps.0.scale"),
        *(f"guard.near.{name}" for name in ("within", "variances", "rest", "limit", "rate")),
    ],
)
def test_a_scale_that_is_not_positive_is_refused(model, name, value):
    _retensor(model, lambda tensors: tensors.update({name: torch.full_like(tensors[name], value)}))
    with pytest.raises(IntegrityError):
        read_model(model)


@pytest.mark.parametrize(
    "kind", ["temperature", "vector", "platt", "", None, 1, [], ["dirichlet"], {"dirichlet": 1}]
)
def test_a_calibration_that_its_tensors_do_not_fit_is_refused(model, kind):
    edit(model, lambda d: d.update(calibration=kind))
    with pytest.raises(IntegrityError):
        read_model(model)


def test_a_range_that_holds_nothing_is_refused(model):
    _retensor(model, lambda tensors: tensors["guard.ranges.high"].sub_(5))
    with pytest.raises(IntegrityError):
        read_model(model)


def test_a_model_without_a_calibration_is_refused(model):
    edit(model, lambda d: d.pop("calibration"))
    with pytest.raises(IntegrityError):
        read_model(model)


GUARDS = [
    {},
    {"measures": ["padding"]},
    {"modalities": "CT"},
    {"modalities": [1]},
    {"distance": 1},
    {"distance": False},
    {"more": 1},
]


@pytest.mark.parametrize("change", GUARDS, ids=str)
def test_a_guard_that_is_not_what_medfs_writes_is_refused(model, change):
    edit(model, lambda d: d["guard"].update(change) if change else d.update(guard={}))
    with pytest.raises(IntegrityError):
        read_model(model)


def test_a_tensor_that_belongs_to_nothing_is_refused(model):
    _retensor(model, lambda tensors: tensors.update(extra=torch.ones(1)))
    with pytest.raises(IntegrityError):
        read_model(model)


HEADERS = [
    b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}',
    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
    b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
    b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
    b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],'
    b'"data_offsets":[0,4]}}',
    b'{"__metadata__":{"a":1}}',
    b"[" * 1000,
    b"{}",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("length", [None, 0, 2**40, 2**63])
def test_a_lying_safetensors_header_is_refused(model, header, length):
    size = struct.pack("<Q", len(header) if length is None else length)
    put(model, "weights.safetensors", size + header + b"\0" * 4)
    with pytest.raises(IntegrityError):
        read_model(model)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def _places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


@shared_folder
@given(data=st.data())
def test_any_change_of_the_description_is_refused_in_words_or_gives_a_model(model, data):
    original = (model / "model.json").read_bytes()
    description = json.loads(original)
    *path, last = data.draw(st.sampled_from([p for p in _places(description) if p]))
    place = description
    for key in path:
        place = place[key]
    if data.draw(st.booleans(), label="remove"):
        del place[last]
    else:
        place[last] = data.draw(values)
    put(model, "model.json", json.dumps(description).encode())
    try:
        found = read_model(model)
        parse_preset(found.preset)
    except (IntegrityError, ConfigError):
        pass
    else:
        assert isinstance(found, ModelContent)
    finally:
        put(model, "model.json", original)


@shared_folder
@given(st.binary(max_size=200))
def test_any_bytes_as_weights_are_refused(model, content):
    put(model, "weights.safetensors", content)
    with pytest.raises(IntegrityError):
        read_model(model)
