#include "kernels-prelude.h"

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), apply_to = function)

#define ETTIN_NAMESPACE avx512
#define ETTIN_SET avx512
#define ETTIN_WIDTH 16
#define ETTIN_PANEL_VECTORS 4
#include "kernels.inc.h"

#pragma clang attribute pop

#endif
