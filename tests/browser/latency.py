"""Where the time between a click on a sample and its answer goes, in a page that runs.

    python -m tests.browser.latency http://127.0.0.1:7860

One row for each stretch: the median and the 95th percentile over all clicks, in milliseconds. "Beside the
model" is what a click costs more than the model server's answer.
"""

import json
import shutil
import sys
from typing import Any, Final

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROUNDS: Final = 5
# From the click until the panel of its answer is in the page and has been painted.
_CLICK: Final = """(button) => new Promise((answered) => {
  const began = performance.now();
  const old = document.querySelector("#answer article.answer");
  const watch = new MutationObserver(() => {
    const now = document.querySelector("#answer article.answer");
    if (!now || now === old) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => answered(performance.now() - began)));
  });
  watch.observe(document.body, { childList: true, subtree: true });
  button.click();
})"""


def click(page: Page, number: int) -> dict[str, float]:
    """Click a sample and wait for its answer; milliseconds by stretch."""
    with page.expect_response("**/api/v1/analyze*") as answered:
        total = page.locator("#samples button").nth(number).evaluate(_CLICK)
    response = answered.value
    last: dict[str, Any] = json.loads(response.text().splitlines()[-1])
    timing = response.request.timing
    server, model = last["latency_ms"]["prepare"], last["latency_ms"]["model"]
    way = timing["responseEnd"] - server - model
    return {
        "reading the scan": server,
        "model": model,
        "HTTP, both ways": way,
        "page: fetching the sample, showing the answer": total - timing["responseEnd"],
        "click to answer": total,
        "beside the model": total - model,
    }


def main(address: str) -> None:
    """Measure and print."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        buttons = page.locator("#samples button")
        buttons.first.wait_for()
        click(page, 0)  # connections and code are warm from here on
        clicks = [click(page, number) for _ in range(ROUNDS) for number in range(buttons.count())]
        browser.close()
    print(f"| {len(clicks)} clicks | median ms | p95 ms |\n|---|---|---|")
    for stretch in clicks[0]:
        times = [one[stretch] for one in clicks]
        median, high = np.percentile(times, [50, 95])
        print(f"| {stretch} | {median:.0f} | {high:.0f} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
