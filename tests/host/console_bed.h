/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the console share: a machine with four VMs, and a terminal that shows it. */
#ifndef CONSOLE_BED_H
#define CONSOLE_BED_H

#include <kizami/console.h>
#include "arch.h"
#include "console.h"

#define VMS   4u
#define BYTES (1u << 16)

/* linux: NRT, PL011, has the focus. servo: HRT, ring. vision: SRT, PL011. mute: NRT, none. */
struct bed {
	struct kz_cfg cfg;
	struct kz_cfg_vm vm[VMS];
};
extern struct bed bed;

struct terminal {
	uint32_t seen;  /* bytes of host.out that it has read */
	char row[4096]; /* the cursor's row */
	uint32_t at, len;
	char rows[BYTES * 8]; /* finished rows, each with its newline */
	uint32_t rows_len;
	uint32_t told; /* of these: term_rows returned them */
};
extern struct terminal term;

/* What a VM wrote. */
struct writer {
	char wrote[BYTES];
	uint32_t len;
	uint32_t line; /* length of its current line */
};

/* The machine above, nothing on its terminal. A cmocka setup function. */
int bed_setup(void **state);

/* Show what the UART has sent. */
void term_read(void);
/* The finished rows since the last call. */
const char *term_rows(void);
/* The terminal's rows of one channel, its tags removed and broken lines joined; their length. */
uint32_t term_of(const char *name, char *text);

/* The UART interrupts until what was typed is taken. */
void everything_in(void);
/* The same, it takes everything, and interrupts as long as it was asked to. */
void everything_out(void);
/* One byte into the channel's ring, nothing more. */
void ring_put(uint32_t channel, char c);
/* Write as the VM, byte by byte, as the PL011 does. */
void put(uint32_t vm, const char *s);
/* Type at the terminal. */
void type(const char *s);
/* The byte that the VM's PL011 has, -1 for none. */
int typed(uint32_t vm);

/* The servo's ring: the second page of its RAM. */
struct kz_console_ring *servo_ring(void);

#endif
