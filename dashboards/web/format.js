// Numbers with their units, and the writers with their names and colours.

export const PAGE = 4096;

export const WRITERS = [
	{key: "cpu", name: "CPU", color: "--cpu", help: "write faults in user and kernel mode"},
	{key: "pagecache", name: "page cache", color: "--cache", help: "pages of files that went from clean to dirty"},
	{key: "blockdev", name: "block-device cache", color: "--block", help: "the same of block devices themselves: metadata, raw writes"},
	{key: "dma", name: "device", color: "--dma", help: "pages that devices wrote by DMA because a process asked"},
];

const whole = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
const tenth = new Intl.NumberFormat("en-US", {minimumFractionDigits: 1, maximumFractionDigits: 1});
export const UNKNOWN = "–";

export function count(value) {
	return value === null || value === undefined ? UNKNOWN : whole.format(value);
}

export function rate(value) {
	if (value === null || value === undefined)
		return UNKNOWN;
	return value === 0 ? "0" : value < 100 ? tenth.format(value) : whole.format(value);
}

// Short, for axes: 1.5k, 20k, 3M.
export function short(value) {
	const size = Math.abs(value);

	for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
		if (size >= unit)
			return `${+(value / unit).toPrecision(3)}${letter}`;
	}
	return `${+value.toPrecision(3)}`;
}

export function bytes(value) {
	if (value === null || value === undefined)
		return UNKNOWN;
	for (const [unit, name] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
		if (value >= unit)
			return `${value >= 100 * unit ? whole.format(value / unit) : tenth.format(value / unit)} ${name}`;
	}
	return `${whole.format(value)} B`;
}

export const pageBytes = (pages) => bytes(pages * PAGE);

export function percent(share) {
	return !Number.isFinite(share) ? UNKNOWN : `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function clock(date) {
	return date.toLocaleTimeString("en-GB");
}

export function when(text) {
	const date = new Date(text);
	const today = date.toDateString() === new Date().toDateString();

	return today ? clock(date) : `${date.toLocaleDateString("en-CA")} ${clock(date)}`;
}

export function duration(seconds) {
	const s = Math.floor(seconds);

	if (s < 60)
		return `${s} s`;
	if (s < 3600)
		return `${Math.floor(s / 60)} min ${s % 60} s`;
	if (s < 86400)
		return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
	return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export const sum = (object) => object.cpu + object.pagecache + object.blockdev + object.dma;

// Written by CPUs, its three kinds added up, where the API tells them apart.
export function written(process) {
	const {cpu, ...others} = process.written;

	return {cpu: typeof cpu === "number" ? cpu : cpu.first_touch + cpu.rewrite + cpu.kernel, ...others};
}
