#include "guard.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/Storage.h>

#include <cstring>

namespace ettin {

at::ScalarType scalarType(CTDType dtype) {
    switch (dtype) {
        case CT_BOOL: return at::kBool;
        case CT_UINT8: return at::kByte;
        case CT_INT8: return at::kChar;
        case CT_INT16: return at::kShort;
        case CT_INT32: return at::kInt;
        case CT_INT64: return at::kLong;
        case CT_FLOAT16: return at::kHalf;
        case CT_BFLOAT16: return at::kBFloat16;
        case CT_FLOAT32: return at::kFloat;
        case CT_FLOAT64: return at::kDouble;
        case CT_UINT16: return at::kUInt16;
        case CT_UINT32: return at::kUInt32;
        case CT_UINT64: return at::kUInt64;
        case CT_FLOAT8_E4M3: return at::kFloat8_e4m3fn;
        case CT_FLOAT8_E5M2: return at::kFloat8_e5m2;
    }
    TORCH_CHECK(false, "unknown dtype ", static_cast<int>(dtype));
}

CTDType dtypeOf(at::ScalarType type) {
    switch (type) {
        case at::kBool: return CT_BOOL;
        case at::kByte: return CT_UINT8;
        case at::kChar: return CT_INT8;
        case at::kShort: return CT_INT16;
        case at::kInt: return CT_INT32;
        case at::kLong: return CT_INT64;
        case at::kHalf: return CT_FLOAT16;
        case at::kBFloat16: return CT_BFLOAT16;
        case at::kDouble: return CT_FLOAT64;
        case at::kUInt16: return CT_UINT16;
        case at::kUInt32: return CT_UINT32;
        case at::kUInt64: return CT_UINT64;
        case at::kFloat8_e4m3fn: return CT_FLOAT8_E4M3;
        case at::kFloat8_e5m2: return CT_FLOAT8_E5M2;
        default: return CT_FLOAT32;  // no operation of this interface makes any other type
    }
}

c10::Device deviceOf(CTDevice device) {
    c10::DeviceType type = c10::DeviceType::CPU;
    if (device.type == CT_CUDA) type = c10::DeviceType::CUDA;
    if (device.type == CT_MPS) type = c10::DeviceType::MPS;
    return {type, static_cast<c10::DeviceIndex>(device.index)};
}

namespace {

// Not armed, without `release`, until the tensor over the memory is the caller's.
struct Loan {
    void (*release)(void *context) = nullptr;
    void *context = nullptr;
};

// By this function borrowed memory is known: storages, and so views too, keep it.
void endLoan(void *loan) {
    auto *owned = static_cast<Loan *>(loan);
    if (owned->release) owned->release(owned->context);
    delete owned;
}

bool isBorrowed(const at::Tensor &tensor) {
    return tensor.has_storage() && tensor.storage().data_ptr().get_deleter() == &endLoan;
}

at::TensorOptions options(CTDType dtype, CTDevice device) {
    return at::TensorOptions().dtype(scalarType(dtype)).device(deviceOf(device));
}

void checkByteCount(at::IntArrayRef shape, at::ScalarType type, int64_t byteCount) {
    const int64_t expected = c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(type));
    TORCH_CHECK(expected == byteCount, byteCount, " bytes given for a ", toString(type), " tensor of shape ", shape,
                ", which holds ", expected);
}

}  // namespace

void requireWritable(const at::Tensor &tensor) {
    TORCH_CHECK(!isBorrowed(tensor), "a tensor over the memory of a file cannot be changed in place; load the model for ",
                "training, or copy the tensor");
}

}  // namespace ettin

using namespace ettin;

void ct_tensor_free(CTTensor *tensor) { delete tensor; }

CTStatus ct_tensor_empty(const int64_t *shape, int32_t rank, CTDType dtype, CTDevice device, CTTensor **out) {
    return produce(out, [&] { return at::empty(shapeOf(shape, rank), options(dtype, device)); });
}

CTStatus ct_tensor_full(const int64_t *shape, int32_t rank, double value, CTDType dtype, CTDevice device,
                        CTTensor **out) {
    return produce(out, [&] { return at::full(shapeOf(shape, rank), value, options(dtype, device)); });
}

