import EttinFiles

// The interpreter for the pickles inside checkpoints. What is unusual:
// - It executes nothing. A name selects one of a few meanings (`PickleGlobal`) or is an error.
// - Containers live in one array and refer to each other by index, so a pickle that nests a million lists or makes a
//   list contain itself neither overflows a stack when it is freed nor leaks.
// - Work that is not paid for by bytes of input (copies through `list(…)`, bytes through `_codecs.encode`) is charged
//   to a budget.

/// Why a pickle was refused; the caller adds the file and the position.
struct PickleFault: Error {
    let reason: String
    let kind: CheckpointError.Kind

    init(_ reason: String, kind: CheckpointError.Kind = .malformed) {
        self.reason = reason
        self.kind = kind
    }
}

/// What a pickle may ask for before it is refused.
struct PickleLimits {
    /// Maximum size in bytes of one pickle.
    var pickleBytes = 1 << 29
    /// The most values inside each other.
    var depth = 128
    /// The most values or bytes copied, beyond four for each byte of the input.
    var work = 1 << 22
    /// The most values of the result, shared parts counted each time they appear.
    var values = 1 << 24
    /// Maximum size in bytes of one integer.
    var integerBytes = 1024
    /// Whether names that are not on the list are kept as descriptions instead of refused.
    var keepsUnknownNames = false
}

/// One run over one pickle.
struct PickleMachine {
    /// Something on the stack or in a container.
    enum Slot {
        case none
        case bool(Bool)
        case integer(Int)
        case bigInteger([UInt8])
        case float(Double)
        case text(String)
        case bytes([UInt8])
        case global(PickleGlobal)
        case node(Int)
    }

    /// Something that the stack refers to by its index.
    struct Node {
        enum Kind {
            case list
            case tuple
            case set
            /// Keys and values alternate in `items`.
            case dictionary
            case storage(PickledStorage)
            indirect case tensor(PickledTensor)
            case dtype(StoredDType)
            /// `items` are the arguments, and behind them the state if there is one.
            case object(String, hasState: Bool)
        }

        var kind: Kind
        var items: [Slot]
    }

    let limits: PickleLimits
    private var reader: ByteReader
    private var stack: [Slot] = []
    private var marks: [Int] = []
    private var memo: [Int: Slot] = [:]
    var nodes: [Node] = []
    private var work = 0

    private init(_ reader: ByteReader, limits: PickleLimits) {
        self.reader = reader
        self.limits = limits
    }

    /// Reads one pickle.
    ///
    /// - Parameters:
    ///   - reader: Stands at the pickle's first byte; afterwards behind its last.
    ///   - file: For messages.
    ///   - item: For messages.
    ///   - limits: What the pickle may ask for.
    /// - Returns: The value, with nothing executed.
    /// - Throws: `CheckpointError` when the pickle is broken, excessive or mentions an unknown name.
    static func read(
        _ reader: inout ByteReader,
        file: String,
        item: String?,
        limits: PickleLimits = PickleLimits()
    ) throws -> PickledValue {
        var machine = PickleMachine(reader, limits: limits)
        do {
            let result = try machine.run()
            let value = try machine.finished(result)
            reader = machine.reader
            return value
        } catch {
            throw CheckpointError(
                error.kind,
                file: file,
                item: item,
                found: "is not a pickle we read: \(error.reason) (byte \(machine.reader.position))"
            )
        }
    }

    private mutating func run() throws(PickleFault) -> Slot {
        let start = reader.position
        while let byte = reader.byte() {
            guard reader.position - start <= limits.pickleBytes else {
                throw PickleFault("it is longer than \(limits.pickleBytes) bytes", kind: .unsupported)
            }
            guard let opcode = PickleOpcode(rawValue: byte) else {
                if let name = PickleOpcode.refusedName(byte) {
                    throw PickleFault("it uses \(name), which checkpoints do not need", kind: .unsupported)
                }
                throw PickleFault("byte 0x\(String(byte, radix: 16)) is no opcode")
            }
            if opcode == .stop {
                let result = try pop()
                guard stack.isEmpty, marks.isEmpty else { throw PickleFault("it ends with values left over") }
                return result
            }
            try perform(opcode)
        }
        throw PickleFault("it ends without STOP")
    }

