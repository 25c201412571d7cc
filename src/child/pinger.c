#include "child/pinger.h"

#include "base/duration.h"
#include "child/descriptors.h"
#include "child/notify.h"
#include "child/ping_words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The longest line of a command. Messages of its own to a parent that it does not know are hardly longer. */
#define LINE_LIMIT ((size_t)1 << 20)

/* What may wait to be sent: some answers to NODE_HANDLE. */
#define UNSENT_LIMIT 4096

/* A command that exits closes its channel a moment before it can be reaped. */
#define CLOSED_PAUSE (500 * NSEC_PER_MSEC)

/* Node before 14.19 and 17.4 drops what comes before somebody listens. */
#define REPETITION NSEC_PER_SEC

static bool
is_node(const struct pinger *pinger)
{
	return pinger->way == PING_WAY_NODE;
}

__attribute__((format(printf, 2, 3))) static void
fail(struct pinger *pinger, const char *format, ...)
{
	char why[256];
	va_list arguments;

	if (pinger->quiet)
		return;
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	log_printable(why);
	pinger_quiet(pinger);
	pinger->failed(pinger->arg, why);
}

/* --- out --- */

/* Sends what is unsent, as far as it goes. */
static void
flush(struct pinger *pinger)
{
	while (pinger->unsent.len > 0 && pinger->out != -1) {
		/* SIGPIPE is blocked, like all signals. */
		ssize_t len = write(pinger->out, pinger->unsent.data, pinger->unsent.len);

		if (len == -1 && errno == EINTR)
			continue;
		if (len == -1) {
			if (errno == EAGAIN)
				loop_event_add(pinger->writable);
			else if (!timer_armed(&pinger->closed))
				timer_arm(pinger->loop, &pinger->closed, clock_now() + CLOSED_PAUSE);
			return;
		}
		strbuf_consume(&pinger->unsent, (size_t)len);
	}
}

static void
on_writable(int fd, short what, void *arg)
{
	struct pinger *pinger = arg;

	(void)fd;
	(void)what;
	loop_event_del(pinger->writable);
	flush(pinger);
}

static void
say(struct pinger *pinger, const char *line, size_t len)
{
	/* Where it does not fit, or memory is short, the command will be found silent. */
	if (strbuf_append(&pinger->unsent, line, len, UNSENT_LIMIT) == 0)
		flush(pinger);
}

static void
ping(struct pinger *pinger)
{
	char line[PING_LINE];

	say(pinger, line, ping_line(is_node(pinger), pinger->number, line));
}

/* The next ping; or, while the first one is not answered, that one again. */
static void
on_next(void *arg)
{
	struct pinger *pinger = arg;
	nsec now = clock_now();

	if (!pinger->outstanding) {
		pinger->number++;
		pinger->outstanding = true;
		pinger->sent = now;
		timer_arm(
		    pinger->loop, &pinger->due, clock_add(now, pinger->answered ? pinger->limit : pinger->start_limit));
	} else {
		pinger->repetitions++;
	}
	if (!pinger->answered && is_node(pinger))
		timer_arm(pinger->loop, &pinger->next, now + REPETITION);
	/* A ping that is not sent yet need not be sent twice. */
	if (pinger->unsent.len == 0)
		ping(pinger);
}

/* --- in --- */

static void
on_due(void *arg)
{
	struct pinger *pinger = arg;
	char span[DURATION_TEXT];

	duration_text(pinger->answered ? pinger->limit : pinger->start_limit, span);
	if (pinger->way == PING_WAY_NOTIFY)
		fail(pinger, "did not say WATCHDOG=1 within %s", span);
	else
		fail(pinger, "did not answer ping %" PRId64 " within %s", pinger->number, span);
}

