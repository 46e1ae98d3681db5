/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an epoch costs by each backend that finds pages, here and now: measured on memory of the
 * agent's own, in some milliseconds. Kernels and hypervisors differ in it by a factor of ten.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_CPU_BACKEND_COST_H
#define DIRTYSCOPE_AGENT_TRACKS_CPU_BACKEND_COST_H

enum measured_backend {
	MEASURED_PAGEMAP_SCAN,
	MEASURED_SOFT_DIRTY,
	MEASURED_BACKENDS,
};

struct backend_cost {
	const char *backend;	 /* static: its name as in the table of backends */
	const char *unknown;	 /* static: why it was not measured; NULL: it was */
	double scan_ns_per_page; /* of reading and beginning anew, a page in 256 written */
	double fault_ns;	 /* the first write to a page after that, for who writes it */
};

struct backend_costs {
	struct backend_cost rows[MEASURED_BACKENDS];
};

/*
 * Takes 16 MiB for as long as it runs. Each figure is the least of several, since other work can
 * only add to it. Clears the soft-dirty bits of the agent itself. For one thread at a time.
 */
void backend_costs__measure(struct backend_costs *costs);

#endif
