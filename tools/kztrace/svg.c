/* SPDX-License-Identifier: Apache-2.0 */
#include "svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void svg_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			/* XML knows no control characters. */
			fputc(((unsigned char)*text < ' ') ? ' ' : *text, out);
			break;
		}
	}
}

void svg_number(FILE *out, double value)
{
	long hundredths = lround(value * 100);
	long rest = labs(hundredths % 100);

	if ((hundredths < 0) && (hundredths > -100)) {
		fputc('-', out);
	}
	fprintf(out, "%ld", hundredths / 100);
	if (rest != 0) {
		fprintf(out, (rest % 10 == 0) ? ".%ld" : ".%02ld",
			(rest % 10 == 0) ? rest / 10 : rest);
	}
}

void svg_text(FILE *out, double x, double y, const char *class, const char *text)
{
	fputs("<text x=\"", out);
	svg_number(out, x);
	fputs("\" y=\"", out);
	svg_number(out, y);
	fprintf(out, "\" class=\"%s\">", class);
	svg_escaped(out, text);
	fputs("</text>\n", out);
}

double svg_text_width(const char *text, double size)
{
	double width = 0;

	for (; *text != '\0'; text++) {
		/* Bytes behind the first one of a UTF-8 sequence have no width. */
		if (((unsigned char)*text & 0xc0) != 0x80) {
			width += (strchr(" .,:;|il/()", *text) != NULL) ? 0.4
				 : (strchr("mwMW%", *text) != NULL)     ? 1
									: 0.66;
		}
	}
	return width * size;
}

void svg_box(FILE *path, double x, double y, double w, double h)
{
	fputc('M', path);
	svg_number(path, x);
	fputc(' ', path);
	svg_number(path, y);
	fputc('h', path);
	svg_number(path, w);
	fputc('v', path);
	svg_number(path, h);
	fputc('h', path);
	svg_number(path, -w);
	fputc('z', path);
}
