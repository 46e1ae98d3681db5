/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libmicrohttpd knows of a connection, as values. MHD_get_connection_info() points into the
 * connection: since 0.9.76 at one place for all questions, so that what one call returned is
 * another's answer after the next (src/microhttpd/connection.c, connection_info_dummy). Nothing
 * else calls it. For the library's callbacks of that connection.
 */
#ifndef DIRTYSCOPE_API_SERVER_MHD_INFO_H
#define DIRTYSCOPE_API_SERVER_MHD_INFO_H

#include <microhttpd.h>
#include <stddef.h>

/* The library's; -1: none. */
static inline int mhd_info__descriptor(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* Of the client; lives as long as the connection. NULL: none, as on a Unix socket. */
static inline const struct sockaddr *mhd_info__address(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info ? info->client_addr : NULL;
}

/* What exchange__connection() has given it. */
static inline void *mhd_info__context(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Bytes of the request's line and headers; 0: they are not read yet. */
static inline size_t mhd_info__header_size(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info ? info->header_size : 0;
}

#endif
