// The devices, and one of them: what sees its writes, what not, and for whom it writes.
import {h, panel, facts, replace, setText} from "./dom.js";
import {UNKNOWN, count, rate, bytes, pageBytes, when} from "./format.js";
import {get, history, live, deviceLine, Refusal} from "./data.js";
import {chart, chartPanel, bridge} from "./chart.js";
import {Table} from "./table.js";
import {deviceColumns, flowColumns} from "./columns.js";
import {AddressMap} from "./map.js";

export function devices() {
	history.forgetLines();
	const table = new Table(deviceColumns, {name: "Devices", key: (row) => row.id, sort: "rate", remember: "devices", off: (row) => row.gone,
		search: (row) => `${row.id} ${row.names.join(" ")} ${row.driver}`,
		empty: "The agent knows no device that does DMA. See the sensors on the overview: one that is unavailable says why."});
	const state = h("span", {class: "quiet"}, "Loading.");
	const missing = h("div");

	async function refresh() {
		await history.needLines();
		const [answer, sensors] = await Promise.all([get("/api/v1/devices?limit=1000"), get("/api/v1/sensors")]);
		const out = sensors.sensors.filter((sensor) => ["block", "net", "dma", "virtio", "hw"].includes(sensor.name) && sensor.state === "unavailable");

		answer.devices.forEach((row) => history.set(deviceLine(row), row.rate));
		state.textContent = "pages are distinct, once an interval";
		replace(missing, out.length ? h("p", {class: "quiet"}, h("span", {class: "warn"}, `${out.map((sensor) => sensor.name).join(", ")} unavailable: `),
			`${out[0].reason}. “not seen” says what each device's numbers lack for it.`) : null);
		table.set(answer.devices);
	}

	return {
		title: "Devices", refresh,
		refuse(error) {
			state.textContent = `Not answered: ${error.message}`;
		},
		destroy: () => table.destroy(),
		element: h("div", null, h("div", {class: "head"}, h("h1", null, "Devices"), table.total, state, h("span", {class: "grow"}), table.filter), missing, table.element),
	};
}

const EVIDENCE = {
	exposed: "it holds a live mapping through which it may write: an upper bound",
	completed: "the kernel saw a write of it end",
	reported: "the hardware itself reported the page",
};

function coverage(device) {
	return h("ul", {class: "plain"}, Object.entries(EVIDENCE).map(([level, means]) => {
		const by = device.coverage.filter((one) => one.evidence === level);

		return h("li", null, h("span", {class: `chip ${by.length ? "good" : ""}`}, level), " ",
			by.length ? by.map((one) => `${one.sensor} since ${when(one.since)}`).join(", ") : "no sensor, here", h("div", {class: "quiet"}, means));
	}), h("li", null, h("b", null, device.not_seen.length ? "Not seen of it:" : "Nothing is known that is not seen of it.")),
	device.not_seen.map((sentence) => h("li", null, sentence)));
}

function counters(device) {
	const {dma, block, net, virtio, vfio, swiotlb} = device;

	return facts([
		["block reads", `${count(block.pages)} pages, ${bytes(block.bytes)} in ${count(block.requests)} requests, ${count(block.errors)} failed`],
		["received", `${count(net.pages)} pages, ${bytes(net.bytes)} in ${count(net.packets)} packets`],
		["mappings to write", `${count(dma.maps.from_device)} made, ${count(dma.maps.bidirectional)} both ways, ${count(dma.live_mappings)} live`],
		["ended", `${count(dma.unmaps)} unmapped (${count(dma.unmatched_unmaps)} older than the agent), ${count(dma.syncs)} synced: ${count(dma.completed_pages)} pages`],
		["virtio", virtio && `${count(virtio.buffers)} buffers given, ${count(virtio.used)} back: ${count(virtio.pages)} pages`],
		["VFIO", vfio && `${count(vfio.maps)} mappings made, ${count(vfio.unmaps)} ended`],
		["bounced", swiotlb.bounces ? `${count(swiotlb.bounces)} times, ${bytes(swiotlb.bytes)}` : null],
		["page cache dirtied", `${count(device.pagecache)} pages of files, ${count(device.blockdev)} of the disk itself`],
		["virtual disks on it", device.stacks.map((stack) => `${stack.name} on ${stack.on.join(", ")}`).join("; ") || null],
		["IOMMU faults", count(device.iommu_faults)],
		["lost", `${count(device.lost)} pages and flows were not counted in full`],
	]);
}

