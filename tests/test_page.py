"""The page, in a real browser, against the real service with an engine of known output."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from srnet.image import Image, encode, read_header
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.conftest import FakeEngine

pytestmark = pytest.mark.slow

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
)
uvicorn = pytest.importorskip("uvicorn", reason="the service is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
if CHROMIUM is None:
    pytest.skip("no chromium on this machine (apt-get install chromium)", allow_module_level=True)
expect = playwright.expect

QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
QUIET += " --disable-background-networking --disable-component-update"
ADDED = 20 / 255  # what the engine adds to bicubic, of full scale
KEY = "correct horse"


class Gated(FakeEngine):
    """The fake engine, which can be held after each batch."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale, ADDED)
        self.open = threading.Event()
        self.open.set()
        self.passes = threading.Semaphore(0)  # batches that may run although it is closed

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for result in super().run(batches):
            deadline = time.monotonic() + 30
            while not self.open.wait(0.01) and not self.passes.acquire(blocking=False):
                assert time.monotonic() < deadline
            yield result

    def close(self) -> None:
        self.open.clear()
        while self.passes.acquire(blocking=False):
            pass


@dataclass
class Served:
    url: str
    engines: list[Gated] = field(default_factory=list)


def serve(folder: Path, **settings: Any) -> Iterator[Served]:
    from server.app import create_app
    from server.settings import Settings

    engines = [Gated(2), Gated(3)]
    upscaler = Upscaler(engines, Options(tile=32, batch_pixels=40 * 40))
    app = create_app(Settings(data_dir=folder, port=0, **settings), {"photo": upscaler})
    config = uvicorn.Config(app, port=0, ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}/", engines)
    finally:
        for engine in engines:
            engine.open.set()
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield chromium
        chromium.close()


class Page:
    """A page, and the few things that every test does with it."""

    def __init__(self, context: Any, url: str) -> None:
        context.set_default_timeout(20_000)
        self.at = context.new_page()
        self.faults: list[str] = []
        self.at.on("pageerror", lambda error: self.faults.append(str(error)))
        self.at.on("console", self._hear)
        self.at.goto(url)

    def _hear(self, message: Any) -> None:
        # Refused requests are logged by the browser itself; they are not faults of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def add(self, *files: Path) -> None:
        self.at.set_input_files("#files", [str(file) for file in files])

    def go(self) -> None:
        self.at.click("#go")

    def choose(self, name: str) -> None:
        self.at.get_by_role("radio", name=name, exact=True).check(force=True)

    def rows(self, state: str = "") -> Any:
        return self.at.locator(f"#list li[data-state={state}]" if state else "#list li")

    def finish(self, count: int = 1) -> None:
        expect(self.rows("done")).to_have_count(count, timeout=20_000)

    def tag(self, side: str) -> Any:
        return self.at.locator(f".pane.{side} .tag")

    def compared(self) -> None:
        expect(self.tag("left")).to_have_text("Bicubic", timeout=20_000)

    def split(self) -> int:
        return int(self.at.get_attribute(".divider", "aria-valuenow"))

    def zoom(self) -> int:
        return int(self.at.text_content("#zoom").removesuffix(" %"))

    def pixel(self, side: str, x: int, y: int) -> list[int]:
        """Size of the picture of a side, and one pixel of it as the browser decoded it."""
        return self.at.evaluate(
            """async ([side, x, y]) => {
                const img = document.querySelector(`.pane.${side} img`);
                const later = () => new Promise((done) => setTimeout(done, 50));
                for (let tries = 20; tries; tries -= 1) { // it may be replaced meanwhile
                    if (await img.decode().then(() => true, later)) break;
                }
                const canvas = new OffscreenCanvas(1, 1).getContext("2d");
                canvas.drawImage(img, -x, -y);
                const data = canvas.getImageData(0, 0, 1, 1).data;
                return [img.naturalWidth, img.naturalHeight, ...data].slice(0, 5);
            }""",
            [side, x, y],
        )


