"""The page in a real browser without a network, as a reader sees and uses it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pytest_rightsize.judging.verdict import judge
from pytest_rightsize.records import AnswerRecord, Trial, TrialKey
from pytest_rightsize.reports.html.report import Earlier, HtmlReport
from tests.reports.conftest import Open
from tests.reports.rich_run import HOSTILE, rich_run
from tests.runs import make_run

Keep = Callable[[Any, str], None]
ODD = "<b>odd</b> \u202ename"
WIDTHS = [{"width": 1280, "height": 900}, {"width": 390, "height": 844}]


def says(page: Any, selector: str, words: str) -> None:
    """Wait until an element's text has these words."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_contain_text(words)


def draw_everything(page: Any) -> None:
    """Scroll through the page, so that every chart is drawn."""
    page.locator("#more-panels").click() if page.locator("#more-panels").is_visible() else None
    for figure in page.locator("figure.chart, #tokens-chart").all():
        figure.scroll_into_view_if_needed()
    page.locator("#tokens-chart svg").wait_for()


def test_it_opens_without_a_network_and_complains_of_nothing(open_page: Open, keep_screenshot: Keep) -> None:
    page = open_page()
    headline = page.locator("h1").inner_text()
    assert "of 9 tasks could use a smaller model (1 of them provisional) and save" in headline
    assert page.locator(".matrix tbody tr").count() == 10
    keep_screenshot(page, "top")
    draw_everything(page)
    page.locator("#price").scroll_into_view_if_needed()
    keep_screenshot(page, "charts")
    assert page.complaints == []


def test_a_script_that_is_not_the_pages_own_does_not_run(open_page: Open) -> None:
    page = open_page()
    page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.broken = 1';"
        " document.head.append(script);"
        " const image = document.createElement('img'); image.src = 'https://example.org/x.png';"
        " document.body.append(image); }"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.broken") is None
    assert len([said for said in page.complaints if said.startswith("policy: ")]) == 2


def test_no_expression_is_compiled_so_no_unsafe_eval_is_needed(open_page: Open, page_path: Path) -> None:
    assert "unsafe" not in page_path.read_text(encoding="utf-8").partition("</head>")[0].partition("<style>")[0]
    page = open_page()
    draw_everything(page)
    # A chart with a condition in it was drawn: filled marks and hollow ones.
    fills = page.locator("figure.chart svg .mark-symbol path").evaluate_all(
        "all => all.map(e => e.getAttribute('fill'))"
    )
    assert len(set(fills)) >= 2
    assert page.complaints == []


def test_filters_count_and_show_the_cases_they_name(open_page: Open) -> None:
    page = open_page()
    changed = page.locator("#filters button", has_text="Models disagree")
    number = int(changed.locator("b").inner_text())
    changed.click()
    assert 0 < number < 276
    assert page.locator("#status").inner_text() == f"{number} of 276 cases."
    assert changed.get_attribute("aria-pressed") == "true"
    assert "show=changed" in page.url
    page.locator("#filters button", has_text="Errors").click()
    assert page.locator("article.case").count() == 1


def test_search_finds_words_of_prompts_and_answers_and_marks_them(open_page: Open, keep_screenshot: Keep) -> None:
    page = open_page()
    page.fill("#search", "CASE 7 of write-sql")
    says(page, "#status", "1 of ")
    assert page.locator("article.case").count() == 1
    assert page.locator("mark.hit").first.inner_text().lower() == "case 7 of write-sql"
    page.locator("#cases").scroll_into_view_if_needed()
    keep_screenshot(page, "search")
    page.fill("#search", "nothing says this")
    says(page, "#status", "0 of ")
    assert page.complaints == []


def test_a_case_shows_its_prompt_once_and_marks_what_differs(open_page: Open) -> None:
    page = open_page("#" + urlencode({"task": "write-sql", "show": "changed"}))
    page.locator("article.case button").first.click()
    detail = page.locator("article.case .detail").first
    detail.locator(".answer").first.wait_for()
    assert detail.locator(".prompt pre").count() == 2  # the system message and the user's
    assert detail.locator(".answer").count() == 4
    assert detail.locator(".answer.failed mark").count() >= 1
    assert detail.locator(".answer.passed mark").count() == 0
    assert "J" in detail.locator(".meta").first.inner_text()


