/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output that is there whole or not at all: written under a temporary name beside its own, and
 * renamed at the end. A program that ends otherwise, by exit() or a signal that asks for it,
 * removes what is unfinished. One directory or some files at a time, not both.
 */
#ifndef KZTRACE_OUT_H
#define KZTRACE_OUT_H

#include <stdbool.h>
#include <stdio.h>

struct out {
	FILE *file;
	char *name;	/* what the user calls it */
	char *temp;	/* NULL: written in place, for it is no regular file */
};

struct out_dir {
	char *name;
	char *temp;
	bool told; /* that a write failed: once is enough */
};

/*
 * out_open - begin to write a file; "-" is standard output, and a device or a pipe is written
 * directly. Returns 0, or -1 when it has said on standard error why not.
 */
int out_open(struct out *out, const char *name) __attribute__((warn_unused_result));

/* out_close - the end: the file gets its name if it is ok and written well, else it is removed. */
int out_close(struct out *out, bool ok) __attribute__((warn_unused_result));

/* out_dir_open - begin to write a directory, which does not exist yet or is empty. */
int out_dir_open(struct out_dir *dir, const char *name) __attribute__((warn_unused_result));

/* out_dir_file - begin a file of it; NULL when it has said why not. Close it by out_dir_end. */
FILE *out_dir_file(struct out_dir *dir, const char *name) __attribute__((warn_unused_result));

/* out_dir_write - write to a file of the directory; false: it has said why not. */
bool out_dir_write(struct out_dir *dir, FILE *file, const void *bytes, size_t size)
	__attribute__((warn_unused_result));

/* out_dir_end - the end of a file of the directory. */
int out_dir_end(struct out_dir *dir, FILE *file) __attribute__((warn_unused_result));

/* out_dir_close - the end: the directory gets its name if it is ok, else it is removed. */
int out_dir_close(struct out_dir *dir, bool ok) __attribute__((warn_unused_result));

#endif
