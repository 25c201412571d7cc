#include "net/srv.h"

#include <netinet/in.h>

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

/* The longest that UDP and TCP bring. */
#define ANSWER_MAX 65535

/* priority, weight, port: two bytes each, before the target's name */
#define SRV_PORT_AT 4
#define SRV_FIXED 6

static void
take_record(ns_msg *message, const ns_rr *record, struct srv_answer *answer)
{
	struct srv_target *target = &answer->targets[answer->count];
	const unsigned char *data = ns_rr_rdata(*record);
	size_t len;

	if (ns_rr_type(*record) != ns_t_srv || ns_rr_rdlen(*record) <= SRV_FIXED || answer->count == SRV_TARGETS ||
	    dn_expand(
		ns_msg_base(*message), ns_msg_end(*message), data + SRV_FIXED, target->host, sizeof(target->host)) < 0)
		return;
	len = strlen(target->host);
	if (len > 0 && target->host[len - 1] == '.')
		target->host[len - 1] = '\0';
	target->port = (unsigned short)ns_get16(data + SRV_PORT_AT);
	/* "." says that the service is decidedly not available there. */
	if (target->host[0] != '\0' && target->port != 0)
		answer->count++;
}

static const char *
reason(int error)
{
	switch (error) {
	case HOST_NOT_FOUND:
		return "there is no such name";
	case NO_DATA:
		return "the name has no such record";
	case TRY_AGAIN:
		return "no name server answers";
	default:
		return "the name server refuses";
	}
}

/* Returns whether there are any; else why is in ANSWER. */
static bool
ask(const char *name, struct srv_answer *answer)
{
	static _Thread_local unsigned char bytes[ANSWER_MAX];
	ns_msg message;
	ns_rr record;
	int len = res_query(name, ns_c_in, ns_t_srv, bytes, sizeof(bytes));

	if (len < 0) {
		snprintf(answer->error, sizeof(answer->error), "%s: %s", name, reason(h_errno));
		return false;
	}
	if (len > (int)sizeof(bytes) || ns_initparse(bytes, len, &message) == -1) {
		snprintf(answer->error, sizeof(answer->error), "%s: the name server's answer makes no sense", name);
		return false;
	}
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++)
		if (ns_parserr(&message, ns_s_an, i, &record) == 0)
			take_record(&message, &record, answer);
	if (answer->count == 0)
		snprintf(answer->error, sizeof(answer->error), "%s: there is no target", name);
	return answer->count > 0;
}

void
srv_lookup(const char *domain, bool only_https, struct srv_answer *answer)
{
	char name[300];

	*answer = (struct srv_answer){ .https = true };
	snprintf(name, sizeof(name), "_etcd-client-ssl._tcp.%s", domain);
	if (ask(name, answer) || only_https)
		return;
	answer->https = false;
	snprintf(name, sizeof(name), "_etcd-client._tcp.%s", domain);
	(void)ask(name, answer);
}
