/* SPDX-License-Identifier: Apache-2.0 */
/* kz list, info, uptime, dmesg: what there is. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "show.h"
#include "stop.h"

#define LOG_POLL_MS 500 /* the log has no event */

/* Seconds with a tenth, as xl prints them. */
static void seconds_print(uint64_t ns, int columns)
{
	printf("%*" PRIu64 ".%" PRIu64, columns - 2, ns / 1000000000, ns / 100000000 % 10);
}

static void row_print(const struct vmi *vm)
{
	printf("%-15s %3u %6" PRIu64 " %5u  %-8s ", vm->info.name, vm->id, vmi_memory(vm) >> 20,
	       vm->cfg.vcpu_count, state_word(vm->info.state));
	seconds_print(vmi_executed(vm), 9);
	printf("  %-5s %-9s %8u  %s\n", level_word(vm->cfg.level), vmi_cores(vm), vm->info.restarts,
	       reason_word(vm->info.reason));
}

/* The VMs that the words name, or all. -1, or what to exit with in *code. */
static int vms_choose(struct kz *kz, char **word, int words, struct vmi vm[KZ_VMS_MAX], int *code)
{
	*code = EXIT_FAILED;
	if (words == 0) {
		return vmi_read_all(kz, vm);
	}
	if (words > (int)KZ_VMS_MAX) {
		*code = kz_usage(kz, "there are %u VMs at most", KZ_VMS_MAX);
		return -1;
	}
	for (int i = 0; i < words; i++) {
		*code = vmi_find(kz, word[i], &vm[i]);
		if (*code != EXIT_OK) {
			return -1;
		}
	}
	return words;
}

static int vms_print(const struct kz *kz, const struct vmi *vm, int count, bool is_long)
{
	json_t *list = json_array();

	if (!kz->json && !is_long) {
		puts("Name             ID    Mem VCPUs  State      Time(s)  Level Cores     "
		     "Restarts"
		     "  Reason");
	}
	for (int i = 0; i < count; i++) {
		if (kz->json) {
			show_add(list, NULL, show_vm(&vm[i]));
		} else if (is_long) {
			json_t *one = show_vm(&vm[i]);

			fputs((i == 0) ? "" : "\n", stdout);
			show_text(one);
			json_decref(one);
		} else {
			row_print(&vm[i]);
		}
	}
	if (kz->json) {
		return show_json(kz, list);
	}
	json_decref(list);
	return show_flush(kz);
}

