/* Prints the tables of the code as the documents have them: the lock's states, the supervisor's, the settings. A test
 * compares. */
#include "etcdlocker/states.h"
#include "lock/config.h"
#include "lock/lock_states.h"

#include <stdio.h>
#include <string.h>

/* One line for all states from which an event leads to the same. NEXT: NULL, to where they are. */
static void
print_row(const char *states, const char *event, const char *next, const char *action)
{
	printf("    %-29s  %-38s  %-11s  %s\n", states, event, next == NULL ? "(the same)" : next, action);
}

static void
add_state(char *list, const char *state)
{
	if (list[0] != '\0')
		strcat(list, ", ");
	strcat(list, state);
}

/* The row of EVENT that begins with the state FIRST, if one does. */
static void
print_lock_row(enum etcdlock_state first, enum lock_event event)
{
	const struct lock_step step = lock_states_step(first, event);
	const bool stays = step.next == first;
	char states[128] = "";

	if (stays && step.action == LOCK_DO_NOTHING)
		return;
	for (int i = 0; i < ETCDLOCK_STATES; i++) {
		const enum etcdlock_state state = (enum etcdlock_state)i;
		const struct lock_step other = lock_states_step(state, event);

		if (other.action != step.action || (other.next == state) != stays ||
		    (!stays && other.next != step.next) || (other.next == state && other.action == LOCK_DO_NOTHING))
			continue;
		if (i < (int)first)
			return; /* it is in an earlier row */
		add_state(states, etcdlock_state_name(state));
	}
	print_row(states, lock_event_name(event), stays ? NULL : etcdlock_state_name(step.next),
	    lock_action_name(step.action));
}

static void
print_lock(void)
{
	for (int event = 0; event < LOCK_EVENTS; event++)
		for (int first = 0; first < ETCDLOCK_STATES; first++)
			print_lock_row((enum etcdlock_state)first, (enum lock_event)event);
}

static void
print_supervisor(void)
{
	for (int state = 0; state < SUP_STATES; state++)
		for (int event = 0; event < SUP_EVENTS; event++) {
			const struct sup_step step = states_step((enum sup_state)state, (enum sup_event)event);
			const bool stays = (int)step.next == state;

			if (stays && step.action == ACT_NONE)
				continue;
			print_row(states_name((enum sup_state)state), states_event_name((enum sup_event)event),
			    stays ? NULL : states_name(step.next), states_action_name(step.action));
		}
}

static void
print_settings(void)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *setting = &config_settings[i];

		printf("%s %s %s%s%s\n", setting->name, setting->variable == NULL ? "-" : setting->variable,
		    setting->etcdctl == NULL ? "-" : setting->etcdctl, setting->unit_ms > 0 ? " span" : "",
		    setting->changeable ? " changeable" : "");
	}
}

int
main(int argc, char *argv[])
{
	const char *which = argc > 1 ? argv[1] : "";

	if (strcmp(which, "lock") == 0)
		print_lock();
	else if (strcmp(which, "supervisor") == 0)
		print_supervisor();
	else if (strcmp(which, "settings") == 0)
		print_settings();
	else
		return 64;
	return 0;
}
