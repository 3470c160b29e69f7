/// Named tensors, in order: what a checkpoint holds and what a module's parameters are loaded from.
public typealias StateDictionary = [(key: String, tensor: Tensor)]

extension Module {
    /// Replaces the parameters by the tensors of a state dictionary.
    ///
    /// Values keep the type of the tensor given; convert the module afterwards if another is wanted. Nothing changes
    /// unless everything fits.
    ///
    /// - Parameters:
    ///   - state: Tensors by checkpoint key.
    ///   - allowingUnknown: Whether keys the module does not have are passed over.
    ///   - allowingMissing: Whether parameters may keep their present value.
    /// - Throws: ``StateDictionaryError`` that lists every tensor that is missing, unknown or of the wrong shape.
    public final func load(
        _ state: StateDictionary,
        allowingUnknown: Bool = false,
        allowingMissing: Bool = false
    ) throws {
        var given = [String: Tensor](minimumCapacity: state.count)
        for (key, tensor) in state { given[key] = tensor }
        var error = StateDictionaryError()
        for (key, reference) in parameterReferences {
            guard let tensor = given.removeValue(forKey: key) else {
                error.missing.append(key)
                continue
            }
            let expected = reference.tensor.shape
            if tensor.shape != expected {
                error.mismatched.append("\(key): shape \(tensor.shape); expected \(expected)")
            } else if !tensor.dtype.isFloatingPoint {
                error.mismatched.append("\(key): dtype \(tensor.dtype.rawValue); expected a floating-point type")
            }
        }
        error.unknown = given.keys.sorted()
        if allowingUnknown { error.unknown = [] }
        if allowingMissing { error.missing = [] }
        guard error.isEmpty else { throw error }
        let values = [String: Tensor](state.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        for (key, reference) in parameterReferences {
            if let tensor = values[key] { reference.tensor = tensor }
        }
    }
}

/// The ways in which a state dictionary does not fit a module.
public struct StateDictionaryError: Error, Hashable, CustomStringConvertible {
    /// Parameters the state does not have.
    public internal(set) var missing: [String] = []
    /// Keys the module does not have.
    public internal(set) var unknown: [String] = []
    /// Tensors of another shape or kind than the parameter, with what was expected.
    public internal(set) var mismatched: [String] = []

    var isEmpty: Bool { missing.isEmpty && unknown.isEmpty && mismatched.isEmpty }

    /// What is wrong, in one line.
    public var description: String {
        let parts = [
            ("missing tensors", missing), ("unknown tensors", unknown), ("tensors that do not fit", mismatched),
        ]
        return parts.filter { !$0.1.isEmpty }
            .map { "\($0.1.count) \($0.0): \($0.1.joined(separator: ", "))" }
            .joined(separator: "; ")
    }
}
