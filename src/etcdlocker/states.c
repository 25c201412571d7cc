#include "etcdlocker/states.h"

static const char *const state_names[SUP_STATES] = {
	[SUP_ACQUIRING] = "ACQUIRING",
	[SUP_STARTING] = "STARTING",
	[SUP_RUNNING] = "RUNNING",
	[SUP_TERMINATING] = "TERMINATING",
	[SUP_SWEEPING] = "SWEEPING",
	[SUP_KILLING] = "KILLING",
	[SUP_PAUSING] = "PAUSING",
	[SUP_RELEASING] = "RELEASING",
	[SUP_RESTING] = "RESTING",
	[SUP_DONE] = "DONE",
};

static const char *const event_names[SUP_EVENTS] = {
	[EV_ACQUIRED] = "acquired",
	[EV_NOT_ACQUIRED] = "not acquired",
	[EV_STARTED] = "command started",
	[EV_START_FAILED] = "command not started",
	[EV_STOP] = "stop signal",
	[EV_STOP_AGAIN] = "another stop signal",
	[EV_KEEPER_LOST] = "keeper lost",
	[EV_EXPIRING] = "lock expiring",
	[EV_LOST] = "lock lost",
	[EV_PING_FAILED] = "ping failed",
	[EV_COMMAND_ENDED] = "command ended",
	[EV_GRACE_OVER] = "grace over",
	[EV_TREE_EMPTY] = "everything dead",
	[EV_TREE_EMPTY_RESTART] = "everything dead, to be started again",
	[EV_UNKILLABLE] = "cannot be killed",
	[EV_RELEASED] = "release over",
	[EV_HURRY_OVER] = "not released in time",
	[EV_RELOCK] = "without the lock, to wait for it again",
	[EV_PAUSE_OVER] = "pause over",
};

static const char *const action_names[SUP_ACTIONS] = {
	[ACT_NONE] = "-",
	[ACT_START] = "start the command",
	[ACT_STOP] = "stop signal, the grace begins",
	[ACT_FORWARD] = "pass the signal on",
	[ACT_SWEEP] = "stop signal to what is left",
	[ACT_KILL] = "SIGKILL until all is dead",
	[ACT_PAUSE] = "pause, with the lock",
	[ACT_RELEASE] = "release",
	[ACT_HURRY] = "one more try to release",
	[ACT_REST] = "pause, without the lock",
	[ACT_ACQUIRE] = "wait for the lock again",
	[ACT_EXIT] = "exit",
};

/* An entry has an action or another next state; what is not entered changes nothing. */
static const struct sup_step table[SUP_STATES][SUP_EVENTS] = {
	[SUP_ACQUIRING] = {
		[EV_ACQUIRED] = { SUP_STARTING, ACT_START },
		[EV_NOT_ACQUIRED] = { SUP_DONE, ACT_EXIT },
		[EV_RELOCK] = { SUP_RESTING, ACT_REST },
		[EV_STOP] = { SUP_RELEASING, ACT_RELEASE },
		[EV_LOST] = { SUP_RELEASING, ACT_RELEASE }, /* as soon as it was acquired, so that nobody was told */
	},
	[SUP_STARTING] = {
		[EV_STOP] = { SUP_KILLING, ACT_KILL }, /* only where the exec hangs: else signals are held back */
		[EV_STOP_AGAIN] = { SUP_KILLING, ACT_KILL },
		[EV_STARTED] = { SUP_RUNNING, ACT_NONE },
		[EV_START_FAILED] = { SUP_SWEEPING, ACT_NONE },
		[EV_EXPIRING] = { SUP_TERMINATING, ACT_STOP },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
	},
	[SUP_RUNNING] = {
		[EV_STOP] = { SUP_TERMINATING, ACT_STOP },
		[EV_EXPIRING] = { SUP_TERMINATING, ACT_STOP },
		[EV_PING_FAILED] = { SUP_TERMINATING, ACT_STOP },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
		[EV_COMMAND_ENDED] = { SUP_SWEEPING, ACT_SWEEP },
	},
	[SUP_TERMINATING] = {
		[EV_STOP] = { SUP_TERMINATING, ACT_FORWARD },
		[EV_STOP_AGAIN] = { SUP_KILLING, ACT_KILL },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
		[EV_START_FAILED] = { SUP_SWEEPING, ACT_NONE }, /* told to end before its exec, which has failed */
		[EV_COMMAND_ENDED] = { SUP_SWEEPING, ACT_SWEEP },
		[EV_GRACE_OVER] = { SUP_KILLING, ACT_KILL },
	},
	[SUP_SWEEPING] = {
		[EV_STOP_AGAIN] = { SUP_KILLING, ACT_KILL },
		[EV_LOST] = { SUP_KILLING, ACT_KILL },
		[EV_GRACE_OVER] = { SUP_KILLING, ACT_KILL },
		[EV_TREE_EMPTY] = { SUP_RELEASING, ACT_RELEASE },
		[EV_TREE_EMPTY_RESTART] = { SUP_PAUSING, ACT_PAUSE },
	},
	[SUP_KILLING] = {
		[EV_TREE_EMPTY] = { SUP_RELEASING, ACT_RELEASE },
		[EV_TREE_EMPTY_RESTART] = { SUP_PAUSING, ACT_PAUSE },
		[EV_UNKILLABLE] = { SUP_DONE, ACT_EXIT },
	},
	[SUP_PAUSING] = {
		[EV_STOP] = { SUP_RELEASING, ACT_RELEASE },
		[EV_EXPIRING] = { SUP_RELEASING, ACT_RELEASE },
		[EV_LOST] = { SUP_RELEASING, ACT_RELEASE },
		[EV_PAUSE_OVER] = { SUP_STARTING, ACT_START },
	},
	[SUP_RELEASING] = {
		[EV_STOP_AGAIN] = { SUP_RELEASING, ACT_HURRY },
		[EV_HURRY_OVER] = { SUP_DONE, ACT_EXIT },
		[EV_NOT_ACQUIRED] = { SUP_DONE, ACT_EXIT },
		[EV_RELEASED] = { SUP_DONE, ACT_EXIT },
		[EV_RELOCK] = { SUP_RESTING, ACT_REST },
	},
	[SUP_RESTING] = {
		[EV_STOP] = { SUP_DONE, ACT_EXIT },
		[EV_PAUSE_OVER] = { SUP_ACQUIRING, ACT_ACQUIRE },
	},
};

struct sup_step
states_step(enum sup_state state, enum sup_event event)
{
	struct sup_step step = table[state][event];

	/* All zeros: not entered. */
	if (step.next == SUP_ACQUIRING && step.action == ACT_NONE)
		step.next = state;
	return step;
}

const char *
states_name(enum sup_state state)
{
	return state_names[state];
}

const char *
states_event_name(enum sup_event event)
{
	return event_names[event];
}

const char *
states_action_name(enum sup_action action)
{
	return action_names[action];
}
