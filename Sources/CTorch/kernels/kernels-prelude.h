// Everything a kernel source includes from outside.
#pragma once

#include "kernels.h"
#include "parallel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
