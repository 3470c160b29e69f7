import CTorch

/// A dense n-dimensional array on some device.
///
/// A value: operators return new tensors and never change their operands. The storage is shared by reference counting
/// and freed with the last copy. Not `Sendable`: libtorch tensors may be read from many threads but not written, and
/// autograd state is per thread; cross isolation boundaries with arrays.
///
/// Shape and dtype mistakes trap with the operation and both shapes; see ``withRecovery(_:)`` for memory and device
/// failures.
public struct Tensor {
    final class Storage {
        let handle: OpaquePointer

        init(owning handle: OpaquePointer) {
            self.handle = handle
        }

        deinit {
            ct_tensor_free(handle)
        }
    }

    let storage: Storage?

    init(owning handle: OpaquePointer) {
        storage = Storage(owning: handle)
    }

    private init() {
        storage = nil
    }

    /// What operations give after a failure inside a recovery scope: no storage, every size 0.
    static var empty: Tensor { Tensor() }

    /// The C handle; operations on an empty tensor are skipped before they read it.
    var handle: OpaquePointer? { storage?.handle }

    // MARK: Properties

    /// The number of dimensions.
    public var rank: Int { handle.map { Int(ct_tensor_rank($0)) } ?? 0 }

    /// The size of each dimension.
    public var shape: [Int] { (0..<rank).map { size($0) } }

    /// The number of elements.
    public var elementCount: Int { handle.map { Int(ct_tensor_element_count($0)) } ?? 0 }

    /// The element type.
    public var dtype: DType { handle.map { DType(ct_tensor_dtype($0)) } ?? .float32 }

    /// Where the elements are.
    public var device: Device { handle.map { Device(ct_tensor_device($0)) } ?? .cpu }

    /// The size of one dimension.
    ///
    /// - Parameter dimension: From 0, or negative to count from the last.
    /// - Returns: The size, or 0 for the empty result of a failed operation.
    public func size(_ dimension: Int) -> Int {
        guard let handle else { return 0 }
        let rank = Int(ct_tensor_rank(handle))
        let index = dimension < 0 ? dimension + rank : dimension
        precondition((0..<rank).contains(index), "size(\(dimension)): the tensor has \(rank) dimensions")
        return Int(ct_tensor_size(handle, Int32(index)))
    }

    // MARK: Reading

    /// Copies the elements to the host, row-major.
    ///
    /// Waits for the device. The element type must be the tensor's; convert first.
    ///
    /// - Parameter type: The Swift type of ``dtype``.
    /// - Returns: All elements.
    /// - Throws: ``TorchError`` when the device fails or an earlier operation of the recovery scope did.
    public func array<Element: TensorElement>(of type: Element.Type = Element.self) throws -> [Element] {
        precondition(storage == nil || dtype == Element.dtype, "array: \(dtype) tensor read as \(Element.dtype)")
        let count = elementCount
        var failure: (any Error)?
        let elements = [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            do {
                try read(into: UnsafeMutableRawBufferPointer(buffer))
                initializedCount = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return elements
    }

    /// Copies the elements to host memory, row-major, in the tensor's own dtype.
    ///
    /// - Parameter bytes: Exactly `elementCount * dtype.byteCount` bytes.
    /// - Throws: ``TorchError`` when the device fails or an earlier operation of the recovery scope did.
    public func read(into bytes: UnsafeMutableRawBufferPointer) throws {
        guard let handle else { throw TorchError.afterFailure }
        let status = ct_tensor_read(handle, bytes.baseAddress, Int64(bytes.count))
        if status == CT_SKIPPED { throw TorchError.afterFailure }
        if let error = TorchError(status) { throw error }
        _ = succeeded(status, "read", [self])
    }

    /// The only element, converted to `Double`.
    ///
    /// - Returns: The value of a tensor of one element.
    /// - Throws: ``TorchError`` as ``array(of:)`` does.
    public func scalar() throws -> Double {
        let values: [Double] = try to(.float64).array()
        precondition(values.count == 1, "scalar: the tensor has \(values.count) elements")
        return values[0]
    }

    // MARK: Conversion

    /// The same values as another type, on the same device.
    public func to(_ dtype: DType) -> Tensor { to(dtype, device) }

    /// The same values on another device.
    public func to(_ device: Device) -> Tensor { to(dtype, device) }

    /// The same values as another type on another device; shares storage when nothing changes.
    public func to(_ dtype: DType, _ device: Device) -> Tensor {
        makeTensor("to", [self]) { ct_tensor_converted(handle, dtype.cValue, device.cValue, $0) }
    }

    /// The same values in row-major storage; shares storage when they already are.
    public func contiguous() -> Tensor {
        makeTensor("contiguous", [self]) { ct_tensor_contiguous(handle, $0) }
    }

    /// A copy with storage of its own.
    public func copy() -> Tensor {
        makeTensor("copy", [self]) { ct_tensor_clone(handle, $0) }
    }

    /// Whether the elements lie in memory that ``init(borrowing:owner:shape:dtype:)`` was given, such as a mapped file.
    ///
    /// What would change such a tensor in place traps.
    package var isBorrowed: Bool { handle.map { ct_tensor_is_borrowed($0) } ?? false }

    /// Overwrites the storage that all copies of this value share.
    package func assign(_ source: Tensor) {
        _ = succeeded(ct_tensor_assign(handle, source.handle), "assign", [self, source])
    }
}

extension TorchError {
    /// What reading an empty tensor throws; the recovery scope replaces it by the cause.
    static let afterFailure = TorchError(kind: .device, message: "an earlier operation failed")
}

extension Tensor: CustomStringConvertible {
    /// Type, shape and device, without the values.
    public var description: String { "Tensor(\(dtype.rawValue), \(shape), \(device))" }
}
