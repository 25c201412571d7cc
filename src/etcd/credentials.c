#include "etcd/credentials.h"

#include "base/secret.h"

#include <stddef.h>

void
credentials_init(struct credentials *credentials, const struct credentials_source *source)
{
	*credentials = (struct credentials){ .source = *source, .stale = NSEC_NEVER };
	TAILQ_INIT(&credentials->waiting);
}

void
credentials_clear(struct credentials *credentials)
{
	secret_wipe(credentials->header);
	credentials->header = NULL;
}

bool
credentials_ready(struct credentials *credentials)
{
	if (credentials == NULL)
		return true;
	if (!credentials->ready || clock_now() >= credentials->stale)
		credentials->source.fetch(credentials->source.arg);
	return credentials->ready;
}

const char *
credentials_header(const struct credentials *credentials, unsigned *serial)
{
	*serial = credentials == NULL ? 0 : credentials->serial;
	return credentials == NULL ? NULL : credentials->header;
}

bool
credentials_reject(struct credentials *credentials, unsigned serial)
{
	if (credentials == NULL || serial == 0)
		return false;
	/* Another header has come meanwhile, or is on its way. */
	if (serial != credentials->serial || !credentials->ready)
		return true;
	return credentials->source.replace(credentials->source.arg);
}

void
credentials_wait(struct credentials *credentials, struct credentials_waiter *waiter)
{
	credentials_stop_waiting(waiter);
	waiter->waits_for = credentials;
	TAILQ_INSERT_TAIL(&credentials->waiting, waiter, link);
	credentials->source.fetch(credentials->source.arg);
}

void
credentials_stop_waiting(struct credentials_waiter *waiter)
{
	if (waiter->waits_for != NULL)
		TAILQ_REMOVE(&waiter->waits_for->waiting, waiter, link);
	waiter->waits_for = NULL;
}

void
credentials_drop(struct credentials *credentials)
{
	secret_wipe(credentials->header);
	credentials->header = NULL;
	credentials->serial++;
	credentials->ready = false;
}

void
credentials_set(struct credentials *credentials, char *header, nsec stale)
{
	struct credentials_waiter *waiter;

	secret_wipe(credentials->header);
	credentials->header = header;
	credentials->serial++;
	credentials->ready = true;
	credentials->stale = stale;
	while ((waiter = TAILQ_FIRST(&credentials->waiting)) != NULL) {
		credentials_stop_waiting(waiter);
		waiter->ready(waiter->arg);
	}
}

void
credentials_refuse(struct credentials *credentials, const struct verdict *verdict)
{
	struct credentials_waiter *waiter;

	while ((waiter = TAILQ_FIRST(&credentials->waiting)) != NULL) {
		credentials_stop_waiting(waiter);
		waiter->refused(waiter->arg, verdict);
	}
}

void
credentials_tell_trouble(struct credentials *credentials, const struct call_trouble *trouble)
{
	struct credentials_waiter *waiter, *next;

	/* A waiter that is told may stop waiting. */
	for (waiter = TAILQ_FIRST(&credentials->waiting); waiter != NULL; waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		waiter->trouble(waiter->arg, trouble);
	}
}
