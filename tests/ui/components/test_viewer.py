"""The viewer in a real browser: window and level, size and orientation, keys, files, failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from rrg.data.radiographs import Provenance, Radiograph
from rrg.data.studies import Study
from tests.ui.components.viewing import FRAMES, Case, Shown, radiograph, serving, spotted

pytestmark = pytest.mark.ui

LEVELS = np.array([[0.1, 0.3], [0.4, 0.7]])
FINE = np.array([[0.5, 0.5005], [0.501, 0.5015]])
"""Steps of a 30th of what 8 bits can show."""
HOSTILE = "<img src=x onerror=hacked=1> ${hacked=2} `${hacked=3}` {{value}} <script>hacked=4</script>"


def _blocks(levels: np.ndarray, side: int = 200) -> Radiograph:
    """Four squares of one grey value each."""
    return radiograph(levels.repeat(side, 0).repeat(side, 1))


CASES = {
    "one": Case((_blocks(LEVELS),)),
    "fine": Case((_blocks(FINE),)),
    "two": Case((spotted(400, 300, 2, 5), spotted(300, 400, 6, 1, "lateral"))),
    "gone": Case((spotted(64, 64, 2, 5),)),
    "large": Case((_blocks(LEVELS, 1100),)),
    HOSTILE: Case(
        (Radiograph(np.zeros((40, 40), np.float32), "frontal", None, Provenance("PNG", 8, changes=(HOSTILE,))),)
    ),
}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, dict[str, Study]]]:
    with serving(CASES) as started:
        yield started


@pytest.fixture
def opened(show: Callable[..., Shown], served: tuple[str, dict[str, Study]]) -> Callable[..., Shown]:
    return lambda name, **options: show(served[0], name, CASES[name], **options)


# Window and level


def _quarters(shown: Shown) -> np.ndarray:
    """Grey values of the four squares [2, 2], each of which has to be even."""
    grey = shown.plain()
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top : top + side, left : left + side]
    values = np.zeros((2, 2))
    for row in (0, 1):
        for column in (0, 1):
            y, x = (int((row + 0.5) * side / 2), int((column + 0.5) * side / 2))
            part = square[y - side // 8 : y + side // 8, x - side // 8 : x + side // 8]
            assert part.min() == part.max()
            values[row, column] = part[0, 0]
    return values


def _windowed(values: np.ndarray, level: float, width: float) -> np.ndarray:
    return np.round(255 * np.clip((values - (level - width / 2)) / width, 0, 1))


PRESETS = [(0.5, 1.0), (0.4, 0.8), (0.75, 0.5), (0.65, 0.4), (0.5, 0.5)]


@pytest.mark.parametrize("name", ["one", "large"])
@pytest.mark.parametrize("ratio", [1, 2])
def test_presets_map_the_16_bit_values_as_computed(opened: Callable[..., Shown], name: str, ratio: float) -> None:
    """Also of an image that is painted from a smaller copy."""
    shown = opened(name, ratio=ratio)
    for key, (level, width) in enumerate(PRESETS, 1):
        shown.press(str(key))
        np.testing.assert_allclose(_quarters(shown), _windowed(LEVELS, level, width), atol=1)
        assert shown.readout().startswith(f"W {width * 100:.0f} %  L {level * 100:.0f} %")


def test_a_drag_changes_the_width_sideways_and_the_level_down(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    shown.drag(shown.at(0.5, 0.5), (-200, 40))
    assert shown.readout().startswith("W 50 %  L 60 %")
    np.testing.assert_allclose(_quarters(shown), _windowed(LEVELS, 0.6, 0.5), atol=1)
    expect(shown.page.locator("#viewer .preset")).to_have_value("")


def test_a_narrow_window_separates_what_8_bits_would_merge(opened: Callable[..., Shown]) -> None:
    shown = opened("fine")
    shown.drag(shown.at(0.9, 0.5), (-480, 0))
    shown.press("1")
    assert len(np.unique(_quarters(shown))) == 1
    shown.drag(shown.at(0.9, 0.5), (-398, 0))  # a width of 0.005
    assert len(np.unique(_quarters(shown))) == 4


def test_invert_turns_the_grey_values_around_and_says_so(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    before = _quarters(shown)
    shown.press("i")
    np.testing.assert_allclose(_quarters(shown), 255 - before, atol=1)
    assert shown.marks() == ["Inverted"]
    shown.press("i")
    np.testing.assert_array_equal(_quarters(shown), before)


# Wheel, mouse, touch


def test_the_wheel_zooms_and_never_scrolls_the_page(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    fitted = shown.readout()
    for steps, delta in ((3, -200), (40, -400), (80, 400)):
        shown.page.mouse.move(*shown.at(0.5, 0.5))
        for _ in range(steps):  # past the limits of the zoom
            shown.page.mouse.wheel(0, delta)
        shown.settle()
        assert shown.page.evaluate("scrollY") == 0
        assert shown.readout() != fitted
    shown.page.mouse.move(950, 400)
    shown.page.mouse.wheel(0, 300)
    shown.page.wait_for_function("scrollY > 0")  # elsewhere it scrolls


def test_part_of_the_image_stays_in_the_view(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    for _ in range(4):
        shown.drag(shown.at(0.1, 0.1), (500, 400), button="middle")
    assert (shown.plain() > 0).sum() > 500


@pytest.mark.parametrize("how", ["middle", "ctrl", "shift", "tool"])
def test_the_image_is_panned(opened: Callable[..., Shown], how: str) -> None:
    shown = opened("one")
    before = shown.plain()
    held = {"ctrl": "Control", "shift": "Shift"}.get(how)
    if held:
        shown.page.keyboard.down(held)
    if how == "tool":
        shown.page.get_by_role("button", name="Pan tool").first.click()
    shown.drag(shown.at(0.5, 0.5), (40, 25), button="middle" if how == "middle" else "left")
    if held:
        shown.page.keyboard.up(held)
    np.testing.assert_array_equal(shown.plain()[25:, 40:], before[:-25, :-40])


def test_the_right_button_zooms_and_opens_no_menu(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    before = _scale(shown)
    shown.page.evaluate("addEventListener('contextmenu', (event) => { window.menu = !event.defaultPrevented; })")
    shown.drag(shown.at(0.5, 0.5), (0, -60), button="right")
    assert _scale(shown) > 1.5 * before
    assert shown.page.evaluate("window.menu") is not True


def _scale(shown: Shown, index: int = 0) -> int:
    found = re.search(r"(\d+) %$", shown.readout(index))
    assert found
    return int(found.group(1))


def test_two_fingers_zoom_and_pan(opened: Callable[..., Shown]) -> None:
    shown = opened("one", has_touch=True)
    before = _scale(shown)
    session = shown.page.context.new_cdp_session(shown.page)
    x, y = shown.at(0.5, 0.5)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": px, "y": py, "id": i} for i, (px, py) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", (x - 40, y), (x + 40, y))
    for step in (60, 80):
        touch("touchMove", (x - step, y), (x + step, y))
    touch("touchEnd")
    assert _scale(shown) == pytest.approx(2 * before, abs=2)
    assert shown.page.evaluate("scrollY") == 0


# Keys


def test_keys_turn_and_flip_and_warn(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    before = _quarters(shown)
    shown.press("r")
    np.testing.assert_array_equal(_quarters(shown), np.rot90(before, -1))
    assert shown.marks() == ["Rotated 90°"]
    shown.press("l", "l")
    np.testing.assert_array_equal(_quarters(shown), np.rot90(before))
    shown.press("r", "h")
    np.testing.assert_array_equal(_quarters(shown), before[:, ::-1])
    assert shown.marks() == ["Flipped"]
    expect(shown.page.locator("#viewer").get_by_role("button", name="Flip horizontally")).to_have_attribute(
        "aria-pressed", "true"
    )
    shown.press("v")
    np.testing.assert_array_equal(_quarters(shown), before[::-1, ::-1])
    assert shown.marks() == ["Rotated 180°"]
    shown.press("i", "3", " ")
    np.testing.assert_array_equal(_quarters(shown), before)
    assert shown.marks() == []


def test_keys_change_the_size(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    fitted = _scale(shown)
    shown.press("+", "+")
    assert _scale(shown) == pytest.approx(fitted * 1.25**2, abs=1)
    shown.press("-")
    assert _scale(shown) == pytest.approx(fitted * 1.25, abs=1)
    shown.press("=")
    assert _scale(shown) == fitted


def test_keys_are_left_to_a_text_field_and_to_a_focused_button(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    field = shown.page.get_by_label("Told")
    field.focus()
    shown.page.keyboard.type("hirl 5?+")
    expect(field).to_have_value("hirl 5?+")
    assert shown.marks() == []
    expect(shown.page.locator("#viewer .help")).to_be_hidden()
    shown.page.locator("#viewer").get_by_role("button", name="Rotate right").focus()
    shown.press(" ")
    assert shown.marks() == ["Rotated 90°"], "the space key presses the button and does not reset the view"
    shown.press("i")
    assert shown.marks() == ["Rotated 90°", "Inverted"]
    shown.page.keyboard.press("Control+i")
    assert shown.marks() == ["Rotated 90°", "Inverted"]


def test_of_two_viewers_the_one_used_last_has_the_keys(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    shown.stage().click()
    other = shown.page.locator("#other .mark")
    shown.press("i")
    expect(other).to_have_count(0)
    shown.page.locator("#other .stage").first.click()
    shown.press("r")
    expect(other).to_have_text(["Rotated 90°"])
    assert shown.marks() == ["Inverted"]


def test_the_sheet_lists_every_key_and_those_of_the_page(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    sheet = shown.page.locator("#viewer .help")
    shown.press("?")
    expect(sheet).to_be_visible()
    keys = sheet.locator("kbd").all_text_contents()
    expected = {
        "W",
        "Z",
        "P",
        "Q",
        "+",
        "-",
        "=",
        "L",
        "R",
        "H",
        "V",
        "I",
        "Space",
        "1",
        "5",
        "M",
        "F",
        "O",
        "C",
        "Esc",
        "?",
    }
    assert expected | {"J", "Ctrl+Enter"} <= set(keys)
    shown.press("i")
    assert shown.marks() == [], "keys wait while the sheet is open"
    shown.press("Escape")
    expect(sheet).to_be_hidden()


def test_the_arrow_keys_move_between_the_tools(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    bar = shown.page.locator("#viewer .tools")
    bar.locator("button[tabindex='0']").focus()
    shown.press("ArrowRight", "ArrowRight", "Enter")
    expect(bar.get_by_role("button", name="Pan tool")).to_have_attribute("aria-pressed", "true")
    expect(bar.get_by_role("button", name="Window and level")).to_have_attribute("aria-pressed", "false")


def test_every_button_has_a_name_and_a_tip(opened: Callable[..., Shown]) -> None:
    buttons = opened("two").page.locator("#viewer :is(.tools, .controls) button")
    names = buttons.evaluate_all(
        "all => all.map((b) => [b.getAttribute('aria-label') ?? b.textContent.trim(), b.title])"
    )
    assert len(names) > 20
    assert [name for name, tip in names if not name or (not tip and "Release" not in name)] == []


# Views


def test_actions_concern_the_view_used_last(opened: Callable[..., Shown]) -> None:
    shown = opened("two")
    shown.press("i")
    assert (shown.marks(0), shown.marks(1)) == (["Inverted"], [])
    shown.press("ArrowRight", "h")
    assert (shown.marks(0), shown.marks(1)) == (["Inverted"], ["Flipped"])
    shown.page.mouse.click(*shown.at(0.5, 0.5, 0))
    shown.press("i")
    assert (shown.marks(0), shown.marks(1)) == ([], ["Flipped"])


def test_a_double_click_shows_one_view_alone(opened: Callable[..., Shown]) -> None:
    shown = opened("two")
    stages = shown.page.locator("#viewer .stage")
    half = stages.nth(1).bounding_box()
    shown.page.mouse.dblclick(*shown.at(0.5, 0.5, 1))
    expect(stages.nth(0)).to_be_hidden()
    whole = stages.nth(1).bounding_box()
    assert half and whole and whole["width"] > 1.9 * half["width"]
    shown.settle()
    assert shown.plain(1).max() > 240, "it is painted at the new size"
    shown.press("ArrowLeft")
    expect(stages.nth(0)).to_be_visible()
    expect(stages.nth(1)).to_be_hidden()
    shown.press("m")
    expect(stages.nth(1)).to_be_visible()


@pytest.mark.parametrize("ratio", [1, 2])
def test_the_canvas_has_the_pixels_of_the_screen_at_every_size(opened: Callable[..., Shown], ratio: float) -> None:
    shown = opened("one", ratio=ratio)
    for width, height in ((640, 620), (333, 471), (900, 240)):
        shown.page.evaluate(f"document.querySelector('#viewer').style.cssText = 'width:{width}px;height:{height}px'")
        shown.settle()
        box = shown.stage().bounding_box()
        grey = shown.plain()
        assert grey.shape == (round(box["height"] * ratio), round(box["width"] * ratio))
        lowest = shown.page.locator("#viewer .rrg-viewer").evaluate(
            "viewer => Math.max(...[...viewer.children].map((part) => part.getBoundingClientRect().bottom))"
        )
        outer = shown.page.locator("#viewer").bounding_box()
        assert outer and lowest <= outer["y"] + max(height, 240) + 1, "nothing reaches beyond the container"


def test_full_screen_is_entered_and_left(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    shown.press("f")
    shown.page.wait_for_function("document.fullscreenElement?.classList.contains('rrg-viewer')")
    expect(shown.page.locator("#viewer").get_by_role("button", name="Full screen")).to_have_attribute(
        "aria-pressed", "true"
    )
    shown.press("f")
    shown.page.wait_for_function("!document.fullscreenElement")


# Files


def _files(tmp_path: Path, count: int) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in "abcd"[:count]]
    for path in paths:
        path.write_bytes(b"image")
    return paths


DROP = """([names, target]) => {
  const transfer = new DataTransfer();
  names.forEach((name) => transfer.items.add(new File(["image"], name)));
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.querySelector(target).dispatchEvent(
      new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


@pytest.mark.parametrize("target", ["#viewer .stage", "#viewer .tools"])
@pytest.mark.parametrize("names", [["a.png"], ["a.png", "b.dcm"]])
def test_dropped_files_reach_the_server_through_the_file_component(
    opened: Callable[..., Shown], names: list[str], target: str
) -> None:
    shown = opened("one")
    for _ in range(2):  # a second time: the first files are not sent again
        shown.page.evaluate(DROP, [names, target])
        expect(shown.page.get_by_label("Told")).to_have_value(" ".join(names))
        shown.page.get_by_label("Told").fill("")
        shown.page.wait_for_timeout(300)


def test_too_many_files_are_named_and_none_is_sent(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    shown.page.evaluate(DROP, [["a.png", "b.png", "c.png"], "#viewer .stage"])
    notice = shown.page.locator("#viewer").get_by_role("alert")
    expect(notice).to_contain_text("3 files were given")
    shown.page.evaluate(DROP, [["a.png"], "#viewer .stage"])
    expect(shown.page.get_by_label("Told")).to_have_value("a.png")
    expect(notice).to_be_hidden()


def test_a_file_over_the_limit_of_the_server_is_not_sent(opened: Callable[..., Shown]) -> None:
    shown = opened("one")
    shown.page.evaluate(DROP.replace('["image"]', "[new Uint8Array(2 ** 20 + 1)]"), [["a.png"], "#viewer .stage"])
    expect(shown.page.locator("#viewer").get_by_role("alert")).to_contain_text("A file is larger than 1 MB.")
    expect(shown.page.get_by_label("Told")).to_have_value("")


def test_the_button_opens_files(opened: Callable[..., Shown], tmp_path: Path) -> None:
    shown = opened("one")
    with shown.page.expect_file_chooser() as chosen:
        shown.page.locator("#viewer").get_by_role("button", name="Open files").click()
    assert chosen.value.is_multiple()
    chosen.value.set_files(_files(tmp_path, 2))
    expect(shown.page.get_by_label("Told")).to_have_value("a.png b.png")
    expect(shown.page.locator("#other").get_by_role("button", name="Open files")).to_have_count(0)


def test_views_are_swapped_by_the_server(opened: Callable[..., Shown]) -> None:
    shown = opened("two")
    shown.page.locator("#viewer").get_by_role("button", name="Swap views").click()
    expect(shown.page.get_by_label("Told")).to_have_value("swapped")


# Without an image


def test_an_empty_viewer_says_what_to_do(page: Page, served: tuple[str, dict[str, Study]]) -> None:
    page.goto(served[0])
    expect(page.locator("#viewer .empty-title")).to_have_text(["Frontal", "Lateral"])
    expect(page.locator("#viewer .empty-hint").first).to_have_text("Drop an image here, or choose Open files")
    expect(page.locator("#other .empty-hint").first).to_have_text("No image open")
    expect(page.locator("#viewer").get_by_role("button", name="Invert")).to_be_disabled()
    page.keyboard.press("i")
    page.keyboard.press("+")
    page.evaluate(FRAMES)


def test_an_image_that_left_the_server_is_said_to_be_gone(page: Page, served: tuple[str, dict[str, Study]]) -> None:
    url, studies = served
    study = studies.pop("gone")
    page.goto(f"{url}?study=gone")
    alert = page.locator("#viewer .message")
    expect(alert).to_contain_text("The uploaded image is no longer on the server. Open it again.")
    studies["gone"] = study
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(1)


def test_a_broken_connection_is_said(page: Page, served: tuple[str, dict[str, Study]]) -> None:
    page.route("**/rrg/images/**", lambda route: route.abort())
    page.goto(f"{served[0]}?study=gone")
    expect(page.locator("#viewer .message")).to_contain_text("Check the connection to the server")


def test_hostile_captions_are_shown_and_not_executed(opened: Callable[..., Shown]) -> None:
    shown = opened(HOSTILE)
    expect(shown.page.locator("#viewer figcaption")).to_contain_text("<script>hacked=4</script>")
    assert shown.page.evaluate("window.hacked") is None


def test_images_of_the_study_before_are_no_longer_fetched(page: Page, served: tuple[str, dict[str, Study]]) -> None:
    stopped: list[str] = []
    page.on("requestfailed", lambda request: stopped.append(request.url) if "/rrg/images/" in request.url else None)
    page.route("**/rrg/images/two/*", lambda route: None)  # never answered
    page.goto(f"{served[0]}?study=two")
    expect(page.locator("#viewer .message")).to_have_text(["Loading the image"] * 2)
    page.get_by_label("Pick").fill("one")
    page.get_by_label("Pick").press("Enter")
    expect(page.locator("#viewer canvas[data-ready]")).to_have_count(1)
    expect(page.locator("#viewer .stage")).to_have_count(1)
    page.evaluate(FRAMES)
    assert {url.rsplit("/", 2)[1] for url in stopped} == {"two"}
    assert len(stopped) == 4, "two images in each of the two viewers"


def test_new_maps_leave_window_and_size_as_they_are(opened: Callable[..., Shown]) -> None:
    """The server sends the same study again with its report."""
    shown = opened("one")
    shown.press("2", "+", "r")
    before = shown.readout()
    shown.page.get_by_label("Pick").fill("one")
    shown.page.get_by_label("Pick").press("Enter")
    shown.page.wait_for_timeout(500)
    assert shown.readout() == before
    assert shown.marks() == ["Rotated 90°"]
