/// Copies a strided view into contiguous memory.
///
/// The view has been checked against its storage (`PickledTensor`), so no index leaves it.
struct StridedCopy {
    private let shape: [Int]
    /// In bytes.
    private let strides: [Int]
    private let offset: Int
    /// The bytes at the end of the dimensions that lie together.
    private let runBytes: Int

    init(_ tensor: PickledTensor) {
        let width = tensor.dtype.bitWidth / 8
        offset = tensor.offset * width
        // Trailing dimensions that are contiguous are copied as one run.
        var shape = tensor.shape
        var strides = tensor.strides
        var run = 1
        while let size = shape.last, let stride = strides.last, size == 1 || stride == run {
            run *= size
            shape.removeLast()
            strides.removeLast()
        }
        self.shape = shape
        // The stride of a dimension of one value is never taken and may be any number.
        self.strides = zip(shape, strides).map { size, stride in size == 1 ? 0 : stride * width }
        runBytes = run * width
    }

    /// Copies all values.
    ///
    /// - Parameters:
    ///   - source: The storage's bytes.
    ///   - target: Room for exactly the view's values.
    func run(from source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) {
        guard !target.isEmpty else { return }
        var index = [Int](repeating: 0, count: shape.count)
        var place = offset
        var written = 0
        while written < target.count {
            let run = UnsafeRawBufferPointer(rebasing: source[place..<place + runBytes])
            UnsafeMutableRawBufferPointer(rebasing: target[written..<written + runBytes]).copyMemory(from: run)
            written += runBytes
            var dimension = shape.count - 1
            while dimension >= 0 {
                index[dimension] += 1
                place += strides[dimension]
                if index[dimension] < shape[dimension] { break }
                place -= index[dimension] * strides[dimension]
                index[dimension] = 0
                dimension -= 1
            }
        }
    }
}