static void
on_pong(struct pinger *pinger, int64_t number)
{
	if (pinger->repetitions > 0 && number == 1 && !(pinger->outstanding && pinger->number == 1)) {
		pinger->repetitions--;
		return;
	}
	/* A second listener in a module says the same once more. */
	if (is_node(pinger) && pinger->answered &&
	    number == (pinger->outstanding ? pinger->number - 1 : pinger->number))
		return;
	if (!pinger->outstanding || number != pinger->number) {
		fail(pinger, "answered with pong %" PRId64 "%s%" PRId64, number,
		    pinger->outstanding ? " to ping " : ", having answered already ping ", pinger->number);
		return;
	}
	pinger->outstanding = false;
	pinger->answered = true;
	timer_disarm(pinger->loop, &pinger->due);
	timer_arm(pinger->loop, &pinger->next, clock_add(pinger->sent, pinger->period));
}

static void
on_line(struct pinger *pinger, const char *line, size_t len)
{
	int64_t number;

	switch (ping_answer(is_node(pinger), line, len, &number)) {
	case PING_PONG:
		on_pong(pinger, number);
		break;
	case PING_HANDLE:
		say(pinger, PING_NACK, strlen(PING_NACK));
		break;
	case PING_OTHER:
		log_msg(pinger->log, LEVEL_DEBUG, "the command sent %.*s", len > 200 ? 200 : (int)len, line);
		break;
	case PING_WRONG:
		fail(pinger, "sent '%.*s' to answer ping %" PRId64, len > 80 ? 80 : (int)len, line, pinger->number);
		break;
	}
}

static void
on_bytes(struct pinger *pinger, const char *bytes, size_t len)
{
	struct strbuf *received = &pinger->received;
	const char *end;
	size_t seen = received->len;

	if (pinger->quiet)
		return;
	if (strbuf_append(received, bytes, len, LINE_LIMIT) == -1) {
		fail(pinger,
		    errno == EMSGSIZE ? "sent a line of more than 1 MiB" : "sent more than there is memory for");
		return;
	}
	while (!pinger->quiet && (end = memchr(received->data + seen, '\n', received->len - seen)) != NULL) {
		size_t line = (size_t)(end - received->data);

		on_line(pinger, received->data, line);
		/* A complaint has emptied it. */
		if (!pinger->quiet)
			strbuf_consume(received, line + 1);
		seen = 0;
	}
}

static void
on_closed(void *arg)
{
	fail(arg, "has closed its end of the channel");
}

/* One read; descriptors that come with it are closed at once. Returns as read(2). */
static ssize_t
receive(const struct pinger *pinger, char *bytes, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control;
	struct iovec data = { bytes, size };
	struct msghdr header = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	ssize_t len;

	if (!is_node(pinger))
		return read(pinger->in, bytes, size);
	len = recvmsg(pinger->in, &header, MSG_CMSG_CLOEXEC);
	if (len >= 0)
		descriptors_drop_received(&header);
	return len;
}

static void
on_readable(int fd, short what, void *arg)
{
	struct pinger *pinger = arg;
	char bytes[16384];
	ssize_t len;

	(void)fd;
	(void)what;
	len = receive(pinger, bytes, sizeof(bytes));
	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0) {
		on_bytes(pinger, bytes, (size_t)len);
		return;
	}
	loop_event_del(pinger->readable);
	timer_arm(pinger->loop, &pinger->closed, clock_now() + CLOSED_PAUSE);
}

void
pinger_hear(struct pinger *pinger, const char *message)
{
	size_t len;

	if (pinger->way != PING_WAY_NOTIFY || pinger->quiet)
		return;
	if (notify_find(message, "WATCHDOG=trigger", &len) != NULL && len == 0) {
		fail(pinger, "said WATCHDOG=trigger");
	} else if (notify_find(message, "WATCHDOG=1", &len) != NULL && len == 0) {
		pinger->answered = true;
		timer_arm(pinger->loop, &pinger->due, clock_add(clock_now(), pinger->limit));
	}
}

/* --- the channel --- */

/* The command's end FD, to be TO there. */
static void
add_far(struct pinger *pinger, int fd, int to)
{
	pinger->far[pinger->far_count++] = (struct spawn_pass){ .from = fd, .to = to };
}

static int
open_node(struct pinger *pinger)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	pinger->in = pinger->out = ends[0];
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1) {
		close(ends[1]);
		return -1;
	}
	add_far(pinger, ends[1], descriptors_free_from(3));
	return 0;
}

