# SPDX-License-Identifier: Apache-2.0
# What is checked and measured. Included by the Makefile, which has what is built.

host-tests: $(HOST_TESTS)
fuzzers: $(FUZZERS)
list-host-tests:
	@echo $(HOST_TESTS)
list-fuzzers:
	@echo $(FUZZERS)

host-test: $(HOST_TESTS) ## the hypervisor's core on this machine, sanitized
	@fail=0; for t in $(HOST_TESTS); do ./$$t || fail=1; done; exit $$fail

kzc-test: $(KZC) ## kzc: what it accepts, refuses and writes
	$(PYTEST) tests/kzc

kztrace-test: $(KZTRACE) $(KZC) ## kztrace: what its commands say of traces that were made up
	$(PYTEST) tests/kztrace

qemu-test: images $(PLUGINS) ## the real image under QEMU
	$(PYTEST) tests/qemu

fuzz: $(FUZZERS) ## fuzz the parsers, FUZZ_TIME seconds each
	@for f in $(FUZZERS); do scripts/fuzz $$f $(FUZZ_TIME) || exit 1; done

size: $(HV) ## what each file takes of the hypervisor, against the budget
	@scripts/size $(SIZE) bench/budget $(HV)

paths: $(HV) $(KZC) $(B)/host/paths.so $(GUESTS) $(BOARDS) ## where the instructions go: docs/paths.md
	bench/paths

cloc: ## lines of code, comment and blank, by folder and kind
	@scripts/cloc

bench: ## measure all there is, with the peers (long); QUICK=1: virt only, against the budget
	bench/bench $(if $(QUICK),--quick)

pictures: images $(KZTRACE) ## draw the pictures of the docs anew: of the demo, of what is stored
	scripts/pictures
	bench/bench --draw
	bench/paths

stack: $(HV) ## how deep the hypervisor's stacks get, from its instructions; no recursion
	@$(PYTHON) tests/static/stack.py $(OBJCOPY:copy=dump) $< arch/arm64/layout.h $(B)/arm64

tidy: ## clang-tidy's checks of .clang-tidy
	@scripts/tidy hypervisor "$(filter %.c,$(HV_SRC))" --target=aarch64-none-elf $(CFLAGS_HV)
	@scripts/tidy tools "$(wildcard tools/*/*.c)" $(CFLAGS_HOST) -Iinclude -iquote hv -Itools/kzc
	@scripts/tidy kz "$(wildcard linux/kz/*.c)" $(KZ_FLAGS)
	@scripts/tidy guests "$(filter %.c,$(LIB_SRC) $(GUEST_SRC))" --target=aarch64-none-elf \
		$(CFLAGS_GUEST)

threads: ## what each lock of hv and arch guards, by clang's -Wthread-safety
	@clang --target=aarch64-none-elf $(CFLAGS_HV) -Wthread-safety -fsyntax-only \
		$(filter %.c,$(HV_SRC))

misra: ## hv and arch against MISRA C:2012, as docs/misra.md has it
	@$(PYTHON) tests/static/misra.py

style: ## what a script can check of the code style
	@test ! -e tests/style.py || $(PYTHON) tests/style.py