/* Options of a verb that has only these; false: *code is what to exit with. */
static bool options_read(struct kz *kz, int argc, char **argv, const char *letters, char *found,
			 int *code)
{
	static const struct option options[] = {
		{ "long", no_argument, NULL, 'l' },
		{ "watch", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*found = '\0';
	optind = 0;
	while ((opt = getopt_long(argc, argv, ":lw", options, NULL)) != -1) {
		if ((opt == '?') || (opt == ':')) {
			*code = kz_option_wrong(kz, opt, argv);
			return false;
		}
		if (strchr(letters, opt) == NULL) {
			*code = kz_usage(kz, "it has no -%c", opt);
			return false;
		}
		*found = (char)opt;
	}
	return true;
}

int verb_list(struct kz *kz, int argc, char **argv)
{
	struct vmi vm[KZ_VMS_MAX];
	char found;
	int code, count;

	if (!options_read(kz, argc, argv, "l", &found, &code)) {
		return code;
	}
	count = vms_choose(kz, argv + optind, argc - optind, vm, &code);
	return (count < 0) ? code : vms_print(kz, vm, count, found == 'l');
}

int verb_info(struct kz *kz, int argc, char **argv)
{
	struct vmi vm[KZ_VMS_MAX];
	struct kz_system system;
	char found;
	int code, count;

	if (!options_read(kz, argc, argv, "", &found, &code)) {
		return code;
	}
	if (optind < argc) {
		count = vms_choose(kz, argv + optind, argc - optind, vm, &code);
		return (count < 0) ? code : vms_print(kz, vm, count, true);
	}
	code = kz_system_read(kz, &system);
	if (code != EXIT_OK) {
		return code;
	}
	if (!kz->json) {
		json_t *o = show_machine(&system);

		show_text(o);
		json_decref(o);
		return show_flush(kz);
	}
	return show_json(kz, show_machine(&system));
}

/* ---- uptime ---- */

/* How long the VM has been running: 0 if it is not. */
static uint64_t vm_uptime(const struct vmi *vm, uint64_t now)
{
	bool up = (vm->info.state == KZ_VM_RUNNING) || (vm->info.state == KZ_VM_PAUSED) ||
		  (vm->info.state == KZ_VM_STOPPING);

	/* Started before it stopped: it is being loaded anew. */
	up = up && (vm->info.started > vm->info.stopped) && (vm->info.started <= now);
	return up ? now - vm->info.started : 0;
}

static int uptime_json(const struct kz *kz, const struct kz_machine_info *m, const struct vmi *vm,
		       int count)
{
	json_t *o = json_object(), *list = json_array();

	show_add_number(o, "machine_ns", m->now);
	for (int i = 0; i < count; i++) {
		json_t *one = show_vm_brief(&vm[i]);

		show_add_number(one, "uptime_ns", vm_uptime(&vm[i], m->now));
		show_add(list, NULL, one);
	}
	show_add(o, "vms", list);
	return show_json(kz, o);
}

int verb_uptime(struct kz *kz, int argc, char **argv)
{
	struct vmi vm[KZ_VMS_MAX];
	struct kz_machine_info m;
	int code, count, err;
	char found;

	if (!options_read(kz, argc, argv, "", &found, &code)) {
		return code;
	}
	count = vms_choose(kz, argv + optind, argc - optind, vm, &code);
	if (count < 0) {
		return code;
	}
	err = call_machine(kz, &m);
	if (err != KZ_OK) {
		return call_failed(kz, err, "looking at the machine", NULL);
	}
	if (kz->json) {
		return uptime_json(kz, &m, vm, count);
	}
	printf("Name             ID  Uptime\n%-15s   -  %s\n", "(machine)", ns_text(m.now));
	for (int i = 0; i < count; i++) {
		uint64_t up = vm_uptime(&vm[i], m.now);

		printf("%-15s %3u  %s\n", vm[i].info.name, vm[i].id, (up == 0) ? "-" : ns_text(up));
	}
	return show_flush(kz);
}

/* ---- dmesg ---- */

/* The log may have any bytes; as JSON it is text. */
static int log_print(const struct kz *kz, uint64_t position, const char *text, size_t size)
{
	json_t *o, *words;
	char clean[KZ_CONTROL_BYTES];

	if (!kz->json) {
		(void)fwrite(text, 1, size, stdout);
		return show_flush(kz);
	}
	for (size_t i = 0; i < size; i++) {
		clean[i] = text[i];
		if (((unsigned char)text[i] >= 0x80) || (text[i] == '\0')) {
			clean[i] = '?';
		}
	}
	o = json_object();
	show_add_number(o, "position", position);
	words = json_stringn(clean, size);
	show_add(o, "text", words);
	return show_json_line(kz, o);
}

/* All that there is from *position on. EXIT_OK, or what to exit with. */
static int log_follow(struct kz *kz, uint64_t *position)
{
	static char text[KZ_CONTROL_BYTES];

	for (;;) {
		uint64_t from = *position;
		size_t size;
		int code, err = call_log(kz, &from, text, sizeof(text), &size);

		if (err != KZ_OK) {
			return call_failed(kz, err, "reading the hypervisor's log", NULL);
		}
		if (size == 0) {
			return EXIT_OK;
		}
		if ((from > *position) && (*position != 0)) {
			fprintf(stderr, "kz dmesg: %" PRIu64 " bytes were not kept\n",
				from - *position);
		}
		code = log_print(kz, from, text, size);
		if (code != EXIT_OK) {
			return code;
		}
		*position = from + size;
	}
}

int verb_dmesg(struct kz *kz, int argc, char **argv)
{
	uint64_t position = 0;
	char found;
	int code;

	if (!options_read(kz, argc, argv, "w", &found, &code)) {
		return code;
	}
	if (optind < argc) {
		return kz_usage(kz, "'%s': it takes no words", argv[optind]);
	}
	if (found == 'w') {
		stop_begin();
	}
	code = log_follow(kz, &position);
	while ((found == 'w') && (code == EXIT_OK)) {
		if ((wait_for(NULL, -1, LOG_POLL_MS) & (WAIT_STOP | WAIT_ERROR)) != 0) {
			return EXIT_OK;
		}
		code = log_follow(kz, &position);
	}
	return code;
}
