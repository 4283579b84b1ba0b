# SPDX-License-Identifier: Apache-2.0
"""stack.py on small images: it finds what is wrong with each, and nothing with the right ones."""

import re
import subprocess

import pytest
import stack

ENTRY = """
	.text
	.global _head, secondary_entry
_head:	mov	sp, x21
	bl	boot
	b	.
secondary_entry:
	mov	sp, x0
	bl	second
	b	.
	.section .vectors, "ax"
	.global vectors
vectors:
	.rept	8
	add	sp, x0, #0x1000
	b	bug
	.balign	128
	.endr
	.rept	8
	b	leave
	.balign	128
	.endr
leave:	mov	sp, x2
	bl	guest
	mov	sp, x0
	eret
"""
PARTS = """
#define OWN __attribute__((noinline, noclone))
void boot(void), second(void), guest(int n), bug(void), use(char *p);
OWN void use(char *p) { __asm__ volatile("" : : "r"(p) : "memory"); }
"""
RIGHT = {
    "boot": "void boot(void) { char a[256]; use(a); }",
    "second": "void second(void) { }",
    "guest": "void guest(int n) { use((char *)&n); }",
    "bug": "void bug(void) { for (;;) { } }",
}
SWITCH = """
OWN int a(int n) { char b[2048]; use(b); return n + b[n]; }
int volatile v;
void guest(int n)
{
	switch (n) {
	case 0: v = a(n); v++; break;
	case 1: v = 3; use((char *)&n); break;
	case 2: v *= 5; break;
	case 3: use((char *)&v); v++; break;
	case 4: v = 9 - n; use((char *)&v); v--; break;
	case 5: v = n / 3; break;
	case 6: v |= 6; break;
	case 7: v ^= 99; break;
	case 8: v = a(7) + 2; break;
	}
}
"""
LAYOUT = {"PERCPU_DATA": 0x3000, "PERCPU_GUARD": 0x1000, "PANIC_ROOM": 1024}


def examine(folder, parts, short=(), edit=None):
    """Builds an image of the parts, and has it checked: lines, errors."""
    (folder / "entry.S").write_text(ENTRY)
    (folder / "parts.c").write_text(PARTS + "\n".join(parts.values()) + "\n")
    subprocess.run("aarch64-linux-gnu-gcc -O2 -fomit-frame-pointer -mgeneral-regs-only "
                   "-fno-asynchronous-unwind-tables -fstack-usage "
                   "-mcmodel=tiny --param case-values-threshold=4 -c entry.S parts.c && "
                   "aarch64-linux-gnu-ld --section-start=.vectors=0x420000 -Ttext=0x400000 "
                   "-e _head -o image entry.o parts.o",
                   shell=True, check=True, cwd=folder)
    if edit is not None:
        path = folder / "parts.su"
        path.write_text(re.sub(*edit, path.read_text()))
    frames, errors = stack.compiler_frames(folder)
    try:
        lines, more = stack.check(
            stack.Image("aarch64-linux-gnu-objdump", folder / "image"), LAYOUT, frames, set(short))
    except stack.Unsound as why:
        lines, more = [], [str(why)]
    return lines, errors + more


def test_right(tmp_path):
    """Frames add up along the deepest chain of each entry."""
    lines, errors = examine(tmp_path, RIGHT)
    assert errors == []
    assert re.match(r"stack: boot: (2\d\d) of 8192 bytes: _head 0 > boot \1$", lines[0])
    assert lines[1].startswith("stack: secondary: 0 of 8192 bytes")
    assert lines[2].endswith("> guest 16 > use 0") or lines[2].endswith("> guest 32")
    assert lines[3].startswith("stack: panic: 0 of 1024 bytes: vector 7")


