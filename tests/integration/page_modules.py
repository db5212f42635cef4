#!/usr/bin/env python3
"""The page's own modules, imported in headless Chromium from the running coordinator: number
formats, rates, routes, and the patching of the document."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import chromium
import http_cluster
from http_cluster import Cluster, check

FORMATS = [
    ("count(16384)", "16,384"), ("count(null)", "\u2014"), ("count(0)", "0"),
    ("compact(0)", "0"), ("compact(999)", "999"), ("compact(1000)", "1k"),
    ("compact(1234)", "1.2k"), ("compact(16384)", "16.4k"), ("compact(999960)", "1M"),
    ("compact(123456)", "123k"), ("compact(2500000)", "2.5M"), ("compact(NaN)", "\u2014"),
    ("rate(0)", "0/s"), ("rate(0.42)", "0.42/s"), ("rate(3.14)", "3.1/s"),
    ("rate(12345)", "12.3k/s"), ("rate(null)", "\u2014"),
    ("percent(0)", "0\u202f%"), ("percent(0.6249)", "62\u202f%"), ("percent(0.9999)", "99\u202f%"),
    ("percent(1)", "100\u202f%"), ("percent(0.001)", "<1\u202f%"),
    ("percent(0.0001, 1)", "<0.1\u202f%"), ("percent(0.9999, 1)", "99.9\u202f%"),
    ("share(0.00012)", "0.012\u202f%"), ("share(0)", "0\u202f%"),
    ("duration(0.35)", "350\u202fms"), ("duration(4.25)", "4.3s"), ("duration(59.4)", "59s"),
    ("duration(200)", "3m 20s"), ("duration(59.7)", "1m 00s"), ("duration(7380)", "2h 03m"),
    ("duration(93600)", "1d 2h"), ("duration(null)", "\u2014"),
    ("roughly(0.2)", "1s"), ("roughly(7.2)", "7s"), ("roughly(200.4)", "3m 20s"),
    ("ago('2026-01-01T00:00:00Z', '2026-01-01T00:03:20Z')", "3m 20s ago"),
    ("ago('2026-01-01T00:00:01Z', '2026-01-01T00:00:00Z')", "now"), ("ago(null, 'x')", "\u2014"),
    ("dollars(0)", "$0"), ("dollars(0.0042)", "$0.0042"), ("dollars(1.5)", "$1.50"),
    ("dollars(12345.6)", "$12,346"), ("dollars(null)", "\u2014"),
    ("bytes(512)", "512 B"), ("bytes(11243520)", "10.7 MiB"), ("bytes(3 * 2 ** 30)", "3.0 GiB"),
    ("score(0.5)", "0.50"), ("score(null)", "\u2014"), ("significant(2.4)", "2.40"),
    ("significant(0)", "0"), ("significant(123460, 4)", "123,460"),
    ("significant(1e-7)", "1.00e-7"),
]


def numbers_read_well(module):
    for expression, want in FORMATS:
        got = module("format", f"m.{expression}")
        check(got == want, f"{expression} gave {got!r}, not {want!r}")


def rates_never_fall_below_zero(module):
    points = [{"at": f"2026-01-01T00:00:0{i}Z", "n": n} for i, n in enumerate((0, 10, 30, 0, 5))]
    text = json.dumps(points)
    check(module("history", f"m.recentRate({text}, 'n')") == 35 / 4, "a fall counts as nothing")
    check(module("history", f"m.recentRate({text}, 'n', 1)") == 5, "of the last second")
    check(module("history", f"m.recentRate({text}.slice(0, 1), 'n')") is None, "one point: unknown")
    check(module("history", f"m.rateSeries({text}, 'n').values") == [10, 20, 0, 5], "step by step")
    series = module("history", f"m.rateSeries({text}, 'n', 2)")
    check(series["values"] == [15, 2.5], "in groups")
    check([point["at"] for point in series["points"]] == [points[2]["at"], points[4]["at"]], "ends")


def sessions_are_told_in_sentences(module):
    tried = [{"predicted": True, "fired": True}, {"predicted": False, "fired": True},
             {"predicted": False, "fired": False}, {"predicted": False, "fired": None}]
    check(module("rounds", f"m.countRight({json.dumps(tried)})") == 2, "no outcome is wrong")
    session = {"mode": "agentic", "chosen_round": 2, "settled": True, "rounds": [{}, {}, {}],
               "ood": {"detection": {}}, "supported_ood": False,
               "refinement": {"difference": -0.25}}
    got = module("rounds", f"m.courseOf({json.dumps(session)})")
    check(got[0] == "Round 2 of 3 was best on validate windows, and settled it.", got)
    given_up = dict(session, settled=False, outlook="hopeless")
    given_up = module("rounds", f"m.courseOf({json.dumps(given_up)})")
    check(given_up[0].endswith("validate windows; it was given up as hopeless."), given_up)
    check(got[1] == "It does not hold on other text." and "\u22120.25" in got[2], got)
    check(module("rounds", "m.sessionPanel({})") is None, "a single pass has none")


def judges_and_correlations_have_their_numbers(module):
    kappa = {"kappa": 0.5, "interval": [0.25, 0.75], "observed": 0.75, "expected": 0.5,
             "n_windows": 60, "n_left_out": 1, "n_documents": 40}
    agreement = {"judges": ["a", "b", "c"], "detection": {"cohen": [kappa, kappa], "fleiss": kappa},
                 "fuzzing": {"cohen": [dict(kappa, kappa=None, interval=None)], "fleiss": None}}
    got = module("agreement", f"m.kappas({json.dumps(agreement)}).map((k) => [k.judges, k.name])")
    check(got == [["a and b", "detection"], ["a and c", "detection"], ["all 3", "detection"],
                  ["a and b", "fuzzing"]], got)
    text = module("agreement", f"m.agreementPanel({{agreement: {json.dumps(agreement)}}}).textContent")
    check("0.25\u20130.75" in text and "undefined" in text, text)
    check(module("agreement", "m.agreementPanel({})") is None, "one judge agrees with nobody")
    simulated = {"pearson": 0.25, "interval": [-0.5, 0.5], "n_windows": 10, "n_failed": 2,
                 "n_tokens": 320, "null": None, "verdict": None}
    check(module("scores", f"m.valueOf({json.dumps(simulated)})") == 0.25, "a correlation")
    check(module("scores", "m.valueOf({balanced_accuracy: 0.75})") == 0.75, "an accuracy")
    counts = {"true_firing": 6, "missed": 4, "true_silent": 9, "false_alarm": 1, "failed_firing": 2,
              "failed_silent": 1}
    judged = {"balanced_accuracy": 0.75, "interval": None, "counts": counts}
    text = module("scores", "m.scoreTable({detection: {random: %s}}).textContent" % json.dumps(judged))
    check("6 of 10 firing, 9 of 10 silent, 3 unreadable" in text, text)
    table = module("scores", "m.scoreTable({simulation: {random: %s}})" % json.dumps(simulated) +
                   ".textContent")
    check("320 tokens of 10 windows, 2 unreadable" in table and "0.25" in table, table)


def a_search_says_where_it_did_not_look(module):
    summary = {"outcome": "partial", "reasons": ["too low"], "n_nodes": 2, "n_candidates": 48,
               "n_edges": 0, "n_variants": 900, "n_rounds": 7, "stability": 1, "order": None,
               "not_looked_at": ["496 of 1035 pairs"]}
    text = "m.outcome(%s).map((part) => [part].flat().filter(Boolean)" + \
        ".map((one) => one.textContent).join(' ')).join(' ')"
    got = module("circuit", text % json.dumps(summary))
    check("too low" in got and "Not looked at: 496 of 1035 pairs" in got, got)
    got = module("circuit", text % json.dumps(dict(summary, not_looked_at=[])))
    check("too low" in got and "Not looked at" not in got, got)


def a_circuit_sweep_has_its_own_figures(module):
    sweep = {"kind": "circuit", "n_units": 7, "n_units_done": 3, "n_units_dead": 0,
             "budget_dollars": None, "calls": {"done": 0, "in_flight": 0, "queued": 0},
             "spend": {"dollars": 0, "tokens_in": 0, "tokens_out": 0}, "state": "running",
             "circuit": {"n_candidates": 20, "n_rounds": 4}}
    text = "m.figures(%s).textContent"
    got = module("view_sweep", text % json.dumps(sweep))
    check("Units7" in got and "Variants" not in got, got)
    sweep["state"] = "finished"
    sweep["circuit"] = {"n_nodes": 9, "n_candidates": 20, "n_edges": 4, "n_variants": 698,
                        "n_rounds": 23, "prompts": {"verdict": 80}}
    got = module("view_sweep", text % json.dumps(dict(sweep, n_units=0, n_units_done=0)))
    check("of 20 components" in got and "698" in got and "Units" not in got, got)
    names = "m.circuitPhases(%s).map(([name]) => name).join()"
    got = module("circuit", names % json.dumps({"skipped_phases": ["agent", "heads"], "spec": {}}))
    check(got == "describe,prompts,attribution,search,verdict", got)
    got = module("circuit", names % json.dumps({"skipped_phases": [], "spec": {"circuit": "a.json"}}))
    check("agent,read,verdict" in got, got)


def the_overview_tells_one_moment(module):
    def point(second, **states):
        return dict({"ready": 0, "leased": 0, "done": 0, "dead": 0, "calls_in_flight": 0,
                     "dollars": 0, "labelled": 0}, at="2026-01-01T00:00:0%dZ" % second, **states)

    overview = {"now": "2026-01-01T00:00:03Z", "sweeps": [], "workers": [],
                "queue": {"ready": 0, "leased": 7, "done": 93, "dead": 0},
                "history": [point(1, ready=90, leased=9, done=1), point(2, ready=40, done=60)],
                "calls": {"in_flight": 0, "queued": 0, "done": 0, "failed": 0},
                "spend": {"dollars": 0, "reserved_dollars": 0}}
    text = json.dumps(overview)
    tiles = module("view_overview", f"m.figures({text}).textContent")
    check("0 ready, 7 leased" in tiles, tiles)
    legend = dict(module("view_overview", f"[...m.queuePanel({text}).querySelectorAll("
                         "'.legend-item')].map((item) => [item.dataset.key, "
                         "item.querySelector('.legend-value').textContent])"))
    check(legend == {key: str(n) for key, n in overview["queue"].items()}, legend)
    label = module("view_overview", f"m.queuePanel({text}).querySelector('.plot')"
                   ".getAttribute('aria-label')")
    check(label == "Units by state: 93 Done, 7 Leased, 0 Ready, 0 Dead", label)


def addresses_name_views(module):
    check(module("router", "m.match('sweeps/:sweep', ['sweeps', 'a'])") == {"sweep": "a"}, "match")
    check(module("router", "m.match('sweeps/:sweep', ['sweeps'])") is None, "too short")
    check(module("router", "m.match('', [])") == {}, "the overview")
    check(module("router", "m.to.sweep('a/b?c')") == "#/sweeps/a%2Fb%3Fc", "escaped")
    check(module("router", "m.to.feature('d-1', 7)") == "#/sweeps/d-1/features/7", "feature")


def patching_keeps_what_is_there(module):
    def patched(before, after, ask):
        return module("dom", """(() => {
            const list = (keys) => m.h('ul', null, keys.map((key) => m.h('li',
              { 'data-key': key || null }, m.h('a', { href: '#' + key }, key))));
            const screen = list(%s); document.body.append(screen);
            const old = [...screen.children];
            old[1]?.firstChild.focus();
            m.patch(screen, list(%s));
            const got = { keys: [...screen.children].map((e) => e.textContent),
              kept: [...screen.children].map((e) => old.indexOf(e)),
              focus: document.activeElement.textContent };
            screen.remove(); return got%s; })()""" % (json.dumps(before), json.dumps(after), ask))
    got = patched(["a", "b", "c"], ["n", "a", "b", "c"], "")
    check(got == {"keys": ["n", "a", "b", "c"], "kept": [-1, 0, 1, 2], "focus": "b"}, got)
    got = patched(["a", "b", "c"], ["b", "x"], "")
    check(got == {"keys": ["b", "x"], "kept": [1, -1], "focus": "b"}, got)
    check(patched(["a", "b"], ["b", "a"], ".keys") == ["b", "a"], "another order")
    check(patched(["a", "a"], ["a", "a", "a"], ".keys") == ["a", "a", "a"], "a key that repeats")
    check(patched(["a", "b"], [], ".keys") == [], "emptied")
    check(patched(["", ""], ["", "", ""], ".kept") == [0, 1, -1], "without keys: by place")


def text_stays_text(module):
    got = module("dom", "((e) => [e.getAttribute('title'), e.textContent, e.children.length])("
                 "m.h('p', {title: '<b>'}, '<img src=x>', null, false, 0, ['&amp;']))")
    check(got == ["<b>", "<img src=x>0&amp;", 0], got)


def main():
    if not chromium.find():
        print("chromium is not here: scripts/bootstrap --browser")
        return 77
    with Cluster() as cluster, chromium.Page() as page:
        cluster.start_redis()
        cluster.start_coordinator()
        page.open(cluster.address + "/")

        def module(name, expression):
            return page.value(f"import('/static/{name}.js').then((m) => {expression})")

        numbers_read_well(module)
        rates_never_fall_below_zero(module)
        sessions_are_told_in_sentences(module)
        judges_and_correlations_have_their_numbers(module)
        a_search_says_where_it_did_not_look(module)
        a_circuit_sweep_has_its_own_figures(module)
        the_overview_tells_one_moment(module)
        addresses_name_views(module)
        patching_keeps_what_is_there(module)
        text_stays_text(module)
    print(f"{http_cluster.N_CHECKS} checks passed")
    return 0


sys.exit(main())
