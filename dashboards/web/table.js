// A table of any length: only the rows in sight are nodes. Sorted by its headers, filtered by a text.
import {h, setText, setAttribute, css} from "./dom.js";
import {spark} from "./chart.js";
import {get} from "./data.js";

const SPARE = 8; // rows beyond the edges
const ASKED = 40; // rows beyond these that the agent is asked for
const SETTLE = 50; // ms in which what is typed and scrolled becomes one question

/*
 * columns: [{id, title, help, width, num, text: (row) => string, value: (row) => number or string,
 *   href, line: (row) => points of a sparkline, tone, hint, narrow: false hides it on a phone}]
 * options: {name, key: (row) => string, sort, descending, search: (row) => string, empty, short, remember, lead,
 *   ask: () => shows what `load()` gives; the agent sorts and filters, and tells only the rows near the ones in sight}
 */
export class Table {
	constructor(columns, options) {
		const kept = remembered.get(options.remember) ?? {};

		this.columns = arranged(columns, options.lead);
		this.options = options;
		this.rows = [];
		this.order = []; // those that are here, from number `offset` on
		this.offset = this.count = 0;
		this.pool = [];
		this.sort = kept.sort ?? options.sort;
		this.descending = kept.descending ?? options.descending ?? true;
		this.needle = kept.needle ?? "";
		this.total = h("span", {class: "quiet", "aria-live": "off"});
		this.filter = h("input", {type: "search", placeholder: "Filter  /", "aria-label": `Filter ${options.name}`, class: "filter",
			oninput: () => this.setFilter(this.filter.value)});
		this.filter.value = this.needle;
		this.headers = this.columns.map((column) => this.header(column));
		this.above = h("tr", {class: "pad", "aria-hidden": "true"}, h("td", {colspan: this.columns.length}));
		this.below = this.above.cloneNode(true);
		this.body = h("tbody", null, this.above, this.below);
		this.empty = h("div", {class: "empty", hidden: true});
		this.table = h("table", null, h("caption", {class: "hide"}, options.name),
			h("colgroup", null, this.columns.map((column) => this.col(column))),
			h("thead", null, h("tr", {"aria-rowindex": 1}, this.headers)), this.body);
		this.table.style.minWidth = `${this.columns.reduce((all, column) => all + (column.width ?? 120), 0)}px`;
		this.element = h("div", {class: options.short ? "scroll short" : "scroll", tabindex: 0, role: "region", "aria-label": options.name},
			this.table, this.empty);
		this.element.addEventListener("scroll", () => this.schedule(), {passive: true});
		this.observer = new ResizeObserver(() => this.schedule());
		this.observer.observe(this.element);
		this.showSort();
	}

	destroy() {
		this.observer.disconnect();
		cancelAnimationFrame(this.frame);
		clearTimeout(this.asking);
	}

	col(column) {
		const col = h("col");

		if (!column.grow)
			col.style.width = `${column.width ?? 120}px`;
		return col;
	}

	header(column) {
		return h("th", {scope: "col", class: column.num && "num", title: column.help},
			(this.options.ask ? column.by : column.value) ? h("button", {type: "button", onclick: () => this.sortBy(column.id)}, column.title) : column.title);
	}

	sortBy(id) {
		const column = this.columns.find((one) => one.id === id);

		this.descending = this.sort === id ? !this.descending : Boolean(column.num);
		this.sort = id;
		this.change();
	}

	setFilter(text) {
		this.needle = text;
		this.element.scrollTop = 0;
		this.change();
	}

	change() {
		this.keep();
		if (!this.options.ask)
			return this.arrange();
		this.showSort();
		this.ask();
	}

	ask() {
		this.asking ??= setTimeout(() => {
			this.asking = null;
			this.options.ask();
		}, SETTLE);
	}

	// What to ask the agent for: parameters of one of its lists.
	query() {
		const by = this.columns.find((column) => column.id === this.sort)?.by;
		const [first, last] = this.inSight();
		const offset = Math.max(0, first - ASKED);

		return new URLSearchParams({...by && {sort: by}, order: this.descending ? "desc" : "asc", offset, limit: last + ASKED - offset,
			...this.needle.trim() && {filter: this.needle.trim()}});
	}

	keep() {
		if (this.options.remember)
			remembered.set(this.options.remember, {sort: this.sort, descending: this.descending, needle: this.needle});
	}

	showSort() {
		this.columns.forEach((column, i) => setAttribute(this.headers[i], "aria-sort",
			column.id === this.sort && (this.descending ? "descending" : "ascending")));
	}

	// The answer of the agent's list at that path; null when other rows were asked for meanwhile.
	async load(path) {
		const turn = this.turn = (this.turn ?? 0) + 1;
		const answer = await get(`${path}?${this.query()}`);

		return turn === this.turn ? answer : null;
	}