def test_switch(tmp_path):
    """What a switch's table leads to counts."""
    lines, errors = examine(tmp_path, {**RIGHT, "guest": SWITCH})
    assert errors == []
    assert "\tbr\t" in subprocess.run(["aarch64-linux-gnu-objdump", "-d", tmp_path / "image"],
                                      check=True, capture_output=True, text=True).stdout
    assert lines[2].startswith("stack: guest: 21") or "> a 20" in lines[2]


@pytest.mark.parametrize(("part", "words"), [
    ("void bug(void) { char a[1040]; use(a); for (;;) { } }", "of stack, and there are 1024"),
    ("void guest(int n) { char a[8200]; use(a); }", "of stack, and there are 8192"),
    ("void guest(int n) { char a[n]; use(a); }", "a frame whose size is not constant"),
    ("void guest(int n) { if (n) { char *a = __builtin_alloca(n); use(a); } }",
     "a frame whose size is not constant"),
    ("OWN int f(int n); int f(int n) { return n ? f(n - 1) * f(n - 2) : 1; }\n"
     "void guest(int n) { f(n); }", "recursion: f > f"),
    ("OWN int g(int n); OWN int f(int n) { use(0); return g(n) + 1; }\n"
     "int g(int n) { use(0); return n < 2 ? n : f(n - 1) + 1; }\n"
     "void guest(int n) { g(n); }", "recursion: g > f > g"),
    ("void (*volatile p)(int);\nvoid guest(int n) { p(n); use(0); }", "nobody knows"),
    ("void (*volatile p)(int);\nvoid guest(int n) { p(n); }", "nobody knows"),
    ("void guest(int n) { }\nvoid extra(void) { use(0); }", "extra: no entry reaches it"),
    ('void guest(int n) { __asm__ volatile("add x0, sp, #8; mov sp, x0" ::: "x0"); }',
     "a frame whose size is not constant"),
    ('void guest(int n) { __asm__ volatile("sub sp, sp, #32"); }', "returns with 32 bytes"),
    ('void guest(int n) { if (n) { __asm__ volatile("sub sp, sp, #32"); } use(0); use(0); }',
     "bytes of stack at"),
])
def test_wrong(tmp_path, part, words):
    """One thing that is wrong."""
    name = "bug" if "void bug" in part else "guest"
    _, errors = examine(tmp_path, {**RIGHT, name: part})
    assert any(words in e for e in errors), errors


def test_compiler(tmp_path):
    """The compiler says another size, or nothing, or that a frame is dynamic."""
    _, errors = examine(tmp_path, RIGHT, edit=(r"boot\t\d+", "boot\t288"))
    assert len(errors) == 1
    assert re.match(r"boot: 2\d\d bytes by its instructions, \[288\] by -fstack-us", errors[0])
    _, errors = examine(tmp_path, RIGHT, edit=(r"boot\t", "other\t"))
    assert len(errors) == 1
    assert re.match(r"boot: 2\d\d bytes by its instructions, \[\] by -fstack-usage", errors[0])
    _, errors = examine(tmp_path, RIGHT, edit=(r"(boot.*)static", r"\1dynamic,bounded"))
    assert len(errors) == 1 and "not constant (dynamic,bounded)" in errors[0]


def test_short(tmp_path):
    """A call that is known to end at once breaks a cycle, and has to be there."""
    cycle = {**RIGHT, "guest": "OWN void tell(int n);\n"
             "OWN void wake(int n) { use(0); if (n) { tell(n); use(0); } }\n"
             "void tell(int n) { char a[64]; use(a); wake(n); use(a); }\n"
             "void guest(int n) { wake(n); use(0); }"}
    _, errors = examine(tmp_path, cycle)
    assert errors == ["recursion: wake > tell > wake"]
    lines, errors = examine(tmp_path, cycle, {("tell", "wake")})
    assert errors == []
    assert [w.split()[0] for w in lines[2].split(" > ")] == ["stack:", "guest", "wake", "tell",
                                                             "wake"]
    _, errors = examine(tmp_path, RIGHT, {("tell", "wake")})
    assert errors == ["SHORT: tell no longer calls wake"]
