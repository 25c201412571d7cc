#include "protocol_fixture.h"

#include "etcd/session.h"

#include <string.h>

struct contender contender;
void *protocol;

static const struct protocol *protocol_ops;
static struct lock_events events;
static struct report last;

static void
on_reports(void *arg)
{
	(void)arg;
}

int
contend(const struct protocol *ops, bool v2)
{
	const struct tls tls = { 0 };
	const struct logger log = { 0 };
	const struct session_spec spec = { .endpoints = "a:1", .tls = &tls, .v2 = v2, .token_limit = NSEC_PER_SEC };
	char why[256];

	timing_init(&contender.timing);
	(void)timing_resolve(&contender.timing, why, sizeof(why));
	contender = (struct contender){ .session = session_new(NULL, &spec, &log, why, sizeof(why)),
		.key = "/l",
		.id = "me",
		.timing = contender.timing,
		.events = &events };
	if (contender.session == NULL)
		return -1;
	lock_events_init(&events, contender.session->loop, on_reports, NULL);
	protocol_ops = ops;
	protocol = ops->new (&contender);
	return protocol == NULL ? -1 : 0;
}

int
stop_contending(void **state)
{
	(void)state;
	protocol_ops->free(protocol);
	report_free(&last);
	lock_events_clear(&events);
	session_free(contender.session);
	return http_out() == 0 && fake_loop_timers() == 0 ? 0 : -1;
}

void
next_generation(void)
{
	contender.generation++;
}

const struct report *
reported(enum report_kind kind)
{
	report_free(&last);
	if (!lock_events_next(&events, &last))
		fail_msg("nothing is reported where %d is expected", (int)kind);
	if (last.kind != kind)
		fail_msg("%d is reported where %d is expected: %s", (int)last.kind, (int)kind, report_text(&last));
	return &last;
}

void
nothing_is_reported(void)
{
	report_free(&last);
	if (lock_events_next(&events, &last))
		fail_msg("%d is reported: %s", (int)last.kind, report_text(&last));
}
