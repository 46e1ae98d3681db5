// The columns of the tables, each defined once; by: what the agent calls it where it does the sorting.
import {WRITERS, UNKNOWN, count, rate, sum, written, short} from "./format.js";
import {history, processLine, deviceLine} from "./data.js";

const rateColumn = (id, writer, title) => ({
	id, title, num: true, by: `${writer}_rate`, width: 92, help: `${WRITERS.find((one) => one.key === writer).help}, pages/s`,
	value: (row) => row.rates[writer], text: (row) => rate(row.rates[writer]), mark: (row) => row.rates[writer] ? null : "quiet",
});

const rates = [
	rateColumn("cpu", "cpu", "CPU/s"), rateColumn("cache", "pagecache", "cache/s"), rateColumn("block", "blockdev", "blkdev/s"), rateColumn("dma", "dma", "device/s"),
	{id: "all", by: "rate", first: true, title: "pages/s", num: true, width: 92, help: "all writers, pages per second", value: (row) => sum(row.rates), text: (row) => rate(sum(row.rates)), mark: (row) => sum(row.rates) ? "strong" : "quiet"},
	{id: "written", by: "written", title: "written", num: true, width: 104, help: "pages since the agent began, all writers", value: (row) => sum(written(row)), text: (row) => count(sum(written(row)))},
	{id: "writtenDma", by: "dma", title: "by devices", num: true, width: 100, help: "of these, pages that devices wrote", narrow: false, value: (row) => row.written.dma, text: (row) => count(row.written.dma)},
];

export const processColumns = [
	{id: "name", by: "comm", title: "process", width: 160, value: (row) => (row.comm ?? "").toLowerCase(), text: (row) => row.comm === null ? "not known" : row.comm || "(no name)",
		href: (row) => `#/processes/${row.pid}`, hint: (row) => row.cmdline || row.comm || ""},
	{id: "pid", by: "pid", title: "pid", num: true, width: 74, value: (row) => row.pid, text: (row) => `${row.pid}`},
	{id: "line", title: "last minutes", width: 112, tone: "--ink-2", help: "all writers, pages/s; as high as its own highest", line: (row) => history.lines.get(processLine(row))},
	...rates,
	{id: "user", by: "user", title: "user", width: 84, narrow: false, value: (row) => row.user ?? "", text: (row) => row.user ?? UNKNOWN},
	{id: "state", by: "state", title: "state", width: 78, narrow: false, value: (row) => row.state, text: (row) => row.track ? `track ${row.track}` : row.state},
	{id: "cgroup", by: "cgroup", title: "cgroup", width: 170, grow: true, narrow: false, value: (row) => row.cgroup, text: (row) => row.vm?.name || row.cgroup || UNKNOWN, hint: (row) => row.cgroup},
];

export const groupColumns = [
	{id: "name", by: "name", title: "name", width: 260, grow: true, value: (row) => row.name, text: (row) => row.name || "/", href: null, hint: (row) => row.name},
	{id: "processes", by: "processes", title: "processes", num: true, width: 92, value: (row) => row.processes, text: (row) => count(row.processes)},
	...rates,
];

const LEVELS = ["exposed", "completed", "reported"];
export const levelsOf = (device) => LEVELS.filter((level) => device.coverage.some((one) => one.evidence === level));

export const deviceColumns = [
	{id: "name", title: "device", width: 150, value: (row) => row.id, text: (row) => row.id, href: (row) => `#/devices/${encodeURIComponent(row.id)}`, hint: (row) => row.id},
	{id: "names", title: "names", width: 84, value: (row) => row.names.join(), text: (row) => row.names.join(", ") || UNKNOWN},
	{id: "driver", title: "driver", width: 110, narrow: false, value: (row) => row.driver, text: (row) => row.driver || UNKNOWN},
	{id: "line", title: "last minutes", width: 112, tone: "--dma", help: "distinct pages/s; as high as its own highest", line: (row) => history.lines.get(deviceLine(row))},
	{id: "rate", first: true, title: "pages/s", num: true, width: 92, help: "distinct pages that it wrote, per second", value: (row) => row.rate, text: (row) => rate(row.rate), mark: (row) => row.rate ? "strong" : "quiet"},
	{id: "total", title: "total", num: true, width: 104, help: "distinct pages per interval, added up", value: (row) => row.dirty_pages_total, text: (row) => count(row.dirty_pages_total)},
	{id: "exposed", title: "exposed", num: true, width: 92, help: "pages that it may write now; – where that is not known", value: (row) => row.exposed_pages,
		text: (row) => count(row.exposed_pages), hint: (row) => row.exposed_reason ?? "pages that it may write now"},
	{id: "block", title: "block read", num: true, width: 98, help: "pages that block reads filled", value: (row) => row.block.pages, text: (row) => count(row.block.pages)},
	{id: "net", title: "net received", num: true, width: 104, help: "pages that received packets filled", narrow: false, value: (row) => row.net.pages, text: (row) => count(row.net.pages)},
	{id: "evidence", title: "evidence", width: 150, help: "what its writes are known by here", value: (row) => levelsOf(row).length, text: (row) => levelsOf(row).join(", ") || "none",
		hint: (row) => row.coverage.map((one) => `${one.sensor}: ${one.evidence}`).join("\n") || "no sensor sees its writes here"},
	{id: "unseen", title: "not seen", width: 190, grow: true, narrow: false, value: (row) => row.not_seen.length, text: (row) => row.not_seen.join(". ") || UNKNOWN, hint: (row) => row.not_seen.join(".\n")},
	{id: "lost", title: "lost", num: true, width: 64, narrow: false, help: "pages and flows not counted in full", value: (row) => row.lost, text: (row) => short(row.lost)},
];

export const flowColumns = [
	{id: "device", by: "device", title: "device", width: 150, value: (row) => row.device, text: (row) => row.device, href: (row) => `#/devices/${encodeURIComponent(row.device)}`},
	{id: "name", by: "comm", title: "process", width: 150, value: (row) => row.comm ?? "", text: (row) => row.pid === null ? "not known" : row.comm || "(no name)",
		href: (row) => row.pid === null ? "#/flows" : `#/processes/${row.pid}`},
	{id: "pid", by: "pid", title: "pid", num: true, width: 80, value: (row) => row.pid, text: (row) => row.pid === null ? UNKNOWN : `${row.pid}`},
	{id: "rate", by: "rate", first: true, title: "pages/s", num: true, width: 96, value: (row) => row.rate, text: (row) => rate(row.rate), mark: (row) => row.rate ? "strong" : "quiet"},
	{id: "pages", by: "pages", title: "pages", num: true, width: 104, value: (row) => row.pages, text: (row) => count(row.pages)},
	{id: "requests", by: "requests", title: "requests", num: true, width: 96, value: (row) => row.requests, text: (row) => count(row.requests)},
	{id: "rest", title: "", width: 20, grow: true, narrow: false, text: () => ""},
];
