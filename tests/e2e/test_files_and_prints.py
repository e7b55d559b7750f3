"""Files uploaded in a real browser, a signature by keyboard, and the print of it, in zh and en."""

import pytest

from tests.integration.files_world import CLAIM, picture

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

#: Puts a file into a drop or a paste, as a person's file manager would.
GIVE = """(box, kind) => {
  const held = new DataTransfer();
  held.items.add(new File(["note"], "given.txt", { type: "text/plain" }));
  const event = kind === "drop"
    ? new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: held })
    : new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: held });
  box.dispatchEvent(event);
}"""


def box(page, path):
    return page.locator(f'[data-upload][data-path="{path}"]')


@pytest.mark.parametrize(
    ("locale", "width", "words"), [("zh", 1280, "打印"), ("en", 390, "Print")]
)
def test_files_are_chosen_dropped_pasted_signed_and_printed(
    site, person, tmp_path, locale, width, words
):
    site.publish(CLAIM)
    page = person("clerk", locale=locale, width=width).page
    shot = tmp_path / "shot.jpg"
    shot.write_bytes(picture("JPEG", 400, 300))
    page.goto("/records/claim/new")
    page.fill("[name=subject]", "王小明")
    box(page, "photo").locator("[data-input]").set_input_files(str(shot))
    box(page, "photo").locator("[data-file] img").wait_for()
    for count, kind in ((1, "drop"), (2, "paste")):
        box(page, "papers").evaluate(GIVE, kind)
        box(page, "papers").locator("[data-file]").nth(count - 1).wait_for()
    # One of the two is taken away again, by keyboard.
    box(page, "papers").locator("[data-remove-file]").first.press("Enter")
    assert box(page, "papers").locator("[data-file]").count() == 1
    box(page, "signed").locator("[data-choose]").press("Enter")
    page.keyboard.type("王小明")
    page.keyboard.press("Enter")
    box(page, "signed").locator("[data-file] img").wait_for()
    page.locator("[data-save]").click()
    page.wait_for_url("**/records/claim/0*")
    assert box(page, "photo").locator("img").evaluate("it => it.naturalWidth > 0")
    page.locator("[data-prints]").click()
    page.wait_for_url("**/print/form")
    assert page.get_by_role("button", name=words).is_visible()
    assert page.locator("main img").count() == 2
    assert page.locator("main").inner_text().count("王小明") >= 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_file_that_does_not_fit_is_refused_before_and_after_sending(site, person, tmp_path):
    site.publish(CLAIM)
    page = person("clerk", locale="en").page
    fake = tmp_path / "photo.png"
    fake.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    large = tmp_path / "large.txt"
    large.write_bytes(b"x" * 1_100_000)
    page.goto("/records/claim/new")
    page.fill("[name=subject]", "x")
    box(page, "contract").locator("[data-input]").set_input_files(str(large))
    page.get_by_text("At most 1.0 MB fit here.").wait_for()
    box(page, "photo").locator("[data-input]").set_input_files(str(fake))
    box(page, "photo").locator("[data-file]").wait_for()
    page.locator("[data-save]").click()
    page.locator("#form-messages").get_by_text("is not a PNG, JPEG, GIF or WebP").wait_for()
    assert box(page, "photo").locator("[data-file]").count() == 1
