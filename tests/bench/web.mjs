// What the web page costs: node tests/bench/web.mjs build. Real but for what it says it makes up.
import {Agent, browse, end, eventually, load, scratch} from "../web/harness.mjs";
import {generated, fullHistory} from "../web/fakes.mjs";

const ROUNDS = 7, ROWS = 5000;
const agent = await new Agent({interval: 1}).start();
const loading = load(scratch());
const browser = await browse();
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const quartiles = (values) => [...values].sort((a, b) => a - b).filter((_, i, all) => i === all.length >> 2 || i === all.length - 1 - (all.length >> 2));
const line = (what, unit, values, aim) => console.log(`| ${what} | ${median(values).toFixed(0)} ${unit} (${quartiles(values).map((value) => value.toFixed(0)).join(" to ")}) | ${aim} |`);

// A fresh browser context each time: nothing is cached.
async function first(before) {
	const context = await browser.newContext({viewport: {width: 1440, height: 900}});
	const page = await context.newPage();
	const session = await context.newCDPSession(page);
	let bytes = 0;

	await session.send("Network.enable");
	session.on("Network.loadingFinished", (event) => {
		bytes += event.encodedDataLength;
	});
	await before?.(page);
	const begin = performance.now();
	await page.goto(`${agent.url}/`, {waitUntil: "commit"});
	await eventually("numbers", () => page.evaluate(() => /[0-9]/.test(document.querySelector(".tile .big span")?.textContent ?? "")));
	const numbers = performance.now() - begin;

	await eventually("sensors", () => page.evaluate(() => document.querySelector("main")?.textContent.includes("unavailable;")));
	await new Promise((done) => setTimeout(done, 500));
	const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN);

	await context.close();
	return {paint, numbers, bytes};
}

async function sorted() {
	const page = await browser.newPage({viewport: {width: 1440, height: 900}});

	await page.route("**/api/v1/processes?limit=100000", (route) => route.fulfill({json: generated(ROWS)}));
	await page.goto(`${agent.url}/#/processes`);
	await eventually("rows", () => page.evaluate((rows) => document.querySelector("table")?.getAttribute("aria-rowcount") === String(rows), ROWS + 1));
	await page.click("#pause");
	// From the click to the next frame that shows the new order.
	return page.evaluate(async (rounds) => {
		const buttons = [...document.querySelectorAll("th button")];
		const times = [];

		for (let i = 0; i < 3 * rounds; i++) {
			const begin = performance.now();

			buttons[i % buttons.length].click();
			document.body.getBoundingClientRect();
			times.push(performance.now() - begin);
			await new Promise(requestAnimationFrame);
		}
		return times;
	}, ROUNDS);
}

const young = [], full = [];

for (let i = 0; i < ROUNDS; i++) {
	young.push(await first());
	full.push(await first((page) => page.route("**/api/v1/history?*", (route) => route.fulfill({json: fullHistory(Number(new URL(route.request().url()).searchParams.get("lines")))}))));
}
console.log("| the web page, on loopback, nothing cached | median (quartiles) | aim |\n|---|---|---|");
line("first paint", "ms", young.map((one) => one.paint), "1000");
line("first numbers", "ms", young.map((one) => one.numbers), "-");
line("bytes of the first view, a young agent", "KiB", young.map((one) => one.bytes / 1024), "300");
line("the same with 15 minutes of history (made up, 900 points, 16 lines)", "KiB", full.map((one) => one.bytes / 1024), "300");
line("5,000 processes (made up) sorted and drawn anew", "ms", await sorted(), "100");
await browser.close();
await end(loading, "SIGKILL");
await agent.stop();
process.exit(0);
