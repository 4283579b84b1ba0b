/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata of kztrace ctf: the layout of packets and events, in TSDL of CTF 1.8. */
#include "ctf.h"

#include <inttypes.h>
#include <string.h>

#define GUEST "enum vm vm; u8 vcpu;"

/* Of the types that are no exits: names and fields, in the order in which ctf.c writes them. */
static const struct {
	const char *name, *fields;
} events[KZ_TRACE_EXIT] = {
	[KZ_TRACE_STATE] = { "state", GUEST " enum doing doing;" },
	[KZ_TRACE_RUN] = { "run", GUEST },
	[KZ_TRACE_IDLE] = { "idle", "" },
	[KZ_TRACE_WAKE] = { "wake", "u16 intid;" },
	[KZ_TRACE_READY] = { "ready", GUEST " enum ready_why why;" },
	[KZ_TRACE_BLOCK] = { "block", GUEST },
	[KZ_TRACE_RELEASE] = { "release", GUEST " u64 deadline_ticks;" },
	[KZ_TRACE_DONE] = { "done", GUEST },
	[KZ_TRACE_THROTTLE] = { "throttle", GUEST },
	[KZ_TRACE_MISS] = { "miss", GUEST " u64 budget_ticks;" },
	[KZ_TRACE_INJECT] = { "inject", GUEST " u16 intid;" },
	[KZ_TRACE_START] = { "start", GUEST " enum start_why why;" },
	[KZ_TRACE_OFF] = { "off", GUEST " enum off_why why;" },
	[KZ_TRACE_VM_START] = { "vm_start", GUEST " u16 restarts;" },
	[KZ_TRACE_VM_STOP] = { "vm_stop", GUEST " enum stop_why why; enum stop_reason reason;" },
	[KZ_TRACE_VM_FAULT] = { "vm_fault", GUEST " enum fault_why why; hex64 ipa;" },
	[KZ_TRACE_PANIC] = { "panic", "" },
};

/* Of an exit, behind its guest (and of a quick one its cost). */
static const char *const class_fields[KZ_TRACE_CLASSES] = {
	[KZ_TRACE_HCALL] = "enum call call;",
	[KZ_TRACE_MMIO] = "hex32 address_17_2;",
	[KZ_TRACE_SYSREG] = "u8 op0; u8 op1; u8 crn; u8 crm; u8 op2;",
	[KZ_TRACE_FAULT] = "",
	[KZ_TRACE_UNDEF] = "",
	[KZ_TRACE_WFX] = "",
	[KZ_TRACE_IRQ] = "u16 intid;",
	[KZ_TRACE_MAINT] = "u16 intid;",
	[KZ_TRACE_KICK] = "u16 intid;",
	[KZ_TRACE_SGI] = "u8 sgi; hex8 vcpus;",
	[KZ_TRACE_FP] = "",
};

static const char types[] =
	"typealias integer { size = 8; align = 8; signed = false; } := u8;\n"
	"typealias integer { size = 16; align = 8; signed = false; } := u16;\n"
	"typealias integer { size = 32; align = 8; signed = false; } := u32;\n"
	"typealias integer { size = 64; align = 8; signed = false; } := u64;\n"
	"typealias integer { size = 8; align = 8; signed = false; base = 16; } := hex8;\n"
	"typealias integer { size = 16; align = 8; signed = false; base = 16; } := hex16;\n"
	"typealias integer { size = 32; align = 8; signed = false; base = 16; } := hex32;\n"
	"typealias integer { size = 64; align = 8; signed = false; base = 16; } := hex64;\n"
	"typealias integer { size = 64; align = 8; signed = false; map = clock.counter.value; }"
	" := time;\n\n"
	"enum doing : u16 { \"guest\" = 0, \"hypervisor\" = 1, \"sleep\" = 2 };\n"
	"enum ready_why : u16 { \"interrupt\" = 0, \"budget\" = 1, \"start\" = 2 };\n"
	"enum start_why : u16 { \"cpu_on\" = 0, \"vm_start\" = 1 };\n"
	"enum off_why : u16 { \"cpu_off\" = 0, \"vm_stop\" = 1 };\n"
	"enum stop_why : u16 { \"stop\" = 0, \"restart\" = 1 };\n"
	"enum stop_reason : u16 { \"none\" = 0, \"off\" = 1, \"reset\" = 2, \"fault\" = 3, "
	"\"miss\" = 4, \"overrun\" = 5, \"watchdog\" = 6, \"stop\" = 7, \"restart\" = 8, "
	"\"destroy\" = 9 };\n"
	"enum fault_why : u16 { \"nothing_there\" = 0, \"forbidden\" = 1 };\n";

