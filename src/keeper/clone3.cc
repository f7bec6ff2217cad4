// clone3(2) with a stack needs a few instructions between the system call and the first function of the child:
// the child comes back with everything but the stack, so it must not return through this frame.

#include <errno.h>
#include <sys/syscall.h>

#include "keeper/spawner.h"

namespace hearth::keeper {

#if defined(__x86_64__)

long clone3_call(CloneArguments* arguments, int (*function)(void*), void* argument) {
  long result = 435;
  register int (*f)(void*) asm("r8") = function;
  register void* a asm("r9") = argument;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"  // ends stack traces
      "movq %%r9, %%rdi\n\t"
      "callq *%%r8\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(arguments), "S"(sizeof *arguments), "r"(f), "r"(a)
      : "rcx", "r11", "memory", "cc");
  return result;
}

#elif defined(__aarch64__)

long clone3_call(CloneArguments* arguments, int (*function)(void*), void* argument) {
  register long number asm("x8") = 435;
  register long result asm("x0") = reinterpret_cast<long>(arguments);
  register long size asm("x1") = sizeof *arguments;
  register int (*f)(void*) asm("x9") = function;
  register void* a asm("x10") = argument;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, #0\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk #1\n"
      "1:"
      : "+r"(result)
      : "r"(number), "r"(size), "r"(f), "r"(a)
      : "memory", "cc");
  return result;
}

#else

long clone3_call(CloneArguments*, int (*)(void*), void*) {
  return -ENOSYS;
}

#endif

}  // namespace hearth::keeper
