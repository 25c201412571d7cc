/* Lists that run through their members: the TAILQ macros of queue(7), which glibc and the BSDs have and musl has not.
 * Those that are used here, with the same meaning. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#if __has_include(<sys/queue.h>)
#include <sys/queue.h>
#else

#include <stddef.h>

/* LAST is where the last member's NEXT is; BEFORE, where the pointer to this member is. */
#define TAILQ_HEAD(name, type) \
	struct name { \
		struct type *first, **last; \
	}
#define TAILQ_ENTRY(type) \
	struct { \
		struct type *next, **before; \
	}

#define TAILQ_FIRST(head) ((head)->first)
#define TAILQ_NEXT(member, link) ((member)->link.next)
#define TAILQ_EMPTY(head) ((head)->first == NULL)
#define TAILQ_FOREACH(each, head, link) \
	for ((each) = TAILQ_FIRST(head); (each) != NULL; (each) = TAILQ_NEXT(each, link))

#define TAILQ_INIT(head) ((void)((head)->first = NULL, (head)->last = &(head)->first))

#define TAILQ_INSERT_HEAD(head, member, link) \
	do { \
		(member)->link.next = (head)->first; \
		(member)->link.before = &(head)->first; \
		if ((head)->first != NULL) \
			(head)->first->link.before = &(member)->link.next; \
		else \
			(head)->last = &(member)->link.next; \
		(head)->first = (member); \
	} while (0)

#define TAILQ_INSERT_TAIL(head, member, link) \
	do { \
		(member)->link.next = NULL; \
		(member)->link.before = (head)->last; \
		*(head)->last = (member); \
		(head)->last = &(member)->link.next; \
	} while (0)

#define TAILQ_REMOVE(head, member, link) \
	do { \
		if ((member)->link.next != NULL) \
			(member)->link.next->link.before = (member)->link.before; \
		else \
			(head)->last = (member)->link.before; \
		*(member)->link.before = (member)->link.next; \
	} while (0)

#endif
#endif
