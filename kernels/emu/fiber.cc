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

static void context_make(context *out, char *stack, void (*entry)())
{
    void **top = reinterpret_cast<void **>(stack + STACK_BYTES);
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

static void context_make(context *out, char *stack, void (*entry)())
{
    (void)getcontext(out);
    out->uc_stack.ss_sp = stack;
    out->uc_stack.ss_size = STACK_BYTES;
    out->uc_link = nullptr;
    makecontext(out, entry, 0);
}
#endif

struct fiber {
    context at;
    char *stack; /* lowest address; a guard page lies below */
    void *fake_stack, *tsan;
};

/* The scheduler's own side, while a fiber runs. */
static context scheduler_at;
#ifdef EMU_ASAN
static void *scheduler_fake_stack;
static const void *scheduler_stack;
static size_t scheduler_stack_bytes;
#endif
#ifdef EMU_TSAN
static void *scheduler_tsan;
#endif

fiber *fiber_create(void (*entry)())
{
    void *memory = mmap(nullptr, STACK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, PAGE_BYTES, PROT_NONE) != 0)
        fail(NOWHERE, "no memory for the stack of a thread");
    fiber *f = new fiber();
    f->stack = static_cast<char *>(memory) + PAGE_BYTES;
    context_make(&f->at, f->stack, entry);
#ifdef EMU_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    return f;
}

void fiber_enter(fiber *to)
{
#ifdef EMU_TSAN
    scheduler_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan, SWITCH_WITHOUT_SYNC);
#endif
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, to->stack, STACK_BYTES);
#endif
    context_swap(&scheduler_at, &to->at);
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

void fiber_started()
{
#ifdef EMU_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void fiber_leave(fiber *from)
{
#ifdef EMU_TSAN
    __tsan_switch_to_fiber(scheduler_tsan, SWITCH_WITHOUT_SYNC);
#endif
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, scheduler_stack, scheduler_stack_bytes);
#endif
    context_swap(&from->at, &scheduler_at);
#ifdef EMU_ASAN
    /* the scheduler may be another host thread's stack by now */
    __sanitizer_finish_switch_fiber(from->fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
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
