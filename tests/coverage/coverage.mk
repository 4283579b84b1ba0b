# SPDX-License-Identifier: Apache-2.0
# Part of the Makefile: the hypervisor and its host tests that count what they execute
# (docs/coverage.md). With COVERAGE=1 they are built into build/cov.
.DEFAULT_GOAL := all

ifdef COVERAGE
ifneq ($(COMPILER),gcc)
$(error COVERAGE=1 takes COMPILER=gcc)
endif
B := build/cov
# What is written is what is counted: nothing is optimized, no function is part of another, and
# `a && b` is two branches for every processor. Several cores count, so they count atomically.
COV_FLAGS := -O0 -Dalways_inline=unused --param logical-op-non-short-circuit=0 \
	-fprofile-arcs -ftest-coverage -fprofile-update=atomic
# The section takes the place of constructors, and nobody keeps it. The image needs more memory
# than the tiny model reaches.
CFLAGS_HV += $(COV_FLAGS) -fprofile-info-section=.gcov_info -mcmodel=small
LTO :=
# In place of what the compiler may do of tail calls: tails.S. Nothing else may call these.
TAILS := trap_sched|trap_job_done|trap_next
COV_TAILS := $(B)/arm64/tests/coverage/tails.S.o
LD_HV += $(COV_TAILS) $(foreach f,call sysreg sync irq serror sched job_done next,-Wl,--wrap=trap_$(f))
$(B)/arm64/kizami.elf: $(COV_TAILS)
# A process that a test forks counts too.
COV_TEST := $(COV_FLAGS) -fno-sanitize=all -D_exit=exit

# Not those that are about kzc only, and not the one that takes minutes to do more of test_sched.
COV_HOST = $(filter-out %/test_rt %/test_rt_inner %/test_sched_sets,$(HOST_TESTS))
.PHONY: coverage-build coverage-host
coverage-build: $(B)/arm64/kizami.elf $(B)/host/covered.so
coverage-host: coverage-build
	@$(MAKE) COVERAGE=1 $(COV_HOST)
	@find $(B)/host -name "*.gcda" -delete
	@fail=0; for t in $(COV_HOST); do ./$$t >$$t.log 2>&1 || { fail=1; tail $$t.log; }; done; \
		exit $$fail
else
# Time is not what it is in the real image, so what the QEMU tests find does not matter here.
# Not in it: what is about another compiler, or about counting instructions.
COV_DATA := $(CURDIR)/build/cov/data
COV_IGNORE := $(patsubst %,--ignore tests/qemu/test_%.py,clang masked masked_console paths trace_cost)
.PHONY: coverage
coverage: all images ## what the tests execute of the hypervisor, by line and branch
	@scripts/setup coverage
	@rm -rf $(COV_DATA)
	$(MAKE) COVERAGE=1 coverage-host
	@echo "the QEMU tests; their log: build/cov/qemu.log"
	@KIZAMI_COVERAGE=$(COV_DATA) TIMEOUT_SCALE=2 $(PYTEST) $(COV_IGNORE) $(COV_ARGS) tests/qemu \
		>build/cov/qemu.log 2>&1; tail -n 1 build/cov/qemu.log
	@tests/coverage/coverage.py $(COV_DATA)
endif