static const char streams[] = "stream {\n"
			      "\tid = 0;\n"
			      "\tevent.header := struct { u8 id; time timestamp; };\n"
			      "\tpacket.context := struct {\n"
			      "\t\ttime timestamp_begin;\n"
			      "\t\ttime timestamp_end;\n"
			      "\t\tu64 content_size;\n"
			      "\t\tu64 packet_size;\n"
			      "\t\tu64 packet_seq_num;\n"
			      "\t\tu64 events_discarded;\n"
			      "\t\tu32 cpu_id;\n"
			      "\t};\n"
			      "};\n\n";

bool ctf_has_event(unsigned type)
{
	if (type < KZ_TRACE_EXIT) {
		return events[type].name != NULL;
	}
	return ((type < KZ_TRACE_QUICK) ? type - KZ_TRACE_EXIT : type - KZ_TRACE_QUICK) <
	       KZ_TRACE_CLASSES;
}

static void put_event(FILE *out, unsigned type)
{
	unsigned class = (type < KZ_TRACE_QUICK) ? type - KZ_TRACE_EXIT : type - KZ_TRACE_QUICK;

	fputs("event { name = \"", out);
	if (type < KZ_TRACE_EXIT) {
		fputs(events[type].name, out);
	} else {
		fprintf(out, "%s_%s", (type < KZ_TRACE_QUICK) ? "exit" : "quick",
			replay_class_name(class));
	}
	fprintf(out, "\"; id = %u; stream_id = 0;\n\tfields := struct { ", type);
	if (type < KZ_TRACE_EXIT) {
		fputs(events[type].fields, out);
	} else {
		fprintf(out, GUEST "%s %s", (type < KZ_TRACE_QUICK) ? "" : " u32 cost_ticks;",
			class_fields[class]);
	}
	fputs(" };\n};\n", out);
}

/* VMs by their names, and the calls that have one. */
static void put_names(const struct trace *t, FILE *out)
{
	const char *comma = "";

	fputs("enum vm : u8 {", out);
	for (unsigned v = 0; v < t->cfg->vm_count; v++) {
		fprintf(out, " \"%s\" = %u,", trace_vm_name(t, v), v);
	}
	fprintf(out, " \"(nobody)\" = %u };\nenum call : hex16 {", TRACE_VM(KZ_TRACE_NOBODY));
	for (unsigned call = 0; call <= UINT16_MAX; call++) {
		const char *name = replay_call_name((uint16_t)call);

		if (strncmp(name, "0x", 2) != 0) {
			fprintf(out, "%s\n\t\"%s\" = %u", comma, name, call);
			comma = ",";
		}
	}
	fputs("\n};\n\n", out);
}

void ctf_metadata(const struct trace *t, FILE *out)
{
	fprintf(out,
		"/* CTF 1.8 */\n\n"
		"trace {\n"
		"\tmajor = 1;\n"
		"\tminor = 8;\n"
		"\tbyte_order = le;\n"
		"\tpacket.header := struct {\n"
		"\t\tinteger { size = 32; align = 8; signed = false; base = 16; } magic;\n"
		"\t\tinteger { size = 32; align = 8; signed = false; } stream_id;\n"
		"\t};\n"
		"};\n\n"
		"env {\n"
		"\tdomain = \"hypervisor\";\n"
		"\ttracer_name = \"kizami\";\n"
		"\ttracer_major = %u;\n"
		"\tboard = \"%s\";\n"
		"};\n\n"
		"clock {\n"
		"\tname = counter;\n"
		"\tdescription = \"the system counter, CNTPCT_EL0\";\n"
		"\tfreq = %" PRIu64 ";\n"
		"};\n\n",
		KZ_TRACE_VERSION, t->cfg->machine.board, t->hz);
	fputs(types, out);
	put_names(t, out);
	fputs(streams, out);
	for (unsigned type = 0; type < 256; type++) {
		if (ctf_has_event(type)) {
			put_event(out, type);
		}
	}
}
