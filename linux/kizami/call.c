// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* Calls of the hypervisor: the only file that knows how to reach it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/arm-smccc.h>
#include <linux/io.h>
#include <linux/printk.h>

#include "kizami.h"

/* DEN0028 6.2: Call UID of the vendor-specific hypervisor range. */
#define VENDOR_UID	0x8600ff01u

/* 9d2a5b1c-7e4f-4c38-a1d6-4b697a616d69 in w0 to w3. */
static const u32 kizami_uid[4] = { 0x1c5b2a9d, 0x384c4f7e, 0x694bd6a1, 0x696d617a };

bool kizami_is_there(void)
{
	struct arm_smccc_res res;

	/* Without a hypervisor behind it, HVC is an undefined instruction. */
	if (arm_smccc_1_1_get_conduit() != SMCCC_CONDUIT_HVC) {
		pr_err("the firmware is not called by HVC: there is no hypervisor\n");
		return false;
	}
	arm_smccc_1_1_hvc(VENDOR_UID, &res);
	if ((u32)res.a0 != kizami_uid[0] || (u32)res.a1 != kizami_uid[1] ||
	    (u32)res.a2 != kizami_uid[2] || (u32)res.a3 != kizami_uid[3]) {
		pr_err("the hypervisor is not Kizami: UID %08x %08x %08x %08x\n", (u32)res.a0,
		       (u32)res.a1, (u32)res.a2, (u32)res.a3);
		return false;
	}
	return true;
}

int kizami_call(u32 function, u64 x[4])
{
	struct arm_smccc_res res;

	arm_smccc_1_1_hvc(function, x[0], x[1], x[2], x[3], &res);
	x[0] = res.a1;
	x[1] = res.a2;
	x[2] = res.a3;
	return (int)res.a0;
}

int kizami_call_buffer(u32 function, u64 x[4], unsigned int at, void *buffer)
{
	x[at] = virt_to_phys(buffer);
	return kizami_call(function, x);
}
