// Nodes without markup: what a host says (a comm, a message) only ever becomes text.

export function h(tag, properties, ...children) {
	const node = document.createElement(tag);
	fill(node, properties);
	add(node, children);
	return node;
}

export function svg(tag, properties, ...children) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	fill(node, properties);
	add(node, children);
	return node;
}

function fill(node, properties) {
	for (const [name, value] of Object.entries(properties ?? {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name.startsWith("on"))
			node.addEventListener(name.slice(2), value);
		else
			node.setAttribute(name, value === true ? "" : value);
	}
}

function add(node, children) {
	for (const child of children.flat(Infinity)) {
		if (child !== null && child !== undefined && child !== false)
			node.append(child);
	}
}

// Touches the document only when something changes.
export function setText(node, text) {
	if (node.firstChild?.nodeType === 3 && !node.firstChild.nextSibling) {
		if (node.firstChild.data !== text)
			node.firstChild.data = text;
	} else {
		node.textContent = text;
	}
}

export function setAttribute(node, name, value) {
	if (value === null || value === undefined || value === false)
		node.removeAttribute(name);
	else if (node.getAttribute(name) !== String(value))
		node.setAttribute(name, value);
}

export function replace(node, ...children) {
	node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

// A titled box: panel("Sensors", "events", body).
export function panel(title, unit, ...body) {
	return h("section", {class: "panel", "aria-label": title},
		h("div", {class: "top"}, h("h2", null, title), unit && h("span", {class: "unit"}, unit)), body);
}

export function facts(pairs) {
	return h("dl", {class: "facts"}, pairs.filter((pair) => pair[1] !== null && pair[1] !== "")
		.map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

export function css(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
