#!/usr/bin/env python3
"""Counts the test cases of one `bazel test` from its build event file.

Usage: count_bazel.py EVENTS.json

Prints "PASSED FAILED SKIPPED" and, before that on standard error, the name of every case that failed. A GoogleTest case
counts as one; a target that wrote no cases, did not build or ended by a signal counts as one as well.
"""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def cases_of(path):
    """Yields (name, outcome) for each test case of a test.xml."""
    root = ElementTree.parse(path).getroot()
    for case in root.iter("testcase"):
        name = "%s.%s" % (case.get("classname", ""), case.get("name", ""))
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.get("status") == "notrun" or case.get("result") == "skipped" or case.find("skipped") is not None:
            yield name, "skipped"
        else:
            yield name, "passed"


def outcomes_of(label, passed, xml_files):
    """The cases of one target. Where the target failed and its cases do not say so, the target is a failed case itself."""
    cases = []
    for path in xml_files:
        try:
            cases += [("%s %s" % (label, name), outcome) for name, outcome in cases_of(path)]
        except (OSError, ElementTree.ParseError):
            pass
    if not passed and not any(outcome == "failed" for _, outcome in cases):
        cases.append((label, "failed"))
    if passed and not cases:
        cases.append((label, "passed"))
    return cases


def read_events(path):
    """The test targets that were asked for, and per target whether it passed and its test.xml files."""
    targets, passed, files = set(), {}, {}
    with open(path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            kind = event["id"]
            if "targetConfigured" in kind and event.get("configured", {}).get("testSize"):
                targets.add(kind["targetConfigured"]["label"])
            elif "testResult" in kind:
                label = kind["testResult"]["label"]
                outputs = event.get("testResult", {}).get("testActionOutput", [])
                files.setdefault(label, []).extend(
                    urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
                    for output in outputs if output["name"] == "test.xml" and "uri" in output)
            elif "testSummary" in kind:
                label = kind["testSummary"]["label"]
                passed[label] = event.get("testSummary", {}).get("overallStatus") == "PASSED"
    return targets, passed, files


def main():
    targets, passed, files = read_events(sys.argv[1])
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for label in sorted(targets | set(passed)):
        for name, outcome in outcomes_of(label, passed.get(label, False), files.get(label, [])):
            counts[outcome] += 1
            if outcome == "failed":
                print("  FAILED %s" % name, file=sys.stderr)
    print("%(passed)d %(failed)d %(skipped)d" % counts)


if __name__ == "__main__":
    main()
