// SPDX-License-Identifier: Apache-2.0
// Zooming and moving of a timeline in a browser: draws what is in view from the data in
// <metadata>, by the rules by which timeline_draw.c and timeline_marks.c drew the whole.
"use strict";
(function () {
	const svg = document.currentScript.ownerSVGElement || document.documentElement;
	const data = JSON.parse(svg.querySelector("metadata").textContent);
	const [RUN, WAIT, THROTTLED, HV, LOST, RELEASE, DEADLINE, IRQ, MISS] = [...Array(9).keys()];
	const nsPerTick = 1e9 / data.hz;
	const plot = data.x + data.w;
	let from = 0, to = data.range;	// in view, in ticks from the picture's begin

	// Lists are written as differences: of a span the gap before it, its length and how much
	// of that it is not; of a mark also how many it is, and what it says.
	for (const row of data.rows) {
		for (const kind in row.lists) {
			const flat = row.lists[kind], width = kind < RELEASE ? 3 : 4, list = [];
			for (let i = 0, at = 0; i < flat.length; i += width) {
				const p = { from: at + flat[i], to: at + flat[i] + flat[i + 1] };
				p.covered = width === 3 ? flat[i + 1] - flat[i + 2] : flat[i + 2];
				p.arg = flat[i + 3];
				at = width === 3 ? p.to : p.from;
				list.push(p);
			}
			row.lists[kind] = list;
		}
	}

	const num = (v) => String(Math.round(v * 100) / 100);
	const place = (t) => (t - from) / (to - from) * data.w;
	const box = (x, y, w, h) => `M${num(x)} ${num(y)}h${num(w)}v${num(h)}h${num(-w)}z`;
	const text = (x, y, style, words) =>
		`<text x="${num(x)}" y="${num(y)}" class="${style}">${words}</text>`;
	const escaped = (s) => s.replace(/&/g, "&amp;").replace(/</g, "&lt;");

	function time(ticks) {
		const ns = Math.abs(ticks) * nsPerTick;
		const [unit, name] = ns >= 1e9 ? [1e9, "s"] : ns >= 1e6 ? [1e6, "ms"]
			: ns >= 1e3 ? [1e3, "µs"] : [1, "ns"];
		return `${+(ns / unit).toFixed(Math.round(Math.log10(unit)))} ${name}`;
	}
	const at = (ticks) => time(data.offset + ticks);

	// ---- Spans ----

	// The first piece of a list that ends behind a time.
	function first(list, t) {
		let low = 0, high = list.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (list[middle].to < t) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low;
	}

	function height(lane, share) {
		const h = Math.floor(Math.min(share, 1) * lane.h * 2 + 0.5) / 2;
		return share <= 0 ? 0 : Math.max(h, lane.least);
	}

	// The path of a lane; fills column with the shares of what is narrower than a pixel.
	function lanePath(list, lane, y, column, below) {
		let path = "";
		for (let i = first(list, from); i < list.length && list[i].from < to; i++) {
			const p = list[i];
			const x = Math.max(place(p.from), 0), end = Math.min(place(p.to), data.w);
			if (end - x >= 1 && p.covered === p.to - p.from) {
				path += box(data.x + x, y, end - x, lane.h);
				continue;
			}
			for (let c = Math.floor(x); c < data.w && c < end; c++) {
				column[c] += (Math.min(end, c + 1) - Math.max(x, c)) *
					p.covered / (p.to - p.from);
			}
		}
		for (let c = 0, end; c < data.w; c = end) {
			const h = height(lane, column[c]), floor = below ? height(lane, below[c]) : 0;
			for (end = c + 1; end < data.w && height(lane, column[end]) === h &&
			     (!below || height(lane, below[end]) === floor);) {
				end++;
			}
			if (h > 0) {
				const base = Math.min(floor, lane.h - h);
				path += box(data.x + c, y + lane.h - base - h, end - c, h);
			}
		}
		return path;
	}

	function drawSpans(row) {
		const ran = new Float64Array(data.w);
		for (const kind of [LOST, HV, RUN, WAIT, THROTTLED]) {
			const element = svg.querySelector(`#r${row.list}k${kind}`);
			if (element) {
				const lane = data.lanes[row.vcpu ? 1 : 0][kind];
				const column = kind === RUN ? ran : new Float64Array(data.w);
				element.setAttribute("d", lanePath(row.lists[kind] || [], lane,
					row.y + lane.y, column, kind === THROTTLED ? ran : null));
			}
		}
		let sum = 0;
		for (const p of row.lists[row.vcpu ? RUN : HV] || []) {
			const inside = Math.min(p.to, to) - Math.max(p.from, from);
			sum += inside > 0 ? inside * p.covered / (p.to - p.from) : 0;
		}
		svg.querySelector(`#r${row.list}share text`).textContent =
			`${(100 * sum / (to - from)).toFixed(2)} %`;
	}

	// ---- Marks ----

	const nouns = { [RELEASE]: "releases", [DEADLINE]: "deadlines", [IRQ]: "interrupts",
		[MISS]: "missed deadlines" };

	function say(row, kind, g) {
		const intid = g.arg < 0 ? "several INTIDs" : `INTID ${g.arg}`;
		const one = g.count === 1;
		let words = one ? "" : `${g.count} ${nouns[kind]} from ${at(g.from)} to ${at(g.to)}: `;
		if (kind === MISS) {
			words += (one ? "" : "the first: ") + data.why[g.arg];
		} else if (kind === IRQ) {
			words += intid + (row.vcpu ? ` injected into ${row.name}` : "");
		} else {
			words += row.name + (!one ? "" : kind === RELEASE ? " released" : " deadline");
		}
		words += one && kind !== MISS ? ` at ${at(g.from)}` : "";
		return `<title>${escaped(words)}</title>`;
	}

	function arrow(x, y, up) {
		const end = y + data.arrow, tip = up ? y : end, back = up ? y + 6 : end - 6;
		return `<path class="arrow" d="M${num(x)} ${y}L${num(x)} ${end}M${num(x)} ${tip}` +
			`L${num(x - 3)} ${back}L${num(x + 3)} ${back}z"/>`;
	}

	function mark(row, kind, g) {
		const y = row.y + data.mark, end = Math.max(g.end, g.x + 2);
		const bar = (style, x, right, top, h) =>
			`<path class="${style}" d="${box(x, top, right - x, h)}"/>`;
		let shape;
		if (kind === IRQ) {
			const lane = data.ticks[row.vcpu ? 1 : 0];
			shape = bar(g.count === 1 ? "tick" : "several", g.x - 0.5,
				g.count === 1 ? g.x + 0.5 : end, row.y + lane.y, lane.h);
		} else if (kind === MISS) {
			const [a, b] = [num(g.x - 4), num(g.x + 4)];
			const d = `M${a} ${y}L${b} ${y + 8}M${a} ${y + 8}L${b} ${y}`;
			shape = `<path class="halo" d="${d}"/><path class="miss" d="${d}"/>` +
				(g.count > 1 ? bar("miss", g.x, end, y + 3, 2) : "");
		} else if (g.count === 1) {
			shape = arrow(g.x, y, kind === RELEASE);
		} else {
			shape = bar("several", g.x - 1, end + 1,
				kind === RELEASE ? y + 1 : y + data.arrow - 1, 2);
		}
		return `<g>${say(row, kind, g)}${shape}</g>`;
	}

	function drawMarks(row) {
		let all = "";
		for (const kind of [RELEASE, DEADLINE, IRQ, MISS]) {
			const list = row.lists[kind] || [];
			let g = null;
			for (let i = first(list, from); i < list.length && list[i].from <= to; i++) {
				const p = list[i], x = data.x + place(p.from);
				if (x < data.x) {
					continue;
				}
				if (g && (x - g.end >= data.gap[kind] || x - g.x >= data.group)) {
					all += mark(row, kind, g);
					g = null;
				}
				g = g || { from: p.from, x, arg: p.arg, count: 0 };
				g.count += p.covered;
				g.to = p.to;
				g.end = Math.min(data.x + place(p.to), plot);
				g.arg = g.arg === p.arg || kind === MISS ? g.arg : -1;
			}
			all += g ? mark(row, kind, g) : "";
		}
		svg.querySelector(`#r${row.list}marks`).innerHTML = all;
	}

	// ---- The axis ----

	function drawAxis() {
		const start = (data.offset + from) * nsPerTick, range = (to - from) * nsPerTick;
		let step = 0, label;
		for (let i = 0, power = 1; !step; i++) {
			const next = power * [1, 2, 5][i % 3];
			const [unit, name] = next >= 1e8 ? [1e9, "s"] : next >= 1e5 ? [1e6, "ms"]
				: next >= 100 ? [1e3, "µs"] : [1, "ns"];
			const digits = Math.max(0, Math.ceil(Math.log10(unit / next)));
			label = (ns) => `${(ns / unit).toFixed(digits)} ${name}`;
			step = next / range * data.w >= label(start + range).length * 7.3 + 36 ? next : 0;
			power *= i % 3 === 2 ? 10 : 1;
		}
		let all = "";
		// A hair wider: the ends of what is in view are sums of fractions.
		for (let i = Math.ceil(start / step - 1e-6); i * step <= start + range + step * 1e-6; i++) {
			const x = data.x + (i * step - start) / range * data.w;
			all += `<path class="grid" d="M${num(x)} ${data.top}V${data.bottom}"/>` +
				text(x, data.top - 6, "axis", label(i * step)) +
				text(x, data.bottom + 14, "axis", label(i * step));
		}
		svg.querySelector("#axis").innerHTML = all;
	}

	// ---- What the mouse does ----

	const help = "The wheel zooms, dragging moves, a double click shows all." +
		(data.cell > 1 ? ` Spans shorter than ${time(data.cell)} were merged.` : "");
	const hint = (words) => {
		svg.querySelector("#hint").innerHTML = text(0, 0, "dim", escaped(words));
	};
	let asked = false;

	function draw() {
		asked = false;
		drawAxis();
		for (const row of data.rows) {
			drawSpans(row);
			drawMarks(row);
		}
	}

	// At least 20 ns, and within what the picture has.
	function show(a, length) {
		length = Math.min(Math.max(length, Math.max(20 / nsPerTick, 4)), data.range);
		from = Math.min(Math.max(a, 0), data.range - length);
		to = from + length;
		if (!asked) {
			asked = true;
			requestAnimationFrame(draw);
		}
	}

	function where(event) {
		const p = new DOMPoint(event.clientX, event.clientY)
			.matrixTransform(svg.getScreenCTM().inverse());
		return { y: p.y, t: from + (p.x - data.x) / data.w * (to - from),
			inside: p.x >= data.x && p.x <= plot };
	}

	const doing = { [RUN]: "executes", [WAIT]: "ready, waits", [THROTTLED]: "without budget",
		[HV]: "hypervisor", [LOST]: "unknown" };

	function tell(event) {
		const p = where(event);
		const row = data.rows.find((r) => p.y >= r.y && p.y < r.y + r.h);
		let words = row && p.inside ? `${at(p.t)}: ${row.name}` : help, found = false;
		for (const kind of row && p.inside ? [HV, RUN, WAIT, THROTTLED, LOST] : []) {
			const list = row.lists[kind] || [], s = list[first(list, p.t)];
			if (s && s.from <= p.t) {
				const merged = s.covered < s.to - s.from;
				found = true;
				words += `, ${doing[kind]} ${merged ? time(s.covered) + " of " : ""}` +
					`${time(s.to - s.from)}, from ${at(s.from)} to ${at(s.to)}`;
			}
		}
		hint(words + (row && row.vcpu && p.inside && !found ? ", waits for work or is off" : ""));
	}

	let drag = null;
	svg.addEventListener("wheel", (event) => {
		const p = where(event);
		const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300)));
		const length = Math.min((to - from) * factor, data.range);
		event.preventDefault();
		show(p.t - (p.t - from) / (to - from) * length, length);
	}, { passive: false });
	svg.addEventListener("pointerdown", (event) => {
		drag = where(event).inside ? where(event).t : null;
	});
	svg.addEventListener("pointermove", (event) => {
		if (drag !== null && event.buttons !== 0) {
			show(from + drag - where(event).t, to - from);
			event.preventDefault();
		} else {
			drag = null;
			tell(event);
		}
	});
	svg.addEventListener("dblclick", () => show(0, data.range));
	svg.style.userSelect = "none";
	hint(help);
})();
