#include "base/task.h"

#include <stddef.h>

void
task_init(struct task *task, void (*run)(void *arg), void *arg)
{
	*task = (struct task){ .run = run, .arg = arg };
}

void
tasks_add(struct tasks *tasks, struct task *task)
{
	if (task->posted)
		return;
	task->posted = true;
	TAILQ_INSERT_TAIL(tasks, task, link);
}

void
tasks_remove(struct tasks *tasks, struct task *task)
{
	if (task->posted)
		TAILQ_REMOVE(tasks, task, link);
	task->posted = false;
}

void
tasks_run(struct tasks *tasks)
{
	struct task *task;

	while ((task = TAILQ_FIRST(tasks)) != NULL) {
		tasks_remove(tasks, task);
		task->run(task->arg);
	}
}
