// The kernels for one instruction set. The including file has defined
//   ETTIN_NAMESPACE       its namespace
//   ETTIN_SET             its InstructionSet
//   ETTIN_WIDTH           floats in a vector
//   ETTIN_PANEL_VECTORS   vectors across a tile: tiles of 6 rows by these, and the operands, fit the registers
//   ETTIN_HAS_BF16        only with AVX-512 BF16 and VNNI
// and included kernels-prelude.h before it chose a target, so that no standard function is compiled for it.

namespace ettin::ETTIN_NAMESPACE {

extern const KernelTable table;

#include "vector.inc.h"

#include "gemm.inc.h"

#include "layer.inc.h"

#include "products.inc.h"

#include "attention.inc.h"

#include "attention-packing.inc.h"

#include "attention-backward.inc.h"

#include "attention-decode.inc.h"

#include "loss.inc.h"

#include "splade.inc.h"

#include "maxsim.inc.h"

#include "training.inc.h"

#include "dropout.inc.h"

#include "optimizer.inc.h"

const KernelTable table = {
    .instructionSet = InstructionSet::ETTIN_SET,
    .panelWidth = panelWidth,
    .pack = pack,
    .linear = linear,
    .product = product,
    .layer = layer,
    .embed = embed,
    .attention = attention,
    .attentionBackward = attentionBackward,
    .decode = decode,
    .linearCrossEntropy = linearCrossEntropy,
    .spladePooling = spladePooling,
    .spladeTraining = spladeTraining,
    .spladeBackward = spladeBackward,
    .maxSim = maxSim,
    .maxSimBackward = maxSimBackward,
    .gated = gated,
    .addNorm = addNorm,
    .addNormBackward = addNormBackward,
    .dropout = dropout,
    .stableAdamW = stableAdamW,
    .gradientNorm = gradientNorm,
};

}  // namespace ettin::ETTIN_NAMESPACE
