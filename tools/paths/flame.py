# SPDX-License-Identifier: Apache-2.0
"""Flame graphs in SVG: a tower for each way, as wide as it has instructions."""

import html
import zlib

from ways import mix_text

WIDTH = 1600            # of the picture, and
MARGIN = 16
PX = 2.4                # of an instruction, where the tower fits
ROW = 18                # height of a frame
GAP = 24                # between towers
HEAD = 40               # above a tower: its name, and how many instructions
CHAR = 6.3              # of the font, at its size
FONT = 11
LEAST = 170             # width that a tower gets for its head


def colour(name):
    """Warm, and the same in each picture."""
    seed = zlib.crc32(name.encode())
    return f"hsl({seed % 50 + 8},{60 + seed // 50 % 25}%,{66 + seed // 1250 % 12}%)"


class Tower:
    """A way as a tower: callers below, their callees upon them."""

    def __init__(self, frame, note):
        self.frame, self.note = frame, note
        self.total = frame.total()
        self.rows = frame.depth() - 1
        self.scale = min(PX, (WIDTH - 2 * MARGIN) / self.total)
        self.width = max(self.total * self.scale, LEAST, CHAR * len(self.title()))
        self.height = HEAD + self.rows * ROW

    def title(self):
        """What is written above it."""
        return self.frame.name

    def draw(self, out, x, bottom):
        """The tower with its left bottom corner there."""
        top = bottom - self.height
        small = "" if self.scale == PX else f"; drawn at 1/{PX / self.scale:.1f} of the scale"
        out.append(f'<text x="{x:.1f}" y="{top + 14:.1f}" class="t">'
                   f'{html.escape(self.title())}</text>')
        out.append(f'<text x="{x:.1f}" y="{top + 29:.1f}" class="n">{self.total} instructions'
                   f'{self.note}{small}</text>')
        for child in self.frame.inner.values():
            x = self._frame(out, child, x, bottom - ROW)

    def _frame(self, out, frame, x, y):
        total = frame.total()
        width = total * self.scale
        own = f", {frame.own} of its own" if frame.own != total else ""
        label = frame.name
        room = int((width - 4) / CHAR)
        if len(label) > room:
            label = label[:room - 1] + "…" if room >= 4 else ""
        out.append(f'<g><title>{html.escape(frame.name)}: {total} instructions{own}\n'
                   f'{mix_text(frame.mix())}</title>'
                   f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width - 0.5, 0.5):.1f}" '
                   f'height="{ROW - 1}" fill="{colour(frame.name)}"/>')
        if label:
            out.append(f'<text x="{x + 3:.1f}" y="{y + 12.5:.1f}">{html.escape(label)}</text>')
        out.append("</g>")
        at = x
        for child in frame.inner.values():
            at = self._frame(out, child, at, y - ROW)
        return x + width


def shelves(towers):
    """Towers side by side, as many as fit."""
    rows, room = [], -1.0
    for tower in towers:
        if tower.width > room:
            rows.append([])
            room = WIDTH - 2 * MARGIN
        rows[-1].append(tower)
        room -= tower.width + GAP
    return rows


def picture(title, sections):
    """The SVG. sections: [(headline, [Tower])]."""
    out, y = [], 64.0
    for headline, towers in sections:
        out.append(f'<text x="{MARGIN}" y="{y + 16:.1f}" class="h">{html.escape(headline)}</text>')
        y += 30
        for shelf in shelves(towers):
            bottom = y + max(tower.height for tower in shelf)
            x = float(MARGIN)
            for tower in shelf:
                tower.draw(out, x, bottom)
                x += tower.width + GAP
            y = bottom + 14
        y += 16
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" '
            f'width="{WIDTH}" height="{y:.0f}" font-family="DejaVu Sans Mono, monospace" '
            f'font-size="{FONT - 0.5}">\n<style>.h{{font:bold 17px sans-serif}}'
            '.t{font:bold 13px sans-serif}.n{font:12px sans-serif;fill:#555}'
            'rect:hover{stroke:#000}</style>\n'
            f'<rect width="{WIDTH}" height="{y:.0f}" fill="#fff"/>\n'
            f'<text x="{MARGIN}" y="28" style="font:bold 20px sans-serif">{html.escape(title)}'
            f'</text>\n<text x="{MARGIN}" y="48" class="n">The commonest way of each kind of exit, '
            'from the vector to ERET. Callers are below; a frame is as wide as it has '
            f'instructions, {PX} pixels each; tooltips have the rest.</text>\n')
    return head + "\n".join(out) + "\n</svg>\n"