    private mutating func perform(_ opcode: PickleOpcode) throws(PickleFault) {
        switch opcode {
        case .stop: break
        case .proto:
            let version: UInt8 = try integer()
            guard (2...5).contains(version) else {
                throw PickleFault("its protocol is \(version), not 2 to 5", kind: .unsupported)
            }
        case .frame: _ = try integer() as UInt64
        case .mark: marks.append(stack.count)
        case .pop: _ = try pop()
        case .popMark: _ = try popToMark()
        case .dup: stack.append(try top())
        case .none: stack.append(.none)
        case .newTrue: stack.append(.bool(true))
        case .newFalse: stack.append(.bool(false))
        case .binInt: stack.append(.integer(Int(try integer() as Int32)))
        case .binInt1: stack.append(.integer(Int(try integer() as UInt8)))
        case .binInt2: stack.append(.integer(Int(try integer() as UInt16)))
        case .long1: try pushLong(Int(try integer() as UInt8))
        case .long4: try pushLong(Int(try integer() as Int32))
        case .binFloat: stack.append(.float(Double(bitPattern: (try integer() as UInt64).byteSwapped)))
        case .shortBinUnicode: try pushText(try integer() as UInt8)
        case .binUnicode: try pushText(try integer() as UInt32)
        case .binUnicode8: try pushText(try integer() as UInt64)
        case .shortBinBytes, .shortBinString: try pushBytes(try integer() as UInt8)
        case .binBytes, .binString: try pushBytes(try integer() as UInt32)
        case .binBytes8, .byteArray8: try pushBytes(try integer() as UInt64)
        case .emptyTuple: push(.tuple, [])
        case .tuple1: push(.tuple, try popLast(1))
        case .tuple2: push(.tuple, try popLast(2))
        case .tuple3: push(.tuple, try popLast(3))
        case .tuple: push(.tuple, try popToMark())
        case .emptyList: push(.list, [])
        case .emptySet: push(.set, [])
        case .frozenSet: push(.set, try popToMark())
        case .emptyDictionary: push(.dictionary, [])
        case .append: try extend([try pop()], .append)
        case .appends: try extend(try popToMark(), .append)
        case .addItems: try extend(try popToMark(), .addItems)
        case .setItem: try extend(try popLast(2), .setItem)
        case .setItems: try extend(try popToMark(), .setItem)
        case .binPut: memo[Int(try integer() as UInt8)] = try top()
        case .longBinPut: memo[Int(try integer() as UInt32)] = try top()
        case .memoize: memo[memo.count] = try top()
        case .binGet: try recall(Int(try integer() as UInt8))
        case .longBinGet: try recall(Int(try integer() as UInt32))
        case .global: try pushGlobal(module: try line(), name: try line())
        case .stackGlobal:
            let names = try popLast(2)
            guard case .text(let module) = names[0], case .text(let name) = names[1] else {
                throw PickleFault("a name is not text")
            }
            try pushGlobal(module: module, name: name)
        case .binPersistentID: stack.append(try storage(try pop()))
        case .reduce, .newObject:
            let parts = try popLast(2)
            guard case .global(let function) = parts[0] else { throw PickleFault("it calls something that is no name") }
            stack.append(try call(function, arguments(parts[1])))
        case .newObjectWithKeywords:
            let parts = try popLast(3)
            guard case .global(.inert(let name)) = parts[0] else {
                throw PickleFault("it builds something by keywords that is no object")
            }
            stack.append(try call(.inert(name), arguments(parts[1])))
        case .build:
            let state = try pop()
            try build(try top(), state)
        }
    }
}

// MARK: - Stack and input

extension PickleMachine {
    private mutating func pop() throws(PickleFault) -> Slot {
        guard stack.count > marks.last ?? 0, let slot = stack.popLast() else {
            throw PickleFault("it takes more values from the stack than it put there")
        }
        return slot
    }

    private func top() throws(PickleFault) -> Slot {
        guard stack.count > marks.last ?? 0, let slot = stack.last else {
            throw PickleFault("it uses a value of an empty stack")
        }
        return slot
    }

    private mutating func popLast(_ count: Int) throws(PickleFault) -> [Slot] {
        guard stack.count - (marks.last ?? 0) >= count else {
            throw PickleFault("it takes more values from the stack than it put there")
        }
        let taken = Array(stack.suffix(count))
        stack.removeLast(count)
        return taken
    }

