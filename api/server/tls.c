/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/server/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)
#define CERT_OPTION "--web.tls-cert-file"
#define KEY_OPTION "--web.tls-key-file"
/* Older versions are broken, or not enabled everywhere. */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct tls {
	char *cert, *key; /* PEM */
};

/* The file as a string, to be freed; NULL: *error says why. */
static char *read_pem(const char *option, const char *path, int *err, struct reason *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *data = NULL;
	ssize_t got = -1;
	size_t length = 0;

	*err = fd < 0 ? -errno : 0;
	if (!*err) {
		data = calloc(1, FILE_MAX + 1);
		*err = data ? 0 : -ENOMEM;
	}
	while (!*err && got && length < FILE_MAX) {
		got = read(fd, data + length, FILE_MAX - length);
		if (got < 0)
			*err = -errno;
		else
			length += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	/* The library reads up to the first NUL byte, so a file that holds one would be read in
	 * part. */
	if (!*err && (length == FILE_MAX || strlen(data) != length)) {
		*err = -EINVAL;
		reason__set(error, "%s: %s is no PEM file", option, path);
	} else if (*err) {
		reason__set(error, "%s: cannot read %s: %s", option, path, strerror(-*err));
	}
	if (*err) {
		free(data);
		data = NULL;
	}
	return data;
}

static gnutls_datum_t datum(char *pem)
{
	return (gnutls_datum_t){.data = (unsigned char *)pem, .size = (unsigned)strlen(pem)};
}

static int refuse(const char *option, const char *path, const char *what, int why,
		  struct reason *error)
{
	reason__set(error, "%s: %s %s: %s", option, path, what, gnutls_strerror(why));
	return why == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

/* One after the other, so that the message can say which file is wrong. */
static int check(const struct tls *tls, const char *cert_file, const char *key_file,
		 struct reason *error)
{
	gnutls_datum_t cert = datum(tls->cert), key = datum(tls->key);
	gnutls_certificate_credentials_t both = NULL;
	gnutls_x509_crt_t *chain = NULL;
	gnutls_x509_privkey_t private_key = NULL;
	unsigned count = 0;
	int why, err = 0;

	why = gnutls_x509_crt_list_import2(&chain, &count, &cert, GNUTLS_X509_FMT_PEM, 0);
	if (why < 0) {
		err = refuse(CERT_OPTION, cert_file, "holds no certificate in PEM", why, error);
		goto cleanup;
	}
	why = gnutls_x509_privkey_init(&private_key);
	if (!why)
		why = gnutls_x509_privkey_import2(private_key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (why) {
		err = refuse(KEY_OPTION, key_file,
			     why == GNUTLS_E_DECRYPTION_FAILED
				     ? "has a passphrase, and nobody could give it"
				     : "holds no private key in PEM",
			     why, error);
		goto cleanup;
	}
	why = gnutls_certificate_allocate_credentials(&both);
	if (!why)
		why = gnutls_certificate_set_x509_key_mem(both, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (why == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
		reason__set(error, KEY_OPTION ": %s is not the key of the certificate in %s",
			    key_file, cert_file);
		err = -EINVAL;
	} else if (why) {
		err = refuse(CERT_OPTION, cert_file, "cannot be used", why, error);
	}
cleanup:
	if (both)
		gnutls_certificate_free_credentials(both);
	if (private_key)
		gnutls_x509_privkey_deinit(private_key);
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	return err;
}

int tls__load(const char *cert_file, const char *key_file, struct tls **out, struct reason *error)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	int err = -ENOMEM;

	if (!tls)
		return err;
	tls->cert = read_pem(CERT_OPTION, cert_file, &err, error);
	if (tls->cert)
		tls->key = read_pem(KEY_OPTION, key_file, &err, error);
	if (tls->key)
		err = check(tls, cert_file, key_file, error);
	if (err) {
		tls__free(tls);
		return err;
	}
	*out = tls;
	return 0;
}

void tls__free(struct tls *tls)
{
	if (!tls)
		return;
	if (tls->key)
		explicit_bzero(tls->key, strlen(tls->key));
	free(tls->key);
	free(tls->cert);
	free(tls);
}

void tls__options(struct tls *tls, struct MHD_OptionItem options[TLS_OPTIONS])
{
	options[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert};
	options[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key};
	options[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES};
	options[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}
