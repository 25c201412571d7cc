/* What all parts of the v3 protocol need. */
#include "lock/v3/v3_struct.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
v3_wake(struct v3 *v3)
{
	task_post(v3->session->loop, &v3->advance);
}

nsec
v3_try_limit(const struct v3 *v3)
{
	return timing_try_limit(v3->contender->timing.ttl_s * NSEC_PER_SEC);
}

void
v3_report(struct v3 *v3, struct report report)
{
	report.generation = v3->generation;
	lock_events_post(v3->contender->events, &report);
}

int
v3_call(struct v3 *v3, struct call *call, const char *path, char *body)
{
	call->mark = v3->revision;
	if (call_start(call, path, body, v3_try_limit(v3)) == 0)
		return 0;
	v3_report(v3, (struct report){ .kind = REPORT_NO_MEMORY });
	return -1;
}

void
v3_gone(struct v3 *v3, const char *why)
{
	v3->goal = GOAL_NONE;
	v3_report(v3, (struct report){ .kind = REPORT_KEY_GONE, .text = strdup(why) });
}

void
v3_refused(struct v3 *v3, const char *text)
{
	v3->goal = GOAL_NONE;
	v3_report(v3, (struct report){ .kind = REPORT_REFUSED, .text = strdup(text) });
}

void
v3_trouble(struct v3 *v3, const struct call_trouble *trouble)
{
	const struct endpoint *watched = watcher_endpoint(&v3->watch.watcher);

	/* The watch on an endpoint that does not answer might be silent for the same reason. */
	if (trouble->endpoint != NULL && trouble->endpoint == watched) {
		v3->watch.reopen = true;
		v3->watch.reopen_delay = 0;
		v3_wake(v3);
	}
	v3_report(v3, report_of_trouble(trouble));
}

bool
v3_on_keepalives(const struct v3 *v3)
{
	return v3->contender->renewal == RENEW_KEEPALIVE || v3->full;
}

enum call_verdict
v3_senseless(const char *wrong, char text[CALL_TEXT])
{
	snprintf(text, CALL_TEXT, "an answer makes no sense: %s", wrong);
	return CALL_RETRY;
}

bool
v3_is_ours(struct v3 *v3, const struct v3_kv *kv)
{
	const char *id = v3->contender->id;

	return kv->create_revision == v3->create_revision && kv->lease != 0 &&
	    lease_find(&v3->leases, kv->lease) != NULL && kv->value_len == strlen(id) &&
	    memcmp(kv->value, id, kv->value_len) == 0;
}

void
v3_settle(struct v3 *v3, struct lease *lease, int64_t mod_revision)
{
	const struct lease_term first = lease_first_term(lease);

	v3->held = lease;
	v3->mod_revision = mod_revision;
	/* A lease that was there when the leases were last kept alive was one of them: it can be much older than its
	 * TTL. */
	if (!v3_on_keepalives(v3) || lease->sent.boot > v3->kept.sent.boot ||
	    lease_left(&first) > lease_left(&v3->kept))
		v3->kept = first;
	lease_retire_older(&v3->leases, lease);
}

void
v3_lost_key(struct v3 *v3, const struct v3_kv *kv)
{
	char why[256];

	v3->overwritten = kv != NULL;
	if (kv == NULL)
		snprintf(why, sizeof(why), "its key %.150s is gone: deleted from outside, or its lease ended",
		    v3->names.key);
	else
		snprintf(why, sizeof(why), "its key %.150s was changed from outside at revision %" PRId64,
		    v3->names.key, kv->mod_revision);
	v3_gone(v3, why);
}

void
v3_want_look(struct v3 *v3)
{
	/* Without a key there is nothing to look for. */
	if (v3->create_revision == 0)
		return;
	v3->look_wanted = true;
	v3_wake(v3);
}
