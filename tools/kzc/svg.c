/* SPDX-License-Identifier: Apache-2.0 */
/* The picture: cores in columns, memory from the bottom up, a card for each VM. */
#include <string.h>

#include "cores.h"
#include "map.h"

#define PAGE_W    1200
#define MARGIN    40
#define CORES_Y   138
#define CORES_H   104
#define SHARE_H   18
#define STRIP_Y   38
#define STRIP_H   46
#define BODY_GAP  74
#define BAR_X     168
#define BAR_W     214
#define CARD_X    452
#define CARD_W    (PAGE_W - MARGIN - CARD_X)
#define LINE_H    20
#define CARD_HEAD 44
#define CARD_PAD  14
#define CARD_GAP  18
#define LEGEND_H  64

struct colour {
	const char *fill, *edge;
};

static const struct colour vm_colours[KZ_VMS_MAX] = {
	{ "#cfe3f7", "#2f6ea8" }, { "#fbe0bd", "#b8721c" }, { "#d3ecd0", "#3c8a3a" },
	{ "#f6cfd4", "#b03a4a" }, { "#e3d7f2", "#6c4aa5" }, { "#cdecea", "#23807b" },
	{ "#f3e8b0", "#8c7a12" }, { "#e4dcd5", "#77604c" },
};
static const struct colour kizami_colour = { "#3b4252", "#2e3440" };
static const struct colour free_colour = { "#ffffff", "#b7bcc4" };
static const struct colour loader_colour = { "#eceff3", "#9aa1ab" };

static struct colour owner_colour(int owner)
{
	switch (owner) {
	case MAP_FREE:
		return free_colour;
	case MAP_KIZAMI:
	case MAP_TRACE:
		return kizami_colour;
	case MAP_LOADER:
	case MAP_KEPT:
		return loader_colour;
	default:
		return vm_colours[owner];
	}
}

/* Names come from the configuration: nothing in them may be taken for markup. */
static void put_escaped(FILE *out, const char *text)
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
		default:
			fputc(((unsigned char)*text < ' ') ? ' ' : *text, out);
			break;
		}
	}
}

static void put_text(FILE *out, int x, int y, const char *class, const char *text)
{
	fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	put_escaped(out, text);
	fputs("</text>\n", out);
}

static void put_box(FILE *out, int x, int y, int w, int h, struct colour c, bool dashed)
{
	fprintf(out,
		"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"%s\" "
		"stroke=\"%s\"%s/>\n",
		x, y, w, h, c.fill, c.edge, dashed ? " stroke-dasharray=\"4 3\"" : "");
}

/* A level as a word in a frame: full for hard, tinted for soft, empty for none. */
static void put_badge(FILE *out, int x, int y, const struct vm *vm, struct colour c)
{
	struct colour box = { (vm->cfg.level == KZ_HRT) ? c.edge : "#ffffff", c.edge };
	const char *class = (vm->cfg.level == KZ_HRT) ? "badge light" : "badge";
	char level[4] = "";

	for (unsigned i = 0; i < 3; i++) {
		level[i] = (char)(level_name(vm)[i] - 'a' + 'A');
	}
	put_box(out, x, y, 42, 20, box, vm->cfg.level == KZ_SRT);
	put_text(out, x + 21, y + 14, class, level);
}

/* ---- Cores ---- */

/* What a vCPU has of a core that it shares, or where it has a server. */
static const char *core_share(struct sys *s, const struct vm *vm)
{
	return vm_has_server(vm) ? server_text(&s->mem, &vm->cfg.server)
				 : mem_printf(&s->mem, "weight %u", vm->cfg.server.weight);
}

/* As high as the core with most VMs needs it. */
static int cores_height(const struct sys *s)
{
	struct core_vcpu list[KZ_VMS_MAX];
	int most = CORES_H;

	for (unsigned i = 0; i < s->board.m.cpu_count; i++) {
		unsigned count = core_vcpus(s, i, list);
		int h = CORES_H;

		if (count > 1) {
			h = STRIP_Y + (int)count * STRIP_H + 42;
		} else if ((count == 1) && vm_has_server(list[0].vm)) {
			h += SHARE_H;
		}
		most = (h > most) ? h : most;
	}
	return most;
}

static int body_y(const struct sys *s)
{
	return CORES_Y + cores_height(s) + BODY_GAP;
}

