/* SPDX-License-Identifier: Apache-2.0 */
#include "admit.h"

#include <inttypes.h>

#include "cores.h"
#include "rt.h"

#define NAME_WIDTH 16

/* A core's servers, as the analysis takes them. */
struct servers {
	unsigned core;
	struct rt_set set;
	const struct vm *vm[KZ_VMS_MAX]; /* whose set.task it is */
	unsigned soft;                   /* who has a server, or may ask for one */
	bool strict;                     /* who waits gives up its budget (docs/admission.md) */
};

/* The tasks inside of a server. */
struct inner {
	uint64_t budget; /* of the server, without what its switches and interrupts cost */
	struct rt_set set;
	struct rt_result result[RT_TASKS_MAX];
};

_Static_assert((KZ_VMS_MAX <= RT_TASKS_MAX) && (TASKS_MAX <= RT_TASKS_MAX), "sizes of sets");
_Static_assert(KZ_PERIOD_MAX <= RT_TIME_MAX, "range of times");

static bool servers_read(const struct sys *s, unsigned core, struct servers *out)
{
	struct core_vcpu on[KZ_VMS_MAX];
	unsigned n = core_vcpus(s, core, on);

	*out = (struct servers){ .core = core };
	out->set.block = s->board.m.block_ns;
	out->set.over = s->board.m.block_ns;
	out->set.reserve_ppm = s->board.m.reserve_ppm[core];
	for (unsigned i = 0; i < n; i++) {
		const struct kz_cfg_server *server = &on[i].vm->cfg.server;

		out->soft += (on[i].vm->cfg.level == KZ_SRT) ? 1 : 0;
		if (vm_has_server(on[i].vm)) {
			out->set.task[out->set.count] =
				(struct rt_task){ server->budget_ns, server->period_ns,
						  server->deadline_ns };
			out->vm[out->set.count] = on[i].vm;
			out->set.count++;
		}
	}
	out->strict = !rt_dense(&out->set);
	/* What was promised on other cores is as it was. */
	return (out->set.count != 0) && (!s->live || !on[n - 1].vm->running);
}

/* What is left of a budget for the guest itself, at least. */
static uint64_t effective(const struct sys *s, const struct servers *on, unsigned i)
{
	uint64_t budget = on->set.task[i].c;
	uint64_t each = s->board.switch_ns;
	uint64_t times = rt_switches(&on->set, i);

	if ((each != 0) && (times > budget / each)) {
		return 0;
	}
	budget -= times * each;
	return (budget > s->board.irq_ns) ? budget - s->board.irq_ns : 0;
}

/* Each release of a task is an interrupt: its execution has that on top. */
static bool inner_test(const struct sys *s, const struct servers *on, unsigned i, struct inner *out)
{
	const struct rt_task *server = &on->set.task[i];
	const struct vm *vm = on->vm[i];
	struct rt_supply supply;

	*out = (struct inner){ .budget = effective(s, on, i) };
	out->set.count = vm->task_count;
	for (unsigned k = 0; k < vm->task_count; k++) {
		const struct task *task = &vm->task[k];

		out->set.task[k] =
			(struct rt_task){ task->c_ns + s->board.irq_ns, task->t_ns, task->d_ns };
	}
	if ((vm->task_count == 0) || (out->budget == 0)) {
		return vm->task_count == 0;
	}
	supply = rt_supply_of(out->budget, server->t, server->d, on->set.over, on->strict);
	if (!on->strict) {
		supply = rt_supply_guard(&supply, server->d, rt_guard(&on->set, on->soft));
	}
	return (vm->task_edf ? rt_edf : rt_fixed)(&out->set, &supply, out->result);
}

/* ---- What is wrong ---- */

static int budget_line(const struct vm *vm)
{
	return vm->conf->realtime.budget.line;
}

/* "vm 'a', vm 'b' and vm 'c'" */
static const char *names(struct sys *s, const struct servers *on)
{
	const char *text = mem_printf(&s->mem, "vm '%s'", on->vm[0]->conf->name.s);

	for (unsigned i = 1; i < on->set.count; i++) {
		text = mem_printf(&s->mem, "%s%s vm '%s'", text,
				  (i + 1 == on->set.count) ? " and" : ",", on->vm[i]->conf->name.s);
	}
	return text;
}

/*
 * Whose budget has to shrink least, and by how much; count of the set: no one budget helps. What
 * runs already shrinks no more.
 */
