// What happened to the agent, its sensors, the devices, the tracks and the policies.
import {h} from "./dom.js";
import {when} from "./format.js";
import {get, live} from "./data.js";
import {Table} from "./table.js";

const MOST = 2000;
const TONES = {info: "quiet", warning: "warn", error: "bad"};

const columns = [
	{id: "time", title: "time", width: 96, value: (row) => BigInt(row.id), text: (row) => when(row.time), hint: (row) => row.time, num: true},
	{id: "severity", title: "severity", width: 84, value: (row) => row.severity, text: (row) => row.severity, mark: (row) => TONES[row.severity]},
	{id: "type", title: "type", width: 150, value: (row) => row.type, text: (row) => row.type},
	{id: "subject", title: "subject", width: 170, value: (row) => row.subject, text: (row) => row.subject || "–", hint: (row) => row.subject},
	{id: "message", title: "message", width: 420, grow: true, value: (row) => row.message, text: (row) => row.message, hint: (row) => row.message},
];

export function events() {
	const table = new Table(columns, {name: "Events", key: (row) => BigInt(row.id), sort: "time", remember: "events",
		search: (row) => `${row.severity} ${row.type} ${row.subject} ${row.message}`,
		empty: "Nothing has happened since the agent began. Devices that come and go, tracks, policies and trouble of sensors are told here."});
	const state = h("span", {class: "quiet"}, "Loading.");
	let list = [], loaded = false;

	function take({detail}) {
		list = [...list, ...detail.filter((one) => !list.some((other) => other.id === one.id))].slice(-MOST);
		table.set(list);
	}

	async function load() {
		const answer = await get("/api/v1/events?limit=1024");

		list = answer.events;
		loaded = true;
		state.textContent = `the last ${MOST.toLocaleString("en-US")} at most, new ones appear by themselves`;
		table.set(list);
	}

	const again = () => {
		loaded = false;
	};

	live.addEventListener("events", take);
	live.addEventListener("missed", again);
	live.addEventListener("restart", again);
	return {
		title: "Events",
		refresh: () => loaded ? undefined : load(),
		reconnected: again,
		refuse(error) {
			state.textContent = `Not answered: ${error.message}`;
		},
		destroy() {
			live.removeEventListener("events", take);
			live.removeEventListener("missed", again);
			live.removeEventListener("restart", again);
			table.destroy();
		},
		element: h("div", null, h("div", {class: "head"}, h("h1", null, "Events"), table.total, state, h("span", {class: "grow"}), table.filter), table.element),
	};
}
