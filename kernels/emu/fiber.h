/* Stacks that take turns on one host thread, made known to the sanitizer in use.
 *
 * A fiber runs `entry` until fiber_switch(), and goes on there when somebody switches to it again.
 * Under TSan a fiber counts as a thread of its own and a change of fiber orders nothing: what one
 * CUDA thread does is seen by another only through sync_release() and sync_acquire() of the same
 * tag. So a race is found whatever order the threads ran in. */
#ifndef KERNELS_EMU_FIBER_H
#define KERNELS_EMU_FIBER_H

namespace emu
{
struct fiber;

/* `entry` never returns. Fibers are kept for reuse and never freed. */
fiber *fiber_create(void (*entry)());
fiber *fiber_host(); /* the calling host thread's own stack, until its next call */
void fiber_switch(fiber *from, fiber *to);
void fiber_started(); /* first thing that `entry` calls */

/* Edges of happens-before; nothing without TSan. */
void sync_release(void *tag);
void sync_acquire(void *tag);
} // namespace emu

#endif
