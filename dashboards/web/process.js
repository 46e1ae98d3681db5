// One process, or one virtual machine: what was written for it, by which devices, and where.
import {h, panel, facts, replace, setText} from "./dom.js";
import {WRITERS, UNKNOWN, count, rate, pageBytes, sum, written} from "./format.js";
import {get, history, processLine, Refusal} from "./data.js";
import {chart, chartPanel, bridge} from "./chart.js";
import {Table} from "./table.js";
import {processColumns, flowColumns} from "./columns.js";
import {AddressMap} from "./map.js";

function writerTiles() {
	const tiles = WRITERS.map((writer) => ({now: h("span"), more: h("span", {class: "more"}), writer}));

	return {
		element: h("div", {class: "tiles four"}, tiles.map(({now, more, writer}) => h("div", {class: `tile ${writer.key}`, title: writer.help},
			h("span", {class: "what"}, writer.name), h("span", {class: "big"}, now, h("small", null, " pages/s")), more))),
		set(row) {
			const totals = written(row);

			for (const {now, more, writer} of tiles) {
				setText(now, rate(row.rates[writer.key]));
				setText(more, `${count(totals[writer.key])} pages, ${pageBytes(totals[writer.key])}`);
			}
		},
	};
}

// Its past is one line, of all writers; who wrote is known from when the page looks.
function rateChart(title) {
	const made = chart({title, unit: "pages per second", height: 200, series: [
		{name: "all", color: "--ink-3", class: "all", fill: true, help: "all writers, as the agent's history has it"},
		...WRITERS.map((writer) => ({name: writer.name, color: writer.color, class: writer.key, help: `${writer.help}; since this page was opened`}))]});
	const seen = new Map(); // time -> rates

	return {
		...made,
		add(line, rates) {
			const last = history.times.at(-1);

			if (last && rates)
				seen.set(last, rates);
			made.set([history.times, bridge(line ?? history.times.map((time) => seen.has(time) ? sum(seen.get(time)) : null)),
				...WRITERS.map((writer) => bridge(history.times.map((time) => seen.get(time)?.[writer.key] ?? null)))]);
		},
	};
}

const gone = (what, back) => h("p", {class: "note"}, `${what} `, h("a", {href: back}, "Back to the list"));

function flowTable(name, empty, without) {
	return new Table(flowColumns.filter((column) => !without.includes(column.id)), {name, key: (row) => `${row.device} ${row.pid}`, sort: "rate", short: true, empty});
}