static unsigned who_shrinks(const struct servers *on, uint64_t *by)
{
	unsigned best = on->set.count;

	for (unsigned i = 0; i < on->set.count; i++) {
		uint64_t cut = rt_cut(&on->set, i);

		if (!on->vm[i]->running && (cut < on->set.task[i].c) &&
		    (on->set.task[i].c - cut >= KZ_BUDGET_MIN) &&
		    ((best == on->set.count) || (cut < *by))) {
			best = i;
			*by = cut;
		}
	}
	return best;
}

/* The sum of what they take of the core, in millionths, rounded up. */
static uint64_t load_ppm(const struct servers *on)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < on->set.count; i++) {
		sum += ppm_of(on->set.task[i].c, on->set.task[i].t);
	}
	return sum;
}

static const char *what_is_wrong(struct sys *s, const struct servers *on, const struct rt_result *r)
{
	if (r->answer == RT_RESERVE) {
		return mem_printf(&s->mem, "take %s, and %s is kept for others",
				  share_text(&s->mem, load_ppm(on)),
				  share_text(&s->mem, on->set.reserve_ppm));
	}
	if (r->answer == RT_UNDECIDED) {
		return "take so nearly all of it that no test shows whether it is enough";
	}
	if (r->at == RT_NEVER) {
		return "take more than all of it";
	}
	return mem_printf(&s->mem,
			  "are too much: %s after a common start they need %s, %s more than there "
			  "is",
			  time_text(&s->mem, r->at), time_text(&s->mem, r->demand),
			  time_text(&s->mem, r->demand - r->supply));
}

static void refuse(struct sys *s, const struct servers *on, const struct rt_result *r)
{
	uint64_t by = 0;
	unsigned i = who_shrinks(on, &by);
	const char *wrong = what_is_wrong(s, on, r);

	if (i == on->set.count) {
		const struct vm *vm = s->live ? &s->vm[s->vm_count - 1] : on->vm[0];

		diag_error(&s->diag, budget_line(vm),
			   "core %u: the servers of %s %s; no one budget can shrink enough",
			   on->core, names(s, on), wrong);
	} else {
		diag_error(&s->diag, budget_line(on->vm[i]),
			   "core %u: the servers of %s %s; a budget of vm '%s' of %s would do, %s "
			   "less",
			   on->core, names(s, on), wrong, on->vm[i]->conf->name.s,
			   time_text(&s->mem, on->set.task[i].c - by), time_text(&s->mem, by));
	}
}

/* Under EDF the set fails as a whole: the task is named whose deadline that is. */
static bool is_culprit(const struct inner *in, unsigned k)
{
	const struct rt_result *r = &in->result[k];
	const struct rt_task *t = &in->set.task[k];

	return (r->answer == RT_UNDECIDED) || (r->at == RT_NEVER) ||
	       ((r->answer == RT_LATE) && (r->at >= t->d) && ((r->at - t->d) % t->t == 0));
}

static void refuse_task(struct sys *s, const struct vm *vm, const struct task *task,
			const struct rt_result *r)
{
	if ((r->answer == RT_UNDECIDED) || (r->at == RT_NEVER)) {
		diag_error(&s->diag, task->line,
			   "task '%s': the tasks of vm '%s' take %s of what its server gives",
			   task->name, vm->conf->name.s,
			   (r->answer == RT_LATE) ? "more than all" : "all, or nearly all,");
		return;
	}
	diag_error(&s->diag, task->line,
		   "task '%s' of vm '%s' may miss its deadline: %s from when all begin %s is "
		   "needed, interrupts included, and the server gives %s",
		   task->name, vm->conf->name.s, time_text(&s->mem, r->at),
		   time_text(&s->mem, r->demand), time_text(&s->mem, r->supply));
}

static void admit_tasks(struct sys *s, const struct servers *on, unsigned i)
{
	const struct vm *vm = on->vm[i];
	struct inner in;
	bool told = false;

	if (vm->task_count == 0) {
		return;
	}
	if (vm->cfg.vcpu_count > 1) {
		diag_error(&s->diag, vm->conf->realtime.tasks.line,
			   "tasks are for a VM of one vCPU: vm '%s' has %u", vm->conf->name.s,
			   vm->cfg.vcpu_count);
		return;
	}
	if (inner_test(s, on, i, &in)) {
		return;
	}
	if (in.budget == 0) {
		diag_error(&s->diag, budget_line(vm),
			   "nothing of the budget is left for the tasks of vm '%s': it may be "
			   "switched to %" PRIu64 " times in a period, at %s each",
			   vm->conf->name.s, rt_switches(&on->set, i),
			   time_text(&s->mem, s->board.switch_ns));
		return;
	}
	for (unsigned k = 0; k < vm->task_count; k++) {
		if ((in.result[k].answer != RT_FITS) && is_culprit(&in, k) &&
		    !(told && vm->task_edf)) {
			refuse_task(s, vm, &vm->task[k], &in.result[k]);
			told = true;
		}
	}
}

