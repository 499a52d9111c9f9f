"""A store that was moved, copied, copied while it was written, reached through a link, or may only be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stores import contents

import whence as product
from whence.records import WhenceError

pytestmark = pytest.mark.fault

COPIES = 6


def works(folder: Path) -> None:
    """It verifies, answers, and is up to date."""
    with product.open(folder, actor="ada@example.org") as w:
        assert w.verify() == []
        assert w.ask.why("support").label.startswith("desk@1")
        w.run("curate")
        assert [stage.fresh for stage in w.run("curate").stages] == [False, False]
        assert w.verify() == []


def test_moved_copied_or_linked_it_is_the_same_store(project: Path, tmp_path: Path) -> None:
    moved = project.rename(tmp_path / "elsewhere")
    works(moved)
    shutil.copytree(moved, tmp_path / "copy")
    works(tmp_path / "copy")
    (tmp_path / "link").symlink_to(moved)
    works(tmp_path / "link")
    (tmp_path / "alone").mkdir()
    shutil.move(moved / ".whence", tmp_path / "alone" / "store")
    (moved / ".whence").symlink_to(tmp_path / "alone" / "store")
    works(moved)


def test_a_copy_made_during_writing_verifies_or_says_what_is_missing(project: Path, tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("busy.py"), project], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout.readline() == "0\n"
    said = []
    for number in range(COPIES):
        time.sleep(0.05 * number)
        copy = tmp_path / f"copy-{number}"
        subprocess.run(["cp", "-r", project, copy], check=False, stderr=subprocess.DEVNULL)  # files come and go
        assert writer.poll() is None
        try:
            with product.open(copy) as w:
                found = [finding.message for finding in w.verify()]
        except WhenceError as error:
            found = [str(error)]
        assert all(found)
        said.append(found)
    writer.kill()
    writer.wait()
    whole = sum(not found for found in said)
    print(f"copied {COPIES} times during writing: {whole} verify, {COPIES - whole} say what is missing")
    with product.open(project) as w:
        assert w.verify() == [], "the copied store itself"


def sealed(project: Path, *words: str) -> tuple[int, str]:
    """A command line where the project may only be read."""
    command = [sys.executable, "-m", "whence", "-C", str(project), *words]
    if os.geteuid() == 0:
        mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", mount, str(project), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no read-only mount here: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_what_may_only_be_read_answers_and_refuses_to_be_written(project: Path) -> None:
    before = contents(project)
    if os.geteuid():
        for path in [*project.rglob("*"), project]:
            path.chmod(path.stat().st_mode & ~0o222)
    try:
        for words in (("verify",), ("ask", "why", "support"), ("ask", "blast-radius", "--subject", "customer 5")):
            code, told = sealed(project, *words)
            assert code == (2 if "blast-radius" in words else 0), told  # something live must come down
        for words in (("rights", "withdraw", "--source", "tickets"), ("run", "--to", "curate")):
            code, told = sealed(project, *words)
            assert code == 1
            assert "cannot be written" in told
            assert "  do: " in told
    finally:
        for path in [project, *project.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
    assert contents(project) == before


def test_a_log_that_was_left_is_not_passed_over_where_one_may_only_read(project: Path) -> None:
    work = "import os; from pathlib import Path; from whence.store import Store; from whence import govern\n"
    work += "s = Store.open(Path('.whence'), actor='ada@example.org'); govern.change(s, 'source:tickets', 'withdraw')\n"
    subprocess.run([sys.executable, "-c", work + "os._exit(0)"], cwd=project, check=True)
    assert (project / ".whence" / "catalogue.db-wal").stat().st_size
    if os.geteuid():
        (project / ".whence").chmod(0o555)
    code, told = sealed(project, "ask", "blast-radius", "--source", "tickets")
    (project / ".whence").chmod(0o755)
    assert code == 2 or "cannot be" in told
    code, told = sealed(project, "verify")
    assert "33 events" in told or "cannot be" in told, "the log was passed over"
