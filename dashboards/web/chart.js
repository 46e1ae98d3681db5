// Lines over time by uPlot, with a legend that keyboards reach and readers read; and sparklines.
import {h, setText, setAttribute, css} from "./dom.js";
import {short, rate as formatRate} from "./format.js";

// What every chart of the page shows: the last `range` seconds, or what was dragged over.
export const view = new EventTarget();
Object.assign(view, {range: 900, zoom: null});

export function setRange(seconds) {
	view.range = seconds;
	setZoom(null);
}

function setZoom(zoom) {
	view.zoom = zoom;
	view.dispatchEvent(new Event("change"));
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const charts = new Set();
dark.addEventListener("change", () => charts.forEach((chart) => chart.plot?.redraw(false)));

/*
 * series: [{name, color: "--cpu", class, fill, dash}]; unit: of the axis and the legend.
 * Returns {element, legend, set(columns), destroy}.
 */
export function chart({title, series, unit, height = 220, format = formatRate, axis = short, log = false, min = 1}) {
	const body = h("div", {class: "chart", role: "img"});
	const state = {plot: null, columns: null, log, shown: series.map(() => true)};
	const legend = series.map((one, index) => legendItem(one, index));
	const reset = h("button", {type: "button", hidden: true, onclick: () => setZoom(null)}, "Whole range");
	const scale = h("button", {type: "button", class: "log", "aria-pressed": String(log), title: "Logarithmic axis", onclick: toggleLog}, "log");

	function legendItem(one, index) {
		const value = h("b", null, "");
		const button = h("button", {type: "button", class: one.class, "aria-pressed": "true", title: one.help ?? `Show or hide ${one.name}`,
			onclick: () => {
				state.shown[index] = !state.shown[index];
				button.setAttribute("aria-pressed", String(state.shown[index]));
				state.plot?.setSeries(index + 1, {show: state.shown[index]});
			}},
		h("span", {class: "swatch", "aria-hidden": "true"}), `${one.name} `, value);

		return {button, value};
	}

	function toggleLog() {
		state.log = !state.log;
		scale.setAttribute("aria-pressed", String(state.log));
		rebuild();
	}

	function span() {
		const now = state.columns?.[0].at(-1) ?? Date.now() / 1000;

		// A young agent's few points take the whole width.
		return view.zoom ?? [Math.max(now - view.range, Math.min(state.columns?.[0][0] ?? now, now - 30)), now];
	}

	function options(width) {
		const grid = {stroke: () => css("--line-2"), width: 1};
		const ink = () => css("--ink-3");
		const font = "11px system-ui, sans-serif";

		return {
			width, height,
			legend: {show: false},
			padding: [10, 22, 0, 0],
			cursor: {sync: {key: "time"}, points: {size: 5}, drag: {x: true, y: false, setScale: false}},
			scales: {
				x: {time: true, range: () => span()},
				y: {distr: state.log ? 4 : 1, asinh: 1, range: (u, low, high) => [0, Math.max(min, (high ?? 0) * 1.06)]},
			},
			axes: [
				{stroke: ink, grid, ticks: {show: false}, font, size: 24, space: 70,
					values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]]},
				{stroke: ink, grid, ticks: {show: false}, font, size: 52, space: 34,
					values: (u, splits) => splits.map((value) => value === null ? "" : axis(value))},
			],
			series: [{}, ...series.map((one, index) => ({
				label: one.name, show: state.shown[index], width: one.width ?? 1.5, dash: one.dash, points: {show: false}, spanGaps: false,
				stroke: () => css(one.color),
				fill: one.fill && (() => `${css(one.color)}26`),
			}))],
			hooks: {
				setCursor: [(u) => showValues(u.cursor.idx)],
				setSelect: [(u) => {
					if (u.select.width > 4)
						setZoom([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]);
					u.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
				}],
			},
		};
	}

	function showValues(index) {
		legend.forEach(({value}, i) => {
			const column = state.columns?.[i + 1];
			const shown = column?.[index ?? column.length - 1];

			setText(value, shown === undefined ? "" : format(shown));
		});
	}

	function rebuild() {
		const width = body.clientWidth;

		if (!state.columns || !width)
			return;
		state.plot?.destroy();
		state.plot = new window.uPlot(options(width), state.columns, body);
		showValues(null);
	}

	function draw() {
		setAttribute(reset, "hidden", !view.zoom);
		if (!state.columns)
			return;
		if (!state.plot)
			return rebuild();
		state.plot.setData(state.columns);
		showValues(state.plot.cursor.idx);
	}

	const observer = new ResizeObserver(() => {
		if (!state.plot)
			rebuild();
		else if (body.clientWidth && body.clientWidth !== state.plot.width)
			state.plot.setSize({width: body.clientWidth, height});
	});

	setAttribute(body, "aria-label", title);
	body.style.height = `${height}px`;
	observer.observe(body);
	view.addEventListener("change", draw);
	charts.add(state);
	return {
		element: body,
		legend: h("div", {class: "legend", role: "group", "aria-label": `${title}: lines`}, legend.map((one) => one.button), scale, reset),
		set(columns) {
			state.columns = columns;
			draw();
			const now = series.map((one, i) => `${one.name} ${format(columns[i + 1].at(-1) ?? null)}`);
			setAttribute(body, "aria-label", `${title}, ${unit}. Now: ${now.join(", ")}.`);
		},
		destroy() {
			observer.disconnect();
			view.removeEventListener("change", draw);
			charts.delete(state);
			state.plot?.destroy();
		},
	};
}

// A titled box around a chart, its lines in the title's row.
export function chartPanel(title, made, unit) {
	return h("section", {class: "panel", "aria-label": title},
		h("div", {class: "top"}, h("h2", null, title), h("span", {class: "unit"}, unit), h("span", {class: "grow"}), made.legend),
		made.element);
}

// A view that draws slower than the agent samples misses a value here and there: such short gaps are joined.
export function bridge(line, most = 4) {
	const joined = [...line];

	for (let i = 1, from = 0; i < line.length; i++) {
		if (line[i] === null)
			continue;
		if (line[from] !== null && i - from > 1 && i - from <= most)
			for (let k = from + 1; k < i; k++)
				joined[k] = line[from] + (line[i] - line[from]) * (k - from) / (i - from);
		from = i;
	}
	return joined;
}

const SPARK_POINTS = 96;

// The last points of a line, a column each, on a canvas of a table's row; nothing where it is not known.
// Its height is the row's own maximum.
export function spark(canvas, line, color) {
	const ratio = window.devicePixelRatio || 1;
	const width = SPARK_POINTS * ratio, height = 20 * ratio;

	if (canvas.width !== width || canvas.height !== height) {
		canvas.width = width;
		canvas.height = height;
	}
	const context = canvas.getContext("2d");

	context.clearRect(0, 0, width, height);
	if (!line)
		return;
	const values = line.slice(-SPARK_POINTS);
	const high = Math.max(1, ...values.map((value) => value ?? 0));
	const left = SPARK_POINTS - values.length;

	context.fillStyle = color;
	values.forEach((value, i) => {
		if (value === null)
			return;
		const top = Math.round((1 - value / high) * (height - 2 * ratio));

		context.globalAlpha = 0.3;
		context.fillRect((left + i) * ratio, top, ratio, height - top);
		context.globalAlpha = 1;
		context.fillRect((left + i) * ratio, top, ratio, 1.5 * ratio);
	});
}
