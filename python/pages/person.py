"""The way of a person with pictures: from the registration to a network that runs elsewhere.

Arguments: the address of a genomaster with miners, `--registration open` and `--public`, and a folder
for files.
"""

import json
import sys
from pathlib import Path

import numpy
import onnxruntime
from browser import check_accessible, check_fits, make_pictures, register, watched
from PIL import Image
from playwright.sync_api import expect

CLASSES = ["ball", "box", "line"]
SETTINGS = {"epochs": "12", "population": "4", "generations": "2", "init_channels": "4"}


def upload(page, base, pictures):
    page.goto(f"{base}/data/new")
    page.locator("input[type=file][webkitdirectory]").set_input_files(str(pictures))
    for name in CLASSES:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    check_accessible(page, "upload")
    page.locator("#name").fill("shapes")
    page.locator("#size").fill("24")
    page.locator("#begin").click()
    page.wait_for_url(lambda url: len(url.rsplit("/", 1)[1]) == 64, timeout=60_000)
    expect(page.get_by_text("ball", exact=True).first).to_be_visible()
    # Samples are real pictures.
    sample = page.locator("img").first
    expect(sample).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    check_accessible(page, "data set")
    return page.url.rsplit("/", 1)[1]


def begin(page, base, digest):
    page.goto(f"{base}/runs/new?data={digest}")
    page.get_by_text("Further settings").click()
    page.locator("#further").fill("\n".join(f"{name}={value}" for name, value in SETTINGS.items()))
    # The estimate follows what is typed.
    expect(page.get_by_text("24, of 12 epochs")).to_be_visible()
    check_accessible(page, "new search")
    page.get_by_role("button", name="Begin the search").click()
    page.wait_for_url(lambda url: len(url.rstrip("/").rsplit("/", 1)[1]) == 64, timeout=60_000)
    return page.url


def watch(page):
    expect(page.locator("#summary")).to_contain_text("8 trainings", timeout=120_000)
    expect(page.locator("#status")).to_contain_text("ended", timeout=120_000)
    for tab in page.get_by_role("tab").all():
        tab.click()
        page.wait_for_timeout(700)
        check_accessible(page, tab.inner_text())
        check_fits(page, tab.inner_text())


def verify(page, run):
    page.goto(f"{run}/candidates/0")
    expect(page.get_by_text("3 of 3 answers agreed").first).to_be_visible()
    page.get_by_role("button", name="Verify in this browser").click()
    expect(page.get_by_text("The chain fits", exact=False)).to_be_visible(timeout=60_000)
    check_accessible(page, "candidate")


def accuracy(model, pictures):
    """The accuracy of the downloaded network on the pictures that were kept for the test."""
    session = onnxruntime.InferenceSession(model)
    name = session.get_inputs()[0].name
    right = 0
    for picture, label in pictures:
        pixels = numpy.asarray(Image.open(picture).convert("RGB"), numpy.float32)
        logits = session.run(None, {name: pixels.transpose(2, 0, 1)[None]})[0]
        right += int(logits[0].argmax()) == label
    return 100 * right / len(pictures)


def choose(page, run, files, tests):
    page.goto(f"{run}/choose")
    expect(page.get_by_text("Recommended").first).to_be_visible(timeout=120_000)
    page.get_by_text("Most accurate").first.click()
    check_accessible(page, "choose")
    shown = json.loads(page.evaluate("fetch(document.body.dataset.api + '/result').then((r) => r.text())"))
    best = next(network for network in shown["networks"] if "best" in network["picks"])
    expect(page.get_by_text(f"{best['test_accuracy']:.2f} %").first).to_be_visible()
    page.locator("#picture").set_input_files(str(tests[0][0]))
    expect(page.locator("img").first).to_be_visible(timeout=60_000)
    for name in CLASSES:
        expect(page.get_by_text(name, exact=True).last).to_be_visible()
    models = {}
    for button, ending in [("Download ONNX", "onnx"), ("Download int8 ONNX", "int8.onnx"), ("Download safetensors", "safetensors")]:
        with page.expect_download(timeout=120_000) as download:
            page.get_by_text(button, exact=True).click()
        models[ending] = files / f"model.{ending}"
        download.value.save_as(models[ending])
    measured = accuracy(models["onnx"], tests)
    assert abs(measured - best["test_accuracy"]) < 0.01, (measured, best)
    assert accuracy(models["int8.onnx"], tests) > measured - 20
    assert models["safetensors"].stat().st_size > 1000
    return best


def share(page, base, run, others):
    page.goto(f"{run}/choose")
    page.locator("#make-link").click()
    link = page.locator("#made-link code").inner_text()
    secret = link[link.index("/share/") :]
    anybody = others.new_page()
    # Before the link was opened, there is no such run.
    assert anybody.goto(run).url.startswith(f"{base}/sign-in")
    anybody.goto(base + secret)
    anybody.wait_for_url(lambda url: url.startswith(run))
    expect(anybody.locator("#summary")).to_contain_text("8 trainings")
    refused = anybody.evaluate(
        "fetch(document.body.dataset.api + '/stop', {method: 'POST'}).then((answer) => answer.status)"
    )
    assert refused in (401, 403, 404), refused
    page.get_by_role("button", name="Revoke the link", exact=False).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("There are no links.")).to_be_visible()
    assert anybody.goto(run).url.startswith(f"{base}/sign-in")


def main():
    base, files = sys.argv[1], Path(sys.argv[2])
    pictures = files / "pictures"
    make_pictures(pictures / "train", CLASSES, 100)
    make_pictures(pictures / "val", CLASSES, 20, seed=6)
    tests = [(path, label) for label, name in enumerate(CLASSES) for path in sorted((pictures / "val" / name).iterdir())]
    with watched(base) as browser:
        browser.may_fail = ["/candidates/", "/models", "/stop", "/v1/runs/", "/runs/", "/v1/data-sets/"]
        ada, eve, anybody = browser.context(), browser.context(width=390, scheme="dark"), browser.context()
        page = ada.new_page()
        register(page, base, "ada-lovelace")
        check_accessible(page, "home")
        digest = upload(page, base, pictures)
        run = begin(page, base, digest)
        watch(page)
        verify(page, run)
        choose(page, run, files, tests)
        # Another user sees neither the search nor the data.
        other = eve.new_page()
        register(other, base, "eve")
        check_fits(other, "home")
        other.goto(run)
        expect(other.get_by_text("There is no such search")).to_be_visible()
        other.goto(f"{base}/data/{digest}")
        expect(other.get_by_text("there is no data set", exact=False)).to_be_visible()
        share(page, base, run, anybody)
    print("the person has a network")


main()
