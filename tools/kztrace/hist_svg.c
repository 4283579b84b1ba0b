/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture: for each vCPU two panels, response times and start latencies. The time
 * axis is logarithmic where the greatest is far above the least, the axis of counts
 * where a bar would hide the single ones.
 */
#include <math.h>
#include <string.h>

#include "blob.h"
#include "hist.h"
#include "svg.h"
#include "timeline.h"
#include "when.h"

#define PAGE_W	 1200
#define MARGIN	 40
#define TOP	 84
#define PANEL_W	 548 /* with its axis */
#define PANEL_DX (PAGE_W - MARGIN - PANEL_W)
#define AXIS_W	 64
#define PLOT_W	 (PANEL_W - AXIS_W - 12)
#define PLOT_H	 150
#define HEAD_H	 34 /* a vCPU's name */
#define MARKS_H	 68 /* the panel's title, and what its lines are */
#define UNDER_H	 44
#define ROW_H	 (HEAD_H + MARKS_H + PLOT_H + UNDER_H + 24)
#define BINS	 60u
#define LATE	 "#c0392b"

/* Times in ns along x; counts along y. */
struct panel {
	const struct hist *h;
	const struct stat_of *s;
	FILE *out;
	double x, y; /* of the plot's corner on the left, at the bottom */
	double low, high;
	bool log_x, log_y;
	unsigned bins;
	double count[BINS], most;
	double due; /* ns; 0: none */
	const char *colour;
};

static double ns_of(const struct panel *p, uint64_t ticks)
{
	return (double)ticks * 1e9 / (double)p->h->t->hz;
}

/* A time with three digits. */
static void put_time(char text[WHEN_MAX], double ns)
{
	double unit = (ns >= 999.5e6) ? 1e9 : (ns >= 999.5e3) ? 1e6 : (ns >= 999.5) ? 1e3 : 1;
	double v = ns / unit;

	int digits = ((unit == 1) || (v >= 99.95)) ? 0 : (v >= 9.995) ? 1 : 2;

	snprintf(text, WHEN_MAX, "%.*f %s", digits, v, when_unit((uint64_t)unit));
}

/* ---- Scales ---- */

static double place_x(const struct panel *p, double ns)
{
	double part = p->log_x ? log(ns / p->low) / log(p->high / p->low)
			       : (ns - p->low) / (p->high - p->low);

	return p->x + PLOT_W * fmin(fmax(part, 0), 1);
}

/* A count of one is to be seen on a logarithmic axis. */
static double place_y(const struct panel *p, double count)
{
	double part = p->log_y ? (log10(count) + 0.3) / (log10(p->most) + 0.3) : count / p->most;

	return p->y - PLOT_H * fmax(part, 0);
}

/* 1, 2 or 5 times a power of ten: the greatest that is not above v, or the least not below. */
static double round_125(double v, bool up)
{
	static const double steps[] = { 1, 2, 5, 10 };
	double ten = pow(10, floor(log10(v) + 1e-9));
	double best = ten;

	for (unsigned i = 0; i < 4; i++) {
		if (up && (steps[i] * ten >= v * (1 - 1e-9))) {
			return steps[i] * ten;
		}
		if (steps[i] * ten <= v * (1 + 1e-9)) {
			best = steps[i] * ten;
		}
	}
	return best;
}

static void scale_x(struct panel *p)
{
	double tick = 1e9 / (double)p->h->t->hz;
	double least = fmax(ns_of(p, p->s->min), tick);
	double most = fmax(ns_of(p, p->s->max), tick);
	double top = fmax(most, p->due);
	double wide, step;

	least = (p->due > 0) ? fmin(least, p->due) : least;
	p->log_x = top >= 20 * least;
	p->bins = BINS;
	if (p->log_x) {
		p->low = round_125(least, false);
		p->high = round_125(top, true);
		return;
	}
	wide = fmax(fmax(top - least, top / 16), 8 * tick);
	step = round_125(wide / 8, true);
	p->low = fmax(floor((least - wide / 16) / step) * step, 0);
	p->high = ceil((top + wide / 16) / step) * step;
	/* no finer than values are kept, so that no bin is empty for that alone */
	while ((p->bins > 8) && ((p->high - p->low) / p->bins < fmax(top / 64, 2 * tick))) {
		p->bins--;
	}
}

