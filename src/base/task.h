/* Work to be done later, in its order: the queue behind the tasks of a loop (base/loop.h), for a loop that runs it. */
#ifndef BASE_TASK_H
#define BASE_TASK_H

#include "base/queue.h"

#include <stdbool.h>

/* Embedded in its owner. Set up with task_init(); take it out before its memory goes. */
struct task {
	void (*run)(void *arg);
	void *arg;
	bool posted;
	TAILQ_ENTRY(task) link;
};

TAILQ_HEAD(tasks, task);

void task_init(struct task *task, void (*run)(void *arg), void *arg);

/* Put TASK at the end of TASKS, unless it is in there. It cannot fail. */
void tasks_add(struct tasks *tasks, struct task *task);

/* Harmless where it is not in there. */
void tasks_remove(struct tasks *tasks, struct task *task);

/* Run what is in there, and what that adds, until nothing is left. */
void tasks_run(struct tasks *tasks);

#endif
