"""Compressed files, saved data sets and objects behind a URL: what comes in, and what a broken one leaves behind."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xxhash

from whence.data import Plan, finished, ingest, url_fault
from whence.data.doors import looked_at
from whence.data.readers import read
from whence.records import BackendFailed, Conflict, Run, RunReport, Source, Unmet
from whence.store import Store, verify

Take = Callable[..., RunReport]
Packer = Callable[[bytes], bytes]


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


PACKERS: dict[str, Packer] = {".gz": gzip.compress, ".zst": zstd}
FILES = {
    ".jsonl": b"".join(b'{"id": "r%d", "text": "t%d"}\n' % (n, n) for n in range(3000)) + b"{\n" + b'{"text": "b"}\n',
    ".json": b"["
    + b",\n".join(b'{"id": "r%d", "text": "t%d"}' % (n, n) for n in range(3000))
    + b', {}, {"text": "b"}]',
    ".csv": b"id,text\n" + b"".join(b"r%d,t%d\n" % (n, n) for n in range(3000)) + b"x,y,z\n" + b',"b"\n',
}


def faults(store: Store, report: RunReport) -> list[tuple[int, str]]:
    """(line, code) of what is in quarantine; nothing is lost beside it."""
    assert report.facts["rows"] + sum(report.facts["quarantined"].values()) == report.facts["lines"]
    return [(row["line"], row["reason"]) for row in store.get_table(report.removed).to_pylist()]


def bring(store: Store, place: Path | str, format: str, name: str = "far", **kwargs: Any) -> RunReport:
    """Take in what lies at a place."""
    source = Source(name=name, kind="scraped", location=str(place), licence="MIT")
    plan = Plan(source=source, path=place, format=format, map={"id": "id"}, rights="none")
    run, _ = ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects), **kwargs)
    report = finished(store, run)
    assert report is not None
    return report


# -- compressed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("ending", FILES)
def test_a_compressed_file_is_read_like_the_file_in_it(store: Store, take: Take, ending: str, packer: str) -> None:
    data, pack = FILES[ending], PACKERS[packer]
    plain = take(data, "plain", ending=ending, id="id")
    assert plain.facts["rows"] == 3000
    assert len(faults(store, plain)) == 2
    cut = data.index(b"t1500")
    for name, packed in (("one", pack(data)), ("two", pack(data[:cut]) + pack(data[cut:]))):
        report = take(packed, name, ending=ending + packer, id="id")
        assert faults(store, report) == faults(store, plain)
        assert report.facts["rows"] == 3000


@pytest.mark.parametrize("packer", PACKERS)
def test_what_is_packed_is_told_by_its_bytes_and_not_by_its_name(store: Store, take: Take, packer: str) -> None:
    assert take(PACKERS[packer](FILES[".jsonl"]), ending=".jsonl", id="id").facts["rows"] == 3000


@pytest.mark.parametrize("ending", FILES)
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("members", [1, 2])
def test_a_file_that_breaks_off_is_rows_and_a_last_fault_with_its_line(
    store: Store, take: Take, ending: str, packer: str, members: int
) -> None:
    data, pack = FILES[ending], PACKERS[packer]
    cut = data.index(b"t1500")
    whole = pack(data) if members == 1 else pack(data[:cut]) + pack(data[cut:])
    last = 0
    for n, kept in enumerate((len(whole) - 1, len(whole) - 5, len(whole) // 2, 11)):
        report = take(whole[:kept], f"cut{n}", ending=ending + packer, id="id")
        found = faults(store, report)
        assert found[-1][1] == "truncated"
        assert [code for _, code in found].count("truncated") == 1
        assert found[-1][0] >= report.facts["rows"]
        assert "breaks off" in store.words(store.get_table(report.removed).to_pylist()[-1]["words"])["reason"]
        if n == 0 and packer == ".gz":  # no more is lost than what is unpacked at once; of zstd that is a block
            assert 2900 <= report.facts["rows"] <= 3000
        last = report.facts["rows"]
    assert last == 0


def summed(data: bytes) -> bytes:
    """A zstd frame of one raw block of under 256 bytes with its checksum, which Arrow writes none of."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0b100100, len(data)]) + (1 | len(data) << 3).to_bytes(3, "little")
    return header + data + (xxhash.xxh64_intdigest(data) & 0xFFFFFFFF).to_bytes(4, "little")


