// The policies: what they watch, in which state they are, what they did.
import {h, panel, replace, facts} from "./dom.js";
import {count, short, when, UNKNOWN} from "./format.js";
import {get, live, Refusal} from "./data.js";

const TONES = {firing: "bad", pending: "warn", resolved: "good", inactive: ""};

const table = (name, heads, rows) => h("div", {class: "scroll short", tabindex: 0, role: "region", "aria-label": name},
	h("table", null, h("caption", {class: "hide"}, name), h("thead", null, h("tr", null, heads.map((head) => h("th", {scope: "col"}, head)))), h("tbody", null, rows)));

const cell = (text) => h("td", {title: text}, text);

function instance(one) {
	return h("tr", null, cell(String(one.target ?? UNKNOWN)), h("td", null, h("span", {class: `chip ${TONES[one.state] ?? ""}`}, one.state)),
		cell(typeof one.value === "number" ? short(one.value) : String(one.value ?? UNKNOWN)), cell(one.since ? when(one.since) : UNKNOWN),
		cell(one.fired ? (typeof one.fired === "string" ? when(one.fired) : String(one.fired)) : UNKNOWN), cell(one.summary ?? ""));
}

function policy(one, events) {
	const past = events.filter((event) => event.subject === one.name || event.subject.startsWith(`${one.name}/`) || event.subject.startsWith(`${one.name} `)).slice(-20).reverse();

	return panel(one.name, `for each ${one.for_each ?? "host"}`,
		h("p", null, Object.entries(one.states).map(([state, number]) => [h("span", {class: `chip ${number ? TONES[state] ?? "" : ""}`}, `${state} ${count(number)}`), " "]).flat(),
			one.dry_run && h("span", {class: "chip warn"}, "dry run: its actions are only told")),
		facts([["from", one.source], ["actions", one.actions.length ? one.actions.map((action) => `${action.action} ${action.result} ${count(action.count)}`).join(", ") : "none yet"]]),
		one.instances.length ? table(`Instances of ${one.name}`, ["target", "state", "value", "since", "fired", "summary"], one.instances.map(instance)) :
			h("p", {class: "quiet"}, "No target matches it now."),
		h("details", {open: past.length > 0}, h("summary", null, `History: ${past.length} events`),
			h("ul", {class: "plain"}, past.map((event) => h("li", null, h("span", {class: "quiet"}, `${when(event.time)} `), event.message)))));
}

export function policies() {
	const body = h("div", null, h("p", {class: "note"}, "Loading."));
	let last = "";

	async function refresh() {
		if (!live.routes.has("GET /api/v1/policies"))
			throw new Refusal(404, "not_found", "this agent has no policies");
		const [answer, log] = await Promise.all([get("/api/v1/policies"), get("/api/v1/events?limit=1024")]);
		const text = JSON.stringify([answer.policies, log.events.filter((event) => event.type.startsWith("policy"))]);

		if (text === last)
			return;
		last = text;
		replace(body, answer.policies.length ? answer.policies.map((one) => policy(one, log.events)) :
			h("p", {class: "note"}, "No policy is set. Write one and give the agent its file; ", h("code", null, "dirtyscope check FILE"), " says whether it is right."));
	}

	return {
		title: "Policies", refresh,
		refuse(error) {
			last = "";
			if (error instanceof Refusal && error.status === 404)
				replace(body, h("p", {class: "note"}, "This agent has no policies: it does not serve ", h("code", null, "/api/v1/policies"), ". A newer dirtyscope does."));
			else if (error instanceof Refusal)
				replace(body, h("p", {class: "note"}, `Not answered: ${error.message}`));
		},
		destroy() {},
		element: h("div", null, h("div", {class: "head"}, h("h1", null, "Policies"), h("span", {class: "quiet"}, "rules over the numbers, and what they do")), body),
	};
}
