"""`whence data near`, `whence data overlap`: the same by each engine, and what is said where a file cannot be read."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.test_near import made

import whence
from whence.data.near_files import Nearby, nearby
from whence.data.text_files import Files
from whence.text.lines import named
from whence.text.near import near_duplicates


def rows() -> list[dict[str, Any]]:
    """Texts with ids, in no order."""
    texts = [
        *made(random.Random(3), 300),
        "",
        None,
        "thank you",
        "thank you",
        "Größe 漢字 \u2028 ende",
        "größe 漢字 ende",
    ]
    out = [{"key": f"r{i}", "said": text, "other": [i]} for i, text in enumerate(texts)]
    random.Random(1).shuffle(out)
    return out


def laid(folder: Path) -> list[dict[str, Any]]:
    """Rows in five files of all kinds; the ids of two of them are numbers."""
    out = rows()
    for i in (*range(20, 40), *range(260, 290)):
        out[i]["key"] = i
    lines = [json.dumps(row) + "\n" for row in out]
    (folder / "a.jsonl").write_text("\ufeff" + "\n".join(lines[:20]), encoding="utf-8")
    (folder / "b.ndjson").write_text("".join(lines[20:40]), encoding="utf-8")
    (folder / "c.jsonl.gz").write_bytes(gzip.compress("".join(lines[40:150]).encode()))
    for name, part in (("d", out[150:260]), ("e", out[260:290]), ("f", out[290:])):
        table = pa.Table.from_pylist(part)
        if name == "f":
            table = table.set_column(0, "key", table["key"].combine_chunks().dictionary_encode())
        pq.write_table(table, folder / f"{name}.parquet")
    (folder / "readme.txt").write_text("not of them")
    return out


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Daft's runner is chosen once in a process, and has threads: one of its own."""
    surroundings = {**os.environ, **env}
    return subprocess.run(
        [sys.executable, "-m", "whence", *words], capture_output=True, text=True, check=False, env=surroundings
    )


def test_pairs_of_all_files_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Callable[..., Any]) -> None:
    (tmp_path / "in").mkdir()
    laid_out = sorted(laid(tmp_path / "in"), key=lambda row: str(row["key"]).encode())
    monkeypatch.chdir(tmp_path)
    asked = ("--column", "said", "--id", "key", "--threshold", "0.7")
    told = says("data", "near", "in", *asked, "--out", "pairs.parquet", "--json")
    pairs = pq.read_table("pairs.parquet")
    wanted = near_duplicates(pa.array([row["said"] for row in laid_out]), 0.7).to_pydict()
    for side in ("left", "right"):
        assert pairs[side].to_pylist() == [str(laid_out[i]["key"]) for i in wanted[side]]
    assert pairs["jaccard"].to_pylist() == wanted["jaccard"]
    assert {"left": pairs["left"][0].as_py(), "right": pairs["right"][0].as_py(), "jaccard": wanted["jaccard"][0]} == (
        told["examples"][0]
    )
    assert (told["texts"], told["pairs"]) == (306, len(pairs))
    assert len(pairs) > 40
    assert told["clusters"] < told["clustered"] <= 2 * len(pairs)
    printed = says("data", "near", "in", *asked)
    assert f"306 texts: {len(pairs)} pairs" in printed
    assert "thank" not in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "pairs.parquet"]


COMMANDS = ("near", "overlap")


