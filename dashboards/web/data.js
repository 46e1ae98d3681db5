// The agent, as the page knows it: its answers, its last 15 minutes, and whether it is there.

const WINDOW = 900;
const MOST_LINES = 400;
const TOTALS = ["cpu", "pagecache", "blockdev", "dma", "dirty_pages", "exposed_pages"];

export class Refusal extends Error {
	constructor(status, code, message) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

// JSON, or an error: Refusal when the agent says no, any other when it says nothing.
export async function get(path, accept = "application/json") {
	const answer = await fetch(path, {headers: {Accept: accept}, signal: AbortSignal.timeout(15000)});
	let body;

	try {
		body = await answer.json();
	} catch (error) {
		if (answer.ok)
			throw error;
	}
	if (!answer.ok)
		throw new Refusal(answer.status, body?.error?.code ?? "failed", body?.error?.message ?? answer.statusText);
	return body;
}

// ---- the last 15 minutes ----

export const history = {
	times: [], // seconds
	totals: Object.fromEntries(TOTALS.map((name) => [name, []])),
	lines: new Map(), // "process:PID:COMM" and "device:ID": as long as `times`, null where not known
	lineCount: 0, // that were asked for

	// Who asks while an answer is on its way takes that one, if it holds enough.
	load(lines) {
		if (!this.loading || this.loadingLines < lines) {
			const loading = this.fetch(lines).finally(() => {
				if (this.loading === loading)
					this.loading = null;
			});

			this.loading = loading;
			this.loadingLines = lines;
		}
		return this.loading;
	},

	async fetch(lines) {
		const answer = await get(`/api/v1/history?window=${WINDOW}&lines=${lines}`);

		this.times = answer.time.map((text) => Date.parse(text) / 1000);
		for (const name of TOTALS)
			this.totals[name] = answer.series[name];
		this.lines = new Map(Object.entries(answer.series).filter(([name]) => !TOTALS.includes(name)));
		this.lineCount = lines;
	},

	// A view that shows lines takes them anew when it opens: meanwhile nobody may have asked for them.
	forgetLines() {
		this.lineCount = 0;
	},

	async needLines(most = 32) {
		if (this.lineCount < most)
			await this.load(most);
	},

	push(summary) {
		const time = Date.parse(summary.time) / 1000;

		if (this.times.length && time <= this.times.at(-1))
			return;
		this.times.push(time);
		for (const name of ["cpu", "pagecache", "blockdev", "dma"])
			this.totals[name].push(summary.rates[name]);
		this.totals.dirty_pages.push(summary.dirty_pages / summary.interval);
		this.totals.exposed_pages.push(summary.exposed_pages);
		for (const line of this.lines.values())
			line.push(null);
		if (time - this.times[0] > WINDOW + 30)
			this.trim(this.times.findIndex((at) => time - at <= WINDOW));
	},

	trim(old) {
		this.times.splice(0, old);
		for (const name of TOTALS)
			this.totals[name].splice(0, old);
		for (const [name, line] of this.lines) {
			line.splice(0, old);
			if (line.every((value) => value === null))
				this.lines.delete(name);
		}
	},

	// The newest value of a line, from a list that was just read.
	set(name, value) {
		let line = this.lines.get(name);

		if (!line) {
			if (!value || this.lines.size >= MOST_LINES)
				return;
			line = new Array(this.times.length).fill(null);
			this.lines.set(name, line);
		}
		if (line.length)
			line[line.length - 1] = value;
	},
};

export const processLine = (process) => `process:${process.pid}:${process.comm ?? ""}`;
export const deviceLine = (device) => `device:${device.id}`;

// ---- live ----

export const live = new EventTarget();
Object.assign(live, {
	state: "loading", // live: by server-sent events; poll: asked each interval; starting; gone
	summary: null,
	routes: new Set(),
	goneSince: null,
	problem: "",
	lastEvent: "0",
});

let stream = null, timer = 0, watchdog = 0, retries = 0;

function tell(type, detail) {
	live.dispatchEvent(new CustomEvent(type, {detail}));
}

function setState(state, problem = "") {
	if (state === "gone" && live.state !== "gone")
		live.goneSince = new Date();
	if (state === live.state && problem === live.problem)
		return;
	live.state = state;
	live.problem = problem;
	tell("state");
}

function stop() {
	stream?.close();
	stream = null;
	clearTimeout(timer);
	clearTimeout(watchdog);
}

function lost(error) {
	stop();
	if (error instanceof Refusal && error.code === "not_ready")
		setState("starting", error.message);
	else
		setState("gone", error instanceof Refusal ? error.message : "");
	// At once, then slower; never slower than each 5 s.
	timer = setTimeout(connect, Math.min(5000, 500 * 2 ** Math.min(retries++, 4)));
}

async function accept(summary) {
	const before = live.summary;

	live.summary = summary;
	if (before && summary.uptime < before.uptime) {
		// Another agent: nothing that was counted before goes on.
		live.lastEvent = "0";
		history.lines.clear();
		await history.load(history.lineCount || 8);
		tell("restart");
	}
	history.push(summary);
	tell("snapshot");
}

// A stream that says nothing for long has died without telling.
function watch() {
	clearTimeout(watchdog);
	// A replay stays at its last snapshot, and may take its time before.
	if (live.summary?.replay)
		return;
	watchdog = setTimeout(() => lost(new Error("silent")), 5000 + 4000 * (live.summary?.interval ?? 1));
}

function openStream() {
	const source = new EventSource("/api/v1/stream");

	stream = source;
	source.addEventListener("snapshot", (message) => {
		const data = JSON.parse(message.data);

		watch();
		accept(data.summary ?? data).then(() => setState("live"), lost);
		retries = 0;
	});
	source.addEventListener("event", (message) => {
		watch();
		take([JSON.parse(message.data)]);
	});
	source.addEventListener("missed", () => tell("missed"));
	source.onerror = () => {
		if (source === stream)
			lost(new Error("the stream ended"));
	};
	watch();
}

function take(events) {
	const fresh = events.filter((event) => BigInt(event.id) > BigInt(live.lastEvent));

	if (!fresh.length)
		return;
	live.lastEvent = fresh.at(-1).id;
	tell("events", fresh);
}

async function poll() {
	const started = performance.now();

	try {
		await accept(await get("/api/v1/summary"));
		take((await get(`/api/v1/events?after=${live.lastEvent}&limit=1024`)).events);
		retries = 0;
		setState("poll");
		timer = setTimeout(poll, Math.max(200, 1000 * live.summary.interval - (performance.now() - started)));
	} catch (error) {
		lost(error);
	}
}

export async function connect() {
	stop();
	try {
		const index = await get("/");

		live.routes = new Set(index.routes.map((route) => `${route.method} ${route.path}`));
		await accept(await get("/api/v1/summary"));
		await history.load(history.lineCount || 8);
		if (live.lastEvent === "0")
			live.lastEvent = (await get("/api/v1/events?limit=1024")).events.at(-1)?.id ?? "0";
		tell("connected");
		if (live.routes.has("GET /api/v1/stream")) {
			openStream();
		} else {
			retries = 0;
			setState("poll");
			timer = setTimeout(poll, 1000 * live.summary.interval);
		}
	} catch (error) {
		lost(error);
	}
}

// A page that was hidden for long, or a machine that slept, has holes in its history.
document.addEventListener("visibilitychange", () => {
	const last = history.times.at(-1);

	if (!document.hidden && last && Date.now() / 1000 - last > 10)
		connect();
});
