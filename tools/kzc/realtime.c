/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's server, and the tasks that run in it. */
#include <string.h>

#include "cores.h"

static const char *const miss_words[] = { "count", "notify", "restart", "stop", NULL };
static const char *const overrun_words[] = { "throttle", "notify", "stop", NULL };
static const char *const policy_words[] = { "fixed", "edf", NULL };

_Static_assert((KZ_EVENT_COUNT == 0) && (KZ_EVENT_NOTIFY == 1) && (KZ_EVENT_RESTART == 2) &&
		       (KZ_EVENT_STOP == 3),
	       "miss_words");

/* A time in its range; 0 when it is not given or wrong. */
static uint64_t time_read(struct sys *s, const char *key, struct conf_text text, uint64_t min)
{
	uint64_t ns = 0;

	if (text.s == NULL) {
		return 0;
	}
	if (!conf_time(text.s, &ns)) {
		diag_error(&s->diag, text.line,
			   "%s is '%s': it is a time in ns, us, ms or s, such as 2.5ms", key,
			   text.s);
		return 0;
	}
	if ((ns < min) || (ns > KZ_PERIOD_MAX)) {
		diag_error(&s->diag, text.line, "%s is %s: it is %s to %s", key, text.s,
			   time_text(&s->mem, min), time_text(&s->mem, KZ_PERIOD_MAX));
		return 0;
	}
	return ns;
}

/* Budget, period and deadline: all of them, or the guest tells its own. */
static void server_read(struct sys *s, struct vm *vm)
{
	const struct conf_realtime *c = &vm->conf->realtime;
	struct kz_cfg_server *server = &vm->cfg.server;
	uint64_t budget = time_read(s, "budget", c->budget, KZ_BUDGET_MIN);
	uint64_t period = time_read(s, "period", c->period, KZ_PERIOD_MIN);
	uint64_t deadline = time_read(s, "deadline", c->deadline, KZ_BUDGET_MIN);

	if ((c->budget.s == NULL) != (c->period.s == NULL)) {
		diag_error(&s->diag, c->line, "realtime of vm '%s' has no %s", vm->conf->name.s,
			   (c->budget.s == NULL) ? "budget = TIME, such as 2ms"
						 : "period = TIME, such as 10ms");
	} else if ((c->budget.s == NULL) && (c->deadline.s != NULL)) {
		diag_error(&s->diag, c->deadline.line, "deadline is for a budget and a period");
	} else if ((c->budget.s == NULL) && (c->tasks.count != 0)) {
		diag_error(&s->diag, c->tasks.line, "tasks are for a budget and a period");
	}
	if (c->deadline.s == NULL) {
		deadline = period;
	}
	if ((budget == 0) || (period == 0) || (deadline == 0)) {
		return;
	}
	if (deadline > period) {
		diag_error(&s->diag, c->deadline.line,
			   "deadline is %s, longer than the period of %s", c->deadline.s,
			   c->period.s);
	} else if (budget > deadline) {
		diag_error(&s->diag, c->budget.line, "budget is %s, longer than the %s of %s",
			   c->budget.s, (c->deadline.s == NULL) ? "period" : "deadline",
			   time_text(&s->mem, deadline));
	} else {
		server->budget_ns = budget;
		server->period_ns = period;
		server->deadline_ns = deadline;
	}
}

/* A time between two blanks or slashes; *text is left behind it. */
static bool task_time(struct mem *mem, const char **text, uint64_t *ns)
{
	const char *at = *text + strspn(*text, " \t");
	size_t len = strcspn(at, " \t/");

	*text = at + len + strspn(at + len, " \t");
	return conf_time(mem_strndup(mem, at, len), ns) && (*ns != 0) && (*ns <= KZ_PERIOD_MAX);
}

/* "NAME = EXECUTION / PERIOD" or "NAME = EXECUTION / PERIOD / DEADLINE". */
static bool task_parse(struct mem *mem, const char *text, struct task *task)
{
	size_t len;

	text += strspn(text, " \t");
	len = strcspn(text, " \t=");
	task->name = mem_strndup(mem, text, len);
	text += len + strspn(text + len, " \t");
	if ((len == 0) || (*text != '=')) {
		return false;
	}
	text++;
	if (!task_time(mem, &text, &task->c_ns) || (*text != '/')) {
		return false;
	}
	text++;
	if (!task_time(mem, &text, &task->t_ns)) {
		return false;
	}
	task->d_ns = task->t_ns;
	if (*text == '/') {
		text++;
		return task_time(mem, &text, &task->d_ns) && (*text == '\0');
	}
	return *text == '\0';
}

