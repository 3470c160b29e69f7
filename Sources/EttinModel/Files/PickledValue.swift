import EttinFiles

/// A value from a pickle, with nothing executed to obtain it.
///
/// Instances of classes are not rebuilt: what is not a plain value, a container or a tensor is kept as the name and the
/// arguments that Python would have called.
package indirect enum PickledValue: Sendable, Hashable {
    /// Python's `None`.
    case none
    /// A truth value.
    case bool(Bool)
    /// An integer that fits 64 bits.
    case integer(Int)
    /// Any other integer, as two's complement bytes, lowest first.
    case bigInteger([UInt8])
    /// A float.
    case float(Double)
    /// A string.
    case string(String)
    /// A `bytes` or `bytearray`.
    case bytes([UInt8])
    /// A list.
    case list([PickledValue])
    /// A tuple, or a `torch.Size`.
    case tuple([PickledValue])
    /// A set or frozen set, in the order of the file.
    case set([PickledValue])
    /// A dictionary of any kind, in the order of the file.
    case dictionary([Entry])
    /// A tensor; its values stay in the file.
    case tensor(PickledTensor)
    /// A bare storage; its values stay in the file.
    case storage(PickledStorage)
    /// A torch dtype.
    case dtype(StoredDType)
    /// A class or function that was mentioned but not called, such as `torch.float32`'s exotic relatives.
    case global(String)
    /// An object that is kept as a description.
    case object(PickledObject)

    /// One entry of a dictionary.
    package struct Entry: Sendable, Hashable {
        /// The key.
        package let key: PickledValue
        /// The value.
        package let value: PickledValue
    }

    /// The value of a string key, when this is a dictionary that has it; the last one when it has several.
    ///
    /// - Parameter key: The key.
    /// - Complexity: O(entries).
    package subscript(key: String) -> PickledValue? {
        guard case .dictionary(let entries) = self else { return nil }
        return entries.last { entry in
            guard case .string(let name) = entry.key else { return false }
            return name.utf8.elementsEqual(key.utf8)
        }?.value
    }

    /// The entries, when this is a dictionary.
    package var entries: [Entry]? {
        guard case .dictionary(let entries) = self else { return nil }
        return entries
    }

    /// The elements, when this is a list, tuple or set.
    package var elements: [PickledValue]? {
        switch self {
        case .list(let items), .tuple(let items), .set(let items): items
        default: nil
        }
    }

    /// The integer, when this is one that fits.
    package var integer: Int? {
        guard case .integer(let value) = self else { return nil }
        return value
    }

    /// The number, when this is one that a double holds.
    package var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .float(let value): value
        default: nil
        }
    }

    /// The string, when this is one.
    package var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// What kind of value this is, for messages.
    package var kind: String {
        switch self {
        case .none: "None"
        case .bool: "a bool"
        case .integer, .bigInteger: "an integer"
        case .float: "a float"
        case .string: "a string"
        case .bytes: "bytes"
        case .list: "a list"
        case .tuple: "a tuple"
        case .set: "a set"
        case .dictionary: "a dictionary"
        case .tensor: "a tensor"
        case .storage: "a storage"
        case .dtype: "a dtype"
        case .global(let name): "the name \(quoted(name))"
        case .object(let object): "an object of \(quoted(object.name))"
        }
    }
}

/// An object that Python would have built by a call; kept as the description of that call.
package struct PickledObject: Sendable, Hashable {
    /// The class or function, `module.name`.
    package let name: String
    /// The arguments.
    package let arguments: [PickledValue]
    /// The state that would have been set afterwards.
    package let state: PickledValue?
}

/// A run of values in a checkpoint that tensors refer to.
package struct PickledStorage: Sendable, Hashable {
    /// The name of the storage inside its file.
    package let key: String
    /// The type of the values; nil for an untyped storage, whose elements are bytes.
    package let dtype: StoredDType?
    /// The number of values, or of bytes when untyped.
    package let elementCount: Int

    /// The number of bytes; nil when it overflows.
    package var byteCount: Int? {
        guard let dtype else { return elementCount }
        return dtype.byteCount(of: [elementCount])
    }
}

/// A tensor as a view of a storage.
///
/// Every index that shape and strides allow has been checked to lie inside the storage.
package struct PickledTensor: Sendable, Hashable {
    /// The storage.
    package let storage: PickledStorage
    /// The type of the values.
    package let dtype: StoredDType
    /// The dimensions.
    package let shape: [Int]
    /// The distance, in values, between neighbours along each dimension.
    package let strides: [Int]
    /// The first value's position in the storage, in values.
    package let offset: Int
    /// The number of bytes of the values in contiguous order.
    package let byteCount: Int

    /// Checks a view.
    init(
        storage: PickledStorage,
        dtype: StoredDType,
        shape: [Int],
        strides: [Int],
        offset: Int
    ) throws(PickleFault) {
        guard shape.count == strides.count else {
            throw PickleFault("a tensor has \(shape.count) dimensions but \(strides.count) strides")
        }
        guard let byteCount = dtype.byteCount(of: shape), let storageBytes = storage.byteCount, dtype.bitWidth >= 8
        else {
            throw PickleFault("a tensor has the impossible shape \(spelled(shape))")
        }
        guard offset >= 0, !strides.contains(where: { $0 < 0 }) else {
            throw PickleFault("a tensor has a negative offset or stride")
        }
        let capacity = storageBytes / (dtype.bitWidth / 8)
        if byteCount > 0 {
            var last = offset
            for (dimension, stride) in zip(shape, strides) {
                let (reach, overflow) = (dimension - 1).multipliedReportingOverflow(by: stride)
                let (sum, overflow2) = last.addingReportingOverflow(reach)
                guard !overflow, !overflow2 else { throw PickleFault("a tensor has strides beyond 64 bits") }
                last = sum
            }
            guard last < capacity else {
                throw PickleFault(
                    "a tensor of shape \(spelled(shape)) and strides \(spelled(strides)) reaches value \(last) of a "
                        + "storage of \(capacity) values"
                )
            }
        }
        self.storage = storage
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.offset = offset
        self.byteCount = byteCount
    }

    /// Whether the values stand in the storage one after the other in row-major order.
    package var isContiguous: Bool {
        guard byteCount > 0 else { return true }
        var expected = 1
        for (dimension, stride) in zip(shape, strides).reversed() where dimension != 1 {
            guard stride == expected else { return false }
            expected *= dimension
        }
        return true
    }
}