static int
open_lines(struct pinger *pinger)
{
	/* Single digits where they are free: sh takes no others in a redirection. */
	int ping_to = descriptors_free_from(3), pong_to = descriptors_free_from(ping_to + 1), ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	pinger->out = ends[1];
	add_far(pinger, ends[0], ping_to);
	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	pinger->in = ends[0];
	add_far(pinger, ends[1], pong_to);
	if (fcntl(pinger->in, F_SETFL, O_NONBLOCK) == -1)
		return -1;
	return fcntl(pinger->out, F_SETFL, O_NONBLOCK);
}

int
pinger_open(struct pinger *pinger, struct loop *loop, const struct logger *log)
{
	static int (*const open_way[])(struct pinger * pinger) = {
		[PING_WAY_NODE] = open_node,
		[PING_WAY_LINES] = open_lines,
	};

	pinger->loop = loop;
	pinger->log = log;
	pinger->in = pinger->out = -1;
	timer_init(&pinger->next, on_next, pinger);
	timer_init(&pinger->due, on_due, pinger);
	timer_init(&pinger->closed, on_closed, pinger);
	if (pinger->way == PING_WAY_NONE || pinger->way == PING_WAY_NOTIFY)
		return 0;
	if (open_way[pinger->way](pinger) == -1)
		return -1;
	pinger->readable = loop_watch(loop, pinger->in, EV_READ, PRIORITY_REST, on_readable, pinger);
	if (pinger->out != -1)
		pinger->writable = loop_event(loop, pinger->out, EV_WRITE, PRIORITY_REST, on_writable, pinger);
	if (pinger->readable != NULL && (pinger->out == -1 || pinger->writable != NULL))
		return 0;
	errno = ENOMEM;
	return -1;
}

void
pinger_set_variables(const struct pinger *pinger, struct environment *environment)
{
	switch (pinger->way) {
	case PING_WAY_NONE:
		break;
	case PING_WAY_NODE:
		environment_set(environment, "NODE_CHANNEL_FD=%d", pinger->far[0].to);
		environment_set(environment, "NODE_CHANNEL_SERIALIZATION_MODE=json");
		environment_set(environment, "NODE_UNIQUE_ID");
		break;
	case PING_WAY_LINES:
		environment_set(environment, "ETCD_LOCK_PING_FD=%d", pinger->far[0].to);
		environment_set(environment, "ETCD_LOCK_PONG_FD=%d", pinger->far[1].to);
		break;
	case PING_WAY_NOTIFY:
		environment_set(environment, "WATCHDOG_USEC=%" PRId64, pinger->limit / 1000);
		environment_set(environment, "WATCHDOG_PID");
		break;
	}
}

void
pinger_handed_over(struct pinger *pinger)
{
	while (pinger->far_count > 0)
		close(pinger->far[--pinger->far_count].from);
}

void
pinger_start(struct pinger *pinger)
{
	if (pinger->way == PING_WAY_NONE || pinger->quiet)
		return;
	if (pinger->way == PING_WAY_NOTIFY)
		timer_arm(pinger->loop, &pinger->due, clock_add(clock_now(), pinger->start_limit));
	else
		on_next(pinger);
}

void
pinger_quiet(struct pinger *pinger)
{
	pinger->quiet = true;
	if (pinger->loop == NULL)
		return;
	timer_disarm(pinger->loop, &pinger->next);
	timer_disarm(pinger->loop, &pinger->due);
	timer_disarm(pinger->loop, &pinger->closed);
	strbuf_free(&pinger->received);
}

void
pinger_close(struct pinger *pinger)
{
	if (pinger->loop == NULL)
		return;
	pinger_quiet(pinger);
	pinger_handed_over(pinger);
	if (pinger->readable != NULL)
		loop_event_free(pinger->readable);
	if (pinger->writable != NULL)
		loop_event_free(pinger->writable);
	if (pinger->out != -1 && pinger->out != pinger->in)
		close(pinger->out);
	if (pinger->in != -1)
		close(pinger->in);
	strbuf_free(&pinger->unsent);
	pinger->loop = NULL;
}
