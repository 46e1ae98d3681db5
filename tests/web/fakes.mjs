// Answers that no host gives on demand: thousands of processes, policies in every state.

export function generated(many) {
	const processes = Array.from({length: many}, (_, i) => ({
		pid: 10000 + i, start_boottime_ns: 1e9 * i, comm: `name-${i}`, cmdline: `/usr/bin/name --number ${i}`, uid: i % 7, user: `user${i % 7}`,
		cgroup: `/system.slice/unit-${i % 50}.service`, container: null, vm: null, state: i % 9 ? "running" : "exited", track: null,
		written: {cpu: {first_touch: i * 37 % 10007, rewrite: i % 11, kernel: i % 5, tracked: i % 3}, pagecache: i * 13 % 5003, blockdev: i % 3, dma: i * 71 % 9001},
		rates: {cpu: i * 7919 % 1000 / 4, pagecache: i % 17 ? 0 : i % 100, blockdev: 0, dma: i % 13 ? 0 : i * 31 % 2000},
	}));

	return {time: new Date().toISOString(), total: many, processes};
}

// What the agent would answer to a list's question: as many as it asks for, of those that it means.
export function answerTo(url, {processes, ...answer}) {
	const query = new URL(url).searchParams, offset = Number(query.get("offset"));
	const found = processes.filter((row) => row.comm.includes(query.get("filter") ?? ""));

	return {...answer, total: found.length, offset, processes: found.slice(offset, offset + Number(query.get("limit")))};
}

export const somePolicies = {
	policies: [
		{name: "hot-disk", source: "policies.yaml", for_each: "device", dry_run: false, states: {inactive: 3, pending: 1, firing: 1, resolved: 0},
			instances: [{target: "virtio/virtio1", state: "firing", value: 32768.4, since: "2026-01-02T03:04:05.678Z", fired: 3, summary: "32768 pages/s, above 10000 for 10 s"},
				{target: "virtio/virtio2", state: "pending", value: 12001, since: "2026-01-02T03:04:07.678Z", fired: 0, summary: "12001 pages/s, above 10000"}],
			actions: [{action: "log", result: "done", count: 3}, {action: "limit", result: "failed", count: 1}]},
		{name: "<img src=/x>", source: "policies.yaml", for_each: "process", dry_run: true, states: {inactive: 12, pending: 0, firing: 0, resolved: 2},
			instances: [], actions: []},
	],
};

// As long as the agent keeps it, each second, its lines with the holes that real ones have.
export function fullHistory(lines) {
	const now = Date.now(), points = Array.from({length: 900}, (_, i) => i);
	const wave = (scale, step) => points.map((i) => Math.round(scale * (1 + Math.sin(i / step)) * 10) / 10);
	const series = {cpu: wave(2000.3, 9), pagecache: wave(900.7, 13), blockdev: wave(3.3, 5), dma: wave(16000.9, 31), dirty_pages: wave(128.4, 17), exposed_pages: points.map((i) => i % 97)};

	for (let line = 0; line < Math.min(lines, 32); line++)
		series[`process:${1000 + line}:name`] = points.map((i) => (i + line) % 5 ? null : (i * 37 + line) % 9973 / 10);
	for (let line = 0; line < Math.min(lines, 16); line++)
		series[`device:pci/0000:00:${10 + line}.0`] = points.map((i) => (i * 13 + line) % 4999 / 10);
	return {time: points.map((i) => new Date(now - 1000 * (900 - i)).toISOString()), series};
}
