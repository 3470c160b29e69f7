#ifndef ETTIN_STARTUP_H
#define ETTIN_STARTUP_H

/// Blocks SIGINT and SIGTERM in this thread and all that it starts: they wait until somebody asks for them.
///
/// On Linux a program that links this does so before any shared library is initialised. libtorch takes 0.2 seconds for
/// that, in which a signal would end the process as if nothing handled it.
void ettin_block_signals(void);

#endif
