/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include "arch.h"

#define RECORD		sizeof(struct kz_trace_record)

static struct kz_trace_mem *mem;

enum { EXECUTES, WORKS, SLEEPS };

/* What the core does after that record. */
static uint32_t state_after(uint8_t type)
{
	return type == KZ_TRACE_RUN || type >= KZ_TRACE_QUICK ? EXECUTES :
	       type == KZ_TRACE_IDLE ? SLEEPS : WORKS;
}

static bool has_stopped(const struct kz_trace_head *h)
{
	return (h->turns + 1) % mem->chunks == 0 && mem->mode == KZ_TRACE_STOP;
}

void trace_turn(struct percpu *cpu)
{
	struct kz_trace_head *h = &cpu->trace;
	const struct kz_trace_record *last;
	uint64_t next = h->next - RECORD;	/* where the last record is */
	uint64_t at, word;

	last = (const struct kz_trace_record *)next;
	if (has_stopped(h) || __atomic_load_n(&mem->stopped, __ATOMIC_RELAXED) != 0) {
		h->dropped++;
		__atomic_store_n(&h->next, next, __ATOMIC_RELEASE);
		return;
	}
	word = KZ_TRACE_STATE | TRACE_ARG(state_after(last->type)) |
	       (cpu->vcpu != NULL ? cpu->vcpu->arch.trace & 0xff00 : KZ_TRACE_NOBODY << 8);
	at = h->base + (h->turns + 1) % mem->chunks * 2 * KZ_TRACE_CHUNK;
	next = arch_trace_put(at, arch_count(), word);
	__atomic_store_n(&h->next, next, __ATOMIC_RELEASE);
	/* a reader that sees the chunk counted sees where it is */
	__atomic_store_n(&h->turns, h->turns + 1, __ATOMIC_RELEASE);
}

/* Inline, as a call more would be more than a record may take. */
static ALWAYS_INLINE void put(struct percpu *cpu, uint64_t time, uint64_t word)
{
	if (TRACE_ON && trace_put(cpu, time, word)) {
		trace_turn(cpu);
	}
}

void trace_at(struct percpu *cpu, uint64_t time, uint64_t word)
{
	put(cpu, time, word);
}

void trace_now(struct percpu *cpu, uint64_t word)
{
	put(cpu, arch_count(), word);
}

void trace_of_run(const struct vcpu *v, uint64_t word)
{
	put(arch_this_cpu(), arch_count(), v->arch.trace + word);
}

void trace_run(const struct vcpu *v)
{
	trace_now(v->cpu, v->arch.trace);
}

void trace_stop(void)
{
	__atomic_store_n(&mem->stopped, 1, __ATOMIC_RELAXED);
}

void trace_panic(void)
{
	if (mem != NULL) {
		trace_now(arch_this_cpu(), KZ_TRACE_PANIC);
		trace_stop();
	}
}

void trace_init(void)
{
	const struct kz_cfg *cfg = machine.cfg;
	const struct kz_cfg_machine *m = &cfg->machine;
	uint64_t image = (uint64_t)cfg - cfg->blob_offset;

	mem = arch_ptr(pa(m->trace_pa));
	*mem = (struct kz_trace_mem){
		.version = KZ_TRACE_VERSION,
		.core_count = m->cpu_count,
		.chunks = m->trace_chunks,
		.hz = arch_ticks_hz(),
		.mode = m->trace_mode,
	};
	for (uint32_t i = 0; i < m->cpu_count; i++) {
		struct kz_trace_head *h = &arch_cpu(i)->trace;

		mem->head_pa[i] = cfg->image_pa + ((uint64_t)h - image);
		h->next = arch_trace_put(h->base, arch_count(), KZ_TRACE_STATE | TRACE_ARG(WORKS) |
					 KZ_TRACE_NOBODY << 8);
	}
	/* who finds the magic number finds the rest */
	__atomic_store_n(&mem->magic, KZ_TRACE_MAGIC, __ATOMIC_RELEASE);
}
