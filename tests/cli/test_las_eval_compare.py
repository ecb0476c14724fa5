"""las-eval --compare: netlists of one model side by side, and which are worth choosing."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from compiler.netlist.hdf5 import load, save
from hwsim.accounts.compare_page import label_places
from hwsim.accounts.side_by_side import columns, described, pareto
from hwsim.accounts.wording import times
from hwsim.commands.las_eval_compare import measured, tables
from las_neuro.progress import silent

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny_lm"
CODES = ("binary", "graded", "signed-digit")


@pytest.fixture(scope="module")
def folder(las, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model in three codes: binary.h5, graded.h5, signed-digit.h5."""
    made = tmp_path_factory.mktemp("compared")
    for code in CODES:
        words = ("--code", code, "--steps", "10", "--context", "64", "-q")
        calibrated = ("--calibrate", EXAMPLE / "calibration.txt")
        done = las("las-compile", EXAMPLE, "-o", made / f"{code}.h5", *words, *calibrated)
        assert done.code == 0, done.err
    return made


@pytest.fixture(scope="module")
def words(folder: Path) -> tuple[str | Path, ...]:
    others = [word for code in CODES[1:] for word in ("--compare", folder / f"{code}.h5")]
    asked = ("--text", EXAMPLE / "heldout.txt", "--reference", EXAMPLE, "--max-tokens", "128")
    return ("las-eval", folder / "binary.h5", *others, *asked)


@pytest.fixture(scope="module")
def made(las, words: tuple[str | Path, ...]) -> dict:
    done = las(*words, "--json")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


@pytest.fixture(scope="module")
def page(las, words: tuple[str | Path, ...], folder: Path) -> Path:
    path = folder / "compare.html"
    done = las(*words, "-o", path, "-q")
    assert (done.code, done.out, done.err) == (0, "", "")
    return path


def test_each_row_has_the_netlist_s_options_errors_and_costs(made: dict) -> None:
    assert (made["text"], made["tokens"], made["counted_tokens"]) == ("heldout.txt", 126, 128)
    rows = made["netlists"]
    assert [row["netlist"] for row in rows] == [f"{code}.h5" for code in CODES]
    assert [row["system"] for row in rows] == [f"las {code} T=10" for code in CODES]
    binary, graded, signed = rows
    assert binary["mean_kl"] == graded["mean_kl"]  # the same digits, in fewer spikes
    assert binary["synaptic_events_per_token"] > graded["synaptic_events_per_token"]
    assert binary["steps_per_token"] > graded["steps_per_token"]
    assert binary["spikes_per_input"] > signed["spikes_per_input"] > graded["spikes_per_input"]
    for row in rows:
        rise = row["perplexity"] / row["reference_perplexity"] - 1
        assert row["perplexity_rise"] == rise
        assert 0.9 < row["top1_agreement"] <= 1
        assert (row["clamps"], row["wraps"]) == (0, 0)
        assert row["cores"] > 0
        ratio = row["energy_ratios"]["las_paper_style"]
        assert 0 < ratio["paper"] < ratio["active"] < ratio["full"]
    events = [(row["synaptic_events_per_token"], row["mean_kl"]) for row in rows]
    assert {i for i, row in enumerate(rows) if row["pareto"]} == pareto(events)
    assert [row["pareto"] for row in rows] == [False, True, False]


@pytest.mark.parametrize("name", [None, "a-folder/with/a-name/longer-than/any-terminal-is-wide.h5"])
def test_a_narrow_terminal_shows_every_number_whole(folder: Path, name: str | None) -> None:
    """Names fold; numbers stand on one line each."""
    paths = [folder / f"{code}.h5" for code in CODES[:2]]
    made = measured(paths, EXAMPLE / "heldout.txt", EXAMPLE, 64, False, silent)
    rows = [replace(row, netlist=name or row.netlist) for row in made.rows]
    made = replace(made, rows=tuple(rows))
    console = Console(width=80, file=StringIO())
    for table in tables(made):
        console.print(table)
    shown = console.file.getvalue()
    assert "…" not in shown
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    cells = [[cell.strip() for cell in line.split("│")] for line in lines]
    for row in made.rows:
        ratios = row.audit.comparison.ratios
        assert len(ratios) > 1
        numbers = [cell(row) for shown in columns(made) for _, cell in shown]
        numbers += [times(getattr(r, how)) for r in ratios for how in ("paper", "active", "full")]
        for number in numbers:
            assert any(number in line for line in cells), number


