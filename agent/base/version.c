/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/base/version.h"

#include "revision.h"

const char *dirtyscope_version(void)
{
	return DS_VERSION;
}

const char *dirtyscope_revision(void)
{
	return DS_REVISION;
}