CTStatus ct_tensor_arange(int64_t start, int64_t end, CTDType dtype, CTDevice device, CTTensor **out) {
    return produce(out, [&] { return at::arange(start, end, options(dtype, device)); });
}

CTStatus ct_tensor_from_bytes(const void *bytes, int64_t byteCount, const int64_t *shape, int32_t rank, CTDType dtype,
                              CTTensor **out) {
    return produce(out, [&] {
        checkByteCount(shapeOf(shape, rank), scalarType(dtype), byteCount);
        at::Tensor tensor = at::empty(shapeOf(shape, rank), scalarType(dtype));
        if (byteCount > 0) std::memcpy(tensor.mutable_data_ptr(), bytes, static_cast<size_t>(byteCount));
        return tensor;
    });
}

CTStatus ct_tensor_borrow(const void *bytes, int64_t byteCount, const int64_t *shape, int32_t rank, CTDType dtype,
                          void (*release)(void *context), void *context, CTTensor **out) {
    return guarded([&] {
        checkByteCount(shapeOf(shape, rank), scalarType(dtype), byteCount);
        const at::TensorOptions kind = at::TensorOptions().dtype(scalarType(dtype));
        at::Tensor tensor = at::empty({0}, kind);
        auto *loan = new Loan;
        c10::DataPtr memory(const_cast<void *>(bytes), loan, &endLoan, c10::DeviceType::CPU);
        tensor.set_(c10::Storage(c10::Storage::use_byte_size_t(), static_cast<size_t>(byteCount), std::move(memory)), 0,
                    shapeOf(shape, rank));
        *out = new CTTensor{std::move(tensor)};
        // Nothing can fail any more; until here the memory was the caller's to release.
        *loan = {release, context};
    });
}

bool ct_tensor_is_borrowed(const CTTensor *tensor) { return isBorrowed(tensor->value); }

int32_t ct_tensor_rank(const CTTensor *tensor) { return static_cast<int32_t>(tensor->value.dim()); }

int64_t ct_tensor_size(const CTTensor *tensor, int32_t dimension) { return tensor->value.sizes()[dimension]; }

int64_t ct_tensor_element_count(const CTTensor *tensor) { return tensor->value.numel(); }

CTDType ct_tensor_dtype(const CTTensor *tensor) { return dtypeOf(tensor->value.scalar_type()); }

CTDevice ct_tensor_device(const CTTensor *tensor) {
    const c10::Device device = tensor->value.device();
    CTDeviceType type = CT_CPU;
    if (device.is_cuda()) type = CT_CUDA;
    if (device.is_mps()) type = CT_MPS;
    return {type, device.index()};
}

CTStatus ct_tensor_converted(const CTTensor *tensor, CTDType dtype, CTDevice device, CTTensor **out) {
    return produce(out, [&] { return tensor->value.to(deviceOf(device), scalarType(dtype)); });
}

CTStatus ct_tensor_contiguous(const CTTensor *tensor, CTTensor **out) {
    return produce(out, [&] { return tensor->value.contiguous(); });
}

CTStatus ct_tensor_alias(const CTTensor *tensor, CTTensor **out) {
    return produce(out, [&] { return tensor->value; });
}

CTStatus ct_tensor_clone(const CTTensor *tensor, CTTensor **out) {
    return produce(out, [&] { return tensor->value.clone(); });
}

CTStatus ct_tensor_read(const CTTensor *tensor, void *bytes, int64_t byteCount) {
    return guarded([&] {
        const at::Tensor host = tensor->value.detach().to(at::kCPU).contiguous();
        checkByteCount(host.sizes(), host.scalar_type(), byteCount);
        if (byteCount > 0) std::memcpy(bytes, host.const_data_ptr(), static_cast<size_t>(byteCount));
    });
}

CTStatus ct_tensor_assign(CTTensor *tensor, const CTTensor *source) {
    return guarded([&] {
        requireWritable(tensor->value);
        tensor->value.detach().copy_(source->value.detach());
    });
}
