# SPDX-License-Identifier: Apache-2.0
# kizami.ko and what the Linux guests start with: initrd.gz, and control.gz, which has all of
# build/linux/control.d too. What makes a file there says: build/linux/control.gz: FILE

KO_SRC := $(wildcard linux/kizami/*.c linux/kizami/*.h) linux/kizami/Kbuild linux/kizami_ioctl.h
KO_HEADERS = $(wildcard $(DEBIAN)/headers/usr/src/linux-headers-*-arm64)
ABI_HEADERS := $(wildcard include/kizami/*.h)

# In $(1): kbuild writes its objects beside the sources. $(2): the file that has the calls.
define ko_build
	@rm -rf $(1)
	@mkdir -p $(1)
	@cp $(filter-out linux/kizami_ioctl.h,$(filter linux/% tests/%,$^)) $(1)
	+@$(MAKE) -s -C $(abspath $(KO_HEADERS)) M=$(abspath $(1)) ARCH=arm64 \
		CROSS_COMPILE=aarch64-linux-gnu- CONFIG_DEBUG_INFO_BTF_MODULES= \
		KIZAMI_INCLUDE=$(abspath include) KIZAMI_CALL=$(2) modules
	@mkdir -p $(@D)
	$(OBJCOPY) --strip-debug $(1)/kizami.ko $@
endef

build/linux/initrd.d/lib/kizami.ko: $(KO_SRC) $(ABI_HEADERS) $(DEBIAN)/headers
	$(call ko_build,build/linux/kizami,call)

build/linux/initrd.gz: scripts/initrd guests/linux/init $(DEBIAN)/busybox \
		build/linux/initrd.d/lib/kizami.ko
	scripts/initrd $(DEBIAN)/busybox guests/linux/init $@ build/linux/initrd.d

# The folders are newer when something was removed.
# What VMs are created of there: /root/Image and the like.
CONTROL_VMS := build/linux/vms.d/root
CONTROL_PARTS = build/linux/Image build/linux/initrd.gz $(B)/guests/hello.bin $(B)/guests/servo.bin \
	$(wildcard demo/vms/*)

build/linux/control.gz: $(CONTROL_PARTS) $(shell find build/linux/control.d 2>/dev/null)
	@mkdir -p build/linux/control.d
	@rm -rf $(CONTROL_VMS)
	@mkdir -p $(CONTROL_VMS)
	@cp $(CONTROL_PARTS) $(CONTROL_VMS)
	PLAIN=build/linux/vms.d scripts/initrd $(DEBIAN)/busybox guests/linux/init $@ build/linux/initrd.d \
		build/linux/control.d

# ---- Tests: the module with a hypervisor that is played, and a program that uses it ----------
LINUX_TESTS := build/linux/tests/lib/kizami_fake.ko build/linux/tests/bin/try
.PHONY: linux-tests linux-test
linux-tests: $(LINUX) $(LINUX_TESTS)

build/linux/tests/lib/kizami_fake.ko: tests/linux/fake.c $(KO_SRC) $(ABI_HEADERS) $(DEBIAN)/headers
	$(call ko_build,build/linux/fake,fake)

build/linux/tests/bin/try: tests/linux/try.c linux/kizami_ioctl.h $(ABI_HEADERS)
	@mkdir -p $(@D)
	aarch64-linux-gnu-gcc $(CFLAGS_HOST) -static -Iinclude -Ilinux -o $@ $<

linux-test: linux-tests ## kizami.ko in Debian's kernel
	$(PYTEST) tests/linux
