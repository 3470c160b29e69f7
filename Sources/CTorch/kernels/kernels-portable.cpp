// What every processor of the build's target runs: SSE2 on x86-64, NEON on arm64.
#include "kernels-prelude.h"

#define ETTIN_NAMESPACE portable
#define ETTIN_SET portable
#define ETTIN_WIDTH 4
#if defined(__aarch64__)
#define ETTIN_PANEL_VECTORS 4
#else
#define ETTIN_PANEL_VECTORS 2
#endif
#include "kernels.inc.h"
