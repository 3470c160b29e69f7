// What the calls in a checkpoint's pickle mean: views of storages, a few containers, and descriptions of the rest.

extension PickleMachine {
    /// Maximum number of dimensions of a tensor, as in torch.
    private static let dimensionLimit = 64

    mutating func call(_ function: PickleGlobal, _ arguments: [Slot]) throws(PickleFault) -> Slot {
        switch function {
        case .rebuildTensor(let takesDType): return try tensor(arguments, takesDType: takesDType)
        case .rebuildParameter:
            guard let first = arguments.first, case .node(let index) = first, case .tensor = nodes[index].kind else {
                throw PickleFault("a parameter has no tensor")
            }
            return first
        case .rebuildFromType:
            // (function, type, arguments, state): the call that makes the plain tensor is the first and third.
            guard arguments.count == 4, case .global(let inner) = arguments[0], case .rebuildTensor = inner,
                case .node(let index) = arguments[2], case .tuple = nodes[index].kind
            else { throw PickleFault("a tensor with attributes is built in an unknown way") }
            return try call(inner, nodes[index].items)
        case .tuple: return try collected(.tuple, arguments)
        case .list: return try collected(.list, arguments)
        case .set: return try collected(.set, arguments)
        case .dictionary: return try dictionary(arguments)
        case .defaultDictionary:
            // The maker of defaults comes first; it is not needed.
            return try dictionary(Array(arguments.dropFirst()))
        case .encode: return try encoded(arguments)
        case .byteArray: return try byteArray(arguments)
        case .inert(let name):
            try charge(arguments.count)
            return made(.object(name, hasState: false), arguments)
        case .storage, .dtype: throw PickleFault("it calls a class that stands for a type")
        }
    }

    mutating func build(_ target: Slot, _ state: Slot) throws(PickleFault) {
        guard case .node(let index) = target else { throw PickleFault("it sets the state of a plain value") }
        switch nodes[index].kind {
        case .object(let name, hasState: false):
            nodes[index].kind = .object(name, hasState: true)
            nodes[index].items.append(state)
        case .dictionary:
            // A state dict carries its modules' version numbers as an attribute; nothing reads them.
            break
        default: throw PickleFault("it sets the state of a value that has none")
        }
    }

    /// The persistent id of a storage: `("storage", class, key, location, element count)`, in old files also a view.
    mutating func storage(_ id: Slot) throws(PickleFault) -> Slot {
        guard case .node(let index) = id, case .tuple = nodes[index].kind else {
            throw PickleFault("a persistent id is no tuple")
        }
        let parts = nodes[index].items
        guard parts.count == 5 || parts.count == 6, case .text("storage") = parts[0],
            case .global(.storage(let dtype)) = parts[1], case .text(let key) = parts[2],
            case .integer(let count) = parts[4], count >= 0
        else { throw PickleFault("a persistent id does not describe a storage") }
        if parts.count == 6 {
            guard case .none = parts[5] else {
                throw PickleFault("it has storages that are views, as files before torch 0.4 have", kind: .unsupported)
            }
        }
        let storage = PickledStorage(key: key, dtype: dtype, elementCount: count)
        guard storage.byteCount != nil else { throw PickleFault("a storage of \(count) values is beyond 64 bits") }
        return made(.storage(storage), [])
    }

    private mutating func tensor(_ arguments: [Slot], takesDType: Bool) throws(PickleFault) -> Slot {
        guard arguments.count >= (takesDType ? 7 : 4), arguments.count <= 8, case .node(let index) = arguments[0],
            case .storage(let storage) = nodes[index].kind, case .integer(let offset) = arguments[1]
        else { throw PickleFault("a tensor is not built from storage, offset, shape and strides") }
        var dtype = storage.dtype
        if takesDType {
            guard case .global(.dtype(let named)) = arguments[6] else { throw PickleFault("a tensor has no dtype") }
            dtype = named
        }
        guard let dtype else { throw PickleFault("a tensor on an untyped storage has no dtype") }
        let tensor = try PickledTensor(
            storage: storage,
            dtype: dtype,
            shape: try integers(arguments[2]),
            strides: try integers(arguments[3]),
            offset: offset
        )
        return made(.tensor(tensor), [])
    }

    private mutating func integers(_ slot: Slot) throws(PickleFault) -> [Int] {
        guard case .node(let index) = slot, case .tuple = nodes[index].kind else {
            throw PickleFault("a shape is no tuple")
        }
        let items = nodes[index].items
        guard items.count <= Self.dimensionLimit else { throw PickleFault("a tensor has \(items.count) dimensions") }
        try charge(items.count)
        var result: [Int] = []
        for item in items {
            guard case .integer(let value) = item else {
                throw PickleFault("a shape holds something that is no integer")
            }
            result.append(value)
        }
        return result
    }

    /// `list(…)` and its like: empty, or the elements of one container.
    private mutating func collected(_ kind: Node.Kind, _ arguments: [Slot]) throws(PickleFault) -> Slot {
        guard let first = arguments.first else { return made(kind, []) }
        guard case .node(let index) = first else { throw PickleFault("a container is built from a plain value") }
        switch nodes[index].kind {
        case .list, .tuple, .set: break
        default: throw PickleFault("a container is built from something that is no sequence")
        }
        try charge(nodes[index].items.count)
        return made(kind, nodes[index].items)
    }