@pytest.mark.parametrize("what", COMMANDS)
def test_daft_writes_the_same_bytes(what: str, tmp_path: Path, says: Callable[..., Any]) -> None:
    """Of lines on this machine and of Parquet on a real S3 server."""
    pytest.importorskip("daft", reason="daft is not installed")
    import boto3
    from moto.server import ThreadedMotoServer

    words = asked(what, tmp_path)
    one = says("data", what, str(tmp_path / "in"), *words, "--json", "--out", str(tmp_path / "one"))
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        server = f"http://127.0.0.1:{moto.get_host_and_port()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
        s3 = boto3.Session("test", "test", region_name="us-east-1").client("s3", endpoint_url=server)
        s3.create_bucket(Bucket="team")
        for file in (tmp_path / "in").glob("*.parquet"):
            s3.upload_file(str(file), "team", f"rows/{file.name}")
            file.unlink()
        paths = ("data", what, str(tmp_path / "in"), "s3://team/rows/*.parquet", "--engine", "daft")
        done = command(*paths, *words, "--json", "--out", str(tmp_path / "two"), AWS_ENDPOINT_URL=server, **keys)
        assert not done.returncode, done.stderr
        gone = command(*paths, "s3://team/old/*.parquet", *words, "--json", AWS_ENDPOINT_URL=server, **keys)
        assert "there is no object s3://team/old/" in json.loads(gone.stdout)["message"]
    finally:
        moto.stop()
    assert json.loads(done.stdout) | {"out": ""} == one | {"out": ""}
    assert one["pairs"] > 20
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.ray
@pytest.mark.parametrize("what", COMMANDS)
def test_ray_writes_the_same_bytes(what: str, tmp_path: Path, says: Callable[..., Any]) -> None:
    for name in ("daft", "ray"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    words = ("data", what, str(tmp_path / "in"), *asked(what, tmp_path))
    says(*words, "--out", str(tmp_path / "one"))
    done = command(*words, "--out", str(tmp_path / "two"), "--engine", "ray", HOME=str(tmp_path / "home"))
    assert not done.returncode, done.stderr
    assert not (tmp_path / "home").exists()
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()
    lost = command(*words, "--engine", "ray", "--address", "127.0.0.1:1")
    assert lost.returncode == 1
    assert "error: no Ray answers at 127.0.0.1:1" in lost.stderr


def asked(what: str, folder: Path) -> list[str]:
    """Files in a folder, and how they are asked for."""
    (folder / "in").mkdir()
    laid(folder / "in")
    words = ["--column", "said", "--id", "key"]
    if what == "overlap":
        items = [{"key": f"i{i}", "said": row["said"]} for i, row in enumerate(rows()[::3])]
        (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        words += ["--items", str(folder / "items.jsonl")]
    return words


def test_items_that_stand_in_texts(tmp_path: Path, says: Callable[..., Any]) -> None:
    words = asked("overlap", tmp_path)
    told = says("data", "overlap", str(tmp_path / "in"), *words, "--json", "--out", str(tmp_path / "found"))
    said = {str(row["key"]): row["said"] for row in laid(tmp_path)}
    items = {f"i{i}": row["said"] for i, row in enumerate(rows()[::3])}
    found = pq.read_table(tmp_path / "found").to_pylist()
    exact = {(one["row"], one["item"]) for one in found if one["tier"] == "exact" and not one["natural"]}
    alike = {(row, item) for row in said for item in items if said[row] and said[row] == items[item]}
    assert exact == alike
    assert (told["texts"], told["items"], told["pairs"]) == (306, 102, len(found))
    assert told["whole"] >= len({item for _, item in exact})
    printed = says("data", "overlap", str(tmp_path / "in"), *words)
    assert f"306 texts: of 102 items {told['whole']} stand in one whole, {told['part']} in part" in printed
    assert "thank" not in printed
    gone = says("data", "overlap", str(tmp_path / "in"), *words[:-1], str(tmp_path / "gone.jsonl"), "--json", code=1)
    assert "there is no file" in gone["message"]


LINE = '{"id": "a", "text": "one two three"}\n'
BAD = {
    "cut": (LINE + '{"id": "b", "te', "a line is no JSON in"),
    "list": (LINE + "[1]\n", "a line is no JSON object in"),
    "column": (LINE + '{"id": "b", "txt": "x"}\n', "a line has no column 'text' in"),
    "number": (LINE + '{"id": "b", "text": 5}\n', "a text ('text') is no text in"),
    "half": (LINE + '{"id": "b", "text": "\\ud800"}\n', "a text ('text') is no text in"),
    "float": (LINE + '{"id": 1.5, "text": "x"}\n', "an id ('id') is neither text nor a whole number in"),
    "twice": (
        LINE + '{"id": 7, "text": "x"}\n' + LINE + LINE,
        "1 ids stand in column 'id' more than once, such as 'a'",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_lines_are_refused(fault: str, tmp_path: Path, says: Callable[..., Any]) -> None:
    (tmp_path / "rows.jsonl").write_text(BAD[fault][0])
    said = says("data", "near", str(tmp_path / "rows.jsonl"), "--json", code=1)
    assert BAD[fault][1] in said["message"]
    assert "one two" not in said["message"]


BOTH = """
import sys
from whence.data.near_files import nearby
from whence.data.text_files import Files
from whence.records import Unmet
for paths in sys.argv[1:]:
    for engine in ("local", "daft"):
        try:
            nearby(Files(paths.split(), engine=engine))
        except Unmet as error:
            print(error.found)
"""


def test_daft_refuses_the_same(tmp_path: Path) -> None:
    """Daft alone would read a column that a later file lacks as null, and so an id of another type than the first."""
    pytest.importorskip("daft", reason="daft is not installed")
    for name, (text, _) in BAD.items():
        (tmp_path / f"{name}.jsonl").write_text(text)
    good = write(tmp_path, "good", id=[1, 2], text=["x y z", "x y z"])
    other = write(tmp_path, "other", id=[3], txt=["x"])
    asked = [*(str(tmp_path / f"{name}.jsonl") for name in BAD), f"{good} {other}"]
    asked += [f"{good} {write(tmp_path, 'again', id=['2'], text=['x'])}"]
    asked += [
        write(tmp_path, "none", id=pa.array([None, 9]), text=["x", "y"]),
        write(tmp_path, "five", id=[1], text=[5]),
    ]
    done = subprocess.run([sys.executable, "-c", BOTH, *asked], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    said = done.stdout.splitlines()
    assert said[::2] == said[1::2]
    assert len(said) == 2 * len(asked)


def write(folder: Path, name: str, **columns: Any) -> str:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return str(folder / f"{name}.parquet")


def test_bad_files_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path, "good", id=[1, 2], text=["x y z", "x y z"])
    assert found([good]).pairs.to_pydict() == {"left": ["1"], "right": ["2"], "jaccard": [1.0]}
    (tmp_path / "cut.parquet").write_bytes(Path(good).read_bytes()[:-9])
    (tmp_path / "bytes.jsonl").write_bytes(b'{"id": 1, "text": "\xff"}')
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(LINE.encode())[:-12])
    (tmp_path / "empty").mkdir()
    for paths, message in (
        ([good, write(tmp_path, "other", id=[3], txt=["x"])], "other.parquet has no column 'text'"),
        ([write(tmp_path, "typed", id=[3], text=[5])], "column 'text' of .* is int64"),
        ([write(tmp_path, "real", id=[0.5], text=["x"])], "column 'id' of .* is double"),
        (
            [good, write(tmp_path, "none", id=pa.array([None, 9]), text=["x", "y"])],
            "an id is missing in .*none.parquet",
        ),
        ([good, good], "2 ids stand in column"),
        ([str(tmp_path / "cut.parquet")], "cut.parquet cannot be read"),
        ([str(tmp_path / "bytes.jsonl")], "bytes.jsonl cannot be read"),
        ([str(tmp_path / "cut.jsonl.gz")], "cut.jsonl.gz cannot be read"),
        ([str(tmp_path / "empty")], "nothing ends with .parquet"),
        ([str(tmp_path / "gone.parquet")], "there is no file"),
        ([str(tmp_path / "rows.csv")], "neither Parquet nor JSON lines"),
        (["s3://bucket/rows.parquet"], "is not on this machine"),
        ([], "no file is named"),
    ):
        with pytest.raises(whence.Unmet, match=message):
            found(paths)
    for named_, message in (
        ({"threshold": 0.0}, "threshold"),
        ({"engine": "spark"}, "no engine"),
        ({"address": "head:6379"}, "the engine is 'local'"),
        ({"column": "id"}, "as texts and as ids"),
        ({"out": str(tmp_path)}, "it is a folder"),
        ({"out": str(tmp_path / "no" / "pairs")}, "there is no folder"),
    ):
        with pytest.raises(whence.Unmet, match=message):
            found([good], **named_)


def found(paths: list[str], threshold: float = 0.8, out: str | None = None, **read: Any) -> Nearby:
    return nearby(Files(paths, **read), threshold, out)


def test_without_daft_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.records.errors.find_spec", lambda name: None if name == "daft" else name)
    with pytest.raises(whence.Unmet, match=r"daft is not installed\n.*'scale'\n.*pip install -e '\.\[scale\]'"):
        found([write(tmp_path, "good", id=[1], text=["x"])], engine="daft")


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.text() | st.integers() | st.none() | st.booleans())))
def test_lines_are_read_as_python_reads_them(records: list[dict[str, Any]]) -> None:
    read = named(pa.array([json.dumps(r, ensure_ascii=False) for r in records], pa.string()), "b", "a").to_pylist()
    for record, one in zip(records, read, strict=True):
        own, text = record.get("a"), record.get("b", 0)
        if type(own) in (int, str) and (text is None or isinstance(text, str)):
            assert one == {"id": str(own), "text": text, "fault": None}
        else:
            assert one["fault"]
            assert (one["id"], one["text"]) == (None, None)