static double bin_end(const struct panel *p, unsigned bin)
{
	double part = (double)bin / p->bins;

	return p->log_x ? p->low * pow(p->high / p->low, part) : p->low + (p->high - p->low) * part;
}

/* The panel's bins from the finer ones of the figures. */
static void fill(struct panel *p)
{
	unsigned bin = 0;

	for (unsigned b = 0; b < STAT_BUCKETS; b++) {
		double ns = ns_of(p, stat_first(b));

		if (p->s->bucket[b] == 0) {
			continue;
		}
		while ((bin + 1 < p->bins) && (ns >= bin_end(p, bin + 1))) {
			bin++;
		}
		p->count[bin] += (double)p->s->bucket[b];
		p->most = fmax(p->most, p->count[bin]);
	}
	p->log_y = p->most >= 100;
}

/* ---- Drawing ---- */

static void put_line(const struct panel *p, double x1, double y1, double x2, double y2,
		     const char *class)
{
	fputs("<path class=\"", p->out);
	fprintf(p->out, "%s\" d=\"M%.2f %.2fL%.2f %.2f\"/>\n", class, x1, y1, x2, y2);
}

static void put_tick_x(const struct panel *p, double ns)
{
	double x = place_x(p, ns);
	char text[WHEN_MAX];

	put_line(p, x, p->y, x, p->y + 5, "axis");
	put_line(p, x, p->y, x, p->y - PLOT_H, "grid");
	svg_text(p->out, x, p->y + 19, "tick", when_exact(text, (uint64_t)llround(ns)));
}

static void put_ticks_x(const struct panel *p)
{
	bool few = p->high / p->low < 1000;
	double step = round_125((p->high - p->low) / 7, true);

	if (!p->log_x) {
		double first = ceil(p->low / step);
		int ticks = (int)(floor(p->high * (1 + 1e-9) / step) - first) + 1;

		for (int i = 0; i < ticks; i++) {
			put_tick_x(p, (first + i) * step);
		}
		return;
	}
	for (int power = (int)floor(log10(p->low) + 1e-9); power <= log10(p->high * 1.001);
	     power++) {
		double ten = pow(10, power);

		for (unsigned i = 1; i <= (few ? 5u : 1u); i += (i == 2) ? 3 : 1) {
			if ((ten * i >= p->low * 0.999) && (ten * i <= p->high * 1.001)) {
				put_tick_x(p, ten * i);
			}
		}
	}
}

static void put_tick_y(const struct panel *p, double count)
{
	double y = place_y(p, count);
	char text[32];

	snprintf(text, sizeof(text), "%.0f", count);
	put_line(p, p->x - 5, y, p->x, y, "axis");
	put_line(p, p->x, y, p->x + PLOT_W, y, "grid");
	svg_text(p->out, p->x - 9, y + 4, "count", text);
}

static void put_ticks_y(const struct panel *p)
{
	uint64_t most = (uint64_t)llround(p->most);
	uint64_t step = (uint64_t)llround(fmax(round_125(p->most / 4, true), 1));

	if (p->log_y) {
		for (uint64_t count = 1; count <= most; count *= 10) {
			put_tick_y(p, (double)count);
		}
		return;
	}
	for (uint64_t count = 0; count <= most; count += step) {
		put_tick_y(p, (double)count);
	}
}

static void put_bars(const struct panel *p)
{
	for (unsigned b = 0; b < p->bins; b++) {
		double x = place_x(p, bin_end(p, b));
		double w = place_x(p, bin_end(p, b + 1)) - x;
		bool late = (p->due > 0) && (bin_end(p, b) >= p->due);
		char from[WHEN_MAX], to[WHEN_MAX];

		if (p->count[b] == 0) {
			continue;
		}
		put_time(from, bin_end(p, b));
		put_time(to, bin_end(p, b + 1));
		fprintf(p->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
			"class=\"bar\" fill=\"%s\"><title>%.0f: %s to %s</title></rect>\n", x,
			place_y(p, p->count[b]), fmax(w - 1, 1), p->y - place_y(p, p->count[b]),
			late ? LATE : p->colour, p->count[b], from, to);
	}
}