def test_errors_are_las_eval_s_and_counts_las_audit_s(
    las, made: dict, folder: Path, tmp_path: Path
) -> None:
    text, net = ("--text", EXAMPLE / "heldout.txt", "--max-tokens", "128"), folder / "graded.h5"
    row = made["netlists"][1]
    alone = json.loads(las("las-eval", net, *text, "--reference", EXAMPLE, "--json").out)
    for name in alone.keys() - {"seconds", "reference_seconds"}:
        assert row[name] == alone[name]
    assert las("las-audit", net, *text, "-o", tmp_path / "audit.json", "-q").code == 0
    audit = json.loads((tmp_path / "audit.json").read_text())
    assert row["synaptic_events_per_token"] == audit["total"]["synaptic_event"] / 128
    assert row["spikes_per_input"] == audit["comparison"]["spikes_per_input"]
    assert row["steps_per_token"] == audit["schedule"]["steps"]


@pytest.mark.slow
def test_the_tables_name_the_best(
    las_process, words: tuple[str | Path, ...], tmp_path: Path
) -> None:
    path = tmp_path / "compare.json"
    done = las_process(*words, "-o", path)
    assert (done.code, done.err) == (0, "")
    rows = [line.split("│")[1:-1] for line in done.out.splitlines() if "│" in line]
    first = [[cell.strip() for cell in row] for row in rows][:3]
    assert [row[:3] for row in first] == [
        ["", "binary.h5", "las binary T=10"],
        ["●", "graded.h5", "las graded T=10"],
        ["", "signed-digit.h5", "las signed-digit T=10"],
    ]
    for said in ("fp32", "SynOps", "papers", "las_paper_style", str(path)):
        assert said in done.out
    assert len(json.loads(path.read_text())["netlists"]) == 3


def test_an_encoder_s_rows_have_cosines(
    las, encoder_netlist: Path, encoder: Path, lines: Path, tmp_path: Path
) -> None:
    short, page = tmp_path / "short.h5", tmp_path / "page.html"
    compiled = ("--calibrate", lines, "--steps", "6", "-q")
    assert las("las-compile", encoder, "-o", short, *compiled).code == 0
    asked = ("--compare", short, "--text", lines, "--reference", encoder)
    done = las("las-eval", encoder_netlist, *asked, "--json", "-o", page)
    assert (done.code, done.err) == (0, "")
    fine, coarse = json.loads(done.out)["netlists"]
    assert fine["mean_cosine_error"] < coarse["mean_cosine_error"]
    assert "perplexity_rise" not in fine
    assert "similarity error" in page.read_text("utf-8")


