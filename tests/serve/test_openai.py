"""The official client against the tiny model and two adapters; what must not start does not."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from models.makers import make_adapter, perturbed, rewrite
from serve.shelf import point, shelve
from whence import feedback
from whence.models import Request, fingerprint
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Base, Deployment, Feedback, Trace, Unmet
from whence.serve import Gateway, Settings, state
from whence.store import Store, verify

pytestmark = pytest.mark.tiny
ASKED = [{"role": "user", "content": "Where is my card?"}]


class Desk:
    """A store with three releases on the tiny base, two of them served."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.base = base
        self.store = Store.open(folder / ".whence", create=True, actor="tester@example.org")
        names = {"support@1": 1, "support@2": 2, "sales@1": 3}
        self.adapters = {name: make_adapter(base, folder / name, seed) for name, seed in names.items()}
        self.releases = shelve(self.store, base, self.adapters)
        point(self.store, "support", self.releases["support@1"])
        self.gateway = Gateway(
            self.store, ["support", "support@2"], Settings(port=0), feedback=feedback.send, model_factory=one_thread
        )
        self.url = self.gateway.start()
        self.client = openai.OpenAI(base_url=self.url + "/v1", api_key="none", max_retries=0)

    def traces(self) -> dict[str, Trace]:
        return {trace.id: trace for _, trace in self.store.all(Trace)}


def one_thread(base: Path, adapters) -> TransformersModel:
    return TransformersModel(base, adapters, threads=1)