def test_links_lead_to_a_task_and_to_a_case(open_page: Open) -> None:
    page = open_page()
    page.locator(".matrix a", has_text="check-policy").click()
    says(page, "#status", "30 of ")
    assert page.locator("#task option:checked").inner_text() == "check-policy"
    assert page.locator("#task option").count() == 11
    page.select_option("#task", "write-sql")
    says(page, "#list h3", "write-sql")
    case = "tests/test_check-policy.py::test_answer[case 029-queue]"
    page = open_page("#" + urlencode({"task": "check-policy", "case": case}))
    opened = page.locator("article.case.target")
    assert opened.locator("button").first.get_attribute("aria-expanded") == "true"
    assert opened.locator(".name").inner_text().startswith("case 029")
    assert opened.evaluate("e => { const r = e.getBoundingClientRect(); return r.top < innerHeight && r.bottom > 0 }")
    gone = open_page("#" + urlencode({"task": "check-policy", "case": "gone"}))
    assert "There is no case “gone” here." in gone.locator("#status").inner_text()


def test_samples_that_ended_alike_are_one_and_an_earlier_run_stands_beside_them(
    open_page: Open, tmp_path: Path, keep_screenshot: Keep
) -> None:
    earlier = make_run({"t": {"a": "11", "b": "11"}}, chosen="b")
    run = make_run({"t": {"a": "01", "b": "11"}}, chosen="b")
    again = [replace(one, key=replace(one.key, sample=sample)) for one in run.trials for sample in range(3)]
    run = replace(run, trials=again)
    path = tmp_path / "against.html"
    against = Earlier(run=earlier, verdicts=judge(earlier), name="run 1")
    path.write_text(HtmlReport(against=against).render(run, judge(run)), encoding="utf-8")
    page = open_page(path=path)
    assert page.locator("#filters button", has_text="Changed since run 1").get_attribute("aria-pressed") == "true"
    assert page.locator("#status").inner_text() == "1 of 2 cases."
    row = page.locator("article.case button").first
    assert "a 0 of 3 too small (before: passed)" in " ".join(row.inner_text().split())
    row.click()
    answers = page.locator(".answer h5").all_inner_texts()
    assert [" ".join(one.split()) for one in answers] == [
        "a, samples 1, 2, 3 too small",
        "before: a passed",
        "b, samples 1, 2, 3 passed",
    ]
    keep_screenshot(page, "against")
    assert page.complaints == []


def test_the_keyboard_opens_a_case(open_page: Open) -> None:
    page = open_page("#cases")
    page.locator("article.case button").first.focus()
    page.keyboard.press("Enter")
    page.locator("article.case .answer").first.wait_for()
    assert page.locator("article.case button").first.get_attribute("aria-expanded") == "true"


def test_the_switch_draws_the_charts_over_another_price(open_page: Open) -> None:
    page = open_page("#price")
    says(page, "figure.chart >> nth=0", "J per case")
    page.locator("#measure label", has_text="Time").click()
    says(page, "figure.chart >> nth=0", "s per case")
    assert "J per case" not in page.locator("figure.chart").first.inner_text()
    assert page.complaints == []


# The boxes of what a chart says and shows, in px of the page: each label, each mark, and the frame of the drawing.
BOXES = """figure => {
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const texts = [...figure.querySelectorAll('svg .mark-text.role-mark')].at(-1);
  return {
    labels: [...texts.querySelectorAll(':scope > text, :scope > g > text')].map(box),
    marks: [...figure.querySelectorAll('svg .mark-symbol path')].map(box),
    frame: box(figure),
  };
}"""


ALL_DRAWN = "[...document.querySelectorAll('#panels .plot')].every(plot => plot.querySelector('svg, .empty'))"
UNITS = {"Energy": "J per case", "Tokens": "tokens per case", "Time": "s per case", "Cost": "USD per 1,000 cases"}


