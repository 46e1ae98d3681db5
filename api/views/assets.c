/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/views/assets.h"

#include <stdio.h>
#include <string.h>

#include "api/views/negotiate.h"
#include "web_hash.h"

#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_CSS "text/css; charset=utf-8"
#define TYPE_SCRIPT "text/javascript; charset=utf-8"

/* path, type, symbol: the name of the file, with _ for what is no letter. */
#define ASSETS(ASSET)                                         \
	ASSET("/", TYPE_HTML, index_html)                     \
	ASSET("/web/style.css", TYPE_CSS, style_css)          \
	ASSET("/web/uplot.css", TYPE_CSS, uplot_css)          \
	ASSET("/web/uplot.js", TYPE_SCRIPT, uplot_js)         \
	ASSET("/web/app.js", TYPE_SCRIPT, app_js)             \
	ASSET("/web/chart.js", TYPE_SCRIPT, chart_js)         \
	ASSET("/web/columns.js", TYPE_SCRIPT, columns_js)     \
	ASSET("/web/data.js", TYPE_SCRIPT, data_js)           \
	ASSET("/web/devices.js", TYPE_SCRIPT, devices_js)     \
	ASSET("/web/dom.js", TYPE_SCRIPT, dom_js)             \
	ASSET("/web/events.js", TYPE_SCRIPT, events_js)       \
	ASSET("/web/flows.js", TYPE_SCRIPT, flows_js)         \
	ASSET("/web/format.js", TYPE_SCRIPT, format_js)       \
	ASSET("/web/map.js", TYPE_SCRIPT, map_js)             \
	ASSET("/web/overview.js", TYPE_SCRIPT, overview_js)   \
	ASSET("/web/policies.js", TYPE_SCRIPT, policies_js)   \
	ASSET("/web/process.js", TYPE_SCRIPT, process_js)     \
	ASSET("/web/processes.js", TYPE_SCRIPT, processes_js) \
	ASSET("/web/sensors.js", TYPE_SCRIPT, sensors_js)     \
	ASSET("/web/table.js", TYPE_SCRIPT, table_js)

#define DECLARE(path, type, symbol)                                                            \
	extern const char _binary_web_assets_##symbol##_start[],                               \
		_binary_web_assets_##symbol##_end[], _binary_web_assets_##symbol##_gz_start[], \
		_binary_web_assets_##symbol##_gz_end[];
ASSETS(DECLARE)

struct asset {
	const char *path, *type;
	struct {
		const char *start, *end;
	} plain, gzip;
};

#define ROW(path, type, symbol)                                                    \
	{path,                                                                     \
	 type,                                                                     \
	 {_binary_web_assets_##symbol##_start, _binary_web_assets_##symbol##_end}, \
	 {_binary_web_assets_##symbol##_gz_start, _binary_web_assets_##symbol##_gz_end}},
static const struct asset assets[] = {ASSETS(ROW)};

static const struct asset *find(const struct route_call *call, const char *path)
{
	if (strcmp(call->method, "GET") != 0 && strcmp(call->method, "HEAD") != 0)
		return NULL;
	if (strcmp(path, "/") == 0 && !accept__html(call->accept))
		return NULL;
	for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++)
		if (strcmp(path, assets[i].path) == 0)
			return &assets[i];
	return NULL;
}

bool assets__answer(const struct route_call *call, const char *path, struct answer *answer)
{
	const struct asset *asset = find(call, path);
	bool gzip = accept__gzip(call->accept_encoding);

	if (!asset)
		return false;
	answer->type = asset->type;
	/* One hash of all files: the page is never made of two builds. */
	snprintf(answer->etag, sizeof(answer->etag), "\"%s%s\"", DS_WEB_HASH, gzip ? "-gzip" : "");
	if (call->if_none_match && strstr(call->if_none_match, answer->etag)) {
		answer->status = 304;
		return true;
	}
	answer->status = 200;
	answer->gzip = gzip;
	if (gzip)
		text__append(&answer->text, asset->gzip.start,
			     (size_t)(asset->gzip.end - asset->gzip.start));
	else
		text__append(&answer->text, asset->plain.start,
			     (size_t)(asset->plain.end - asset->plain.start));
	return true;
}
