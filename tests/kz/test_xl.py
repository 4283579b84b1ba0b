# SPDX-License-Identifier: Apache-2.0
"""Files in the form of xl.cfg: the syntax, what is honoured, what is ignored, what is refused."""

import re

import pytest

GOOD = """name = "web"
memory = 8
kernel = "raw.bin"
"""


@pytest.fixture
def xl(kz):
    """What is said of a file: {line: [(kind, text)]}; the made VM as JSON, or None."""
    kz.write("raw.bin", bytes(range(256)) * 20)
    kz.write("ramdisk", b"r" * 5000)

    def run(text):
        kz.write("web.cfg", text)
        done = kz("--json", "create", "-n", "web.cfg")
        said = {}
        for line in done.err.splitlines():
            match = re.fullmatch(r"web\.cfg:(?:(\d+):)? (error|note): (.*)", line)
            assert match, line
            said.setdefault(int(match[1] or 0), []).append((match[2], match[3]))
        errors = any(kind == "error" for items in said.values() for kind, _ in items)
        assert done.code == (1 if errors else 0), done.err
        assert bool(done.out) == (not errors)
        return said, None if errors else done.json
    return run


def errors(said):
    return {line: [text for kind, text in items if kind == "error"]
            for line, items in said.items() if any(kind == "error" for kind, _ in items)}


def notes(said):
    return [text for items in said.values() for kind, text in items if kind == "note"]


# ---- The syntax ----

@pytest.mark.parametrize("text", [
    GOOD,
    "name='web';memory=8;kernel='raw.bin'",
    "# a comment { with a brace\nname = \"web\" # another\n\n  memory\t=\t0x8\r\n"
    "kernel='raw.bin'\n",
    "name = \"web\"\nmemory = 010\nkernel = \"raw.b\\in\"\n",
    GOOD + "vif = [ ]\n",
    GOOD + "vif = [\n\n  # nothing yet {\n]\ndisk = []\n",
    GOOD + "extra = 'a \"b\" # no comment' # a comment",
    "name = 'we'\nname += 'b'\nmemory = 8\nkernel = 'raw.bin'",
])
def test_syntax(xl, text):
    said, vm = xl(text)
    assert errors(said) == {}
    assert vm["name"] == "web" and vm["memory_bytes"] == 8 << 20


MISTAKES = [
    ("memory = 8M", "8M is no number: a word is put in quotes"),
    ("memory = big", "'big': a word is put in quotes"),
    ("extra = \"console=ttyAMA0", "the string \"console=ttyAMA0... does not end in its line"),
    ("extra 'x'", "''x'' behind extra where = is expected"),
    ("extra =", "the end of the line where a value is expected"),
    ("= 8", "'=' where KEY = VALUE is expected"),
    ("extra = 'a' 'b'", "''b'' behind the value"),
    ("vif = [ 'a' 'b' ]", "''b'' where a comma or a ] is expected"),
    ("vif = [ [ 'a' ] ]", "a list in a list"),
    ("vif = [ 'a',", "the list that begins here has no ]"),
    ("memory = 8\nmemory = 9", "memory was given in line 3 already"),
    ("vcpus = 2\nvcpus += 3", "+= is for strings and for lists"),
    ("memroy = 8", "unknown key memroy: did you mean 'memory'?"),
    ("frobnicate = 8", "unknown key frobnicate"),
    ("name = 'Web Server'", "a name is 1 to 15 of a-z, 0-9, _ and -"),
    ("name = 7", "name is a string in quotes"),
    ("memory = 0", "memory is a number from 1 on"),
    ("memory = 'much'", "memory is a number from 1 on, not 'much'"),
    ("memory = 99999999999", "are too many"),
    ("memory = 64\nmaxmem = 32", "maxmem is less than memory"),
    ("kernel = 'nowhere'", "kernel nowhere: No such file or directory"),
    ("ramdisk = 'nowhere'", "ramdisk nowhere: No such file or directory"),
    ("vcpus = 99", "vcpus is 99: a VM has 8 at most"),
    ("cpus = 'some'", "cpus is 'some': it is \"all\", or cores such as"),
    ("cpus = '3-1'", "cpus is '3-1'"),
    ("vcpus = 2\ncpus = '1'", "cpus names 1 cores for 2 vCPUs"),
    ("on_crash = 'reboot'", "unknown on_crash 'reboot'"),
    ("on_crash = 'soft-reset'", "there is no such thing"),
    ("on_poweroff = 'restart'\non_crash = 'destroy'", "restarts after a failure, too"),
    ("disk = [ 'phy:/dev/sda,xvda,w' ]", "disk: there are no virtual disks yet"),
    ("pci = [ '00:1.0' ]", "pci: PCI devices cannot be passed through yet"),
    ("device_tree = 'x.dtb'", "device_tree: a piece of a device tree cannot be added"),
    ("type = 'hvm'", "type is 'hvm': on Arm it is pvh"),
    ("builder = 'hvm'", "builder is 'hvm': on Arm it is generic"),
    ("irqs = [ 88 ]", "irqs: name the device, in dtdev"),
    ("iomem = [ '0xff0e0,1' ]", "iomem: name the device, in dtdev"),
    ("dtdev = '/axi/x'", "dtdev is a list of paths"),
    ("cpu_weight = 99999", "cpu_weight is 1 to 65535"),
]


@pytest.mark.parametrize("text, words", MISTAKES)
def test_mistake(xl, text, words):
    """Each at its line: the last of the text."""
    given = {line.split("=")[0].strip("+ ") for line in text.splitlines()}
    base = [line for line in GOOD.splitlines() if line.split("=")[0].strip() not in given]
    said, _ = xl("\n".join([*base, text]) + "\n")
    wrong = errors(said)
    line = len(base) + text.count("\n") + 1
    assert list(wrong) == [line], said
    assert any(words in w for w in wrong[line]), said


