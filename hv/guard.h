/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may touch what under which lock, as clang's -Wthread-safety checks it (make threads); for
 * gcc it is nothing. A lock that lies in a struct goes by its class: clang does not see that two
 * pointers lead to the same lock. A function that ends in _locked REQUIRES its class.
 */
#ifndef HV_GUARD_H
#define HV_GUARD_H

#ifdef __clang__
#define GUARD(attribute) __attribute__((attribute))
#else
#define GUARD(attribute)
#endif

#define CAPABILITY(name)   GUARD(capability(name))
#define GUARDED_BY(lock)   GUARD(guarded_by(lock))
#define REQUIRES(...)	   GUARD(requires_capability(__VA_ARGS__))	/* held by the caller */
#define EXCLUDES(...)	   GUARD(locks_excluded(__VA_ARGS__))		/* and not by the caller */
#define ACQUIRE(...)	   GUARD(acquire_capability(__VA_ARGS__))
#define RELEASE(...)	   GUARD(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...)   GUARD(try_acquire_capability(__VA_ARGS__))
#define UNGUARDED	   GUARD(no_thread_safety_analysis)		/* not looked into */

/* Only ever named, in the order in which they are taken. */
struct CAPABILITY("class") lock_class;
extern struct lock_class vm_class;	/* vm.lock */
extern struct lock_class uart_class;	/* pl011.lock */
extern struct lock_class irq_class;	/* the port's: its interrupt model */
#define NO_LOCK		   EXCLUDES(vm_class, uart_class, irq_class)

#endif
