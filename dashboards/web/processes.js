// All processes, or their sums by cgroup and by virtual machine.
import {h} from "./dom.js";
import {sum} from "./format.js";
import {get, history, processLine} from "./data.js";
import {Table} from "./table.js";
import {processColumns, groupColumns} from "./columns.js";

const KINDS = {
	processes: {title: "Processes", name: "Processes",
		empty: "No process has written a page since the agent began. One that writes appears within an interval.",
		key: (row) => `${row.pid}:${row.start_boottime_ns}`,
		search: (row) => `${row.pid} ${row.comm ?? ""} ${row.cmdline} ${row.user ?? ""} ${row.cgroup ?? ""} ${row.container ?? ""} ${row.vm?.name ?? ""}`},
	cgroups: {title: "Cgroups", name: "Cgroups", empty: "No cgroup is known: no process has written a page yet.", key: (row) => row.name, search: (row) => row.name},
	vms: {title: "Virtual machines", name: "Virtual machines", key: (row) => row.name, search: (row) => row.name,
		empty: "No process holds a KVM virtual machine now. One that is started appears here, by its name."},
};

function columnsOf(kind) {
	if (kind === "processes")
		return processColumns;
	const [name, ...rest] = groupColumns;

	return [kind === "vms" ? {...name, href: (row) => `#/vms/${encodeURIComponent(row.name)}`} : name, ...rest];
}

export function processes([kind]) {
	const {title, name, empty, key, search} = KINDS[kind];
	history.forgetLines();
	const table = new Table(columnsOf(kind), {name, key, search, empty, sort: "all", remember: kind, off: (row) => row.state === "exited"});
	const state = h("span", {class: "quiet"}, "Loading.");

	async function refresh() {
		await history.needLines();
		const answer = await get(`/api/v1/${kind}?limit=100000`);
		const rows = answer[kind];

		if (kind === "processes")
			rows.forEach((row) => history.set(processLine(row), sum(row.rates)));
		state.textContent = kind === "processes" ? "that have written; who exited stays for 60 s" : "with living or exited writers";
		table.set(rows);
	}

	return {
		title, refresh,
		refuse(error) {
			state.textContent = `Not answered: ${error.message}`;
		},
		destroy: () => table.destroy(),
		element: h("div", null,
			h("div", {class: "head"}, h("h1", null, title), table.total, state, h("span", {class: "grow"}),
				h("div", {class: "segment"}, [["processes", "by process"], ["cgroups", "cgroup"], ["vms", "VM"]].map(([id, text]) =>
					h("a", {href: `#/${id}`, "aria-current": id === kind && "page"}, text))),
				table.filter),
			table.element),
	};
}
