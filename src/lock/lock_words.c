#include "lock/lock_words.h"

#include "base/duration.h"
#include "base/strbuf.h"
#include "lock/lock_term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where memory was short for a text. */
static char no_memory[] = "no memory for the reason";

static void
clear(char **field)
{
	if (*field != no_memory)
		free(*field);
	*field = NULL;
}

/* TEXT is from malloc(), taken; NULL: memory was short for it. */
static void
set(char **field, char *text)
{
	clear(field);
	*field = text == NULL ? no_memory : text;
}

void
lock_set_error(struct etcdlock *lock, char *text)
{
	set(&lock->error, text);
}

void
lock_clear_error(struct etcdlock *lock)
{
	clear(&lock->error);
}

void
lock_set_trouble(struct etcdlock *lock, char *text)
{
	set(&lock->trouble, text);
}

void
lock_clear_trouble(struct etcdlock *lock)
{
	clear(&lock->trouble);
}

static const char *
lock_trouble(const struct etcdlock *lock)
{
	return lock->trouble == NULL ? "" : lock->trouble;
}

void
lock_say_unreachable(struct etcdlock *lock)
{
	const char *what = "no answer from etcd for";
	char span[DURATION_TEXT];

	/* The first try might still be out. */
	if (lock->trouble == NULL)
		lock_set_trouble(
		    lock, str_printf("%.200s: silence", endpoints_current(lock->client->session->endpoints)->name));
	else if (lock->answered)
		what = "etcd has not answered as it should for";
	lock_set_error(lock,
	    str_printf("%s %s: %s", what, duration_text(lock->contender.timing.connect_ms * NSEC_PER_MSEC, span),
		lock_trouble(lock)));
}

/* Why a lock that nobody holds was not acquired. */
static char *
why_not_yet(const struct etcdlock *lock)
{
	char delay[DURATION_TEXT];

	if (lock->clear <= clock_now())
		return strdup("free, but our lease was still to be renewed");
	return str_printf("free, but a holder may have vanished without a word, and the lock delay of %s is not over",
	    duration_text(lock->contender.timing.delay_ms * NSEC_PER_MSEC, delay));
}

void
lock_say_conflict(struct etcdlock *lock)
{
	const char *holder = lock->holder == NULL || lock->holder[0] == '\0' ? "a client without an id" : lock->holder;
	char span[DURATION_TEXT];
	char *what;

	if (lock->ahead == 0)
		what = why_not_yet(lock);
	else if (lock->far)
		what = str_printf("at least %ld are ahead of us", lock->ahead);
	else
		what = str_printf("held by %s", holder);
	if (lock->contender.timing.wait_ms > 0 && what != NULL) {
		lock_set_error(lock,
		    str_printf("%s, still after %s", what,
			duration_text(lock->contender.timing.wait_ms * NSEC_PER_MSEC, span)));
		free(what);
	} else {
		lock_set_error(lock, what);
	}
}

void
lock_say_not_queued(struct etcdlock *lock)
{
	char span[DURATION_TEXT];

	lock_set_error(lock,
	    str_printf("%s after %s%s%s", lock->before == ETCDLOCK_WAITING ? "no word from etcd" : "not in the queue",
		duration_text(lock->contender.timing.wait_ms * NSEC_PER_MSEC, span), lock->trouble != NULL ? ": " : "",
		lock_trouble(lock)));
}

void
lock_say_unreleased(struct etcdlock *lock, nsec left)
{
	lock_set_error(lock,
	    str_printf("not released, its lease ends by itself within %llds: %s",
		(long long)((left + NSEC_PER_SEC - 1) / NSEC_PER_SEC), lock_trouble(lock)));
}

void
lock_say_not_renewed(struct etcdlock *lock)
{
	char span[DURATION_TEXT];

	if (lock->error != NULL)
		return;
	lock_set_error(lock,
	    str_printf("the lease of %s could not be renewed in time%s%s", duration_text(lock->term.ttl, span),
		lock->trouble != NULL ? ": " : "", lock_trouble(lock)));
}

void
lock_say_doubt(void *arg)
{
	struct etcdlock *lock = arg;
	nsec left = term_left_to_expiring(lock);
	char since[DURATION_TEXT], until[DURATION_TEXT];

	if (lock->state != ETCDLOCK_DOUBTFUL || lock->doubt_said)
		return;
	lock->doubt_said = true;
	log_msg(&lock->client->session->log, LEVEL_WARNING, "lock %.200s: not renewed for %s, and given up in %s: %s",
	    lock->key, duration_text(clock_elapsed(&lock->term.sent), since), duration_text(left > 0 ? left : 0, until),
	    lock_trouble(lock));
}
