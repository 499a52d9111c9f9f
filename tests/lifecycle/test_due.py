"""System 13: which adapter is orphaned first, and which is not; what is not known is never passed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import whence
from lifecycle.desks import HERE, Desk, commit, findings, git, make_base
from whence.records import Base, BindingWaiver, NotFound, Ref, Release, RunReport, Unmet, Verdict, Waiver
from whence.store import Store


@pytest.fixture
def desk(store: Store, clock: Callable, take: Callable[..., RunReport], tmp_path: Path) -> Desk:
    return Desk(store, tmp_path, take, commit(tmp_path), clock.now)


@pytest.fixture
def w(desk: Desk, clock: Callable) -> Iterator[whence.Session]:
    with whence.open(desk.folder, clock=clock, actor="tester@example.org") as session:
        yield session


class _Models(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        names = self.server.names  # type: ignore[attr-defined]
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": name} for name in names]}).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[HTTPServer]:
    """Something that lists the models in its attribute `names`."""
    server = HTTPServer(("127.0.0.1", 0), _Models)
    server.names = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def healthy(desk: Desk, name: str, **made: object) -> Ref:
    """A live adapter that nothing is wrong with."""
    base, snapshot = desk.base(f"base-{name}"), desk.data(f"data-{name}")
    adapter = desk.adapter(name, **{"base": base, "snapshot": snapshot, **made})  # type: ignore[arg-type]
    desk.owned(name)
    return adapter


def test_of_ten_adapters_the_planted_one_is_first_with_exactly_four_findings(
    desk: Desk, w: whence.Session, endpoint: HTTPServer
) -> None:
    now, url = desk.now, f"http://127.0.0.1:{endpoint.server_port}"
    endpoint.names = ["planted", "later@1"]  # type: ignore[attr-defined]
    planted = desk.adapter(
        "planted", base=desk.base("old-base"), snapshot=desk.data("logs", now + timedelta(days=20)), age_days=150,
        packages=[*HERE, "acme-private-prompts==0.3"],
    )  # fmt: skip
    desk.served(planted, "planted", url)
    desk.owned("planted", "gone@example.org", None)
    healthy(desk, "control", age_days=150)
    later = desk.adapter(
        "later", base=desk.base("other-base"), snapshot=desk.data("kept", now + timedelta(days=60)), age_days=150
    )
    desk.served(later, "later", url)
    desk.owned("later")
    for n in range(7):
        healthy(desk, f"fine-{n}", age_days=n * 20)
    desk.calendar(**{"old-base": now + timedelta(days=43), "other-base": now + timedelta(days=43)})
    w.rights.left("gone@example.org", at=now - timedelta(days=182))

    found = w.ask.due(probe=True)
    assert found.adapters == 10
    first = found.things[0]
    assert (first.adapter, first.live, first.accountable) == (planted, True, None)
    assert findings(first) == dict.fromkeys(("due.owner", "due.data", "due.base", "due.import"), "fail")
    assert {f.check: f.statistic for f in first.findings} == {
        "due.data": 20.0, "due.base": 43.0, "due.owner": None, "due.import": None
    }  # fmt: skip
    assert first.days == 20
    assert {one.name: findings(one) for one in found.things[1:]} == {"later": {"due.base": "fail"}}


def test_what_is_not_known_is_neither_silent_nor_a_pass(desk: Desk, w: whence.Session) -> None:
    bare = desk.adapter("bare", base=None, snapshot=None, packages=None, python=None, commit=None, clean=None)
    hosted = desk.store.put(Base(name="acme-1", location="acme-1", fingerprint=None))
    desk.adapter("hosted", base=hosted, snapshot=desk.data("rows"))
    for name in ("bare", "hosted"):
        desk.owned(name)
    found = {one.name: findings(one) for one in w.ask.due().things}
    unknown = dict.fromkeys(("due.base", "due.data", "due.environment", "due.code"), "abstain")
    assert found == {"bare": unknown, "hosted": {"due.base": "abstain"}}
    assert w.ask.due().outcome == "abstain"
    assert [f.about for f in w.ask.due().things[0].findings] == [bare] * 4


def test_a_provider_that_stops_does_not_end_weights_that_are_here(desk: Desk, w: whence.Session) -> None:
    healthy(desk, "mine", base=desk.base("gpt-4"))
    hosted = desk.store.put(Base(name="gpt-4", location="gpt-4", fingerprint=None))
    desk.adapter("theirs", base=hosted, snapshot=desk.data("rows"))
    desk.owned("theirs")
    found = {one.name: one for one in w.ask.due().things}
    assert set(found) == {"theirs"}
    assert "retired by OpenAI on 2026-10-23" in found["theirs"].marks[0].message


def test_the_projects_own_dates_win(desk: Desk, w: whence.Session) -> None:
    hosted = desk.store.put(Base(name="gpt-4", location="gpt-4", fingerprint=None))
    desk.adapter("theirs", base=hosted, snapshot=desk.data("rows"))
    desk.owned("theirs")
    desk.calendar(**{"gpt-4": desk.now + timedelta(days=900)})
    assert w.ask.due().things == ()
    assert {m.check: m.days for m in w.ask.due(within=1000).things[0].marks}["due.base"] == 900


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"data": [{"id": "acme-1", "shutdown_date": "2026-12-01", "owned_by": "acme"}]}, "fail"),
        ({"data": [{"id": "acme-1", "shutdown_date": None}]}, "abstain"),
        ({"data": [{"id": "acme-1", "deprecation": "2026-12-01T00:00:00Z"}]}, "abstain"),
        ({"modelSummaries": [{"modelId": "acme-1", "modelLifecycle": {"endOfLifeTime": 1796083200}}]}, "fail"),
        ({"data": [{"id": "acme-1?", "shutdown_date": "2026-12-01"}, {"id": 3}, "x"]}, "abstain"),
        ([], "abstain"),
    ],
)
def test_a_providers_answer_is_read(desk: Desk, w: whence.Session, answer: object, verdict: str) -> None:
    hosted = desk.store.put(Base(name="acme-1", location="acme-1", fingerprint=None))
    desk.adapter("theirs", base=hosted, snapshot=desk.data("rows"))
    desk.owned("theirs")
    file = desk.folder / "models.json"
    file.write_text(json.dumps(answer))
    assert findings(w.ask.due(models=file).things[0]) == {"due.base": verdict}


def test_rights_that_end_later_and_waivers(desk: Desk, w: whence.Session) -> None:
    adapter = healthy(desk, "mine")
    assert w.ask.due().things == ()
    w.rights.withdraw(source="data-mine", valid_at=desk.now + timedelta(days=50))
    only = w.ask.due().things[0]
    assert (findings(only), only.days) == ({"due.rights": "fail"}, 50)
    w.rights.withdraw(source="data-mine")
    only = w.ask.due().things[0]
    assert (findings(only), only.days) == ({"due.rights": "fail"}, 0)
    assert "may not be used any more" in only.marks[0].message
    w.rights.grant(source="data-mine")  # for now: what is to come comes
    only = w.ask.due().things[0]
    assert (findings(only), only.days) == ({"due.rights": "fail"}, 50)
    w.rights.reinstate(source="data-mine")
    assert w.ask.due().things == ()
    with pytest.raises(Unmet, match="neither withdrawn nor disputed"):
        w.rights.reinstate(source="data-mine")
    judged = desk.store.put(_verdict(desk.store))
    until = desk.now + timedelta(days=10)
    waiver = desk.store.put(Waiver(verdict=judged, person="ada", reason="b3:words", expires_at=until))
    desk.store.put(Release(name="mine@1", adapter=adapter, verdict=judged, waiver=waiver))
    only = w.ask.due().things[0]
    assert (findings(only), only.days, only.marks[0].evidence) == ({"due.rights": "fail"}, 10, (waiver,))


def _verdict(store: Store) -> Verdict:
    from lineage.world import PRINT
    from lineage.world import verdict as judge

    base = store.put(Base(name="b", location="b", fingerprint=PRINT))
    return store.get(judge(store, base, next(ref for ref, _ in store.all(Base)), "fail"), Verdict)


def test_deletion_that_a_withdrawal_also_covers_is_surfaced_and_not_resolved(desk: Desk, w: whence.Session) -> None:
    snapshot = desk.data("logs", desk.now + timedelta(days=20))
    adapter = desk.adapter("mine", base=desk.base("base"), snapshot=snapshot)
    desk.owned("mine")
    alone = w.ask.due().things[0].marks[0]
    assert (alone.check, alone.severity) == ("due.data", "low")
    assert "withdrawn" not in alone.message
    desk.served(adapter, "mine")
    assert w.ask.due().things[0].marks[0].severity == "high"
    w.rights.withdraw(subject="logs-p1")
    mark = next(mark for mark in w.ask.due().things[0].marks if mark.check == "due.data")
    assert "at odds with this: subject:subject-" in mark.message
    assert mark.do == "a person decides which comes first"


def test_owners_who_left(desk: Desk, w: whence.Session) -> None:
    adapter = healthy(desk, "mine")
    desk.served(adapter, "mine")
    desk.owned("mine", "ada@example.org", "bo@example.org")
    orphans = w.rights.left("ada@example.org", at=desk.now - timedelta(days=3))
    assert orphans == ()
    only = w.ask.due().things[0]
    assert (findings(only), only.accountable, only.marks[0].severity) == (
        {"due.owner": "fail"},
        "bo@example.org",
        "low",
    )
    assert [one.about for one in w.rights.left("bo@example.org")] == ["mine"]
    only = w.ask.due().things[0]
    assert (only.accountable, only.marks[0].severity) == (None, "high")
    w.rights.own("mine@1", accountable="cy@example.org", backup="ada@example.org")
    assert w.ask.due().things == ()  # named again after she left: she is back
    with pytest.raises(Unmet, match="nothing is owned by 'nobody"):
        w.rights.left("nobody@example.org")
    with pytest.raises(NotFound):
        w.rights.own("no-such-thing", accountable="cy@example.org")
    with pytest.raises(Unmet, match="their own backup"):
        w.rights.own("mine", accountable="cy@example.org", backup="cy@example.org")
    w.rights.left("cy@example.org", at=desk.now + timedelta(days=40))
    only = w.ask.due().things[0]
    assert (findings(only), only.days) == ({"due.owner": "fail"}, 40)


def test_the_nearest_ownership_counts(desk: Desk, w: whence.Session) -> None:
    adapter = desk.adapter("mine", base=desk.base("base"), snapshot=desk.data("rows"))
    assert findings(w.ask.due().things[0]) == {"due.owner": "fail"}
    release = desk.store.put(Release(name="desk@1", adapter=adapter, verdict=None))
    desk.store.append("alias.moved", "alias:front", {"release": release, "name": "desk@1"})
    for n, thing in enumerate(("mine", "front", "desk@1", release[:20], adapter[:20])):
        w.rights.own(thing, accountable=f"p{n}@example.org")
        (only,) = w.ask.due().things
        assert only.accountable == f"p{n}@example.org", thing
        assert "no backup" in only.marks[0].message


def test_an_environment_past_its_support_and_an_old_closure(desk: Desk, w: whence.Session) -> None:
    healthy(desk, "old", python="3.9.18")
    healthy(desk, "stale", age_days=400)
    healthy(desk, "dirty", clean=False)
    found = {one.name: findings(one) for one in w.ask.due().things}
    assert found == {
        "old": {"due.environment": "fail"}, "stale": {"due.rebuild": "fail"}, "dirty": {"due.code": "fail"}
    }  # fmt: skip


def test_made_again_it_is_young_and_one(desk: Desk, w: whence.Session) -> None:
    base, snapshot = desk.base("base"), desk.data("rows")
    first = desk.adapter("mine", base=base, snapshot=snapshot, age_days=700)
    desk.owned("mine")
    assert findings(w.ask.due().things[0]) == {"due.rebuild": "fail"}
    from dataclasses import replace

    from whence.records import Adapter, Run

    made = desk.store.get(first, Adapter)
    again = desk.store.put(replace(desk.store.get(made.run, Run), attempt=1))
    desk.store.put(RunReport(run=again, started_at=desk.now - timedelta(days=5), duration_s=1.0, cpu_s=1.0))
    desk.store.put(replace(made, run=again))
    assert (w.ask.due().things, w.ask.due().adapters) == ((), 1)


@pytest.mark.parametrize(
    ("harm", "check", "says"),
    [
        ("base gone", "due.base", "cannot be had"),
        ("base changed", "due.base", "other weights"),
        ("data gone", "due.data", "cannot be read"),
        ("data changed", "due.data", "not what was read"),
        ("commit unknown", "due.code", "not in this repository"),
        ("commit unreachable", "due.code", "no branch or tag"),
        ("package absent", "due.import", "cannot be resolved"),
        ("package other", "due.import", "other versions"),
    ],
)
def test_a_probe_finds_the_harm_and_is_silent_without(
    desk: Desk, w: whence.Session, harm: str, check: str, says: str
) -> None:
    desk.calendar()
    made: dict[str, object] = {}
    if harm == "commit unknown":
        made["commit"] = "0" * 40
    elif harm == "commit unreachable":
        git(desk.folder, "commit", "-q", "--allow-empty", "-m", "lost")
        made["commit"] = git(desk.folder, "rev-parse", "HEAD")
        git(desk.folder, "reset", "-q", "--hard", "HEAD~1")
    elif harm == "package absent":
        made["packages"] = [*HERE, "acme-private==1.0"]
    elif harm == "package other":
        made["packages"] = [*HERE[1:], "pydantic==1.0"]
    healthy(desk, "mine", **made)
    healthy(desk, "control")
    base = desk.folder / "base-mine"
    if harm == "base gone":
        base.rename(desk.folder / "elsewhere")
    elif harm == "base changed":
        for file in base.iterdir():
            file.unlink()
        base.rmdir()
        make_base(base, seed=99)
    elif harm == "data gone":
        (desk.folder / "data-mine.jsonl").unlink()
    elif harm == "data changed":
        (desk.folder / "data-mine.jsonl").write_text("{}\n")
    assert w.ask.due().things == ()  # clocks alone say nothing
    only = w.ask.due(probe=True).things
    assert [(one.name, findings(one)) for one in only] == [("mine", {check: "fail"})]
    assert says in only[0].marks[0].message


def test_a_declared_endpoint_is_asked_for_its_models(desk: Desk, w: whence.Session, endpoint: HTTPServer) -> None:
    endpoint.names = ["mine"]  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{endpoint.server_port}"
    desk.served(healthy(desk, "mine"), "mine", url)
    assert w.ask.due(probe=True).things == ()
    desk.served(healthy(desk, "other"), "other", url)
    only = w.ask.due(probe=True).things[0]
    assert (only.name, findings(only)) == ("other", {"due.deployment": "fail"})
    endpoint.server_close()
    assert {one.name for one in w.ask.due(probe=True).things} == {"mine", "other"}


@pytest.mark.parametrize("endpoint", ["imported:openai", "gpu1", "http://u:p@gpu1/v1", "http://gpu1:port", ""])
def test_what_is_no_address_is_not_asked_and_stops_no_other_probe(desk: Desk, w: whence.Session, endpoint: str) -> None:
    desk.served(healthy(desk, "mine"), "mine", endpoint)
    desk.adapter("bare", base=None, snapshot=None)
    found = {one.name: {mark.check: mark.verdict for mark in one.marks} for one in w.ask.due(probe=True).things}
    assert found["mine"] == {"due.deployment": "abstain"}
    assert "bare" in found


def test_a_waiver_of_a_binding_that_expires(desk: Desk, w: whence.Session) -> None:
    adapter = healthy(desk, "mine")
    desk.served(adapter, "mine")
    (ref, _) = desk.store.all(Release)[-1]
    for days in (10, 400):
        until = desk.now + timedelta(days=days)
        desk.store.put(BindingWaiver(release=ref, weights="b3:0", person="ann", reason="blake2b:0", expires_at=until))
        found = [mark for one in w.ask.due().things for mark in one.marks]
        assert [(mark.check, mark.days) for mark in found] == ([("due.rights", 10)] if days == 10 else [])


def test_a_calendar_with_faults_names_them_all_with_their_lines(desk: Desk, w: whence.Session) -> None:
    (desk.folder / "whence-calendar.toml").write_text(
        '[[entries]]\nprovider = "x"\nkind = "gone"\nat = "soon"\nmatch = ["a"]\nsource = "a page"\nread = 2026-11-01\n'
    )
    with pytest.raises(Unmet) as error:
        w.ask.due()
    said = str(error.value)
    for line in (":3: entries.0.kind", ":4: entries.0.at", ":5: entries.0.match", ":6: entries.0.source"):
        assert line in said
    assert "did you mean 'matches'?" in said
    assert "entries.0.matches: is missing" in said


@pytest.mark.parametrize("bad", ["entries = 3", "[[entries]", "[[entries]]\nmatches = ['*']", "x = 1", "as_of = 1"])
def test_a_calendar_that_is_none_is_refused(desk: Desk, w: whence.Session, bad: str) -> None:
    (desk.folder / "whence-calendar.toml").write_text(bad)
    with pytest.raises(Unmet):
        w.ask.due()


def test_the_command_prints_a_line_a_finding_and_exits_with_what_it_found(desk: Desk, w: whence.Session) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "whence", "ask", "due", *words]
        return subprocess.run(command, cwd=desk.folder, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    healthy(desk, "mine", packages=None)
    assert run().returncode == 4
    desk.calendar(**{"base-mine": desk.now + timedelta(days=43)})
    done = run("--ics", "ends.ics", "--within", "3650")
    assert done.returncode == 2
    assert "base-mine is retired by The lab" in " ".join(done.stdout.split())
    assert (desk.folder / "ends.ics").read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")
    value = json.loads(run("--json", "--within", "3650").stdout)
    assert value["outcome"] == "fail"
    assert {f["check"] for f in value["due"][0]["findings"]} == {"due.base", "due.environment"}
    assert run("--models", "no-such.json").returncode == 1
    assert run("--within", "-3").returncode == 3


def test_search_finds_by_name_base_source_release_and_owner(desk: Desk, w: whence.Session) -> None:
    desk.served(healthy(desk, "Kiosk"), "front-desk")
    healthy(desk, "other")
    desk.owned("other", "zoe@example.org")
    for text in ("kiosk", "BASE-KIOSK", "data-kio", "front-d"):
        assert [one.name for one in w.model.search(text)] == ["Kiosk"], text
    assert [one.name for one in w.model.search("Zoe")] == ["other"]
    assert w.model.search("nowhere") == []
    assert w.model.list() == w.model.search("")
