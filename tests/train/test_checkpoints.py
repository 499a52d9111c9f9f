"""A checkpoint counts when its marker verifies, and only for the run and conditions that it was made under."""

from __future__ import annotations

from pathlib import Path

import pytest

from whence.train.checkpoints import MARKER, seal, sweep

UNDER = {"recipe": "sha256:aa"}


def write(folder: Path, step: int, sealed: bool = True) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    (checkpoint / "adapter_model.safetensors").write_bytes(b"w" * 100 + bytes([step]))
    (checkpoint / "optimizer.pt").write_bytes(b"o" * 50)
    (checkpoint / "training_args.bin").write_bytes(b"pickle")
    if sealed:
        seal(checkpoint, UNDER)
    return checkpoint


def steps(folder: Path) -> list[int]:
    return [checkpoint.step for checkpoint in sweep(folder, UNDER)]


def test_whole_checkpoints_are_kept_in_order(tmp_path: Path) -> None:
    for step in (10, 2, 4):
        write(tmp_path, step)
    found = sweep(tmp_path, UNDER)
    assert [checkpoint.step for checkpoint in found] == [2, 4, 10]
    assert len({checkpoint.digest for checkpoint in found}) == 3
    assert not (tmp_path / "checkpoint-2" / "training_args.bin").exists()
    assert sweep(tmp_path, UNDER) == found


def flip(checkpoint: Path) -> None:
    file = checkpoint / "optimizer.pt"
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(data)


FAULTS = {
    "flipped bit": flip,
    "truncated file": lambda c: (c / "optimizer.pt").write_bytes(b"o" * 20),
    "missing file": lambda c: (c / "adapter_model.safetensors").unlink(),
    "file added": lambda c: (c / "scheduler.pt").write_bytes(b"s"),
    "no marker": lambda c: (c / MARKER).unlink(),
    "torn marker": lambda c: (c / MARKER).write_bytes((c / MARKER).read_bytes()[:20]),
    "marker of another kind": lambda c: (c / MARKER).write_text("[]"),
}


@pytest.mark.fault
@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_checkpoint_is_removed_and_the_one_before_counts(tmp_path: Path, fault: str) -> None:
    write(tmp_path, 2)
    damaged = write(tmp_path, 4)
    FAULTS[fault](damaged)
    assert steps(tmp_path) == [2]
    assert not damaged.exists()


def test_half_a_checkpoint_is_removed(tmp_path: Path) -> None:
    half = write(tmp_path, 2, sealed=False)
    assert steps(tmp_path) == []
    assert not half.exists()


def test_a_checkpoint_made_under_something_else_is_not_resumed(tmp_path: Path) -> None:
    write(tmp_path, 2)
    assert sweep(tmp_path, {"recipe": "sha256:bb"}) == []
    assert not (tmp_path / "checkpoint-2").exists()
