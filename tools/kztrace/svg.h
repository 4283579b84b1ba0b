/* SPDX-License-Identifier: Apache-2.0 */
/* What pictures are written with. Lengths are in pixels. */
#ifndef KZTRACE_SVG_H
#define KZTRACE_SVG_H

#include <stdio.h>

/* svg_escaped - text that nothing in it is taken for markup, in attributes too. */
void svg_escaped(FILE *out, const char *text);

/* svg_number - to hundredths, without zeros behind the point. */
void svg_number(FILE *out, double value);

/* svg_text - a text at a place; class: of the style sheet. */
void svg_text(FILE *out, double x, double y, const char *class, const char *text);

/* svg_text_width - at most so wide is a text in DejaVu Sans or narrower fonts. */
double svg_text_width(const char *text, double size);

/* svg_box - a rectangle as a part of a path. */
void svg_box(FILE *path, double x, double y, double w, double h);

#endif
