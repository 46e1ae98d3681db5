// What the tests of the page and its bench share: TAP, the agent as a child, load, Chromium.
import {spawn} from "node:child_process";
import {once} from "node:events";
import fs from "node:fs";
import path from "node:path";
import {createRequire} from "node:module";

export const BUILD = path.resolve(process.argv[2] ?? "build");
const require = createRequire(path.join(BUILD, "web/tests/node_modules/"));
const {chromium} = require("playwright-core");
export const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

export function equal(got, want, what) {
	if (JSON.stringify(got) !== JSON.stringify(want))
		throw new Error(`${what}: ${JSON.stringify(got)}, expected ${JSON.stringify(want)}`);
}

export function truth(got, what) {
	if (!got)
		throw new Error(what);
}

// Seconds after which nothing that is waited for will come any more. A wait ends when it is there, so this costs nothing.
export const WAIT = 60 * Number(process.env.TEST_PATIENCE ?? 1);

// The first true value of condition(); fails when there is none in time.
export async function eventually(what, condition, seconds = WAIT) {
	const end = Date.now() + 1000 * seconds;

	for (;;) {
		const value = await condition();

		if (value)
			return value;
		if (Date.now() > end)
			throw new Error(`not within ${seconds} s: ${what}`);
		await sleep(0.05);
	}
}

const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGTERM", "SIGINT"])
	process.on(signal, () => process.exit(1));

export function start(command, args, options = {}) {
	const child = spawn(command, args, {stdio: ["pipe", "pipe", "pipe"], ...options});

	children.add(child);
	child.once("exit", () => children.delete(child));
	child.stdin?.on("error", () => {});
	return child;
}

export async function end(child, signal = "SIGTERM") {
	if (child.exitCode !== null || child.signalCode !== null)
		return;
	child.kill(signal);
	await once(child, "exit");
}

export class Agent {
	constructor({port = 0, interval = 0.5, options = []} = {}) {
		Object.assign(this, {port, interval, options});
	}

	async start() {
		this.child = start(path.join(BUILD, "dirtyscope"), ["agent", "--web.listen-address", `127.0.0.1:${this.port}`,
			"--interval", String(this.interval), ...this.options], {stdio: ["ignore", "ignore", "pipe"]});
		let log = "";

		this.child.stderr.on("data", (data) => {
			log += data;
		});
		const url = await eventually("the agent listens", () => {
			if (this.child.exitCode !== null)
				throw new Error(`the agent ended with ${this.child.exitCode}: ${log}`);
			return /msg="?listening"? address="?([^"\s]+)/.exec(log)?.[1];
		});

		this.port = Number(url.replace(/\/$/, "").split(":").at(-1));
		this.url = `http://127.0.0.1:${this.port}`;
		await eventually("the agent is ready", async () => (await fetch(`${this.url}/-/ready`)).status === 200);
		return this;
	}

	stop() {
		return end(this.child);
	}

	async json(target) {
		const answer = await fetch(this.url + target);

		equal(answer.status, 200, `GET ${target}`);
		return answer.json();
	}
}

// Stores into its memory and has the disk read into it.
export async function write(directory, ...names) {
	const child = start("/usr/bin/python3", [new URL("writer.py", import.meta.url).pathname, path.join(directory, "disk"), ...names]);

	await once(child.stdout, "data");
	return child;
}

// Reads past the page cache, and writes, all the time: a disk's DMA, page cache and faults.
export function load(directory) {
	const file = path.join(directory, "load");

	return start("/bin/sh", ["-c", `
		dd if=/dev/urandom of="$0" bs=1M count=32 conv=fsync 2>/dev/null
		while :; do
			dd if="$0" of=/dev/null bs=256K iflag=direct 2>/dev/null
			dd if=/dev/zero of="$0.copy" bs=64K count=64 2>/dev/null
			sleep 0.2
		done`, file], {stdio: "ignore"});
}

export function scratch() {
	const directory = fs.mkdtempSync(path.join(BUILD, "web-"));

	process.on("exit", () => fs.rmSync(directory, {recursive: true, force: true}));
	return directory;
}

export function findBrowser() {
	return BROWSERS.find((name) => fs.existsSync(name));
}

export const browse = () => chromium.launch({executablePath: findBrowser(), args: ["--no-sandbox", "--disable-gpu"]});

// Tests in the order of their definition; one failing does not stop the others.
export class Suite {
	tests = [];

	test(name, run) {
		this.tests.push({name, run});
	}

	async run() {
		const only = process.env.TEST ?? "";
		const tests = this.tests.filter((one) => one.name.includes(only));
		let failed = 0;

		console.log(`1..${tests.length}`);
		for (const [index, {name, run}] of tests.entries()) {
			let notes = [], result = "ok";

			try {
				notes = await run() ?? [];
			} catch (error) {
				result = "not ok";
				failed++;
				notes = (error.stack ?? String(error)).split("\n").slice(0, 8);
			}
			console.log(`${result} ${index + 1} - ${name}`);
			[notes].flat().forEach((note) => console.log(`# ${note}`));
		}
		return failed;
	}
}
