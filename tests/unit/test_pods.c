/* SPDX-License-Identifier: BSD-2-Clause */
/* Pods by the paths of cgroups and the names of files, as kubelets and runtimes write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host/pods.h"
#include "tests/unit/tree.h"

#define UID "0aa26c8a-86b5-4d5c-8d36-0d2b7a1c9f4e"
#define UID_OF_SYSTEMD "0aa26c8a_86b5_4d5c_8d36_0d2b7a1c9f4e"
#define UID_STATIC "5f3c1d2e4b6a798001122334455667f8"
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_SANDBOX "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void uids_of_paths(void **state)
{
	static const struct {
		const char *path, *uid; /* NULL: none */
	} cases[] = {
		{"/kubepods/burstable/pod" UID "/" ID, UID},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_OF_SYSTEMD
		 ".slice/cri-containerd-" ID ".scope",
		 UID},
		{"/kubepods.slice/kubepods-pod" UID_OF_SYSTEMD ".slice", UID},
		{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
		 "kubelet-kubepods-burstable-pod" UID_STATIC ".slice/crio-" ID ".scope",
		 UID_STATIC},
		{"/", NULL},
		{"", NULL},
		{"/system.slice/podman.service", NULL},
		{"/machine.slice/libpod-" ID ".scope", NULL},
		{"/kubepods/pod", NULL},
		{"/kubepods/pod" UID "0", NULL},
		{"/kubepods/xpod" UID, NULL},
		{"/kubepods/podzaa26c8a-86b5-4d5c-8d36-0d2b7a1c9f4e", NULL},
	};
	char uid[POD_UID_LENGTH + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(pods__uid(cases[i].path, uid), cases[i].uid != NULL);
		if (cases[i].uid)
			assert_string_equal(uid, cases[i].uid);
	}
}

static void names_of_files(void **state)
{
	static const char path[] = "/kubepods/burstable/pod" UID "/" ID;
	struct tree tree;
	struct pods *pods;
	struct pod pod;

	tree__new(&tree);
	pods = pods__new(tree.root);
	assert_false(pods__find(pods, path, &pod)); /* no kubelet */
	tree__puts(&tree, "pods/shop_cart-7d4b9c-x2x_" UID "/cart/0.log", "");
	tree__puts(&tree, "pods/a_b_c/x", "");
	tree__puts(&tree, "pods/_", "");
	tree__puts(&tree, "pods/kube-system_etcd-m_" UID_STATIC "/etcd/0.log", "");
	tree__puts(&tree, "containers/cart-7d4b9c-x2x_shop_cart-" ID ".log", "");
	tree__puts(&tree, "containers/-_.log", "");
	assert_true(pods__find(pods, path, &pod));
	assert_string_equal(pod.namespace, "shop");
	assert_string_equal(pod.name, "cart-7d4b9c-x2x");
	assert_string_equal(pod.container, "cart");
	assert_true(pods__find(pods, "/kubepods/burstable/pod" UID "/" ID_SANDBOX, &pod));
	assert_null(pod.container);
	assert_true(pods__find(pods, "/kubepods/pod" UID_STATIC, &pod));
	assert_string_equal(pod.name, "etcd-m");
	assert_null(pod.container);
	assert_false(pods__find(pods, "/system.slice", &pod));
	pods__free(pods);
	tree__remove(&tree, ".");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uids_of_paths),
		cmocka_unit_test(names_of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
