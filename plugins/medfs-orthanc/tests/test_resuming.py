"""What is remembered, what is not done twice, and what is left alone."""

import json

import pytest
from medfs_orthanc.cli import ATTACHMENT


@pytest.fixture
def state(tmp_path):
    def read():
        return json.loads((tmp_path / "state.json").read_text())

    return read


def test_a_second_look_goes_on_where_the_first_ended(server, scans, once, state):
    (first,) = server.put_series(scans[0])
    assert "1 answered" in once().err
    before = server.content_of(first)
    (second,) = server.put_series(scans[1])
    done = once()
    assert "1 answered" in done.err
    assert first not in done.err
    assert server.content_of(first) == before
    assert server.content_of(second) is not None
    stopped_at = state()["last"]
    assert "nothing new" in once().err
    assert state()["last"] >= stopped_at


def test_changes_come_in_pages(server, scans, once, monkeypatch):
    monkeypatch.setattr("medfs_orthanc.server._AT_ONCE", 4)
    files = sorted(scans[0].iterdir())
    twice = server.upload(*files[:-1])
    server.until_stable(twice)
    server.upload(files[-1])
    server.until_stable(twice, times=2)
    other = server.put_series(scans[1])
    done = once()
    assert done.code == 0, done.err
    assert "2 answered, 1 passed over" in done.err
    assert server.answer(twice)["series"]["instances"] == len(files)
    assert all(server.content_of(series) for series in other)


def test_without_a_state_nothing_is_predicted_twice(server, scans, once, tmp_path, monkeypatch):
    (series,) = server.put_series(scans[0])
    once()
    before = server.content_of(series)
    monkeypatch.setattr("medfs_orthanc.answer.Model.answer", None)
    done = once("--state", tmp_path / "another.json")
    assert done.code == 0
    assert f"series {series}: passed over, as it is answered already" in done.err
    assert server.content_of(series) == before


def test_a_watch_that_was_stopped_loses_nothing(server, scans, once, state, monkeypatch):
    """Ctrl-C at the second of two series: the first stays answered, the second comes next."""
    from medfs_orthanc.answer import Model

    series = server.put_series(scans[0], scans[1])
    answer, seen = Model.answer, []

    def stop_at_the_second(model, one, folder):
        seen.append((one.orthanc_id, folder))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return answer(model, one, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "answer", stop_at_the_second)
        done = once()
    assert done.code == 130
    assert "interrupted" in done.err
    assert not any(folder.exists() for _, folder in seen)
    (first, _), (second, _) = seen
    assert {first, second} == set(series)
    assert server.content_of(second) is None
    before, done = server.content_of(first), once()
    assert done.code == 0
    assert first not in done.err
    assert server.content_of(first) == before
    assert server.answer(second)["probabilities"]


def test_from_now_leaves_out_what_is_there(server, scans, watch, model, tmp_path):
    (old,) = server.put_series(scans[0])
    call = ["--once", "--from-now", "--url", server.url, "--user", "tester", "--model", model]
    call += ["--state", tmp_path / "state.json"]
    assert "nothing new" in watch(*call).err
    (new,) = server.put_series(scans[1])
    assert "1 answered" in watch(*call).err
    assert server.content_of(old) is None
    assert server.content_of(new) is not None


def test_images_that_come_later_are_answered_anew(server, scans, once):
    files = sorted(scans[0].iterdir())
    series = server.upload(*files[:-2])
    server.until_stable(series)
    once()
    fewer = server.answer(series)
    server.upload(*files[-2:])
    done = once()
    assert "images still arrive" in done.err or "nothing new" in done.err
    server.until_stable(series, times=2)
    assert "1 answered" in once().err
    more = server.answer(series)
    assert more["series"]["instances"] == fewer["series"]["instances"] + 2
    assert more["series"]["sha256"] != fewer["series"]["sha256"]


@pytest.mark.parametrize("revisions", [False, True])
def test_the_answer_of_another_model_is_replaced(
    new_server, scans, watch, model, other_model, tmp_path, revisions
):
    server = new_server(CheckRevisions=revisions, UserContentType={"medfs": ATTACHMENT})
    (series,) = server.put_series(scans[0])
    found = []
    for number, folder in enumerate((model, other_model)):
        state = tmp_path / f"{number}.json"
        call = ["--once", "--url", server.url, "--user", "tester", "--state", state]
        done = watch(*call, "--model", folder)
        assert done.code == 0, done.err
        found.append(server.answer(series))
    assert found[0]["model"] != found[1]["model"]
    assert found[0]["probabilities"] != found[1]["probabilities"]
    assert server.get(f"/series/{series}/attachments").json() == ["medfs"]


def test_what_others_attached_is_left_alone(server, scans, once, tmp_path):
    (series,) = server.put_series(scans[0])
    server.put(f"/series/{series}/attachments/{ATTACHMENT}", b'{"statement": "mine"}')
    done = once()
    assert done.code == 5
    assert "did not write. It is left as it is. Give another --attachment" in done.err
    assert server.content_of(series) == b'{"statement": "mine"}'
    done = once("--state", tmp_path / "other.json", "--attachment", 2000)
    assert done.code == 0
    assert server.content_of(series, 2000) is not None


def test_a_state_belongs_to_one_server_and_one_model(server, once, other_model, tmp_path):
    assert once().code == 0
    kept = (tmp_path / "state.json").read_bytes()
    done = once("--model", other_model)
    assert (done.code, "the state is that of another model" in done.err) == (2, True)
    done = once("--url", server.url.replace("127.0.0.1", "localhost"))
    assert (done.code, "the state is that of another server" in done.err) == (2, True)
    assert (tmp_path / "state.json").read_bytes() == kept


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema_version": 1, "url": 3}', '{"schema_version": 2}']
)
def test_a_damaged_state_is_refused_and_kept(server, once, tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    done = once()
    assert (done.code, "this is no state of medfs-orthanc" in done.err) == (3, True)
    assert (tmp_path / "state.json").read_text() == content


def test_a_server_with_a_new_database_is_noticed(server, scans, once, state, tmp_path):
    (series,) = server.put_series(scans[0])
    once()
    reached = state()
    (tmp_path / "state.json").write_text(json.dumps({**reached, "last": reached["last"] + 1000}))
    done = once()
    assert "its database is another one" in done.err
    assert f"series {series}: passed over" in done.err
    assert state() == {**reached, "last": server.get("/changes?last").json()["Last"]}
