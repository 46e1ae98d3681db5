// Which device wrote how much for which process, as a picture, and as a table below it.
import {h, svg, panel, replace} from "./dom.js";
import {count, rate, short} from "./format.js";
import {get} from "./data.js";
import {Table} from "./table.js";
import {flowColumns} from "./columns.js";

const MOST = 18; // processes drawn; the others are one
const LARGEST = 256; // flows that the picture is made of
const GAP = 7, ROW = 17; // pixels between nodes, and of a node's words

const clip = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

// The flows with their sizes, the smallest of them folded into one.
function gather(flows, size) {
	const writing = flows.filter((flow) => size(flow) > 0).sort((a, b) => size(b) - size(a));
	const names = new Map();

	for (const flow of writing)
		names.set(who(flow), (names.get(who(flow)) ?? 0) + size(flow));
	const kept = new Set([...names].sort((a, b) => b[1] - a[1]).slice(0, MOST).map(([name]) => name));
	const links = new Map();

	for (const flow of writing) {
		const process = kept.has(who(flow)) ? who(flow) : "others";
		const id = `${flow.device}\n${process}`;
		const link = links.get(id) ?? {device: flow.device, process, pid: kept.has(who(flow)) ? flow.pid : null,
			label: kept.has(who(flow)) ? flow.pid === null ? "not known" : `${flow.comm || "(no name)"} ${flow.pid}` : `${names.size - kept.size} others`, size: 0, pages: 0};

		link.size += size(flow);
		link.pages += flow.pages;
		links.set(id, link);
	}
	return [...links.values()];
}

const who = (flow) => flow.pid === null ? "not known" : `${flow.pid}:${flow.start_boottime_ns}`;

// Nodes of one side, the largest on top; a node is as high as its flow, and never lower than its words.
function stack(links, side, scale) {
	const nodes = new Map();

	for (const link of links) {
		const node = nodes.get(link[side]) ?? {id: link[side], label: side === "device" ? link.device : link.label, pid: link.pid, size: 0, used: 0};

		node.size += link.size;
		nodes.set(link[side], node);
	}
	let y = 8;

	for (const node of [...nodes.values()].sort((a, b) => b.size - a.size)) {
		node.height = Math.max(2, node.size * scale);
		node.y = y;
		y += Math.max(node.height, 2 * ROW) + GAP;
	}
	return {nodes, height: y};
}

function picture(links, width, unit) {
	const total = links.reduce((all, link) => all + link.size, 0);
	const scale = 260 / total;
	const left = stack(links, "device", scale), right = stack(links, "process", scale);
	const margin = Math.min(190, Math.floor(width * 0.3)), letters = Math.floor(margin / 7);
	const x0 = margin, x1 = width - margin, bar = 8, middle = (x0 + x1) / 2;
	const height = Math.max(left.height, right.height, 120);
	const root = svg("svg", {class: "flow", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
		"aria-label": `Flows from ${left.nodes.size} devices to ${right.nodes.size} processes; the table below has the same numbers`});

	for (const link of [...links].sort((a, b) => b.size - a.size)) {
		const from = left.nodes.get(link.device), to = right.nodes.get(link.process);
		const thick = Math.max(1, link.size * scale);
		const y0 = from.y + from.used, y1 = to.y + to.used;

		from.used += link.size * scale;
		to.used += link.size * scale;
		root.append(svg("path", {class: "link", d: `M${x0 + bar} ${y0}C${middle} ${y0} ${middle} ${y1} ${x1 - bar} ${y1}v${thick}C${middle} ${y1 + thick} ${middle} ${y0 + thick} ${x0 + bar} ${y0 + thick}z`},
			svg("title", null, `${link.device} wrote for ${link.label}: ${unit(link.size)}; ${count(link.pages)} pages in all`)));
	}
	for (const [nodes, x, text, anchor, kind] of [[left.nodes, x0, x0 - 6, "end", ""], [right.nodes, x1 - bar, x1 + 6, "start", " who"]]) {
		for (const node of nodes.values()) {
			root.append(svg("rect", {class: `node${kind}`, x, y: node.y, width: bar, height: node.height, rx: 1}),
				svg("text", {x: text, y: node.y + 11, "text-anchor": anchor}, svg("title", null, node.label), clip(node.label, letters)),
				svg("text", {class: "sub", x: text, y: node.y + 25, "text-anchor": anchor}, clip(unit(node.size), letters + 2)));
		}
	}
	return root;
}

export function flows() {
	const drawing = h("div");
	const told = h("p", {class: "quiet"}, "Loading.");
	const table = new Table(flowColumns, {name: "Flows", sort: "rate", remember: "flows", empty: "No flow is known yet.", ask: () => ask().catch(refuse)});
	const part = h("span", {class: "quiet"});
	const choice = h("button", {type: "button", "aria-pressed": "false", title: "Widths by pages since the agent began, not by pages per second", onclick: () => {
		all = !all;
		choice.setAttribute("aria-pressed", String(all));
		refresh().catch(refuse);
	}}, "Totals");
	let list = [], all = false;

	async function ask() {
		const answer = await table.load("/api/v1/flows");

		if (answer)
			table.setSome(answer, answer.flows);
	}

	async function refresh() {
		const [answer] = await Promise.all([get(`/api/v1/flows?sort=${all ? "pages" : "rate"}&limit=${LARGEST}`), ask()]);

		list = answer.flows;
		part.textContent = answer.total > LARGEST ? `the ${LARGEST} largest of ${answer.total} flows` : "";
		draw();
	}

	function refuse(error) {
		replace(told, `Not answered: ${error.message}`);
	}

	function draw() {
		const links = gather(list, all ? (flow) => flow.pages : (flow) => flow.rate);
		const unit = all ? (size) => `${short(size)} pages` : (size) => `${rate(size)} pages/s`;
		const width = drawing.clientWidth;

		if (!width)
			return;
		told.hidden = links.length > 0;
		if (links.length) {
			replace(told); // what is hidden is still read by who reads the page's text
			return replace(drawing, picture(links, width, unit));
		}
		replace(drawing);
		replace(told, list.length ? "No device writes for a process at this moment. “Totals” shows what was written since the agent began." :
			["No device has written for a process yet. Try: ", h("code", null, "dd if=FILE of=/dev/null bs=1M iflag=direct")]);
	}

	const observer = new ResizeObserver(draw);

	observer.observe(drawing);
	return {
		title: "Flows", refresh, refuse,
		destroy() {
			observer.disconnect();
			table.destroy();
		},
		element: h("div", null,
			h("div", {class: "head"}, h("h1", null, "Flows"), h("span", {class: "quiet"}, "devices, and the processes that they write for"), part, h("span", {class: "grow"}), choice),
			panel("Device to process", "as wide as what is written", told, drawing),
			h("div", {class: "head"}, h("h2", null, "All flows"), table.total, h("span", {class: "grow"}), table.filter), table.element),
	};
}
