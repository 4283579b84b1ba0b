# SPDX-License-Identifier: Apache-2.0
# Kizami: everything that is built; checks.mk has what is checked and measured. `make help` lists
# the targets.

COMPILER ?= gcc
OPT ?= -O2
CPU ?= cortex-a53
B := $(if $(filter clang,$(COMPILER)),build/clang,build)
# The unpacked Debian arm64 packages (kernel, busybox); scripts/setup fetches them.
DEBIAN ?= build/debian
QEMU ?= qemu-system-aarch64
# Debian's own: a python3 that comes earlier in PATH lacks the packages.
PYTHON ?= /usr/bin/python3
PYTEST ?= $(PYTHON) -m pytest -q -p no:cacheprovider

ifeq ($(COMPILER),clang)
CC_ARM := clang --target=aarch64-none-elf
LD_ARM := ld.lld
CC_HOST := clang
else ifeq ($(COMPILER),gcc)
CC_ARM := aarch64-linux-gnu-gcc -mno-outline-atomics -fno-tree-loop-distribute-patterns
LD_ARM := aarch64-linux-gnu-ld
CC_HOST := gcc
else
$(error COMPILER is gcc or clang)
endif
OBJCOPY := aarch64-linux-gnu-objcopy
SIZE := aarch64-linux-gnu-size

WARN := -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Werror
CFLAGS_ARM = -std=c11 $(OPT) -g -ffreestanding -march=armv8-a -mtune=$(CPU) \
	-mgeneral-regs-only -mstrict-align -fno-common -ffunction-sections -fdata-sections \
	-fno-stack-protector -fno-asynchronous-unwind-tables $(WARN)
# TRACE=off: without the trace, to measure what it takes.
CFLAGS_HV = $(CFLAGS_ARM) $(if $(filter off,$(TRACE)),-DTRACE_OFF) -fno-pic -ffixed-x18 -mcmodel=tiny \
	-fomit-frame-pointer -fno-align-functions -Iinclude -Ihv -Iarch -Iarch/arm64
CFLAGS_GUEST = $(CFLAGS_ARM) -fpie -fvisibility=hidden -Iinclude -Iguests/lib
CFLAGS_HOST := -std=c11 -D_GNU_SOURCE -O2 -g $(WARN)
CFLAGS_TEST := -std=c11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer $(WARN) \
	-fsanitize=address,undefined -fno-sanitize-recover=all -Itests/host -Iinclude -iquote hv -Iarch
LDFLAGS_ARM := -nostdlib --gc-sections -z max-page-size=4096 -z noexecstack --build-id=none \
	--fatal-warnings
# gcc optimizes the hypervisor as a whole, for size but where instructions are counted.
ifeq ($(COMPILER),gcc)
LTO = -flto -flto-partition=one
comma := ,
LD_HV = $(CC_ARM) $(CFLAGS_HV) $(LTO) -static -nostdlib \
	$(patsubst -%,-Wl$(comma)-%,$(subst -z ,-z$(comma),$(filter-out -nostdlib,$(LDFLAGS_ARM))))
else
LD_HV = $(LD_ARM) $(LDFLAGS_ARM)
endif
HOT := arch/arm64/quick.c arch/arm64/switch.c arch/arm64/turn.c
TAILS := trap_sched|trap_job_done|trap_next|trap_irq_long|trap_call_long
DEP = -MMD -MP -MT $@ -MF $(@:=.d)
include tests/coverage/coverage.mk

