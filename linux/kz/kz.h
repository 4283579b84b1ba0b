/* SPDX-License-Identifier: Apache-2.0 */
/* The command as a whole: what all verbs share. */
#ifndef KZ_KZ_H
#define KZ_KZ_H

#include <stdbool.h>
#include <stdint.h>

/* docs/kz.md, "Exit codes". */
enum kz_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_TIMEOUT = 3,
	EXIT_NO_VM = 4,
	EXIT_STOPPED = 130, /* by Ctrl-C */
};

struct dev;

struct kz {
	const char *verb; /* as it was called; messages begin with it */
	const char *path; /* of the device */
	struct dev *dev;  /* open, when the verb's function is called */
	bool json;
	const char *boards, *dtbs; /* where boards are; NULL: where they are installed */
};

/* A verb's function: words behind the verb, argv[0] is the verb. Returns enum kz_exit. */
typedef int verb_fn(struct kz *kz, int argc, char **argv);

verb_fn verb_list, verb_info, verb_uptime, verb_dmesg;
verb_fn verb_start, verb_pause, verb_unpause, verb_shutdown, verb_reboot, verb_destroy;
verb_fn verb_create, verb_console, verb_top, verb_trace, verb_dump;

/* kz_fail - "kz VERB: text" on stderr. Returns EXIT_FAILED, for those who return that. */
int kz_fail(const struct kz *kz, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* kz_usage - the same, with how the verb is called. Returns EXIT_USAGE. */
int kz_usage(const struct kz *kz, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* kz_option_wrong - what getopt_long did not know (opt is '?' or ':'). Returns EXIT_USAGE. */
int kz_option_wrong(const struct kz *kz, int opt, char **argv);

/* kz_seconds - "2", "0.5": a time above 0, in ms. False when it is none. */
bool kz_seconds(const char *text, int64_t *ms);

/*
 * kz_time_option - the options of a verb that has only --time; ms stays without it. Words begin at
 * optind then. Returns EXIT_OK or EXIT_USAGE.
 */
int kz_time_option(const struct kz *kz, int argc, char **argv, int64_t *ms);

#endif