/* The VM of a core that is not shared. */
static void put_owner(struct sys *s, FILE *out, int x, int w, struct core_vcpu v)
{
	put_badge(out, x + w - 56, CORES_Y + 12, v.vm, vm_colours[v.vm - s->vm]);
	put_text(out, x + 14, CORES_Y + 54, "body",
		 mem_printf(&s->mem, "%s, vCPU %u", v.vm->conf->name.s, v.vcpu));
	if (vm_has_server(v.vm)) {
		put_text(out, x + 14, CORES_Y + 54 + SHARE_H, "dim", core_share(s, v.vm));
	}
}

/* One of the VMs of a core that is shared. */
static void put_strip(struct sys *s, FILE *out, int x, int y, int w, struct core_vcpu v)
{
	struct colour c = vm_colours[v.vm - s->vm];

	put_box(out, x + 8, y, w - 16, STRIP_H - 4, c, false);
	put_badge(out, x + w - 56, y + 3, v.vm, c);
	put_text(out, x + 16, y + 18, "body",
		 mem_printf(&s->mem, "%s, vCPU %u", v.vm->conf->name.s, v.vcpu));
	put_text(out, x + 16, y + 36, "dim", core_share(s, v.vm));
}

static void put_core(struct sys *s, FILE *out, unsigned core, int x, int w)
{
	struct core_vcpu list[KZ_VMS_MAX];
	unsigned count = core_vcpus(s, core, list);
	struct colour c = (count == 1) ? vm_colours[list[0].vm - s->vm] : free_colour;
	int h = cores_height(s);

	put_box(out, x, CORES_Y, w, h, c, count == 0);
	put_text(out, x + 14, CORES_Y + 26, "head", mem_printf(&s->mem, "Core %u", core));
	if (count == 0) {
		put_text(out, x + 14, CORES_Y + 54, "dim", "free");
	} else if (count == 1) {
		put_owner(s, out, x, w, list[0]);
	}
	for (unsigned i = 0; (count > 1) && (i < count); i++) {
		put_strip(s, out, x, CORES_Y + STRIP_Y + (int)i * STRIP_H, w, list[i]);
	}
	put_text(out, x + 14, CORES_Y + h - 28, "dim",
		 mem_printf(&s->mem, "MPIDR %llx", (unsigned long long)s->board.m.mpidr[core]));
	if (map_has_console(s, core)) {
		put_text(out, x + 14, CORES_Y + h - 10, "dim", "serves the console");
	}
}

static void put_cores(struct sys *s, FILE *out)
{
	unsigned count = s->board.m.cpu_count;
	int gap = 16;
	int w = (PAGE_W - 2 * MARGIN - gap * ((int)count - 1)) / (int)count;

	w = (w > 268) ? 268 : w;
	put_text(out, MARGIN, CORES_Y - 14, "section", "Cores");
	for (unsigned i = 0; i < count; i++) {
		put_core(s, out, i, MARGIN + (int)i * (w + gap), w);
	}
}

/* Heights grow with the logarithm of sizes: 2 MiB and 2 GiB are both to be seen. */
static int span_height(uint64_t size)
{
	int h = 28;

	for (; size > MIB2; size /= 2) {
		h += 5;
	}
	return h;
}

static int memory_height(const struct sys *s)
{
	struct map_span span[MAP_SPANS_MAX];
	unsigned count = map_memory(s, span);
	int h = 0;

	for (unsigned i = 0; i < count; i++) {
		h += span_height(span[i].size);
	}
	return h;
}

static const char *address(struct sys *s, uint64_t at)
{
	return mem_printf(&s->mem, "0x%llx", (unsigned long long)at);
}

