#include "etcdlocker/status_format.h"

#include "base/log.h"
#include "base/strbuf.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME 128

/* The id for people: on one line, and cut where it is long. Returns NAME's length. */
static size_t
name_of(const struct etcdlock_contender *contender, char name[NAME])
{
	snprintf(name, NAME, "%s", contender->id[0] != '\0' ? contender->id : "(no id)");
	log_printable(name);
	return strlen(name);
}

char *
status_text(const char *key, const struct etcdlock_contender *queue, size_t count, bool left)
{
	char *text = str_printf("%s is %s\n", key, count > 0 ? "held" : "free"), *longer;
	char name[NAME];
	size_t width = 0, len;

	for (size_t i = 0; i < count; i++)
		if ((len = name_of(&queue[i], name)) > width)
			width = len;
	for (size_t i = 0; text != NULL && i < count; i++) {
		char rank[24], time_left[32] = "";

		snprintf(rank, sizeof(rank), i == 0 ? "holder" : "%zu", i);
		if (left && queue[i].left_ms >= 0)
			snprintf(time_left, sizeof(time_left), "  %" PRId64 "s left", queue[i].left_ms / 1000);
		name_of(&queue[i], name);
		longer = str_printf("%s  %-6s  %-*s  since revision %" PRId64 "%s\n", text, rank, (int)width, name,
		    queue[i].revision, time_left);
		free(text);
		text = longer;
	}
	return text;
}

static json_t *
contender_object(const struct etcdlock_contender *contender, bool left)
{
	json_t *object = json_pack(
	    "{s:s, s:s, s:I}", "id", contender->id, "key", contender->key, "revision", (json_int_t)contender->revision);

	/* An id of another client's need not be UTF-8. */
	if (object == NULL)
		object = json_pack("{s:n, s:n, s:I}", "id", "key", "revision", (json_int_t)contender->revision);
	if (left && contender->left_ms >= 0)
		json_object_set_new(object, "ttl_left", json_integer(contender->left_ms / 1000));
	return object;
}

char *
status_json(const char *key, const struct etcdlock_contender *queue, size_t count, bool left)
{
	json_t *waiting = json_array(), *object;
	char *text = NULL, *line = NULL;

	for (size_t i = 1; i < count; i++)
		json_array_append_new(waiting, contender_object(&queue[i], left));
	object = json_pack("{s:s, s:b, s:o, s:o}", "lock", key, "held", count > 0, "holder",
	    count > 0 ? contender_object(&queue[0], left) : json_null(), "waiting", waiting);
	if (object != NULL)
		text = json_dumps(object, 0);
	if (text != NULL)
		line = str_printf("%s\n", text);
	free(text);
	json_decref(object);
	return line;
}
