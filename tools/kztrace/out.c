/* SPDX-License-Identifier: Apache-2.0 */
#include "out.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory and the files in it, or a file. */
#define TEMPS_MAX 16

/* What is unfinished, in the order in which it was made; the handler of signals reads it. */
static char *volatile temps[TEMPS_MAX];

/* remove() is a call of unlink or rmdir: both may be called by a handler of signals. */
static void temps_remove(void)
{
	for (unsigned i = TEMPS_MAX; i > 0; i--) {
		const char *path = temps[i - 1];

		if ((path != NULL) && (unlink(path) != 0)) {
			(void)rmdir(path);
		}
		temps[i - 1] = NULL;
	}
}

static void on_signal(int number)
{
	temps_remove();
	_exit(128 + number);
}

static void temps_add(char *path)
{
	static const int asked[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };
	static bool ready;
	struct sigaction action = { .sa_handler = on_signal };

	if (!ready) {
		ready = true;
		(void)atexit(temps_remove);
		for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
			(void)sigaction(asked[i], &action, NULL);
		}
		(void)signal(SIGXFSZ, SIG_IGN); /* a file too large is an error of the write */
	}
	for (unsigned i = 0; i < TEMPS_MAX; i++) {
		if (temps[i] == NULL) {
			temps[i] = path;
			return;
		}
	}
	fprintf(stderr, "kztrace: more than %u unfinished files\n", TEMPS_MAX);
	exit(1);
}

static void temps_forget(const char *path)
{
	for (unsigned i = 0; i < TEMPS_MAX; i++) {
		if (temps[i] == path) {
			temps[i] = NULL;
		}
	}
}

static int complain(const char *name)
{
	fprintf(stderr, "kztrace: %s: %s\n", name, strerror(errno));
	return -1;
}

static char *text(const char *format, const char *a, const char *b)
{
	char *all = NULL;

	if (asprintf(&all, format, a, b) < 0) {
		fputs("kztrace: out of memory\n", stderr);
		exit(1);
	}
	return all;
}

/* What mkstemp and mkdtemp make is for nobody else: what the user's umask says counts. */
static mode_t usual_mode(mode_t all)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return all & ~mask;
}

/* The file that a symbolic link leads to is what is replaced, not the link. */
static char *target(const char *name)
{
	char *real = realpath(name, NULL);

	return (real != NULL) ? real : text("%s%s", name, "");
}

int out_open(struct out *out, const char *name)
{
	struct stat st;
	int fd;

	memset(out, 0, sizeof(*out));
	if (strcmp(name, "-") == 0) {
		out->name = text("%s%s", "standard output", "");
		out->file = stdout;
		return 0;
	}
	out->name = target(name);
	if ((stat(name, &st) == 0) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		out->file = fopen(name, "w");
		return (out->file == NULL) ? complain(name) : 0;
	}
	if ((name[0] == '\0') || ((stat(name, &st) == 0) && S_ISDIR(st.st_mode))) {
		errno = (name[0] == '\0') ? ENOENT : EISDIR;
		return complain(name);
	}
	out->temp = text("%s%s", out->name, ".XXXXXX");
	fd = mkstemp(out->temp);
	if (fd < 0) {
		return complain(name);
	}
	temps_add(out->temp);
	(void)fchmod(fd, usual_mode(0666));
	out->file = fdopen(fd, "w");
	return (out->file == NULL) ? complain(name) : 0;
}

int out_close(struct out *out, bool ok)
{
	bool bad;
	int err = 0;

	errno = 0;
	bad = (fflush(out->file) != 0) || ferror(out->file);
	bad = ((out->file != stdout) && (fclose(out->file) != 0)) || bad;
	if (bad) {
		errno = (errno == 0) ? EIO : errno;
		err = complain(out->name);
	}
	if (out->temp != NULL) {
		if (ok && !bad && (rename(out->temp, out->name) != 0)) {
			err = complain(out->name);
			bad = true;
		}
		if (!ok || bad) {
			(void)unlink(out->temp);
		}
		temps_forget(out->temp);
	}
	free(out->temp);
	free(out->name);
	return err;
}

/* Nothing, or an empty directory, which rename() replaces; else errno says what it is. */
static bool is_free(const char *name)
{
	DIR *old = opendir(name);
	const struct dirent *entry;

	if (old == NULL) {
		return errno == ENOENT;
	}
	do {
		entry = readdir(old);
	} while ((entry != NULL) &&
		 ((strcmp(entry->d_name, ".") == 0) || (strcmp(entry->d_name, "..") == 0)));
	(void)closedir(old);
	errno = ENOTEMPTY;
	return entry == NULL;
}

int out_dir_open(struct out_dir *dir, const char *name)
{
	size_t length = strlen(name);

	dir->told = false;
	while ((length > 1) && (name[length - 1] == '/')) {
		length--;
	}
	dir->name = strndup(name, length);
	if (dir->name == NULL) {
		return complain(name);
	}
	/* Whether it can be replaced is known before the work, not behind it. */
	if (!is_free(dir->name)) {
		return complain(name);
	}
	dir->temp = text("%s%s", dir->name, ".XXXXXX");
	if (mkdtemp(dir->temp) == NULL) {
		return complain(name);
	}
	temps_add(dir->temp);
	(void)chmod(dir->temp, usual_mode(0777));
	return 0;
}

FILE *out_dir_file(struct out_dir *dir, const char *name)
{
	char *path = text("%s/%s", dir->temp, name);
	FILE *file = fopen(path, "wx");

	if (file == NULL) {
		(void)complain(path);
		free(path);
		return NULL;
	}
	temps_add(path);
	return file;
}

/* errno says why; 0: nobody knows any more. */
static int write_failed(struct out_dir *dir)
{
	if (!dir->told) {
		errno = (errno == 0) ? EIO : errno;
		(void)complain(dir->name);
		dir->told = true;
	}
	return -1;
}

bool out_dir_write(struct out_dir *dir, FILE *file, const void *bytes, size_t size)
{
	return (fwrite(bytes, 1, size, file) == size) || (write_failed(dir) == 0);
}

int out_dir_end(struct out_dir *dir, FILE *file)
{
	int err;

	errno = 0;
	err = ((fflush(file) != 0) || ferror(file)) ? write_failed(dir) : 0;
	return (fclose(file) != 0) ? write_failed(dir) : err;
}

int out_dir_close(struct out_dir *dir, bool ok)
{
	int err = 0;

	if (ok && (rename(dir->temp, dir->name) != 0)) {
		err = complain(dir->name);
		ok = false;
	}
	for (unsigned i = TEMPS_MAX; i > 0; i--) { /* files before their directory */
		char *path = temps[i - 1];

		temps[i - 1] = NULL;
		if (!ok && (path != NULL) && (unlink(path) != 0)) {
			(void)rmdir(path);
		}
		if (path != dir->temp) {
			free(path);
		}
	}
	free(dir->name);
	free(dir->temp);
	return err;
}