/* The bar is as high as the page's body, up to twice its natural height. */
static void put_memory(struct sys *s, FILE *out, int body)
{
	int natural = memory_height(s);
	int full = (body > 2 * natural) ? 2 * natural : body;
	struct map_span span[MAP_SPANS_MAX];
	unsigned count = map_memory(s, span);
	int top = body_y(s);
	int y = top + full;

	if (natural <= 0) {
		return;
	}
	put_text(out, MARGIN, top - 18, "section", "Memory");
	put_text(out, MARGIN + 84, top - 18, "dim", "physical addresses, not to scale");
	for (unsigned i = 0; i < count; i++) {
		uint64_t end = span[i].base + span[i].size;
		int h = span_height(span[i].size) * full / natural;
		const char *name = map_owner(s, span[i].owner);
		const char *class = (span[i].owner == MAP_KIZAMI) || (span[i].owner == MAP_TRACE)
					    ? "light"
					    : "";

		y -= h;
		put_box(out, BAR_X, y, BAR_W, h, owner_colour(span[i].owner),
			span[i].owner <= MAP_LOADER);
		put_text(out, BAR_X + 12, y + h / 2 + 5, mem_printf(&s->mem, "body %s", class),
			 name);
		put_text(out, BAR_X + BAR_W - 12, y + h / 2 + 5,
			 mem_printf(&s->mem, "size %s", class), map_size(&s->mem, span[i].size));
		put_text(out, BAR_X - 10, y + h + 1, "addr", address(s, span[i].base));
		if ((i + 1 == count) || (span[i + 1].base != end)) {
			put_text(out, BAR_X - 10, y + 8, "addr", address(s, end));
		}
	}
}

/* ---- Cards ---- */

static unsigned card_lines(const struct vm *vm)
{
	unsigned lines = 3;

	for (unsigned i = 0; i < vm->device_count; i++) {
		lines += vm->device[i].reg_count;
	}
	return lines + (vm->unconfined ? 1 : 0) + (vm_has_server(vm) ? 1 : 0);
}

static int card_height(const struct vm *vm)
{
	return CARD_HEAD + (int)card_lines(vm) * LINE_H + CARD_PAD;
}

static void put_row(FILE *out, int *y, const char *key, const char *value, const char *right)
{
	put_text(out, CARD_X + 18, *y, "dim", key);
	put_text(out, CARD_X + 112, *y, "body", value);
	put_text(out, PAGE_W - MARGIN - 18, *y, "size", right);
	*y += LINE_H;
}

static void put_devices(struct sys *s, const struct vm *vm, FILE *out, int *y)
{
	for (unsigned i = 0; i < vm->device_count; i++) {
		const struct device *dev = &vm->device[i];

		for (unsigned k = 0; k < dev->reg_count; k++) {
			const char *name = (k == 0) ? dev->name : "";
			const char *where = mem_printf(&s->mem, "0x%llx, %s",
						       (unsigned long long)dev->reg[k].base,
						       map_size(&s->mem, dev->reg[k].size));

			put_row(out, y, (i + k == 0) ? "devices" : "", name,
				(k > 0) ? where
					: mem_printf(&s->mem, "%s, %s", where,
						     map_irqs(&s->mem, dev)));
		}
	}
	if (vm->unconfined) {
		put_text(out, CARD_X + 112, *y, "warn",
			 "DMA is not confined: these devices reach all memory");
	}
}

static const char *console_value(struct sys *s, const struct vm *vm)
{
	if (vm->cfg.console == KZ_CONSOLE_PL011) {
		return mem_printf(&s->mem, "PL011 at 0x%llx",
				  (unsigned long long)vm->cfg.console_ipa);
	}
	if (vm->cfg.console == KZ_CONSOLE_RING) {
		return mem_printf(&s->mem, "ring at 0x%llx",
				  (unsigned long long)vm->cfg.console_ipa);
	}
	return "none";
}

static void put_card(struct sys *s, unsigned v, int top, FILE *out)
{
	const struct vm *vm = &s->vm[v];
	struct colour c = vm_colours[v];
	struct colour paper = { "#ffffff", c.edge };
	const char *cores = "";
	int y = top + CARD_HEAD + 16;

	for (unsigned i = 0; i < vm->cfg.vcpu_count; i++) {
		cores = mem_printf(&s->mem, "%s%s%u", cores, (i == 0) ? "" : ", ", vm->cfg.cpu[i]);
	}
	put_box(out, CARD_X, top, CARD_W, card_height(vm), paper, false);
	fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"%s\"/>\n",
		CARD_X + 1, top + 1, CARD_W - 2, CARD_HEAD - 8, c.fill);
	put_text(out, CARD_X + 18, top + 24, "head", vm->conf->name.s);
	put_badge(out, PAGE_W - MARGIN - 58, top + 9, vm, c);
	put_text(out, PAGE_W - MARGIN - 74, top + 24, "size",
		 mem_printf(&s->mem, "core%s %s", (vm->cfg.vcpu_count == 1) ? "" : "s", cores));
	put_row(out, &y, "memory",
		mem_printf(&s->mem, "%s, guest address 0x%llx", map_size(&s->mem, vm->size),
			   (unsigned long long)vm->base),
		mem_printf(&s->mem, "at 0x%llx", (unsigned long long)vm->pa));
	put_row(out, &y, "image", vm->conf->image.s,
		mem_printf(&s->mem, "%s, %s", map_kind(vm), map_size(&s->mem, map_image_size(vm))));
	if (vm_has_server(vm)) {
		put_row(out, &y, "server", server_text(&s->mem, &vm->cfg.server),
			(vm->task_count == 0) ? ""
					      : mem_printf(&s->mem, "%u task%s", vm->task_count,
							   (vm->task_count == 1) ? "" : "s"));
	}
	put_row(out, &y, "console", console_value(s, vm),
		(vm->cfg.console_intid == 0)
			? ""
			: mem_printf(&s->mem, "INTID %u", vm->cfg.console_intid));
	put_devices(s, vm, out, &y);
}

