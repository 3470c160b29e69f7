// The object behind a packed weight.
#pragma once

#include "CTorch.h"
#include "kernels/kernels.h"

#include <memory>

struct CTPackedMatrix {
    std::unique_ptr<ettin::PackedMatrix> value;
};
