// The web page in Chromium, against a running agent under load.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import {Agent, AXE, BUILD, Suite, WAIT, browse, end, equal, eventually, findBrowser, load, scratch, sleep, truth, write} from "./harness.mjs";
import {answerTo, generated, somePolicies} from "./fakes.mjs";

const INTERVAL = 0.5;
const HOSTILE = "<img src=/x>";
const ARGUMENT = `<img src=x onerror="window.hacked=1">`;
const VIEWS = {
	"/": "Overview", "/processes": "Processes", "/cgroups": "Cgroups", "/vms": "Virtual machines",
	"/devices": "Devices", "/flows": "Flows", "/policies": "Policies", "/events": "Events",
};
const SIZES = [[1440, 900], [390, 844]];

if (process.getuid() !== 0 || !findBrowser()) {
	console.log(`1..1\nok 1 - all # SKIP ${findBrowser() ? "root" : "Debian's chromium"}`);
	process.exit(0);
}

const directory = scratch();
const token = path.join(directory, "token");
const record = path.join(directory, "record");
fs.writeFileSync(token, "of-the-tests-only-0123456789abcdef\n", {mode: 0o600});
const agent = await new Agent({interval: INTERVAL, options: ["--web.token-file", token, "--record", record]}).start();
const loading = load(directory);
const writer = await write(directory, HOSTILE, ARGUMENT);
const browser = await browse();
const suite = new Suite();

// ---- what the tests share ----

// The driver's own waiting evaluates text in the page, which its policy forbids.
function until(page, condition, argument) {
	return eventually(String(condition), () => page.evaluate(condition, argument));
}

async function open(view, {width = 1440, height = 900, scheme = "light", url = agent.url, before} = {}) {
	const context = await browser.newContext({viewport: {width, height}, colorScheme: scheme});
	const page = await context.newPage();

	page.setDefaultTimeout(1000 * WAIT);
	page.problems = [];
	page.on("pageerror", (error) => page.problems.push(error.stack));
	page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
	await page.addInitScript(() => {
		window.violations = [];
		document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
	});
	await before?.(page);
	await page.goto(`${url}/#${view}`);
	await until(page, () => ["live", "poll"].includes(document.getElementById("state").dataset.state));
	return page;
}

// Its view is there and has what it shows; `go` leads to another.
async function go(page, view) {
	await page.evaluate((to) => {
		location.hash = to;
	}, view);
	try {
		await until(page, (to) => document.querySelector("main").dataset.view === to && document.querySelector("main h1") &&
			!document.querySelector("main").textContent.includes("Loading"), view);
	} catch {
		const [shown, text, state] = await page.evaluate(() => [document.querySelector("main").dataset.view, document.querySelector("main").textContent, document.getElementById("state").textContent]);

		throw new Error(`${view} is not shown in time, but ${shown} (${state}): ${text.slice(0, 200)}; ${page.problems.join("; ")}`);
	}
}

async function clean(page, allowed = /^$/) {
	equal(await page.evaluate(() => window.violations), [], "violations of the content policy");
	equal(page.problems.filter((problem) => !allowed.test(problem)), [], "errors in the console");
	equal(await page.evaluate(() => window.hacked ?? null), null, "a process's name ran as a script");
}

async function done(page, allowed) {
	await clean(page, allowed);
	await page.context().close();
}

async function ask(method, target, body) {
	const answer = await fetch(agent.url + target, {method, body: body && JSON.stringify(body),
		headers: {Authorization: `Bearer ${fs.readFileSync(token, "utf8").trim()}`, "Content-Type": "application/json"}});

	truth(answer.ok, `${method} ${target}: ${answer.status} ${await answer.clone().text()}`);
	return answer.json();
}

const number = (text) => Number(text.replace(/[^0-9.]/g, ""));
const column = (page, index) => page.$$eval("main tbody tr:not(.pad):not([hidden])", (rows, at) => rows.map((row) => row.children[at].textContent), index);

function raw(target, headers = {}, method = "GET") {
	return new Promise((resolve, reject) => {
		http.request(agent.url + target, {headers, method}, (answer) => {
			const parts = [];

			answer.on("data", (part) => parts.push(part));
			answer.on("end", () => resolve({status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts)}));
		}).on("error", reject).end();
	});
}

