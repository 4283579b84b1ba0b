// SPDX-License-Identifier: Apache-2.0
// As much of a page as a timeline's script needs: asks it for a range, prints what it drew.
// node page.js FROM TO ID...: ns from the picture's begin, and the elements that there are.
"use strict";
const fs = require("fs");
const vm = require("vm");
const [from, to] = process.argv.slice(2, 4).map(Number);
const elements = {}, handlers = {}, frames = [];

for (const id of process.argv.slice(4)) {
	elements[id] = { id, attributes: {}, innerHTML: "", child: { textContent: null },
		setAttribute(name, value) { this.attributes[name] = value; } };
}
const data = fs.readFileSync("data.json", "utf8");
const svg = {
	style: {},
	querySelector(what) {
		if (what === "metadata") {
			return { textContent: data };
		}
		const [, id, text] = /^#(\w+)( text)?$/.exec(what);
		return elements[id] ? (text ? elements[id].child : elements[id]) : null;
	},
	addEventListener(name, handler) { handlers[name] = handler; },
	getScreenCTM: () => ({ inverse: () => null }),
};
const { x, w, range, hz } = JSON.parse(data);

vm.runInNewContext(fs.readFileSync("script.js", "utf8"), {
	document: { currentScript: { ownerSVGElement: svg } },
	DOMPoint: class {
		constructor(px, py) { this.x = px; this.y = py; }
		matrixTransform() { return this; }
	},
	requestAnimationFrame: (draw) => frames.push(draw),
	Float64Array, JSON, Math, String,
});

// What a hand would do: turn the wheel around the point that stays where it is.
const a = from * hz / 1e9, b = to * hz / 1e9;
const length = b - a, still = range === length ? 0 : a / (range - length);
let left = Math.log(length / range) * 300;
handlers.dblclick();
while (left < 0) {
	const step = Math.max(left, -300);
	handlers.wheel({ clientX: x + still * w, clientY: 0, deltaY: step, preventDefault() {} });
	left -= step;
}
frames.forEach((draw) => draw());
const all = Object.values(elements).map((e) =>
	`<g id="${e.id}" d="${e.attributes.d || ""}">${e.innerHTML}` +
	(e.child.textContent === null ? "" : `<text>${e.child.textContent}</text>`) + "</g>");
console.log(`<svg>${all.join("\n")}</svg>`);