static void task_read(struct sys *s, struct vm *vm, const struct conf_text *item)
{
	struct task task = { .line = item->line };

	if (!task_parse(&s->mem, item->s, &task)) {
		diag_error(&s->diag, item->line,
			   "tasks has '%s': it is \"NAME = EXECUTION / PERIOD\" or \"NAME = "
			   "EXECUTION / PERIOD / DEADLINE\", such as \"control = 1ms / 5ms\"",
			   item->s);
		return;
	}
	if ((task.d_ns > task.t_ns) || (task.c_ns > task.d_ns)) {
		diag_error(&s->diag, item->line,
			   (task.d_ns > task.t_ns)
				   ? "task '%s' has a deadline beyond its period"
				   : "task '%s' executes for longer than its deadline allows",
			   task.name);
		return;
	}
	for (unsigned i = 0; i < vm->task_count; i++) {
		if (strcmp(vm->task[i].name, task.name) == 0) {
			diag_error(&s->diag, item->line, "task '%s' is in the list twice",
				   task.name);
			return;
		}
	}
	if (vm->task_count == TASKS_MAX) {
		diag_error(&s->diag, item->line, "vm '%s' has more than %u tasks", vm->conf->name.s,
			   TASKS_MAX);
		return;
	}
	vm->task[vm->task_count] = task;
	vm->task_count++;
}

/* The highest priority first: the list's order if it says so, else the shortest deadline first. */
static void tasks_read(struct sys *s, struct vm *vm)
{
	const struct conf_realtime *c = &vm->conf->realtime;

	for (unsigned i = 0; i < c->tasks.count; i++) {
		task_read(s, vm, &c->tasks.item[i]);
	}
	vm->task_edf = (word_read(s, "policy", c->policy, policy_words, 0) == 1);
	if (c->policy.s != NULL) {
		if (c->tasks.line == 0) {
			diag_error(&s->diag, c->policy.line, "policy is for tasks");
		}
		return;
	}
	for (unsigned i = 1; i < vm->task_count; i++) {
		struct task task = vm->task[i];
		unsigned at = i;

		for (; (at > 0) && (vm->task[at - 1].d_ns > task.d_ns); at--) {
			vm->task[at] = vm->task[at - 1];
		}
		vm->task[at] = task;
	}
}

static void weight_read(struct sys *s, struct vm *vm)
{
	struct conf_text text = vm->conf->weight;
	uint64_t n;

	vm->cfg.server.weight = (vm->cfg.level == KZ_HRT) ? 0 : KZ_WEIGHT_DEFAULT;
	if (text.s == NULL) {
		return;
	}
	if (!conf_number(text.s, &n) || (n == 0) || (n > KZ_WEIGHT_MAX)) {
		diag_error(&s->diag, text.line, "weight is '%s': it is 1 to %u", text.s,
			   KZ_WEIGHT_MAX);
	} else if (vm->cfg.level == KZ_HRT) {
		diag_error(
			&s->diag, text.line,
			"weight is for VMs that share cores: a hard real-time VM owns its cores");
	} else {
		vm->cfg.server.weight = (uint32_t)n;
	}
}

void realtime_read(struct sys *s, struct vm *vm)
{
	static const uint8_t overrun[] = { KZ_EVENT_COUNT, KZ_EVENT_NOTIFY, KZ_EVENT_STOP };
	const struct conf_vm *c = vm->conf;
	struct kz_cfg_server *server = &vm->cfg.server;

	server_read(s, vm);
	tasks_read(s, vm);
	server->on_miss = word_read(s, "on_miss", c->realtime.on_miss, miss_words, KZ_EVENT_NOTIFY);
	server->on_overrun =
		overrun[word_read(s, "on_overrun", c->realtime.on_overrun, overrun_words, 0)];
	if (vm->cfg.level != KZ_SRT) {
		*server = (struct kz_cfg_server){ .budget_ns = 0 };
		/* What is no level at all has been said. */
		if ((c->realtime.line != 0) && (c->level.s != NULL) &&
		    (strcmp(c->level.s, level_name(vm)) == 0)) {
			diag_error(&s->diag, c->realtime.line,
				   "realtime is for level = srt: vm '%s' is %s", c->name.s,
				   c->level.s);
		}
	}
	weight_read(s, vm);
}
