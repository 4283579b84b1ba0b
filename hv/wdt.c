/* SPDX-License-Identifier: Apache-2.0 */
#include "wdt.h"

#include "arch.h"
#include "health.h"

#define WDT_EN		BIT(0)
#define WDT_WS0		BIT(1)		/* its interrupt; the second time it is a failure */

/* Offsets: control frame, then refresh frame. */
#define WCS		0x000u
#define WOR		0x008u
#define WOR_HIGH	0x00cu
#define WCV		0x010u
#define WCV_HIGH	0x014u
#define W_IIDR		0xfccu
#define WRR		0x1000u
#define REFRESH		0x1000u

/* Architecture version 1: WOR has 48 bits; JEP106 code of nobody. */
#define IIDR		BIT(16)

void wdt_reset(struct vm *vm)
{
	vm->wdt = (struct wdt){ 0 };
}

static void line_locked(struct vm *vm, bool high) REQUIRES(vm_class)
{
	arch_irq_line(&vm->vcpu[0], vm->cfg->wdt_intid, high);
}

/* From now on it counts anew, if it is enabled. */
static void refresh_locked(struct vm *vm) REQUIRES(vm_class)
{
	struct wdt *w = &vm->wdt;

	if ((w->wcs & WDT_WS0) != 0) {
		w->wcs &= ~WDT_WS0;
		line_locked(vm, false);
	}
	w->wcv = arch_ticks() + w->wor;
	health_set(vm, (w->wcs & WDT_EN) != 0 ? w->wcv : NEVER);
}

static uint64_t replace(uint64_t old, uint32_t value, bool high)
{
	return high ? (old & UINT32_MAX) | (uint64_t)value << 32 : (old & ~0xffffffffull) | value;
}

static void write_locked(struct vm *vm, uint64_t at, uint32_t value) REQUIRES(vm_class)
{
	struct wdt *w = &vm->wdt;

	switch (at) {
	case WCS:
		w->wcs = (w->wcs & ~WDT_EN) | (value & WDT_EN);
		refresh_locked(vm);
		break;
	case WOR:
	case WOR_HIGH:
		w->wor = replace(w->wor, at == WOR ? value : value & 0xffff, at == WOR_HIGH);
		refresh_locked(vm);
		break;
	case WCV:
	case WCV_HIGH:
		w->wcv = replace(w->wcv, value, at == WCV_HIGH);
		health_set(vm, (w->wcs & WDT_EN) != 0 ? w->wcv : NEVER);
		break;
	case WRR:
		refresh_locked(vm);
		break;
	default:
		break;			/* WI */
	}
}

static uint32_t read_locked(const struct vm *vm, uint64_t at) REQUIRES(vm_class)
{
	const struct wdt *w = &vm->wdt;

	switch (at) {
	case WCS:
		return w->wcs;
	case WOR:
		return (uint32_t)w->wor;
	case WOR_HIGH:
		return (uint32_t)(w->wor >> 32);
	case WCV:
		return (uint32_t)w->wcv;
	case WCV_HIGH:
		return (uint32_t)(w->wcv >> 32);
	case W_IIDR:
	case REFRESH + W_IIDR:
		return IIDR;
	default:
		return 0;		/* RAZ */
	}
}

enum verdict wdt_access(struct vcpu *v, struct access *a)
{
	if (a->size != 4 || a->addr % 4 != 0) {
		return UNKNOWN;
	}
	vm_lock(v->vm);
	if (a->write) {
		write_locked(v->vm, a->addr, (uint32_t)a->value);
	} else {
		a->value = read_locked(v->vm, a->addr);
	}
	vm_unlock(v->vm);
	return DONE;
}

uint64_t wdt_resume(struct vm *vm)
{
	struct wdt *w = &vm->wdt;

	if ((w->wcs & WDT_EN) == 0) {
		return 0;
	}
	w->wcv = arch_ticks() + w->wor;		/* WS0 stays as it is */
	return w->wor;
}

bool wdt_due(struct vm *vm, uint64_t now)
{
	struct wdt *w = &vm->wdt;
	bool told = true;

	vm_lock(vm);
	if ((w->wcs & WDT_EN) == 0 || (w->wcs & WDT_WS0) != 0) {
		told = false;		/* that of KZ_HVC_WATCHDOG, or the second signal */
	} else if (w->wcv > now) {
		health_set(vm, w->wcv);	/* it was served meanwhile */
	} else {
		w->wcs |= WDT_WS0;
		w->wcv = now + w->wor;
		line_locked(vm, true);
		health_set(vm, w->wcv);
	}
	vm_unlock(vm);
	return told;
}