    private mutating func popToMark() throws(PickleFault) -> [Slot] {
        guard let mark = marks.popLast() else { throw PickleFault("it closes a group that it did not open") }
        let taken = Array(stack[mark...])
        stack.removeLast(taken.count)
        return taken
    }

    private mutating func recall(_ index: Int) throws(PickleFault) {
        guard let slot = memo[index] else { throw PickleFault("it recalls value \(index), which it never kept") }
        stack.append(slot)
    }

    private mutating func push(_ kind: Node.Kind, _ items: [Slot]) {
        stack.append(made(kind, items))
    }

    mutating func made(_ kind: Node.Kind, _ items: [Slot]) -> Slot {
        nodes.append(Node(kind: kind, items: items))
        return .node(nodes.count - 1)
    }

    /// Pays for work that the input's own length does not bound.
    mutating func charge(_ amount: Int) throws(PickleFault) {
        work += amount
        guard work <= limits.work + 4 * reader.position else {
            throw PickleFault("it multiplies its content beyond reason", kind: .unsupported)
        }
    }

    private mutating func integer<Value: FixedWidthInteger>() throws(PickleFault) -> Value {
        guard let value = reader.integer(Value.self) else { throw PickleFault("it is cut off") }
        return value
    }

    private mutating func take(_ count: some FixedWidthInteger) throws(PickleFault) -> UnsafeRawBufferPointer {
        guard let count = Int(exactly: count), let bytes = reader.take(count) else {
            throw PickleFault("it announces \(count) bytes of which \(reader.remaining) are there")
        }
        return bytes
    }

    private mutating func line() throws(PickleFault) -> String {
        guard let bytes = reader.line(), let text = validatedText(bytes) else { throw PickleFault("a name is cut off") }
        return text
    }

    private mutating func pushText(_ count: some FixedWidthInteger) throws(PickleFault) {
        guard let text = validatedText(try take(count)) else { throw PickleFault("a string is not UTF-8") }
        stack.append(.text(text))
    }

    private mutating func pushBytes(_ count: some FixedWidthInteger) throws(PickleFault) {
        stack.append(.bytes(Array(try take(count))))
    }

    private mutating func pushLong(_ count: Int) throws(PickleFault) {
        guard (0...limits.integerBytes).contains(count) else {
            throw PickleFault("it has an integer of \(count) bytes", kind: .unsupported)
        }
        let bytes = try take(count)
        guard count <= 8 else {
            stack.append(.bigInteger(Array(bytes)))
            return
        }
        var value: UInt64 = (bytes.last ?? 0) & 0x80 == 0 ? 0 : .max
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        stack.append(.integer(Int(Int64(bitPattern: value))))
    }

    private mutating func pushGlobal(module: String, name: String) throws(PickleFault) {
        let known = PickleGlobal.named(module: module, name: name)
        guard let global = known ?? (limits.keepsUnknownNames ? .inert(module + "." + name) : nil) else {
            throw PickleFault(
                "it wants \(quoted(module + "." + name)), which is not on the list of harmless names; nothing was executed",
                kind: .unsupported
            )
        }
        stack.append(.global(global))
    }

    /// Adds to the container on top of the stack.
    private mutating func extend(_ items: [Slot], _ opcode: PickleOpcode) throws(PickleFault) {
        guard case .node(let index) = try top() else { throw PickleFault("it adds to something that is no container") }
        switch (nodes[index].kind, opcode) {
        case (.list, .append), (.set, .addItems): break
        case (.object, .append), (.object, .setItem):
            // A subclass of a container; its description does not say what it holds.
            return
        case (.dictionary, .setItem):
            guard items.count.isMultiple(of: 2) else { throw PickleFault("a dictionary has a key without a value") }
        default: throw PickleFault("it adds to a container of another kind")
        }
        nodes[index].items.append(contentsOf: items)
    }

    private func arguments(_ slot: Slot) throws(PickleFault) -> [Slot] {
        guard case .node(let index) = slot, case .tuple = nodes[index].kind else {
            throw PickleFault("the arguments of a call are no tuple")
        }
        return nodes[index].items
    }
}