	set(rows) {
		this.rows = rows;
		this.arrange();
	}

	// An answer of `load()`: {total, offset} of it, and its rows.
	setSome({total, offset}, rows) {
		this.order = rows;
		this.offset = offset;
		this.show(total, this.needle.trim() ? `${total} found` : `${total}`);
	}

	arrange() {
		const needle = this.needle.trim().toLowerCase();
		const {search, key} = this.options;
		const value = this.columns.find((column) => column.id === this.sort)?.value ?? key;
		const way = this.descending ? -1 : 1;
		const rows = needle ? this.rows.filter((row) => search(row).toLowerCase().includes(needle)) : this.rows;
		const keyed = rows.map((row) => ({row, by: value(row), tie: key(row)}));

		performance.mark("sort-begin");
		keyed.sort((a, b) => way * compare(a.by, b.by) || compare(a.tie, b.tie));
		performance.measure("sort", "sort-begin");
		this.order = keyed.map((one) => one.row);
		this.show(rows.length, needle ? `${rows.length} of ${this.rows.length}` : `${rows.length}`);
	}

	show(count, total) {
		this.count = count;
		setText(this.total, total);
		setAttribute(this.table, "aria-rowcount", count + 1);
		this.showSort();
		this.empty.hidden = count > 0;
		if (!count)
			this.empty.replaceChildren(this.needle.trim() ? `Nothing holds “${this.needle}”. Clear the filter to see all.` : this.options.empty);
		this.draw();
	}

	schedule() {
		cancelAnimationFrame(this.frame);
		this.frame = requestAnimationFrame(() => this.draw());
	}

	// The first row that has a node, and the one behind the last.
	inSight() {
		const height = this.rowHeight ?? 27;
		const first = Math.max(0, Math.floor(this.element.scrollTop / height) - SPARE);

		return [first, first + Math.ceil((this.element.clientHeight || 600) / height) + 2 * SPARE];
	}

	// Rows keep their nodes as the table is scrolled or changes: what stays the same is not touched.
	draw() {
		const height = this.rowHeight ?? 27;
		const [first, end] = this.inSight();
		const last = Math.min(this.count, end);

		if (this.options.ask && last > first && (first < this.offset || last > this.offset + this.order.length))
			this.ask();

		while (this.pool.length < last - first)
			this.pool.push(this.makeRow());
		this.pool.forEach((row, i) => {
			const index = first + i;

			if (index >= last)
				row.node.hidden = true;
			else
				this.fill(row, this.order[index - this.offset], index);
		});
		this.above.hidden = first === 0;
		this.above.firstChild.style.height = `${first * height}px`;
		this.below.hidden = last >= this.count;
		this.below.firstChild.style.height = `${(this.count - last) * height}px`;
		if (!this.rowHeight && last > first && this.pool[0].node.offsetHeight) {
			this.rowHeight = this.pool[0].node.offsetHeight;
			if (this.rowHeight !== height)
				this.draw();
		}
	}

	makeRow() {
		const cells = this.columns.map((column) => {
			const content = column.line ? h("canvas", {role: "presentation"}) : column.href ? h("a") : null;

			return {td: h("td", {class: column.num && "num"}, content), content};
		});
		const node = h("tr", null, cells.map((cell) => cell.td));

		this.below.before(node);
		return {node, cells};
	}

	fill({node, cells}, row, index) {
		node.hidden = false;
		setAttribute(node, "aria-rowindex", index + 2);
		setAttribute(node, "aria-busy", !row); // scrolled to, and not here yet
		node.style.visibility = row ? "" : "hidden";
		if (!row)
			return;
		setAttribute(node, "class", this.options.off?.(row) && "off");
		this.columns.forEach((column, i) => {
			const {td, content} = cells[i];

			if (column.line) {
				spark(content, column.line(row), css(column.tone));
				return;
			}
			setText(content ?? td, column.text(row));
			if (column.href)
				setAttribute(content, "href", column.href(row));
			if (column.hint)
				setAttribute(td, "title", column.hint(row));
			if (column.mark)
				setAttribute(td, "class", `${column.num ? "num " : ""}${column.mark(row) ?? ""}`);
		});
	}
}

// On a phone, and where there is little room, the column that matters most stands beside the name.
function arranged(columns, lead) {
	if (innerWidth > 700 && !lead)
		return columns;
	const first = columns.find((column) => column.first), rest = columns.filter((column) => (column.narrow !== false || innerWidth > 700) && !column.first);

	return first ? [rest[0], first, ...rest.slice(1)] : rest;
}

// Sort and filter of a view stay while others are looked at.
const remembered = new Map();

function compare(a, b) {
	// What is not known sorts below all that is.
	if (a === null || b === null)
		return (a !== null) - (b !== null);
	return a < b ? -1 : a > b ? 1 : 0;
}
