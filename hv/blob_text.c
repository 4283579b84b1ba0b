/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a blob, in words, for tools: the hypervisor has the number alone. */
#include "blob.h"

/* In the order of enum blob_err, BLOB_ERRS included, each ended by a NUL. */
static const char messages[] =
	"ok\0truncated\0no configuration\0version differs\0size\0number of VMs\0reserved field\0"
	"image bounds\0name\0name given twice\0number of cores\0MPIDR\0console core\0conduit is "
	"not SMC\0"
	"RAM bank\0image outside RAM\0GIC version or lines\0GIC frame\0PPI\0console UART\0"
	"level, on_fault or console\0count\0flags\0no such core\0core given twice\0irq_lines\0"
	"interrupt\0interrupt given twice\0region bounds\0region outside RAM\0device in RAM\0"
	"region is the hypervisor's\0page given twice\0guest addresses overlap\0load\0"
	"entry or argument\0console or stolen page\0server or share\0trace memory or mode\0"
	"restart or back-off\0watchdog\0rights\0view of the trace\0store\0"
	"unknown error\0";

const char *blob_strerror(enum blob_err err)
{
	const char *text = messages;
	uint32_t skip = ((uint32_t)err < BLOB_ERRS) ? (uint32_t)err : (uint32_t)BLOB_ERRS;

	while (skip > 0) { /* the length of messages */
		skip -= (*text == '\0') ? 1 : 0;
		text++;
	}
	return text;
}
