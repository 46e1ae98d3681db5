/* SPDX-License-Identifier: BSD-2-Clause */
/* A certificate and its key, checked before the HTTP library is given them. */
#ifndef DIRTYSCOPE_API_SERVER_TLS_H
#define DIRTYSCOPE_API_SERVER_TLS_H

#include <microhttpd.h>
#include <stddef.h>

#include "agent/base/reason.h"

struct tls;
/*
 * Reads two PEM files. An expired certificate is taken: whether it is good is for the clients to
 * say. 0, or a negative errno with a sentence in error[size] that names the option: -EINVAL for
 * what is no certificate, no key, or not the key of this certificate.
 */
int tls__load(const char *cert_file, const char *key_file, struct tls **out, struct reason *error);
/* Overwrites the key. NULL is fine. */
void tls__free(struct tls *tls);

#define TLS_OPTIONS 4
/* What MHD_start_daemon takes beside MHD_USE_TLS; points into *tls, which must outlive the daemon.
 */
void tls__options(struct tls *tls, struct MHD_OptionItem options[TLS_OPTIONS]);

#endif
