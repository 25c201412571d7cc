/* etcdlocker: the supervisor's state table and the outcome table. */
#include "etcdlocker/outcome.h"
#include "etcdlocker/states.h"

#include "unit.h"

#include <stdbool.h>

/* The contract, written out a second time: state, event, next state, action. Everything else changes nothing. */
static const struct {
	enum sup_state state;
	enum sup_event event;
	enum sup_state next;
	enum sup_action action;
} contract[] = {
	{ SUP_ACQUIRING, EV_ACQUIRED, SUP_STARTING, ACT_START },
	{ SUP_ACQUIRING, EV_NOT_ACQUIRED, SUP_DONE, ACT_EXIT },
	{ SUP_ACQUIRING, EV_RELOCK, SUP_RESTING, ACT_REST },
	{ SUP_ACQUIRING, EV_STOP, SUP_RELEASING, ACT_RELEASE },
	{ SUP_ACQUIRING, EV_LOST, SUP_RELEASING, ACT_RELEASE },
	{ SUP_STARTING, EV_STARTED, SUP_RUNNING, ACT_NONE },
	{ SUP_STARTING, EV_START_FAILED, SUP_SWEEPING, ACT_NONE },
	{ SUP_STARTING, EV_EXPIRING, SUP_TERMINATING, ACT_STOP },
	{ SUP_STARTING, EV_LOST, SUP_KILLING, ACT_KILL },
	{ SUP_STARTING, EV_STOP, SUP_KILLING, ACT_KILL },
	{ SUP_STARTING, EV_STOP_AGAIN, SUP_KILLING, ACT_KILL },
	{ SUP_RUNNING, EV_COMMAND_ENDED, SUP_SWEEPING, ACT_SWEEP },
	{ SUP_RUNNING, EV_STOP, SUP_TERMINATING, ACT_STOP },
	{ SUP_RUNNING, EV_EXPIRING, SUP_TERMINATING, ACT_STOP },
	{ SUP_RUNNING, EV_PING_FAILED, SUP_TERMINATING, ACT_STOP },
	{ SUP_RUNNING, EV_LOST, SUP_KILLING, ACT_KILL },
	{ SUP_TERMINATING, EV_STOP, SUP_TERMINATING, ACT_FORWARD },
	{ SUP_TERMINATING, EV_STOP_AGAIN, SUP_KILLING, ACT_KILL },
	{ SUP_TERMINATING, EV_LOST, SUP_KILLING, ACT_KILL },
	{ SUP_TERMINATING, EV_GRACE_OVER, SUP_KILLING, ACT_KILL },
	{ SUP_TERMINATING, EV_COMMAND_ENDED, SUP_SWEEPING, ACT_SWEEP },
	{ SUP_TERMINATING, EV_START_FAILED, SUP_SWEEPING, ACT_NONE },
	{ SUP_SWEEPING, EV_TREE_EMPTY, SUP_RELEASING, ACT_RELEASE },
	{ SUP_SWEEPING, EV_STOP_AGAIN, SUP_KILLING, ACT_KILL },
	{ SUP_SWEEPING, EV_LOST, SUP_KILLING, ACT_KILL },
	{ SUP_SWEEPING, EV_GRACE_OVER, SUP_KILLING, ACT_KILL },
	{ SUP_KILLING, EV_TREE_EMPTY, SUP_RELEASING, ACT_RELEASE },
	{ SUP_SWEEPING, EV_TREE_EMPTY_RESTART, SUP_PAUSING, ACT_PAUSE },
	{ SUP_KILLING, EV_TREE_EMPTY_RESTART, SUP_PAUSING, ACT_PAUSE },
	{ SUP_PAUSING, EV_STOP, SUP_RELEASING, ACT_RELEASE },
	{ SUP_PAUSING, EV_EXPIRING, SUP_RELEASING, ACT_RELEASE },
	{ SUP_PAUSING, EV_LOST, SUP_RELEASING, ACT_RELEASE },
	{ SUP_PAUSING, EV_PAUSE_OVER, SUP_STARTING, ACT_START },
	{ SUP_RELEASING, EV_RELOCK, SUP_RESTING, ACT_REST },
	{ SUP_RESTING, EV_STOP, SUP_DONE, ACT_EXIT },
	{ SUP_RESTING, EV_PAUSE_OVER, SUP_ACQUIRING, ACT_ACQUIRE },
	{ SUP_KILLING, EV_UNKILLABLE, SUP_DONE, ACT_EXIT },
	{ SUP_RELEASING, EV_RELEASED, SUP_DONE, ACT_EXIT },
	{ SUP_RELEASING, EV_STOP_AGAIN, SUP_RELEASING, ACT_HURRY },
	{ SUP_RELEASING, EV_HURRY_OVER, SUP_DONE, ACT_EXIT },
	{ SUP_RELEASING, EV_NOT_ACQUIRED, SUP_DONE, ACT_EXIT },
};
#define ROWS (sizeof(contract) / sizeof(contract[0]))

