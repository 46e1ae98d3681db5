// The host at one look.
import {h, panel, replace, setText, setAttribute} from "./dom.js";
import {WRITERS, count, rate, short, pageBytes, bytes, percent, duration, sum} from "./format.js";
import {get, history, live, processLine, deviceLine} from "./data.js";
import {chart, chartPanel, view as range} from "./chart.js";
import {Table} from "./table.js";
import {processColumns, deviceColumns} from "./columns.js";
import {sensorList} from "./sensors.js";

// Of what was written in the range, by CPU faults and by devices: the devices' part.
export function missedShare() {
	const {times, totals} = history;
	const from = (times.at(-1) ?? 0) - range.range;
	let cpu = 0, device = 0;

	for (let i = times.length - 1; i >= 0 && times[i] >= from; i--) {
		cpu += totals.cpu[i];
		device += totals.dirty_pages[i];
	}
	return device + cpu > 0 ? device / (cpu + device) : null;
}

const shareAt = (i) => {
	const all = history.totals.cpu[i] + history.totals.dirty_pages[i];

	return all > 0 ? 100 * history.totals.dirty_pages[i] / all : null;
};

function tile(kind, name, help) {
	const value = h("span"), more = h("span", {class: "more"});

	return {value, more, element: h("div", {class: `tile ${kind}`, title: help},
		h("span", {class: "what"}, name), h("span", {class: "big"}, value, h("small", null, " pages/s")), more)};
}