def test_all_mistakes_in_one_run(xl):
    """Every line that is wrong is named, and nothing else is."""
    lines, expected = [], {}
    for text, words in MISTAKES:
        if "\n" in text or text.startswith(("vif = [ 'a',", "dtdev")) or (
                text.split()[0] in {line.split()[0] for line in lines if line}):
            continue
        lines.append(text)
        expected[len(lines)] = words
    said, _ = xl("\n".join(lines) + "\n")
    wrong = errors(said)
    assert len(expected) > 15
    for line, words in expected.items():
        assert line in wrong and any(words in w for w in wrong[line]), (line, words, said)
    assert set(wrong) - set(expected) <= {0}, said


def test_nothing_is_given(xl):
    said, _ = xl("# nothing\n")
    assert errors(said) == {0: ["there is no name = \"NAME\"", "there is no memory = MEBIBYTES",
                                "there is no kernel = \"FILE\""]}


def test_list_that_is_broken_hides_nothing(xl):
    said, _ = xl("vif = [ 'a'\n 'b' ]\nmemroy = 8\n" + GOOD)
    assert set(errors(said)) == {2, 3}
    said, _ = xl("vif = [ 'a' 'b',\nmemroy = 8\n" + GOOD)
    assert set(errors(said)) == {1, 2}


# ---- What it means ----

@pytest.mark.parametrize("text, cores", [
    ("vcpus = 1\ncpus = '2'", [2]), ("vcpus = 2\ncpus = '0-1'", [0, 1]),
    ("vcpus = 2\ncpus = ['2', '0']", [2, 0]), ("vcpus = 2\ncpus = [2, 0]", [2, 0]),
    ("vcpus = 2\ncpus = '0-2,^1'", [0, 2]), ("vcpus = 2\ncpus = '2,0'", [0, 2]),
    ("cpus = 2", [2]), ("vcpus = 1\ncpus = '1-2'", [1]),
])
def test_cpus(xl, text, cores):
    said, vm = xl(GOOD + text)
    assert errors(said) == {} and vm["cores"] == cores
    beyond = any("ignored: cpus beyond" in n for n in notes(said))
    assert beyond == (text == "vcpus = 1\ncpus = '1-2'")


@pytest.mark.parametrize("text", ["", "vcpus = 2", "vcpus = 2\ncpus = 'all'", "vcpus = '3'"])
def test_cpus_of_our_choice(xl, text):
    """Never one that an HRT VM owns."""
    said, vm = xl(GOOD + text)
    count = 3 if "3" in text else 2 if "2" in text else 1
    assert errors(said) == {} and vm["vcpus"] == count and 3 not in vm["cores"]


@pytest.mark.parametrize("text, restart", [
    ("", "never"), ("on_crash = 'restart'", "on-failure"), ("on_crash = 'preserve'", "never"),
    ("on_crash = 'destroy'", "never"), ("on_poweroff = 'restart'", "always"),
    ("on_poweroff = 'restart'\non_crash = 'restart'", "always"),
    ("on_watchdog = 'restart'", "on-failure"), ("on_crash = 'coredump-restart'", "on-failure"),
    ("on_reboot = 'restart'\non_crash = 'preserve'", "never"),
])
def test_events(xl, text, restart):
    said, vm = xl(GOOD + text)
    assert errors(said) == {} and vm["restart"] == restart
    destroy = any("stays, stopped, until kz destroy" in n for n in notes(said))
    assert destroy == ("'destroy'" in text)


def test_weight(xl):
    for weight, ours in ((256, 100), (512, 200), (1, 1), (65535, 10000)):
        said, vm = xl(GOOD + f"cpu_weight = {weight}")
        assert errors(said) == {} and vm["weight"] == ours


def test_ignored(xl):
    said, _ = xl(GOOD + "vif = ['bridge=xenbr0']\nvfb = ['vnc=1']\nmaxmem = 512\nmaxvcpus = 4\n"
                 "uuid = 'x'\non_reboot = 'destroy'\nsdl = 0\n")
    assert errors(said) == {}
    assert [(line, said[line][-1][1].split(": ")[:2]) for line in range(4, 9)] == [
        (4, ["ignored", "vif"]), (5, ["ignored", "vfb"]), (6, ["ignored", "maxmem"]),
        (7, ["ignored", "maxvcpus"]), (8, ["ignored", "uuid"])]
    assert "ignored: on_reboot" in said[9][-1][1] and 10 not in said


def test_line_of_what_kzc_says(xl):
    """A mistake that only kzc can find is at the xl.cfg's own line."""
    said, _ = xl("# one\n# two\n" + GOOD + "# six\ncpus = '7'\n")
    assert set(errors(said)) == {7} and "there is no core '7'" in errors(said)[7][0]
    said, _ = xl("kernel = 'raw.bin'\nname = 'web'\n\n\nmemory = 4096\n")
    assert 5 in errors(said) or 2 in errors(said) or 1 in errors(said)


def test_which_language(kz):
    """The content decides: ours has braces."""
    kz.write("raw.bin", b"x" * 100)
    kz.write("a", "extra = \"{\"\n# }\nname = 'web'\nmemory = 8\nkernel = 'raw.bin'\n")
    assert kz("create", "-n", "a").code == 0
    kz.write("a", "vm web { level = nrt cpus = {0} memory = 8M image = 'raw.bin' }")
    assert kz("create", "-n", "a").code == 0
    kz.write("a", "vm web { memory = }")
    assert "a:1: error" in kz("create", "-n", "a").err
    kz.write("a", b"\0\1\2")
    assert "this is no text" in kz("create", "-n", "a").err
