/* The allocator of a module as the adapter from WASI 0.1 to 0.2 wants to call it. Linked into guests only where they
 * are built with Debian's wasi-libc.
 *
 * Without it the adapter grows the memory of the module for what it has to remember. The allocator of that libc takes
 * all memory there is at its first use for its own, and would hand out those pages a second time. */

#include <stddef.h>
#include <stdlib.h>

/* Weak, because a guest with bindings of its own brings its own. */
__attribute__((weak, export_name("cabi_realloc")))
void *cabi_realloc(void *block, size_t old_size, size_t alignment, size_t new_size)
{
    (void)old_size;
    /* What realloc returns is aligned for any type; nothing the adapter asks for needs more. */
    void *result = realloc(block, new_size);
    if (!result || (size_t)result % alignment != 0)
        __builtin_trap();
    return result;
}
