/* The v2 API: keys with a time to live, waits for the next event. The format is that of etcd's "v2 API" pages; shared
 * things such as who leads are the members'. */
#include "member.h"
#include "node.h"
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 65536
#define WAITS 512
#define SYNC_PERIOD (500 * NSEC_PER_MSEC)

/* What one index has done. */
struct event {
	char key[16], value[48];
	const char *action;
	int64_t created, modified;
	nsec ends; /* 0: never */
	bool gone, refresh;
	size_t before; /* the event before it of that key, from 1 on; 0: there was none */
};

static struct event *events;
static size_t event_count;
static int64_t last_index, cleared;
static struct exchange *waits[WAITS];
static size_t wait_count;
static struct alarm sync_alarm;

/* --- what there is --- */

/* The last event of KEY up to INDEX; NULL: there is none. */
static struct event *
event_at(const char *key, int64_t index)
{
	for (size_t i = event_count; i > 0; i--)
		if (events[i - 1].modified <= index && strcmp(events[i - 1].key, key) == 0)
			return &events[i - 1];
	return NULL;
}

/* The same where the key is there; else NULL. */
static struct event *
node_at(const char *key, int64_t index)
{
	struct event *event = event_at(key, index);

	return event == NULL || event->gone ? NULL : event;
}

static struct event *
add(const char *key, const char *action)
{
	const struct event *before = event_at(key, INT64_MAX);
	struct event *event = &events[event_count];

	if (event_count == EVENTS)
		abort();
	*event = (struct event){ .action = action, .modified = ++last_index };
	if (before != NULL) {
		*event = *before;
		event->action = action;
		event->modified = last_index;
		event->before = (size_t)(before - events) + 1;
		event->refresh = false;
	}
	snprintf(event->key, sizeof(event->key), "%s", key);
	event_count++;
	return event;
}

/* --- printing --- */

static void
print_node(struct text *text, const char *name, const struct event *event, bool value)
{
	text_add(text, "\"%s\":{\"key\":\"%s\"", name, event->key);
	if (value)
		text_add(text, ",\"value\":\"%s\"", event->value);
	if (value && event->ends != 0)
		text_add(text, ",\"expiration\":\"2026-01-01T00:00:00Z\",\"ttl\":%" PRId64,
		    (event->ends - world.now) / NSEC_PER_SEC + 1);
	text_add(text, ",\"modifiedIndex\":%" PRId64 ",\"createdIndex\":%" PRId64 "}", event->modified, event->created);
}

static void
print_event(struct text *text, const struct event *event)
{
	text_add(text, "{\"action\":\"%s\",", event->action);
	print_node(text, "node", event, !event->gone);
	if (event->before != 0 && strcmp(event->action, "create") != 0) {
		text_add(text, ",");
		print_node(text, "prevNode", &events[event->before - 1], true);
	}
	text_add(text, "}\n");
}

static long
fail(struct text *text, long status, int code, const char *message, const char *cause)
{
	text_add(text, "{\"errorCode\":%d,\"message\":\"%s\",\"cause\":\"%s\",\"index\":%" PRId64 "}\n", code, message,
	    cause, last_index);
	return status;
}

long
v2_timed_out(struct text *text)
{
	return fail(text, 500, 300, "Raft Internal Error", "etcdserver: request timed out");
}

/* --- requests --- */

/* The value of NAME in the query of PATH, into TEXT. False where it is not there. */
static bool
query(const char *path, const char *name, char *text, size_t size)
{
	const char *at = strchr(path, '?');
	size_t len = strlen(name);

	for (; at != NULL; at = strchr(at, '&')) {
		at++;
		if (strncmp(at, name, len) != 0 || at[len] != '=')
			continue;
		snprintf(text, size, "%.*s", (int)strcspn(at + len + 1, "&"), at + len + 1);
		return true;
	}
	return false;
}

static int64_t
query_int(const char *path, const char *name)
{
	char text[32];

	return query(path, name, text, sizeof(text)) ? strtoll(text, NULL, 10) : 0;
}

static void
key_of(const char *path, char key[16])
{
	const char *at = path + strlen("/v2/keys");

	snprintf(key, 16, "%.*s", (int)strcspn(at, "?"), at);
}

/* Whether NODE is as the request wants it to be. */
static bool
is_as_wanted(const struct event *node, const char *path)
{
	int64_t index = query_int(path, "prevIndex");
	char value[48];

	return (index == 0 || index == node->modified) &&
	    (!query(path, "prevValue", value, sizeof(value)) || strcmp(value, node->value) == 0);
}

static long
put(const char *path, const char *key, struct text *text)
{
	const struct event *node = node_at(key, INT64_MAX);
	int64_t ttl = query_int(path, "ttl");
	char existing[8] = "";
	bool refresh = query(path, "refresh", existing, sizeof(existing));
	struct event *event;

	(void)query(path, "prevExist", existing, sizeof(existing));
	if (node != NULL && strcmp(existing, "false") == 0)
		return fail(text, 412, 105, "Key already exists", key);
	if (node == NULL && strcmp(existing, "true") == 0)
		return fail(text, 404, 100, "Key not found", key);
	if (node != NULL && !is_as_wanted(node, path))
		return fail(text, 412, 101, "Compare failed", "index");
	event = add(key, node == NULL ? "create" : "compareAndSwap");
	if (node == NULL) {
		event->created = event->modified;
		event->gone = false;
	}
	event->refresh = refresh;
	event->ends = ttl == 0 ? 0 : world.now + ttl * NSEC_PER_SEC;
	if (!refresh)
		(void)query(path, "value", event->value, sizeof(event->value));
	print_event(text, event);
	return node == NULL ? 201 : 200;
}

