#include "etcdlocker/status_format.h"

#include "base/base64.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/utf8.h"

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

/* The longest description: of some millions of contenders. */
#define TEXT_MAX ((size_t)1 << 30)

/* Appends LINE, which it takes, and which may be NULL. False where memory is short. */
static bool
append_line(struct strbuf *text, char *line)
{
	bool good = line != NULL && strbuf_append(text, line, strlen(line), TEXT_MAX) == 0;

	free(line);
	return good;
}

static char *
contender_line(const struct etcdlock_contender *contender, size_t rank, size_t width, bool left)
{
	char number[24], time_left[32] = "", name[NAME];

	if (contender->no_lease)
		snprintf(time_left, sizeof(time_left), "  no lease *");
	snprintf(number, sizeof(number), rank == 0 ? "holder" : "%zu", rank);
	if (left && contender->left_ms >= 0)
		snprintf(time_left, sizeof(time_left), "  %" PRId64 "s left", contender->left_ms / 1000);
	name_of(contender, name);
	return str_printf(
	    "  %-6s  %-*s  since revision %" PRId64 "%s\n", number, (int)width, name, contender->revision, time_left);
}

char *
status_text(const char *key, const struct etcdlock_contender *queue, size_t count, bool left)
{
	struct strbuf text = { 0 };
	char *shown = strdup(key), name[NAME];
	const char *stray = NULL;
	size_t width = 0, len;
	bool good = shown != NULL;

	if (good) {
		log_printable(shown);
		good = append_line(&text, str_printf("%s is %s\n", shown, count > 0 ? "held" : "free"));
	}
	free(shown);
	for (size_t i = 0; i < count; i++)
		if ((len = name_of(&queue[i], name)) > width)
			width = len;
	for (size_t i = 0; good && i < count; i++) {
		good = append_line(&text, contender_line(&queue[i], i, width, left));
		stray = stray == NULL && queue[i].no_lease ? queue[i].key : stray;
	}
	if (good && stray != NULL)
		good = append_line(&text,
		    str_printf(
			"* No lock's client has made %s, and it never goes by itself. If it is somebody's data, use "
			"another key for the lock, else: etcdctl del %s\n",
			stray, stray));
	if (!good)
		strbuf_free(&text);
	return text.data;
}

/* Sets NAME of OBJECT to TEXT; where that is no UTF-8, which JSON wants, to what can be shown of it, and NAME_base64 to
 * the bytes. False where memory is short. */
static bool
set_text(json_t *object, const char *name, const char *text)
{
	char *shown, *base64, *name64;
	bool good;

	if (utf8_is_valid(text))
		return json_object_set_new(object, name, json_string(text)) == 0;
	shown = strdup(text);
	base64 = base64_encode(text, strlen(text));
	name64 = str_printf("%s_base64", name);
	good = shown != NULL && base64 != NULL && name64 != NULL;
	if (good) {
		log_printable(shown);
		good = json_object_set_new(object, name, json_string(shown)) == 0 &&
		    json_object_set_new(object, name64, json_string(base64)) == 0;
	}
	free(shown);
	free(base64);
	free(name64);
	return good;
}

static json_t *
contender_object(const struct etcdlock_contender *contender, bool left)
{
	json_t *object = json_object();
	bool good = object != NULL && set_text(object, "id", contender->id) &&
	    set_text(object, "key", contender->key) &&
	    json_object_set_new(object, "revision", json_integer(contender->revision)) == 0;

	if (good && left && contender->left_ms >= 0)
		good = json_object_set_new(object, "ttl_left", json_integer(contender->left_ms / 1000)) == 0;
	if (good && contender->no_lease)
		good = json_object_set_new(object, "no_lease", json_true()) == 0;
	if (good)
		return object;
	json_decref(object);
	return NULL;
}

char *
status_json(const char *key, const struct etcdlock_contender *queue, size_t count, bool left)
{
	json_t *object = json_object(), *waiting = json_array();
	char *text = NULL, *line = NULL;
	bool good = object != NULL && set_text(object, "lock", key) &&
	    json_object_set_new(object, "held", json_boolean(count > 0)) == 0 &&
	    json_object_set_new(object, "holder", count > 0 ? contender_object(&queue[0], left) : json_null()) == 0;

	for (size_t i = 1; i < count; i++)
		good = good && json_array_append_new(waiting, contender_object(&queue[i], left)) == 0;
	if (json_object_set_new(object, "waiting", waiting) == 0 && good)
		text = json_dumps(object, 0);
	if (text != NULL)
		line = str_printf("%s\n", text);
	free(text);
	json_decref(object);
	return line;
}
