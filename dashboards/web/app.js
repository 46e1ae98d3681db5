// The page: which view is open, when it is asked for new numbers, and what is said when there are none.
import {h, setText, setAttribute, replace} from "./dom.js";
import {clock} from "./format.js";
import {live, connect, Refusal} from "./data.js";
import {setRange} from "./chart.js";
import {overview} from "./overview.js";

// Path behind the #, and what shows it; views but the first are fetched when they are opened.
const VIEWS = [
	{path: /^\/$/, nav: "#/", open: async () => overview},
	{path: /^\/(processes|cgroups|vms)$/, nav: "#/processes", open: async () => (await import("./processes.js")).processes},
	{path: /^\/processes\/(\d+)$/, nav: "#/processes", open: async () => (await import("./process.js")).process},
	{path: /^\/vms\/(.+)$/, nav: "#/processes", open: async () => (await import("./process.js")).vm},
	{path: /^\/devices$/, nav: "#/devices", open: async () => (await import("./devices.js")).devices},
	{path: /^\/devices\/(.+)$/, nav: "#/devices", open: async () => (await import("./devices.js")).device},
	{path: /^\/flows$/, nav: "#/flows", open: async () => (await import("./flows.js")).flows},
	{path: /^\/policies$/, nav: "#/policies", open: async () => (await import("./policies.js")).policies},
	{path: /^\/events$/, nav: "#/events", open: async () => (await import("./events.js")).events},
];

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const stateLabel = document.getElementById("state");
const pauseButton = document.getElementById("pause");
const rangeSelect = document.getElementById("range");
const news = document.getElementById("news");

let view = null; // {element, refresh(), destroy()}
let opening = 0, paused = false, unseen = 0;

// ---- which view ----

// What a path names, as its view takes it; nothing when it is no text.
function names(path, found) {
	try {
		return path.match(found.path).slice(1).map(decodeURIComponent);
	} catch {
		return null;
	}
}

async function route() {
	const turn = ++opening;
	const path = location.hash.slice(1) || "/";
	const found = VIEWS.find((one) => one.path.test(path) && names(path, one));

	view?.destroy();
	view = null;
	for (const link of document.querySelectorAll("nav a"))
		setAttribute(link, "aria-current", found && link.getAttribute("href") === found.nav && "page");
	if (found?.nav === "#/events")
		showNews(0);
	if (!found) {
		replace(main, h("p", {class: "note"}, "There is no such view. ", h("a", {href: "#/"}, "Back to the overview")));
		return;
	}
	try {
		const open = await found.open();

		if (turn !== opening)
			return;
		view = open(names(path, found));
	} catch (error) {
		if (turn === opening) {
			replace(main, h("p", {class: "note"}, "This view could not be fetched from the agent; it opens when the agent is back."));
			setTimeout(() => turn === opening && route(), 2000);
		}
		return;
	}
	replace(main, view.element);
	document.title = `${view.title} · dirtyscope`;
	setAttribute(main, "data-view", path);
	lastRefresh = cost = 0;
	refresh();
}

// ---- new numbers ----

let refreshing = false, lastRefresh = 0, cost = 0;

// A view that takes long to fetch and draw is asked for less often: at most a fifth of the time goes into it.
async function refresh() {
	const now = performance.now();

	if (!view || refreshing || document.hidden || now - lastRefresh < 4 * cost)
		return;
	if (!live.summary) {
		view.wait?.();
		return;
	}
	const shown = view;

	let failed = false;

	refreshing = true;
	lastRefresh = now;
	try {
		await shown.refresh();
		main.classList.toggle("stale", false);
	} catch (error) {
		failed = true;
		if (shown === view)
			shown.refuse?.(error);
		if (!(error instanceof Refusal))
			console.debug("not answered", error.message);
	}
	// A failure costs as much as the agent was late, and says nothing of the next time.
	cost = failed ? 0 : performance.now() - now;
	refreshing = false;
	// What another view cost tells nothing of this one.
	if (shown !== view) {
		lastRefresh = cost = 0;
		refresh();
	}
}

// ---- what is said about the agent ----

function showState() {
	const words = {loading: "connecting", live: "live", poll: "polling", starting: "starting", gone: "no answer"};

	setAttribute(stateLabel, "data-state", live.state);
	setText(stateLabel, paused ? "paused" : words[live.state]);
	setAttribute(stateLabel, "title", {
		live: "Each snapshot is pushed by the agent.",
		poll: "This agent has no /api/v1/stream: it is asked once each interval.",
	}[live.state]);
	main.classList.toggle("stale", live.state === "gone");
	if (live.state === "gone")
		replace(banner, h("p", {class: "alert bad"}, h("b", null, `The agent at ${location.host} does not answer since ${clock(live.goneSince)}. `),
			"What is below is from before. ", live.problem ? `It said: ${live.problem}. ` : "",
			"Start it with ", h("code", null, "dirtyscope agent"), ", or see why it ended; this page tries again by itself."));
	else if (live.state === "starting")
		replace(banner, h("p", {class: "alert"}, "The agent is up and has no numbers yet; the first snapshot comes within its interval."));
	else if (live.state === "poll")
		replace(banner, h("p", {class: "quiet"}, "Polling each interval: this agent does not serve ", h("code", null, "/api/v1/stream"), "."));
	else
		replace(banner);
}

function showHost() {
	const {summary} = live;

	setText(document.getElementById("host"), summary ? `${summary.host} · ${summary.kernel}` : "");
	setAttribute(document.getElementById("host"), "title", summary && `dirtyscope ${summary.version}, Linux ${summary.kernel} on ${summary.host}`);
}

function showNews(number) {
	unseen = number;
	news.hidden = !number;
	setText(news, `${number}`);
	setAttribute(news, "aria-label", `${number} new`);
}

function setPaused(value) {
	paused = value;
	setAttribute(pauseButton, "aria-pressed", String(paused));
	setText(pauseButton, paused ? "Go on" : "Pause");
	showState();
	if (!paused)
		refresh();
}

live.addEventListener("state", showState);
live.addEventListener("snapshot", () => {
	showHost();
	if (!paused)
		refresh();
});
live.addEventListener("connected", () => {
	if (!view)
		route();
	else
		view.reconnected?.();
});
live.addEventListener("events", ({detail}) => {
	if (!location.hash.startsWith("#/events"))
		showNews(unseen + detail.length);
});
pauseButton.addEventListener("click", () => setPaused(!paused));
rangeSelect.addEventListener("change", () => setRange(Number(rangeSelect.value)));
document.addEventListener("visibilitychange", refresh);
addEventListener("hashchange", () => route().then(() => main.focus({preventScroll: true})));
addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName))
		return;
	if (event.key === "p")
		setPaused(!paused);
	else if (event.key === "/" && document.querySelector("input.filter")) {
		event.preventDefault();
		document.querySelector("input.filter").focus();
	}
});

showState();
route();
connect();
