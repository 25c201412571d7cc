/* What every unit test includes before cmocka, and how it runs. */
#ifndef T_UNIT_H
#define T_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* TAP, so that one harness counts units and scripts alike. */
#define RUN_UNITS(tests) \
	(cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests_name("unit", tests, NULL, NULL))

#endif