export function process([pid]) {
	history.forgetLines();
	const tiles = writerTiles();
	const writes = rateChart("Pages written for it");
	const flows = flowTable("Devices that wrote for it", "No device has written for it. Reads past the page cache, cold files and received packets appear here.", ["pid", "name"]);
	const title = h("h1", null, `Process ${pid}`), badges = h("span"), identity = h("div"), detail = h("div"), exposures = h("div");
	const map = new AddressMap();
	const element = h("div", null, h("p", {class: "note"}, `Loading process ${pid}.`));
	const content = [
		h("div", {class: "head"}, title, badges), tiles.element,
		chartPanel("Pages written for it", writes, "pages/s of 4 KiB"),
		h("div", {class: "two"}, panel("Who it is", null, identity),
			h("div", null, panel("CPU writes, by kind", "pages since the agent began", detail), panel("Memory that devices may write", "pages exposed by VFIO", exposures))),
		panel("Its devices", "pages that each wrote for it", flows.element),
		map.element,
	];

	async function refresh() {
		await history.needLines();
		const [row, devices] = await Promise.all([get(`/api/v1/processes/${pid}`), get("/api/v1/devices?limit=1000")]);
		const line = processLine(row);

		if (!content[0].isConnected)
			replace(element, content);
		history.set(line, sum(row.rates));
		setText(title, `${row.comm ?? "not known"}, pid ${row.pid}`);
		replace(badges, h("span", {class: "chip"}, row.state), row.track && [" ", h("span", {class: "chip good"}, `track ${row.track}`)]);
		tiles.set(row);
		writes.add(history.lines.get(line), row.rates);
		replace(identity, facts([["command", h("span", {class: "mono"}, row.cmdline || "kernel thread")], ["user", row.user === null ? UNKNOWN : row.user === `${row.uid}` ? row.user : `${row.user} (${row.uid})`],
			["cgroup", row.cgroup || UNKNOWN], ["container", row.container], ["pod", row.pod && [row.pod.namespace, row.pod.name, row.pod.container].filter(Boolean).join("/")], ["VM", row.vm && h("a", {href: `#/vms/${encodeURIComponent(row.vm.name)}`}, `${row.vm.name} (${row.vm.hypervisor})`)]]));
		replace(detail, facts([["first touch", count(row.written.cpu.first_touch)], ["rewrite", count(row.written.cpu.rewrite)], ["by the kernel for it", count(row.written.cpu.kernel)], ["faults of its tracks, apart", count(row.written.cpu.tracked)]]));
		showExposures(devices.devices);
		flows.set(row.flows);
		await map.refresh(row.track, `dirtyscope track start --pid ${row.pid}`);
	}

	function showExposures(devices) {
		const found = devices.flatMap((device) => device.exposures.filter((one) => one.pid === Number(pid)).map((one) => [device.id, one.pages]));

		replace(exposures, found.length ? facts(found.map(([id, pages]) => [h("a", {href: `#/devices/${encodeURIComponent(id)}`}, id), `${count(pages)} pages`])) :
			h("p", {class: "quiet"}, "None that is known: it has given no device memory of its own."));
	}

	return {
		title: `Process ${pid}`, element, refresh,
		refuse(error) {
			if (error instanceof Refusal && error.status === 404)
				replace(element, gone(`There is no process ${pid} now, or it has written nothing. One that exited stays for 60 s.`, "#/processes"));
		},
		destroy: () => [writes, flows, map].forEach((part) => part.destroy()),
	};
}

export function vm([name]) {
	const tiles = writerTiles();
	const writes = rateChart("Pages written for its processes");
	const members = new Table(processColumns, {name: "Its processes", key: (row) => `${row.pid}:${row.start_boottime_ns}`, sort: "all", short: true, empty: "None of its processes has written."});
	const flows = flowTable("Devices that wrote for it", "No device of this host has written for its processes.", []);
	const element = h("div", null, h("p", {class: "note"}, `Loading the virtual machine ${name}.`));
	const content = [h("div", {class: "head"}, h("h1", null, name), h("span", {class: "chip"}, "virtual machine")), tiles.element,
		chartPanel("Pages written for its processes", writes, "pages/s of 4 KiB"),
		panel("Its processes", "its memory and its track are those of the hypervisor's process", members.element),
		panel("Its devices", "pages that each wrote for it", flows.element)];

	async function refresh() {
		const [groups, list] = await Promise.all([get(`/api/v1/vms?limit=1000&filter=${encodeURIComponent(name)}`),
			get(`/api/v1/processes?limit=1000&filter=${encodeURIComponent(name)}`)]);
		const group = groups.vms.find((one) => one.name === name);
		const rows = list.processes.filter((row) => row.vm?.name === name);
		const answers = await Promise.all(rows.map((row) => get(`/api/v1/flows?limit=1000&pid=${row.pid}`)));

		if (!group)
			throw new Refusal(404, "not_found", "it has ended");
		if (!content[0].isConnected)
			replace(element, content);
		tiles.set(group);
		writes.add(null, group.rates);
		members.set(rows);
		flows.set(answers.flatMap((answer) => answer.flows));
	}

	return {
		title: name, element, refresh,
		refuse(error) {
			if (error instanceof Refusal && error.status === 404)
				replace(element, gone(`There is no virtual machine ${name} now.`, "#/vms"));
		},
		destroy: () => [writes, members, flows].forEach((part) => part.destroy()),
	};
}
