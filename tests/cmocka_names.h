/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of cmocka 2, for cmocka 1 as well. After cmocka.h. */
#ifndef DIRTYSCOPE_TESTS_CMOCKA_NAMES_H
#define DIRTYSCOPE_TESTS_CMOCKA_NAMES_H

/* The old name is deprecated in 2.0, which has one for each sign. */
#ifndef assert_uint_in_range
#define assert_uint_in_range(value, least, most) assert_in_range(value, least, most)
#endif

#endif
