#include "startup.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

void ettin_block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

#ifdef __ELF__
__attribute__((section(".preinit_array"), used)) static void (*const block_signals)(void) = ettin_block_signals;
#endif