static long delete (const char *path, const char *key, struct text *text)
{
	const struct event *node = node_at(key, INT64_MAX);
	int64_t index = query_int(path, "prevIndex");
	struct event *event;

	if (node == NULL)
		return fail(text, 404, 100, "Key not found", key);
	if (!is_as_wanted(node, path))
		return fail(text, 412, 101, "Compare failed", "index");
	event = add(key, index != 0 ? "compareAndDelete" : "delete");
	event->gone = true;
	print_event(text, event);
	return 200;
}

static long
get(const char *key, int64_t index, struct text *text)
{
	const struct event *node = node_at(key, index);

	if (node == NULL)
		return fail(text, 404, 100, "Key not found", key);
	text_add(text, "{\"action\":\"get\",");
	print_node(text, "node", node, true);
	text_add(text, "}\n");
	return 200;
}

/* --- events --- */

/* The answer to a wait at a member that has seen up to INDEX. False where there is none yet. */
static bool
answer_wait(struct exchange *exchange, int64_t index)
{
	int64_t from = query_int(exchange->path, "waitIndex");
	struct text text = { 0 };
	char key[16];
	size_t i = 0;
	long status;

	key_of(exchange->path, key);
	if (from <= cleared) {
		status = fail(&text, 400, 401, "The event in requested index is outdated and cleared", "cleared");
		exchange_answer(exchange, status, text.bytes);
		free(text.bytes);
		return true;
	}
	while (i < event_count && (events[i].modified < from || events[i].refresh || strcmp(events[i].key, key) != 0))
		i++;
	if (i == event_count || events[i].modified > index)
		return false;
	print_event(&text, &events[i]);
	exchange_answer(exchange, 200, text.bytes);
	free(text.bytes);
	return true;
}

void
v2_tell(int member)
{
	for (size_t i = 0; i < wait_count; i++)
		if (waits[i]->member == member && answer_wait(waits[i], cluster_state.members[member].applied_v2))
			waits[i--] = waits[--wait_count];
}

void
v2_member_down(int member)
{
	for (size_t i = 0; i < wait_count; i++) {
		struct exchange *exchange = waits[i];

		if (exchange->member != member)
			continue;
		waits[i--] = waits[--wait_count];
		exchange_break(exchange);
	}
}

/* --- for the members --- */

int64_t
v2_index(void)
{
	return last_index;
}

/* True where OP of a node would give its key away. */
bool
v2_releases(const char *method, const char *path, int64_t created)
{
	const struct event *node;
	char key[16];

	key_of(path, key);
	node = node_at(key, INT64_MAX);
	return strcmp(method, "DELETE") == 0 && node != NULL && node->created == created && is_as_wanted(node, path);
}

long
v2_apply(const char *method, const char *path, struct text *text)
{
	char key[16];

	key_of(path, key);
	if (strcmp(method, "PUT") == 0)
		return put(path, key, text);
	if (strcmp(method, "DELETE") == 0)
		return delete (path, key, text);
	return get(key, INT64_MAX, text);
}

void
v2_request(struct exchange *exchange)
{
	const struct member *member = &cluster_state.members[exchange->member];
	struct text text = { 0 };
	char word[8] = "", key[16];
	long status;

	if (query(exchange->path, "wait", word, sizeof(word))) {
		if (!answer_wait(exchange, member->applied_v2) && wait_count < WAITS)
			waits[wait_count++] = exchange;
	} else if (strcmp(exchange->method, "GET") == 0 && !query(exchange->path, "quorum", word, sizeof(word))) {
		key_of(exchange->path, key);
		status = get(key, member->applied_v2, &text);
		exchange_answer(exchange, status, text.bytes);
		free(text.bytes);
	} else {
		raft_submit(exchange, exchange->member, exchange->path, json_object());
	}
}

/* KEY goes by ACTION, which no request has asked for. */
static void
end_key(const char *key, const char *action)
{
	add(key, action)->gone = true;
	members_spread(cluster_state.leader);
}

/* The leader has all agree upon what is over. Keys end by the wall clock, to which members agree. */
static void
on_sync(void *arg)
{
	static const char *const keys[] = { "/a", "/b" };

	(void)arg;
	alarm_set(&sync_alarm, world.now + SYNC_PERIOD);
	if (!leader_has_quorum())
		return;
	for (size_t i = 0; i < 2; i++) {
		const struct event *node = node_at(keys[i], INT64_MAX);

		if (node == NULL || node->ends == 0 || node->ends > world.now)
			continue;
		note("etcd: %s expires", keys[i]);
		end_key(keys[i], "expire");
	}
}

const char *
v2_owner(const char *key)
{
	const struct event *node = node_at(key, INT64_MAX);

	return node == NULL ? "" : node->value;
}

/* Somebody deletes a key. */
void
v2_delete_outside(const char *key)
{
	if (node_at(key, INT64_MAX) != NULL)
		end_key(key, "delete");
}

/* What is older than BACK indexes is not told any more. */
void
v2_clear(int64_t back)
{
	if (last_index - back > cleared)
		cleared = last_index - back;
}

bool
v2_is_empty(void)
{
	return node_at("/a", INT64_MAX) == NULL && node_at("/b", INT64_MAX) == NULL;
}

void
v2_restore(int64_t index)
{
	while (event_count > 0 && events[event_count - 1].modified > index)
		event_count--;
	last_index = index;
	/* What is remembered begins anew. */
	if (cleared > index)
		cleared = index;
}

void
v2_begin(void)
{
	if (events == NULL)
		events = calloc(EVENTS, sizeof(*events));
	if (events == NULL)
		abort();
	event_count = wait_count = 0;
	last_index = 3;
	cleared = 0;
	sync_alarm = (struct alarm){ .ring = on_sync };
	alarm_set(&sync_alarm, world.now + between(0, SYNC_PERIOD));
}
