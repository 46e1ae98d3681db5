// The health of the sensors, and what can be done about one that is not well.
import {h} from "./dom.js";
import {count} from "./format.js";

function advice(reason) {
	if (/trampoline|EPERM/.test(reason))
		return "This kernel does not let it attach; nothing to do here. What the others count stays right.";
	if (/CAP_|capabilit|permission/i.test(reason))
		return "Run the agent as root, or with CAP_BPF and CAP_PERFMON.";
	return "See `dirtyscope sensors -v` for what each of its programs lacks.";
}

const lostOf = (sensor) => Object.values(sensor.lost).reduce((all, number) => all + number, 0);

export function sensorList({sensors}, summary) {
	const tones = {active: "good", partial: "warn", unavailable: "bad"};
	const {active, partial, unavailable} = summary.sensors;

	return [
		h("p", {class: summary.degraded ? "warn" : "quiet"}, `${active} active, ${partial} partial, ${unavailable} unavailable; `,
			summary.degraded ? "events were lost in the last minute: the limits below tell where." : "no event was lost in the last minute."),
		h("ul", {class: "plain"}, sensors.map((sensor) => h("li", null,
			h("span", {class: `chip ${tones[sensor.state]}`}, sensor.state), " ", h("b", null, sensor.name), " ",
			h("span", {class: "quiet"}, `${count(sensor.offered)} events, ${count(lostOf(sensor))} lost`),
			sensor.state !== "active" && h("div", null, sensor.reason || losses(sensor), ". ",
				h("span", {class: "quiet"}, sensor.state === "unavailable" ? advice(sensor.reason) : "Raise the limit that its reason names (`dirtyscope agent --help`)."))))),
	];
}

function losses(sensor) {
	return Object.entries(sensor.lost).filter((one) => one[1] > 0).map(([reason, number]) => `${count(number)} ${reason}`).join(", ") || "no reason given";
}
