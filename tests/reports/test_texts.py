"""Reports that are text: their words, their length, and that text from outside has no effect in them."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Literal

import pytest

from pytest_rightsize.energy import Energy
from pytest_rightsize.escaping import visible
from pytest_rightsize.judging.conclusions import FalseEconomy, Saving
from pytest_rightsize.judging.gates import GATES, PROVISIONAL, failed_gates, warned_gates
from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.meter_records import IdlePower, Metering, Phases
from pytest_rightsize.records import Run, Trial, Waiver
from pytest_rightsize.reports import load_reports
from pytest_rightsize.reports.badge import BadgeReport
from pytest_rightsize.reports.facts import gather, headline
from pytest_rightsize.reports.github import annotations
from pytest_rightsize.reports.html.measured_lines import metering_lines
from pytest_rightsize.reports.html.report import HtmlReport
from pytest_rightsize.reports.junit import suite_properties, trial_properties
from pytest_rightsize.reports.markdown import MOST_CHARS, MarkdownReport, escaped
from pytest_rightsize.reports.saving_words import saving_words
from pytest_rightsize.reports.tables import CsvReport, JsonReport
from pytest_rightsize.reports.units import bounded_joules, count, joules, parameters, percent, seconds, usd
from pytest_rightsize.statistics.estimates import Ratio
from tests.reports.rich_run import rich_run
from tests.runs import make_run


def headline_of(run: Run) -> str:
    return headline(gather(run, judge(run)))


@pytest.mark.parametrize(
    ("outcomes", "chosen", "words"),
    [
        ({"t": {"a": "11", "b": "--"}, "u": {"a": "00", "b": "11"}}, "b", "1 of 2 tasks could use a smaller model"),
        (
            {"t": {"a": "11"}, "u": {"a": "1" * 20}},
            "a",
            "Every task uses the smallest model that passes it: 2 of 2 (1 of them provisional)",
        ),
        ({"t": {"a": "11"}, "u": {"a": "00"}}, "a", "1 of 2 tasks use the smallest model that passes"),
        ({"t": {"a": "11"}, "u": {"a": "00"}}, None, "1 of 2 tasks pass on this ladder"),
        ({"t": {"a": "EE"}}, "a", "Nothing is decided yet: 1 task undecided"),
        ({"t": {"a": "EE"}, "u": {"a": "00"}}, "a", "0 of 2 tasks use the smallest model that passes"),
    ],
)
def test_the_headline_says_what_there_is_to_say(
    outcomes: dict[str, dict[str, str]], chosen: str | None, words: str
) -> None:
    assert headline_of(make_run(outcomes, chosen=chosen)).startswith(words)


def test_the_headline_names_a_saving_only_where_joules_are_of_one_kind() -> None:
    run = rich_run()
    assert re.search(r" and save \d\d % of the energy$", headline_of(run))

    def declared(trial: Trial) -> Trial:
        answers = tuple(
            replace(answer, energy=replace(answer.energy, provenance="vendor_declared") if answer.energy else None)
            for answer in trial.answers
        )
        return replace(trial, answers=answers) if trial.key.rung == "frontier" else trial

    mixed = headline_of(replace(run, trials=[declared(trial) for trial in run.trials]))
    assert re.search(r"; in \d of them that would save \d\d % of the energy$", mixed)


def test_markdown_is_as_a_reader_sees_it() -> None:
    run = make_run({"t|x": {"a": "11", "b": "--"}, "@all": {"a": "00", "b": "1E"}}, chosen="b")
    text = MarkdownReport().render(run, judge(run))
    assert text.startswith("<!-- pytest-rightsize -->\n## 1 of 2 tasks could use a smaller model (provisional)\n")
    assert "| t\\|x | ✅ **2/2** | ⬜ chosen | over-sized (provisional) |" in text
    assert "| @<!-- -->all | ❌ 0/2 | ❔ 1/1 chosen | undecided |" in text
    assert "**t\\|x**: a passes, so b is larger than needed: set the marker to a" in text


def test_a_waiver_is_shown_in_the_page_and_the_summary() -> None:
    run = make_run({"t": {"a": "11", "b": "--"}}, chosen="b")
    waiver = Waiver(gate="oversized", until="2027-01-31", reason="contract of <2026>")
    run = replace(run, policies={"t": replace(run.policies["t"], waivers=(waiver,))})
    assert "gate oversized waived until 2027-01-31: contract of &lt;2026&gt;" in MarkdownReport().render(
        run, judge(run)
    )
    assert "Gate oversized waived until 2027-01-31: contract of &lt;2026&gt;." in HtmlReport().render(run, judge(run))


def test_markdown_stays_under_the_limit_of_a_comment_whatever_the_run() -> None:
    tasks = {f"task {number} of a very long name {'&' * 150}": {"a": "10", "b": "1-"} for number in range(2_000)}
    run = make_run(tasks, chosen="b")
    text = MarkdownReport().render(run, judge(run))
    assert 20_000 < len(text) < MOST_CHARS
    assert re.search("…and 1,[0-9]{3} more tasks", text)


@pytest.mark.parametrize(
    "text", ["<img src=x>", "[a](javascript:b)", "`x` *y* _z_", "@team", "http://evil.example", "a\nb | c", "\u202ex"]
)
def test_markdown_of_hostile_text_is_text(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    assert "\u202e" not in shown
    assert "<img" not in shown
    assert "](" not in shown.replace("\\]", "")
    assert not re.search(r"(?<!\\)[`*|]|@\w|\w://", shown)


def test_csv_has_a_row_for_each_trial_and_empty_cells_for_what_is_not_known() -> None:
    run = rich_run(cases=2)
    rows = [*csv.DictReader(io.StringIO(CsvReport().render(run, judge(run))))]
    assert len(rows) == len(run.trials)
    first, odd = rows[0], rows[-2]
    assert float(first["joules"]) > 0
    assert first["energy_kind"] == "measured, gpu.board, gross"
    assert (odd["outcome"], odd["joules"], odd["seconds"], odd["cost_usd"]) == ("error", "", "", "")


def test_csv_gives_a_spreadsheet_no_formula() -> None:
    run = make_run({"=cmd()": {"a": "1"}})
    (row,) = csv.DictReader(io.StringIO(CsvReport().render(run, judge(run))))
    assert row["task"] == "'=cmd()"


def test_json_has_all_that_is_known_and_concluded() -> None:
    run = rich_run(cases=2)
    document = json.loads(JsonReport().render(run, judge(run)))
    assert document["headline"] == headline_of(run)
    assert len(document["trials"]) == len(run.trials)
    verdict = document["verdicts"][0]
    assert verdict["intervals"]["1b"]["confidence"] == 0.95
    assert document["spending"]["total"]["energy_unknown"] == 9
    assert document["conclusions"][0]["task"] == verdict["task"]


@pytest.mark.parametrize(
    ("outcomes", "chosen", "text"),
    [
        ({"t": {"a": "1" * 20}, "u": {"a": "00"}}, "a", "1/2, likely"),
        ({"t": {"a": "11"}}, "a", "1/1, provisional"),
        ({"t": {"a": "1" * 20}}, "a", "1/1, shown"),
        ({"t": {"a": "1E"}}, "a", "0/1"),
        ({"t": {"a": "11"}}, None, "no chosen models"),
    ],
)
def test_a_badge_counts_the_tasks_with_a_chosen_model(
    outcomes: dict[str, dict[str, str]], chosen: str | None, text: str
) -> None:
    run = make_run(outcomes, chosen=chosen)
    badge = ElementTree.fromstring(BadgeReport().render(run, judge(run)))
    assert badge.attrib["aria-label"] == f"right-sized: {text}"
    shown = [element.text for element in badge.iter("{http://www.w3.org/2000/svg}text")]
    assert shown == ["right-sized", text]


def test_a_failed_gate_is_an_annotation_at_the_line_to_change() -> None:
    run = make_run({"big": {"a": "11", "b": "--"}, "un,solved\n::x": {"a": "00", "b": "00"}}, chosen="b")
    policies = {
        task: replace(policy, test_at="tests/test_a.py:7", chosen_at="rightsize.toml:31")
        for task, policy in run.policies.items()
    }
    run = replace(run, policies=policies)
    failed = failed_gates(judge(run), (*GATES, PROVISIONAL))
    oversized, unsolved = annotations(run, failed, prefix="sub")
    assert oversized == (
        "::error file=sub/rightsize.toml,line=31,title=rightsize%3A oversized::big: a passes, so b is larger than "
        "needed: set the marker to a (provisional: a passed 2 of 2; its true rate may be as low as 22 %25, and the bar "
        "is 75 %25; about 4 more cases like these would make it likely, 9 would show it)"
    )
    assert unsolved.startswith("::error file=sub/tests/test_a.py,line=7,title=rightsize%3A unsolved::un,solved%0A::x: ")


def test_an_annotation_without_a_place_is_still_one() -> None:
    run = make_run({"big": {"a": "11", "b": "--"}}, chosen="b")
    (line,) = annotations(run, [], warned=warned_gates(judge(run), tuple(GATES)))
    assert line.startswith("::warning title=rightsize%3A oversized::big: ")


def test_properties_of_a_trial_leave_out_what_is_not_known() -> None:
    trials = rich_run(cases=1).trials
    known = dict(trial_properties(trials[0]))
    assert known["rightsize.rung"] == "1b"
    assert float(known["rightsize.joules"]) > 0
    assert "rightsize.cost_usd" not in known
    fault = next(trial for trial in trials if trial.outcome == "error")
    assert set(dict(trial_properties(fault))) == {
        f"rightsize.{n}" for n in ("task", "rung", "sample", "outcome", "reason")
    }
    run = make_run({"t": {"a": "11"}}, chosen="a")
    assert dict(suite_properties(judge(run))) == {
        "rightsize.verdict.t": "right-sized",
        "rightsize.smallest.t": "a",
        "rightsize.chosen.t": "a",
        "rightsize.evidence.t": "provisional",
    }


def test_two_reports_of_one_name_are_refused() -> None:
    with pytest.raises(Exception, match="two reports are called 'csv'"):
        load_reports([{"csv": CsvReport}, {"csv": JsonReport}])


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (percent(0.95), "95 %"),
        (percent(0.999), "99.9 %"),
        (percent(0.0), "0 %"),
        (joules(0.0123), "12.3 mJ"),
        (joules(39_630), "39.6 kJ"),
        (joules(0), "0 J"),
        (joules(None), None),
        (seconds(0.35), "350 ms"),
        (seconds(75), "1 min 15 s"),
        (seconds(7_500), "2 h 5 min"),
        (usd(0.00123), "$0.00123"),
        (usd(0), "$0"),
        (count(1234.5), "1,234"),
        (count(12.34), "12.3"),
        (percent(23 / 40), "58 %"),
        (percent(25 / 40), "63 %"),
        (percent(0.001), "0.1 %"),
        (parameters(0.000025), "25 k"),
        (parameters(30.5), "30.5 B"),
        (bounded_joules(Energy(joules=2.0, low=1.5, high=3.0, provenance="measured")), "2 J (1.5 J to 3 J)"),
        (bounded_joules(None), None),
        (visible("a\u202eb\x00\ttab\r\nend"), "a[U+202E]b[U+0000]\ttab\nend"),
    ],
)
def test_amounts_are_written_for_people(shown: str | None, text: str | None) -> None:
    assert shown == text


def test_a_meters_line_has_both_idle_powers_and_what_reading_and_writing_took() -> None:
    def energy(amount: float) -> Energy:
        return Energy(joules=amount, low=amount, high=amount, provenance="measured")

    def power(state: Literal["cold", "resident"], watts: float) -> IdlePower:
        return IdlePower(state=state, watts=watts, low=watts - 1, high=watts + 1, seconds=3.0, ticks=30, at_s=0.0)

    seen = Metering(
        rung="1b",
        meter="nvml",
        served=energy(90.0),
        others=energy(7.0),
        cold_w=40.0,
        idle_w=71.0,
        idle_powers=(power("cold", 40.0), power("resident", 70.0), power("resident", 72.0)),
        phases=(
            Phases(
                device="nvml:GPU-1",
                prompt_j=0.1,
                completion_j=1.0,
                answer_j=2.0,
                prompt_share=0.21,
                completion_share=0.7,
                answer_share=0.09,
                stretches=20,
                answers=40.0,
                condition=7.0,
                explained=0.98,
                prompt_weight_error=0.02,
            ),
        ),
    )
    assert list(metering_lines(seen)) == [
        "1b: meter nvml: all answers together 90 J; other processes 7 J; "
        "idle power before any model 40 W (39 to 41); idle power with the model 71 W (69 to 73; found 2 times); "
        "of nvml:GPU-1 21 % for reading prompts, 70 % for writing, 9 % for each answer alike (fitted to 40 answers; "
        "a token read weighs 0.1 ± 0.02 of one written)"
    ]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (900.0, 1100.0, "a instead of b saves 1 kJ per 1,000 cases (95 % interval 900 J to 1.1 kJ; measured)"),
        (
            -100.0,
            2100.0,
            "a and b are a tie in energy (95 % interval of what 1,000 cases save: -100 J to 2.1 kJ; measured)",
        ),
        (None, None, "a instead of b saves 1 kJ per 1,000 cases, by a single case; measured"),
    ],
)
def test_a_saving_that_its_interval_leaves_open_is_a_tie(low: float | None, high: float | None, words: str) -> None:
    saving = Saving(
        quantity="energy",
        unit="J",
        chosen="b",
        instead="a",
        per_1000=1000.0,
        low=low,
        high=high,
        cases=4,
        kind="measured, gpu.board, gross",
    )
    assert saving_words(saving) == words


def test_a_ratio_that_is_clear_of_1_is_not_written_as_1() -> None:
    ratio = Ratio(value=1.26, low=1.0029, high=1.57, n=40)
    found = FalseEconomy(quantity="latency", smaller="a", larger="b", ratio=ratio)
    assert "(95 % interval 1.003 to 1.57;" in str(found)


def test_markdown_has_the_bounds_that_a_confidence_asked_for() -> None:
    run = make_run({"t": {"small": "1" * 40, "big": "1" * 40}}, chosen="big")
    run = replace(run, policies={"t": replace(run.policies["t"], confidence=0.95)})
    text = MarkdownReport().render(run, judge(run))
    assert "✅ **40/40** [93,100] |" in text
    assert "; [,]: bounds of the pass rate in %, each sure at 0.95</sub>" in text
    plain = replace(run, policies={"t": replace(run.policies["t"], confidence=None)})
    assert "[,]" not in MarkdownReport().render(plain, judge(plain))