    /// `OrderedDict(…)` and its like: empty, a copy of a dictionary, or a sequence of pairs.
    private mutating func dictionary(_ arguments: [Slot]) throws(PickleFault) -> Slot {
        guard let first = arguments.first else { return made(.dictionary, []) }
        guard case .node(let index) = first else { throw PickleFault("a dictionary is built from a plain value") }
        let items = nodes[index].items
        try charge(items.count)
        switch nodes[index].kind {
        case .dictionary: return made(.dictionary, items)
        case .list, .tuple:
            var flat: [Slot] = []
            for item in items {
                guard case .node(let pair) = item, nodes[pair].items.count == 2 else {
                    throw PickleFault("a dictionary is built from something that is no pair")
                }
                flat.append(contentsOf: nodes[pair].items)
            }
            return made(.dictionary, flat)
        default: throw PickleFault("a dictionary is built from something that is no sequence")
        }
    }

    /// `_codecs.encode(text, "latin1")`: bytes spelled as characters.
    private mutating func encoded(_ arguments: [Slot]) throws(PickleFault) -> Slot {
        guard arguments.count == 2, case .text(let text) = arguments[0], case .text(let encoding) = arguments[1],
            encoding == "latin1" || encoding == "latin-1"
        else { throw PickleFault("bytes are encoded in an unknown way") }
        try charge(text.utf8.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            guard let byte = UInt8(exactly: scalar.value) else {
                throw PickleFault("bytes are spelled with wide characters")
            }
            bytes.append(byte)
        }
        return .bytes(bytes)
    }

    private mutating func byteArray(_ arguments: [Slot]) throws(PickleFault) -> Slot {
        guard let first = arguments.first else { return .bytes([]) }
        switch first {
        case .bytes: return first
        case .text: return try encoded(arguments)
        default: throw PickleFault("a byte array is built from something that is no bytes")
        }
    }
}

// MARK: - The finished value

extension PickleMachine {
    /// Turns the graph of nodes into a value tree.
    func finished(_ slot: Slot) throws(PickleFault) -> PickledValue {
        var finisher = PickleFinisher(nodes: nodes, limits: limits)
        return try finisher.value(slot, depth: 0).value
    }
}

/// Converts each node once, and counts how large and how deep the result is when shared parts are counted each time.
private struct PickleFinisher {
    struct Sized {
        let value: PickledValue
        var weight = 1
        var height = 1
    }

    let nodes: [PickleMachine.Node]
    let limits: PickleLimits
    private var done: [Int: Sized] = [:]
    private var open: Set<Int> = []

    init(nodes: [PickleMachine.Node], limits: PickleLimits) {
        self.nodes = nodes
        self.limits = limits
    }

    mutating func value(_ slot: PickleMachine.Slot, depth: Int) throws(PickleFault) -> Sized {
        switch slot {
        case .none: Sized(value: .none)
        case .bool(let value): Sized(value: .bool(value))
        case .integer(let value): Sized(value: .integer(value))
        case .bigInteger(let bytes): Sized(value: .bigInteger(bytes))
        case .float(let value): Sized(value: .float(value))
        case .text(let text): Sized(value: .string(text))
        case .bytes(let bytes): Sized(value: .bytes(bytes))
        case .global(let global): Sized(value: Self.value(of: global))
        case .node(let index): try node(index, depth: depth)
        }
    }

    private var tooDeep: PickleFault {
        PickleFault("it nests values more than \(limits.depth) deep", kind: .unsupported)
    }

    private static func value(of global: PickleGlobal) -> PickledValue {
        switch global {
        case .dtype(let dtype): .dtype(dtype)
        case .inert(let name): .global(name)
        default: .global("a class")
        }
    }

    private mutating func node(_ index: Int, depth: Int) throws(PickleFault) -> Sized {
        if let known = done[index] { return known }
        guard depth < limits.depth else { throw tooDeep }
        guard open.insert(index).inserted else { throw PickleFault("a value contains itself", kind: .unsupported) }
        let node = nodes[index]
        var weight = 1
        var height = 1
        var items: [PickledValue] = []
        items.reserveCapacity(node.items.count)
        for item in node.items {
            let part = try value(item, depth: depth + 1)
            weight += part.weight
            height = max(height, part.height + 1)
            guard weight <= limits.values else {
                throw PickleFault("it unfolds into more than \(limits.values) values", kind: .unsupported)
            }
            items.append(part.value)
        }
        // A part that was converted earlier, nearer to the root, may be deep itself.
        guard height <= limits.depth else { throw tooDeep }
        open.remove(index)
        let sized = Sized(value: Self.value(node.kind, items), weight: weight, height: height)
        done[index] = sized
        return sized
    }

    private static func value(_ kind: PickleMachine.Node.Kind, _ items: [PickledValue]) -> PickledValue {
        switch kind {
        case .list: .list(items)
        case .tuple: .tuple(items)
        case .set: .set(items)
        case .dictionary:
            .dictionary(
                stride(from: 0, to: items.count - 1, by: 2).map { .init(key: items[$0], value: items[$0 + 1]) }
            )
        case .storage(let storage): .storage(storage)
        case .tensor(let tensor): .tensor(tensor)
        case .dtype(let dtype): .dtype(dtype)
        case .object(let name, let hasState):
            .object(
                PickledObject(
                    name: name,
                    arguments: hasState ? Array(items.dropLast()) : items,
                    state: hasState ? items.last : nil
                )
            )
        }
    }
}