/* A line at a time, with words in one of the rows above the plot. */
static void put_mark(const struct panel *p, double ns, unsigned row, const char *name,
		     const char *class)
{
	double x = place_x(p, ns);
	double y = p->y - PLOT_H - 6 - 13 * row;
	bool right = x > p->x + PLOT_W * 0.6;
	char time[WHEN_MAX], text[2 * WHEN_MAX], classes[64];

	put_time(time, ns);
	snprintf(text, sizeof(text), "%s %s", name, time);
	snprintf(classes, sizeof(classes), "mark %s%s", class, right ? " end" : "");
	fprintf(p->out, "<path class=\"line %s\" d=\"M%.2f %.2fV%.2f\"/>\n", class, x, y - 9, p->y);
	svg_text(p->out, right ? x - 4 : x + 4, y, classes, text);
}

static void put_marks(const struct panel *p)
{
	put_mark(p, ns_of(p, stat_quantile(p->s, 1, 2)), 2, "p50", "p50");
	put_mark(p, ns_of(p, stat_quantile(p->s, 99, 100)), 1, "p99", "p99");
	put_mark(p, ns_of(p, p->s->max), 0, "max", "max");
	if (p->due > 0) {
		put_mark(p, p->due, 3, "deadline", "due");
	}
}

/* Which panel it is, and what its axes are. */
static void put_words(const struct panel *p, const char *name, const char *what)
{
	double y = p->y - PLOT_H / 2.0;
	char text[160], avg[WHEN_MAX];

	put_time(avg, ns_of(p, stat_avg(p->s)));
	snprintf(text, sizeof(text), "%.40s: %.50s", name, what);
	svg_text(p->out, p->x - AXIS_W, p->y - PLOT_H - MARKS_H + 2, "panel", text);
	snprintf(text, sizeof(text), "%llu, avg %s", (unsigned long long)p->s->count, avg);
	svg_text(p->out, p->x + PLOT_W, p->y - PLOT_H - MARKS_H + 2, "dim end", text);
	put_line(p, p->x, p->y, p->x + PLOT_W, p->y, "axis");
	put_line(p, p->x, p->y, p->x, p->y - PLOT_H, "axis");
	snprintf(text, sizeof(text), "%.40s%s", name, p->log_x ? ", logarithmic" : "");
	svg_text(p->out, p->x + PLOT_W / 2.0, p->y + 37, "dim mid", text);
	fprintf(p->out, "<g transform=\"rotate(-90 %.2f %.2f)\">", p->x - AXIS_W + 10, y);
	svg_text(p->out, p->x - AXIS_W + 10, y, "dim mid",
		 p->log_y ? "jobs, logarithmic" : "jobs");
	fputs("</g>\n", p->out);
}

/* One panel at (x, y), its corner on the left at the top. */
static void put_panel(struct panel p, double x, double y, const char *name, const char *what)
{
	p.x = x + AXIS_W;
	p.y = y + MARKS_H + PLOT_H;
	if (p.s->count == 0) {
		svg_text(p.out, x, y + 2, "panel", name);
		svg_text(p.out, x, y + 24, "dim", "none in this trace");
		return;
	}
	scale_x(&p);
	fill(&p);
	put_ticks_x(&p);
	put_ticks_y(&p);
	put_bars(&p);
	put_marks(&p);
	put_words(&p, name, what);
}

/* Who it is, and what was promised to it. */
static void put_name(const struct hist *h, FILE *out, uint8_t id, bool released, double y)
{
	const struct kz_cfg_server *server = &blob_vm(h->t->cfg, TRACE_VM(id))->server;
	const char *name = trace_vcpu_name(h->t, id);
	uint64_t misses = h->v[TRACE_SLOT(id)].misses;
	char text[256], budget[WHEN_MAX], period[WHEN_MAX];
	size_t used = 0;

	snprintf(text, sizeof(text), "core %u; %s", trace_vcpu_core(h->t, id),
		 released ? "jobs that its server released" : "no server: ready until it waits");
	if (released && (server->period_ns > 0)) {
		used = strlen(text);
		snprintf(text + used, sizeof(text) - used, ", %s each %s",
			 when_exact(budget, server->budget_ns),
			 when_exact(period, server->period_ns));
	}
	if (misses > 0) {
		used = strlen(text);
		snprintf(text + used, sizeof(text) - used, "; %llu deadline%s missed",
			 (unsigned long long)misses, (misses == 1) ? "" : "s");
	}
	fprintf(out,
		"<rect x=\"%d\" y=\"%.0f\" width=\"14\" height=\"14\" rx=\"3\" "
		"fill=\"%s\"/>\n", MARGIN, y, tl_colour(TRACE_VM(id)));
	svg_text(out, MARGIN + 22, y + 13, "head", name);
	svg_text(out, MARGIN + 36 + svg_text_width(name, 15), y + 13, "dim", text);
}

