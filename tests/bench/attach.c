// SPDX-License-Identifier: BSD-2-Clause
/* "attach OBJECT": attaches every program of it, prints "attached", waits for the end of its input.
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct bpf_object *object = argc == 2 ? bpf_object__open(argv[1]) : NULL;
	struct bpf_program *program;
	int err = 1;
	char c;

	if (!object || bpf_object__load(object))
		goto cleanup;
	bpf_object__for_each_program(
		program, object) if (!bpf_program__attach(program)) /* detached by our end */
		goto cleanup;
	puts("attached");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	err = 0;
cleanup:
	if (err)
		perror("attach");
	bpf_object__close(object);
	return err;
}
