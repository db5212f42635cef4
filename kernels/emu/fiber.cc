#include "kernels/emu/fiber.h"

#include "kernels/emu/emu.h"

#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EMU_TSAN
extern "C" {
void *__tsan_create_fiber(unsigned flags);
void *__tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *tag);
void __tsan_release(void *tag);
}
enum { SWITCH_WITHOUT_SYNC = 1 };
#endif

namespace emu
{
enum { STACK_BYTES = 128 << 10, PAGE_BYTES = 4096 };
enum { N_COLOURS = 61, COLOUR_BYTES = 192 };
enum { LEAST_STACK_BYTES = STACK_BYTES - N_COLOURS * COLOUR_BYTES };

#if defined(__x86_64__) && !defined(EMU_UCONTEXT)
/* A suspended stack is its stack pointer: the callee-saved registers lie on top of it. */
typedef void *context;
extern "C" void emu_swap(context *save, context *to);
__asm__(".text\n"
        ".type emu_swap,@function\n"
        "emu_swap:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp,(%rdi)\n"
        "  mov (%rsi),%rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
        "  ret\n"
        ".size emu_swap,.-emu_swap\n");

static void context_swap(context *save, context *to)
{
    emu_swap(save, to);
}

static void context_make(context *out, char *end, void (*entry)())
{
    void **top = reinterpret_cast<void **>(end);
    *--top = nullptr; /* entry never returns; keeps the stack aligned as after a call */
    *--top = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    *out = top;
}
#else
typedef ucontext_t context;

static void context_swap(context *save, context *to)
{
    (void)swapcontext(save, to);
}

static void context_make(context *out, char *end, void (*entry)())
{
    (void)getcontext(out);
    out->uc_stack.ss_sp = end - LEAST_STACK_BYTES;
    out->uc_stack.ss_size = LEAST_STACK_BYTES;
    out->uc_link = nullptr;
    makecontext(out, entry, 0);
}
#endif

struct fiber {
    context at;
    char *stack; /* lowest address; a guard page lies below */
    size_t n_bytes;
    void *fake_stack, *tsan;
};

static fiber host;      /* the stack that runs the scheduler */
static fiber *previous; /* whom the last switch left */

fiber *fiber_create(void (*entry)())
{
    static size_t n_created;
    void *memory = mmap(nullptr, STACK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, PAGE_BYTES, PROT_NONE) != 0)
        fail(NOWHERE, "no memory for the stack of a thread");
    fiber *f = new fiber();
    f->stack = static_cast<char *>(memory) + PAGE_BYTES;
    /* tops at different places of a page: else all of them compete for a few lines of the cache */
    f->n_bytes = STACK_BYTES - n_created++ % N_COLOURS * COLOUR_BYTES;
    context_make(&f->at, f->stack + f->n_bytes, entry);
#ifdef EMU_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    return f;
}

fiber *fiber_host()
{
#ifdef EMU_TSAN
    host.tsan = __tsan_get_current_fiber();
#endif
    return &host;
}

/* On the new stack: what it left is known to ASan, and the host's bounds to us. */
static void arrive(fiber *self)
{
#ifdef EMU_ASAN
    const void *stack;
    size_t n_bytes;
    __sanitizer_finish_switch_fiber(self ? self->fake_stack : nullptr, &stack, &n_bytes);
    if (previous != &host) return;
    host.stack = const_cast<char *>(static_cast<const char *>(stack));
    host.n_bytes = n_bytes;
#else
    (void)self;
#endif
}

void fiber_switch(fiber *from, fiber *to)
{
    previous = from;
#ifdef EMU_TSAN
    __tsan_switch_to_fiber(to->tsan, SWITCH_WITHOUT_SYNC);
#endif
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->n_bytes);
#endif
    context_swap(&from->at, &to->at);
    arrive(from);
}

void fiber_started()
{
    arrive(nullptr);
}

void sync_release(void *tag)
{
#ifdef EMU_TSAN
    __tsan_release(tag);
#else
    (void)tag;
#endif
}

void sync_acquire(void *tag)
{
#ifdef EMU_TSAN
    __tsan_acquire(tag);
#else
    (void)tag;
#endif
}
} // namespace emu