# ---- The hypervisor -------------------------------------------------------------------------
HV_SRC := $(wildcard hv/*.c arch/*.c arch/arm64/*.c arch/arm64/*.S)
HV_OBJ := $(HV_SRC:%=$(B)/arm64/%.o)
HV_LDS := arch/arm64/kizami.lds
HV := $(B)/arm64/kizami.elf

# ---- The guests: each guests/*.c or *.S is one, with the library; tests bring their own ------
LIB_SRC := $(wildcard guests/lib/*.c guests/lib/*.S)
LIB_OBJ := $(LIB_SRC:%=$(B)/guests/obj/%.o)
GUEST_SRC := $(wildcard guests/*.c tests/guests/*.c)
GUEST_RAW := $(wildcard guests/*.S tests/guests/*.S)
# The guest that measures: it has an entry, a console and a GIC of its own.
BENCH_OBJ := $(patsubst %,$(B)/guests/obj/%.o,$(wildcard bench/guests/*.c bench/guests/*.S) \
	$(addprefix guests/lib/,fdt.c line.c options.c mem.S))
# And the one whose calls are counted from outside.
CONTROL_OBJ := $(patsubst %,$(B)/guests/obj/%.o,$(wildcard bench/control/*.c bench/control/*.S)) \
	$(filter-out %/bench/guests/main.c.o,$(BENCH_OBJ))
GUEST_LDS := guests/lib/guest.lds
GUESTS := $(foreach s,$(GUEST_SRC) $(GUEST_RAW),$(B)/guests/$(basename $(notdir $(s))).bin) \
	$(B)/guests/bench.bin $(B)/guests/control.bin

# ---- The host: kzc and the tests -------------------------------------------------------------
KZC := $(B)/host/kzc
KZC_OBJ := $(patsubst %,$(B)/host/%.o,$(wildcard tools/kzc/*.c hv/blob*.c))
KZTRACE := $(B)/host/kztrace
KZTRACE_OBJ := $(patsubst %,$(B)/host/%.o,$(wildcard tools/kztrace/*.c hv/blob*.c))
HOST_TESTS := $(patsubst tests/host/%.c,$(B)/host/tests/%,$(wildcard tests/host/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/host/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_TIME ?= 60
# Plugins of QEMU's: masked stretches, ways through the hypervisor, the phases of a boot, calls.
PLUGINS := $(foreach p,calls marks masked paths,$(B)/host/$(p).so)

BOARDS := $(patsubst %,build/boards/%.dtb,virt virt-gicv2 zcu102)
LINUX := build/linux/Image build/linux/initrd.gz build/linux/control.gz
IMAGES := $(patsubst demo/%.conf,$(B)/images/%.img,$(wildcard demo/*.conf))

.PHONY: all help boards linux guests images host-tests host-test kzc-test kztrace-test qemu-test \
	fuzzers fuzz list-host-tests list-fuzzers size cloc paths bench pictures \
	stack tidy threads misra style fresh clean
.DELETE_ON_ERROR:
.SUFFIXES:

all: $(HV) $(KZC) $(KZTRACE) $(PLUGINS) guests ## build the hypervisor, tools, guests

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(filter %file %.mk,$(MAKEFILE_LIST)) | expand -t 20
	@echo "  COMPILER=gcc|clang  OPT=-O2|-Os  TRACE=off  FUZZ_TIME=seconds  SUITE=bookworm|trixie (fresh)"

guests: $(GUESTS) ## the example guests
boards: $(BOARDS) ## the boards' device trees, from QEMU and from Debian
linux: $(LINUX) ## the Linux guest: Debian's kernel, kizami.ko, busybox initramfs
images: $(IMAGES) ## the bootable demo images, one for each demo/*.conf

$(B)/arm64/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC_ARM) $(CFLAGS_HV) $(LTO) $(DEP) -c -o $@ $<

$(B)/arm64/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	$(CC_ARM) $(CFLAGS_HV) $(DEP) -c -o $@ $<

# Not -fno-tree-forwprop: GCC 12's modref then loses stores through a pointer to the middle of an
# argument, and the caller takes them for zeroes.
$(HV) $(HV_OBJ): OPT := -Os $(if $(filter gcc,$(COMPILER)),-fno-shrink-wrap \
	-fno-move-loop-invariants)
$(HV) $(HV_OBJ): CFLAGS_HV += -fstack-usage
$(HOT:%=$(B)/arm64/%.o): OPT := -O2
$(HOT:%=$(B)/arm64/%.o) $(B)/arm64/hv/mem.c.o: LTO :=

# Called by trap_sched and the like alone, which have saved these registers. The passes that are off
# would have more values at a time in registers, and move them about.
$(B)/arm64/arch/arm64/turn.c.o: CFLAGS_HV += $(if $(filter gcc,$(COMPILER)),-fno-cse-follow-jumps \
	-fno-tree-pre -fno-move-loop-invariants $(addprefix -fcall-used-x,\
	19 20 21 22 23 24 25 26 27 28))

$(HV): $(HV_OBJ) $(HV_LDS)
	@rm -f $@.*.su
	$(LD_HV) -T $(HV_LDS) -o $@ $(HV_OBJ)
	@# the guest's registers are C's again only in tail position (vectors.h)
	@! $(OBJCOPY:copy=dump) -d $@ | grep -E "\sbl\s.*<($(TAILS))>"

$(B)/guests/obj/%.o: % Makefile
	@mkdir -p $(@D)
	$(CC_ARM) $(CFLAGS_GUEST) $(DEP) -c -o $@ $<

vpath %.c guests tests/guests
vpath %.S guests tests/guests
$(GUEST_SRC:%=$(B)/guests/obj/%.elf): %.elf: %.o $(LIB_OBJ) $(GUEST_LDS)
	$(LD_ARM) $(LDFLAGS_ARM) -pie --no-dynamic-linker -T $(GUEST_LDS) -o $@ $< $(LIB_OBJ)

$(GUEST_RAW:%=$(B)/guests/obj/%.elf): %.elf: %.o $(GUEST_LDS)
	$(LD_ARM) $(LDFLAGS_ARM) -pie --no-dynamic-linker -T $(GUEST_LDS) -o $@ $<

$(B)/guests/obj/bench.elf: $(BENCH_OBJ) $(GUEST_LDS)
	$(LD_ARM) $(LDFLAGS_ARM) -pie --no-dynamic-linker -T $(GUEST_LDS) -o $@ $(BENCH_OBJ)

$(B)/guests/obj/control.elf: $(CONTROL_OBJ) $(GUEST_LDS)
	$(LD_ARM) $(LDFLAGS_ARM) -pie --no-dynamic-linker -T $(GUEST_LDS) -o $@ $(CONTROL_OBJ)

$(CONTROL_OBJ): CFLAGS_GUEST += -iquote bench/guests

$(B)/guests/bench.bin $(B)/guests/control.bin: $(B)/guests/%.bin: $(B)/guests/obj/%.elf
	$(OBJCOPY) -O binary -j .text -j .rodata -j .data $< $@

define guest_rule
$(B)/guests/$(basename $(notdir $(1))).bin: $(B)/guests/obj/$(1).elf
	cp $$< $$(@:.bin=.elf)
	$(OBJCOPY) -O binary -j .text -j .rodata -j .data $$< $$@
endef
$(foreach s,$(GUEST_SRC) $(GUEST_RAW),$(eval $(call guest_rule,$(s))))

$(B)/host/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC_HOST) $(CFLAGS_HOST) -Iinclude -iquote hv -Itools/kzc $(DEP) -c -o $@ $<

$(KZC): $(KZC_OBJ)
	$(CC_HOST) -o $@ $^ -lconfuse -lfdt

$(KZTRACE): $(KZTRACE_OBJ)
	$(CC_HOST) -o $@ $^ -lm
$(B)/host/tools/kztrace/timeline_zoom.c.o: tools/kztrace/timeline.js

# QEMU's plugins, for tests, bench and coverage.
$(B)/host/%.so: tools/plugins/%.c $(wildcard tools/plugins/*.h) Makefile
	@mkdir -p $(@D)
	$(CC_HOST) $(CFLAGS_HOST) -fPIC -shared -fvisibility=hidden -o $@ $<

# A test names the sources that it is linked with: /* link: hv/blob.c tests/host/arch_host.c */
links = $(shell sed -n 's,^/\* link: \(.*\) \*/$$,\1,p' $(1))
# And flags of its own: /* flags: -O2 -fno-sanitize=all */
flags = $(shell sed -n 's,^/\* flags: \(.*\) \*/$$,\1,p' $(1))

TEST_HEADERS := $(wildcard tests/host/*.h hv/*.h arch/*.h arch/arm64/*.h include/kizami/*.h \
	tools/kztrace/*.h)

define test_rule
$(2): $(1) Makefile $$(call links,$(1)) $(TEST_HEADERS)
	@mkdir -p $$(@D)
	$(3) $$(call flags,$(1)) -o $$@ $$(filter %.c,$$^) $(4)
endef
$(foreach t,$(HOST_TESTS),$(eval $(call test_rule,$(t:$(B)/host/tests/%=tests/host/%.c),$(t),\
	$(CC_HOST) $(CFLAGS_TEST),-lcmocka -lfdt $(COV_TEST))))
$(foreach t,$(FUZZERS),$(eval $(call test_rule,$(t:$(B)/host/fuzz/%=tests/fuzz/%.c),$(t),\
	clang -fsanitize=fuzzer $(CFLAGS_TEST) -Itools/kzc,-lconfuse -lfdt)))

# ---- Boards and Linux ------------------------------------------------------------------------
build/boards/virt.dtb: GICV := 3
build/boards/virt-gicv2.dtb: GICV := 2
build/boards/virt.dtb build/boards/virt-gicv2.dtb:
	@mkdir -p $(@D)
	$(QEMU) -M virt,virtualization=on,gic-version=$(GICV),dtb-randomness=off,dumpdtb=$@ \
		-cpu cortex-a53 -smp 4 -m 2G -nodefaults -display none >/dev/null

$(DEBIAN)/%:
	@echo "$@ is missing: scripts/setup fetches it"; exit 1

build/boards/zcu102.dtb: $(DEBIAN)/zcu102.dtb
	@mkdir -p $(@D)
	cp $< $@

build/linux/Image: $(DEBIAN)/Image
	@mkdir -p $(@D)
	cp $< $@

include linux/linux.mk

$(B)/images/%.img: demo/%.conf $(HV) $(KZC) $(GUESTS) $(BOARDS) $(LINUX)
	@mkdir -p $(@D)
	$(KZC) build $< -o $@

include checks.mk
include linux/kz.mk

fresh: ## ./test and ./run in a bare Debian, SUITE=bookworm|trixie (root)
	scripts/fresh $(SUITE)

clean: ## remove what was built (not what was downloaded)
	rm -rf build/arm64 build/host build/guests build/images build/clang build/boards build/linux

-include $(shell find $(B)/arm64 $(B)/host $(B)/guests -name "*.d" 2>/dev/null)
