import EttinFiles

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What a checkpoint says about one tensor before its values are read.
public struct TensorDescriptor: Hashable, Sendable {
    /// The tensor's name in the file.
    public let name: String
    /// The type of its values.
    public let dtype: StoredDType
    /// Its dimensions; empty for a scalar.
    public let shape: [Int]
    /// The number of bytes of its values in contiguous, row-major order.
    public let byteCount: Int
    /// The name of the file that holds it.
    package let file: String
    /// Where its values stand in that file.
    ///
    /// Nil when they are not contiguous there, which happens in pickled files only.
    package let byteRange: Range<Int>?

    /// The number of values.
    public var elementCount: Int { shape.reduce(1, *) }

    init(name: String, dtype: StoredDType, shape: [Int], byteCount: Int, file: String, byteRange: Range<Int>?) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.byteCount = byteCount
        self.file = file
        self.byteRange = byteRange
    }
}

/// The values of one tensor in memory together with what keeps that memory alive, for the library itself; callers use
/// ``TensorContainer/tensor(_:)`` or ``TensorContainer/withBytes(_:_:)``.
public struct TensorBytes: @unchecked Sendable {
    // Unchecked: the pointer addresses constant memory that `owner`, itself safe to share, keeps alive.

    /// The values, contiguous and row-major, little-endian, aligned for their type.
    ///
    /// Valid as long as `owner` is referenced.
    package let pointer: UnsafeRawBufferPointer
    /// What must stay referenced while `pointer` is used: the mapping, or a private copy.
    package let owner: any AnyObject & Sendable
    /// Whether the values had to be copied out of the file, because they are strided or not aligned there.
    package let isCopy: Bool

    /// Whether every byte is that of another tensor.
    func hasSameValues(as other: TensorBytes) -> Bool {
        withExtendedLifetime((owner, other.owner)) {
            guard pointer.count == other.pointer.count else { return false }
            guard let own = pointer.baseAddress, let others = other.pointer.baseAddress, own != others else {
                return true
            }
            return memcmp(own, others, pointer.count) == 0
        }
    }
}

/// A file, or a set of files, that holds named tensors.
public protocol TensorContainer: AnyObject, Sendable {
    /// The names of all tensors, in the order of the file.
    var names: [String] { get }

    /// Describes a tensor.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: Nil when there is no such tensor.
    func descriptor(_ name: String) -> TensorDescriptor?

    /// Gives access to a tensor's values, without a copy where the file has them contiguous and aligned.
    ///
    /// - Parameter name: The tensor's name.
    /// - Returns: The values and what keeps them alive.
    /// - Throws: `CheckpointError` when there is no such tensor or its values cannot be read.
    func bytes(_ name: String) throws -> TensorBytes
}

extension TensorContainer {
    /// Calls `body` with a tensor's values.
    ///
    /// - Parameters:
    ///   - name: The tensor's name.
    ///   - body: Receives the values, contiguous and row-major; must not let the pointer escape.
    /// - Returns: What `body` returns.
    /// - Throws: `CheckpointError` when there is no such tensor, and what `body` throws.
    public func withBytes<Result>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        let values = try bytes(name)
        return try withExtendedLifetime(values.owner) { try body(values.pointer) }
    }
}

/// A private, aligned block of memory.
final class OwnedBytes: @unchecked Sendable {
    // Unchecked: filled by the one function that creates it, constant afterwards.
    let buffer: UnsafeMutableRawBufferPointer

    init(count: Int) {
        buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
    }

    deinit {
        buffer.deallocate()
    }
}

extension TensorBytes {
    /// Values inside a mapping; copied when the place is not aligned for the type.
    init(_ source: UnsafeRawBufferPointer, dtype: StoredDType, owner: MappedFile) {
        guard let start = source.baseAddress, Int(bitPattern: start) % dtype.alignment != 0 else {
            self.init(pointer: source, owner: owner, isCopy: false)
            return
        }
        let copy = OwnedBytes(count: source.count)
        copy.buffer.copyMemory(from: source)
        self.init(copy)
    }

    init(_ copy: OwnedBytes) {
        self.init(pointer: UnsafeRawBufferPointer(copy.buffer), owner: copy, isCopy: true)
    }
}
