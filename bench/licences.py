"""Licences told by their text: makes the sketches, and counts errors on the licence files of the installed packages.

python -m bench.licences sketches     # from WHENCE_DATA/licences/choosealicense.jsonl into src/whence/govern
python -m bench.licences installed    # declared (License-Expression) against detected
"""

from __future__ import annotations

import argparse
import json
import os
from importlib.metadata import distributions
from pathlib import Path

from whence.govern.detect import detect, sketched
from whence.govern.licences import licence_id
from whence.stats import wilson

HERE = Path(__file__).parents[1] / "src/whence/govern/licence-sketches.json"


def published() -> list[tuple[str, str]]:
    """(id, text) of the published set."""
    file = Path(os.environ.get("WHENCE_DATA", "../shared/data")) / "licences/choosealicense.jsonl"
    return [(one["spdx"], one["text"]) for one in map(json.loads, file.read_text(encoding="utf-8").splitlines())]


def installed() -> list[tuple[str, str, str, str | None]]:
    """(package, file, declared, detected) of packages that declare one licence and carry one licence file."""
    out = []
    for package in distributions():
        declared = licence_id(package.metadata.get("License-Expression") or "")
        named = [f for f in package.files or () if f.name.upper().startswith(("LICEN", "COPYING"))]
        texts = [f for f in named if Path(str(f.locate())).is_file()]
        if declared and len(texts) == 1:
            text = Path(str(texts[0].locate())).read_text(encoding="utf-8", errors="replace")
            found = detect(text)
            out.append((package.name, texts[0].name, declared, found.id if found else None))
    return out


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("sketches", "installed"))
    if parser.parse_args().what == "sketches":
        HERE.write_text(sketched(published()), encoding="utf-8")
        return
    seen = installed()
    for package, file, declared, found in seen:
        if declared != found:
            print(f"{package} {file}: declared {declared}, detected {found}")
    wrong, none = sum(d != f and f is not None for *_, d, f in seen), sum(f is None for *_, f in seen)
    for what, count in (("another licence than declared", wrong), ("none", none)):
        share = wilson(count, len(seen))
        print(f"{what}: {count} of {len(seen)}, {share.statistic:.1%} ({share.low:.1%} to {share.high:.1%})")


if __name__ == "__main__":
    main()
