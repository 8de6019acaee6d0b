"""Hold the line against the plainest conversion of the same file, in rounds, each process measured as a whole.

Run ``python -m benchmarks.line``. In every round DuckDB converts the CSV to Parquet (the floor), then the line takes it
to a verified GeoParquet release, then Great Expectations judges the accepted rows, each in a process of its own. Rounds
follow one another so that a busy machine is busy for all three, and the ratios are medians of the rounds' own ratios.
A first round is not counted. The release has no GeoPackage; what one adds is measured once, apart.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Cost, measure
from benchmarks.occurrences import SEED, make

PROJECT = Path(__file__).resolve().parents[1]
NAMES = {"convert": "A  DuckDB, CSV to Parquet", "line": "B  the line, to a verified release", "audit": "C  the audit"}
GOAL_CPU = 2.5
GOAL_MIB = 1.2 * 1024
GOAL_GROWTH = 1.1


@dataclass(frozen=True)
class Round:
    """What one round cost, by process."""

    convert: Cost
    line: Cost
    audit: Cost

    def ratios(self, words: Sequence[str]) -> tuple[float, float]:
        """Give processor time and time by the clock of some processes together, over the floor's."""
        costs = [getattr(self, word) for word in words]
        cpu, wall = sum(cost.cpu_s for cost in costs), sum(cost.wall_s for cost in costs)
        return cpu / self.convert.cpu_s, wall / self.convert.wall_s


def main() -> None:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default="1000000", help="rows of the file; several, with commas, compare memory too")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds for each size")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".minerals" / "bench", help="where files are kept")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--no-twin", action="store_true", help="do not measure what a GeoPackage adds")
    said = parser.parse_args()
    console = Console(width=100, highlight=False)
    peaks = {}
    for rows in (int(word) for word in said.rows.split(",")):
        source = make(said.folder, rows, said.seed)
        rounds = [run_round(source) for _ in range(said.rounds + 1)][1:]
        show(console, source, rows, rounds)
        if not said.no_twin:
            _show_twin(console, source, rounds)
        peaks[rows] = median(each.line.peak_mib for each in rounds)
    _show_growth(console, peaks)


def run_round(source: Path) -> Round:
    """Run the three processes one after another, in an empty installation."""
    home = _emptied(source)
    arguments = (str(source), str(home))
    costs = {word: measure("benchmarks.stages", word, *arguments) for word in ("convert", "line", "audit")}
    shutil.rmtree(home)
    return Round(**costs)


def show(console: Console, source: Path, rows: int, rounds: list[Round]) -> None:
    """Print what one size cost: the processes, then the line's stages."""
    told = [json.loads(each.line.said) for each in rounds]
    first = told[0]
    ledger = ", ".join(f"{count:,} {word}" for word, count in first["ledger"].items())
    console.print(f"\n[bold]{rows:,} rows[/], {source.stat().st_size / 2**20:,.0f} MiB of CSV; {ledger}")
    console.print(f"{first['rules']} rules, {first['issues']:,} issues; medians of {len(rounds)} rounds")
    table = Table("", *(("CPU s", "wall s", "peak MiB", "sum MiB", "CPU x A", "wall x A")))
    for words, name in ((("convert",), NAMES["convert"]), (("line",), NAMES["line"]), (("audit",), NAMES["audit"])):
        table.add_row(name, *_figures(rounds, words))
    table.add_row("B + C", *_figures(rounds, ("line", "audit")))
    console.print(table)
    stages = Table("stage of B", "CPU s", "wall s", "CPU x A")
    floor = median(each.convert.cpu_s for each in rounds)
    names = sorted(first["stages"], key=lambda name: -first["stages"][name][0])
    spent = {name: [median(each["stages"][name][at] for each in told) for at in (0, 1)] for name in names}
    whole = [median(each.line.cpu_s for each in rounds), median(each.line.wall_s for each in rounds)]
    spent["start and imports"] = [whole[at] - sum(each[at] for each in spent.values()) for at in (0, 1)]
    for name, (cpu, wall) in spent.items():
        stages.add_row(name, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu / floor:.2f}")
    console.print(stages)
    _show_goals(console, rounds)


def _figures(rounds: list[Round], words: Sequence[str]) -> list[str]:
    costs = [[getattr(each, word) for word in words] for each in rounds]
    ratios = [each.ratios(words) for each in rounds]
    return [
        f"{median(sum(cost.cpu_s for cost in several) for several in costs):.2f}",
        f"{median(sum(cost.wall_s for cost in several) for several in costs):.2f}",
        f"{median(max(cost.peak_mib for cost in several) for several in costs):,.0f}",
        f"{median(max(cost.tree_mib for cost in several) for several in costs):,.0f}",
        f"{median(ratio[0] for ratio in ratios):.2f}",
        f"{median(ratio[1] for ratio in ratios):.2f}",
    ]


def _show_goals(console: Console, rounds: list[Round]) -> None:
    cpu = median(each.ratios(["line"])[0] for each in rounds)
    peak = median(each.line.peak_mib for each in rounds)
    console.print(f"CPU of B over A: {cpu:.2f}, wanted {GOAL_CPU} at most: {_word(cpu <= GOAL_CPU)}")
    console.print(f"peak of B: {peak:,.0f} MiB, wanted {GOAL_MIB:,.0f} at most: {_word(peak <= GOAL_MIB)}")


def _show_twin(console: Console, source: Path, rounds: list[Round]) -> None:
    """Run the line once more with a GeoPackage in its release, and print what that adds."""
    home = _emptied(source)
    with_twin = measure("benchmarks.stages", "line", str(source), str(home), str(10**9))
    shutil.rmtree(home)
    cpu = with_twin.cpu_s - median(each.line.cpu_s for each in rounds)
    wall = with_twin.wall_s - median(each.line.wall_s for each in rounds)
    console.print(f"a GeoPackage twin would add {cpu:.1f} s CPU, {wall:.1f} s by the clock (one run)")


def _show_growth(console: Console, peaks: dict[int, float]) -> None:
    """Print how the line's peak grows from the smallest file to each larger one."""
    least = min(peaks)
    for rows in sorted(peaks.keys() - {least}):
        growth = peaks[rows] / peaks[least]
        words = f"peak at {rows:,} rows over that at {least:,}: {growth:.2f}"
        console.print(f"{words}, wanted {GOAL_GROWTH} at most: {_word(growth <= GOAL_GROWTH)}")


def _emptied(source: Path) -> Path:
    home = source.parent / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    return home


def _word(reached: bool) -> str:
    return "reached" if reached else "not reached"


if __name__ == "__main__":
    main()
