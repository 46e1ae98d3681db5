/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of users, from the host's passwd file only. getpwuid_r() would ask NSS, which may wait for
 * a directory server for seconds, in the middle of a sample; users of such servers have no name
 * here.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_USERS_H
#define DIRTYSCOPE_AGENT_HOST_USERS_H

#include <stdint.h>

struct procfs_users;
/* passwd: "/etc/passwd", or the host's as an agent in a container sees it. NULL when memory is
 * short. */
struct procfs_users *procfs_users__new(const char *passwd);
void procfs_users__free(struct procfs_users *users);
/* Reads the file again when it has changed; what cannot be read leaves the names of before. */
void procfs_users__refresh(struct procfs_users *users);
/* Its number when the uid has no name. Valid until the next call; one thread only. */
const char *procfs_users__name(struct procfs_users *users, uint32_t uid);

#endif
