/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which mappings of a hypervisor hold its guest's memory. QEMU does not say; what it maps is told
 * by the names that it gives (memfd:pc.ram), by the files that its arguments name, by huge pages,
 * and by the sizes that its arguments have. Video memory and firmware are not found.
 */
#ifndef DIRTYSCOPE_AGENT_TRACKS_GUEST_GUEST_RAM_H
#define DIRTYSCOPE_AGENT_TRACKS_GUEST_GUEST_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tracks/base/address_ranges.h"
#include "agent/tracks/shared/maps.h"

struct guest_ram;

/*
 * Of a process, by its arguments as they are now. 0; -ENOENT: it runs no virtual machine; -ESRCH,
 * -ENOMEM.
 */
int guest_ram__new(const char *procfs, uint32_t tgid, struct guest_ram **out);
void guest_ram__free(struct guest_ram *ram);
/* The machine's name; lives as long as ram. */
const char *guest_ram__name(const struct guest_ram *ram);
/*
 * Instead of what *ranges has: where the memory is among these mappings, which are all that the
 * process has, in the order of addresses. None: it was not found. -ENOMEM, or 0.
 */
int guest_ram__find(const struct guest_ram *ram, const struct map_region *regions, size_t count,
		    struct address_ranges *ranges);

#endif
