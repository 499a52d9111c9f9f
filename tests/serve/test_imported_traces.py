"""Logs of others as traces: each format, each answer once, what cannot be taken in counted by its reason."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve.logs import T0, exported, generation, pair, score, span, spelled
from serve.shelf import paper_adapter, paper_base, shelve
from whence.cli import main
from whence.lifecycle.traces import import_traces
from whence.records import Conflict, Deployment, Feedback, NotFound, Ref, Trace, Unmet
from whence.serve import leases
from whence.store import Store, verify


@pytest.fixture
def release(store: Store, tmp_path: Path) -> Ref:
    return shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})["desk@1"]


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    def write(*records: Any, name: str = "log.jsonl") -> Path:
        lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        path = tmp_path / name
        path.write_bytes(b"\n".join(lines) + b"\n")
        return path

    return write


def taken(store: Store, name: str) -> tuple[Trace, Any]:
    _, trace = store.latest(Trace, name)
    return trace, store.words(trace.content)


def test_openai_pairs_are_kept_as_the_gateway_keeps_its_own(
    store: Store, release: Ref, log: Callable[..., Path]
) -> None:
    path = log(pair(1), pair(2, latency_ms=125), pair(3, started_at="2026-09-21T10:00:00Z"))
    said = import_traces(store, [path], "desk@1")
    assert (said.records, said.traces, said.known, said.left) == (3, 3, 0, {})
    trace, words = taken(store, "chatcmpl-1")
    assert trace.release == release
    assert (trace.prompt_tokens, trace.completion_tokens, trace.finish, trace.consent) == (11, 5, "stop", "none")
    assert trace.at.timestamp() == T0 + 1
    assert (trace.duration_s, taken(store, "chatcmpl-2")[0].duration_s) == (None, 0.125)
    assert trace.subject == store.keys.pseudonym("anna@example.org")
    assert words["messages"] == [{"role": "user", "content": "Where is order 1?"}]
    assert (words["answer"], words["options"]) == ("On its way, 1.", {"temperature": 0.2})
    deployment = store.get(trace.deployment, Deployment)
    assert (deployment.endpoint, deployment.lease_s) == ("imported:openai", 0.0)
    assert leases.state(store, trace.deployment) == "unknown"
    assert said.deployments == (trace.deployment,)
    assert "anna" not in "".join(body for _, body in store.bodies())
    assert "order" not in "".join(body for _, body in store.bodies()) + str(store.events())
    assert verify(store) == []


def test_the_same_again_adds_nothing_and_a_changed_answer_is_a_conflict(
    store: Store, release: Ref, log: Callable[..., Path]
) -> None:
    import_traces(store, [log(*map(pair, range(5)))], "desk@1")
    before = store.head()
    again = import_traces(store, [log(*map(pair, range(5)), name="copy.jsonl")], "desk@1")
    assert (again.traces, again.known, again.left) == (0, 5, {})
    assert store.head() == before
    changed = pair(3)
    changed["response"]["choices"][0]["message"]["content"] = "Lost."
    fewer = pair(4)
    fewer["response"]["usage"]["completion_tokens"] = 4
    said = import_traces(store, [log(pair(0), changed, fewer, pair(5), pair(5))], "desk@1")
    assert (said.traces, said.known, said.left) == (1, 2, {"conflict": 2})
    assert [(one.line, one.reason) for one in said.first] == [(2, "conflict"), (3, "conflict")]
    assert taken(store, "chatcmpl-3")[1]["answer"] == "On its way, 3."
    said = import_traces(store, [log(pair(0))], "desk@1", consent="train")
    assert said.left == {"conflict": 1}, "a consent is not raised by saying it again"
    assert verify(store) == []


def test_a_completion_with_its_messages_and_the_files_of_a_batch(
    store: Store, release: Ref, log: Callable[..., Path]
) -> None:
    bare = pair(1)["response"] | {"messages": pair(1)["request"]["messages"]}
    asked = [{"custom_id": f"q{n}", "method": "POST", "url": "/v1/chat/completions", "body": pair(n)["request"]}
             for n in (2, 3)]  # fmt: skip
    given = [{"id": f"batch_req_{n}", "custom_id": f"q{n}", "error": None,
              "response": {"status_code": 200, "request_id": "r", "body": pair(n)["response"]}}
             for n in (2, 3, 4)]  # fmt: skip
    failed = {"id": "batch_req_5", "custom_id": "q5", "response": {"status_code": 429, "body": {"error": {}}}}
    said = import_traces(
        store, [log(bare, name="stored.jsonl"), log(*asked, name="in.jsonl"), log(*given, failed, name="out.jsonl")],
        "desk@1",
    )  # fmt: skip
    assert (said.traces, said.left) == (3, {"no_request": 1, "failed_request": 1})
    assert taken(store, "chatcmpl-2")[1]["messages"][0]["content"] == "Where is order 2?"
    assert taken(store, "chatcmpl-2")[1]["options"] == {"temperature": 0.2}


def test_langfuse_traces_observations_and_scores(store: Store, release: Ref, log: Callable[..., Path]) -> None:
    whole = {"id": "tr1", "timestamp": "2026-09-21T10:00:00Z", "userId": "anna", "tags": [], "input": "x",
             "output": "y", "observations": [generation(1), {"id": "sp", "type": "SPAN", "traceId": "tr1"}],
             "scores": [score(1), score(2, id="s2", traceId="tr1", observationId="obs1", dataType="CATEGORICAL",
                                        value=3, stringValue="polite", source="ANNOTATION")]}  # fmt: skip
    blob = {"id": "obs2", "trace_id": "tr2", "type": "GENERATION", "start_time": "2026-09-21 10:00:00.500000",
            "end_time": "2026-09-21 10:00:01.000000", "provided_model_name": "desk", "user_id": "anna",
            "input": json.dumps([{"role": "user", "content": "Hello?"}]), "output": "Hi.",
            "usage_details": {"input": 4, "output": 1},
            "model_parameters": json.dumps({"temperature": 0.1})}  # fmt: skip
    alone = {"id": "tr3", "timestamp": "2026-09-21T11:00:00Z", "input": {"question": "why?"}, "output": "So."}
    numeric = {"id": "s9", "trace_id": "tr2", "name": "quality", "data_type": "NUMERIC", "value": 0.75,
               "source": "EVAL", "timestamp": "2026-09-22 08:00:00.000000"}  # fmt: skip
    files = [log(score(3), name="scores.jsonl"), log(whole, blob, alone, numeric)]
    said = import_traces(store, files, "desk@1", scale=(0, 1))
    assert (said.traces, said.feedback, said.left) == (3, 4, {"no_answer": 1})
    trace, words = taken(store, "langfuse-obs1")
    assert (trace.prompt_tokens, trace.duration_s) == (9, 2.25)
    assert trace.subject == store.keys.pseudonym("anna")
    assert words["options"] == {"temperature": 0.5}
    assert taken(store, "langfuse-obs2")[1]["messages"] == [{"role": "user", "content": "Hello?"}]
    assert taken(store, "langfuse-obs2")[0].subject == trace.subject
    assert taken(store, "langfuse-tr3")[0].prompt_tokens is None
    given = {(f.trace, f.actor, f.intent, f.value, store.words(f.content).get("text")) for _, f in store.all(Feedback)}
    assert given == {
        ("langfuse-obs1", "program", "rating", 1.0, None),
        ("langfuse-obs1", "reviewer", "comment", None, "helpful: polite"),
        ("langfuse-obs2", "judge", "rating", 0.5, None),
        ("langfuse-tr3", "program", "rating", 1.0, None),
    }
    assert {f.at.hour for _, f in store.all(Feedback)} == {8}
    before = store.head()
    again = import_traces(store, files, "desk@1", scale=(0, 1))
    assert (again.traces, again.known, again.feedback, again.feedback_known) == (0, 3, 0, 4)
    assert store.head() == before
    other = import_traces(store, [log(numeric | {"value": 0.1})], "desk@1", scale=(0, 1))
    assert other.left == {"unknown_trace": 1}, "which answer a part of tr2 is, only the observations say"
    other = import_traces(store, [log(blob, numeric | {"value": 0.1})], "desk@1", scale=(0, 1))
    assert other.left == {"conflict": 1}
    assert verify(store) == []


def test_scores_that_cannot_be_placed_are_left_out(store: Store, release: Ref, log: Callable[..., Path]) -> None:
    path = log(generation(1), generation(2, traceId="tr1"), generation(3), score(1), score(9),
               score(3, dataType="NUMERIC", value=4), score(3, id="b", value=0.5),
               score(3, id="c", comment=7))  # fmt: skip
    said = import_traces(store, [path], "desk@1")
    assert said.left == {"score": 2, "about_several": 1, "unknown_trace": 1, "no_scale": 1}
    assert import_traces(store, [path], "desk@1", scale=(0, 3)).left["scale"] == 1
    assert store.count(Feedback) == 0


def test_spans_of_each_convention(store: Store, release: Ref, log: Callable[..., Path]) -> None:
    gone = dict.fromkeys(("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages"))
    said = [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    structured = span(2, **{"gen_ai.input.messages": said,
                            "gen_ai.system_instructions": None, "gen_ai.response.id": "chatcmpl-77"})  # fmt: skip
    events = span(3, **gone) | {"events": [
        {"name": "gen_ai.system.message", "attributes": spelled({"content": "Be kind."})},
        {"name": "gen_ai.user.message", "attributes": spelled({"content": "Hello?"})},
        {"name": "gen_ai.choice", "attributes": spelled(
            {"index": 0, "finish_reason": "length", "message": json.dumps({"content": "Hi."})})}]}  # fmt: skip
    oldest = span(4, **gone) | {"events": [
        {"name": "gen_ai.content.prompt",
         "attributes": spelled({"gen_ai.prompt": json.dumps([{"role": "user", "content": "Hello?"}])})},
        {"name": "gen_ai.content.completion", "attributes": spelled({"gen_ai.completion": "Hi."})}]}  # fmt: skip
    numbered = span(5, **gone, **{
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hello?", "gen_ai.completion.0.content": "Hi.",
        "gen_ai.completion.0.role": "assistant"})  # fmt: skip
    tool = span(6, **{"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [
        {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"order": 7}}]}])})  # fmt: skip
    judged = span(7) | {"events": [{"name": "gen_ai.evaluation.result", "attributes": spelled(
        {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.label": "relevant"})}]}  # fmt: skip
    database = {"traceId": "0" * 31 + "8", "spanId": "8", "startTimeUnixNano": "1", "attributes": []}
    path = log(exported(span(1), structured, events, oldest), exported(numbered, tool, judged, database))
    said = import_traces(store, [path], "desk@1")
    assert (said.traces, said.feedback, said.left) == (7, 1, {"no_answer": 1})
    hello = {"role": "user", "content": "Hello?"}
    assert taken(store, "chatcmpl-77")[1]["messages"] == [hello]
    for number, ends in ((1, "stop"), (3, "length"), (4, "stop"), (5, "stop")):
        trace, words = taken(store, f"otel-{number:032x}-{number:016x}")
        assert (words["messages"][-1], words["answer"], trace.finish) == (hello, "Hi.", ends)
        assert (trace.duration_s, trace.prompt_tokens, trace.completion_tokens) == (1.5, 7, 3)
    words = taken(store, f"otel-{6:032x}-{6:016x}")[1]
    assert words["tool_calls"][0]["function"] == {"name": "find", "arguments": {"order": 7}}
    assert [store.words(f.content)["text"] for _, f in store.all(Feedback)] == ["relevance: relevant"]
    assert import_traces(store, [path], "desk@1").known == 7
    assert verify(store) == []


def test_the_log_record_that_holds_a_whole_exchange(store: Store, release: Ref, log: Callable[..., Path]) -> None:
    whole = span(1) | {"eventName": "gen_ai.client.inference.operation.details", "timeUnixNano": f"{T0}000000000"}
    del whole["startTimeUnixNano"], whole["endTimeUnixNano"]
    choice = whole | {"eventName": "gen_ai.choice", "attributes": spelled({"gen_ai.system": "openai"})}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [whole, choice]}]}]}
    said = import_traces(store, [log(logs)], "desk@1")
    assert (said.traces, said.left) == (1, {"no_answer": 1})
    trace, words = taken(store, f"otel-{1:032x}-{1:016x}")
    assert (trace.at.timestamp(), trace.duration_s, words["answer"]) == (T0, None, "Hi.")


def test_one_json_file_and_packed_lines(store: Store, release: Ref, log: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "spans.json").write_text(json.dumps(exported(span(1)), indent=1))
    (tmp_path / "page.json").write_text(json.dumps({"data": [generation(1)], "meta": {"page": 1}}))
    (tmp_path / "all.json").write_text(json.dumps([generation(2), pair(1)]))
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(log(pair(2)).read_bytes()))
    paths = [tmp_path / name for name in ("spans.json", "page.json", "all.json", "log.jsonl.gz")]
    said = import_traces(store, paths, "desk@1")
    assert (said.traces, said.left) == (5, {})


def test_who_answered_is_said_and_never_guessed(
    store: Store, release: Ref, log: Callable[..., Path], tmp_path: Path
) -> None:
    other = shelve(store, tmp_path / "base", {"pen@1": paper_adapter(tmp_path / "pen", 2.0)})["pen@1"]

    def of(number: int, model: str | None) -> dict[str, Any]:
        made = pair(number)
        made["request"]["model"] = made["response"]["model"] = model
        return made

    path = log(of(1, "desk"), of(2, "gpt-9"), of(3, "gpt-9"), of(4, "pen"), of(5, None), of(6, "desk@1"))
    said = import_traces(store, [path], "desk@1", models={"gpt-9-mini": "pen@1"})
    assert (said.traces, said.left, said.models) == (3, {"unknown_model": 3}, {"gpt-9": 2, "pen": 1})
    said = import_traces(store, [path], "desk@1", models={"gpt-9": "pen@1"})
    assert (said.traces, said.known, said.models) == (2, 3, {"pen": 1})
    assert taken(store, "chatcmpl-2")[0].release == other
    with pytest.raises(NotFound, match="no deployment is recorded"):
        import_traces(store, [path], "https://gpu.example:8000")
    there = leases.declare(store, other, "https://gpu.example:8000", store.clock())
    said = import_traces(store, [log(of(7, "pen@1"))], "https://gpu.example:8000")
    assert said.deployments == (there,)
    leases.declare(store, release, "https://gpu.example:8000", store.clock())
    with pytest.raises(Unmet, match="several releases"):
        import_traces(store, [path], "https://gpu.example:8000")


def test_a_deployment_that_somebody_ended_stays_ended(store: Store, release: Ref, log: Callable[..., Path]) -> None:
    (deployment,) = import_traces(store, [log(pair(1))], "desk@1").deployments
    leases.end(store, [deployment])
    assert import_traces(store, [log(pair(1), pair(2))], "desk@1").traces == 1
    assert leases.state(store, deployment) == "ended"
    assert store.count(Deployment) == 1


def test_a_consent_of_the_log_is_kept_where_it_is_the_smaller(
    store: Store, release: Ref, log: Callable[..., Path]
) -> None:
    said = [pair(1), pair(2), pair(3)]
    said[1]["request"]["metadata"] = {"consent": "none"}
    said[2]["request"]["metadata"] = {"consent": "train"}
    import_traces(store, [log(*said)], "desk@1", consent="train")
    assert [t.consent for _, t in store.all(Trace)] == ["train", "none", "train"]


def test_an_answer_without_a_name_is_known_again_and_its_name_confirms_no_guess(
    store: Store, release: Ref, log: Callable[..., Path], tmp_path: Path
) -> None:
    nameless = pair(1)
    del nameless["response"]["id"]
    assert import_traces(store, [log(nameless)], "desk@1").traces == 1
    assert import_traces(store, [log(nameless)], "desk@1").known == 1
    ((_, trace),) = store.all(Trace)
    elsewhere = Store.open(tmp_path / "other" / ".whence", create=True, actor="tester@example.org")
    shelve(elsewhere, tmp_path / "base", {"desk@1": tmp_path / "adapter"})
    import_traces(elsewhere, [log(nameless)], "desk@1")
    assert trace.id.startswith("imported-")
    assert elsewhere.all(Trace)[0][1].id != trace.id
    elsewhere.close()


def test_bad_lines_are_counted_by_reason_and_cost_themselves_only(
    store: Store, release: Ref, log: Callable[..., Path]
) -> None:
    def broken(**response: Any) -> dict[str, Any]:
        return pair(9) | {"response": pair(9)["response"] | response}

    deep = b'{"request": ' + b"[" * 200 + b"]" * 200 + b"}"
    path = log(
        pair(1), b"{", deep, b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b"[1]", b'{"hello": 1}',
        broken(created=None), broken(created=9e99), broken(created="soon"), broken(choices=[]), broken(choices="x"),
        broken(usage={"prompt_tokens": -1}), broken(usage={"prompt_tokens": True}), broken(id="x" * 600),
        broken(id="a\nb"), broken(id={"a": 1}), pair(9, request={"model": "desk"}),
        pair(9, request={"model": "desk", "messages": [{"role": "user", "content": 5}]}),
        b'{"request": {"model": "desk", "messages": [{"role": "user", "content": "\\ud800"}]}, "response": '
        + json.dumps(pair(9)["response"]).encode() + b"}",
        pair(2),
    )  # fmt: skip
    said = import_traces(store, [path], "desk@1")
    assert said.traces == 2
    assert said.records == 22
    assert said.left == {
        "syntax": 2, "depth": 1, "number": 3, "repeated_key": 1, "encoding": 1, "shape": 1, "no_time": 1, "time": 2,
        "no_answer": 1, "type": 2, "name": 2, "no_messages": 1, "messages": 1, "value": 1,
    }  # fmt: skip
    assert [one.line for one in said.first] == list(range(2, 22))
    assert import_traces(store, [log(b"{", name="bad.jsonl")], "desk@1").nothing
    assert verify(store) == []


def test_what_cannot_be_begun(store: Store, release: Ref, log: Callable[..., Path], tmp_path: Path) -> None:
    path = log(pair(1))
    for fields, said in (({"format": "xml"}, "no format"), ({"consent": "sell"}, "no consent"),
                         ({"scale": (1, 0)}, "does not rise")):  # fmt: skip
        with pytest.raises(Unmet, match=said):
            import_traces(store, [path], "desk@1", **fields)
    with pytest.raises(NotFound, match="no alias or release"):
        import_traces(store, [path], "nobody@1")
    with pytest.raises(Unmet, match="cannot be read"):
        import_traces(store, [tmp_path / "none.jsonl"], "desk@1")
    (tmp_path / "log.csv").write_text("a\n1\n")
    with pytest.raises(Unmet, match="is csv"):
        import_traces(store, [tmp_path / "log.csv"], "desk@1")
    assert store.count(Trace) == 0
    assert import_traces(store, [path], "desk@1", format="otel").left == {"no_answer": 1}


def test_what_an_import_that_was_killed_had_journalled_is_there_once(
    store: Store, release: Ref, log: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = log(*map(pair, range(10)))

    def dies(entries: Any) -> None:
        if entries:
            raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(store, "add_traces", dies)
        with pytest.raises(KeyboardInterrupt):
            import_traces(store, [path], "desk@1")
    assert store.count(Trace) == 0
    said = import_traces(store, [path], "desk@1")
    assert (said.traces, said.known, store.count(Trace)) == (0, 10, 10)
    assert verify(store) == []


def test_batches_by_count_and_by_bytes_change_nothing(
    store: Store, release: Ref, log: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.serve.importing.BATCH_TRACES", 3)
    assert import_traces(store, [log(*map(pair, range(10)), pair(9), pair(0))], "desk@1").known == 2
    monkeypatch.setattr("whence.serve.importing.BATCH_BYTES", 10)
    assert import_traces(store, [log(*map(pair, range(12)))], "desk@1").traces == 2
    assert store.count(Trace) == 12
    assert verify(store) == []


def test_a_file_that_changes_while_it_is_read_ends_the_import(
    store: Store, release: Ref, log: Callable[..., Path]
) -> None:
    path = log(*map(pair, range(3)))

    def grow(what: str, done: int, whole: int) -> None:
        path.write_bytes(b"{}\n")

    with pytest.raises(Conflict, match="was changed while it was read"):
        path.write_bytes(path.read_bytes() * 3000)
        import_traces(store, [path], "desk@1", progress=grow)


def test_words_that_were_erased_do_not_come_back(store: Store, release: Ref, log: Callable[..., Path]) -> None:
    import_traces(store, [log(pair(1))], "desk@1")
    gone = store.latest(Trace, "chatcmpl-1")[1].content
    store.journal("trace").drop_all_but(())
    with store.transaction() as connection:
        connection.exec_driver_sql(f"DELETE FROM contents WHERE digest = '{gone}'")  # noqa: S608
    said = import_traces(store, [log(pair(1))], "desk@1")
    assert (said.traces, said.known) == (0, 1)
    assert store.noted([gone]) == set()
    assert store.count(Trace) == 1


def test_the_command_line(
    store: Store, release: Ref, log: Callable[..., Path], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("WHENCE_STORE", str(store.root))
    path = str(log(pair(1), generation(1, model="gpt-9"), b"{"))
    assert main(["adopt", "traces", path, "--as", "desk@1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["traces"], said["left"], said["models"]) == (1, {"unknown_model": 1, "syntax": 1}, {"gpt-9": 1})
    assert main(["adopt", "traces", path, "--as", "desk@1", "--map-model", "gpt-9=desk"]) == 0
    shown = capsys.readouterr().out
    assert "1 answers taken in, 1 were there" in shown
    assert "log.jsonl:3  syntax" in shown
    assert main(["ask", "why", "langfuse-obs1"]) == 0
    assert "desk@1" in capsys.readouterr().out
    assert main(["feedback", "send", "chatcmpl-1", "--value", "1"]) == 0
    assert main(["adopt", "traces", str(log(b"{", name="bad.jsonl")), "--as", "desk@1"]) == 4
    assert main(["adopt", "traces", path, "--as", "nobody"]) == 1
    for wrong in (["--scale", "x"], ["--map-model", "=y"], []):
        assert main(["adopt", "traces", path, *(["--as", "desk@1"] if wrong else []), *wrong]) == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from whence.cli import main
from whence.lifecycle.traces import import_traces
from whence.store import Store
store = Store.open(Path(sys.argv[1]), actor="tester@example.org")
add, times = store.add_traces, int(sys.argv[3])
def dies(entries):
    global times
    times -= bool(entries)
    if times < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    add(entries)
store.add_traces = dies
import whence.serve.importing as importing
importing.BATCH_TRACES = 10
import_traces(store, [Path(sys.argv[2])], "desk@1")
"""


@pytest.mark.fault
@pytest.mark.parametrize("batches", [0, 2])
def test_a_killed_import_goes_on_and_nothing_is_there_twice(
    store: Store, release: Ref, log: Callable[..., Path], batches: int
) -> None:
    path = log(*map(pair, range(35)))
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root), str(path), str(batches)], check=False)
    assert done.returncode == -9
    assert store.count(Trace) == 10 * batches
    assert import_traces(store, [path], "desk@1").known == 10 * (batches + 1)
    assert store.count(Trace) == 35
    assert verify(store) == []
