// The pictures of dashboards/README.md: node tests/web/pictures.mjs build. A real agent and real load; takes two minutes.
import fs from "node:fs";
import path from "node:path";
import {Agent, browse, end, load, scratch, sleep, write} from "./harness.mjs";

const OUT = "dashboards/web/screenshots";
const directory = scratch();
const token = path.join(directory, "token");
fs.writeFileSync(token, "of-the-pictures-only-0123456789abcdef\n", {mode: 0o600});
const agent = await new Agent({interval: 1, options: ["--web.token-file", token]}).start();
const loading = load(directory), writer = await write(directory, "database");
const browser = await browse();

const post = (target, body) => fetch(agent.url + target, {method: "POST", body: JSON.stringify(body),
	headers: {Authorization: `Bearer ${fs.readFileSync(token, "utf8").trim()}`, "Content-Type": "application/json"}}).then((answer) => answer.json());

async function open(view, scheme, width, height) {
	const page = await browser.newPage({viewport: {width, height}, colorScheme: scheme});

	await page.goto(`${agent.url}/#${view}`);
	return page;
}

await sleep(90);
const track = await post("/api/v1/tracks", {target: {pid: writer.pid}});
const map = await open(`/processes/${writer.pid}`, "dark", 1100, 900);

for (let epoch = 0; epoch < 4; epoch++) {
	await sleep(1.5);
	await post(`/api/v1/tracks/${track.id}/collect`, {});
}
await sleep(2);
await map.locator("section[aria-label='Its memory, page by page']").screenshot({path: `${OUT}/map.png`});
await map.close();
for (const [scheme, width, height] of [["light", 1200, 760], ["dark", 1200, 760], ["dark", 390, 760]]) {
	const page = await open("/", scheme, width, height);

	await sleep(6);
	await page.screenshot({path: `${OUT}/overview-${scheme}-${width}.png`});
	await page.close();
}
const flows = await open("/flows", "light", 1100, 700);

await sleep(4);
await flows.locator("section[aria-label='Device to process']").screenshot({path: `${OUT}/flows.png`});
await browser.close();
await Promise.all([end(writer, "SIGKILL"), end(loading, "SIGKILL")]);
await agent.stop();
process.exit(0);