@pytest.fixture
def page(browser: Any, service: Served) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = Page(context, service.url)
    yield page
    context.close()
    assert page.faults == []


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smooth colour picture of 120 x 80 pixels, far from black and white."""
    y, x = np.mgrid[0:80, 0:120]
    rgb = np.stack([60 + x, 60 + y, 180 - x // 2], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "hill.png"
    path.write_bytes(encode([Image(rgb)], "png"))
    return path


def test_a_picture_goes_up_and_comes_back(page: Page, picture: Path, tmp_path: Path) -> None:
    page.add(picture)
    expect(page.rows("ready")).to_contain_text("120 × 80 → 240 × 160")
    page.go()
    page.finish()
    page.compared()
    expect(page.at.locator("#facts")).to_contain_text("240 × 160")
    expect(page.at.locator("#facts")).to_contain_text(re.compile(r"Consistency\d+\.\d dB"))
    expect(page.at.locator("#live")).to_contain_text("hill.png: finished")
    with page.at.expect_download() as download:
        page.at.click("#download")
    assert download.value.suggested_filename == "hill_x2.png"
    download.value.save_as(tmp_path / "got.png")
    header = read_header((tmp_path / "got.png").read_bytes(), "got.png")
    assert (header.width, header.height) == (240, 160)


def test_both_sides_are_what_they_say(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    width, height, *bicubic = page.pixel("left", 100, 70)
    assert (width, height) == (240, 160)
    _, _, *enlarged = page.pixel("right", 100, 70)
    assert np.subtract(enlarged, bicubic).tolist() == pytest.approx([20, 20, 20], abs=1)
    _, _, *original = page.pixel("left", 100, 70)
    assert original == bicubic  # and stays


def test_the_divider_moves_by_mouse_and_keys(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    assert page.split() == 50
    stage = page.at.locator("#stage").bounding_box()
    middle = stage["y"] + stage["height"] / 2
    page.at.mouse.move(stage["x"] + stage["width"] / 2, middle)
    page.at.mouse.down()
    page.at.mouse.move(stage["x"] + stage["width"] / 4, middle, steps=4)
    page.at.mouse.up()
    assert page.split() == 25
    assert "inset(0px 75%" in page.at.locator(".pane.left").evaluate("e => e.style.clipPath")
    divider = page.at.get_by_role("slider", name="Divider")
    expect(divider).to_be_focused()
    for key, split in [("ArrowRight", 27), ("ArrowLeft", 25), ("PageUp", 35), ("End", 100)]:
        divider.press(key)
        assert page.split() == split
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuetext", "0 % Bicubic, 100 % srnet")


def test_zoom_and_pan(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    fitted = page.zoom()
    divider = page.at.locator(".divider")
    divider.press("+")
    assert page.zoom() > fitted
    divider.press("1")
    assert page.zoom() == 100
    divider.press("0")
    assert page.zoom() == fitted

    stage = page.at.locator("#stage").bounding_box()
    x, y = stage["x"] + 100, stage["y"] + 200
    place = """([x, y]) => {
        const box = document.querySelector(".pane.right img").getBoundingClientRect();
        return [(x - box.left) / box.width, (y - box.top) / box.height];
    }"""
    before = page.at.evaluate(place, [x, y])
    page.at.mouse.move(x, y)
    for _ in range(4):
        page.at.mouse.wheel(0, -240)
    expect(page.at.locator("#zoom")).not_to_have_text(f"{fitted} %")
    assert page.at.evaluate(place, [x, y]) == pytest.approx(before, abs=0.03)  # held in place

    before = page.at.evaluate(place, [x, y])
    zoomed, split = page.zoom(), page.split()
    page.at.mouse.down()
    page.at.mouse.move(x + 60, y + 40, steps=3)
    page.at.mouse.up()
    assert page.at.evaluate(place, [x + 60, y + 40]) == pytest.approx(before, abs=1e-3)
    assert (page.zoom(), page.split()) == (zoomed, split)
    divider.press("Shift+ArrowRight")
    assert page.at.evaluate(place, [x + 60, y + 40])[0] > before[0]


def test_what_was_added(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    page.choose("What was added")
    expect(page.tag("right")).to_have_text("What was added")
    expect(page.at.locator("#caption")).to_contain_text("Grey: nothing was added")
    expect(page.at.locator("#cover")).to_be_hidden()
    width, height, *grey = page.pixel("right", 50, 50)
    assert (width, height) == (240, 160)
    assert grey == pytest.approx([127.5 + 4 * 20] * 3, abs=3)
    page.choose("Bicubic")
    page.compared()
    expect(page.at.locator("#caption")).to_be_hidden()


def test_progress_and_cancel(page: Page, picture: Path, service: Served) -> None:
    engine = service.engines[0]
    engine.close()
    page.add(picture)
    page.go()
    expect(page.rows("running")).to_have_count(1)
    engine.passes.release(4)
    bar = page.rows().get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-label", "Enlarging hill.png")
    expect(page.rows()).to_contain_text(re.compile(r"Enlarging, [1-9]\d? %"))
    assert 0 < bar.evaluate("bar => bar.value") < 1
    with page.at.expect_request(lambda request: request.method == "DELETE") as deleted:
        page.at.get_by_role("button", name="Cancel: hill.png").click()
    assert deleted.value.response().status == 204
    expect(page.rows("cancelled")).to_have_count(1)
    engine.open.set()
    job = page.at.request.get(deleted.value.url)
    assert job.status == 404  # the service keeps nothing of it
    page.at.get_by_role("button", name="Try again: hill.png").click()
    page.finish()


def test_errors_say_what_the_service_said(page: Page, tmp_path: Path, picture: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    hostile.write_bytes(b"not a picture at all")
    page.add(hostile, picture)
    page.go()
    row = page.rows("failed")
    expect(row).to_contain_text("Not a picture that can be read")
    expect(row.get_by_role("button", name="Try again")).to_be_hidden()  # it would fail again
    caption = page.at.locator("#caption.error")
    expect(caption).to_contain_text("not a picture of a known format")
    expect(caption).to_contain_text(re.compile(r"\(request [\w.-]+\)"))
    expect(page.at.locator("#live")).to_contain_text(re.compile("failed|finished"))
    assert page.at.locator("#list .name").first.text_content() == hostile.name
    page.finish(1)  # the other one is not held up


def test_an_empty_file_is_not_sent(page: Page, tmp_path: Path) -> None:
    (tmp_path / "nothing.png").touch()
    page.add(tmp_path / "nothing.png")
    page.go()
    row = page.rows("failed")
    expect(row).to_contain_text("Empty file")
    expect(row.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.at.locator("#caption.error")).to_have_text("The file is empty.")


def test_both_sides_lie_on_the_colour_that_transparency_became(page: Page, tmp_path: Path) -> None:
    values = np.full((40, 60, 4), (200, 40, 40, 255), np.uint8)
    values[:, :30, 3] = 0
    PIL.Image.fromarray(values).save(tmp_path / "half.png")
    page.add(tmp_path / "half.png")
    page.at.select_option("#format", "jpeg")
    page.go()
    page.compared()
    for side in ("left", "right"):
        img = page.at.locator(f".pane.{side} img")
        expect(img).to_have_css("background-color", "rgb(255, 255, 255)")
    page.at.select_option("#format", "png")
    page.go()
    page.compared()
    expect(page.at.locator(".pane.left img")).to_have_css("background-color", "rgba(0, 0, 0, 0)")


def test_how_far_several_have_come_is_in_sight(
    page: Page, picture: Path, tmp_path: Path, service: Served
) -> None:
    files = [tmp_path / f"{n}.png" for n in range(4)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    title, panel = page.at.locator("#pictures-title"), page.at.locator("#panel")
    page.at.set_viewport_size({"width": 1280, "height": 640})
    page.add(*files)
    expect(title).to_have_text("Pictures")
    panel.evaluate("panel => panel.scrollTo(0, 300)")
    service.engines[0].close()
    page.at.locator("#go").click()
    expect(title).to_have_text("Pictures: 0 of 4 done")
    expect(title).to_be_in_viewport()
    service.engines[0].open.set()
    page.finish(4)
    expect(title).to_have_text("Pictures")


def test_half_a_picture_is_not_shown_as_if_it_were_whole(page: Page, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    half = tmp_path / "half.jpg"
    PIL.Image.fromarray(values).save(half)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    page.add(half)
    page.go()
    expect(page.rows("failed")).to_contain_text("Not a picture that can be read")
    caption = page.at.locator("#caption.error")
    expect(caption).to_contain_text(re.compile(r"\(request [\w.-]+\)"))  # though its job failed
    expect(page.at.locator("#cover")).to_contain_text("No preview")
    expect(page.at.locator("#stage img:visible")).to_have_count(0)
    expect(page.at.locator("#list img.thumb")).to_have_count(0)


def test_an_option_that_cannot_work_is_explained(page: Page, picture: Path) -> None:
    page.add(picture)
    page.choose("Other")
    page.at.fill("#first", "17")
    page.go()
    expect(page.rows("ready")).to_have_count(1)  # the browser points at the field
    page.at.select_option("#way", "width")
    page.at.fill("#first", "100000")
    page.go()
    expect(page.at.locator("#caption.error")).to_contain_text("choose a smaller")


def test_several_pictures_in_a_row(page: Page, picture: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.png" for n in range(5)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    page.add(*files[:3])
    page.add(*files[3:])
    expect(page.at.locator("#go")).to_have_text("Enlarge 5 pictures")
    page.go()
    page.finish(5)
    assert page.at.locator("#list .name").all_text_contents() == [file.name for file in files]
    saved: list[str] = []
    page.at.on("download", lambda download: saved.append(download.suggested_filename))
    page.at.get_by_role("button", name="Download all").click()
    while len(saved) < 5:
        page.at.wait_for_timeout(50)
    assert saved == [f"{n}_x2.png" for n in range(5)]
    page.at.locator("#list li .select").nth(3).click()
    expect(page.at.locator("#download")).to_have_attribute("download", "3_x2.png")
    page.compared()
    page.at.get_by_role("button", name="Remove: 3.png").click()
    expect(page.rows()).to_have_count(4)
    expect(page.at.locator("#list [aria-current]")).to_contain_text("4.png")
    page.at.click("#clear")
    expect(page.rows()).to_have_count(0)
    expect(page.at.locator("#welcome")).to_be_visible()


def test_the_settings_reach_the_service(page: Page, picture: Path) -> None:
    page.add(picture)
    page.choose("Other")
    page.at.select_option("#way", "fit")
    page.at.fill("#first", "300")
    page.at.fill("#second", "150")
    page.at.fill("#strength", "50")
    page.at.select_option("#ensemble", "2")
    page.at.select_option("#format", "jpeg")
    page.at.fill("#quality", "95")
    page.at.uncheck("#keep")
    expect(page.rows("ready")).to_contain_text("→ 225 × 150")
    with page.at.expect_request("**/v1/jobs?*") as sent:
        page.go()
    page.finish()
    assert sent.value.url.partition("?")[2] == (
        "model=photo&fit=300x150&strength=0.5&ensemble=2&format=jpeg&quality=95"
        "&background=ffffff&keep_metadata=false"
    )
    page.compared()
    expect(page.at.locator("#download")).to_have_attribute("download", re.compile(r"\.jpe?g$"))
    assert page.pixel("right", 5, 5)[:2] == [225, 150]
    change = np.subtract(page.pixel("right", 90, 60)[2:], page.pixel("left", 90, 60)[2:])
    assert change.tolist() == pytest.approx([10, 10, 10], abs=4)  # half of what is added


def test_a_format_that_browsers_cannot_show(page: Page, picture: Path) -> None:
    page.add(picture)
    page.at.select_option("#format", "tiff")
    page.go()
    page.finish()
    page.compared()  # the browser gets a PNG instead
    expect(page.at.locator("#cover")).to_be_hidden()
    _, _, *bicubic = page.pixel("left", 100, 70)
    _, _, *enlarged = page.pixel("right", 100, 70)
    assert np.subtract(enlarged, bicubic).tolist() == pytest.approx([20, 20, 20], abs=1)
    expect(page.at.locator("#download")).to_have_attribute("download", re.compile(r"\.tiff?$"))


def test_nothing_hides_under_the_button(page: Page, tmp_path: Path, picture: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(picture.read_bytes())
    page.add(*sorted(tmp_path.glob("?.png")))
    under = """input => {
        const box = element => element.getBoundingClientRect();
        return box(input).bottom > box(document.querySelector(".go")).top;
    }"""
    for name in ("#quality", "#keep", "#model"):
        page.at.locator(name).focus()
        assert not page.at.locator(name).evaluate(under), name


def test_again_with_other_settings(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    page.choose("3×")
    expect(page.at.locator("#go")).to_have_text("Enlarge again")
    page.go()
    expect(page.at.locator("#facts")).to_contain_text("360 × 240")
    page.compared()
    assert page.pixel("left", 9, 9)[:2] == [360, 240]


def test_object_urls_are_given_back(browser: Any, service: Served, picture: Path) -> None:
    context = browser.new_context()
    context.add_init_script(
        """window.held = new Set();
        const {createObjectURL, revokeObjectURL} = URL;
        URL.createObjectURL = (o) => { const u = createObjectURL(o); held.add(u); return u; };
        URL.revokeObjectURL = (u) => { held.delete(u); revokeObjectURL(u); };"""
    )
    page = Page(context, service.url)
    page.add(picture)
    page.go()
    page.compared()
    page.choose("What was added")
    expect(page.at.locator("#cover")).to_be_hidden()
    page.pixel("right", 1, 1)
    assert page.at.evaluate("held.size") == 4  # original, result, bicubic, residual
    page.at.get_by_role("button", name="Remove: hill.png").click()
    assert page.at.evaluate("Promise.resolve().then(() => held.size)") == 0
    context.close()
    assert page.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen(browser: Any, service: Served, picture: Path, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 375, "height": 812},
        has_touch=True,
        is_mobile=True,
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = Page(context, service.url)
    wide = "document.documentElement.scrollWidth"
    assert page.at.evaluate(wide) == 375
    page.add(picture)
    expect(page.at.locator("#go")).to_be_in_viewport()
    page.at.locator("#go").tap()
    page.compared()
    page.choose("Other")
    page.at.select_option("#way", "fit")
    assert page.at.evaluate(wide) == 375
    outside = page.at.evaluate(
        """[...document.querySelectorAll("button, input, select, a, output")]
            .filter(e => e.offsetParent && !e.closest(".skip"))
            .filter(e => e.getBoundingClientRect().right > 375).map(e => e.outerHTML)"""
    )
    assert outside == []
    page.at.evaluate("scrollTo(0, 0)")
    stage = page.at.locator("#stage").bounding_box()
    assert stage["y"] + stage["height"] < 812 - 84  # above the button at the bottom
    light = page.at.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", light)[0]) > 128) == (scheme == "light")
    fingers = context.new_cdp_session(page.at)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        where = [
            {"x": stage["x"] + x, "y": stage["y"] + y, "id": i} for i, (x, y) in enumerate(points)
        ]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})

    middle = stage["width"] / 2
    touch("touchStart", (middle, 100))
    for step in (20, 50, 80):
        touch("touchMove", (middle + step, 100))
    touch("touchEnd")
    assert page.split() == pytest.approx(50 + 8000 / stage["width"], abs=6)
    fitted = page.zoom()
    touch("touchStart", (100, 100), (140, 100))
    for step in (10, 30, 50):
        touch("touchMove", (100 - step, 100), (140 + step, 100))
    touch("touchEnd")
    assert page.zoom() > 1.5 * fitted
    context.close()
    assert page.faults == []


def test_by_keyboard_alone(page: Page, picture: Path) -> None:
    # The browser is told early to hand the chooser over: on a busy machine the key, which
    # goes another way, can overtake that order.
    page.at.on("filechooser", lambda _: None)
    page.at.keyboard.press("Tab")
    expect(page.at.get_by_role("link", name="Skip to the settings")).to_be_focused()
    button = page.at.get_by_role("button", name="Choose pictures")
    for _ in range(3):
        if button.evaluate("e => e === document.activeElement"):
            break
        page.at.keyboard.press("Tab")
    expect(button).to_be_focused()
    assert button.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    with page.at.expect_file_chooser() as chooser:
        page.at.keyboard.press("Enter")
    chooser.value.set_files(str(picture))
    expect(page.rows("ready")).to_have_count(1)
    page.at.locator("input[name=size][value='2']").focus()
    page.at.keyboard.press("ArrowRight")
    expect(page.rows()).to_contain_text("360 × 240")
    page.at.locator("#go").focus()
    page.at.keyboard.press("Enter")
    page.compared()
    page.at.locator("#views input").first.focus()
    page.at.keyboard.press("ArrowRight")
    expect(page.tag("right")).to_have_text("What was added")
    page.at.get_by_role("button", name="Remove: hill.png").focus()
    page.at.keyboard.press("Enter")
    expect(page.at.locator("#welcome")).to_be_visible()


def test_everything_has_a_name(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    nameless = page.at.evaluate(
        """[...document.querySelectorAll("button, input:not([hidden]), select, a, img")].filter(
            (e) => e.offsetParent && !e.labels?.length && !e.getAttribute("aria-label")
                && !e.textContent.trim() && !e.alt && e.className !== "thumb"
        ).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_dropped_and_pasted(page: Page, picture: Path) -> None:
    carried = page.at.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            const file = new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"});
            data.items.add(file);
            return data;
        }""",
        list(picture.read_bytes()),
    )
    page.at.dispatch_event("body", "dragover", {"dataTransfer": carried})
    expect(page.at.locator("#drop")).to_be_visible()
    page.at.dispatch_event("body", "drop", {"dataTransfer": carried})
    expect(page.at.locator("#drop")).to_be_hidden()
    expect(page.rows("ready")).to_have_count(1)
    page.at.evaluate(
        "data => document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}))",
        carried,
    )
    expect(page.rows("ready")).to_have_count(2)


def test_a_lost_stream_and_a_busy_service(page: Page, picture: Path) -> None:
    page.at.route("**/events", lambda route: route.abort())
    refusals = [429, 503]

    def refuse(route: Any) -> None:
        if not refusals:
            route.fallback()
            return
        route.fulfill(status=refusals.pop(), headers={"Retry-After": "1"}, json={"detail": "full"})

    page.at.route("**/v1/jobs?*", refuse)
    page.add(picture)
    page.go()
    expect(page.rows()).to_contain_text("Next try in 1 s")
    page.finish()
    assert refusals == []


def test_a_service_that_is_gone(page: Page, picture: Path) -> None:
    page.add(picture)
    page.at.route("**/v1/jobs?*", lambda route: route.abort())
    page.go()
    expect(page.rows("failed")).to_contain_text("The upload broke off")
    page.at.unroute("**/v1/jobs?*")
    page.at.get_by_role("button", name="Try again: hill.png").click()
    page.finish()


def test_an_api_key_is_asked_for(browser: Any, tmp_path: Path, picture: Path) -> None:
    context = browser.new_context()
    for served in serve(tmp_path, api_keys=KEY):
        page = Page(context, served.url)
        dialog = page.at.get_by_role("dialog")
        dialog.get_by_label("Key").fill("wrong")
        dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_contain_text("did not accept that key")
        dialog.get_by_label("Key").fill(KEY)
        page.at.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        expect(page.at.locator("#model")).to_have_value("photo")
        page.add(picture)
        page.go()
        page.finish()
        page.compared()
        page.at.reload()
        expect(page.at.locator("#model")).to_have_value("photo")  # for this tab it is kept
        expect(dialog).to_be_hidden()
        assert page.faults == []
    context.close()
