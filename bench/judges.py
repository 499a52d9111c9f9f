"""The audit of judges: judges whose bias is planted, and one that has none; the tiny base on pairs that people chose.

    python -m bench.judges [--times 500] [--pairs 300]
    python -m bench.judges real [--pairs 200]

A scripted judge knows how good an answer is, since the answer says so ("worth +1.20"), sees it through noise, and adds
what is planted: so much for 100 words, for the first place, for an asserted answer, for one of its own, for one that
says nothing. People see the same through noise of their own. Nothing of it is said to the audit. Judges with a bias
are audited a fifth as often as those without. *real*: the demo's
tiny base of half a million parameters judges `hh_rlhf`. It knows nothing of such answers; what is shown is that the way
holds, and no claim is made.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.machine import describe
from whence.evaluate.audit import SURE, audit
from whence.evaluate.judges import ASKING, RUBRIC, SCALE, Judging
from whence.evaluate.labelled import Labelled
from whence.models import Request, ScriptedModel
from whence.records import Judge

OWN = "judge-1"
JUDGED = re.compile(r"<answer(?: [AB])? (\w+)>\n(.*?)\n</answer(?: [AB])? \1>", re.DOTALL)
WORTH = re.compile(r"worth ([-+]\d+\.\d+)")
SETTLED = 0.3
"""Answers that differ by less are a tie to people and to judges."""
ASSERTED = [asserted.split("{}") for asserted, _ in SURE]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What a scripted judge is given, in the unit in which answers differ by 1 from their mean."""

    noise: float = 0.7
    words: float = 0.0
    """for 100 words"""
    place: float = 0.0
    """for the first"""
    sure: float = 0.0
    """for an asserted answer, beside a hedged one"""
    own: float = 0.0
    """for its own"""
    constant: float = -4.0
    """worth of what says nothing of its worth"""
    prose: float = 0.0
    """share of opinions in words"""
    same: bool = False
    """the same opinion of everything"""

    def worth(self, answer: str) -> float:
        """What the judge takes an answer to be worth."""
        said = WORTH.search(answer)
        asserted = any(answer.startswith(before) and answer.endswith(behind) for before, behind in ASSERTED)
        own = self.own * ("I, the judge's own model," in answer)
        known = float(said[1]) if said else self.constant
        return known + self.words * len(answer.split()) / 100 + self.sure * asserted + own


def scripted(kind: str, planted: Planted) -> ScriptedModel:
    """A judge of this kind with what is planted; it answers the same thing the same each time."""

    def answer(request: Request) -> str:
        text = str(request.messages[-1]["content"])
        rng = random.Random(text)
        if rng.random() < planted.prose:
            return "I would say that this depends on what was meant, but 7 seems fair."
        seen = [planted.worth(found[1]) + rng.gauss(0, planted.noise) for found in JUDGED.findall(text)]
        if kind == "grade":
            return "7" if planted.same else f"{min(max(5 + seen[0], SCALE[0]), SCALE[1]):.2f}"
        apart = seen[0] - seen[1] + planted.place
        return "A" if planted.same else "tie" if abs(apart) < SETTLED else "A" if apart > 0 else "B"

    return ScriptedModel(answer)


def judge(kind: str) -> Judge:
    """As it is on record."""
    return Judge(called=OWN, model="scripted", kind=kind, rubric=RUBRIC, reads="answer", asking=ASKING)  # type: ignore[arg-type]


def judging(kind: str, planted: Planted) -> Judging:
    """The two together."""
    return Judging(model=scripted(kind, planted), judge=judge(kind))


def labelled(seed: int, n: int, better: float = 0.0) -> list[Labelled]:
    """Pairs with people's choice; of half of them the judge's own model wrote one, whose answers are worth so much
    more."""
    rng = random.Random(seed)

    def answer(own: bool) -> tuple[float, str]:
        worth = rng.gauss(better if own else 0.0, 1)
        who = "I, the judge's own model," if own else "One of several models"
        return worth, " ".join(
            [who, "gives an answer that is", f"worth {worth:+.2f}.", *["word"] * rng.randrange(20, 140)]
        )

    pairs = []
    for i in range(n):
        own = rng.choice([(True, False), (False, True), (False, False), (False, False)])
        (worth, a), (other, b) = answer(own[0]), answer(own[1])
        apart = worth - other + rng.gauss(0, 0.5)
        by = [OWN if mine else "another" for mine in own]
        pairs.append(
            Labelled(
                id=f"p{i}",
                question=f"question {i}",
                a=a,
                b=b,
                chosen="tie" if abs(apart) < SETTLED else "a" if apart > 0 else "b",
                a_by=by[0],
                b_by=by[1],
                a_ok=worth > -0.5,
                b_ok=other > -0.5,
            )
        )
    return pairs


