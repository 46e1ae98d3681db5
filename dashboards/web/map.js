// A track as a map: which ranges of its target were written in the last epochs, and by whom.
import {h, replace, setText, setAttribute, css} from "./dom.js";
import {count, pageBytes, duration, when} from "./format.js";
import {get, Refusal} from "./data.js";

const PAGE = 4096n;
const GAP = 4096; // pages; what lies farther apart gets a strip of its own
const STRIPS = 20;
const EPOCHS = 8; // that are kept, the older the paler
const COLUMN = 3; // pixels

// [{start, end, pages, cpu, dma, age}] in page numbers, cut where nothing was written for long.
function clusters(epochs) {
	const ranges = epochs.flatMap((epoch, age) => epoch.ranges.map((range) => ({...range, age})))
		.sort((a, b) => a.pid - b.pid || a.first - b.first);
	const found = [];

	for (const range of ranges) {
		const last = found.at(-1);

		if (last && last.pid === range.pid && range.first - last.end <= GAP) {
			last.end = Math.max(last.end, range.first + range.pages);
			last.ranges.push(range);
		} else {
			found.push({pid: range.pid, start: range.first, end: range.first + range.pages, ranges: [range]});
		}
	}
	for (const one of found)
		one.now = one.ranges.reduce((all, range) => all + (range.age ? 0 : range.pages), 0);
	return found;
}

const address = (page) => `0x${(BigInt(page) * PAGE).toString(16)}`;

function read(answer) {
	return {
		epoch: answer.epoch,
		ranges: answer.ranges.map((range) => ({pid: range.pid ?? 0, first: Number(BigInt(range.start) / PAGE), pages: range.pages,
			cpu: range.writers.includes("cpu"), dma: range.writers.includes("dma"), devices: range.devices, owner: range.owner})),
	};
}

export class AddressMap {
	constructor(title = "Its memory, page by page") {
		this.epochs = [];
		this.told = h("span", {class: "unit"});
		this.body = h("div");
		this.element = h("section", {class: "panel", "aria-label": title}, h("div", {class: "top"}, h("h2", null, title), this.told, h("span", {class: "grow"}),
			h("span", {class: "legend"}, h("span", {class: "cpu"}, h("span", {class: "swatch"}), "CPU, upper half "), h("span", {class: "dma"}, h("span", {class: "swatch"}), "device, lower half"))), this.body);
		this.facts = h("p", {class: "quiet"});
		this.strips = h("div");
		this.under = h("p", {class: "quiet mono", "aria-live": "off"});
		this.list = h("tbody");
		this.covered = h("div");
		this.table = h("details", null, h("summary", null, "The largest ranges as a table"),
			h("div", {class: "scroll short", tabindex: 0, role: "region", "aria-label": "Largest ranges"}, h("table", null,
				h("caption", {class: "hide"}, "The largest ranges that are owed"),
				h("thead", null, h("tr", null, ["start", "pages", "writers", "devices"].map((name) => h("th", {scope: "col", class: name === "pages" && "num"}, name)))), this.list)));
		this.redraw = () => this.draw();
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.redraw);
		this.observer = new ResizeObserver(this.redraw);
		this.observer.observe(this.strips);
	}

	destroy() {
		matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.redraw);
		this.observer.disconnect();
	}

	async refresh(id, how) {
		if (!id) {
			this.epochs = [];
			setText(this.told, "not tracked");
			replace(this.body, h("p", {class: "quiet"}, "Which pages are written is told by a track. Start one: ", h("code", null, how),
				", then ", h("code", null, "dirtyscope track watch ID"), " to end an epoch again and again."));
			return;
		}
		if (id !== this.id)
			this.epochs = [];
		this.id = id;
		try {
			const [track, pages] = await Promise.all([get(`/api/v1/tracks/${id}`), get(`/api/v1/tracks/${id}/pages`)]);

			this.show(track, pages);
		} catch (error) {
			if (!(error instanceof Refusal))
				throw error;
			setText(this.told, "");
			replace(this.body, h("p", {class: "quiet"}, `Track ${id}: ${error.message}. Start another: `, h("code", null, how)));
		}
	}

	show(track, pages) {
		if (!this.strips.isConnected)
			replace(this.body, this.facts, this.strips, this.under, this.table, this.covered);
		// Owed pages stay in later answers; what was acknowledged stays on the map as an older epoch.
		if (pages.ranges.length || !this.epochs.length) {
			if (this.epochs.length && this.epochs[0].epoch === pages.epoch)
				this.epochs.shift();
			this.epochs.unshift(read(pages));
			this.epochs.length = Math.min(this.epochs.length, EPOCHS);
		}
		const {last_epoch: last, members} = track;
		const backend = [...new Set(members.map((member) => member.backend).filter(Boolean))].join(", ");

		setText(this.told, `track ${track.id}, ${track.state}${track.reason ? `: ${track.reason}` : ""} · epoch ${track.epoch}${track.collected ? ` of ${when(track.collected)}` : ", not collected yet"}`);
		setText(this.facts, `${backend ? `CPU side by ${backend}. ` : ""}Last epoch${track.epoch_seconds ? `, ${duration(track.epoch_seconds)}` : ""}: ${count(last.union)} pages ` +
			`(CPU ${count(last.cpu)}, device ${count(last.dma)}, both ${count(last.both)}), ${count(last.missed_by_cpu_tracking)} missed by CPU-only tracking, ` +
			`${count(track.missed_by_cpu_tracking_total)} in all. Owed now: ${count(pages.pages.union)}. ` +
			`Working set: ${count(track.working_set.epochs_1)} pages in 1 epoch, ${count(track.working_set.epochs_10)} in 10, ${count(track.working_set.epochs_60)} in 60.`);
		this.showList(pages.ranges);
		const holes = members.flatMap((member) => member.not_covered);

		replace(this.covered, holes.length ? h("details", null, h("summary", null, `${holes.length} ${holes.length === 1 ? "thing is" : "things are"} not covered`),
			h("ul", {class: "plain"}, holes.slice(0, 50).map((hole) => h("li", null, h("span", {class: "mono"}, `${hole.start ?? "-"} ${hole.name}`), ` ${hole.events === null ? pageBytes(hole.pages) : `${count(hole.events)} events lost`}: ${hole.reason}`)))) : null);
		this.draw();
	}

	showList(ranges) {
		const largest = [...ranges].sort((a, b) => b.pages - a.pages).slice(0, 50);

		replace(this.list, largest.map((range) => h("tr", null, h("td", {class: "mono"}, range.start), h("td", {class: "num"}, count(range.pages)),
			h("td", null, range.writers.join(", ")), h("td", null, range.devices.join(", ")))));
	}

	draw() {
		if (!this.strips.isConnected)
			return;
		const all = clusters(this.epochs);
		const shown = [...all].sort((a, b) => b.now - a.now || b.ranges.length - a.ranges.length).slice(0, STRIPS).sort((a, b) => a.pid - b.pid || a.start - b.start);

		while (this.strips.children.length > shown.length)
			this.strips.lastChild.remove();
		while (this.strips.children.length < shown.length)
			this.strips.append(h("div", {class: "strip"}, h("code"), h("canvas", {role: "img"}), h("span", {class: "num"})));
		shown.forEach((cluster, i) => drawStrip(this.strips.children[i], cluster));
		setText(this.under, !all.length ? "Nothing is owed, and this page has seen no epoch yet: it shows what is owed while it looks. End one with: dirtyscope track collect " + this.id :
			all.length > shown.length ? `${all.length - shown.length} smaller stretches are not drawn. The paler, the older; this page keeps ${EPOCHS} epochs that it saw.` :
				`The paler, the older; this page keeps the last ${EPOCHS} epochs that it saw.`);
	}
}