static void put_vcpu(const struct hist *h, FILE *out, unsigned slot, double y)
{
	const struct hist_vcpu *v = &h->v[slot];
	uint8_t id = (uint8_t)KZ_TRACE_VCPU(slot / KZ_VCPUS_MAX, slot % KZ_VCPUS_MAX);
	bool released = v->response[1].count + v->start[1].count > 0;
	struct panel p = { .h = h, .out = out, .colour = tl_colour(TRACE_VM(id)) };

	put_name(h, out, id, released, y);
	p.s = &v->start[released];
	put_panel(p, PANEL_DX, y + HEAD_H, "Start latency",
		  released ? "from the release until it executes" : "from ready until it executes");
	p.s = &v->response[released];
	p.due = released ? (double)blob_vm(h->t->cfg, TRACE_VM(id))->server.deadline_ns : 0;
	put_panel(p, MARGIN, y + HEAD_H, "Response time",
		  released ? "from the release until done" : "from ready until it waits");
}

static void put_head(const struct hist *h, FILE *out, unsigned height)
{
	const char *slash = strrchr(h->t->path, '/');
	char text[160];

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		"viewBox=\"0 0 %d %u\">\n<style>\n"
		"text { font-family: 'DejaVu Sans', Helvetica, Arial, sans-serif; font-size: 12px;"
		" fill: #2e3440 }\n"
		".title { font-size: 24px; font-weight: bold }\n"
		".head { font-size: 15px; font-weight: bold }\n"
		".panel { font-size: 13px; font-weight: bold }\n"
		".dim { fill: #6b7280 }\n.mid { text-anchor: middle }\n"
		".bar { stroke: #2e3440; stroke-opacity: 0.4; stroke-width: 0.6 }\n"
		".tick { text-anchor: middle; font-size: 11px }\n"
		".count { text-anchor: end; font-size: 11px }\n.end { text-anchor: end }\n"
		".mark { font-size: 11px }\n.axis { stroke: #4c566a; fill: none }\n"
		".grid { stroke: #e5e9f0; fill: none }\n"
		".line { fill: none; stroke: #2e3440 }\n.line.p50 { stroke-dasharray: 5 3 }\n"
		".line.p99 { stroke-dasharray: 2 2 }\n.line.due { stroke: %s; stroke-width: 1.5 }\n"
		"text.due { fill: %s; font-weight: bold }\n"
		"</style>\n<rect width=\"%d\" height=\"%u\" fill=\"#ffffff\"/>\n",
		PAGE_W, height, PAGE_W, height, LATE, LATE, PAGE_W, height);
	svg_text(out, MARGIN, 44, "title", "How long jobs took, and how soon they began");
	snprintf(text, sizeof(text), "%.80s, %s of it", (slash == NULL) ? h->t->path : slash + 1,
		 trace_time(trace_ns(h->t, h->t->end - h->t->begin)));
	svg_text(out, MARGIN, 66, "dim", text);
}

void hist_draw(const struct hist *h, FILE *out)
{
	unsigned rows = 0;

	for (unsigned s = 0; s < TRACE_SLOTS; s++) {
		rows += hist_has(h, s) ? 1 : 0;
	}
	put_head(h, out, TOP + rows * ROW_H + MARGIN / 2);
	rows = 0;
	for (unsigned s = 0; s < TRACE_SLOTS; s++) {
		if (hist_has(h, s)) {
			put_vcpu(h, out, s, TOP + rows * ROW_H);
			rows++;
		}
	}
	fputs("</svg>\n", out);
}
