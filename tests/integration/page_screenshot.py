#!/usr/bin/env python3
"""The page in headless Chromium beside a running cluster: live, narrow, dark, by keyboard, with a
corpus full of markup, and without its coordinator. Pictures go to $BUILD/integration/page/."""
# timeout: 300
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import chromium
import http_cluster
from http_cluster import BUILD, Cluster, check

PICTURES = BUILD / "integration" / "page"


def an_empty_page_says_what_to_do(cluster, page):
    page.open(cluster.address + "/")
    page.wait_text("No sweep yet")
    page.wait_text("interpctl submit config/sweeps/demo.yaml")
    page.wait_text("Live")
    page.picture(PICTURES / "empty.png")


def the_queue_is_told_once(cluster, page):
    """Tile and legend show one moment, at every look while units come and go."""
    sweep = cluster.submit("kind: noop\nname: slow\nn_units: 2000\nunit_ms: 2\n", "slow")
    page.wait("document.querySelectorAll('.plot path').length > 0")
    ask = ("(() => { const words = document.querySelector(\"[data-key='Units settled']\").innerText;"
           " return ['ready', 'leased'].map((key) => [words.match('([0-9.kM]+) ' + key)?.[1],"
           " document.querySelector(`.legend-item[data-key=${key}] .legend-value`)?.innerText]); })()")
    seen = set()
    for _ in range(40):
        pairs = page.value(ask)
        check(all(told == drawn for told, drawn in pairs), f"tile and legend: {pairs}")
        seen.add(str(pairs))
        time.sleep(0.1)
    check(len(seen) > 1, f"units came and went: {seen}")
    cluster.wait_finished(sweep)


def a_sweep_appears_by_itself(cluster, page):
    queue = cluster.submit("kind: noop\nname: queue\nn_units: 300000\npayload_bytes: 64\n", "queue")
    sweep = cluster.submit_labels()
    page.wait_text(sweep)
    page.wait("document.querySelectorAll('.plot path').length > 0")
    page.wait("document.querySelectorAll('.labels li').length > 5", 120)
    page.picture(PICTURES / "overview.png")
    cluster.wait_finished(sweep)
    cluster.wait_finished(queue)
    page.wait(f"[...document.querySelectorAll('.sweep')].some(e => e.innerText.includes('{sweep}')"
              " && e.innerText.includes('finished') && e.innerText.includes('100'))")
    check(page.value("performance.getEntriesByType('navigation').length") == 1, "without a reload")
    return sweep


def the_numbers_are_those_of_the_api(cluster, page, sweep):
    page.open(f"{cluster.address}/#/sweeps/{sweep}")
    page.wait("document.querySelectorAll('.results tbody tr').length === 50")
    status = cluster.json(f"/api/v1/sweeps/{sweep}")
    tiles = dict(page.value("[...document.querySelectorAll('.tile')].map(e => "
                            "[e.dataset.key, e.querySelector('dd').firstChild.data])"))
    check(tiles["Features"] == "64", tiles)
    check(tiles["Labelled"] == str(status["n_labelled"]), tiles)
    shares = dict(page.value("[...document.querySelectorAll('.shares li')].map(e => "
                             "[e.dataset.key, Number(e.children[2].innerText)])"))
    types = {name: of_type["n"] for name, of_type in status["types"].items()}
    check({**status["statuses"], **types} == shares, shares)
    first = cluster.json(f"/api/v1/sweeps/{sweep}/results?limit=50")["rows"]
    shown = page.value("[...document.querySelectorAll('.results tbody tr')].map(e => "
                       "[Number(e.querySelector('th').innerText), "
                       "e.querySelector('.label-cell').textContent])")
    check(shown == [[row["feature"], row["label"] or "\u2014"] for row in first], "labels verbatim")
    page.picture(PICTURES / "sweep.png")


def a_control_says_what_it_is(cluster, page):
    sweep = cluster.submit_labels("coins", more="control: random_judge\nallow_same_family: true\n")
    cluster.wait_finished(sweep)
    page.open(cluster.address + "/")
    page.wait_text("control: random_judge")
    page.open(f"{cluster.address}/#/sweeps/{sweep}")
    page.wait_text("control random_judge: every answer of the judge is a coin; "
                   "nothing here is a finding")
    page.wait_text("explainer and judge may be of one family")
    page.picture(PICTURES / "control.png")
    page.open(f"{cluster.address}/#/sweeps/{sweep}/features/0")
    page.wait_text("control: random_judge")
    recent = cluster.json("/api/v1/overview")["recent_labels"]
    check(recent and all(row["sweep"] != sweep for row in recent), "no findings: not in the feed")