export function device([id]) {
	history.forgetLines();
	const completed = chart({title: "Completed", unit: "distinct pages per second", height: 170, series: [{name: "pages written", color: "--dma", class: "dma", fill: true}]});
	const exposed = chart({title: "Exposed", unit: "pages", height: 130, format: count, series: [{name: "may be written now", color: "--cache", class: "pagecache", fill: true}]});
	const flows = new Table(flowColumns.filter((column) => column.id !== "device"), {name: "Who it writes for", key: (row) => `${row.pid}`, sort: "rate", short: true,
		empty: "It has written for no process that is known."});
	const names = h("span"), tiles = h("div", {class: "tiles four"}), identity = h("div"), seen = h("div"), numbers = h("div"), owners = h("div");
	const map = new AddressMap("Host memory that it wrote, frame by frame");
	const element = h("div", null, h("p", {class: "note"}, `Loading the device ${id}.`));
	const exposures = new Map(); // time -> pages, since the page was opened
	const exposedPanel = chartPanel("Exposed", exposed, "pages that it may write now, since this page was opened");
	const content = [
		h("div", {class: "head"}, h("h1", null, id), names), tiles,
		chartPanel("Completed", completed, "distinct pages/s that it wrote"),
		exposedPanel,
		h("div", {class: "two"}, panel("What sees its writes", "by evidence", seen), h("div", null, panel("What it is", null, identity), panel("Who gave it memory", "pages exposed by VFIO", owners))),
		panel("Who it writes for", "pages that it wrote for each process", flows.element),
		panel("Counted", "since the agent began", numbers),
		map.element,
	];

	async function refresh() {
		await history.needLines();
		const where = encodeURIComponent(id);
		const [row, list, tracks] = await Promise.all([get(`/api/v1/devices/${where}`), get(`/api/v1/flows?device=${where}&limit=1000`), get("/api/v1/tracks")]);

		if (!content[0].isConnected)
			replace(element, content);
		history.set(deviceLine(row), row.rate);
		exposures.set(history.times.at(-1), row.exposed_pages);
		replace(names, row.names.map((name) => [h("span", {class: "chip"}, name), " "]).flat(), row.gone && h("span", {class: "chip bad"}, "gone"));
		showTiles(row);
		completed.set([history.times, bridge(history.lines.get(deviceLine(row)) ?? history.times.map(() => 0))]);
		exposed.set([history.times, bridge(history.times.map((time) => exposures.get(time) ?? null))]);
		exposedPanel.hidden = row.exposed_pages === null;
		replace(seen, coverage(row));
		replace(numbers, counters(row));
		replace(identity, facts([["bus", row.bus], ["driver", row.driver || "none is bound"], ["behind", row.parent], ["covered since", when(row.coverage_since)],
			["IOMMU", row.iommu ? `group ${row.iommu.group}, ${row.iommu.domain ?? "domain not known"}` : "none: it writes to physical addresses"]]));
		replace(owners, row.exposures.length ? facts(row.exposures.map((one) => [h("a", {href: `#/processes/${one.pid}`}, `${one.comm || "ended"} ${one.pid}`), `${count(one.pages)} pages`])) :
			h("p", {class: "quiet"}, "No process, as far as is known."));
		flows.set(list.flows);
		const track = tracks.tracks.find((one) => one.target.device === id && one.state === "active") ?? tracks.tracks.find((one) => one.target.device === id);
		await map.refresh(track?.id, `dirtyscope track start --device ${id}`);
	}

	function showTiles(row) {
		const tile = (kind, what, big, unit, more) => h("div", {class: `tile ${kind}`}, h("span", {class: "what"}, what),
			h("span", {class: "big"}, big, h("small", null, ` ${unit}`)), h("span", {class: "more", title: more}, more));

		replace(tiles,
			tile("dma", "completed", rate(row.rate), "pages/s", `${row.dirty_pages === null ? "in the shared set" : count(row.dirty_pages)} in the last interval`),
			tile("dma", "in all", count(row.dirty_pages_total), "pages", pageBytes(row.dirty_pages_total)),
			tile("pagecache", "exposed now", row.exposed_pages === null ? UNKNOWN : count(row.exposed_pages), "pages", row.exposed_reason ?? "an upper bound"),
			tile("all", "reported by hardware", count(live.summary.reported_pages), "pages", "of all devices: it names none"));
	}

	return {
		title: id, element, refresh,
		refuse(error) {
			if (error instanceof Refusal && error.status === 404)
				replace(element, h("p", {class: "note"}, `There is no device ${id} now; one that is unplugged stays for 60 s. `, h("a", {href: "#/devices"}, "Back to the list")));
		},
		destroy: () => [completed, exposed, flows, map].forEach((part) => part.destroy()),
	};
}