def test_windows_are_those_of_the_shortest_context(
    las, decoder: Path, netlist: Path, text: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.h5"
    compiled = ("--calibrate", text, "--context", "12", "-q")
    assert las("las-compile", decoder, "-o", short, *compiled).code == 0
    asked = ("--text", text, "--reference", decoder, "--max-tokens", "48", "--json")
    for words in ((netlist, "--compare", short), (short, "--compare", netlist)):
        done = las("las-eval", *words, *asked)
        assert (done.code, done.err) == (0, "")
        rows = json.loads(done.out)["netlists"]
        assert [row["tokens"] for row in rows] == [44, 44]
        assert rows[0]["reference_perplexity"] == rows[1]["reference_perplexity"]


def test_lines_are_compared_too(las, decoder: Path, netlist: Path, lines: Path) -> None:
    asked = ("--text", lines, "--lines", "--reference", decoder, "--json")
    done = las("las-eval", netlist, "--compare", netlist, *asked)
    assert (done.code, done.err) == (0, "")
    made = json.loads(done.out)
    assert made["tokens"] == made["counted_tokens"] == lines.stat().st_size


# ---- what is refused


def refused(done, said: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert said in done.err
    assert "; help: " in done.err


def test_another_model_is_refused(
    las, netlist: Path, encoder_netlist: Path, decoder: Path, text: Path
) -> None:
    asked = ("--compare", encoder_netlist, "--text", text, "--reference", decoder)
    refused(las("las-eval", netlist, *asked), "is bert with 32 words that gives hidden, ")


def test_another_tokenizer_is_refused(
    las, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    other, net = tmp_path / "other.h5", load(netlist)
    assert net.tokenizer is not None
    save(replace(net, tokenizer=net.tokenizer.replace('"a"', '"A"')), other)
    asked = ("--compare", other, "--text", text, "--reference", decoder)
    refused(las("las-eval", netlist, *asked), "other.h5: has another tokenizer than")


def test_a_comparison_needs_a_text_and_a_model(
    las, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    compared = ("las-eval", netlist, "--compare", netlist)
    refused(las(*compared, "--reference", decoder), "give --text FILE too")
    refused(las(*compared, "--text", text), "give --reference MODEL too")
    full = ("--text", text, "--reference", decoder)
    refused(las(*compared, *full, "--tasks", text), "--tasks: --compare measures")
    refused(las(*compared, *full, "--depth", tmp_path / "d.html"), "leave --depth out")
    refused(las(*compared, *full, "-o", tmp_path / "no" / "c.html"), "cannot be written")
    refused(las("las-eval", netlist, *full, "-o", tmp_path / "c.html"), "add --compare NETLIST")
    assert list(tmp_path.iterdir()) == []


# ---- the front, the words, the page


def test_the_front_is_what_no_other_beats() -> None:
    assert pareto([]) == set()
    assert pareto([(3, 3)]) == {0}
    assert pareto([(1, 9), (2, 5), (3, 5), (4, 1), (5, 2)]) == {0, 1, 3}
    assert pareto([(2, 2), (2, 2), (2, 3), (3, 2)]) == {0, 1}  # equals do not beat each other
    assert pareto([(1, math.nan), (2, 2), (math.inf, 1)]) == {1}


def test_options_in_a_few_words() -> None:
    plain = {
        "system": "las",
        "system_options": {},
        "steps": 16,
        "code": "binary",
        "weight_planes": 1,
    }
    assert described(plain) == "las binary T=16"
    changed = {"code": "graded", "weight_planes": 2, "ranges": 1, "error_budget": 1e-3}
    assert described(plain | changed) == "las graded T=16, 1 range, 2 planes, error budget 0.001"
    own = {"system": "sdllm", "system_options": {"clip": 15}, "steps": 4, "code": "binary"}
    assert described(own) == "sdllm clip=15 T=4"
    assert described({}) == "of unknown options"


def test_labels_keep_clear_of_each_other() -> None:
    spans = [(5.0, 8.0), (-6.0, -3.0)]
    points = [(1e6, 1e-4), (1.05e6, 1e-4), (1e6, 1.05e-4), (1e7, 1e-5)]
    places = label_places(points, ["a long label"] * 4, spans)
    assert places[3] == "top center"
    assert len(set(places[:3])) == 3
    assert label_places([(1e6, math.nan)], ["nowhere"], spans) == ["top center"]


def test_the_page_is_whole_and_asks_for_nothing(page: Path) -> None:
    made = page.read_text("utf-8")
    assert made.startswith("<!DOCTYPE html>")
    ours = re.sub(r"<script>.*?</script>", "", made, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", ours)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", ours))
    for said in ("3 netlists on heldout.txt", "float32 model", "signed-digit.h5", "paper active"):
        assert said in words


def test_a_file_s_words_are_escaped(
    las, netlist: Path, decoder: Path, text: Path, tmp_path: Path
) -> None:
    net, bad = load(netlist), tmp_path / "<b>bad.h5"
    save(replace(net, provenance={"options": {"system": "<i>\x1b[2J", "steps": 3}}), bad)
    asked = ("--text", text, "--reference", decoder, "--max-tokens", "24")
    done = las("las-eval", netlist, "--compare", bad, *asked, "-o", tmp_path / "page.html")
    assert (done.code, done.err) == (0, "")
    assert "\x1b[2J" not in done.out
    made = (tmp_path / "page.html").read_text("utf-8")
    assert "<b>bad" not in made
    assert "<i>" not in re.sub(r"<script>.*?</script>", "", made, flags=re.DOTALL)


BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
                if (found := shutil.which(name))), None)  # fmt: skip


@pytest.mark.skipif(BROWSER is None, reason="no browser found")
def test_the_page_opens_offline_with_its_figure_and_no_complaint(
    page: Path, tmp_path: Path
) -> None:
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"]
    flags += [f"--user-data-dir={tmp_path / 'browser'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(
        [BROWSER, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert re.search(r'id="trade".*?<svg class="main-svg"', done.stdout, re.DOTALL)
    drawn = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", done.stdout))
    for said in ("none is better in both", "las graded T=10", "mean KL (nats / token)"):
        assert said in drawn