static void put_legend(FILE *out, int y)
{
	static const char *const words[] = {
		"HRT", "hard real time: owns its cores, no exits",
		"SRT", "soft real time",
		"NRT", "no real time",
	};
	int x = MARGIN;

	for (unsigned i = 0; i < 3; i++) {
		struct colour box = { (i == 0) ? "#4c566a" : "#ffffff", "#4c566a" };

		put_box(out, x, y, 42, 20, box, i == 1);
		put_text(out, x + 21, y + 14, (i == 0) ? "badge light" : "badge", words[2 * i]);
		put_text(out, x + 52, y + 14, "dim", words[2 * i + 1]);
		x += (i == 0) ? 330 : 176;
	}
	put_box(out, x, y, 42, 20, kizami_colour, false);
	put_text(out, x + 52, y + 14, "dim", "hypervisor and images, trace");
	put_box(out, x + 252, y, 42, 20, loader_colour, true);
	put_text(out, x + 304, y + 14, "dim", "boot loader, firmware");
}

static void put_style(FILE *out, int height)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n<style>\n"
		"text { font-family: 'DejaVu Sans', Helvetica, Arial, sans-serif; font-size: 13px;"
		" fill: #2e3440 }\n"
		".title { font-size: 24px; font-weight: bold }\n"
		".section { font-size: 16px; font-weight: bold }\n"
		".head { font-size: 15px; font-weight: bold }\n"
		".dim { fill: #6b7280; font-size: 12px }\n"
		".size { text-anchor: end; font-size: 12px }\n"
		".addr { text-anchor: end; font-size: 11px; fill: #6b7280;"
		" font-family: 'DejaVu Sans Mono', monospace }\n"
		".badge { text-anchor: middle; font-size: 11px; font-weight: bold }\n"
		".warn { fill: #b03a4a; font-size: 12px }\n"
		".light { fill: #ffffff }\n"
		"</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n",
		PAGE_W, height, PAGE_W, height, PAGE_W, height);
}

void map_svg(struct sys *s, FILE *out)
{
	const char *slash = strrchr(s->diag.file, '/');
	int left = memory_height(s);
	int right = -CARD_GAP;
	int top = body_y(s);
	int y = top;
	int body;

	for (unsigned v = 0; v < s->vm_count; v++) {
		right += card_height(&s->vm[v]) + CARD_GAP;
	}
	body = (left > right) ? left : right;
	put_style(out, top + body + LEGEND_H + MARGIN);
	put_text(out, MARGIN, 54, "title",
		 mem_printf(&s->mem, "%s on board %s", (slash == NULL) ? s->diag.file : slash + 1,
			    s->board.name));
	put_text(out, MARGIN, 76, "dim",
		 mem_printf(&s->mem, "GICv%u, %u cores, image of %s at 0x%llx",
			    s->board.m.gic_version, s->board.m.cpu_count,
			    map_size(&s->mem, s->image_size),
			    (unsigned long long)s->board.image_pa));
	put_cores(s, out);
	put_memory(s, out, body);
	put_text(out, CARD_X, top - 18, "section", "Virtual machines");
	for (unsigned v = 0; v < s->vm_count; v++) {
		put_card(s, v, y, out);
		y += card_height(&s->vm[v]) + CARD_GAP;
	}
	put_legend(out, top + body + LEGEND_H / 2);
	fputs("</svg>\n", out);
}
