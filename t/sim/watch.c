/* Watches: streams of what a member has seen. */
#include "member.h"
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WATCHES 512

/* How long a member without a leader waits before it tells. */
#define TELL_AFTER_LEAST (3800 * NSEC_PER_MSEC)
#define TELL_AFTER_MOST (4400 * NSEC_PER_MSEC)

struct watch {
	char *key;
	int64_t next; /* the first revision that it has not told of */
	bool before, over;
};

struct stream {
	struct exchange *exchange;
	struct watch *list;
	size_t count;
	struct alarm sweep; /* what has happened before comes with some delay */
	struct alarm leaderless;
	LIST_ENTRY(stream) link;
};

static LIST_HEAD(, stream) streams;

static void
stream_free(struct stream *stream)
{
	stream->exchange->watch = NULL;
	alarm_stop(&stream->sweep);
	alarm_stop(&stream->leaderless);
	for (size_t i = 0; i < stream->count; i++)
		free(stream->list[i].key);
	free(stream->list);
	LIST_REMOVE(stream, link);
	free(stream);
}

/* Where a chunk begins and ends means nothing. */
static void
send(const struct stream *stream, struct text *text)
{
	size_t cut = one_in(3) ? (size_t)between(1, (int64_t)text->len - 1) : 0;
	char *tail;

	text_add(text, "\n");
	if (cut > 0) {
		tail = strdup(text->bytes + cut);
		text->bytes[cut] = '\0';
		exchange_stream(stream->exchange, text->bytes);
		exchange_stream(stream->exchange, tail);
		free(tail);
	} else {
		exchange_stream(stream->exchange, text->bytes);
	}
	text->len = 0;
}

static void
begin_message(const struct stream *stream, size_t watch, struct text *text)
{
	struct header header = header_of(stream->exchange->member);

	text_add(text, "{\"result\":{");
	print_header(text, &header);
	if (watch > 0)
		text_add(text, ",\"watch_id\":\"%zu\"", watch);
}

static void
tell_one(const struct stream *stream, size_t number, struct text *text)
{
	const struct store *store = &cluster_state.store;
	struct watch *watch = &stream->list[number];
	int64_t applied = cluster_state.members[stream->exchange->member].applied;
	bool any = false;
	size_t first = store->change_count;

	if (watch->over || applied < watch->next)
		return;
	if (watch->next < store->compacted) {
		begin_message(stream, number, text);
		text_add(text, ",\"canceled\":true,\"compact_revision\":\"%" PRId64 "\"}}", store->compacted);
		send(stream, text);
		watch->over = true;
		return;
	}
	while (first > 0 && store->changes[first - 1].version->mod >= watch->next)
		first--;
	for (size_t i = first; i < store->change_count && store->changes[i].version->mod <= applied; i++) {
		if (strcmp(store->changes[i].key->name, watch->key) != 0)
			continue;
		if (!any)
			begin_message(stream, number, text);
		text_add(text, any ? "," : ",\"events\":[");
		print_change(text, &store->changes[i], watch->before);
		any = true;
	}
	watch->next = applied + 1;
	if (!any)
		return;
	text_add(text, "]}}");
	send(stream, text);
}

static void
tell(const struct stream *stream)
{
	struct text text = { 0 };

	for (size_t i = 0; i < stream->count; i++)
		tell_one(stream, i, &text);
	free(text.bytes);
}

void
watch_tell(int member)
{
	struct stream *stream;

	LIST_FOREACH(stream, &streams, link)
	if (stream->exchange->member == member && stream->sweep.slot == 0)
		tell(stream);
}

static void
on_sweep(void *arg)
{
	const struct stream *stream = arg;
	const struct member *member = &cluster_state.members[stream->exchange->member];

	if (!member->frozen)
		tell(stream);
}

static void
end_with_error(struct stream *stream, const char *words)
{
	struct text text = { 0 };
	struct exchange *exchange = stream->exchange;

	text_add(&text,
	    "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"%s\",\"http_status\":\"Service Unavailable\"}}",
	    words);
	stream_free(stream);
	exchange_stream(exchange, text.bytes);
	exchange_end_stream(exchange);
	free(text.bytes);
}

static void
on_leaderless(void *arg)
{
	struct stream *stream = arg;
	const struct member *member = &cluster_state.members[stream->exchange->member];

	if (member->frozen || (cluster_state.leader != -1 && member_reaches(member->number, cluster_state.leader)))
		return;
	end_with_error(stream, "etcdserver: no leader");
}

void
watch_no_leader(int member)
{
	struct stream *stream;

	LIST_FOREACH(stream, &streams, link)
	if (stream->exchange->member == member && stream->exchange->require_leader && stream->leaderless.slot == 0)
		alarm_set(&stream->leaderless, world.now + between(TELL_AFTER_LEAST, TELL_AFTER_MOST));
}

void
watch_member_down(int member)
{
	struct stream *stream, *next;

	for (stream = LIST_FIRST(&streams); stream != NULL; stream = next) {
		struct exchange *exchange = stream->exchange;

		next = LIST_NEXT(stream, link);
		if (exchange->member != member)
			continue;
		stream_free(stream);
		exchange_break(exchange);
	}
}

void
watch_close(struct exchange *exchange)
{
	if (exchange->watch != NULL)
		stream_free(exchange->watch);
}

/* The create requests of a body, one behind the other. */
static void
read_requests(struct stream *stream)
{
	const char *at = stream->exchange->body;
	json_error_t error;
	json_t *object;

	stream->list = calloc(WATCHES, sizeof(*stream->list));
	if (stream->list == NULL)
		abort();
	while (stream->count < WATCHES && (object = json_loads(at, JSON_DISABLE_EOF_CHECK, &error)) != NULL) {
		const json_t *request = json_object_get(object, "create_request");
		struct watch *watch = &stream->list[stream->count];

		if (request != NULL) {
			watch->key = gateway_bytes(json_string_value(json_object_get(request, "key")));
			watch->next = gateway_int(request, "start_revision");
			watch->before = json_is_true(json_object_get(request, "prev_kv"));
			stream->count++;
		}
		at += error.position;
		json_decref(object);
	}
}

void
watch_open(struct exchange *exchange)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	const struct member *member = &cluster_state.members[exchange->member];
	struct text text = { 0 };
	bool late = false;

	if (stream == NULL)
		abort();
	stream->exchange = exchange;
	stream->sweep = (struct alarm){ .ring = on_sweep, .arg = stream };
	stream->leaderless = (struct alarm){ .ring = on_leaderless, .arg = stream };
	exchange->watch = stream;
	LIST_INSERT_HEAD(&streams, stream, link);
	read_requests(stream);
	if (exchange->require_leader &&
	    (cluster_state.leader == -1 || !member_reaches(exchange->member, cluster_state.leader))) {
		end_with_error(stream, "etcdserver: no leader");
		return;
	}
	for (size_t i = 0; i < stream->count; i++) {
		begin_message(stream, i, &text);
		text_add(&text, ",\"created\":true}}");
		send(stream, &text);
		if (stream->list[i].next == 0)
			stream->list[i].next = member->applied + 1;
		late = late || stream->list[i].next <= member->applied;
	}
	free(text.bytes);
	if (late)
		alarm_set(&stream->sweep, world.now + between(5 * NSEC_PER_MSEC, 100 * NSEC_PER_MSEC));
}

void
watch_end(void)
{
	while (!LIST_EMPTY(&streams))
		stream_free(LIST_FIRST(&streams));
}

void
watch_begin(void)
{
	LIST_INIT(&streams);
}