@pytest.fixture(scope="module")
def desk(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"), tiny_base)
    yield made
    made.gateway.stop()


def expected(desk: Desk, name: str, **options) -> str:
    model = TransformersModel(desk.base, {name: desk.adapters[name]}, threads=1)
    return model.generate([Request(messages=ASKED, adapter=name, max_tokens=20, **options)])[0].text


def test_answers_name_their_release(desk: Desk) -> None:
    for model, name in (("support", "support@1"), ("support@1", "support@1"), ("support@2", "support@2")):
        raw = desk.client.chat.completions.with_raw_response.create(
            model=model, messages=ASKED, max_tokens=20, temperature=0
        )
        answer = raw.parse()
        assert answer.choices[0].message.content == expected(desk, name)
        assert answer.model == name
        assert raw.headers["x-whence-release"] == desk.releases[name]
        assert raw.headers["x-whence-trace"] == answer.id
        assert desk.releases[name].startswith("sha256:" + answer.system_fingerprint)
        assert answer.id.startswith("chatcmpl-")
        assert len(answer.id) == 41
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 9


def test_a_stream_is_the_same_answer(desk: Desk) -> None:
    stream = desk.client.chat.completions.create(
        model="support",
        messages=ASKED,
        max_completion_tokens=20,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    parts = list(stream)
    assert parts[0].choices[0].delta.role == "assistant"
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == expected(desk, "support@1")
    assert parts[-2].choices[0].finish_reason in ("stop", "length")
    assert parts[-1].choices == []
    assert parts[-1].usage.prompt_tokens > 0
    assert len({part.id for part in parts}) == 1
    assert len(parts) > 5, "it should come in pieces"


def test_many_at_once_for_different_adapters(desk: Desk) -> None:
    names = ["support@1", "support@2"] * 6
    said: dict[int, str] = {}

    def ask(number: int) -> None:
        answer = desk.client.chat.completions.create(
            model=names[number], messages=ASKED, max_tokens=20, temperature=0, user=f"u{number}"
        )
        said[number] = answer.choices[0].message.content

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    right = {name: expected(desk, name) for name in set(names)}
    assert said == {n: right[name] for n, name in enumerate(names)}


def test_stop_and_length(desk: Desk) -> None:
    whole = expected(desk, "support@1")
    word = whole[len(whole) // 2 :][:3]
    ask = desk.client.chat.completions.create
    stopped = ask(model="support", messages=ASKED, max_tokens=20, temperature=0, stop=word).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == (whole.split(word)[0], "stop")
    assert ask(model="support", messages=ASKED, max_tokens=1, temperature=0).choices[0].finish_reason == "length"


def test_models_are_aliases_and_releases(desk: Desk) -> None:
    names = [model.id for model in desk.client.models.list()]
    assert names == ["support", "support@1", "support@2"]


def test_errors_have_openai_s_shape(desk: Desk) -> None:
    ask = desk.client.chat.completions.create
    with pytest.raises(openai.NotFoundError, match="expected: one of sales, support") as missing:
        ask(model="nobody", messages=ASKED)
    assert missing.value.body["code"] == "model_not_found"
    with pytest.raises(openai.InternalServerError, match="restart the server") as unloaded:
        ask(model="sales", messages=ASKED)
    assert unloaded.value.status_code == 503
    long = [{"role": "user", "content": "card " * 3000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="context of 1024"):
            ask(model="support", messages=long, stream=stream)


def test_an_alias_that_moves_is_followed_at_the_next_request(desk: Desk) -> None:
    ask = desk.client.chat.completions.create
    point(desk.store, "support", desk.releases["support@2"])
    try:
        assert ask(model="support", messages=ASKED, max_tokens=2).model == "support@2"
    finally:
        point(desk.store, "support", desk.releases["support@1"])
    assert ask(model="support", messages=ASKED, max_tokens=2).model == "support@1"


def test_traces_consent_subject_and_feedback(desk: Desk) -> None:
    ask = desk.client.chat.completions.create
    common = {"model": "support", "messages": ASKED, "max_tokens": 4, "temperature": 0.0}
    silent = ask(**common)
    by_body = ask(**common, user="anna@example.org", metadata={"consent": "train"})
    by_header = ask(**common, user="anna@example.org", extra_headers={"x-whence-consent": "train"})
    with pytest.raises(openai.BadRequestError, match="consent"):
        ask(**common, metadata={"consent": "none"}, extra_headers={"x-whence-consent": "train"})
    answer = desk.client.post(
        "/feedback", body={"trace": by_body.id, "intent": "correction", "text": "Card help"}, cast_to=object
    )
    traces = desk.traces()
    assert [traces[a.id].consent for a in (silent, by_body, by_header)] == ["none", "train", "train"]
    assert traces[silent.id].subject is None
    assert traces[by_body.id].subject == traces[by_header.id].subject == desk.store.keys.pseudonym("anna@example.org")
    assert traces[by_body.id].release == desk.releases["support@1"]
    assert desk.store.words(traces[by_body.id].content)["answer"] == by_body.choices[0].message.content
    kept = desk.store.get(answer["id"], Feedback)
    assert (kept.trace, kept.intent, kept.surface) == (by_body.id, "correction", "api")
    assert desk.store.words(kept.content) == {"text": "Card help"}
    for body in ({"trace": "chatcmpl-0", "intent": "flag"}, {"trace": by_body.id, "intent": "rating"}):
        with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
            desk.client.post("/feedback", body=body, cast_to=object)
    everything = "".join(body for _, body in desk.store.bodies()) + str([e for e, _ in desk.store.chain()])
    for private in ("anna@example.org", "Where is my card", "Card help"):
        assert private not in everything
    assert b"anna@example.org" not in b"".join(p.read_bytes() for p in desk.store.root.rglob("*") if p.is_file())
    assert verify(desk.store) == []


def test_each_served_release_has_a_lease(desk: Desk) -> None:
    leases = desk.gateway.deployments
    assert [desk.store.get(d, Deployment).release for d in leases] == [
        desk.releases["support@1"],
        desk.releases["support@2"],
    ]
    assert {state(desk.store, d) for d in leases} == {"live"}
    assert desk.store.get(leases[0], Deployment).endpoint == desk.url


# -- what must not start ------------------------------------------------------------------------------------------


def starts(store: Store, *names: str) -> bool:
    """Whether a gateway starts; the model is loaded only when all checks have passed."""
    gateway = Gateway(store, names, Settings(port=0), model_factory=one_thread)
    gateway.start()
    gateway.stop()
    return True


@pytest.fixture
def folders(tiny_base: Path, desk: Desk, tmp_path: Path) -> tuple[Store, Path, Path]:
    """A store with one release, its base and its adapter in folders that a test may spoil."""
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    adapter = Path(shutil.copytree(desk.adapters["support@1"], tmp_path / "adapter"))
    store = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    shelve(store, base, {"support@1": adapter})
    return store, base, adapter


def replace(folder: Path, change, file: str) -> None:
    other = rewrite(folder, folder.with_name("changed"), change, file=file)
    shutil.rmtree(folder)
    other.rename(folder)


def renamed(tensors):
    return {name.replace("layers.1", "layers.7"): tensor for name, tensor in tensors.items()}


def test_the_control_starts(folders) -> None:
    assert starts(folders[0], "support")


def test_a_base_of_the_same_shapes_with_other_weights_is_refused(folders) -> None:
    store, base, _ = folders
    replace(base, perturbed, "model.safetensors")
    with pytest.raises(Unmet, match=r"support@1: another base than in training: weights differ"):
        starts(store, "support")
    assert store.all(Deployment) == []


def test_renamed_tensors_are_refused_with_every_reason(folders) -> None:
    store, _, adapter = folders
    replace(adapter, renamed, "adapter_model.safetensors")
    with pytest.raises(Unmet) as refusal:
        starts(store, "support@1")
    for reason in ("the adapter's tensors changed", "3 modules of the adapter are not in the base", "have no tensors"):
        assert reason in str(refusal.value)


def test_another_tokenizer_template_or_configuration_is_refused(folders) -> None:
    store, base, adapter = folders
    (base / "chat_template.jinja").write_text("{{ messages }}")
    (base / "tokenizer.json").write_text((base / "tokenizer.json").read_text().replace("<|tool|>", "<|took|>"))
    (adapter / "adapter_config.json").write_text(
        (adapter / "adapter_config.json").read_text().replace('"lora_alpha": 8', '"lora_alpha": 64')
    )
    with pytest.raises(Unmet) as refusal:
        starts(store)
    for reason in ("the tokenizer gives other ids", "the chat template is another", "configuration changed"):
        assert reason in str(refusal.value)


def test_two_bases_do_not_share_a_gateway(folders, tiny_base: Path, tmp_path: Path) -> None:
    store, _, adapter = folders
    other = rewrite(tiny_base, tmp_path / "other", perturbed)
    shelve(store, other, {"elsewhere@1": adapter})
    with pytest.raises(Unmet, match="need different bases"):
        starts(store, "support", "elsewhere")
    assert starts(store, "elsewhere")
    assert fingerprint(other) in [base.fingerprint for _, base in store.all(Base)]