def overlap_px2(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


@pytest.mark.parametrize("viewport", WIDTHS, ids=["desk", "phone"])
def test_labels_of_a_chart_hide_neither_marks_nor_one_another(open_page: Open, viewport: dict[str, int]) -> None:
    page = open_page("#price", viewport=viewport)
    for measure, unit in UNITS.items():
        page.locator("#measure label", has_text=measure).click()
        draw_everything(page)
        page.wait_for_function(ALL_DRAWN)
        says(page, "figure.chart >> nth=0", unit)
        charts = [chart for chart in page.locator("#panels figure.chart").all() if chart.locator("svg").count()]
        assert charts
        for chart in charts:
            found = chart.evaluate(BOXES)
            labels, marks, frame = found["labels"], found["marks"], found["frame"]
            assert len(labels) == len(marks) >= 1
            for place, label in enumerate(labels):
                assert all(overlap_px2(label, other) < 20 for other in labels[place + 1 :])
                # The corner of a box may touch the corner of a mark; its middle may not be covered.
                assert all(overlap_px2(label, mark) < 30 for mark in marks)
                assert frame[0] <= label[0]
                assert label[2] <= frame[2]


@pytest.mark.parametrize("viewport", WIDTHS, ids=["desk", "phone"])
def test_a_ladder_of_many_rungs_keeps_its_task_names_readable(
    open_page: Open, viewport: dict[str, int], tmp_path: Path
) -> None:
    rungs = ["gemma-3-270m", "qwen3-0.6b", "llama-3.2-1b", "gemma-3-4b", "qwen3-8b", "gpt-oss-20b", "frontier"]
    name = "a-task-with-a-rather-long-name"
    run = make_run({name: {rung: "0001" if rung != "frontier" else "1111" for rung in rungs}}, chosen="qwen3-8b")
    path = tmp_path / "many.html"
    path.write_text(HtmlReport().render(run, judge(run)), encoding="utf-8")
    page = open_page(path=path, viewport=viewport)
    task = page.locator(".matrix tbody th").bounding_box()
    assert task["width"] > 150
    assert task["height"] < 300
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    # The rungs take the same number of tokens, so the axis is linear; 10 is 10 there.
    page.locator("figure.chart svg").first.wait_for(state="attached")
    assert "e+" not in page.locator("figure.chart").first.inner_text()
    # A model's name keeps its small letter at the beginning of a sentence.
    sure = page.locator(".todo td[data-label='How sure'] small").first.inner_text()
    assert sure.startswith("qwen3-8b passed 1 of 4")
    page.locator(".matrix-box").evaluate("box => box.scrollTo(9999, 0)")
    assert page.locator(".matrix .verdict .pill").first.is_visible()
    assert page.locator(".matrix tbody th").bounding_box()["x"] >= 0


def test_where_every_model_was_stopped_early_it_says_why_there_is_no_chart(open_page: Open, tmp_path: Path) -> None:
    run = make_run({"t": {"small": "00--", "large": "111-"}}, chosen="large", pass_rate=0.75)
    path = tmp_path / "early.html"
    path.write_text(HtmlReport().render(run, judge(run)), encoding="utf-8")
    page = open_page(path=path)
    says(page, "#panels .empty", "no model has a pass rate, as each was stopped early")
    assert page.locator("#measure").is_hidden()
    assert page.complaints == []


def test_no_text_of_the_charts_is_cut_on_a_phone(open_page: Open) -> None:
    page = open_page(viewport=WIDTHS[1])
    draw_everything(page)
    assert page.locator("#tokens-chart svg text").count() > 5
    outside = page.locator("#tokens-chart svg").evaluate(
        """svg => [...svg.querySelectorAll('text')].filter((text) => {
            const [own, all] = [text.getBoundingClientRect(), svg.getBoundingClientRect()];
            return own.left < all.left - 1 || own.right > all.right + 1;
        }).map((text) => text.textContent)"""
    )
    assert outside == []


def test_a_rung_without_an_answer_is_not_said_to_be_not_run(open_page: Open) -> None:
    page = open_page("#price")
    draw_everything(page)
    odd = page.locator("#panels figure.chart", has_text="odd")
    assert odd.locator(".missing").inner_text() == "energy unknown: 1b, 4b; could not answer: 30b; not run: frontier"
    assert odd.locator(".empty").inner_text().startswith("Nothing to draw")


def test_cases_stand_in_the_order_of_their_names_with_what_was_asked(open_page: Open) -> None:
    page = open_page("#" + urlencode({"task": "write-sql"}))
    says(page, "article.case >> nth=0", "write-sql: 0?")
    names = [name.split("\n")[0] for name in page.locator("article.case .name").all_inner_texts()]
    assert names == [f"case {number:03}-queue" for number in range(25)]


def test_dark_follows_the_system_and_the_button(open_page: Open, keep_screenshot: Keep) -> None:
    page = open_page(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    keep_screenshot(page, "dark")
    page.locator("#theme").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.locator("#theme").inner_text() == "Theme: light"
    assert dark != light == "rgb(247, 247, 245)"


def test_a_phone_shows_everything_without_scrolling_sideways(open_page: Open, keep_screenshot: Keep) -> None:
    page = open_page(viewport=WIDTHS[1], is_mobile=True, has_touch=True)
    page.locator("article.case button").first.tap()
    page.locator("article.case .answer").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("scrollTo(0, 0)")
    keep_screenshot(page, "phone")
    assert page.complaints == []


@pytest.fixture(scope="module")
def varied_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of element that the page of all ten tasks has, by its tag, class and role, in five of them."""
    run = rich_run(tasks=("route-ticket", "summarise-call", "write-sql", "prove-lemma", "sort-mail"))
    path = tmp_path_factory.mktemp("page") / "varied.html"
    path.write_text(HtmlReport().render(run, judge(run)), encoding="utf-8")
    return path


@pytest.mark.parametrize("viewport", WIDTHS, ids=["desk", "phone"])
def test_axe_finds_nothing_serious(open_page: Open, varied_page: Path, viewport: dict[str, int]) -> None:
    """All of its rules in light, and in dark those about what differs there, the colours."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-core is not installed")
    page = open_page("#" + urlencode({"task": ODD}), path=varied_page, viewport=viewport, color_scheme="light")
    draw_everything(page)
    for case in page.locator("article.case button").all():
        case.click()
    page.evaluate(Path(axe.AXE_FILE_PATH).read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run({resultTypes: ['violations']})).violations")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    rules = "{resultTypes: ['violations'], runOnly: ['color-contrast', 'link-in-text-block']}"
    found += page.evaluate(f"async () => (await axe.run({rules})).violations")
    serious = [
        f"{one['impact']} {one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_hostile_text_is_shown_as_text_and_does_nothing(open_page: Open, keep_screenshot: Keep) -> None:
    page = open_page("#" + urlencode({"task": ODD}))
    for case in page.locator("article.case button").all():
        case.click()
    page.locator(".answer").nth(5).wait_for()
    keep_screenshot(page, "hostile")
    texts = page.locator(".answer > pre").all_inner_texts()
    assert HOSTILE[0] in texts
    assert HOSTILE[1] in texts
    assert "rightU+202Eto leftU+202C, nul U+0000, bell U+0007, zeroU+200Bwidth, lone U+D800 surrogate" in texts
    assert page.locator("#row-9 th").inner_text().startswith("<b>odd</b> [U+202E]name")
    assert page.evaluate("window.broken") is None
    assert page.locator("a[href^='javascript']").count() == 0
    assert page.locator("img").count() == 0
    assert page.complaints == []


def test_an_answer_of_five_megabytes_opens_and_can_be_read_to_its_end(open_page: Open, tmp_path: Path) -> None:
    run = rich_run(cases=1)
    task = next(iter(run.policies))
    text = "0123456789abcdef\n" * 310_000 + "the end"
    long = Trial(
        key=TrialKey(task=task, case="test_long", rung="1b"), outcome="passed", answers=(AnswerRecord(text=text),)
    )
    run = replace(run, trials=[*run.trials, long])
    path = tmp_path / "long.html"
    path.write_text(HtmlReport().render(run, judge(run)), encoding="utf-8")
    assert path.stat().st_size < 3_000_000
    page = open_page("#" + urlencode({"task": task, "case": "test_long"}), path=path)
    block = page.locator("article.case.target .answer pre").first
    assert len(block.inner_text()) < 30_000
    page.locator(".show-all").click()
    assert block.evaluate("e => e.textContent.endsWith('the end')")


def test_without_javascript_the_verdicts_are_still_there(browser: Any, page_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{page_path}")
    assert page.locator(".matrix tbody tr").count() == 10
    assert "need JavaScript" in page.locator("noscript").inner_text()
    assert page.locator(".facts dd").count() > 5
    context.close()


def test_paper_has_the_verdicts_and_no_buttons_and_is_never_dark(open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    # Nobody scrolled to the charts, and they are there all the same.
    page.locator("#tokens-chart svg").wait_for(state="attached")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ink = page.locator("#tokens-chart svg text").first.evaluate("e => getComputedStyle(e).fill")
    assert ink in ("rgb(26, 30, 36)", "rgb(86, 94, 105)")
    assert page.locator(".matrix").is_visible()
    assert not page.locator("#theme").is_visible()
    assert not page.locator("#tools").is_visible()
