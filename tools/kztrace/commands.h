/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sub-commands. argv[0] is the sub-command's name; each returns the exit code:
 * 0, EXIT_WRONG or EXIT_USAGE (file.h).
 */
#ifndef KZTRACE_COMMANDS_H
#define KZTRACE_COMMANDS_H

/* command_usage - say how a sub-command is called, on stderr. Returns EXIT_USAGE. */
int command_usage(const char *name);

/* command_help - the same on stdout, with what it does. Returns EXIT_SUCCESS. */
int command_help(const char *name);

int report_main(int argc, char **argv);
int timeline_main(int argc, char **argv);
int hist_main(int argc, char **argv);
int json_main(int argc, char **argv);
int ctf_main(int argc, char **argv);
int capture_main(int argc, char **argv);

#endif
