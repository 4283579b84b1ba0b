/* SPDX-License-Identifier: Apache-2.0 */
/* link: hv/console.c hv/console_in.c hv/print.c hv/status.c hv/pl011.c */
/* link: hv/sched.c hv/sched_poll.c hv/server.c hv/policy.c hv/vm.c */
/* link: tests/host/console_bed.c hv/trace.c tests/host/arch_host.c */
/* link: hv/load.c hv/control.c hv/inspect.c hv/health.c hv/wdt.c hv/promise.c */
/* link: hv/blob.c hv/blob_vm.c hv/blob_text.c */
/* The status page. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "console_bed.h"

/* The cores get the vCPUs that the configuration gives them. */
static void bed_place(void)
{
	for (uint32_t i = 0; i < machine.vm_count; i++) {
		for (uint32_t j = 0; j < bed.vm[i].vcpu_count; j++) {
			struct vcpu *v = &machine.vm[i].vcpu[j];
			struct sched_core *c = &arch_cpu(bed.vm[i].cpu[j])->sched;

			v->vm = &machine.vm[i];
			v->id = j;
			v->cpu = arch_cpu(bed.vm[i].cpu[j]);
			v->sched.bit = BIT(i);
			c->slot[i] = v;
			c->members |= BIT(i);
			c->shared = !sched_is_alone(c);
		}
	}
}

static bool status_text(uint32_t n, char *line, size_t size)
{
	struct text t = { line, &line[size - 1] };

	return status_line(n, &t);
}

static void test_status(void **state)
{
	char text[4096];

	(void)state;
	bed.vm[0].vcpu_count = 2;
	bed.vm[0].cpu[0] = 2;
	bed.vm[0].cpu[1] = 0;
	bed.vm[1].cpu[0] = 1;
	bed.vm[2].cpu[0] = 3;
	bed.vm[3].vcpu_count = 0;
	machine.vm_count = 3;
	bed_place();
	machine.vm[0].state = KZ_VM_RUNNING;
	machine.vm[0].vcpu[0].state = VCPU_RUNNING;
	machine.vm[0].vcpu[0].exits[EXIT_HCALL] = 1234567;
	machine.vm[0].vcpu[0].exits[EXIT_KICK] = 9;
	machine.vm[0].vcpu[1].exits[EXIT_MMIO] = 42;
	machine.vm[1].state = KZ_VM_STOPPING;
	machine.vm[1].restarts = 3;
	machine.vm[2].state = KZ_VM_STOPPED;
	machine.vm[1].faults = 77;
	bed.vm[0].region[0].size = 512u << 20;
	bed.vm[1].region[0].size = 8192;
	host.ticks = 12345678;
	type("\035s");
	term_read();
	text[term_of("kizami", text)] = '\0';
	/* clang-format off */
	assert_string_equal(text,
"status: board zcu102, GICv2, 4 cores, 3 VMs, console on core 0, up 12.345 s\n"
"core  owner             level  state\n"
"   0  linux:1           nrt    off\n"
"   1  servo:0           hrt    off\n"
"   2  linux:0           nrt    running\n"
"   3  vision:0          srt    off\n"
"vm name            lvl  state    cores            memory restarts  faults in-drop out-drop\n"
" 1 linux           nrt  running  2,0                512M        0       0       0        0\n"
" 2 servo           hrt  stopping 1                    8K        3      77       0        0\n"
" 3 vision          srt  stopped  3                    8K        0       0       0        0\n"
"exits               hcall    mmio  sysreg   fault   undef     wfx     irq   maint    kick\n"
"linux:0           1234567       0       0       0       0       0       0       0       9\n"
"linux:1                 0      42       0       0       0       0       0       0       0\n"
"servo:0                 0       0       0       0       0       0       0       0       0\n"
"vision:0                0       0       0       0       0       0       0       0       0\n");
	/* clang-format on */
}

/* Two on a core: who executes is its owner for the moment; a table says what each got. */
static void test_status_shared(void **state)
{
	char text[4096];
	struct vcpu *linux0 = &machine.vm[0].vcpu[0], *vision = &machine.vm[2].vcpu[0];

	(void)state;
	bed.vm[0].vcpu_count = bed.vm[2].vcpu_count = 1;
	bed.vm[0].cpu[0] = bed.vm[2].cpu[0] = 1;
	bed.vm[1].cpu[0] = 2;
	machine.vm_count = 3;
	bed_place();
	host_freeze(11000000);
	machine.vm[0].epoch = machine.vm[2].epoch = 1000000;
	linux0->sched.executed = 6543210;
	linux0->sched.stolen = 2100000;
	vision->sched.executed = 2000000;
	vision->sched.server =
		(struct server){ .budget = 2000, .period = 10000, .deadline = 8000 };
	vision->sched.misses = 3;
	vision->sched.late = 1;
	vision->sched.overruns = 2;
	vision->state = VCPU_RUNNING;
	arch_cpu(1)->sched.current = vision;
	type("\035s");
	term_read();
	text[term_of("kizami", text)] = '\0';
	assert_non_null(strstr(text, "\n   1  vision:0          srt    running\n"));
	/* clang-format off */
	assert_non_null(strstr(text,
"\ntime, us          core  ran %   budget   period deadline misses   late   over     stolen\n"
"linux:0              1   65.4        0        0        0      0      0      0    2100000\n"
"vision:0             1   20.0     2000    10000     8000      3      1      2          0\n"));
	/* clang-format on */
	arch_cpu(1)->sched.current = NULL;
	assert_true(status_text(3, text, sizeof(text)));
	assert_string_equal(text, "   1  -                 -      idle");
}

/* The page stays in one piece, whatever the VMs have to say meanwhile. */
static void test_status_whole(void **state)
{
	const char *first, *last, *other;

	(void)state;
	host.room = 0;
	for (uint32_t i = 0; i < 100; i++) {
		put(2, "other\n");
	}
	type("\035s");
	term_read();
	first = strstr(term.rows, "[kizami] status:");
	last = strstr(term.rows, "[kizami] mute:0");
	assert_true(first != NULL && last != NULL);
	other = strstr(first, "[vision] other");
	assert_true(other != NULL && last < other);
}

/* The longest names and lists keep within 100 columns; a free core says so. */
static void test_status_wide(void **state)
{
	char line[200];
	uint32_t lines = 0;

	(void)state;
	bed.cfg.machine.cpu_count = KZ_CPUS_MAX;
	machine.vm_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		strcpy(bed.vm[i].name, "a-name-of-15-by");
	}
	bed.vm[0].vcpu_count = 7;
	for (uint32_t i = 0; i < 7; i++) {
		bed.vm[0].cpu[i] = (uint8_t)(i + 1);
	}
	bed.vm[0].region[0].size = 999999ull << 20;
	machine.vm[0].restarts = 99999999;
	machine.vm[0].faults = 9999999;
	bed_place();
	for (; status_text(lines, line, sizeof(line)); lines++) {
		assert_true(strlen("[kizami] ") + strlen(line) <= 100);
	}
	assert_int_equal(lines, 4 + 8 + 2 + 8 + 1 + 2);	/* two share core 1 */
	assert_true(status_text(2, line, sizeof(line)));
	assert_string_equal(line, "   0  -                 -      -");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_status, bed_setup),
		cmocka_unit_test_setup(test_status_shared, bed_setup),
		cmocka_unit_test_setup(test_status_whole, bed_setup),
		cmocka_unit_test_setup(test_status_wide, bed_setup),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