// One strip is drawn column by column: how much of it was written, by whom, how long ago.
function drawStrip(strip, cluster) {
	const [label, canvas, size] = strip.children;
	const ratio = devicePixelRatio || 1;
	const width = Math.max(60, canvas.clientWidth), height = 18;
	const columns = Math.max(1, Math.min(Math.floor(width / COLUMN), cluster.end - cluster.start));
	const pages = cluster.end - cluster.start, each = width / columns;
	const ink = {cpu: new Float32Array(columns), dma: new Float32Array(columns)};

	for (const range of cluster.ranges) {
		const from = Math.floor((range.first - cluster.start) * columns / pages);
		const to = Math.ceil((range.first + range.pages - cluster.start) * columns / pages);
		const depth = 1 - range.age * 0.1;

		for (let column = from; column < Math.min(to, columns); column++) {
			if (range.cpu)
				ink.cpu[column] = Math.max(ink.cpu[column], depth);
			if (range.dma)
				ink.dma[column] = Math.max(ink.dma[column], depth);
		}
	}
	canvas.width = width * ratio;
	canvas.height = height * ratio;
	const context = canvas.getContext("2d");

	context.scale(ratio, ratio);
	for (const [row, who] of ["cpu", "dma"].entries()) {
		context.fillStyle = css(`--${who}`);
		for (let column = 0; column < columns; column++) {
			if (!ink[who][column])
				continue;
			context.globalAlpha = ink[who][column];
			context.fillRect(column * each, row * height / 2, Math.max(1, each - 0.4), height / 2 - 0.5);
		}
	}
	setText(label, address(cluster.start));
	setText(size, `${count(cluster.now)} pages in ${pageBytes(pages)}`);
	setAttribute(size, "title", `${cluster.now} pages owed, in a stretch of ${pages} pages`);
	setAttribute(canvas, "aria-label", `${address(cluster.start)} to ${address(cluster.end)}: ${cluster.now} pages owed`);
}
