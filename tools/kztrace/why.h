/* SPDX-License-Identifier: Apache-2.0 */
/* The reason of a missed deadline, as a sentence. */
#ifndef KZTRACE_WHY_H
#define KZTRACE_WHY_H

#include "replay.h"

/* why_missed - when a job missed its deadline, and who had the core until then. A static buffer. */
const char *why_missed(const struct trace *t, const struct replay_job *job);

#endif
