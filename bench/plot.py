"""A log-log picture of how the questions of `bench.blast` grow, from its printed table.

python -m bench.blast --rows 100000 1000000 10000000 100000000 > blast.txt
python -m bench.plot blast.txt docs/blast-radius.svg
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 800, 440, 70, 250, 30, 50
COLOURS = {"a licence over a hundredth": "#b3432b", "5,000 people": "#2b6cb3", "one person": "#3f8f4f"}
DASHES = {"as ingested": "", "shuffled": "6 4"}


def points(text: str) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(layout, question) → (rows, p95 ms), of questions that looked at what is live."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| \n").split("|")]
        if len(cells) == 9 and cells[0] in DASHES and cells[3] == "live":
            found.setdefault((cells[0], cells[2]), []).append(
                (int(cells[1].replace(",", "")), float(cells[6].replace(",", "")))
            )
    return found


def picture(found: dict[tuple[str, str], list[tuple[int, float]]]) -> str:
    """One line a question and layout, each named at its end."""
    sizes = sorted({rows for line in found.values() for rows, _ in line})
    times = [ms for line in found.values() for _, ms in line]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def x(rows: float) -> float:
        span = math.log10(sizes[-1] / sizes[0]) or 1
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(rows / sizes[0]) / span

    def y(ms: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(ms) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    ]
    for rows in sizes:
        parts.append(
            f'<line x1="{x(rows):.0f}" y1="{TOP}" x2="{x(rows):.0f}" y2="{HEIGHT - BOTTOM}" stroke="#e3e7ec"/>'
        )
        parts.append(f'<text x="{x(rows):.0f}" y="{HEIGHT - 30}" text-anchor="middle">{rows:,}</text>')
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{LEFT}" y1="{at:.0f}" x2="{WIDTH - RIGHT}" y2="{at:.0f}" stroke="#e3e7ec"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.0f}" text-anchor="end">{10.0**power:g} ms</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 12}">p95 of a warm question about what is live</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">rows</text>')
    ends: list[float] = []
    for (layout, question), line in sorted(found.items(), key=lambda pair: -pair[1][-1][1]):
        dash = f' stroke-dasharray="{DASHES[layout]}"' if DASHES[layout] else ""
        path = " ".join(f"{x(rows):.1f},{y(ms):.1f}" for rows, ms in sorted(line))
        colour, at = COLOURS[question], y(line[-1][1])
        while any(abs(at - other) < 14 for other in ends):
            at += 2
        ends.append(at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{x(r):.1f}" cy="{y(ms):.1f}" r="3" fill="{colour}"/>' for r, ms in line]
        parts.append(f'<text x="{x(line[-1][0]) + 8:.0f}" y="{at + 4:.0f}" fill="{colour}">{question}, {layout}</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    args.picture.write_text(picture(points(args.table.read_text())))


if __name__ == "__main__":
    main()
