"""Files of trees, zips and DICOMDIRs: the same from each, and no archive does harm."""

import io
import os
import shutil
import stat
import struct
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medfs.core.errors import ScanReadError
from medfs.scans.files import ScanFile, find_files
from medfs.scans.files import zips as limits


def write(root, **files):
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def pack(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def raw_zip(*members, end=b""):
    """A zip written by hand: members are dictionaries that may lie about anything."""
    body, central = io.BytesIO(), io.BytesIO()
    for m in members:
        name, data = m.get("name", "a").encode(), m.get("data", b"content")
        method, flags = m.get("method", 0), m.get("flags", 0x800)
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = engine.compress(data) + engine.flush() if method == 8 else data
        packed = m.get("packed", packed)
        crc, size = m.get("crc", zlib.crc32(data)), m.get("size", len(data))
        offset = m.get("offset", body.tell())
        numbers = (flags, method, 0, 0x21, crc, m.get("packed_size", len(packed)), size)
        local = m.get("local_name", name.decode()).encode()
        body.write(struct.pack("<4s5HLLLHH", b"PK\3\4", 20, *numbers, len(local), 0))
        body.write(local + packed)
        central.write(struct.pack("<4s6HLLL", b"PK\1\2", 0x314, 20, *numbers))
        mode = m.get("mode", 0o100644)
        central.write(struct.pack("<5HLL", len(name), 0, 0, 0, 0, mode << 16, offset) + name)
    start, directory = body.tell(), central.getvalue()
    count = len(members)
    record = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), start, len(end))
    return body.getvalue() + directory + record + end


def contents(files, root=None):
    return [(f.member or f.path.relative_to(root).as_posix(), f.read()) for f in files]


class TestTree:
    def test_hidden_files_and_links_to_folders_are_left_out(self, tmp_path):
        root = write(tmp_path / "t", b__2=b"22", a=b"1", b__c__3=b"333", DICOMDIR=b"x")
        write(root, **{".hidden": b"", ".folder__x": b""})
        (root / "__MACOSX").mkdir()
        (root / "__MACOSX/a").touch()
        (root / "b/loop").symlink_to(root, target_is_directory=True)
        (root / "link").symlink_to(root / "a")
        os.mkfifo(root / "pipe")
        found = find_files(root)
        assert contents(found, root) == [
            ("DICOMDIR", b"x"),
            ("a", b"1"),
            ("b/2", b"22"),
            ("b/c/3", b"333"),
            ("link", b"1"),
        ]
        assert [f.size for f in found] == [1, 1, 2, 3, 1]
        flat = find_files(root, recursive=False)
        assert [f.name for f in flat] == ["DICOMDIR", "a", "link"]

    @pytest.mark.parametrize("target", ["absent", "broken"])
    def test_links_to_nothing_are_not_lost_in_silence(self, tmp_path, target):
        write(tmp_path, a=b"1")
        (tmp_path / "broken").symlink_to(tmp_path / target)
        with pytest.raises(ScanReadError, match=r"1 file.s. of .* links to nothing. broken"):
            find_files(tmp_path)

    def test_one_file_whatever_its_name(self, tmp_path):
        (one,) = find_files(write(tmp_path, **{"no zip": b"PK is not enough"}) / "no zip")
        assert (one.member, one.size, one.suffix) == (None, 16, "")

    def test_nothing_and_no_file(self, tmp_path):
        with pytest.raises(ScanReadError, match="does not exist"):
            find_files(tmp_path / "absent")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ScanReadError, match="neither a file nor a folder"):
            find_files(tmp_path / "pipe")
        assert find_files(write(tmp_path / "empty", **{".x": b""})) == []

    def test_a_file_that_shrinks_or_goes(self, tmp_path):
        (one,) = find_files(write(tmp_path, a=b"12345") / "a")
        (tmp_path / "a").write_bytes(b"123")
        assert one.read(1, 2) == b"23"
        with pytest.raises(ScanReadError, match="It had 5 bytes, and ends after 3"):
            one.read()
        (tmp_path / "a").unlink()
        with pytest.raises(ScanReadError, match="cannot be read"):
            one.read()

    def test_names_cannot_steer_a_terminal(self, tmp_path):
        (one,) = find_files(write(tmp_path, **{"a\x1b[2Jb.nii": b"1"}))
        assert (one.name, one.suffix, one.read()) == ("a�[2Jb.nii", ".nii", b"1")