// ---- serving ----

suite.test("/ is the page for a browser, and the list of routes for everything else", async () => {
	for (const accept of [undefined, "*/*", "application/json", "text/html;q=0.5, application/json"]) {
		const answer = await raw("/", accept ? {Accept: accept} : {});

		equal(JSON.parse(answer.body).name, "dirtyscope", `Accept: ${accept}`);
	}
	const page = await raw("/", {Accept: "text/html,application/xhtml+xml,*/*;q=0.8"});

	equal([page.status, page.headers["content-type"], page.headers["cache-control"]], [200, "text/html; charset=utf-8", "no-cache"], "the page");
	for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"])
		truth(page.headers["content-security-policy"].includes(part), part);
	truth(!/unsafe|https?:/.test(page.headers["content-security-policy"]), "the policy allows nothing unsafe or foreign");
	const text = page.body.toString();

	truth(!/<style|style=|<script>| on[a-z]+=/.test(text.replace(/href="data:[^"]*"/, "")), "no script or style is inline");
	truth(!/(?:src|href)="(?:https?:)?\/\//.test(text), "nothing is fetched from elsewhere");
});

suite.test("files come with a hash, compressed when asked for, and not again when they are known", async () => {
	const plain = await raw("/web/app.js"), small = await raw("/web/app.js", {"Accept-Encoding": "gzip"});
	const {gunzipSync} = await import("node:zlib");

	equal(plain.body.toString(), fs.readFileSync("dashboards/web/app.js", "utf8"), "app.js");
	equal(gunzipSync(small.body).toString(), plain.body.toString(), "app.js, compressed");
	equal(small.headers["content-encoding"], "gzip", "Content-Encoding");
	truth(plain.headers.etag !== small.headers.etag && /^"[0-9a-f]{16}"$/.test(plain.headers.etag), `etag ${plain.headers.etag}, ${small.headers.etag}`);
	const again = await raw("/web/app.js", {"If-None-Match": plain.headers.etag});

	equal([again.status, again.body.length], [304, 0], "asked again");
	equal((await raw("/web/app.js", {"If-None-Match": `"0000000000000000"`})).status, 200, "of another build");
	const head = await raw("/web/style.css", {}, "HEAD");

	equal([head.status, head.body.length, head.headers["content-type"]], [200, 0, "text/css; charset=utf-8"], "HEAD");
	for (const target of ["/web/", "/web/none.js", "/web/../main.c", "/web/app.js/x"])
		equal((await raw(target)).status, 404, target);
	equal((await raw("/web/app.js", {}, "POST")).status, 404, "POST");
});

// ---- views ----

for (const [view, title] of Object.entries(VIEWS)) {
	suite.test(`${title}: opens, and says nothing in the console`, async () => {
		const page = await open(view);

		await go(page, view);
		equal(await page.textContent("main h1"), title, "title");
		truth(await page.$("nav a[aria-current]"), "the view is marked in the navigation");
		await sleep(3 * INTERVAL);
		await done(page);
	});
}

suite.test("a path that is none, a process, a device and a VM that are none say so and lead back", async () => {
	const page = await open("/nothing");

	truth((await page.textContent("main")).includes("no such view"), "no such view");
	for (const view of ["/processes/4194304", "/devices/pci%2Fnone", "/vms/none"]) {
		await page.evaluate((to) => {
			location.hash = to;
		}, view);
		await page.waitForSelector("main .note:has-text('There is no') a");
	}
	await done(page, /404/);
});

suite.test("overview: the numbers are those of one snapshot of the agent", async () => {
	const page = await open("/");

	await sleep(3 * INTERVAL);
	await page.click("#pause");
	const shown = await page.$$eval(".tile .big span", (nodes) => nodes.slice(0, 4).map((node) => node.textContent));
	const {series} = await agent.json("/api/v1/history?window=20&lines=0");
	const format = await import(path.resolve("dashboards/web/format.js"));
	const past = series.cpu.map((cpu, i) => [cpu, series.pagecache[i], series.blockdev[i], series.dma[i]].map(format.rate).join());

	truth(past.includes(shown.join()), `${shown} is none of ${past.join("; ")}`);
	await done(page);
	return `${shown.join(", ")} pages/s`;
});

suite.test("processes: every cell in sight is the API's", async () => {
	let last = null, drawn = 0;
	const page = await open("/processes", {before: (one) => one.on("response", async (answer) => {
		if (answer.url().includes("/api/v1/processes?"))
			last = await answer.json().catch(() => last);
	})});

	await go(page, "/processes");
	await page.click("#pause");
	await sleep(3 * INTERVAL);
	const format = await import(path.resolve("dashboards/web/format.js"));
	const rows = new Map(last.processes.map((row) => [String(row.pid), row]));

	for (const cells of await page.$$eval("main tbody tr:not(.pad):not([hidden])", (all) => all.map((row) => [...row.children].map((cell) => cell.textContent)))) {
		const row = rows.get(cells[1]);

		truth(row, `pid ${cells[1]} is in the API's list`);
		equal(cells.slice(3, 10), [...["cpu", "pagecache", "blockdev", "dma"].map((name) => format.rate(row.rates[name])), format.rate(format.sum(row.rates)),
			format.count(format.sum(format.written(row))), format.count(row.written.dma)], `cells of ${row.comm} ${row.pid}`);
		equal(cells[0], row.comm, "name");
		drawn++;
	}
	truth(drawn > 10, `${drawn} rows`);
	await done(page);
	return `${drawn} rows`;
});

suite.test("processes: sorted by any column, both ways, and filtered", async () => {
	const page = await open("/processes");

	await go(page, "/processes");
	await page.click("th button:has-text('written')");
	const written = async () => (await column(page, 8)).map(number);
	const inOrder = (numbers, way) => numbers.length > 1 && String(numbers) === String([...numbers].sort((a, b) => way * (a - b)));

	await eventually("falling", async () => inOrder(await written(), -1));
	equal(await page.getAttribute("th[aria-sort]", "aria-sort"), "descending", "aria-sort");
	await page.click("th button:has-text('written')");
	await eventually("rising", async () => inOrder(await written(), 1));
	for (const title of ["process", "user", "state", "cgroup", "device/s"]) {
		const answer = page.waitForResponse(/processes\?/);

		await page.click(`th button:has-text('${title}')`);
		equal((await answer).status(), 200, `sorted by ${title}`);
	}
	await page.fill("input.filter", "img src");
	await eventually("filtered", async () => String([...new Set(await column(page, 0))]) === HOSTILE);
	await page.fill("input.filter", "no process holds this");
	await page.waitForSelector("text=Clear the filter");
	await done(page);
});

suite.test("live: new numbers and events arrive by the stream; pause holds them", async () => {
	const page = await open("/");

	equal(await page.textContent("#state"), "live", "state");
	const seen = new Set();

	await eventually("the numbers change", async () => seen.add(await page.textContent(".chart[aria-label] >> nth=0").then(() => page.getAttribute(".chart >> nth=0", "aria-label"))).size > 2);
	await page.click("#pause");
	await sleep(2 * INTERVAL);
	const held = await page.textContent("main");

	await sleep(4 * INTERVAL);
	equal(await page.textContent("main"), held, "paused");
	await page.click("#pause");
	await eventually("it goes on", async () => await page.textContent("main") !== held);
	await go(page, "/events");
	const track = await ask("POST", "/api/v1/tracks", {target: {pid: writer.pid}});

	await page.waitForSelector(`main tbody td:has-text("track")`);
	await ask("DELETE", `/api/v1/tracks/${track.id}`);
	await done(page);
});

suite.test("a hostile name is text, wherever it is shown", async () => {
	const page = await open("/processes");

	for (const view of ["/processes", "/flows", "/", `/processes/${writer.pid}`]) {
		await go(page, view);
		await until(page, (text) => document.querySelector("main").textContent.includes(text), HOSTILE);
		equal(await page.$$eval("img", (all) => all.length), 0, `images in ${view}`);
	}
	truth((await page.textContent("main")).includes(ARGUMENT), "its command line is shown as it is");
	await done(page);
});

let track = null;

suite.test("a process's page: its writers, its devices, and its track as a map", async () => {
	track = await ask("POST", "/api/v1/tracks", {target: {pid: writer.pid}});
	const page = await open(`/processes/${writer.pid}`);

	await go(page, `/processes/${writer.pid}`);
	await ask("POST", `/api/v1/tracks/${track.id}/collect`, {});
	const owed = await eventually("pages of both sides are owed", async () => {
		await ask("POST", `/api/v1/tracks/${track.id}/collect`, {});
		const {pages} = await agent.json(`/api/v1/tracks/${track.id}/pages`);

		return pages.dma > 100 && pages.cpu > 100 && {pages};
	});

	await until(page, (text) => document.querySelector("main").textContent.includes(text), `Owed now: ${owed.pages.union.toLocaleString("en-US")}.`);
	const inked = await page.$$eval(".strip canvas", (all) => all.map((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)));

	truth(inked.length > 0 && inked.every(Boolean), `${inked.length} strips are drawn`);
	const devices = (await agent.json(`/api/v1/processes/${writer.pid}`)).flows.map((flow) => flow.device);

	for (const device of devices)
		truth(await page.isVisible(`main td a:has-text("${device}")`), device);
	await done(page);
	return `${inked.length} strips, ${owed.pages.union} pages owed`;
});

suite.test("a device's page: evidence, what is not seen, who it writes for", async () => {
	const {devices} = await agent.json("/api/v1/devices?sort=dirty_pages_total&limit=1");
	const page = await open(`/devices/${encodeURIComponent(devices[0].id)}`);

	await go(page, `/devices/${encodeURIComponent(devices[0].id)}`);
	const text = await page.textContent("main");

	for (const part of [...devices[0].names, ...devices[0].not_seen, "completed", "exposed", "reported"])
		truth(text.includes(part), part);
	await until(page, (name) => document.querySelector("main").textContent.includes(name), HOSTILE);
	await done(page);
});

suite.test("a sensor that is unavailable says why and what can be done", async () => {
	const page = await open("/");
	const out = (await agent.json("/api/v1/sensors")).sensors.filter((sensor) => sensor.state === "unavailable");

	await page.waitForSelector("text=/\\d+ active, \\d+ partial, \\d+ unavailable/");
	for (const sensor of out)
		truth((await page.textContent("main")).includes(sensor.reason), sensor.name);
	await done(page);
	return `${out.length} unavailable here`;
});

// ---- without this or that ----

suite.test("an agent without the stream is asked each interval, and the page says so", async () => {
	const page = await open("/", {before: (one) => one.route((url) => url.pathname === "/", async (route) => {
		if (route.request().resourceType() === "document")
			return route.continue();
		const answer = await route.fetch();
		const index = await answer.json();

		index.routes = index.routes.filter((one) => !/stream/.test(one.path));
		return route.fulfill({json: index});
	})});

	await page.waitForSelector("#banner:has-text('Polling each interval')");
	const seen = new Set();

	await eventually("the numbers change", async () => seen.add(await page.getAttribute(".chart >> nth=0", "aria-label")).size > 2);
	await done(page);
});

suite.test("a policy that fires is shown as the agent tells it, and goes when it is taken back", async () => {
	const name = "of-the-page";

	await ask("PUT", "/api/v1/policies", {policies: [{name, for_each: "process", where: [`pid = ${writer.pid}`], summary: "{comm} wrote",
		when: {metric: "written", threshold: 1}, then: ["log"]}]});
	try {
		const page = await open("/policies");
		const fired = await eventually("it fires", async () => {
			const one = (await agent.json("/api/v1/policies")).policies.find((row) => row.name === name);

			return one?.states.firing === 1 && one;
		});
		const panel = page.locator("section", {hasText: name});

		for (const text of ["firing 1", fired.instances[0].target, `${HOSTILE} wrote`, "log ", "History: "])
			await panel.locator(`:text(${JSON.stringify(text)})`).first().waitFor();
		const events = (await agent.json("/api/v1/events?limit=1024")).events.filter((event) => event.type.startsWith("policy") && event.message.includes("firing"));

		truth(events.length > 0, "the agent told it as an event");
		for (const {message} of events.filter((event) => event.subject.startsWith(name)))
			truth((await panel.textContent()).includes(message), `the history has: ${message}`);
		await ask("PUT", "/api/v1/policies", {policies: []});
		await until(page, (gone) => !document.querySelector("main").textContent.includes(gone), name);
		await done(page);
	} finally {
		await ask("PUT", "/api/v1/policies", {policies: []});
	}
});

suite.test("policies: their states, instances and actions; and an agent that has none", async () => {
	const page = await open("/policies", {before: async (one) => {
		await one.route((url) => url.pathname === "/" , async (route) => {
			if (route.request().resourceType() === "document")
				return route.continue();
			const index = await (await route.fetch()).json();

			return route.fulfill({json: {...index, routes: [...index.routes, {method: "GET", path: "/api/v1/policies", help: "", parameters: []}]}});
		});
		await one.route("**/api/v1/policies", (route) => route.fulfill({json: somePolicies}));
	}});

	await go(page, "/policies");
	for (const text of ["hot-disk", "firing 1", "dry run", "virtio/virtio1", HOSTILE])
		await until(page, (part) => document.querySelector("main").textContent.includes(part), text);
	await done(page);
	const bare = await open("/policies", {before: (one) => one.route((url) => url.pathname === "/", async (route) => {
		if (route.request().resourceType() === "document")
			return route.continue();
		const index = await (await route.fetch()).json();

		return route.fulfill({json: {...index, routes: index.routes.filter((one) => !/policies/.test(one.path))}});
	})});

	await go(bare, "/policies");
	truth((await bare.textContent("main")).includes("This agent has no policies"), "said plainly");
	await done(bare);
});

suite.test("5,000 processes: few nodes, few asked for, the last row is reached, the filter finds one", async () => {
	const many = generated(5000), told = [];
	const page = await open("/processes", {before: (one) => one.route("**/api/v1/processes?*", (route) => {
		const answer = answerTo(route.request().url(), many);

		told.push(answer.processes.length);
		return route.fulfill({json: answer});
	})});

	await go(page, "/processes");
	truth(await page.$$eval("main tbody tr", (rows) => rows.length) < 100, "only rows in sight are nodes");
	equal(await page.getAttribute("main table", "aria-rowcount"), "5001", "aria-rowcount");
	await page.$eval(".scroll", (node) => {
		node.scrollTop = node.scrollHeight;
	});
	await page.waitForSelector(`main tr[aria-rowindex="5001"]`);
	await eventually("the last row", async () => (await column(page, 0)).includes("name-4999"));
	await page.fill("input.filter", "name-4321");
	await eventually("filtered", async () => String(await column(page, 0)) === "name-4321");
	truth(Math.max(...told) < 200, `${Math.max(...told)} rows in an answer`);
	await done(page);
});

suite.test("by keyboard alone: skip link, views, sort, filter, pause", async () => {
	const page = await open("/processes");

	await go(page, "/processes");
	await page.keyboard.press("p");
	equal(await page.getAttribute("#pause", "aria-pressed"), "true", "p pauses");
	await page.keyboard.press("p");
	await page.keyboard.press("/");
	equal(await page.evaluate(() => document.activeElement.className), "filter", "/ goes to the filter");
	await page.keyboard.type("python");
	await page.keyboard.press("Tab");
	equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "region", "then the table");
	await page.keyboard.press("Tab");
	equal(await page.evaluate(() => document.activeElement.closest("th") !== null), true, "then its headers");
	await page.keyboard.press("Enter");
	truth(await page.$("th[aria-sort]"), "Enter sorts");
	await page.focus("nav a >> nth=2");
	await page.keyboard.press("Enter");
	await page.waitForSelector("h1:has-text('Devices')");
	await done(page);
});

// ---- accessibility, pictures ----

async function pictures() {
	const {devices} = await agent.json("/api/v1/devices?sort=dirty_pages_total&limit=1");

	return [...Object.keys(VIEWS), `/processes/${writer.pid}`, `/devices/${encodeURIComponent(devices[0].id)}`];
}

const nameOf = (view) => view === "/" ? "overview" : view.slice(1).replace(/\/.*/, "-one");

for (const scheme of ["light", "dark"]) {
	for (const [width, height] of SIZES) {
		suite.test(`${scheme}, ${width} px: nothing serious for axe, no view wider than the window`, async () => {
			const page = await open("/", {width, height, scheme});
			const found = [];

			await sleep(2);
			for (const view of await pictures()) {
				await go(page, view);
				if (view.startsWith("/processes/"))
					await ask("POST", `/api/v1/tracks/${track.id}/collect`, {});
				await sleep(0.5);
				await page.screenshot({path: path.join(BUILD, "web", `${nameOf(view)}-${scheme}-${width}.png`), fullPage: true});
				equal(await page.evaluate(() => document.documentElement.scrollWidth), width, `width of ${view}`);
				await page.evaluate(AXE);
				const {violations} = await page.evaluate(() => window.axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}));

				found.push(...violations.filter((one) => ["serious", "critical"].includes(one.impact))
					.map((one) => `${view}: ${one.id}: ${one.nodes.slice(0, 2).map((node) => `${node.target} ${node.failureSummary.split("\n")[1]}`).join("; ")}`));
			}
			equal(found, [], "violations");
			await done(page);
		});
	}
}

