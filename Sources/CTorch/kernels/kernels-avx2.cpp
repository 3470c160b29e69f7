#include "kernels-prelude.h"

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define ETTIN_NAMESPACE avx2
#define ETTIN_SET avx2
#define ETTIN_WIDTH 8
#define ETTIN_PANEL_VECTORS 2
#include "kernels.inc.h"

#pragma clang attribute pop

#endif