parts = st.text("abcÄ .é", min_size=1, max_size=5).filter(lambda s: s.strip(". ") != "")
trees = st.dictionaries(
    st.lists(parts, min_size=1, max_size=3).map(tuple), st.binary(max_size=300), max_size=6
).filter(lambda t: not any(a != b and b[: len(a)] == a for a in t for b in t))


@given(tree=trees, method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
@example(tree={("a",): bytes(3 << 20), ("b", "c"): b""}, method=zipfile.ZIP_DEFLATED)
def test_a_zip_gives_what_its_tree_gives(tree, method):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        for path, content in tree.items():
            root.joinpath(*path).parent.mkdir(parents=True, exist_ok=True)
            root.joinpath(*path).write_bytes(content)
        zipped = pack(
            Path(folder, "x"), [("/".join(p), c) for p, c in reversed(tree.items())], method
        )
        for recursive in (True, False):
            of_tree = find_files(root, recursive=recursive)
            of_zip = find_files(zipped, recursive=recursive)
            assert contents(of_tree, root) == contents(of_zip)
            assert [(f.name, f.suffix, f.size) for f in of_tree] == [
                (f.name, f.suffix, f.size) for f in of_zip
            ]


@given(
    content=st.binary(max_size=5000).map(lambda b: b * 20),
    start=st.integers(0, 120_000),
    count=st.none() | st.integers(0, 120_000),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_a_range_is_that_range_of_the_whole(content, start, count, method):
    content = b"no zip" + content
    with tempfile.TemporaryDirectory() as folder:
        pack(Path(folder, "z"), [("a", content)], method)
        Path(folder, "f").write_bytes(content)
        stop = None if count is None else start + count
        for name in ("z", "f"):
            (one,) = find_files(Path(folder, name))
            assert one.read(start, count) == content[start:stop]


class TestZip:
    def test_folders_and_hidden_members(self, tmp_path):
        path = pack(tmp_path / "z", [("d/", b""), ("d/.x", b"1"), ("__MACOSX/d/a", b"1")])
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("./d/a", b"2")
        assert contents(find_files(path)) == [("d/a", b"2")]

    def test_an_inner_zip_is_not_opened(self, tmp_path):
        inner = pack(tmp_path / "inner.zip", [("a", b"1")]).read_bytes()
        (one,) = find_files(pack(tmp_path / "z.zip", [("inner.zip", inner)]))
        assert one.read() == inner

    def test_empty_and_large_archives(self, tmp_path):
        assert find_files(pack(tmp_path / "empty.zip", [])) == []
        # More than 65,535 members need the ZIP64 records.
        path = pack(tmp_path / "z", [(f"{i:05d}", b"") for i in range(65_536)], zipfile.ZIP_STORED)
        found = find_files(path)
        assert len(found) == 65_536
        assert found[-1].read() == b""

    def test_streamed_and_zip64_members(self, tmp_path):
        class Pipe(io.RawIOBase):
            """Cannot seek, so that sizes follow the data."""

            def __init__(self):
                self.content = b""

            def writable(self):
                return True

            def write(self, data):
                self.content += bytes(data)
                return len(data)

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in "ab":
                with archive.open(name, "w", force_zip64=True) as member:
                    member.write(name.encode() * 1000)
        (tmp_path / "z").write_bytes(pipe.content)
        assert contents(find_files(tmp_path / "z")) == [("a", b"a" * 1000), ("b", b"b" * 1000)]

    def test_a_file_that_names_its_member_only(self, tmp_path):
        path = pack(tmp_path / "z", [("d/a", b"1234")])
        assert ScanFile(path, "d/a", 4).read() == b"1234"
        with pytest.raises(ScanReadError, match="holds no file b"):
            ScanFile(path, "d/b", 4).read()

    def test_threads_read_alike(self, tmp_path):
        wanted = {f"{i}": os.urandom(20_000) * 3 for i in range(40)}
        found = find_files(pack(tmp_path / "z", wanted.items()))
        seen = [dict[str, bytes]() for _ in range(4)]

        def read(into):
            into.update({f.name: f.read() for f in found})

        threads = [threading.Thread(target=read, args=(into,)) for into in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(into == wanted for into in seen)

    def test_nothing_is_written(self, tmp_path):
        path = pack(tmp_path / "z", [("a", b"1"), ("b/c", b"2")])
        contents(find_files(path))
        assert list(tmp_path.iterdir()) == [path]


NAMES = {
    "/etc/passwd": "absolute",
    "a/../../b": r"'\.\.'",
    "..": r"'\.\.'",
    "a\\b": "backslash",
    "C:/a": "drive letter",
    "c:a": "drive letter",
    "a\0b": "zero byte",
    "//": "absolute",
    ".": "no name",
}


class TestAttacks:
    def refused(self, tmp_path, content, words):
        (tmp_path / "attack").write_bytes(content)
        with pytest.raises(ScanReadError, match=words) as caught:
            find_files(tmp_path / "attack")
        assert caught.value.why
        assert caught.value.todo

    def test_the_handmade_zip_is_right_where_it_does_not_lie(self, tmp_path):
        (tmp_path / "z").write_bytes(raw_zip({}, {"name": "b", "method": 8}, end=b"a comment"))
        assert contents(find_files(tmp_path / "z")) == [("a", b"content"), ("b", b"content")]

    @pytest.mark.parametrize("name", NAMES)
    def test_names(self, tmp_path, name):
        self.refused(tmp_path, raw_zip({"name": name}, {"name": "b"}), NAMES[name])

    @pytest.mark.parametrize(
        ("member", "words"),
        [
            ({"mode": stat.S_IFLNK | 0o777}, "link or a device"),
            ({"mode": stat.S_IFIFO | 0o777}, "link or a device"),
            ({"flags": 0x801}, "encrypted"),
            ({"flags": 0x840}, "encrypted"),
            ({"method": 12}, "method 12"),
            ({"method": 99}, "method 99"),
            ({"method": 9, "flags": 0x820}, "method 9"),
            ({"size": 5}, "states two sizes"),
            ({"method": 8, "size": 0xFFFFFFFF}, "size of a large file in it is missing"),
            ({"method": 8, "size": 2 << 20}, "zip bomb"),
            ({"packed_size": 1 << 20, "size": 1 << 20}, "share the same bytes"),
            ({"flags": 0x800, "name": "b"}, "name.s. occur twice: b"),
            ({"name": "./b"}, "name.s. occur twice: b"),
        ],
    )
    def test_members(self, tmp_path, member, words):
        self.refused(tmp_path, raw_zip({"name": "b"}, {"name": "a"} | member), words)

    def test_overlapping_members(self, tmp_path):
        self.refused(tmp_path, raw_zip({}, {"name": "b", "offset": 0}), "share the same bytes")
        # As Fifield's: the first member spans the local header of the second.
        whole = raw_zip({"name": "a"}, {"name": "b"})
        quoted = raw_zip({"name": "a", "packed_size": 40, "size": 40}, {"name": "b"})
        assert len(quoted) == len(whole)
        self.refused(tmp_path, quoted, "share the same bytes")

    def test_sizes_beyond_the_limits(self, tmp_path, monkeypatch):
        big = raw_zip(*({"name": n, "data": bytes(1000)} for n in "abc"))
        for limit, words in (("MAX_MEMBER", "states 1000 bytes"), ("MAX_TOTAL", "3000 bytes in")):
            with monkeypatch.context() as patch:
                patch.setattr(limits, limit, 999 if limit == "MAX_MEMBER" else 2999)
                self.refused(tmp_path, big, words)
        assert (limits.MAX_MEMBER, limits.MAX_TOTAL) == (4 << 30, 64 << 30)

    def test_a_member_that_states_five_gigabytes(self, tmp_path):
        content = bytearray(pack(tmp_path / "z", [("a", b"x" * 100)]).read_bytes())
        at = content.index(b"PK\1\2")
        # The directory's sizes are moved into a ZIP64 field, which states 5 GiB.
        field = struct.pack("<HHQ", 1, 8, 5 << 30)
        content[at + 24 : at + 28] = b"\xff" * 4
        content[at + 30 : at + 32] = struct.pack("<H", len(field))
        content[at + 47 : at + 47] = field
        end = content.index(b"PK\5\6")
        content[end + 12 : end + 16] = struct.pack("<L", end - at)
        self.refused(tmp_path, bytes(content), f"states {5 << 30} bytes")

    def test_too_many_members(self, tmp_path):
        one = raw_zip({})
        at = one.index(b"PK\5\6")
        lie = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 200_001, 200_001, 47, 38)
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 47, 38, 0)
        self.refused(tmp_path, one[:at] + lie + locator + end, "holds too many files. 200001 files")

    @pytest.mark.parametrize("disk", [(1, 0), (0, 1)])
    def test_parts_of_a_larger_zip(self, tmp_path, disk):
        content = bytearray(raw_zip({}))
        at = content.index(b"PK\5\6")
        content[at + 4 : at + 8] = struct.pack("<HH", *disk)
        self.refused(tmp_path, bytes(content), "one part of a zip in several parts")

    def test_damage(self, tmp_path):
        whole = raw_zip({}, {"name": "b"})
        at = whole.index(b"PK\1\2")
        self.refused(tmp_path, whole[:-30], "may be cut short")
        self.refused(tmp_path, whole + b"trailing", "may be cut short")
        self.refused(tmp_path, whole[:at] + b"XX" + whole[at + 2 :], "no entry at byte")
        self.refused(tmp_path, whole[:at] + b"\0" + whole[at:], "should end at byte")
        self.refused(tmp_path, whole[:-12] + b"\1" + whole[-11:], "one part of|2 files and states")
        shutil.copy(tmp_path / "attack", tmp_path / "x.zip")
        (tmp_path / "x.zip").write_bytes(b"not one")
        with pytest.raises(ScanReadError, match="is not a zip, unlike its name says"):
            find_files(tmp_path / "x.zip")

    def test_a_zip_that_is_a_dicom_file_as_well(self, tmp_path):
        content = raw_zip({"name": "n" * 60, "data": bytes(38) + b"DICM" + bytes(50)})
        assert content[128:132] == b"DICM"
        self.refused(tmp_path, content, "a zip and a DICOM file at once")

    @pytest.mark.parametrize(
        ("member", "words"),
        [
            ({"method": 8, "size": 6}, "states 6 bytes, and it has 7"),
            ({"method": 8, "size": 8}, "states 8 bytes, and it has 7"),
            ({"method": 8, "data": b"", "size": 1}, "states 1 bytes, and it has 0"),
            ({"method": 8, "packed": b"\xff" * 20}, "damaged|decoded"),
            ({"crc": 1}, "checksum is wrong"),
            ({"method": 8, "crc": 1}, "checksum is wrong"),
            ({"local_name": "b"}, "give it different names"),
        ],
    )
    def test_members_that_lie_are_seen_when_read(self, tmp_path, member, words):
        (tmp_path / "z").write_bytes(raw_zip(member))
        (one,) = find_files(tmp_path / "z")
        with pytest.raises(ScanReadError, match=words):
            one.read()

    def test_a_bomb_is_not_inflated_beyond_what_it_states(self, tmp_path):
        packed = zlib.compress(bytes(64 << 20), 9, wbits=-15)
        (tmp_path / "z").write_bytes(raw_zip({"method": 8, "packed": packed, "size": 1000}))
        (one,) = find_files(tmp_path / "z")
        with pytest.raises(ScanReadError, match="states 1000 bytes, and it has 1001"):
            one.read()

    def test_a_zip_that_is_replaced_meanwhile(self, tmp_path):
        path = pack(tmp_path / "z", [("a", b"1" * 50), ("b", b"2" * 50)])
        found = find_files(path)
        pack(path, [("c", b"3")])
        for one in found:
            with pytest.raises(ScanReadError, match="in a zip is damaged"):
                one.read()


@given(
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 400),
)
def test_a_damaged_zip_is_refused_or_read_as_others_read_it(edits, cut):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "z")
        content = bytearray(raw_zip({"data": b"abc" * 30, "method": 8}, {"name": "d/b"}))
        for at, value in edits:
            content[at % len(content)] = value
        path.write_bytes(content[:cut])
        try:
            ours = contents(f for f in find_files(path) if f.member)
        except ScanReadError:
            return
        if not ours:
            return
        with zipfile.ZipFile(path) as archive:
            names = {"/".join(p for p in n.split("/") if p != "."): n for n in archive.namelist()}
            assert {name: archive.read(names[name]) for name, _ in ours} == dict(ours)