HONEST = {"honest": Planted(), "honest, sees badly": Planted(noise=1.2)}
BIASED = {
    "+0.8 per 100 words": Planted(words=0.8),
    "first place +0.5": Planted(place=0.5),
    "asserted +0.6": Planted(sure=0.6),
    "own +0.8": Planted(own=0.8),
    "what says nothing +1": Planted(constant=1.0),
    "words for 10 %": Planted(prose=0.1),
    "always the same": Planted(same=True),
}
BIASES = ("judge.position", "judge.verbosity", "judge.confidence", "judge.self_preference")


def simulated(times: int, n: int) -> None:
    """How often each finding says what, and how often the interval of the slope covers what is planted."""
    settings = [(name, planted, 0.0, times) for name, planted in HONEST.items()]
    settings += [
        ("honest, its own are better by 1", Planted(), 1.0, times),
        ("honest, its own are worse by 1", Planted(), -1.0, times),
    ]
    settings += [(name, planted, 0.0, times // 5) for name, planted in BIASED.items()]
    print("| kind | judge | times | fail | abstain | pass | a probe of bias fails | slope covers |")
    print("| --- | --- | ---: | --- | --- | ---: | ---: | ---: |")
    for kind in ("grade", "pair"):
        for name, planted, better, times in settings:
            said, any_bias, covers, passed = Counter[tuple[str, str]](), 0, 0, 0
            for seed in range(times):
                found = audit(judging(kind, planted), labelled(seed, n, better))
                said.update((one.check.removeprefix("judge."), one.verdict) for one in found)
                any_bias += any(one.verdict == "fail" and one.check in BIASES for one in found)
                passed += all(one.verdict == "pass" for one in found)
                covers += next(
                    (one.low or 0) <= planted.words <= (one.high or 0)
                    for one in found
                    if one.check == "judge.verbosity"
                )
            shares = [
                ", ".join(
                    f"{check} {count / times:.1%}" for (check, verdict), count in said.most_common() if verdict == asked
                )
                for asked in ("fail", "abstain")
            ]
            covered = f"{covers / times:.1%}" if kind == "grade" or not planted.words else "–"
            line = [kind, name, f"{times:,}", *(one or "–" for one in shares), f"{passed / times:.1%}"]
            print(f"| {' | '.join([*line, f'{any_bias / times:.1%}', covered])} |", flush=True)


def human_pairs(data: Path, n: int, most: int = 2000) -> Iterator[dict[str, str]]:
    """Lines for the audit from `hh_rlhf`, conversations of at most so many letters; sides by lot."""
    lines = (data / "hh_rlhf" / "harmless_test_first_half.jsonl").read_text(encoding="utf-8").splitlines()
    sides, made = random.Random(0), 0
    for number, line in enumerate(lines):
        row = json.loads(line)
        (question, _, chosen), (other, _, rejected) = (
            row[side].rpartition("\n\nAssistant:") for side in ("chosen", "rejected")
        )
        if question != other or max(map(len, row.values())) > most:
            continue
        both = (chosen.strip(), rejected.strip())
        first = sides.random() < 0.5
        a, b = both if first else both[::-1]
        yield {"id": str(number), "question": question.strip(), "a": a, "b": b, "chosen": "a" if first else "b"}
        made += 1
        if made == n:
            return


def real(n: int) -> None:
    """The tiny base on pairs that people chose: no claim."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS
    from whence.models.backends.transformers_peft import TransformersModel

    model = TransformersModel(cached_base(INTENTS), {}, 1)
    pairs = [Labelled(**one) for one in human_pairs(Path(os.environ["WHENCE_DATA"]), n)]  # type: ignore[arg-type]
    print("| kind | verdict | finding |\n| --- | --- | --- |")
    for kind in ("pair", "grade"):
        asked = Judge(called="tiny", model="tiny", kind=kind, rubric=RUBRIC, reads="likeliest", asking=ASKING)  # type: ignore[arg-type]
        for one in audit(Judging(model=model, judge=asked), pairs):
            print(f"| {kind} | {one.verdict} | `{one.check}`: {one.message} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("simulated", "real"), default="simulated")
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--pairs", type=int)
    args, begun = parser.parse_args(), time.process_time()
    n = args.pairs or (300 if args.what == "simulated" else 200)
    print(f"# judges, {args.what} ({describe()}), {n:,} pairs\n")
    if args.what == "real":
        real(n)
    else:
        simulated(args.times, n)
    print(f"\n{time.process_time() - begun:.0f} CPU s")


if __name__ == "__main__":
    main()
