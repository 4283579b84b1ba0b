/* SPDX-License-Identifier: Apache-2.0 */
#include "sys.h"

#include "admit.h"
#include "cores.h"

#include <errno.h>
#include <string.h>

const char *sys_path(struct sys *s, const char *path)
{
	return (path[0] == '/') ? path : mem_printf(&s->mem, "%s/%s", s->dir, path);
}

const struct bytes *sys_file(struct sys *s, const char *what, struct conf_text path)
{
	struct file *f = s->files;

	while ((f != NULL) && (strcmp(f->path, path.s) != 0)) {
		f = f->next;
	}
	if (f == NULL) {
		f = mem_zalloc(&s->mem, sizeof(*f));
		f->path = path.s;
		f->next = s->files;
		s->files = f;
		if (!mem_file(&s->mem, sys_path(s, path.s), &f->bytes)) {
			f->error = strerror(errno);
		}
	}
	if (f->error != NULL) {
		diag_error(&s->diag, path.line, "%s %s: %s", what, sys_path(s, path.s), f->error);
		return NULL;
	}
	return &f->bytes;
}

/* Everything that depends on the board. */
static void system_read(struct sys *s)
{
	board_narrow(&s->diag, &s->board, s->conf.cores, s->conf.ram);
	s->vm_count = (s->conf.vm_count < KZ_VMS_MAX) ? s->conf.vm_count : KZ_VMS_MAX;
	for (unsigned v = 0; v < s->vm_count; v++) {
		s->vm[v].conf = &s->conf.vm[v];
		s->vm[v].cfg.region_count = 1;
		vm_read(s, &s->vm[v]);
		guest_read(s, &s->vm[v]);
	}
	cores_read(s);
	health_check(s);
	trace_read(s);
	admit_all(s);
	device_read_all(s);
	for (unsigned v = 0; v < s->vm_count; v++) {
		control_read(s, &s->vm[v]);
	}
	vm_check_all(s);
	place_all(s);
}

/* The configuration's board; for a misspelt name the likeliest, to find the other mistakes. */
static bool board_find(struct sys *s)
{
	struct conf_text name = s->conf.board;

	if (board_load(&s->diag, &s->paths, name, s->dir, &s->board)) {
		return true;
	}
	name.s = s->board.guess;
	return (name.s != NULL) && board_load(&s->diag, &s->paths, name, s->dir, &s->board);
}

bool sys_parse(struct sys *s, char *text, size_t size, const struct board *board)
{
	if (!conf_parse(&s->diag, text, size, &s->conf)) {
		return false;
	}
	if (board != NULL) {
		s->board = *board;
	} else if (s->conf.board.s == NULL) {
		diag_error(&s->diag, 0, "there is no board = NAME");
		return false;
	} else if (!board_find(s)) {
		return false;
	}
	system_read(s);
	return s->diag.errors == 0;
}

bool sys_text(struct sys *s, const char *path, struct bytes *text)
{
	const char *slash = strrchr(path, '/');

	s->diag.mem = &s->mem;
	s->diag.file = path;
	s->dir = (slash == NULL) ? "." : mem_strndup(&s->mem, path, (size_t)(slash - path));
	if (!mem_file(&s->mem, path, text)) {
		diag_error(&s->diag, 0, "%s", strerror(errno));
		return false;
	}
	return true;
}

bool sys_load(struct sys *s, const char *path)
{
	struct bytes text;

	return sys_text(s, path, &text) && sys_parse(s, (char *)text.data, text.size, NULL);
}