@pytest.mark.parametrize("pack", [gzip.compress, summed])
def test_a_flipped_byte_of_a_compressed_file_is_found(store: Store, take: Take, pack: Packer) -> None:
    held = bytearray(pack(b'{"text": "one"}\n{"text": "two"}\n'))
    assert take(bytes(held), "whole", id="id2").facts["quarantined"] == {"value": 2}
    held[len(held) // 2] ^= 0x10
    assert faults(store, take(bytes(held), "flipped"))[-1][1] == "truncated"


def test_a_file_that_changes_while_it_is_read_is_no_finished_run(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(FILES[".jsonl"] * 3)

    def meddle(done: int, _: int) -> None:
        if done and path.stat().st_size == 3 * len(FILES[".jsonl"]):
            path.write_bytes(FILES[".jsonl"])

    with pytest.raises(Conflict, match="changed while it was read"):
        bring(store, path, "jsonl", progress=meddle)
    assert store.count(RunReport) == 0
    assert verify(store) == []
    assert bring(store, path, "jsonl").facts["rows"] == 3000


# -- saved data sets ---------------------------------------------------------------------------------------------------

CHATS = [
    {"id": f"c{n}", "messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}],
     "topic": n % 2}
    for n in range(50)
]  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three shards, with a class label, and a folder of two splits, written by `datasets` itself."""
    import datasets

    datasets.disable_progress_bars()
    folder = tmp_path_factory.mktemp("saved")
    held = datasets.Dataset.from_list(CHATS).cast_column("topic", datasets.ClassLabel(names=["card", "refund"]))
    held.save_to_disk(folder / "chats", num_shards=3)
    held.select([4, 2]).save_to_disk(folder / "chosen")
    datasets.DatasetDict(train=held, test=held).save_to_disk(folder / "splits")
    return folder


def copied(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_saved_data_set_is_rows_in_order(store: Store, saved: Path) -> None:
    report = bring(store, saved / "chats", "datasets")
    assert faults(store, report) == []
    assert [store.row(o).record for o in range(store.committed())] == [f"c{n}" for n in range(50)]
    assert store.row(7).content == {"shape": "chat", "messages": CHATS[7]["messages"]}
    assert verify(store) == []
    again = bring(store, saved / "chats", "datasets")
    assert again == report
    assert bring(store, saved / "chosen", "datasets", "chosen").facts["rows"] == 2


def test_a_class_label_stays_a_number_and_its_name_stands_beside_it(saved: Path) -> None:
    records = [record for _, record in read(saved / "chats", "datasets")]
    assert [(r["topic"], r["topic_name"]) for r in records[:2]] == [(0, "card"), (1, "refund")]  # type: ignore[index]


def test_a_saved_data_set_is_its_rows_whatever_its_fingerprint(store: Store, saved: Path, tmp_path: Path) -> None:
    first = bring(store, saved / "chats", "datasets")
    copy = copied(saved / "chats", tmp_path / "copy")
    state = json.loads((copy / "state.json").read_bytes())
    (copy / "state.json").write_text(json.dumps({**state, "_fingerprint": "other"}))
    source = Source(name="far", kind="scraped", location=str(saved / "chats"), licence="MIT")
    plan = Plan(source=source, path=copy, format="datasets", map={"id": "id"}, rights="none")
    assert ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects)) == (first.run, False)


def test_a_folder_of_splits_names_them(store: Store, saved: Path) -> None:
    with pytest.raises(Unmet, match=r"several splits: test, train(.|\n)*/splits/test"):
        bring(store, saved / "splits", "datasets")
    assert bring(store, saved / "splits" / "train", "datasets").facts["rows"] == 50


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "state.json is missing"), ("{", "cannot be read"), ("[]", "cannot be read"), ("{}", "cannot be read"),
        ('{"_data_files": [{"filename": "../chats/state.json"}]}', "does not lie in it"),
        ('{"_data_files": [{"filename": "gone.arrow"}]}', "does not lie in it"),
        ('{"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]}', "flatten_indices"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_saved_data_set_says_why(
    store: Store, saved: Path, tmp_path: Path, state: str | None, said: str
) -> None:
    folder = copied(saved / "chats", tmp_path / "broken")
    (folder / "state.json").unlink()
    if state is not None:
        (folder / "state.json").write_text(state)
    with pytest.raises(Unmet, match=said):
        bring(store, folder, "datasets")


@pytest.mark.parametrize("cut", [4, 8, 9, 300, 2000])
def test_a_shard_that_breaks_off_costs_no_other_shard(store: Store, saved: Path, tmp_path: Path, cut: int) -> None:
    folder = copied(saved / "chats", tmp_path / "broken")
    shard = folder / "data-00001-of-00003.arrow"
    shard.write_bytes(shard.read_bytes()[:-cut])
    report = bring(store, folder, "datasets")
    assert [code for _, code in faults(store, report)] == ["truncated"]
    kept = {store.row(o).record for o in range(store.committed())}
    assert kept >= {f"c{n}" for n in [*range(17), *range(34, 50)]}


# -- URLs --------------------------------------------------------------------------------------------------------------


class Cutter:
    """A door before the S3 server that lets so many bytes of each answer through and then hangs up."""

    def __init__(self, port: int, allowed: int) -> None:
        self._target, self._allowed = port, allowed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            asked = client.recv(1 << 16)
            server.sendall(asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            left = self._allowed if asked.startswith(b"GET /rows/") and b"list-type" not in asked else 1 << 30
            while left and (data := server.recv(min(left, 1 << 16))):
                client.sendall(data)
                left -= len(data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """A real S3 server on a free port, with the bucket ``rows``."""
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    yield port
    moto.stop()


@pytest.fixture
def bucket(server: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the server; the environment points s3fs at it."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)
    client = boto3.client("s3")
    client.create_bucket(Bucket="rows")
    return client


def nothing_left(store: Store) -> bool:
    """No fetched copy lies in the store's folder, and the record is whole."""
    held = [p.name for p in store.root.iterdir() if p.is_file() and b't1500"' in p.read_bytes()]
    return held == [] and verify(store) == []


@pytest.mark.fault
def test_a_process_that_is_killed_while_it_fetches_leaves_no_copy(tmp_path: Path) -> None:
    (tmp_path / "far.jsonl").write_bytes(FILES[".jsonl"] * 400)
    (tmp_path / "scratch").mkdir()
    script = (
        "import os, sys; from pathlib import Path; from whence.data.doors import opened\n"
        "def killed(done, size): assert 0 < done < size; os.kill(os.getpid(), 9)\n"
        "with opened(sys.argv[1], Path(sys.argv[2]), killed): pass"
    )
    args = [sys.executable, "-c", script, f"file://{tmp_path}/far.jsonl", str(tmp_path / "scratch")]
    assert subprocess.run(args, check=False).returncode == -9
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("packer", ["", *PACKERS])
def test_an_object_is_rows_and_is_read_once(store: Store, bucket: Any, tmp_path: Path, packer: str) -> None:
    data = PACKERS[packer](FILES[".jsonl"]) if packer else FILES[".jsonl"]
    bucket.put_object(Bucket="rows", Key=f"logs/t.jsonl{packer}", Body=data)
    told: list[tuple[int, int]] = []
    url = f"s3://rows/logs/t.jsonl{packer}"
    report = bring(store, url, "jsonl", progress=lambda done, size: told.append((done, size)))
    assert report.facts["rows"] == 3000
    assert told[0] == (len(data), len(data))
    assert nothing_left(store)
    assert bring(store, url, "jsonl") == report
    (tmp_path / "local").write_bytes(data)
    local = bring(store, tmp_path / "local", "jsonl")
    assert store.get(report.run, Run).inputs["file"] == store.get(local.run, Run).inputs["file"]


def test_a_parquet_object_is_rows(store: Store, bucket: Any, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a", "b"], "text": ["x", "y"]}), tmp_path / "t.parquet")
    bucket.put_object(Bucket="rows", Key="t.parquet", Body=(tmp_path / "t.parquet").read_bytes())
    assert bring(store, "s3://rows/t.parquet", "parquet").facts["rows"] == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [("s3://rows/none.jsonl", "there is no object"), ("s3://nobody/x.jsonl", "there is no object"),
     ("s3://rows/logs", "is a folder"), ("file:///no/such.jsonl", "there is no object")],
)  # fmt: skip
def test_an_object_that_is_not_there_says_so(store: Store, bucket: Any, url: str, said: str) -> None:
    bucket.put_object(Bucket="rows", Key="logs/x", Body=b"x")
    with pytest.raises(Unmet, match=said):
        bring(store, url, "jsonl")
    assert nothing_left(store)


class Refuses(BaseHTTPRequestHandler):
    """Answers ``/403/x`` with 403, and so on."""

    def do_GET(self) -> None:
        self.send_error(int(self.path.split("/")[1]))

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_an_object_that_is_refused_is_told_from_one_that_is_not_there() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(Unmet, match="there is no object"), looked_at(f"{at}/404/x.jsonl"):
        pass
    with pytest.raises(BackendFailed, match="its server answers 403"), looked_at(f"{at}/403/x.jsonl"):
        pass
    server.shutdown()
    server.server_close()
    with pytest.raises(BackendFailed, match=r"cannot be reached(.|\n)*expected: a server"), looked_at(f"{at}/x.jsonl"):
        pass


def test_without_credentials_it_says_so(store: Store, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Unmet, match=r"no credentials(.|\n)*do: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        bring(store, "s3://rows/logs/t.jsonl", "jsonl")


@pytest.mark.fault
def test_an_object_that_changes_while_it_is_fetched_leaves_nothing(
    store: Store, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.doors.STEP_BYTES", 20_000)
    bucket.put_object(Bucket="rows", Key="hot.jsonl", Body=FILES[".jsonl"])
    changed = FILES[".jsonl"].replace(b"t2999", b"T2999")

    def meddle(done: int, size: int) -> None:
        if done == 40_000:
            bucket.put_object(Bucket="rows", Key="hot.jsonl", Body=changed)

    with pytest.raises((Conflict, BackendFailed), match=r"hot\.jsonl"):
        bring(store, "s3://rows/hot.jsonl", "jsonl", progress=meddle)
    assert store.count(RunReport) == 0
    assert nothing_left(store)
    assert bring(store, "s3://rows/hot.jsonl", "jsonl").facts["rows"] == 3000


@pytest.mark.fault
@pytest.mark.parametrize("allowed", [0, 100, 2000, 50_000])
def test_a_connection_that_breaks_leaves_nothing(
    store: Store, bucket: Any, server: int, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    bucket.put_object(Bucket="rows", Key="cut.jsonl", Body=FILES[".jsonl"])
    cutter = Cutter(server, allowed)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{cutter.port}")
    with pytest.raises(BackendFailed, match="nothing was kept"):
        bring(store, "s3://rows/cut.jsonl", "jsonl")
    cutter.close()
    assert store.count(RunReport) == 0
    assert nothing_left(store)
    control = Cutter(server, 1 << 30)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{control.port}")
    assert bring(store, "s3://rows/cut.jsonl", "jsonl").facts["rows"] == 3000
    control.close()


def test_the_beginning_of_an_object_is_looked_at_without_fetching_it(bucket: Any, tmp_path: Path) -> None:
    from whence.project import draft

    data = b"".join(b'{"question": "q%d", "answer": "a%d"}\n' % (n, n) for n in range(300))
    bucket.put_object(Bucket="rows", Key="qa.jsonl.zst", Body=zstd(data))
    text = draft("s3://rows/qa.jsonl.zst", tmp_path)
    assert 'path = "s3://rows/qa.jsonl.zst"' in text
    assert 'completion = "answer"' in text
    with looked_at("s3://rows/qa.jsonl.zst") as file:
        assert next(iter(read(file, "jsonl")))[1] == {"question": "q0", "answer": "a0"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://x.jsonl", "write a file"), ("zz://x", "no kind of URL"), ("s3://key:secret@b/x", "no password"),
        ("https://host/x.jsonl?X-Amz-Signature=1", "no signed query"), ("simplecache::s3://b/x", "no kind of URL"),
        ("gs://b/x.jsonl", "pip install 'gcsfs'"),
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_a_source_is_told_without_asking_its_server(url: str, said: str) -> None:
    assert said in (url_fault(url) or "")
    assert url_fault("s3://bucket/key.jsonl.zst") is None


def test_a_missing_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.data.doors.find_spec", lambda name: None)
    assert "in whence's checkout: pip install -e '.[s3]'" in (url_fault("s3://bucket/key.jsonl") or "")
