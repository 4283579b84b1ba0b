# SPDX-License-Identifier: Apache-2.0
"""misra.py: what covers a finding, what does not, and which rows are too many."""

import misra
import pytest

DOCUMENT = """
## Set aside

| rule | about | why |
|---|---|---|
| 1.2 A (unseen), 15.5 A | newer features | because |
| 10.1 R, 10.4 R | types | because |

## Deviations at a place

| name | rule | where | why |
|---|---|---|---|
| D1 | 11.3 | a.c | because |
| D2 | 17.2 (unseen) | a.c | because |
| D3 | 18.3, `comparePointers` | a.c | because |

## Where the checker errs

| rule | file | cppcheck | what it takes for one |
|---|---|---|---|
| 9.3 | `hv/a.c` | 2.10 | strings |
| 17.3 | * | 2.17 | built-ins |
"""
FOUND = {("hv/a.c", 1, "15.5"), ("hv/a.c", 2, "10.1"), ("hv/a.c", 2, "10.4"),
         ("hv/a.c", 10, "11.3"), ("hv/a.c", 21, "comparePointers"), ("hv/a.c", 30, "9.3")}
MARKED = {("hv/a.c", 10): {"D1"}, ("hv/a.c", 15): {"D2"}, ("hv/a.c", 20): {"D3"}}


def judged(document=DOCUMENT, found=frozenset(FOUND), marked=None, version="2.10"):
    """The errors."""
    return misra.judge(misra.Document(document), found, MARKED if marked is None else marked,
                       version)[0]


def test_covered():
    """All that is found is covered, in all four ways; nothing is too much."""
    errors, counts = misra.judge(misra.Document(DOCUMENT), FOUND, MARKED, "2.10")
    assert errors == []
    assert judged(found=FOUND | {("hv/a.c", 15, "17.2")}) == []         # an unseen one, seen
    assert counts == {"set aside": 3, "deviations": 2, "the checker's": 1}


@pytest.mark.parametrize("finding", [
    ("hv/b.c", 3, "11.8"),              # no row
    ("hv/a.c", 12, "11.3"),             # two lines below D1
    ("hv/a.c", 9, "11.3"),              # above D1
    ("hv/b.c", 10, "11.3"),             # another file
    ("hv/a.c", 10, "11.6"),             # at D1, which is another rule's
    ("hv/b.c", 30, "9.3"),              # the checker errs elsewhere
    ("hv/a.c", 30, "17.3"),             # the checker of another version errs
])
def test_uncovered(finding):
    """What no row is for fails."""
    assert judged(found=FOUND | {finding}) == [
        f"{finding[0]}:{finding[1]}: rule {finding[2]}: no row of docs/misra.md covers it, and "
        "no deviation"]


def test_versions():
    """Rows for a version's errors hold for that one only, and are not asked for elsewhere."""
    found = (FOUND - {("hv/a.c", 30, "9.3")}) | {("hv/b.c", 7, "17.3")}
    assert judged(found=found, version="2.17") == []
    assert judged(version="2.17") == ["hv/a.c:30: rule 9.3: no row of docs/misra.md covers it, "
                                      "and no deviation"]
    assert len(judged(found=found)) == 2


@pytest.mark.parametrize(("rule", "line"), [("15.5", 1), ("10.1", 2), ("9.3", 30), ("11.3", 10),
                                            ("comparePointers", 21)])
def test_unneeded(rule, line):
    """A row or a deviation that nothing needs fails."""
    errors = judged(found=FOUND - {("hv/a.c", line, rule)})
    assert len(errors) == 1 and "nothing needs" in errors[0]


def test_marks(tmp_path):
    """Comments name deviations that there are, and each of them is named."""
    (tmp_path / "hv").mkdir()
    (tmp_path / "hv/a.c").write_text("int x;\t/* why: MISRA D1, MISRA D12 */\n\n/* D1 */\n")
    assert misra.marks(tmp_path, ["hv"]) == {("hv/a.c", 1): {"D1", "D12"}}
    assert judged(marked={**MARKED, ("hv/b.c", 1): {"D4"}}) == [
        "hv/b.c:1: docs/misra.md has no D4"]
    gone = {where: names for where, names in MARKED.items() if names != {"D2"}}
    assert judged(marked=gone) == ["docs/misra.md: no place in the code names D2"]
    assert judged(marked={**MARKED, ("hv/b.c", 1): {"D1"}}) == ["hv/b.c:1: nothing needs D1 here"]


@pytest.mark.parametrize(("old", "new", "words"), [
    ("15.5 A", "15.5", "15.5 is not like 10.1 R"),
    ("10.4 R", "10.4 R, 17.6 R", "17.6 is mandatory"),
    ("| D1 | 11.3 |", "| D1 | 11.3, 9.1 |", "a deviation from a mandatory rule"),
    ("| D2 |", "| D1 |", "D1 is there twice"),
])
def test_document(old, new, words):
    """Mistakes in the page itself."""
    assert any(words in e for e in judged(DOCUMENT.replace(old, new)))


def test_cppcheck(tmp_path, capsys, monkeypatch):
    """The real checker on a small tree: a union (19.2), and out of bounds, which is an error."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "hv").mkdir()
    (tmp_path / misra.DOCUMENT).write_text("## Set aside\n\n| 2.3 A, 2.4 A, 8.7 A | x | y |\n")
    (tmp_path / "hv/a.c").write_text(
        "union u { int a; };\nextern union u v;\nextern int f(void);\n"
        "int f(void)\n{\n\tint a[2] = { 1, 2 };\n\tint b = a[2];\n\treturn b + v.a;\n}\n")
    assert misra.check(tmp_path, ["hv"], []) != 0
    out = capsys.readouterr().out
    assert "hv/a.c:1: rule 19.2: no row" in out
    assert "hv/a.c:7: rule arrayIndexOutOfBounds: no row" in out
    monkeypatch.setattr(misra, "TRIED", ("1.0",))
    assert misra.check(tmp_path, ["hv"], []) == 0
    assert "tried with cppcheck 1.0" in capsys.readouterr().out
