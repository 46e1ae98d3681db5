/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which Kubernetes pod a cgroup belongs to, without a question to any API: the kubelet names the
 * pod's uid in the cgroup's path, and has a directory NAMESPACE_POD_UID for each pod below
 * /var/log/pods (BuildPodLogsDirectory(), pkg/kubelet/kuberuntime/helpers.go) and a link
 * POD_NAMESPACE_CONTAINER-ID.log for each container below /var/log/containers
 * (logSymlink(), the same folder).
 *
 * Owned by one thread. A directory is read again when it has changed and a pod is asked for that
 * was not in it.
 */
#ifndef DIRTYSCOPE_AGENT_HOST_PODS_H
#define DIRTYSCOPE_AGENT_HOST_PODS_H

#include <stdbool.h>

#define POD_UID_LENGTH 36 /* at most: a static pod's has 32 digits and no dash */

struct pod {
	const char *namespace, *name;
	const char *container; /* its name; NULL: not known, as of a pod's sandbox */
};

struct pods;
/* logs: "/var/log"; alive as long as it. NULL when memory is short. */
struct pods *pods__new(const char *logs);
void pods__free(struct pods *pods);
/* Of a cgroup's path. The strings are valid until the next call. False: no pod, or not known. */
bool pods__find(struct pods *pods, const char *cgroup, struct pod *pod);

/* The uid of the pod in a cgroup's path, with dashes. False: none. */
bool pods__uid(const char *cgroup, char uid[POD_UID_LENGTH + 1]);

#endif