// ---- an agent that goes and comes ----

suite.test("a view whose script got lost on its way opens by itself, and a path that is none says so", async () => {
	let lost = 0;
	const page = await open("/", {before: (page) => page.route("**/events.js", (route) => lost++ ? route.continue() : route.abort())});

	await go(page, "/events");
	truth(lost > 1, "it was asked for again");
	await page.evaluate(() => {
		location.hash = "/devices/%";
	});
	await page.waitForSelector("main:has-text('There is no such view')");
	await done(page, /ERR_FAILED/);
});

suite.test("a replay says so, and stays at its last snapshot without being taken for an agent that is gone", async () => {
	const copy = path.join(directory, "copy");

	fs.copyFileSync(record, copy);
	const replay = await new Agent({options: ["--replay", copy, "--replay-interval", "50ms"]}).start();
	const last = await eventually("its end", async () => {
		const summary = await replay.json("/api/v1/summary");

		return summary.replay.ended && summary;
	}, 60);
	const page = await open("/", {url: replay.url});

	await until(page, () => document.getElementById("banner").textContent.includes("It has ended"));
	truth((await page.textContent("#banner")).includes(copy), "it does not name the file");
	// Longer than a stream of a living agent may be silent.
	for (const until = Date.now() + 1000 * (5 + 4 * last.interval + 2); Date.now() < until; await sleep(0.5))
		equal(await page.evaluate(() => document.getElementById("state").textContent), "replay", "what it says of itself");
	truth((await page.textContent("main")).includes("pages"), "no numbers");
	await go(page, "/processes");
	truth((await column(page, 0)).length > 0, "no rows");
	await done(page);
	await replay.stop();
});