/*
 * The hypervisor takes a server at run time by the sufficient test only: nobody has proven to it
 * what the exact one says.
 */
static bool join_test(struct sys *s, const struct servers *on)
{
	const struct vm *vm = &s->vm[s->vm_count - 1];
	uint64_t shortest = UINT64_MAX;
	uint64_t ppm = 0;

	if (!s->live || !on->strict || !vm_has_server(vm)) {
		return true;
	}
	for (unsigned i = 0; i < on->set.count; i++) {
		const struct rt_task *t = &on->set.task[i];

		ppm += ppm_of(t->c, t->d);
		shortest = (t->d < shortest) ? t->d : shortest;
	}
	ppm += ppm_of(on->set.count * on->set.over + on->set.block, shortest);
	diag_error(&s->diag, budget_line(vm),
		   "core %u: the servers of %s would fit, but not by the test that the hypervisor "
		   "makes at run time: budget / deadline, and the stretches with interrupts "
		   "masked, are %s together, and may be %s",
		   on->core, names(s, on), share_text(&s->mem, ppm),
		   share_text(&s->mem, PPM - on->set.reserve_ppm));
	return false;
}

void admit_all(struct sys *s)
{
	struct servers on;

	s->board.m.proven = 0;
	for (unsigned core = 0; core < s->board.m.cpu_count; core++) {
		struct rt_result r;

		if (!servers_read(s, core, &on)) {
			continue;
		}
		r = rt_test(&on.set);
		if (r.answer != RT_FITS) {
			refuse(s, &on, &r);
			continue;
		}
		if (!join_test(s, &on)) {
			continue;
		}
		s->board.m.proven |= 1u << core;
		for (unsigned i = 0; i < on.set.count; i++) {
			admit_tasks(s, &on, i);
		}
	}
}

/* ---- What is right ---- */

static void print_tasks(struct sys *s, const struct servers *on, unsigned i, FILE *out)
{
	const struct vm *vm = on->vm[i];
	struct inner in;

	if (!inner_test(s, on, i, &in)) {
		return;
	}
	for (unsigned k = 0; k < vm->task_count; k++) {
		fprintf(out, "    task %-*s %10s of %10s\n", NAME_WIDTH, vm->task[k].name,
			time_text(&s->mem, in.result[k].response),
			time_text(&s->mem, vm->task[k].d_ns));
	}
}

static void print_core(struct sys *s, const struct servers *on, FILE *out)
{
	uint64_t load = load_ppm(on);
	uint64_t wait = rt_wait(&on->set, !on->strict);

	fprintf(out, "core %u: servers %s, reserve %s, left for others %s", on->core,
		share_text(&s->mem, load), share_text(&s->mem, on->set.reserve_ppm),
		share_text(&s->mem, (load < PPM) ? PPM - load : 0));
	if (wait != RT_NEVER) {
		fprintf(out, ", who wait %s at most", time_text(&s->mem, wait));
	}
	fprintf(out, "\n  spare %s%s\n", time_text(&s->mem, rt_spare(&on->set)),
		on->strict ? "; who waits gives up the rest of its budget" : "");
	fprintf(out, "  %-*s %10s %10s %10s %10s %10s\n", NAME_WIDTH, "server", "budget", "period",
		"deadline", "slack", "for guest");
	for (unsigned i = 0; i < on->set.count; i++) {
		const struct rt_task *t = &on->set.task[i];

		fprintf(out, "  %-*s %10s %10s %10s %10s %10s\n", NAME_WIDTH,
			on->vm[i]->conf->name.s, time_text(&s->mem, t->c), time_text(&s->mem, t->t),
			time_text(&s->mem, t->d), time_text(&s->mem, rt_slack(&on->set, i)),
			time_text(&s->mem, effective(s, on, i)));
		print_tasks(s, on, i, out);
	}
}

void admit_print(struct sys *s, FILE *out)
{
	struct servers on;

	for (unsigned core = 0; core < s->board.m.cpu_count; core++) {
		if (servers_read(s, core, &on)) {
			print_core(s, &on, out);
		}
	}
}