def the_keyboard_reaches_the_next_page(cluster, page, sweep):
    page.value("document.querySelector('.results tbody tr:last-child a').focus()")
    for _ in range(8):
        page.press("Tab")
        if page.value("document.activeElement.innerText") == "Next":
            break
    check(page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid", "focus")
    page.press("Enter")
    page.wait("document.querySelectorAll('.results tbody tr').length === 14")
    check(page.value("location.hash") == f"#/sweeps/{sweep}?cursor=50", "an address of its own")


def text_is_never_markup(cluster, page, sweep):
    rows = cluster.json(f"/api/v1/sweeps/{sweep}/results?limit=64")["rows"]
    row = next(row for row in rows
               if any("<img src=x onerror" in one["text"] for one in row["evidence"]))
    page.open(f"{cluster.address}/#/sweeps/{sweep}/features/{row['feature']}")
    page.wait("document.querySelectorAll('.window').length > 0")
    check("<img src=x onerror" in page.text(".view"), "corpus text is shown as it is")
    check("<i>doc-" in page.text(".view"), "document ids too")
    check(page.value("document.querySelectorAll('.view :is(img, script, style, i, table)').length")
          == 0, "and made no element")
    check(page.value("document.querySelector('a[href^=javascript]')") is None, "no such link")
    check("taken" not in page.value("document.title"), "nothing ran")
    windows = page.value("[...document.querySelectorAll('.window-text')].map(e => e.textContent)")
    texts = {one["text"].replace("\r", "").replace("\n", "\u21b5").replace("\t", "\u21e5")
             for one in row["evidence"]}
    check(set(windows) == texts, "windows verbatim")
    shades = page.value("Math.max(...[...document.querySelectorAll('.token')].map(e => "
                        "Number(e.className.split('heat-')[1])))")
    check(1 <= shades <= 10, f"shaded: {shades}")
    page.picture(PICTURES / "feature.png")


def it_fits_phones_and_both_themes(cluster, page, sweep):
    addresses = {"overview": "#/", "sweep": f"#/sweeps/{sweep}", "workers": "#/workers",
                 "feature": f"#/sweeps/{sweep}/features/0", "dead": "#/dead"}
    grounds = set()
    for scheme in ("light", "dark"):
        page.colours(scheme)
        for name, address in addresses.items():
            page.resize(390, 844)
            page.open(f"{cluster.address}/{address}")
            page.wait("document.querySelector('.view .panel, .view .tiles') !== null")
            width = page.value("document.documentElement.scrollWidth")
            check(width == 390, f"{name} is {width} wide on a phone")
            page.picture(PICTURES / f"{name}-phone-{scheme}.png")
            page.resize(1280, 800)
            check(page.value("document.documentElement.scrollWidth") == 1280, name)
            page.picture(PICTURES / f"{name}-{scheme}.png")
        grounds.add(page.value("getComputedStyle(document.body).backgroundColor"))
    check(len(grounds) == 2, "two themes")


def a_wrong_address_is_said(cluster, page):
    page.open(cluster.address + "/#/sweeps/none-1")
    page.wait_text('no sweep "none-1"')
    page.open(cluster.address + "/#/nothing/here")
    page.wait_text("There is no such view")


def a_lost_coordinator_is_seen_and_found_again(cluster, page, sweep):
    page.open(cluster.address + "/#/")
    page.wait_text(sweep)
    before = cluster.address
    cluster.end("coordinator")
    page.wait_text("Not connected to the coordinator")
    check(sweep in page.text(".view"), "what was known stays")
    page.picture(PICTURES / "not-connected.png")
    cluster.start_coordinator(listen=before.removeprefix("http://"))
    page.wait("!document.body.innerText.includes('Not connected')", 30)
    page.wait_text("Live")


def main():
    if not chromium.find():
        print("chromium is not here: scripts/bootstrap --browser")
        return 77
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Cluster() as cluster, chromium.Page() as page:
        cluster.start_redis()
        cluster.start_coordinator()
        cluster.start_worker()
        an_empty_page_says_what_to_do(cluster, page)
        sweep = a_sweep_appears_by_itself(cluster, page)
        the_queue_is_told_once(cluster, page)
        the_numbers_are_those_of_the_api(cluster, page, sweep)
        the_keyboard_reaches_the_next_page(cluster, page, sweep)
        text_is_never_markup(cluster, page, sweep)
        it_fits_phones_and_both_themes(cluster, page, sweep)
        a_control_says_what_it_is(cluster, page)
        check(page.complaints == [], f"nothing to complain of: {page.complaints}")
        a_wrong_address_is_said(cluster, page)
        a_lost_coordinator_is_seen_and_found_again(cluster, page, sweep)
    print(f"{http_cluster.N_CHECKS} checks passed; pictures in {PICTURES}")
    return 0


sys.exit(main())
