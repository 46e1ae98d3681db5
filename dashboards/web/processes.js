// All processes, or their sums by cgroup and by virtual machine.
import {h} from "./dom.js";
import {sum} from "./format.js";
import {history, processLine} from "./data.js";
import {Table} from "./table.js";
import {processColumns, groupColumns} from "./columns.js";

const KINDS = {
	processes: {title: "Processes", name: "Processes",
		empty: "No process has written a page since the agent began. One that writes appears within an interval."},
	cgroups: {title: "Cgroups", name: "Cgroups", empty: "No cgroup is known: no process has written a page yet."},
	vms: {title: "Virtual machines", name: "Virtual machines",
		empty: "No process holds a KVM virtual machine now. One that is started appears here, by its name."},
};

function columnsOf(kind) {
	if (kind === "processes")
		return processColumns;
	const [name, ...rest] = groupColumns;

	return [kind === "vms" ? {...name, href: (row) => `#/vms/${encodeURIComponent(row.name)}`} : name, ...rest];
}

export function processes([kind]) {
	const {title, name, empty} = KINDS[kind];
	history.forgetLines();
	const table = new Table(columnsOf(kind), {name, empty, sort: "all", remember: kind, off: (row) => row.state === "exited",
		ask: () => refresh().catch(refuse)});
	const state = h("span", {class: "quiet"}, "Loading.");

	function refuse(error) {
		state.textContent = `Not answered: ${error.message}`;
	}

	async function refresh() {
		await history.needLines();
		const answer = await table.load(`/api/v1/${kind}`);

		if (!answer)
			return;
		const rows = answer[kind];

		if (kind === "processes")
			rows.forEach((row) => history.set(processLine(row), sum(row.rates)));
		state.textContent = kind === "processes" ? "that have written; who exited stays for 60 s" : "with living or exited writers";
		table.setSome(answer, rows);
	}

	return {
		title, refresh, refuse,
		destroy: () => table.destroy(),
		element: h("div", null,
			h("div", {class: "head"}, h("h1", null, title), table.total, state, h("span", {class: "grow"}),
				h("div", {class: "segment"}, [["processes", "by process"], ["cgroups", "cgroup"], ["vms", "VM"]].map(([id, text]) =>
					h("a", {href: `#/${id}`, "aria-current": id === kind && "page"}, text))),
				table.filter),
			table.element),
	};
}
