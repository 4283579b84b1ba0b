# SPDX-License-Identifier: Apache-2.0
# kz, the command of the control VM: static for arm64, and for this machine, sanitized, to be
# tested. Included by the Makefile.

KZ := build/linux/kz
KZ_NATIVE := $(B)/host/kz-test
KZ_SRC := $(wildcard linux/kz/*.c) $(filter-out tools/kzc/main.c,$(wildcard tools/kzc/*.c)) \
	$(wildcard hv/blob*.c) \
	$(patsubst %,tools/kztrace/%.c,capture_ring file names replay replay_job stat)
# arm64 libraries and their headers, unpacked by scripts/setup.
KZ_LIBS := $(DEBIAN)/arm64
KZ_FLAGS := -std=c11 -D_GNU_SOURCE -g $(WARN) -Iinclude -Ilinux -iquote hv -iquote tools/kzc \
	-iquote tools/kztrace
KZ_CC := aarch64-linux-gnu-gcc
KZ_CFLAGS := $(KZ_FLAGS) -O2 -march=armv8-a -isystem $(KZ_LIBS)/include
KZ_TEST_CFLAGS := $(KZ_FLAGS) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
KZ_OBJ := $(KZ_SRC:%=build/linux/kz-obj/%.o)
KZ_TEST_OBJ := $(KZ_SRC:%=$(B)/host/kz-obj/%.o)
# What goes into the control VM's root.
CONTROL := build/linux/control.d
KZ_BOARDS := $(patsubst boards/%.conf,%,$(wildcard boards/*.conf))
KZ_INSTALLED := $(CONTROL)/usr/bin/kz $(CONTROL)/usr/share/bash-completion/completions/kz \
	$(KZ_BOARDS:%=$(CONTROL)/usr/share/kizami/boards/%.conf) \
	$(KZ_BOARDS:%=$(CONTROL)/usr/share/kizami/boards/%.dtb)

build/linux/control.gz: $(KZ_INSTALLED)

.PHONY: kz kz-test
kz: $(KZ_INSTALLED) ## kz for the control VM, and what belongs to it, in build/linux/control.d

kz-test: $(KZ_NATIVE) $(KZTRACE) $(KZC) $(BOARDS) ## kz: its verbs against a made-up hypervisor
	$(PYTEST) -n 2 tests/kz

$(KZ_OBJ): build/linux/kz-obj/%.c.o: %.c Makefile linux/kz.mk | $(KZ_LIBS)/lib/libjansson.a
	@mkdir -p $(@D)
	$(KZ_CC) $(KZ_CFLAGS) $(DEP) -c -o $@ $<

$(KZ): $(KZ_OBJ)
	@# ld warns of getpwnam in libConfuse's expansion of ~, which nobody calls
	$(KZ_CC) -static -s -Wl,--no-warnings -o $@ $^ -L$(KZ_LIBS)/lib -lconfuse -lfdt -ljansson

$(KZ_TEST_OBJ): $(B)/host/kz-obj/%.c.o: %.c Makefile linux/kz.mk
	@mkdir -p $(@D)
	$(CC_HOST) $(KZ_TEST_CFLAGS) $(DEP) -c -o $@ $<

$(KZ_NATIVE): $(KZ_TEST_OBJ)
	$(CC_HOST) -fsanitize=address,undefined -o $@ $^ -lconfuse -lfdt -ljansson

$(CONTROL)/usr/bin/kz: $(KZ)
	@mkdir -p $(@D)
	cp $< $@

$(CONTROL)/usr/share/bash-completion/completions/kz: linux/kz/kz.bash-completion
	@mkdir -p $(@D)
	cp $< $@

$(CONTROL)/usr/share/kizami/boards/%.conf: boards/%.conf
	@mkdir -p $(@D)
	cp $< $@

$(CONTROL)/usr/share/kizami/boards/%.dtb: build/boards/%.dtb
	@mkdir -p $(@D)
	cp $< $@

-include $(shell find build/linux/kz-obj $(B)/host/kz-obj -name "*.d" 2>/dev/null)
