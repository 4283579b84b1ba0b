/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#include "line.h"
#include "psci.h"

void guest_fault(uint64_t vector, uint64_t esr, uint64_t pc, uint64_t far)
{
	struct line line;

	line_begin(&line);
	line_value(&line, "guest: exception ", vector);
	line_text(&line, " esr ");
	line_hex(&line, esr);
	line_text(&line, " pc ");
	line_hex(&line, pc);
	line_text(&line, " far ");
	line_hex(&line, far);
	line_print(&line);
	psci_system_off();
}