export function overview() {
	const tiles = WRITERS.map((writer) => tile(writer.key, writer.name, writer.help));
	const share = h("span"), shareMore = h("span", {class: "more"});
	const writes = chart({
		title: "Pages written", unit: "pages per second", height: 260,
		series: [...WRITERS.map((writer) => ({name: writer.name, color: writer.color, class: writer.key, help: writer.help, fill: writer.key === "dma"})),
			{name: "device, distinct", color: "--distinct", class: "distinct", dash: [4, 3], help: "distinct pages that devices wrote, each counted once an interval"}],
	});
	const missed = chart({
		title: "Share that CPU-only tracking would miss", unit: "percent", height: 110, min: 100,
		format: (value) => value === null || value === undefined ? "–" : `${value.toFixed(0)} %`, axis: (value) => `${value} %`,
		series: [{name: "by devices", color: "--dma", class: "dma", fill: true}],
	});
	const busy = new Table(processColumns.filter((column) => ["name", "line", "cpu", "cache", "dma", "all"].includes(column.id)), {
		name: "Busiest processes", key: (row) => `${row.pid}:${row.start_boottime_ns}`, sort: "all", short: true, lead: true,
		empty: "No process has written a page since the agent began."});
	const writers = new Table(deviceColumns.filter((column) => ["name", "names", "line", "rate", "exposed", "evidence"].includes(column.id)), {
		name: "Devices", key: (row) => row.id, sort: "rate", short: true, lead: true, empty: "The agent knows no device that does DMA."});
	const sensors = h("div", null, h("p", {class: "quiet"}, "Loading."));
	const unseen = h("div");
	const tracks = h("div");
	const about = h("span", {class: "quiet"});
	let sequence = 0;

	function showTiles({rates, totals, ...summary}) {
		WRITERS.forEach((writer, i) => {
			setText(tiles[i].value, rate(rates[writer.key]));
			setText(tiles[i].more, `${pageBytes(rates[writer.key])}/s · ${short(totals[writer.key])} in all`);
			setAttribute(tiles[i].more, "title", `${count(totals[writer.key])} pages since the agent began`);
		});
		setText(share, `≤ ${percent(missedShare())}`);
		setText(shareMore, `${count(summary.dirty_pages)} distinct pages by devices in the last ${summary.interval.toFixed(1)} s, ${count(summary.exposed_pages)} exposed now`);
		setText(about, `${summary.host}, Linux ${summary.kernel} · agent ${summary.version}, up ${duration(summary.uptime)} · ${count(summary.processes)} processes, ` +
			`${count(summary.devices)} devices, ${bytes(summary.memory_pages * 4096)} of memory`);
	}

	function showTracks(list) {
		replace(tracks, list.length ? h("ul", {class: "plain"}, list.map((track) => {
			const {pid, device, cgroup} = track.target;
			const target = pid ? h("a", {href: `#/processes/${pid}`}, `process ${pid}`) : device ?
				h("a", {href: `#/devices/${encodeURIComponent(device)}`}, device) : `cgroup ${cgroup}`;

			return h("li", null, `Track ${track.id}: `, target, ` · ${track.state}, epoch ${track.epoch} · `,
				h("b", null, count(track.missed_by_cpu_tracking_total)), " pages missed by CPU-only tracking");
		})) : h("p", {class: "quiet"}, "None. A track tells exactly which pages were written, and which of them CPU-only tracking misses: ",
			h("code", null, "dirtyscope track start --pid PID")));
	}

	async function refresh() {
		const {summary} = live;
		const slow = summary.sequence >= sequence + Math.ceil(5 / summary.interval) || summary.sequence < sequence || !sequence;

		showTiles(summary);
		writes.set([history.times, ...WRITERS.map((writer) => history.totals[writer.key]), history.totals.dirty_pages]);
		missed.set([history.times, history.times.map((time, i) => shareAt(i))]);
		const [processes, devices, health, followed] = await Promise.all([
			get("/api/v1/processes?limit=8"), get("/api/v1/devices?limit=8"),
			slow && get("/api/v1/sensors"), slow && get("/api/v1/tracks")]);

		processes.processes.forEach((row) => history.set(processLine(row), sum(row.rates)));
		devices.devices.forEach((row) => history.set(deviceLine(row), row.rate));
		busy.set(processes.processes);
		writers.set(devices.devices);
		if (!slow)
			return;
		sequence = summary.sequence;
		replace(sensors, sensorList(health, summary));
		replace(unseen, notSeen(health.sensors, devices.devices));
		showTracks(followed.tracks);
		await history.needLines(8);
	}

	return {
		title: "Overview",
		refresh,
		wait() {},
		destroy() {
			[writes, missed, busy, writers].forEach((part) => part.destroy());
		},
		element: h("div", null,
			h("h1", {class: "hide"}, "Overview"),
			h("div", {class: "tiles"}, tiles.map((one) => one.element),
				h("div", {class: "tile wide distinct", title: "Distinct pages that devices wrote, of these and the CPUs' write faults, over the time range. " +
					"A page that both wrote counts in both, so it is at most that, of what is seen; a track tells exactly."},
				h("span", {class: "what"}, "CPU-only tracking would miss"), h("span", {class: "big"}, share), shareMore)),
			chartPanel("Pages written", writes, "pages/s of 4 KiB"),
			chartPanel("Share that CPU-only tracking would miss", missed, "at most; % of CPU faults and distinct device pages, each interval"),
			h("div", {class: "two"},
				panel("Busiest processes", "pages/s", busy.element, h("a", {href: "#/processes"}, "All processes")),
				panel("Devices", "distinct pages/s", writers.element, h("a", {href: "#/devices"}, "All devices"))),
			h("div", {class: "two"},
				panel("Sensors", "offered = counted + lost", sensors),
				h("div", null, panel("Tracks", null, tracks), panel("What is not seen here", null, unseen))),
			h("p", {class: "quiet"}, about)),
	};
}

function notSeen(sensors, devices) {
	const blind = sensors.filter((sensor) => sensor.blind).map((sensor) => [sensor.name, sensor.blind]);
	const byDevice = devices.filter((device) => device.not_seen.length);

	return [
		h("ul", {class: "plain"}, blind.slice(0, 4).map(([name, text]) => h("li", null, h("span", {class: "chip"}, name), " ", text))),
		h("details", null, h("summary", null, `${Math.max(0, blind.length - 4)} more of sensors, and of ${byDevice.length} devices`),
			h("ul", {class: "plain"}, blind.slice(4).map(([name, text]) => h("li", null, h("span", {class: "chip"}, name), " ", text)),
				byDevice.map((device) => h("li", null, h("a", {href: `#/devices/${encodeURIComponent(device.id)}`}, device.id), " ", device.not_seen.join(". "))))),
	];
}
