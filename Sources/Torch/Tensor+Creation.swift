import CTorch

extension Tensor {
    /// Uninitialised memory of the given shape, to be overwritten before it is read.
    package static func uninitialized(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) -> Tensor {
        makeTensor("uninitialized") {
            ct_tensor_empty(shape.int64, Int32(shape.count), dtype.cValue, device.cValue, $0)
        }
    }

    /// A tensor of one repeated value.
    public static func full(
        _ shape: [Int],
        _ value: Double,
        _ dtype: DType = .float32,
        on device: Device = .cpu
    ) -> Tensor {
        makeTensor("full") {
            ct_tensor_full(shape.int64, Int32(shape.count), value, dtype.cValue, device.cValue, $0)
        }
    }

    /// A tensor of zeros.
    public static func zeros(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) -> Tensor {
        full(shape, 0, dtype, on: device)
    }

    /// A tensor of ones.
    public static func ones(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) -> Tensor {
        full(shape, 1, dtype, on: device)
    }

    /// The integers of a range, `[range.count]`.
    public static func arange(_ range: Range<Int>, _ dtype: DType = .int64, on device: Device = .cpu) -> Tensor {
        makeTensor("arange") {
            ct_tensor_arange(Int64(range.lowerBound), Int64(range.upperBound), dtype.cValue, device.cValue, $0)
        }
    }

    /// Copies an array into a tensor.
    ///
    /// - Parameters:
    ///   - elements: Row-major values.
    ///   - shape: The shape, whose product is the number of values; nil for one dimension.
    public init<Element: TensorElement>(_ elements: [Element], shape: [Int]? = nil) {
        self = elements.withUnsafeBytes { bytes in
            Tensor(bytes: bytes, shape: shape ?? [elements.count], dtype: Element.dtype)
        }
    }

    /// Copies raw row-major elements into a tensor in host memory.
    ///
    /// - Parameters:
    ///   - bytes: Exactly the bytes of the shape in the dtype.
    ///   - shape: The shape.
    ///   - dtype: The element type.
    public init(bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) {
        self = makeTensor("init(bytes:)") {
            ct_tensor_from_bytes(
                bytes.baseAddress,
                Int64(bytes.count),
                shape.int64,
                Int32(shape.count),
                dtype.cValue,
                $0
            )
        }
    }

    /// Wraps memory without copying it.
    ///
    /// - Parameters:
    ///   - bytes: Row-major elements, aligned for `dtype`. They are never written through this tensor: an optimizer step
    ///     that would, traps.
    ///   - owner: Kept alive as long as any tensor over the memory.
    ///   - shape: The shape of the tensor.
    ///   - dtype: The type of its elements.
    package init(borrowing bytes: UnsafeRawBufferPointer, owner: AnyObject, shape: [Int], dtype: DType) {
        let retained = Unmanaged.passRetained(owner).toOpaque()
        self = makeTensor("init(borrowing:)") {
            ct_tensor_borrow(
                bytes.baseAddress,
                Int64(bytes.count),
                shape.int64,
                Int32(shape.count),
                dtype.cValue,
                { context in
                    if let context { Unmanaged<AnyObject>.fromOpaque(context).release() }
                },
                retained,
                $0
            )
        }
        if storage == nil { Unmanaged<AnyObject>.fromOpaque(retained).release() }
    }
}

extension [Int] {
    var int64: [Int64] { map(Int64.init) }
}
