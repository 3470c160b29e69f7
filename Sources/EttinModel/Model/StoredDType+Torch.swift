public import Torch

extension StoredDType {
    /// The name under which files store a tensor's dtype.
    init(_ dtype: DType) {
        self =
            switch dtype {
            case .bool: .bool
            case .uint8: .uint8
            case .int8: .int8
            case .int16: .int16
            case .int32: .int32
            case .int64: .int64
            case .float16: .float16
            case .bfloat16: .bfloat16
            case .float32: .float32
            case .float64: .float64
            case .uint16: .uint16
            case .uint32: .uint32
            case .uint64: .uint64
            case .float8E4M3: .float8E4M3
            case .float8E5M2: .float8E5M2
            }
    }

    /// The dtype of a tensor over such values; nil for types that only files have.
    var torch: DType? { DType.allCases.first { StoredDType($0) == self } }
}

extension TensorToWrite {
    /// Describes a tensor on any device.
    ///
    /// - Parameters:
    ///   - name: The name in the file.
    ///   - tensor: Read when the file is written.
    public init(name: String, tensor: Tensor) {
        self.init(name: name, dtype: StoredDType(tensor.dtype), shape: tensor.shape) { sink in
            var bytes = [UInt8](repeating: 0, count: tensor.elementCount * tensor.dtype.byteCount)
            try bytes.withUnsafeMutableBytes { try tensor.read(into: $0) }
            try bytes.withUnsafeBytes { try sink($0) }
        }
    }
}

extension TensorContainer {
    /// Every tensor, over the file's own memory where its layout allows.
    ///
    /// - Returns: The tensors in the container's order.
    /// - Throws: `CheckpointError` when values cannot be read or are of a type no tensor has.
    public func stateDictionary() throws -> StateDictionary {
        try names.map { ($0, try tensor($0)) }
    }

    /// One tensor, over the file's own memory where its layout allows.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: The tensor, which must not be changed in place.
    /// - Throws: `CheckpointError` when there is no such tensor, its values cannot be read or are of a type no tensor has.
    public func tensor(_ name: String) throws -> Tensor {
        let values = try bytes(name)
        guard let descriptor = descriptor(name), let dtype = descriptor.dtype.torch else {
            let descriptor = self.descriptor(name)
            throw CheckpointError(
                .unsupported,
                file: descriptor?.file ?? "checkpoint",
                item: name,
                found: "has dtype \(descriptor?.dtype.rawValue ?? "nothing")",
                expected: "a dtype that tensors have"
            )
        }
        return Tensor(borrowing: values.pointer, owner: values.owner, shape: descriptor.shape, dtype: dtype)
    }
}

extension PyTorchArchive {
    /// A tensor of the saved object, over the file's own memory where its layout allows.
    ///
    /// - Parameter tensor: A tensor from ``root``.
    /// - Returns: The tensor, which must not be changed in place.
    /// - Throws: `CheckpointError` when its values cannot be read or are of a type no tensor has.
    package func tensor(_ tensor: PickledTensor) throws -> Tensor {
        guard let dtype = tensor.dtype.torch else {
            throw CheckpointError(
                .unsupported,
                file: path,
                item: "a tensor",
                found: "has dtype \(tensor.dtype.rawValue)",
                expected: "a dtype that tensors have"
            )
        }
        let values = try bytes(tensor)
        return Tensor(borrowing: values.pointer, owner: values.owner, shape: tensor.shape, dtype: dtype)
    }
}