static void
every_state_and_event(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SUP_STATES; s++) {
		for (unsigned e = 0; e < SUP_EVENTS; e++) {
			struct sup_step step = states_step((enum sup_state)s, (enum sup_event)e);
			enum sup_state next = (enum sup_state)s;
			enum sup_action action = ACT_NONE;

			for (size_t i = 0; i < ROWS; i++) {
				if (contract[i].state == s && contract[i].event == e) {
					next = contract[i].next;
					action = contract[i].action;
				}
			}
			assert_int_equal(step.next, next);
			assert_int_equal(step.action, action);
		}
	}
}

static void
nothing_is_released_before_it_is_dead(void **state)
{
	(void)state;
	for (unsigned s = SUP_STARTING; s < SUP_RELEASING; s++) {
		for (unsigned e = 0; e < SUP_EVENTS; e++) {
			struct sup_step step = states_step((enum sup_state)s, (enum sup_event)e);

			assert_true(step.action != ACT_RELEASE || e == EV_TREE_EMPTY || s == SUP_PAUSING);
			assert_true(step.action != ACT_START || s == SUP_ACQUIRING || s == SUP_PAUSING);
			assert_true(step.next != SUP_DONE || e == EV_UNKILLABLE);
		}
	}
}

static void
names_are_complete(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SUP_STATES; s++)
		assert_non_null(states_name((enum sup_state)s));
	for (unsigned e = 0; e < SUP_EVENTS; e++)
		assert_non_null(states_event_name((enum sup_event)e));
}

static void
exit_codes(void **state)
{
	static const struct {
		enum cause cause;
		int detail, code;
		bool silent;
	} cases[] = {
		{ CAUSE_NONE, 0, 0, true },
		{ CAUSE_EXITED, 0, 0, true },
		{ CAUSE_EXITED, 255, 255, true },
		{ CAUSE_KILLED, 9, 137, false },
		{ CAUSE_TOLD, 15, 143, false },
		{ CAUSE_CONFLICT, 75, 75, false },
		{ CAUSE_CONFLICT, 0, 0, true },
		{ CAUSE_NOT_ACQUIRED, 0, 1, false },
		{ CAUSE_LOST, 0, 2, false },
		{ CAUSE_NOT_STARTED, 0, 3, false },
		{ CAUSE_NOT_KILLED, 0, 3, false },
		{ CAUSE_PING, 0, 4, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = { 0 };

		if (cases[i].cause != CAUSE_NONE)
			outcome_set(&outcome, cases[i].cause, cases[i].detail, "because of %d", 42);
		assert_int_equal(outcome_code(&outcome), cases[i].code);
		if (cases[i].silent)
			assert_null(outcome_line(&outcome));
		else
			assert_string_equal(outcome_line(&outcome), "because of 42");
	}
}

static void
the_first_cause_wins(void **state)
{
	struct outcome outcome = { 0 };

	(void)state;
	outcome_set(&outcome, CAUSE_TOLD, 15, "told");
	outcome_set(&outcome, CAUSE_LOST, 0, "lost");
	outcome_set(&outcome, CAUSE_EXITED, 7, "exited");
	assert_int_equal(outcome_code(&outcome), 143);
	assert_string_equal(outcome_line(&outcome), "told");
	/* Not released: whoever reads the exit code must know. */
	outcome_set(&outcome, CAUSE_NOT_KILLED, 0, "cannot be killed");
	assert_int_equal(outcome_code(&outcome), 3);
	assert_string_equal(outcome_line(&outcome), "cannot be killed");
}

/* What a maintainer reads in logs and in doc/. */
static void
everything_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < SUP_STATES; i++)
		assert_non_null(states_name((enum sup_state)i));
	for (int i = 0; i < SUP_EVENTS; i++)
		assert_non_null(states_event_name((enum sup_event)i));
	for (int i = 0; i < SUP_ACTIONS; i++)
		assert_non_null(states_action_name((enum sup_action)i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_has_a_name),
		cmocka_unit_test(every_state_and_event),
		cmocka_unit_test(nothing_is_released_before_it_is_dead),
		cmocka_unit_test(names_are_complete),
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(the_first_cause_wins),
	};

	return RUN_UNITS(tests);
}