suite.test("the agent stops, and starts again at the same port: the page says so and goes on by itself", async () => {
	const page = await open("/");
	const before = await agent.json("/api/v1/summary");

	await agent.stop();
	await page.waitForSelector(".alert:has-text('does not answer')");
	truth((await page.textContent("#banner")).includes("dirtyscope agent"), "it says what to do");
	await page.evaluate(AXE);
	equal(await page.evaluate(async () => (await window.axe.run(document)).violations.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => one.id)), [], "axe");
	await agent.start();
	await until(page, () => document.getElementById("state").dataset.state === "live" && !document.querySelector(".alert"));
	const after = await agent.json("/api/v1/summary");

	truth(after.uptime < before.uptime, "another agent answers");
	const seen = new Set();

	await eventually("the numbers change", async () => seen.add(await page.getAttribute(".chart >> nth=0", "aria-label")).size > 2);
	await go(page, "/processes");
	await eventually("another view has rows", async () => (await column(page, 0)).length > 0);
	await done(page, /ERR_|Failed to load resource/);
});

let failed = 1;
try {
	failed = await suite.run();
} finally {
	await browser.close();
	await Promise.all([end(writer, "SIGKILL"), end(loading, "SIGKILL")]);
	await agent.stop();
}
process.exit(failed ? 1 : 0);