class TestDicomdir:
    def copy(self, source, root):
        shutil.copytree(source, root)
        root.chmod(0o755)
        return root

    def test_the_files_it_refers_to(self, pydicom_series, tmp_path):
        root = self.copy(pydicom_series, tmp_path / "disc")
        (root / "unlisted").write_bytes(b"x")
        found = {f.path for f in find_files(root / "DICOMDIR")}
        # Its own folders hold nothing but what it refers to.
        patients = [root / name for name in ("77654033", "98892001", "98892003")]
        listed = [p for patient in patients for p in patient.rglob("*") if p.is_file()]
        assert len(listed) == 31
        assert found == set(listed)
        # The folder is walked, and has its other files too.
        assert {f.path for f in find_files(root)} > found | {root / "unlisted", root / "DICOMDIR"}

    def test_case_does_not_matter(self, pydicom_series, tmp_path):
        root = self.copy(pydicom_series, tmp_path / "disc")
        wanted = [f.size for f in find_files(root / "DICOMDIR")]
        (root / "77654033/CR1").rename(root / "77654033/Cr1")
        found = find_files(root / "DICOMDIR")
        assert [f.size for f in found] == wanted
        assert {"Cr1"} <= {f.path.parent.name for f in found}
        (root / "77654033/cR1").mkdir()
        with pytest.raises(ScanReadError, match="CR1 may be Cr1, cR1"):
            find_files(root / "DICOMDIR")

    def test_missing_files_are_counted(self, pydicom_series, tmp_path):
        root = self.copy(pydicom_series, tmp_path / "disc")
        shutil.rmtree(root / "98892003")
        with pytest.raises(ScanReadError, match=r"of 31 files .* are missing. 98892003/"):
            find_files(root / "DICOMDIR")

    @pytest.mark.parametrize("reference", [["..", "x"], "/ETC", ["A", "B/../C"], "C:X", ["A", "."]])
    def test_references_that_lead_out(self, pydicom_series, tmp_path, reference):
        import pydicom

        (tmp_path / "x").write_bytes(b"secret")
        (tmp_path / "disc").mkdir()
        with pydicom.config.disable_value_validation():
            dataset = pydicom.dcmread(pydicom_series / "DICOMDIR")
            dataset.DirectoryRecordSequence[3].ReferencedFileID = reference
            dataset.save_as(tmp_path / "disc/DICOMDIR")
        with pytest.raises(ScanReadError, match="not safe"):
            find_files(tmp_path / "disc/DICOMDIR")

    def test_a_link_that_leads_out_counts_as_missing(self, pydicom_series, tmp_path):
        root = self.copy(pydicom_series, tmp_path / "disc")
        (root / "77654033").rename(tmp_path / "outside")
        (root / "77654033").symlink_to(tmp_path / "outside", target_is_directory=True)
        with pytest.raises(ScanReadError, match="are missing"):
            find_files(root / "DICOMDIR")

    @pytest.mark.parametrize("keep", [400, 1000, 5000])
    def test_damage(self, pydicom_series, tmp_path, keep):
        content = (pydicom_series / "DICOMDIR").read_bytes()
        (tmp_path / "DICOMDIR").write_bytes(content[:keep])
        with pytest.raises(ScanReadError) as caught:
            find_files(tmp_path / "DICOMDIR")
        assert caught.value.why
