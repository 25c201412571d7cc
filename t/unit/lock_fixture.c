#include "lock_fixture.h"

#include <stdlib.h>
#include <string.h>

/* A moment that lies SPAN back. */
struct moment
ago(nsec span)
{
	struct moment now = clock_moment();

	return (struct moment){ .boot = now.boot - span, .raw = now.raw - span };
}

/* --- the protocol --- */

struct asked asked;

static void *
fake_new(const struct contender *contender)
{
	(void)contender;
	return &asked;
}

static void
fake_free(void *protocol)
{
	(void)protocol;
}

static void
fake_join(void *protocol)
{
	(void)protocol;
	asked.joins++;
}

static void
fake_hold(void *protocol)
{
	(void)protocol;
	asked.holds++;
}

static void
fake_look(void *protocol)
{
	(void)protocol;
	asked.looks++;
}

static void
fake_follow(void *protocol)
{
	(void)protocol;
	asked.follows++;
}

static void
fake_renew(void *protocol, bool firm)
{
	(void)protocol;
	asked.renews++;
	asked.firm += firm;
}

static void
fake_release(void *protocol, bool held)
{
	(void)protocol;
	asked.releases++;
	asked.held += held;
}

static void
fake_stop(void *protocol)
{
	(void)protocol;
	asked.stops++;
}

static const struct protocol fake = {
	.new = fake_new,
	.free = fake_free,
	.join = fake_join,
	.hold = fake_hold,
	.look = fake_look,
	.follow = fake_follow,
	.renew = fake_renew,
	.release = fake_release,
	.stop = fake_stop,
};

/* --- the lock --- */

struct session session;
struct etcdlock *lock;
enum etcdlock_event events[32];
size_t event_count;

static struct etcdlock_client client = { .session = &session };

static void
on_event(struct etcdlock *which, enum etcdlock_event event, void *arg)
{
	(void)which;
	(void)arg;
	if (event != ETCDLOCK_STATE)
		events[event_count++] = event;
}

/* Runs the loop until COUNT events have come, at most 5 s. */
void
await_events(size_t count)
{
	nsec limit = clock_now() + 5 * NSEC_PER_SEC;

	while (event_count < count && clock_now() < limit)
		event_base_loop(loop_base(session.loop), EVLOOP_NONBLOCK);
	assert_int_equal(event_count, count);
}

int
make_lock(void **state)
{
	struct etcdlock_config *config = etcdlock_config_new();
	char why[ENDPOINTS_ERROR];

	(void)state;
	memset(&asked, 0, sizeof(asked));
	event_count = 0;
	session.loop = loop_new(NULL, NULL);
	session.http = http_new(session.loop, NULL);
	session.endpoints = endpoints_parse("localhost:1", &(const struct tls){ 0 }, why);
	if (config == NULL || etcdlock_config_set(config, "key", "/l", why, sizeof(why)) == -1 ||
	    etcdlock_config_set(config, "id", "me", why, sizeof(why)) == -1 ||
	    etcdlock_config_set(config, "lock-delay", "50ms", why, sizeof(why)) == -1)
		return -1;
	lock = etcdlock_new(&client, config, on_event, NULL);
	etcdlock_config_free(config);
	if (lock == NULL)
		return -1;
	lock->ops->free(lock->protocol);
	lock->ops = &fake;
	lock->protocol = &asked;
	return 0;
}

int
free_lock(void **state)
{
	(void)state;
	etcdlock_free(lock);
	http_free(session.http);
	endpoints_free(session.endpoints);
	loop_free(session.loop);
	return 0;
}

/* What the protocol reports, and what the lock makes of it when nothing else is on the stack. */
void
post(struct report report)
{
	report.generation = lock->contender.generation;
	lock_events_post(&lock->events, &report);
}

void
report(struct report report)
{
	post(report);
	task_cancel(session.loop, &lock->events.task);
	lock->events.task.run(lock->events.task.arg);
}

void
report_granted(void)
{
	report((struct report){ .kind = REPORT_GRANTED });
}

/* PLACE without its texts, which are the report's own. */
struct report
placed(const struct place *place)
{
	struct report placed = { .kind = REPORT_PLACED, .place = *place };

	if (place->ahead > 0)
		placed.place.holder = strdup("them");
	return placed;
}

void
report_placed(const struct place *place)
{
	report(placed(place));
}

void
report_vanished(enum vanish how)
{
	report((struct report){ .kind = REPORT_VANISHED, .how = how });
}

void
report_renewed(const struct lease_term *term)
{
	report((struct report){ .kind = REPORT_RENEWED, .place.term = *term });
}

void
report_gone(const char *why)
{
	report((struct report){ .kind = REPORT_KEY_GONE, .text = strdup(why) });
}

void
report_trouble(const char *text, bool hopeless)
{
	report((struct report){ .kind = REPORT_TROUBLE, .text = strdup(text), .hopeless = hopeless });
}

void
report_released(void)
{
	report((struct report){ .kind = REPORT_RELEASED });
}

struct place
place(long ahead)
{
	return (struct place){
		.ahead = ahead, .revision = 10, .term = { .sent = clock_moment(), .ttl = 60 * NSEC_PER_SEC }
	};
}

void
wait_behind_one(void)
{
	struct place second = place(1);

	assert_int_equal(etcdlock_lock(lock), 0);
	report_granted();
	report_placed(&second);
	assert_int_equal(etcdlock_state(lock), ETCDLOCK_WAITING);
	await_events(1);
	assert_int_equal(events[0], ETCDLOCK_QUEUE);
	assert_string_equal(etcdlock_holder(lock), "them");
	assert_int_equal(etcdlock_ahead(lock), 1);
}

void
hold(void)
{
	struct place first = place(0);

	assert_int_equal(etcdlock_lock(lock), 0);
	report_granted();
	report_placed(&first);
	await_events(1);
}
